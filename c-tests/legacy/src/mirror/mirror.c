/*
 * mirror [-p PARALLEL] [-t TRIES] [-T SECONDS] [-C CA] [-d FILE] [-I] [-N] [-r] DIR URL...
 *
 *   -I  HEAD       -N  only what is newer than the file     -r  resume files that are there
 *   -d  POST this file to each URL
 *   An URL of @FILE stands for the lines of that file.
 *
 * What can be asked for again is asked for again when a connection breaks: at once and on a new connection where it was
 * a kept one that broke before the first byte of an answer, else so often as -t says, going on where it stopped where
 * the server has told an ETag.
 */
#include "mirror.h"

#include "netconn.h"
#include "netconn_tls.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct transfer {
	struct transfer *next;
	struct url url;
	char *path;		/* of the file */
	char *etag;
	int tries, redirects;
	/* While it runs: */
	struct net_conn *c;
	int reused, answered, sent;
	struct evloop_timer *timer;
	char *request;
	size_t request_len, request_done;
	int fd;			/* -1: not open */
	long long have;
	struct response response;
};

static struct ev_loop *loop;
static struct pconn_pool *pool;
static struct transfer *queue, **queue_end = &queue;
static int running, parallel = 4, max_tries = 3;
static double idle_limit = 20;
static int head_only, if_newer, resume;
static const char *directory;
static char *post_body;
static size_t post_len;

/* What is told in the end. */
static int files, failures, connections, reuses, again, unchanged;

static void next_transfers(void);
static void begin(struct transfer *);

static void release(struct transfer *t, int keep)
{
	struct net_conn *c = t->c;
	t->c = NULL;
	evloop_timer_free(t->timer);
	t->timer = NULL;
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	free(t->request);
	t->request = NULL;
	response_free(&t->response);
	pconn_release(pool, c, keep);
}

static void end_transfer(struct transfer *t, const char *why)
{
	if (why) {
		fprintf(stderr, "mirror: %s://%s:%s%s: %s\n", t->url.scheme, t->url.host, t->url.port, t->url.path, why);
		failures++;
	} else {
		files++;
	}
	url_free(&t->url);
	free(t->path);
	free(t->etag);
	free(t);
	running--;
	next_transfers();
}

/* The connection broke, or the answer did. */
static void broken(struct transfer *t, const char *why)
{
	char text[600];
	int stale = t->reused && !t->answered;
	snprintf(text, sizeof text, "%s", why);
	release(t, 0);
	if (post_body && t->sent) {
		strncat(text, "; a POST that was sent is not sent again", sizeof text - strlen(text) - 1);
		end_transfer(t, text);
		return;
	}
	if (!stale)
		t->tries++;
	if (t->tries >= max_tries) {
		end_transfer(t, text);
		return;
	}
	/* Its brothers are as old as it was. */
	if (stale)
		pconn_flush_for_host(pool, t->url.host);
	again++;
	begin(t);
}

static void too_slow(void *arg)
{
	broken(arg, strerror(ETIMEDOUT));
}

static void on_error(struct net_conn *c, void *arg)
{
	broken(arg, conn_get_error_msg(c));
}

/* ---- The answer ---- */

static int on_head(void *arg)
{
	struct transfer *t = arg;
	struct response *r = &t->response;
	if (r->status == 200 || r->status == 206) {
		if (r->status == 206 && r->range_start != t->have) {
			r->why = "another range than was asked for";
			return -1;
		}
		free(t->etag);
		t->etag = r->etag;
		r->etag = NULL;
		if (head_only)
			return 0;
		if (r->status == 200)
			t->have = 0;
		t->fd = open(t->path, O_WRONLY | O_CREAT | (r->status == 200 ? O_TRUNC : O_APPEND), 0666);
		if (t->fd < 0) {
			r->why = strerror(errno);
			return -1;
		}
	}
	return 0;
}

static int on_body(void *arg, const char *bytes, size_t n)
{
	struct transfer *t = arg;
	if (t->fd < 0)
		return 0;	/* of a redirect, or an error */
	while (n > 0) {
		ssize_t m = write(t->fd, bytes, n);
		if (m < 0) {
			t->response.why = strerror(errno);
			return -1;
		}
		bytes += m;
		n -= m;
		t->have += m;
	}
	return 0;
}

static void answer_is_whole(struct transfer *t, int keep)
{
	struct response *r = &t->response;
	char text[40];
	keep = keep && !r->close;
	if (r->status / 100 == 3 && r->status != 304 && r->location && t->redirects++ < 10) {
		struct url u;
		char *where = r->location;
		r->location = NULL;
		release(t, keep);
		if (url_parse(&u, where) != 0) {
			end_transfer(t, "redirected to nowhere");
		} else {
			url_free(&t->url);
			t->url = u;
			begin(t);
		}
		free(where);
		return;
	}
	if (r->status == 408) {	/* it had given us up before we asked */
		broken(t, "status 408");
		return;
	}
	if (r->status == 416 && r->range_total == t->have) {	/* it was whole already */
		release(t, keep);
		end_transfer(t, NULL);
		return;
	}
	if (r->status == 304)
		unchanged++;
	sprintf(text, "status %d", r->status);
	{
		int status = r->status;
		release(t, keep);
		end_transfer(t, status / 100 == 2 || status == 304 ? NULL : text);
	}
}

static void on_readable(struct net_conn *c, void *arg)
{
	struct transfer *t = arg;
	char buf[32768];
	ssize_t n = conn_try_read(c, buf, sizeof buf);
	int used;
	if (n < 0) {
		if (errno != EAGAIN)
			broken(t, conn_get_error_msg(c) ? conn_get_error_msg(c) : strerror(errno));
		return;
	}
	if (n == 0) {
		if (response_end(&t->response) == 0)
			answer_is_whole(t, 0);
		else
			broken(t, t->response.why);
		return;
	}
	t->answered = 1;
	evloop_timer_reschedule(t->timer, idle_limit, 0);
	used = response_feed(&t->response, buf, n);
	if (used < 0)
		broken(t, t->response.why);
	else if (t->response.state == H_DONE)
		answer_is_whole(t, used == n);
}

/* ---- The request ---- */

static void on_writable(struct net_conn *c, void *arg)
{
	struct transfer *t = arg;
	while (t->request_done < t->request_len) {
		ssize_t n = conn_try_write(c, t->request + t->request_done, t->request_len - t->request_done);
		if (n < 0) {
			if (errno == EAGAIN)
				conn_set_writable_callback(c, on_writable, t);
			else	/* there may be an answer all the same, and if not, a reason */
				conn_set_writable_callback(c, NULL, NULL);
			return;
		}
		t->sent = 1;
		t->request_done += n;
	}
	conn_set_writable_callback(c, NULL, NULL);
}

static void make_request(struct transfer *t)
{
	char extra[600] = "", stamp[100];
	struct stat st;
	struct tm tm;
	int len;
	if (post_body) {
		sprintf(extra, "Content-Length: %lu\r\n", (unsigned long) post_len);
	} else if (t->have > 0) {
		sprintf(extra, "Range: bytes=%lld-\r\n", t->have);
		if (t->etag && strlen(t->etag) < 300)
			sprintf(extra + strlen(extra), "If-Range: %s\r\n", t->etag);
	} else if (if_newer && stat(t->path, &st) == 0) {
		strftime(stamp, sizeof stamp, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&st.st_mtime, &tm));
		sprintf(extra, "If-Modified-Since: %s\r\n", stamp);
	}
	t->request = xmalloc(1000 + strlen(t->url.path) + strlen(t->url.host) + post_len);
	len = sprintf(t->request, "%s %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: keep-alive\r\n%s\r\n",
		      post_body ? "POST" : head_only ? "HEAD" : "GET", t->url.path, t->url.host, t->url.port, extra);
	if (post_body)
		memcpy(t->request + len, post_body, post_len);
	t->request_len = len + post_len;
	t->request_done = 0;
}

static void on_ready(struct net_conn *c, void *arg)
{
	struct transfer *t = arg;
	evloop_timer_reschedule(t->timer, idle_limit, 0);
	conn_set_readable_callback(c, on_readable, t);
	on_writable(c, t);
}

static void begin(struct transfer *t)
{
	size_t idle = pconn_get_idle_count(pool);
	struct stat st;
	t->answered = t->sent = 0;
	/* What is there of an earlier attempt is good if it can be told from another version. */
	t->have = 0;
	if (!head_only && !post_body && (resume || (t->tries > 0 && t->etag)) && stat(t->path, &st) == 0)
		t->have = st.st_size;
	response_init(&t->response);
	t->response.no_body = head_only;
	t->response.on_head = on_head;
	t->response.on_body = on_body;
	t->response.arg = t;
	make_request(t);
	t->timer = evloop_timer_start(loop, idle_limit, 0, too_slow, t);
	t->c = pconn_acquire(pool, t->url.scheme, t->url.host, t->url.port, t->url.tls, on_ready, on_error, t);
	if (t->c == NULL) {
		int save = errno;
		release(t, 0);
		end_transfer(t, strerror(save));
		return;
	}
	t->reused = pconn_get_idle_count(pool) < idle;
	if (t->reused)
		reuses++;
	else
		connections++;
}

static void next_transfers(void)
{
	while (running < parallel && queue) {
		struct transfer *t = queue;
		queue = t->next;
		if (queue == NULL)
			queue_end = &queue;
		running++;
		begin(t);
	}
	if (running == 0)
		evloop_break(loop);
}

/* ---- The command line ---- */

static void add(char *text)
{
	struct transfer *t;
	const char *base;
	if (*text == '@') {
		char line[2000];
		FILE *f = fopen(text + 1, "r");
		if (f == NULL) {
			perror(text + 1);
			exit(2);
		}
		while (fgets(line, sizeof line, f)) {
			line[strcspn(line, "\r\n")] = 0;
			if (*line)
				add(line);
		}
		fclose(f);
		return;
	}
	t = xmalloc(sizeof *t);
	memset(t, 0, sizeof *t);
	t->fd = -1;
	if (url_parse(&t->url, text) != 0) {
		fprintf(stderr, "mirror: %s is no URL\n", text);
		exit(2);
	}
	base = strrchr(t->url.path, '/') + 1;
	t->path = xmalloc(strlen(directory) + strlen(base) + 20);
	sprintf(t->path, "%s/%s", directory, *base ? base : "index.html");
	*queue_end = t;
	queue_end = &t->next;
}

static void read_post(const char *name)
{
	FILE *f = fopen(name, "rb");
	if (f == NULL) {
		perror(name);
		exit(2);
	}
	fseek(f, 0, SEEK_END);
	post_len = ftell(f);
	rewind(f);
	post_body = xmalloc(post_len);
	if (fread(post_body, 1, post_len, f) != post_len)
		exit(2);
	fclose(f);
}

int main(int argc, char **argv)
{
	int o;
	const char *ca = NULL;
	while ((o = getopt(argc, argv, "p:t:T:C:d:INr")) != -1)
		switch (o) {
		case 'p': parallel = atoi(optarg); break;
		case 't': max_tries = atoi(optarg); break;
		case 'T': idle_limit = atof(optarg); break;
		case 'C': ca = optarg; break;
		case 'd': read_post(optarg); break;
		case 'I': head_only = 1; break;
		case 'N': if_newer = 1; break;
		case 'r': resume = 1; break;
		default: return 2;
		}
	if (argc - optind < 2) {
		fprintf(stderr, "usage: %s [OPTION]... DIR URL...\n", argv[0]);
		return 2;
	}
	directory = argv[optind++];
	while (optind < argc)
		add(argv[optind++]);
	loop = evloop_get_default();
	pool = pconn_pool_new(loop);
	if (loop == NULL || pool == NULL) {
		perror("mirror");
		return 2;
	}
	if (ca) {
		SocketTLSContext_T tls = netconn_tls_client(ca);
		if (tls == NULL || conn_set_default_tls(tls) != 0) {
			fprintf(stderr, "mirror: %s: %s\n", ca, netconn_tls_error());
			return 2;
		}
		netconn_tls_free(&tls);
	}
	next_transfers();
	if (running)
		evloop_run(loop);
	if (running)
		fprintf(stderr, "mirror: the loop ended with %d transfers running\n", running);
	printf("%d files, %d failed, %d unchanged, %d again, %d connections, %d reuses, %lu idle, %lu in all\n", files,
	       failures, unchanged, again, connections, reuses, (unsigned long) pconn_get_idle_count(pool),
	       (unsigned long) pconn_get_total_count(pool));
	pconn_pool_free(pool);
	netconn_cleanup();
	free(post_body);
	return failures || running ? 1 : 0;
}

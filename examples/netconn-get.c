/*
 * Downloads a file from an http:// or https:// URL.
 *
 *     cc netconn-get.c -o netconn-get -I/usr/local/include/netconn -L/usr/local/lib -lnetconn -Wl,-rpath,/usr/local/lib
 *     ./netconn-get -v -o file.tar.gz https://example.org/file.tar.gz
 *
 *     -o FILE  where to; standard output otherwise     -C  go on where an earlier attempt at FILE ended
 *     -v       tell how long each step took            -t SECONDS  give up when nothing comes for so long (60)
 *
 * A line of progress is drawn on a terminal. Ctrl-C leaves what has come, for -C to go on from. Redirects are followed,
 * but never from https to http. The certificate is verified; SSL_CERT_FILE names other authorities than the system's.
 *
 * Exit status: 0 all is there; 1 wrong usage; 2 no connection, or it broke; 3 TLS or certificate; 4 the server said no;
 * 5 the answer makes no sense or is not whole; 6 the file cannot be written; 130 interrupted.
 */
#define _POSIX_C_SOURCE 200809L

#include <net_conn.h>
#include <netconn.h>
#include <netconn_tls.h>

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { OK, USAGE, NO_CONNECTION, NO_TLS, REFUSED, BROKEN, NO_FILE, INTERRUPTED = 130 };
enum { MAX_REDIRECTS = 10, MAX_HEAD = 65536 };

struct url {
    bool tls;
    char authority[300], host[256], port[8], path[4096];
};

struct get {
    struct net_conn *c;
    struct conn_options options;
    struct url url;
    int redirects, status; /* status: what main returns */
    bool done, verbose, resume, on_terminal;
    struct evloop_timer *progress;
    double started, asked; /* when */
    /* The file, and how much of it there is. */
    const char *name;
    FILE *file;
    long long have, begun_with, total; /* total: -1 while it is not known */
    char head[MAX_HEAD + 1];
    size_t head_len;
    bool in_body;
    enum { UNTIL_CLOSE, LENGTH, CHUNKED } body;
    long long left; /* of the body, or of the chunk */
    enum { SIZE_FIRST, SIZE_MORE, SIZE_REST, DATA, DATA_END, TRAILER, TRAILER_LINE } chunk;
};

static void start(struct get *g);

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- Progress and the end --------------------------------------------------------------------------------------- */

static void draw(void *arg) {
    struct get *g = arg;
    double seconds = now() - g->asked, speed = seconds > 0 ? (double)(g->have - g->begun_with) / seconds : 0;
    fprintf(stderr, "\r%10.2f MiB", (double)g->have / 1048576);
    if (g->total > 0) fprintf(stderr, " %3d%%", (int)(100.0 * (double)g->have / (double)g->total));
    fprintf(stderr, " %9.2f MiB/s", speed / 1048576);
    if (g->total > g->have && speed > 1) fprintf(stderr, " %6.0f s left", (double)(g->total - g->have) / speed);
    fprintf(stderr, "\033[K"); /* clears the rest of the line */
}

/* Ends everything; the format may be NULL. What was written stays in the file. False, for who ends by it. */
__attribute__((format(printf, 3, 4))) static bool finish(struct get *g, int status, const char *format, ...) {
    if (g->done) return false;
    g->done = true, g->status = status;
    if (g->progress) draw(g), fputc('\n', stderr);
    if (format) { /* before the connection is closed, whose message it may show */
        va_list args;
        va_start(args, format);
        fprintf(stderr, "netconn-get: ");
        vfprintf(stderr, format, args);
        fputc('\n', stderr);
        va_end(args);
    }
    if (g->file && fflush(g->file) != 0) perror(g->name ? g->name : "standard output"), g->status = NO_FILE;
    if (g->file && g->file != stdout) fclose(g->file);
    if (g->verbose && g->status == OK) fprintf(stderr, "  total      %9.2f ms\n", (now() - g->started) * 1e3);
    evloop_timer_free(g->progress);
    conn_close(g->c);
    evloop_break(evloop_get_default());
    return false;
}

/* ---- URLs ------------------------------------------------------------------------------------------------------- */

/* Takes `text` apart; where it is not a whole URL, the rest is as in `base` (NULL: there is none). */
static bool parse_url(const char *text, const struct url *base, struct url *u) {
    struct url result = {.tls = base && base->tls};
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 127) return false; /* a line break would end our request's line */
    const char *rest = NULL;
    if (strncasecmp(text, "http://", 7) == 0) rest = text + 7, result.tls = false;
    else if (strncasecmp(text, "https://", 8) == 0) rest = text + 8, result.tls = true;
    else if (base && strncmp(text, "//", 2) == 0) rest = text + 2;
    else if (!base || strcspn(text, ":") < strcspn(text, "/?#")) return false; /* another scheme, or none */
    int len = 0, size = sizeof result.path;
    if (rest) {
        size_t authority = strcspn(rest, "/?#");
        if (authority == 0 || authority >= sizeof result.authority || memchr(rest, '@', authority)) return false;
        memcpy(result.authority, rest, authority);
        char *host = result.authority, *host_end;
        if (*host == '[') host_end = strchr(++host, ']'); /* an IPv6 address */
        else host_end = host + strcspn(host, ":");
        if (!host_end || host_end == host || host_end - host >= (int)sizeof result.host) return false;
        memcpy(result.host, host, (size_t)(host_end - host));
        const char *port = *host_end == ']' ? host_end + 1 : host_end;
        size_t digits = *port ? strspn(port + 1, "0123456789") : 0;
        if (*port && (*port != ':' || !digits || digits > 5 || port[digits + 1])) return false;
        strcpy(result.port, *port ? port + 1 : result.tls ? "443" : "80");
        rest += authority;
        len = snprintf(result.path, (size_t)size, "%s%.*s", *rest == '/' ? "" : "/", (int)strcspn(rest, "#"), rest);
    } else { /* RFC 3986, 5.2: another path on the same host, or one beside ours */
        int directory = 0, query = (int)strcspn(base->path, "?");
        for (int i = 0; i < query; i++)
            if (base->path[i] == '/') directory = i + 1;
        result = *base;
        len = snprintf(result.path, (size_t)size, "%.*s%.*s", *text == '/' ? 0 : *text == '?' ? query : directory,
                       base->path, (int)strcspn(text, "#"), text);
    }
    *u = result;
    return len < size;
}

/* ---- The body --------------------------------------------------------------------------------------------------- */

static void keep(struct get *g, const char *bytes, size_t n) {
    g->have += (long long)n;
    if (fwrite(bytes, 1, n, g->file) != n) finish(g, NO_FILE, "%s: %s", g->name ? g->name : "output", strerror(errno));
}

static void end_body(struct get *g) {
    if (g->total < 0 || g->have == g->total) finish(g, OK, NULL);
    else finish(g, BROKEN, "%lld bytes came, of %lld%s", g->have, g->total, g->name ? "; go on with -C" : "");
}

/* RFC 9112, 7.1, a byte at a time but for the data; false: that is no chunk. */
static bool take_chunks(struct get *g, const char *p, const char *end) {
    while (p < end && !g->done) {
        if (g->chunk == DATA) {
            size_t n = (size_t)(end - p) < (unsigned long long)g->left ? (size_t)(end - p) : (size_t)g->left;
            keep(g, p, n);
            p += n;
            if ((g->left -= (long long)n) == 0) g->chunk = DATA_END;
            continue;
        }
        char byte = *p++;
        const char digits[] = "0123456789abcdef", *found = byte ? strchr(digits, tolower((unsigned char)byte)) : NULL;
        int digit = found ? (int)(found - digits) : -1;
        switch (g->chunk) {
        case SIZE_FIRST:
            if (digit < 0) return false;
            g->left = digit, g->chunk = SIZE_MORE;
            break;
        case SIZE_MORE:
            if (digit >= 0 && g->left >> 56) return false; /* nobody has so much */
            if (digit >= 0) g->left = g->left * 16 + digit;
            else if (byte != ';' && byte != ' ' && byte != '\r' && byte != '\n') return false;
            else g->chunk = byte != '\n' ? SIZE_REST : g->left ? DATA : TRAILER;
            break;
        case SIZE_REST: /* extensions mean nothing to us */
            if (byte == '\n') g->chunk = g->left ? DATA : TRAILER;
            break;
        case DATA_END:
            if (byte != '\r' && byte != '\n') return false;
            if (byte == '\n') g->chunk = SIZE_FIRST;
            break;
        case TRAILER: /* at the beginning of a line: an empty one is the end */
            if (byte == '\n') end_body(g);
            else if (byte != '\r') g->chunk = TRAILER_LINE;
            break;
        case TRAILER_LINE:
            if (byte == '\n') g->chunk = TRAILER;
            break;
        case DATA:
            break;
        }
    }
    return true;
}

static void take_body(struct get *g, const char *bytes, size_t n) {
    if (g->body == CHUNKED) {
        if (!take_chunks(g, bytes, bytes + n)) finish(g, BROKEN, "the server's chunks make no sense");
    } else {
        if (g->body == LENGTH && (long long)n > g->left) n = (size_t)g->left;
        keep(g, bytes, n);
        if (g->body == LENGTH && (g->left -= (long long)n) == 0) end_body(g);
    }
}

/* ---- The head of the answer ------------------------------------------------------------------------------------- */

/* The value of a header, in `value`; false where there is none. */
static bool header(struct get *g, const char *name, char *value, size_t size) {
    size_t len = strlen(name);
    for (const char *line = strstr(g->head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        const char *text = line + 2;
        if (strncasecmp(text, name, len) != 0 || text[len] != ':') continue;
        text += len + 1;
        text += strspn(text, " \t");
        size_t n = strcspn(text, "\r");
        while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t')) n--;
        if (n >= size) n = size - 1;
        memcpy(value, text, n);
        value[n] = 0;
        return true;
    }
    return false;
}

/* Digits and nothing else: their value, or -1. */
static long long number(const char *text) {
    size_t n = strlen(text);
    return n > 0 && n < 19 && strspn(text, "0123456789") == n ? atoll(text) : -1;
}

static bool redirect(struct get *g) {
    char where[4096];
    struct url next;
    if (!header(g, "Location", where, sizeof where) || !parse_url(where, &g->url, &next))
        return finish(g, BROKEN, "redirected to nowhere we can go");
    if (++g->redirects > MAX_REDIRECTS) return finish(g, REFUSED, "more than %d redirects", MAX_REDIRECTS);
    if (g->url.tls && !next.tls) return finish(g, REFUSED, "refused: the redirect leaves https for %s", where);
    if (g->verbose) fprintf(stderr, "  redirected to %s\n", where);
    conn_close(g->c);
    g->url = next;
    start(g);
    return false;
}

/* Decides what becomes of the answer; true: its body is to be kept, and the file is open. */
static bool take_head(struct get *g) {
    char value[200], rest[32] = "";
    long long first, last, total = -1;
    int status;
    if (sscanf(g->head, "HTTP/1.%*1[01] %3d", &status) != 1) return finish(g, BROKEN, "that is not HTTP/1");
    if (status / 100 == 1) return false; /* an interim answer: the real one follows */
    if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) return redirect(g);
    bool range = header(g, "Content-Range", value, sizeof value);
    if (status == 416 && g->have > 0) {
        if (!range || sscanf(value, "bytes */%lld", &total) != 1 || total != g->have)
            return finish(g, REFUSED, "%s has %lld bytes, and the server's file another length", g->name, g->have);
        return finish(g, OK, "%s is whole already", g->name);
    }
    if (status != 200 && !(status == 206 && g->have > 0))
        return finish(g, REFUSED, "%.*s", (int)strcspn(g->head, "\r"), g->head);
    if (status == 206) {
        if (!range || sscanf(value, "bytes %lld-%lld/%31s", &first, &last, rest) != 3 || first != g->have ||
            last < first || ((total = number(rest)) < 0 ? strcmp(rest, "*") != 0 : last != total - 1))
            return finish(g, BROKEN, "asked for all from byte %lld on, and got something else", g->have);
    } else if (g->have > 0) {
        fprintf(stderr, "netconn-get: the server cannot go on in the middle; from the beginning\n");
    }
    g->body = UNTIL_CLOSE;
    if (header(g, "Transfer-Encoding", value, sizeof value)) {
        if (strcasecmp(value, "chunked") != 0) return finish(g, BROKEN, "unknown transfer encoding %s", value);
        g->body = CHUNKED, g->chunk = SIZE_FIRST;
    } else if (header(g, "Content-Length", value, sizeof value)) {
        g->body = LENGTH;
        g->left = number(value);
        if (g->left < 0 || (status == 206 && g->left != last - first + 1))
            return finish(g, BROKEN, "Content-Length %s makes no sense", value);
    }
    if (status != 206) g->have = g->begun_with = 0;
    g->total = status == 206 ? total : g->body == LENGTH ? g->left : -1;
    g->file = g->name ? fopen(g->name, status == 206 ? "ab" : "wb") : stdout;
    if (!g->file) return finish(g, NO_FILE, "%s: %s", g->name, strerror(errno));
    if (g->on_terminal) g->progress = evloop_timer_start(NULL, 0.2, 0.2, draw, g);
    return true;
}

/* ---- The connection --------------------------------------------------------------------------------------------- */

static void on_readable(struct net_conn *c, void *arg) {
    static char buf[65536];
    struct get *g = arg;
    ssize_t n = conn_try_read(c, buf, sizeof buf);
    if (n < 0) return; /* nothing yet (EAGAIN), or on_error is about to be called */
    if (n == 0) { /* over TLS an authentic end: close_notify came */
        if (!g->in_body) finish(g, BROKEN, "the server closed without an answer");
        else if (g->body == CHUNKED) finish(g, BROKEN, "the server closed in the middle of its chunks");
        else end_body(g);
    } else if (g->in_body) {
        take_body(g, buf, (size_t)n);
    } else if (g->head_len + (size_t)n > MAX_HEAD) {
        finish(g, BROKEN, "the answer's head is too long");
    } else {
        if (g->verbose && g->head_len == 0) fprintf(stderr, "  first byte %9.2f ms\n", (now() - g->asked) * 1e3);
        memcpy(g->head + g->head_len, buf, (size_t)n);
        g->head_len += (size_t)n;
        g->head[g->head_len] = 0;
        for (char *end; !g->done && !g->in_body && (end = strstr(g->head, "\r\n\r\n")) != NULL;) {
            size_t more = g->head_len - (size_t)(end + 4 - g->head);
            end[2] = 0; /* what follows is no header */
            g->in_body = take_head(g);
            if (g->in_body) take_body(g, end + 4, more);
            else if (g->head_len > 0) memmove(g->head, end + 4, more + 1), g->head_len = more; /* an interim answer */
        }
    }
}

static void on_ready(struct net_conn *c, void *arg) {
    struct get *g = arg;
    if (g->verbose) {
        const struct conn_timing *t = conn_get_timing(c);
        struct sockaddr_storage peer;
        socklen_t len = sizeof peer;
        char address[100] = "?";
        if (conn_peer_addr(c, (struct sockaddr *)&peer, &len) == 0)
            getnameinfo((struct sockaddr *)&peer, len, address, sizeof address, NULL, 0, NI_NUMERICHOST);
        fprintf(stderr, "  resolve    %9.2f ms\n", (double)t->resolve / 1e6);
        fprintf(stderr, "  connect    %9.2f ms   %s, %u tried\n", (double)t->connect / 1e6, address, t->attempts);
        if (conn_get_use_tls(c))
            fprintf(stderr, "  TLS        %9.2f ms   %s, %s, ALPN %s, %s\n", (double)t->tls / 1e6,
                    conn_get_tls_version(c), conn_get_cipher(c), conn_get_alpn(c) ? conn_get_alpn(c) : "none",
                    conn_session_reused(c) ? "resumed" : "not resumed");
    }
    char request[5000], range[60] = "";
    if (g->have > 0) snprintf(range, sizeof range, "Range: bytes=%lld-\r\n", g->have);
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: netconn-get/%s\r\nAccept-Encoding: identity\r\n"
                     "%sConnection: close\r\n\r\n", g->url.path, g->url.authority, NETCONN_VERSION, range);
    g->asked = now();
    conn_set_idle_timeout(c, g->options.deadline);
    /* A new connection takes so little at once. */
    if (conn_try_write(c, request, (size_t)n) != n) finish(g, NO_CONNECTION, "cannot send the request");
    else conn_set_readable_callback(c, on_readable, g);
}

static void on_error(struct net_conn *c, void *arg) {
    enum conn_error kind = conn_get_error(c);
    bool tls = kind == CONN_ERR_TLS || kind == CONN_ERR_CERTIFICATE;
    finish(arg, tls ? NO_TLS : NO_CONNECTION, "%s", conn_get_error_msg(c));
}

static void start(struct get *g) {
    g->head_len = 0, g->head[0] = 0;
    g->options.use_tls = g->url.tls;
    if (g->verbose) fprintf(stderr, "%s:%s\n", g->url.host, g->url.port);
    g->c = conn_new_with(NULL, g->url.host, g->url.port, &g->options, on_ready, on_error, g);
    if (!g->c) finish(g, NO_CONNECTION, "%s: %s", g->url.host, strerror(errno));
}

static void on_signal(int signum, void *arg) {
    struct get *g = arg;
    (void)signum;
    finish(g, INTERRUPTED, "interrupted%s", g->name && g->file ? "; go on with -C" : "");
}

int main(int argc, char **argv) {
    static struct get g = {.total = -1};
    int option;
    conn_options_init(&g.options);
    g.options.deadline = 60;
    while (optind <= argc && (option = getopt(argc, argv, "vCo:t:")) != -1) {
        if (option == 'o') g.name = optarg;
        else if (option == 't') g.options.deadline = atof(optarg);
        else if (option == '?') optind = argc + 1;
        else *(option == 'v' ? &g.verbose : &g.resume) = true;
    }
    if (optind != argc - 1 || !parse_url(argv[optind], NULL, &g.url) || (g.resume && !g.name)) {
        fprintf(stderr, "usage: %s [-v] [-t SECONDS] [[-C] -o FILE] http[s]://HOST[:PORT][/PATH]\n", argv[0]);
        return USAGE;
    }
    struct stat there;
    if (g.resume && stat(g.name, &there) == 0) g.have = g.begun_with = there.st_size;
    g.on_terminal = g.name && isatty(STDERR_FILENO);
    g.started = now();
    SocketTLSContext_T tls = netconn_tls_client(NULL); /* the system's trust store; NULL: a connection will say why */
    if (tls) netconn_tls_set_alpn(tls, (const char *[]){"http/1.1"}, 1);
    g.options.tls = tls;
    evloop_signal_start(NULL, SIGINT, on_signal, &g);
    evloop_signal_start(NULL, SIGTERM, on_signal, &g);
    start(&g);
    if (!g.done) evloop_run(evloop_get_default());
    netconn_tls_free(&tls);
    netconn_cleanup(); /* the signal watchers and the loop; an exit releases them too */
    return g.status;
}

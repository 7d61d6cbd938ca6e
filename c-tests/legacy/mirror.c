/*
 * A downloader that keeps its connections in a pool (src/mirror), as one would have been written long ago: against nginx
 * with each of its ways to end a kept connection, and against servers that drop connections at the worst moment. What it
 * has fetched is what was there, byte for byte.
 */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/http_peer.h"
#include "../support/peers.h"
#include "../support/programs.h"
#include "../support/runs.h"
#include "../support/transports.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIRROR "legacy/bin/mirror"

/* What mirror says in the end. */
struct summary {
    int files, failed, unchanged, again, connections, reuses, idle, all;
};

static struct summary summary_of(struct run *run) {
    struct summary s;
    if (sscanf(run->out, "%d files, %d failed, %d unchanged, %d again, %d connections, %d reuses, %d idle, %d in all", &s.files,
               &s.failed, &s.unchanged, &s.again, &s.connections, &s.reuses, &s.idle, &s.all) != 8)
        FAIL("no summary: %s %s", run->out, run->err);
    CHECK_INT(s.idle, s.all); /* nothing is lent any more */
    return s;
}

static struct run *mirror(bool tls, const char *parallel, const char *tries, const char *list) {
    return tls ? run_built(MIRROR, "-p", parallel, "-t", tries, "-C", cert(CERT_CA), temp_file("got"), list, NULL)
               : run_built(MIRROR, "-p", parallel, "-t", tries, temp_file("got"), list, NULL);
}

/* Names in the order of making; sizes from 0 to 90,000 bytes, some on the borders of buffers and records. */
static const size_t borders[] = {0, 1, 2, 4095, 4096, 16383, 16384, 16385, 32767, 32768, 32769, 65536};

static size_t size_of(int n) {
    return n < (int)(sizeof borders / sizeof *borders) ? borders[n] : (size_t)n * 7919 % 90000;
}

/* The bytes of file n begin somewhere else in the pattern than those of its neighbours. */
static size_t offset_of(int n) { return (size_t)n * 1000003; }

static char *name_of(const char *format, int n) {
    char name[40];
    snprintf(name, sizeof name, format, n);
    return strcpy(alloc(sizeof name), name);
}

/* Makes files to be served, and a directory for what comes. */
static void make_files(int count) {
    for (int i = 0; i < count; i++) make_pattern_file(name_of("%d", i), size_of(i), offset_of(i));
    CHECK_INT(mkdir(temp_file("got"), 0700), 0);
}

/* The URLs of all of them: "@FILE". */
static char *make_list(const char *scheme, const char *host, const char *port, int count) {
    char *at = alloc(1000), *path = temp_file("list");
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    for (int i = 0; i < count; i++) fprintf(file, "%s://%s:%s/%d\n", scheme, host, port, i);
    CHECK_INT(fclose(file), 0);
    snprintf(at, 1000, "@%s", path);
    return at;
}

static void check_files(int count) {
    for (int i = 0; i < count; i++) {
        CHECK_SAME_FILE(temp_file(name_of("got/%d", i)), temp_file(name_of("%d", i)));
        CHECK_INT(unlink(temp_file(name_of("got/%d", i))), 0);
    }
}

static const char *nginx(const char *scheme, const char *lines) {
    bool tls = strcmp(scheme, "https") == 0;
    return start_nginx_with(temp_dir(), tls ? CERT_GOOD : NULL, tls ? CERT_GOOD_KEY : NULL, "TLSv1.2 TLSv1.3", lines);
}

#define BOTH_SCHEMES(name)                                                                                             \
    static void name(const char *scheme);                                                                              \
    TEST(name##_http) { name("http"); }                                                                                \
    TEST(name##_https) {                                                                                               \
        NEEDS_TLS();                                                                                                   \
        name("https");                                                                                                 \
    }                                                                                                                  \
    static void name(const char *scheme)

/* ---- nginx --------------------------------------------------------------------------------------------------------- */

#define FILES small(100, 20)

BOTH_SCHEMES(a_hundred_files) {
    make_files(FILES);
    struct run *run = mirror(scheme[4], "4", "1", make_list(scheme, "localhost", nginx(scheme, ""), FILES));
    CHECK_STATUS(run, 0);
    check_files(FILES);
    struct summary s = summary_of(run);
    CHECK_INT(s.files, FILES);
    CHECK_INT(s.connections, 4);
    CHECK_INT(s.reuses, FILES - 4);
    CHECK_INT(s.again, 0);
}

BOTH_SCHEMES(sixty_four_megabytes) {
    TEST_LIMIT(60);
    make_files(0);
    make_pattern_file("0", (size_t)small(64, 2) << 20, 0);
    struct run *run = mirror(scheme[4], "1", "1", make_list(scheme, "127.0.0.1", nginx(scheme, ""), 1));
    CHECK_STATUS(run, 0);
    check_files(1);
}

/* nginx says "Connection: close" with every third answer. */
BOTH_SCHEMES(three_requests_a_connection) {
    make_files(FILES);
    struct run *run = mirror(scheme[4], "4", "1", make_list(scheme, "localhost", nginx(scheme, "keepalive_requests 3;"), FILES));
    CHECK_STATUS(run, 0);
    check_files(FILES);
    struct summary s = summary_of(run);
    CHECK_CMP(s.connections, >=, (FILES + 2) / 3);
    CHECK_CMP(s.connections, <=, (FILES + 2) / 3 + 3);
    CHECK_INT(s.again, 0);
}

BOTH_SCHEMES(no_connection_is_kept) {
    make_files(FILES);
    struct run *run = mirror(scheme[4], "4", "1", make_list(scheme, "localhost", nginx(scheme, "keepalive_timeout 0;"), FILES));
    CHECK_STATUS(run, 0);
    check_files(FILES);
    CHECK_INT(summary_of(run).connections, FILES);
}

/* It promises sixty seconds and waits for one millisecond: the close meets requests that are on their way. */
BOTH_SCHEMES(a_keep_alive_that_is_shorter_than_was_said) {
    make_files(FILES);
    struct run *run = mirror(scheme[4], "4", "5", make_list(scheme, "localhost", nginx(scheme, "keepalive_timeout 1ms 60;"), FILES));
    CHECK_STATUS(run, 0);
    check_files(FILES);
    CHECK_INT(summary_of(run).files, FILES);
}

BOTH_SCHEMES(heads_only) {
    make_files(20);
    const char *list = make_list(scheme, "localhost", nginx(scheme, ""), 20);
    struct run *run = scheme[4] ? run_built(MIRROR, "-p", "1", "-I", "-C", cert(CERT_CA), temp_file("got"), list, NULL)
                                : run_built(MIRROR, "-p", "1", "-I", temp_file("got"), list, NULL);
    CHECK_STATUS(run, 0);
    struct summary s = summary_of(run);
    CHECK_INT(s.files, 20);
    CHECK_INT(s.connections, 1);
    CHECK_INT(file_size(temp_file("got/1")), -1);
}

TEST(nothing_new) {
    make_files(20);
    const char *list = make_list("http", "localhost", nginx("http", "if_modified_since before;"), 20);
    CHECK_STATUS(run_built(MIRROR, "-N", temp_file("got"), list, NULL), 0);
    struct run *run = run_built(MIRROR, "-p", "1", "-N", temp_file("got"), list, NULL);
    CHECK_STATUS(run, 0);
    CHECK_INT(summary_of(run).unchanged, 20);
    CHECK_INT(summary_of(run).connections, 1); /* a 304 has no body, whatever it says */
    check_files(20);
}

TEST(resumed) {
    make_files(20);
    const char *list = make_list("http", "localhost", nginx("http", ""), 20);
    CHECK_STATUS(run_built(MIRROR, temp_file("got"), list, NULL), 0);
    for (int i = 0; i < 20; i++) CHECK_INT(truncate(temp_file(name_of("got/%d", i)), (off_t)size_of(i) / 3), 0);
    struct run *run = run_built(MIRROR, "-p", "1", "-r", temp_file("got"), list, NULL);
    CHECK_STATUS(run, 0);
    CHECK_INT(summary_of(run).connections, 1);
    check_files(20);
}

/* ---- Between it and nginx: a proxy that cuts -------------------------------------------------------------------------- */

struct cutter {
    const char *port; /* nginx's */
    bool reset;
    int cuts; /* so many connections are cut */
};

static void wait_until_sent(int fd) {
    int left;
    while (ioctl(fd, SIOCOUTQ, &left) == 0 && left > 0) sched_yield();
}

static void serve_cutter(struct peer_conn *pc) {
    struct cutter *cutter = pc->arg;
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(cutter->port))};
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(server >= 0 && connect(server, (struct sockaddr *)&where, sizeof where) == 0);
    /* Through the handshake or not, through a head, through a body: anywhere. */
    long left = pc->number < cutter->cuts ? 100 + (long)pc->number * 6007 : -1;
    struct pollfd both[2] = {{pc->fd, POLLIN, 0}, {server, POLLIN, 0}};
    char buf[16384];
    bool cut = false;
    while (!cut) {
        if (poll(both, 2, -1) < 0) continue;
        ssize_t n = 0;
        if (both[0].revents && (n = recv(pc->fd, buf, sizeof buf, 0)) > 0 && send(server, buf, (size_t)n, MSG_NOSIGNAL) != n) n = 0;
        if (both[0].revents && n <= 0) break;
        if (!both[1].revents) continue;
        n = recv(server, buf, sizeof buf, 0);
        if (n <= 0) break;
        if (left >= 0 && n >= left) n = left, cut = true;
        if (left >= 0) left -= n;
        if (send(pc->fd, buf, (size_t)n, MSG_NOSIGNAL) != n) break;
    }
    close(server);
    if (cut && cutter->reset) {
        wait_until_sent(pc->fd);
        peer_reset(pc);
    }
}

static void through_a_cutter(const char *scheme, bool reset) {
    TEST_LIMIT(60);
    make_files(FILES);
    struct cutter cutter = {nginx(scheme, ""), reset, small(40, 6)};
    struct peer *peer = PEER(.serve = serve_cutter, .arg = &cutter);
    struct run *run = mirror(scheme[4], "4", "100", make_list(scheme, "127.0.0.1", peer_port(peer), FILES));
    CHECK_STATUS(run, 0);
    check_files(FILES);
    CHECK_CMP(summary_of(run).again, >, 0);
}

BOTH_SCHEMES(cut_off_by_an_end) { through_a_cutter(scheme, false); }
BOTH_SCHEMES(cut_off_by_a_reset) { through_a_cutter(scheme, true); }

/* ---- A server that is rude at the worst moment ------------------------------------------------------------------------ */

enum deed {
    RESET_AFTER_THE_REQUEST,
    END_AFTER_THE_REQUEST,
    RESET_IN_THE_HEAD,
    END_IN_THE_HEAD,
    RESET_IN_THE_BODY,
    END_IN_THE_BODY,
    TRUNCATE_IN_THE_BODY,
    RESET_BETWEEN,
    END_BETWEEN,
    TRUNCATE_BETWEEN,
    SPEAK_BETWEEN
};

struct rude {
    enum deed deed;
    atomic_int requests;
};

static void drop(struct peer_conn *pc, enum deed deed) {
    switch (deed) {
    case RESET_AFTER_THE_REQUEST:
    case RESET_IN_THE_HEAD:
    case RESET_IN_THE_BODY:
    case RESET_BETWEEN:
        wait_until_sent(pc->fd);
        peer_reset(pc);
        break;
    case TRUNCATE_IN_THE_BODY:
    case TRUNCATE_BETWEEN:
        peer_truncate(pc);
        break;
    default: /* in good manners, by returning */
        break;
    }
}

/* Every third request meets the deed. */
static void serve_rude(struct peer_conn *pc) {
    struct rude *rude = pc->arg;
    struct request request;
    while (http_read_request(pc, &request)) {
        bool now = atomic_fetch_add(&rude->requests, 1) % 3 == 2;
        enum deed deed = rude->deed;
        int n = atoi(request.path + 1);
        size_t size = size_of(n), start = 0;
        const char *range = strstr(request.head, "\r\nRange: bytes=");
        if (range) {
            CHECK_CONTAINS(request.head, "\r\nIf-Range: \"tag\"\r\n");
            start = strtoul(range + 15, NULL, 10);
        }
        char *body = alloc(size + 1), head[400];
        fill_pattern(body, size, offset_of(n));
        if (range && start >= size)
            snprintf(head, sizeof head, "HTTP/1.1 416 No\r\nContent-Range: bytes */%zu\r\nContent-Length: 0\r\n\r\n", size), start = size;
        else if (range)
            snprintf(head, sizeof head,
                     "HTTP/1.1 206 Partial Content\r\nETag: \"tag\"\r\nContent-Range: bytes %zu-%zu/%zu\r\nContent-Length: %zu\r\n\r\n",
                     start, size - 1, size, size - start);
        else
            snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nETag: \"tag\"\r\nContent-Length: %zu\r\n\r\n", size);
        if (now && deed <= END_AFTER_THE_REQUEST) return drop(pc, deed);
        if (now && deed <= END_IN_THE_HEAD) {
            peer_write(pc, head, strlen(head) / 2);
            return drop(pc, deed);
        }
        if (!peer_write(pc, head, strlen(head))) return;
        if (now && deed <= TRUNCATE_IN_THE_BODY && size > start) {
            peer_write(pc, body + start, (size - start) / 2);
            return drop(pc, deed);
        }
        if (size > start && !peer_write(pc, body + start, size - start)) return;
        if (now && deed == SPEAK_BETWEEN) http_say(pc, "HTTP/1.1 408 Too late\r\nContent-Length: 0\r\n\r\n");
        else if (now && deed >= RESET_BETWEEN) return drop(pc, deed);
    }
}

static void rude(int version, enum deed deed) {
    TEST_LIMIT(60);
    int count = small(60, 12);
    struct rude rude = {.deed = deed};
    make_files(count);
    struct peer *peer = peer_of(version, serve_rude, &rude);
    struct run *run = mirror(version, "4", "20", make_list(version ? "https" : "http", "127.0.0.1", peer_port(peer), count));
    CHECK_STATUS(run, 0);
    check_files(count);
    struct summary s = summary_of(run);
    CHECK_INT(s.files, count);
    if (deed < RESET_BETWEEN) CHECK_CMP(s.again, >, 0);
    CHECK_CMP(peer_accepted(peer), >, 4);
}

ALL_TRANSPORTS(reset_after_the_request) { rude(version, RESET_AFTER_THE_REQUEST); }
ALL_TRANSPORTS(end_after_the_request) { rude(version, END_AFTER_THE_REQUEST); }
ALL_TRANSPORTS(reset_in_the_head) { rude(version, RESET_IN_THE_HEAD); }
ALL_TRANSPORTS(end_in_the_head) { rude(version, END_IN_THE_HEAD); }
ALL_TRANSPORTS(reset_in_the_body) { rude(version, RESET_IN_THE_BODY); }
ALL_TRANSPORTS(end_in_the_body) { rude(version, END_IN_THE_BODY); }
BOTH_VERSIONS(truncated_in_the_body) { rude(version, TRUNCATE_IN_THE_BODY); }
ALL_TRANSPORTS(reset_between_two_uses) { rude(version, RESET_BETWEEN); }
ALL_TRANSPORTS(end_between_two_uses) { rude(version, END_BETWEEN); }
BOTH_VERSIONS(truncated_between_two_uses) { rude(version, TRUNCATE_BETWEEN); }
ALL_TRANSPORTS(unasked_bytes_between_two_uses) { rude(version, SPEAK_BETWEEN); }

/* ---- What is not tried again, and what is no success ------------------------------------------------------------------- */

static void serve_one_post(struct peer_conn *pc) {
    struct request request;
    char body[1000];
    if (!http_read_request(pc, &request)) return;
    CHECK_STR(request.method, "POST");
    CHECK(peer_read_exactly(pc, body, sizeof body));
    http_answer(pc, "thanks");
    if (http_read_request(pc, &request)) peer_reset(pc);
}

ALL_TRANSPORTS(a_post_is_not_sent_twice) {
    make_files(0);
    char *body = make_pattern_file("body", 1000, 0);
    struct peer *peer = peer_of(version, serve_one_post, NULL);
    const char *list = make_list(version ? "https" : "http", "127.0.0.1", peer_port(peer), 2);
    struct run *run = version ? run_built(MIRROR, "-p", "1", "-d", body, "-C", cert(CERT_CA), temp_file("got"), list, NULL)
                              : run_built(MIRROR, "-p", "1", "-d", body, temp_file("got"), list, NULL);
    CHECK_STATUS(run, 1);
    CHECK_CONTAINS(run->err, "a POST that was sent is not sent again");
    struct summary s = summary_of(run);
    CHECK_INT(s.files, 1);
    CHECK_INT(s.failed, 1);
    CHECK_INT(s.reuses, 1);
    CHECK_INT(peer_accepted(peer), 1);
}

static void serve_until_close(struct peer_conn *pc) {
    struct request request;
    if (!http_read_request(pc, &request)) return;
    http_say(pc, "HTTP/1.1 200 OK\r\n\r\nnot all");
    if (http_is_for(&request, "/1")) peer_truncate(pc);
}

BOTH_VERSIONS(an_end_that_is_not_authentic) {
    make_files(0);
    struct peer *peer = TLS_PEER(version, .serve = serve_until_close);
    struct run *run = mirror(true, "1", "1", make_list("https", "127.0.0.1", peer_port(peer), 2));
    CHECK_STATUS(run, 1);
    CHECK_INT(summary_of(run).files, 1);
    CHECK_CONTAINS(run->err, "/1: ");
}

static void serve_silence(struct peer_conn *pc) {
    struct request request;
    if (http_read_request(pc, &request)) serve_stall(pc);
}

TEST(a_server_that_says_nothing) {
    make_files(0);
    struct peer *peer = PEER(.serve = serve_silence);
    struct run *run = run_built(MIRROR, "-t", "2", "-T", a_second(), temp_file("got"), make_list("http", "127.0.0.1", peer_port(peer), 3), NULL);
    CHECK_STATUS(run, 1);
    CHECK_CONTAINS(run->err, "Connection timed out");
    CHECK_INT(summary_of(run).failed, 3);
    CHECK_INT(peer_accepted(peer), 6);
}

/* Chunks, a redirect to another host of the same server, an HTTP/1.0 answer: all in one list. */
static void serve_a_mixture(struct peer_conn *pc) {
    struct request request;
    while (http_read_request(pc, &request)) {
        if (http_is_for(&request, "/0")) {
            http_say(pc, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\n");
        } else if (http_is_for(&request, "/1")) {
            http_say(pc, "HTTP/1.1 302 Found\r\nContent-Length: 4\r\nLocation: %s://localhost:%d/0\r\n\r\nbody",
                     pc->ssl ? "https" : "http", peer_port_number(pc->peer));
        } else if (http_is_for(&request, "/2")) {
            http_say(pc, "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold");
            return;
        } else if (http_is_for(&request, "/3")) {
            http_say(pc, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nclose");
            return;
        } else {
            http_say(pc, "HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno");
        }
    }
}

ALL_TRANSPORTS(a_mixture) {
    static const char *const contents[] = {"abc0123456789", "abc0123456789", "old", "close"};
    make_files(0);
    struct peer *peer = peer_of(version, serve_a_mixture, NULL);
    struct run *run = mirror(version, "1", "1", make_list(version ? "https" : "http", "127.0.0.1", peer_port(peer), 5));
    CHECK_STATUS(run, 1);
    CHECK_CONTAINS(run->err, "/4: status 404");
    struct summary s = summary_of(run);
    CHECK_INT(s.files, 4);
    CHECK_INT(s.failed, 1);
    CHECK_INT(s.connections, 4); /* the second is for localhost, as the redirect says; two were closed */
    CHECK_INT(s.idle, 2);
    for (int i = 0; i < 4; i++) {
        char got[100] = "";
        /* A redirected file keeps the name that was asked for. */
        FILE *file = fopen(temp_file(name_of("got/%d", i)), "r");
        CHECK(file != NULL);
        got[fread(got, 1, sizeof got - 1, file)] = 0;
        fclose(file);
        CHECK_STR(got, contents[i]);
    }
}

TEST_MAIN

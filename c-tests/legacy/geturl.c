/*
 * A downloader in the style of 2005 (src/geturl), which believes in descriptors that block: every wait is a nested
 * evloop_run, every callback breaks it. It is run as a user would run it, against nginx and against servers that misbehave.
 */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/http_peer.h"
#include "../support/peers.h"
#include "../support/programs.h"
#include "../support/runs.h"
#include "../support/transports.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#define GETURL "legacy/bin/geturl"

static char *url_of(const char *scheme, const char *host, const char *port, const char *path) {
    size_t len = strlen(host) + strlen(path) + 32;
    char *url = alloc(len);
    snprintf(url, len, "%s://%s:%s%s", scheme, host, port, path);
    return url;
}

static char *url(struct peer *peer, const char *path) { return url_of("http", "127.0.0.1", peer_port(peer), path); }

/* Plain ones ask for no certificate, and run in a build without TLS. */
static const char *ca(int version) { return version ? cert(CERT_CA) : "none"; }

static void check_content(const char *path, const char *content) {
    char got[200] = "";
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    got[fread(got, 1, sizeof got - 1, file)] = 0;
    fclose(file);
    CHECK_STR(got, content);
}

/* ---- nginx --------------------------------------------------------------------------------------------------------- */

static void files_from_nginx(const char *scheme, const char *port) {
    char *empty = make_pattern_file("empty", 0, 0), *one = make_pattern_file("one", 1, 7);
    char *some = make_pattern_file("some", 511, 9), *big = make_pattern_file("big", 5000011, 0);
    struct run *run =
        run_built(GETURL, "-C", ca(strcmp(scheme, "https") == 0), url_of(scheme, "localhost", port, "/empty"), temp_file("empty.out"),
                  url_of(scheme, "localhost", port, "/one"), temp_file("one.out"), url_of(scheme, "localhost", port, "/some"),
                  temp_file("some.out"), url_of(scheme, "localhost", port, "/big"), temp_file("big.out"), NULL);
    CHECK_STATUS(run, 0);
    CHECK_SAME_FILE(temp_file("empty.out"), empty);
    CHECK_SAME_FILE(temp_file("one.out"), one);
    CHECK_SAME_FILE(temp_file("some.out"), some);
    CHECK_SAME_FILE(temp_file("big.out"), big);
    CHECK_CONTAINS(run->err, "Reusing existing connection");
    CHECK_CONTAINS(run->err, "FINISHED: 4 files");
}

TEST(files_by_http) { files_from_nginx("http", start_nginx(temp_dir(), NULL, NULL, NULL)); }
TEST(files_by_https) {
    files_from_nginx("https", start_nginx(temp_dir(), CERT_GOOD, CERT_GOOD_KEY, "TLSv1.2 TLSv1.3"));
}

TEST(what_nginx_has_not) {
    const char *port = start_nginx(temp_dir(), NULL, NULL, NULL);
    struct run *run = run_built(GETURL, url_of("http", "127.0.0.1", port, "/nothing"), temp_file("out"), NULL);
    CHECK_STATUS(run, 8);
    CHECK_CONTAINS(run->err, "404");
    CHECK_INT(file_size(temp_file("out")), -1);
}

/* ---- Odd servers --------------------------------------------------------------------------------------------------- */

/* Each byte in a segment of its own, the chunks of odd sizes. */
static void serve_bytewise(struct peer_conn *pc) {
    static const char answer[] = "HTTP/1.1 200 OK\r\nX-Long: 0123456789012345678901234567890123456789\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n"
                                 "1\r\nH\r\n5;name=value\r\nello,\r\n00b\r\n 2005 world\r\n0\r\nTrailer: yes\r\n\r\n";
    struct request request;
    int on = 1;
    setsockopt(pc->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    while (http_read_request(pc, &request)) {
        for (const char *p = answer; *p; p++)
            if (!peer_write(pc, p, 1)) return;
    }
}

TEST(peeking_at_bytes_that_come_one_by_one) {
    struct peer *peer = PEER(.serve = serve_bytewise);
    struct run *run = run_built(GETURL, url(peer, "/a"), temp_file("a"), url(peer, "/b"), temp_file("b"), NULL);
    CHECK_STATUS(run, 0);
    check_content(temp_file("a"), "Hello, 2005 world");
    check_content(temp_file("b"), "Hello, 2005 world");
    CHECK_INT(peer_accepted(peer), 1);
}

static void serve_redirects(struct peer_conn *pc) {
    struct request request;
    while (http_read_request(pc, &request)) {
        int n = atoi(request.path + 1);
        if (n == 0) http_answer(pc, "at last");
        else
            http_say(pc, "HTTP/1.1 302 Found\r\nContent-Length: 5\r\nLocation: http://127.0.0.1:%d/%d\r\n\r\nthere",
                     peer_port_number(pc->peer), n - 1);
    }
}

TEST(redirects) {
    struct peer *peer = PEER(.serve = serve_redirects);
    struct run *run = run_built(GETURL, url(peer, "/7"), temp_file("a"), NULL);
    CHECK_STATUS(run, 0);
    check_content(temp_file("a"), "at last");
    CHECK_INT(peer_accepted(peer), 1);
    run = run_built(GETURL, url(peer, "/21"), temp_file("b"), NULL);
    CHECK_STATUS(run, 4);
    CHECK_CONTAINS(run->err, "20 redirections exceeded");
    CHECK_INT(file_size(temp_file("b")), -1);
}

/* The server keeps the second half of each answer until the next hook was fetched, from inside the progress timer. */
struct hooks {
    struct gate first, second;
    int version;
};

static void serve_hooks(struct peer_conn *pc) {
    struct hooks *hooks = pc->arg;
    struct request request;
    while (http_read_request(pc, &request)) {
        if (http_is_for(&request, "/main")) {
            http_say(pc, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nmain");
            gate_wait(&hooks->first);
            http_say(pc, "MAIN");
        } else if (http_is_for(&request, "/hook")) {
            http_say(pc, "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %s://127.0.0.1:%d/there\r\n\r\n",
                     hooks->version ? "https" : "http", peer_port_number(pc->peer));
        } else if (http_is_for(&request, "/there")) {
            http_say(pc, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh");
            gate_wait(&hooks->second);
            http_say(pc, "H");
            gate_open(&hooks->first);
        } else {
            CHECK_STR(request.path, "/deep");
            http_answer(pc, "deep");
            gate_open(&hooks->second);
        }
    }
}

ALL_TRANSPORTS(runs_three_deep) {
    struct hooks hooks = {GATE, GATE, version};
    struct peer *peer = peer_of(version, serve_hooks, &hooks);
    const char *scheme = version ? "https" : "http", *port = peer_port(peer);
    struct run *run = run_built(GETURL, "-P", "-i", "0.01", "-T", "25", "-C", ca(version), "-H",
                                url_of(scheme, "localhost", port, "/hook"), "-H", url_of(scheme, "127.0.0.1", port, "/deep"),
                                url_of(scheme, "127.0.0.1", port, "/main"), temp_file("a"), NULL);
    CHECK_STATUS(run, 0);
    check_content(temp_file("a"), "mainMAIN");
    CHECK_CONTAINS(run->err, "3 deep");
    CHECK_CONTAINS(run->err, " 50% [=========================>");
    CHECK_CONTAINS(run->err, "100% [==================================================>");
}

/* ---- What goes wrong ----------------------------------------------------------------------------------------------- */

static void serve_half(struct peer_conn *pc) {
    struct request request;
    if (!http_read_request(pc, &request)) return;
    http_say(pc, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    if (http_is_for(&request, "/reset")) {
        struct tcp_info info; /* what was sent is not to be lost to the reset */
        socklen_t len = sizeof info;
        do {
            CHECK_INT(getsockopt(pc->fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
        } while (info.tcpi_unacked);
        peer_reset(pc);
    } else if (http_is_for(&request, "/truncate")) {
        peer_truncate(pc);
    } else if (http_is_for(&request, "/stall")) {
        serve_stall(pc);
    }
}

TEST(an_end_in_the_middle) {
    struct peer *peer = PEER(.serve = serve_half);
    struct run *run = run_built(GETURL, "-t", "3", url(peer, "/end"), temp_file("a"), NULL);
    CHECK_STATUS(run, 4);
    CHECK_CONTAINS(run->err, "Connection closed in the middle");
    CHECK_INT(peer_accepted(peer), 3);
    check_content(temp_file("a"), "half");
}

TEST(a_reset_in_the_middle) {
    struct peer *peer = PEER(.serve = serve_half);
    struct run *run = run_built(GETURL, url(peer, "/reset"), temp_file("a"), NULL);
    CHECK_STATUS(run, 4);
    CHECK_CONTAINS(run->err, "Connection reset by peer");
    check_content(temp_file("a"), "half");
}

BOTH_VERSIONS(a_truncated_stream) {
    struct peer *peer = TLS_PEER(version, .serve = serve_half);
    struct run *run = run_built(GETURL, "-C", cert(CERT_CA), url_of("https", "localhost", peer_port(peer), "/truncate"),
                                temp_file("a"), NULL);
    CHECK_STATUS(run, 4);
    CHECK_CONTAINS(run->err, "Read error");
    check_content(temp_file("a"), "half");
}

TEST(a_server_that_falls_silent) {
    struct peer *peer = PEER(.serve = serve_half);
    struct run *run = run_built(GETURL, "-T", a_second(), "-t", "2", url(peer, "/stall"), temp_file("a"), NULL);
    CHECK_STATUS(run, 4);
    CHECK_CONTAINS(run->err, "Connection timed out");
    CHECK_INT(peer_accepted(peer), 2);
}

TEST(a_server_that_never_answers_the_connect) {
    char port[16];
    snprintf(port, sizeof port, "%d", full_queue(AF_INET, NULL, 0));
    struct run *run = run_built(GETURL, "-T", a_second(), url_of("http", "127.0.0.1", port, "/"), temp_file("a"), NULL);
    CHECK_STATUS(run, 4);
    CHECK_CONTAINS(run->err, "failed: Connection timed out");
}

TEST(nobody_listens) {
    struct run *run = run_built(GETURL, url_of("http", "127.0.0.1", refused_port(), "/"), temp_file("a"), NULL);
    CHECK_STATUS(run, 4);
    CHECK_CONTAINS(run->err, "Connection refused");
}

TEST(a_certificate_for_somebody_else) {
    struct peer *peer = PEER(.serve = serve_half, .cert = "wrong-name.pem", .key = "wrong-name.key");
    struct run *run =
        run_built(GETURL, "-C", cert(CERT_CA), url_of("https", "localhost", peer_port(peer), "/"), temp_file("a"), NULL);
    CHECK_STATUS(run, 5);
    CHECK_CONTAINS(run->err, "not for localhost");
}

/* Reads the head and some of the body, then resets: the next write would raise SIGPIPE in a program of its time. */
static void serve_no_upload(struct peer_conn *pc) {
    struct request request;
    char some[1000];
    CHECK(http_read_request(pc, &request));
    CHECK(peer_read_exactly(pc, some, sizeof some));
    peer_reset(pc);
}

TEST(an_upload_that_is_cut_off) {
    char *body = make_pattern_file("body", 20000000, 0);
    struct peer *peer = PEER(.serve = serve_no_upload);
    struct run *run = run_built(GETURL, "-d", body, url(peer, "/"), temp_file("a"), NULL);
    CHECK_STATUS(run, 4);
    CHECK_CONTAINS(run->err, "Failed writing HTTP request");
}

static void serve_upload(struct peer_conn *pc) {
    struct request request;
    CHECK(http_read_request(pc, &request));
    CHECK_STR(request.method, "POST");
    size_t size = strtoul(strstr(request.head, "Content-Length: ") + 16, NULL, 10), done = 0;
    unsigned char buf[65536];
    while (done < size) {
        ssize_t n = peer_read(pc, buf, sizeof buf < size - done ? sizeof buf : size - done);
        CHECK_CMP(n, >, 0);
        CHECK_INT(find_pattern_error(buf, (size_t)n, done), -1);
        done += (size_t)n;
    }
    http_answer(pc, "thanks");
}

ALL_TRANSPORTS(an_upload) {
    char *body = make_pattern_file("body", (size_t)small(20000000, 2000000), 0);
    struct peer *peer = peer_of(version, serve_upload, NULL);
    struct run *run = run_built(GETURL, "-C", ca(version), "-d", body,
                                url_of(version ? "https" : "http", "localhost", peer_port(peer), "/"), temp_file("a"), NULL);
    CHECK_STATUS(run, 0);
    check_content(temp_file("a"), "thanks");
}

/* The connection that was kept is gone when it is needed, and the request met it: once more, on a new one. */
static void serve_once_each(struct peer_conn *pc) {
    struct request request;
    if (!http_read_request(pc, &request)) return;
    http_answer(pc, "once");
    if (http_read_request(pc, &request)) peer_reset(pc); /* after the next request has come */
}

TEST(the_kept_connection_dies_with_the_next_request) {
    struct peer *peer = PEER(.serve = serve_once_each);
    struct run *run = run_built(GETURL, "-t", "2", url(peer, "/a"), temp_file("a"), url(peer, "/b"), temp_file("b"), NULL);
    CHECK_STATUS(run, 0);
    CHECK_CONTAINS(run->err, "Reusing existing connection");
    check_content(temp_file("b"), "once");
    CHECK_INT(peer_accepted(peer), 2);
}

TEST_MAIN

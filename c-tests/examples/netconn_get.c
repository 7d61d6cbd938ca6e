/* examples/netconn-get.c, run as a user runs it: against nginx, beside curl, and against servers that misbehave. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/http_peer.h"
#include "../support/peers.h"
#include "../support/programs.h"
#include "../support/runs.h"
#include "../support/transports.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define GET "examples/bin/netconn-get"

enum { OK, USAGE, NO_CONNECTION, NO_TLS, REFUSED, BROKEN, NO_FILE, INTERRUPTED = 130 };

static char *url_of(const char *scheme, const char *host, const char *port, const char *path) {
    size_t len = strlen(host) + strlen(path) + 32;
    char *url = alloc(len);
    snprintf(url, len, "%s://%s:%s%s", scheme, host, port, path);
    return url;
}

static char *url(struct peer *peer, const char *path) { return url_of("http", "127.0.0.1", peer_port(peer), path); }

static void trust_the_test_ca(void) { CHECK_INT(setenv("SSL_CERT_FILE", cert(CERT_CA), 1), 0); }

/* ---- nginx ---------------------------------------------------------------------------------------------------------- */

static void fetch_and_resume(const char *scheme, const char *port) {
    if (strcmp(scheme, "https") == 0) trust_the_test_ca();
    enum { SIZE = 3000017, PART = 1234567 };
    char *whole = make_pattern_file("whole", SIZE, 0), *out = temp_file("out");
    make_pattern_file("empty", 0, 0);
    char *from = url_of(scheme, "localhost", port, "/whole");

    struct run *run = run_built(GET, "-v", "-o", out, from, NULL);
    CHECK_STATUS(run, OK);
    CHECK_SAME_FILE(out, whole);
    CHECK_INT(run->out_len, 0);
    CHECK_CONTAINS(run->err, "resolve ");
    CHECK_CONTAINS(run->err, "connect ");
    CHECK_CONTAINS(run->err, "127.0.0.1, ");
    CHECK_CONTAINS(run->err, " tried");
    CHECK_CONTAINS(run->err, "first byte ");
    CHECK_CONTAINS(run->err, "total ");
    CHECK(strchr(run->err, '\r') == NULL); /* no terminal, no line of progress */
    if (strcmp(scheme, "https") == 0) CHECK_CONTAINS(run->err, "TLSv1.3, TLS_AES_256_GCM_SHA384, ALPN http/1.1, not resumed");

    run = run_built(GET, from, NULL); /* to standard output */
    CHECK_STATUS(run, OK);
    CHECK_INT(run->out_len, SIZE);
    CHECK_INT(find_pattern_error(run->out, SIZE, 0), -1);
    CHECK_STR(run->err, "");

    CHECK_INT(truncate(out, PART), 0);
    run = run_built(GET, "-C", "-o", out, from, NULL);
    CHECK_STATUS(run, OK);
    CHECK_SAME_FILE(out, whole);
    run = run_built(GET, "-C", "-o", out, from, NULL);
    CHECK_STATUS(run, OK);
    CHECK_CONTAINS(run->err, "whole already");
    CHECK_SAME_FILE(out, whole);
    CHECK_INT(truncate(out, SIZE + 1), 0);
    run = run_built(GET, "-C", "-o", out, from, NULL);
    CHECK_STATUS(run, REFUSED);
    CHECK_CONTAINS(run->err, "another length");

    run = run_built(GET, "-C", "-o", temp_file("new"), from, NULL); /* there is nothing to go on from */
    CHECK_STATUS(run, OK);
    CHECK_SAME_FILE(temp_file("new"), whole);
    run = run_built(GET, "-o", temp_file("empty.out"), url_of(scheme, "localhost", port, "/empty"), NULL);
    CHECK_STATUS(run, OK);
    CHECK_INT(file_size(temp_file("empty.out")), 0);
    run = run_built(GET, "-o", temp_file("none"), url_of(scheme, "localhost", port, "/none"), NULL);
    CHECK_STATUS(run, REFUSED);
    CHECK_CONTAINS(run->err, "404 Not Found");
    CHECK_INT(file_size(temp_file("none")), -1);
}

TEST(nginx_http) { fetch_and_resume("http", start_nginx(temp_dir(), NULL, NULL, NULL)); }
TEST(nginx_https) { fetch_and_resume("https", start_nginx(temp_dir(), CERT_GOOD, CERT_GOOD_KEY, "TLSv1.2 TLSv1.3")); }

TEST(the_same_bytes_as_curl) {
    if (access("/usr/bin/curl", X_OK) != 0) SKIP("needs the Debian package curl");
    const char *port = start_nginx(temp_dir(), CERT_GOOD, CERT_GOOD_KEY, "TLSv1.2 TLSv1.3");
    trust_the_test_ca();
    make_pattern_file("whole", 700001, 3);
    char *from = url_of("https", "localhost", port, "/whole"), command[1000];
    struct run *run = run_built(GET, "-o", temp_file("ours"), from, NULL);
    CHECK_STATUS(run, OK);
    snprintf(command, sizeof command, "/usr/bin/curl -sS --noproxy '*' --cacert '%s' -o '%s' '%s'", cert(CERT_CA), temp_file("theirs"), from);
    CHECK_INT(system(command), 0);
    CHECK_SAME_FILE(temp_file("ours"), temp_file("theirs"));
}

/* ---- Good servers of our own ------------------------------------------------------------------------------------------ */

static const char chunks[] = "1\r\nH\r\n5;name=value\r\nello,\r\n00B\r\n 2005 world\r\n0\r\nTrailer: yes\r\n\r\n";

static void serve_many(struct peer_conn *pc) {
    struct request request;
    char port[16];
    snprintf(port, sizeof port, "%d", peer_port_number(pc->peer));
    if (!http_read_request(pc, &request)) return;
    CHECK_CONTAINS(request.head, "Connection: close\r\n");
    CHECK_CONTAINS(request.head, port); /* in Host, as it is not the default one */
    if (http_is_for(&request, "/chunked")) {
        http_say(pc, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s", chunks);
    } else if (http_is_for(&request, "/bytewise")) {
        char answer[400];
        int len = snprintf(answer, sizeof answer,
                           "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s", chunks);
        for (int i = 0; i < len; i++) peer_write(pc, answer + i, 1);
    } else if (http_is_for(&request, "/interim")) {
        http_say(pc, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\nHello, 2005 world");
    } else if (http_is_for(&request, "/until/close?x=/y")) { /* no header of ours is in the body */
        http_say(pc, "HTTP/1.0 200 OK\r\n\r\nHello, 2005 world\r\nContent-Length: 17\r\n");
    } else if (http_is_for(&request, "/moved")) {
        http_say(pc, "HTTP/1.1 301 Moved\r\nContent-Length: 0\r\nLocation: /a/b?c\r\n\r\n");
    } else if (http_is_for(&request, "/a/b?c")) {
        http_say(pc, "HTTP/1.1 302 Found\r\nContent-Length: 4\r\nlocation:e/f#fragment\r\n\r\nbody");
    } else if (http_is_for(&request, "/a/e/f")) {
        http_say(pc, "HTTP/1.1 307 So\r\nLocation: //127.0.0.1:%s/chunked\r\n\r\n", port);
    } else if (http_is_for(&request, "/round")) {
        http_say(pc, "HTTP/1.1 302 Found\r\nLocation: ?\r\n\r\n");
    } else if (http_is_for(&request, "/round?")) {
        http_say(pc, "HTTP/1.1 302 Found\r\nLocation: round?\r\n\r\n");
    } else if (http_is_for(&request, "/plain")) {
        http_say(pc, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%s/chunked\r\n\r\n", port);
    } else if (http_is_for(&request, "/ftp")) {
        http_say(pc, "HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/\r\n\r\n");
    } else if (http_is_for(&request, "/split")) {
        http_say(pc, "HTTP/1.1 302 Found\r\nLocation: /x HTTP/1.1\r\n\r\n");
    } else {
        FAIL("asked for %s", request.path);
    }
}

/* What comes to standard output when all goes well, else a part of what standard error says. */
static void gives(struct peer *peer, const char *scheme, const char *path, int status, const char *text) {
    if (strcmp(scheme, "https") == 0) trust_the_test_ca();
    struct run *run = run_built(GET, url_of(scheme, "127.0.0.1", peer_port(peer), path), NULL);
    CHECK_STATUS(run, status);
    if (status == OK) CHECK_STR(run->out, text);
    else CHECK_CONTAINS(run->err, text);
    if (status != OK) CHECK_INT(run->out_len, 0);
}

ALL_TRANSPORTS(ways_to_tell_the_length) {
    struct peer *peer = peer_of(version, serve_many, NULL);
    const char *scheme = version ? "https" : "http";
    gives(peer, scheme, "/chunked", OK, "Hello, 2005 world");
    gives(peer, scheme, "/bytewise", OK, "Hello, 2005 world");
    gives(peer, scheme, "/interim", OK, "Hello, 2005 world");
    gives(peer, scheme, "/until/close?x=/y", OK, "Hello, 2005 world\r\nContent-Length: 17\r\n");
}

TEST(redirects_from_https) {
    struct peer *peer = TLS_PEER(TLS1_3_VERSION, .serve = serve_many);
    gives(peer, "https", "/moved", OK, "Hello, 2005 world");
    gives(peer, "https", "/plain", REFUSED, "leaves https");
}

TEST(redirects) {
    struct peer *peer = PEER(.serve = serve_many);
    gives(peer, "http", "/moved", OK, "Hello, 2005 world");
    int before = peer_accepted(peer);
    gives(peer, "http", "/round", REFUSED, "more than 10 redirects");
    CHECK_INT(peer_accepted(peer) - before, 11);
    gives(peer, "http", "/ftp", BROKEN, "nowhere");
    gives(peer, "http", "/split", BROKEN, "nowhere");
}

TEST(an_ipv6_address) {
    struct peer *peer = PEER(.serve = serve_many, .family = AF_INET6);
    struct run *run = run_built(GET, url_of("http", "[::1]", peer_port(peer), "/chunked"), NULL);
    CHECK_STATUS(run, OK);
    CHECK_STR(run->out, "Hello, 2005 world");
}

TEST(tls_sessions_are_resumed) {
    struct peer *peer = TLS_PEER(TLS1_3_VERSION, .serve = serve_many);
    trust_the_test_ca();
    struct run *run = run_built(GET, "-v", url_of("https", "127.0.0.1", peer_port(peer), "/moved"), NULL);
    CHECK_STATUS(run, OK);
    CHECK_CONTAINS(run->err, ", not resumed");
    CHECK_CONTAINS(run->err, ", resumed");
}

/* ---- Bad ones -------------------------------------------------------------------------------------------------------- */

struct bad {
    const char *answer, *says;
};
static const struct bad bads[] = {
    {"", "without an answer"},
    {"HTTP/1.1 200 OK\r\nContent-Le", "without an answer"},
    {"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP/1"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123456789", "9 bytes came, of 10"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n12345", "Content-Length 5, 5 makes no sense"},
    {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "makes no sense"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", "makes no sense"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", "in the middle of its chunks"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n", "in the middle of its chunks"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123456\r\n", "chunks make no sense"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "chunks make no sense"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", "chunks make no sense"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", "chunks make no sense"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "unknown transfer encoding"},
    {"HTTP/1.1 302 Found\r\n\r\n", "nowhere"},
};

static void serve_bad(struct peer_conn *pc) {
    const struct bad *bad = pc->arg;
    struct request request;
    if (http_read_request(pc, &request)) peer_write(pc, bad->answer, strlen(bad->answer));
}

TEST(answers_that_make_no_sense) {
    int n = (int)(sizeof bads / sizeof *bads);
    TEST_LIMIT(60);
    for (int i = 0; i < n; i += small(1, 4)) {
        struct peer *peer = PEER(.serve = serve_bad, .arg = (void *)(uintptr_t)&bads[i]);
        struct run *run = run_built(GET, url(peer, "/"), NULL);
        CHECK_STATUS(run, BROKEN);
        CHECK_CONTAINS(run->err, bads[i].says);
    }
}

static void serve_long_head(struct peer_conn *pc) {
    struct request request;
    if (!http_read_request(pc, &request) || !http_say(pc, "HTTP/1.1 200 OK\r\n")) return;
    while (http_say(pc, "X-Very-Long-Header: 0123456789\r\n")) {}
    pc->ended = true;
}

TEST(a_head_without_end) {
    struct peer *peer = PEER(.serve = serve_long_head);
    gives(peer, "http", "/", BROKEN, "too long");
}

/* Answers to a Range that are not what was asked for. */
static const struct bad bad_ranges[] = {
    {"HTTP/1.1 206 Partial\r\nContent-Range: bytes 99-199/200\r\nContent-Length: 101\r\n\r\n", "something else"},
    {"HTTP/1.1 206 Partial\r\nContent-Range: bytes 100-198/200\r\nContent-Length: 99\r\n\r\n", "something else"},
    {"HTTP/1.1 206 Partial\r\nContent-Length: 100\r\n\r\n", "something else"},
    {"HTTP/1.1 206 Partial\r\nContent-Range: bytes 100-199/200\r\nContent-Length: 200\r\n\r\n", "makes no sense"},
    {"HTTP/1.1 206 Partial\r\nContent-Range: bytes 100-199/*\r\nContent-Length: 50\r\n\r\n", "makes no sense"},
};

TEST(ranges_that_were_not_asked_for) {
    int n = (int)(sizeof bad_ranges / sizeof *bad_ranges);
    for (int i = 0; i < n; i += small(1, 3)) {
        char *out = make_pattern_file("out", 100, 0);
        struct peer *peer = PEER(.serve = serve_bad, .arg = (void *)(uintptr_t)&bad_ranges[i]);
        struct run *run = run_built(GET, "-C", "-o", out, url(peer, "/"), NULL);
        CHECK_STATUS(run, BROKEN);
        CHECK_CONTAINS(run->err, bad_ranges[i].says);
        CHECK_INT(file_size(out), 100); /* nothing was lost */
    }
}

static void serve_no_ranges(struct peer_conn *pc) {
    struct request request;
    if (!http_read_request(pc, &request)) return;
    CHECK_CONTAINS(request.head, "Range: bytes=100-\r\n");
    http_answer(pc, "all of it");
}

TEST(a_server_without_ranges) {
    char *out = make_pattern_file("out", 100, 0);
    struct peer *peer = PEER(.serve = serve_no_ranges);
    struct run *run = run_built(GET, "-C", "-o", out, url(peer, "/"), NULL);
    CHECK_STATUS(run, OK);
    CHECK_CONTAINS(run->err, "from the beginning");
    CHECK_INT(file_size(out), 9);
}

/* The first visit is cut off in the middle, the second goes on from there. */
static void serve_cut_off(struct peer_conn *pc) {
    struct request request;
    if (!http_read_request(pc, &request)) return;
    if (pc->number == 0) {
        http_say(pc, "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n");
        peer_write_pattern(pc, 70000);
        if (pc->ssl) peer_truncate(pc);
    } else {
        CHECK_CONTAINS(request.head, "Range: bytes=70000-\r\n");
        http_say(pc, "HTTP/1.1 206 Partial\r\nContent-Range: bytes 70000-199999/200000\r\nContent-Length: 130000\r\n\r\n");
        unsigned char *rest = alloc(130000);
        fill_pattern(rest, 130000, 70000);
        peer_write(pc, rest, 130000);
    }
}

ALL_TRANSPORTS(resumed_after_a_cut) {
    if (version) trust_the_test_ca();
    char *out = temp_file("out"), *whole = make_pattern_file("whole", 200000, 0);
    struct peer *peer = peer_of(version, serve_cut_off, NULL);
    char *from = url_of(version ? "https" : "http", "127.0.0.1", peer_port(peer), "/");
    struct run *run = run_built(GET, "-o", out, from, NULL);
    CHECK_STATUS(run, version ? NO_TLS : BROKEN);
    CHECK_INT(file_size(out), 70000);
    run = run_built(GET, "-C", "-o", out, from, NULL);
    CHECK_STATUS(run, OK);
    CHECK_SAME_FILE(out, whole);
}

/* A body without a length ends with the stream: over TLS a cut is not that end. */
static void serve_truncated_end(struct peer_conn *pc) {
    struct request request;
    if (!http_read_request(pc, &request)) return;
    http_say(pc, "HTTP/1.1 200 OK\r\n\r\nnot all");
    peer_truncate(pc);
}

BOTH_VERSIONS(a_truncated_end_is_none) {
    trust_the_test_ca();
    struct peer *peer = TLS_PEER(version, .serve = serve_truncated_end);
    struct run *run = run_built(GET, url_of("https", "127.0.0.1", peer_port(peer), "/"), NULL);
    CHECK_STATUS(run, NO_TLS);
    CHECK_STR(run->out, "not all");
}

/* ---- No connection --------------------------------------------------------------------------------------------------- */

TEST(nobody_to_talk_to) {
    struct run *run = run_built(GET, url_of("http", "127.0.0.1", refused_port(), "/"), NULL);
    CHECK_STATUS(run, NO_CONNECTION);
    CHECK_CONTAINS(run->err, "Connection refused");
    run = run_built(GET, "http://127.0.0.1:70000/", NULL);
    CHECK_STATUS(run, NO_CONNECTION);
    CHECK_CONTAINS(run->err, "70000");
}

static void serve_silence(struct peer_conn *pc) {
    struct request request;
    if (!http_read_request(pc, &request)) return;
    if (http_is_for(&request, "/half")) http_say(pc, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
    serve_stall(pc);
}

TEST(a_server_that_falls_silent) {
    struct peer *peer = PEER(.serve = serve_silence);
    struct run *run = run_built(GET, "-t", a_second(), url(peer, "/nothing"), NULL);
    CHECK_STATUS(run, NO_CONNECTION);
    CHECK_CONTAINS(run->err, "no byte moved");
    run = run_built(GET, "-t", a_second(), "-o", temp_file("out"), url(peer, "/half"), NULL);
    CHECK_STATUS(run, NO_CONNECTION);
    CHECK_CONTAINS(run->err, "no byte moved");
    CHECK_INT(file_size(temp_file("out")), 4);
}

TEST(the_wrong_name_and_the_wrong_authority) {
    struct peer *peer = TLS_PEER(TLS1_3_VERSION, .serve = serve_many);
    struct run *run = run_built(GET, "-o", temp_file("out"), url_of("https", "127.0.0.1", peer_port(peer), "/"), NULL);
    CHECK_STATUS(run, NO_TLS); /* the system does not trust our authority */
    trust_the_test_ca();
    peer = PEER(.serve = serve_many, .cert = "wrong-name.pem", .key = "wrong-name.key");
    run = run_built(GET, "-o", temp_file("out"), url_of("https", "127.0.0.1", peer_port(peer), "/"), NULL);
    CHECK_STATUS(run, NO_TLS);
    CHECK_CONTAINS(run->err, "not for 127.0.0.1");
    CHECK_INT(file_size(temp_file("out")), -1);
}

TEST(what_is_no_url) {
    static const char *const nonsense[] = {"",          "localhost",         "ftp://localhost/", "http://",       "http:///x",
                                           "http://:80/", "http://a:b/",       "http://a:/",       "http://[::1/",  "http://u@h/",
                                           "http://a/ b", "http://a/\r\nX: y", "http://[::1]80/",  "http://a:999999/"};
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i += (size_t)small(1, 4)) {
        struct run *run = run_built(GET, nonsense[i], NULL);
        CHECK_STATUS(run, USAGE);
        CHECK_CONTAINS(run->err, "usage: ");
    }
    CHECK_STATUS(run_built(GET, NULL), USAGE);
    CHECK_STATUS(run_built(GET, "-C", "http://localhost/", NULL), USAGE); /* go on with what? */
    CHECK_STATUS(run_built(GET, "-x", "http://localhost/", NULL), USAGE);
}

TEST(a_file_that_cannot_be_written) {
    struct peer *peer = PEER(.serve = serve_many);
    struct run *run = run_built(GET, "-o", "/nowhere/at/all", url(peer, "/chunked"), NULL);
    CHECK_STATUS(run, NO_FILE);
    CHECK_CONTAINS(run->err, "/nowhere/at/all: No such file");
    if (access("/dev/full", W_OK) == 0) {
        run = run_built(GET, "-o", "/dev/full", url(peer, "/chunked"), NULL);
        CHECK_STATUS(run, NO_FILE);
        CHECK_CONTAINS(run->err, "No space left");
    }
}

/* ---- On a terminal --------------------------------------------------------------------------------------------------- */

struct halves {
    struct gate more;
};

static void serve_halves(struct peer_conn *pc) {
    struct halves *halves = pc->arg;
    struct request request;
    if (!http_read_request(pc, &request)) return;
    if (strstr(request.head, "Range: bytes=1048576-")) {
        http_say(pc, "HTTP/1.1 206 Partial\r\nContent-Range: bytes 1048576-2097151/2097152\r\nContent-Length: 1048576\r\n\r\n");
    } else {
        http_say(pc, "HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n");
        peer_write_pattern(pc, 1048576);
        gate_wait(&halves->more);
    }
    unsigned char *rest = alloc(1048576);
    fill_pattern(rest, 1048576, 1048576);
    peer_write(pc, rest, 1048576);
}

TEST(a_line_of_progress_on_a_terminal) {
    struct halves halves = {GATE};
    char *whole = make_pattern_file("whole", 2097152, 0), *out = temp_file("out");
    struct peer *peer = PEER(.serve = serve_halves, .arg = &halves);
    struct run *run = run_start_on_terminal(GET, "-o", out, url(peer, "/"), NULL);
    run_until_err(run, "\r      1.00 MiB  50% ");
    gate_open(&halves.more);
    run_wait(run);
    CHECK_STATUS(run, OK);
    CHECK_CONTAINS(run->err, "\r      2.00 MiB 100% ");
    CHECK_SAME_FILE(out, whole);
}

static void interrupted_by(int signum) {
    struct halves halves = {GATE};
    char *whole = make_pattern_file("whole", 2097152, 0), *out = temp_file("out");
    struct peer *peer = PEER(.serve = serve_halves, .arg = &halves);
    struct run *run = run_start_on_terminal(GET, "-o", out, url(peer, "/"), NULL);
    run_until_err(run, "\r      1.00 MiB  50% ");
    CHECK_INT(kill(run->pid, signum), 0);
    run_wait(run);
    gate_open(&halves.more);
    CHECK_STATUS(run, INTERRUPTED);
    CHECK_CONTAINS(run->err, "interrupted; go on with -C");
    CHECK_INT(file_size(out), 1048576);
    run = run_built(GET, "-C", "-o", out, url(peer, "/"), NULL);
    CHECK_STATUS(run, OK);
    CHECK_SAME_FILE(out, whole);
}

TEST(an_interrupt_leaves_what_can_be_resumed) { interrupted_by(SIGINT); }
TEST(so_does_a_request_to_end) { interrupted_by(SIGTERM); }

TEST_MAIN

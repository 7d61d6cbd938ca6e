/* examples/pool.c, run as a user runs it: against nginx, and against servers that misbehave. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/peers.h"
#include "../support/programs.h"
#include "../support/runs.h"

#include <stdlib.h>
#include <sys/stat.h>

#define POOL "examples/bin/pool"

static const char *site(const char *cert_file, const char *lines) {
    CHECK_INT(chmod(temp_dir(), 0755), 0);
    make_pattern_file("one", 1000, 0);
    make_pattern_file("big", 3000017, 0);
    make_pattern_file("empty", 0, 0);
    if (!cert_file) return start_nginx_with(temp_dir(), NULL, NULL, NULL, lines);
    CHECK_INT(setenv("SSL_CERT_FILE", cert(CERT_CA), 1), 0);
    return start_nginx_with(temp_dir(), cert_file, CERT_GOOD_KEY, "TLSv1.2 TLSv1.3", lines);
}

static const char all_over_one[] = "/one: 200, 1000 bytes over a new connection\n"
                                   "/big: 200, 3000017 bytes over the same connection\n"
                                   "/empty: 200, 0 bytes over the same connection\n"
                                   "/one: 200, 1000 bytes over the same connection\n";

TEST(several_files_by_http) {
    struct run *run = run_built(POOL, "http", "localhost", site(NULL, ""), "/one", "/big", "/empty", "/one", NULL);
    CHECK_STATUS(run, 0);
    CHECK_STR(run->out, all_over_one);
    CHECK_STR(run->err, "");
}

TEST(several_files_by_https) {
    NEEDS_TLS();
    struct run *run = run_built(POOL, "https", "localhost", site(CERT_GOOD, ""), "/one", "/big", "/empty", "/one", NULL);
    CHECK_STATUS(run, 0);
    CHECK_STR(run->out, all_over_one);
    CHECK_STR(run->err, "");
}

TEST(it_looks_whom_it_talks_to) {
    NEEDS_TLS();
    const char *port = site(CERT_GOOD, "");
    CHECK_INT(setenv("SSL_CERT_FILE", cert(CERT_OTHER_CA), 1), 0);
    struct run *run = run_built(POOL, "https", "localhost", port, "/one", NULL);
    CHECK_STATUS(run, 1);
    CHECK_STR(run->out, "");
    CHECK_CONTAINS(run->err, "not trusted");
}

TEST(the_server_limits_the_requests_of_a_connection) {
    const char *port = site(NULL, "keepalive_requests 2;");
    struct run *run = run_built(POOL, "http", "localhost", port, "/one", "/one", "/one", NULL);
    CHECK_STATUS(run, 0);
    CHECK_STR(run->out, "/one: 200, 1000 bytes over a new connection\n"
                        "/one: 200, 1000 bytes over the same connection\n"
                        "/one: 200, 1000 bytes over a new connection\n");
}

TEST(a_file_that_is_not_there) {
    struct run *run = run_built(POOL, "http", "localhost", site(NULL, ""), "/none", "/one", NULL);
    CHECK_STATUS(run, 0);
    CHECK_CONTAINS(run->out, "/none: 404, ");
    CHECK_CONTAINS(run->out, "/one: 200, 1000 bytes over ");
}

/* Promises to keep the connection, and closes it at the second request. */
static void promise(struct peer_conn *pc) {
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    char request[500];
    if (peer_read(pc, request, sizeof request) <= 0) return;
    CHECK(peer_write(pc, answer, sizeof answer - 1));
    peer_read(pc, request, sizeof request);
}

TEST(a_server_that_breaks_its_promise_is_asked_again) {
    struct peer *peer = PEER(.serve = promise);
    struct run *run = run_built(POOL, "http", "127.0.0.1", peer_port(peer), "/a", "/b", "/c", NULL);
    CHECK_STATUS(run, 0);
    CHECK_STR(run->out, "/a: 200, 2 bytes over a new connection\n"
                        "/b: 200, 2 bytes over a new connection\n"
                        "/c: 200, 2 bytes over a new connection\n");
    CHECK_INT(peer_accepted(peer), 3);
}

static void half(struct peer_conn *pc) {
    char request[500];
    if (peer_read(pc, request, sizeof request) <= 0) return;
    CHECK(peer_write(pc, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhi", 41));
}

TEST(it_says_what_goes_wrong) {
    struct run *run = run_built(POOL, "http", "127.0.0.1", refused_port(), "/a", "/b", NULL);
    CHECK_STATUS(run, 1);
    CHECK_STR(run->out, "");
    CHECK_CONTAINS(run->err, "/a: connect to 127.0.0.1:");
    CHECK_CONTAINS(run->err, "/b: connect to 127.0.0.1:");
    CHECK_CONTAINS(run->err, "Connection refused");
    run = run_built(POOL, "http", "127.0.0.1", peer_port(PEER(.serve = half)), "/a", NULL);
    CHECK_STATUS(run, 1);
    CHECK_CONTAINS(run->err, "/a: the server closed the connection too early");
    run = run_built(POOL, "gopher", "127.0.0.1", "70", "/a", NULL);
    CHECK_STATUS(run, 2);
    CHECK_CONTAINS(run->err, "usage: ");
}

TEST_MAIN

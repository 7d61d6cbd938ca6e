/* Pools and nginx: keep-alive by http and https, and a server that closes at the worst moments. */
#include "../support/programs.h"
#include "pooled.h"

#include <poll.h>
#include <stdlib.h>

enum { FILE_SIZE = 20011 };

static const char *nginx(int version, const char *lines) {
    char path[300];
    snprintf(path, sizeof path, "%s/file.bin", temp_dir());
    unsigned char bytes[FILE_SIZE];
    fill_pattern(bytes, FILE_SIZE, 0);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    CHECK_INT(fwrite(bytes, 1, FILE_SIZE, file), FILE_SIZE);
    CHECK_INT(fclose(file), 0);
    if (!version) return start_nginx_with(temp_dir(), NULL, NULL, NULL, lines);
    return start_nginx_with(temp_dir(), CERT_GOOD, CERT_GOOD_KEY, version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3", lines);
}

/* One request after the other; what the server's closing spoils is done again, as a client of HTTP does. */
struct fetch {
    struct pconn_pool *pool;
    struct ev_loop *loop;
    const char *port;
    int version;
    bool believe; /* in "Connection: close" */
    int left, again, connections, last_fd;
    bool got_a_byte;
    char answer[FILE_SIZE + 2000];
    size_t got;
    struct net_conn *c;
};

static void next(struct fetch *fetch);

static void once_more(struct fetch *fetch, struct net_conn *c) {
    CHECK(!fetch->got_a_byte); /* what has begun, ends */
    CHECK_CMP(++fetch->again, <, 1000);
    pconn_release(fetch->pool, c, false);
    next(fetch);
}

static void on_error(struct net_conn *c, void *arg) { once_more(arg, c); }

static void on_readable(struct net_conn *c, void *arg) {
    struct fetch *fetch = arg;
    ssize_t n = conn_try_read(c, fetch->answer + fetch->got, sizeof fetch->answer - 1 - fetch->got);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) return; /* on_error follows */
    if (n == 0) {
        once_more(fetch, c);
        return;
    }
    fetch->got_a_byte = true;
    fetch->got += (size_t)n;
    fetch->answer[fetch->got] = 0;
    char *body = strstr(fetch->answer, "\r\n\r\n");
    if (!body) return;
    body += 4;
    if (fetch->got - (size_t)(body - fetch->answer) < FILE_SIZE) return;
    CHECK(strncmp(fetch->answer, "HTTP/1.1 200 ", 13) == 0);
    CHECK_INT(fetch->answer + fetch->got - body, FILE_SIZE);
    CHECK_INT(find_pattern_error(body, FILE_SIZE, 0), -1);
    bool closes = strstr(fetch->answer, "Connection: close") != NULL;
    pconn_release(fetch->pool, c, !(closes && fetch->believe));
    if (--fetch->left > 0) next(fetch);
}

static void on_ready(struct net_conn *c, void *arg) {
    static const char request[] = "GET /file.bin HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct fetch *fetch = arg;
    fetch->got = 0;
    if (conn_try_write(c, request, sizeof request - 1) != sizeof request - 1) return; /* on_error follows */
    conn_set_readable_callback(c, on_readable, fetch);
}

static void next(struct fetch *fetch) {
    fetch->got_a_byte = false;
    fetch->c = pconn_acquire(fetch->pool, fetch->version ? "https" : "http", "localhost", fetch->port,
                             fetch->version != 0, on_ready, on_error, fetch);
    CHECK_PTR_NOT_NULL(fetch->c);
    /* One that was made anew has no socket yet: its name is to be resolved. */
    if (fetch->c->fd < 0) fetch->connections++;
}

static struct fetch *fetcher(int version, const char *lines, int requests) {
    struct fetch *fetch = alloc(sizeof *fetch);
    memset(fetch, 0, sizeof *fetch);
    fetch->loop = test_loop();
    fetch->pool = test_pool(fetch->loop);
    fetch->version = version;
    fetch->port = nginx(version, lines);
    fetch->left = requests;
    fetch->believe = true;
    return fetch;
}

ALL_TRANSPORTS(a_hundred_requests_over_one_connection) {
    struct fetch *fetch = fetcher(version, "keepalive_requests 1000;", 100);
    next(fetch);
    evloop_run(fetch->loop);
    CHECK_INT(fetch->left, 0);
    CHECK_INT(fetch->connections, 1);
    CHECK_INT(fetch->again, 0);
    CHECK_COUNTS(fetch->pool, 1, 1);
}

/* nginx says so before it closes. */
ALL_TRANSPORTS(requests_of_a_connection_are_limited) {
    struct fetch *fetch = fetcher(version, "keepalive_requests 7;", 50);
    next(fetch);
    evloop_run(fetch->loop);
    CHECK_INT(fetch->left, 0);
    CHECK_INT(fetch->connections, 8);
    CHECK_INT(fetch->again, 0);
}

/* A client that does not listen gives back connections that are being closed. All the same every file arrives. */
ALL_TRANSPORTS(the_server_closes_right_after_the_answer) {
    struct fetch *fetch = fetcher(version, "keepalive_requests 3;", 50);
    fetch->believe = false;
    next(fetch);
    evloop_run(fetch->loop);
    CHECK_INT(fetch->left, 0);
    CHECK_CMP(fetch->connections, >=, 17);
    CHECK_COUNTS(fetch->pool, 50 % 3 != 0, 50 % 3 != 0);
}

/* Each connection is closed by nginx's timer while it is idle: nobody is lent a dead one. */
static void go_on(void *arg) { next(arg); }

ALL_TRANSPORTS(the_server_closes_idle_connections) {
    struct fetch *fetch = fetcher(version, "keepalive_timeout 500ms;", 1);
    for (int i = 1; i <= 3; i++) {
        fetch->left = 1;
        CHECK_INT(evloop_post(fetch->loop, go_on, fetch), 0);
        RUN_UNTIL(fetch->loop, fetch->left == 0);
        CHECK_COUNTS(fetch->pool, 1, 1);
        RUN_UNTIL(fetch->loop, pconn_get_idle_count(fetch->pool) == 0);
        CHECK_INT(fetch->connections, i);
    }
    CHECK_INT(fetch->again, 0);
}

/* The same where the loop stands still meanwhile, with the closing seen by no one but the kernel. */
ALL_TRANSPORTS(the_server_closes_while_the_loop_stands_still) {
    struct fetch *fetch = fetcher(version, "keepalive_timeout 500ms;", 1);
    next(fetch);
    int fd = -1;
    while (fetch->left > 0) {
        if (fetch->c->fd >= 0) fd = fetch->c->fd;
        CHECK(evloop_run_once(fetch->loop, 20000) >= 0);
    }
    CHECK_COUNTS(fetch->pool, 1, 1);
    struct pollfd closed = {.fd = fd, .events = POLLRDHUP};
    CHECK_INT(poll(&closed, 1, 20000), 1);
    CHECK_COUNTS(fetch->pool, 1, 1);
    fetch->left = 1;
    next(fetch);
    CHECK_COUNTS(fetch->pool, 0, 1);
    RUN_UNTIL(fetch->loop, fetch->left == 0);
    CHECK_INT(fetch->connections, 2);
    CHECK_INT(fetch->again, 0);
}

TEST_MAIN

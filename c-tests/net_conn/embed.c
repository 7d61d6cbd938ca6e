/* A host that can only watch a descriptor: it polls evloop_fd() and nothing else, and runs a round when that is readable. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"

#include <poll.h>
#include <stdio.h>

#define HOST_UNTIL(loop, condition)                                                                                    \
    do {                                                                                                               \
        while (!(condition)) {                                                                                         \
            struct pollfd host = {evloop_fd(loop), POLLIN, 0};                                                         \
            if (poll(&host, 1, (int)(slow(10) * 1000)) != 1) FAIL("the descriptor is silent before %s", #condition);    \
            CHECK(evloop_run_once((loop), 0) >= 0);                                                                    \
        }                                                                                                              \
    } while (0)

struct echo {
    uint64_t to_send, sent, got;
    bool ended;
};

static void on_readable(struct net_conn *c, void *arg) {
    struct echo *echo = arg;
    unsigned char buf[700]; /* less than a record: the rest waits inside TLS */
    ssize_t n = conn_try_read(c, buf, sizeof buf);
    if (n < 0) {
        CHECK_INT(errno, EAGAIN);
        return;
    }
    CHECK_INT(find_pattern_error(buf, (size_t)n, echo->got), -1);
    echo->got += (uint64_t)n;
    if (n == 0) echo->ended = true;
}

static void on_writable(struct net_conn *c, void *arg) {
    struct echo *echo = arg;
    unsigned char buf[50000];
    size_t len = echo->to_send - echo->sent < sizeof buf ? echo->to_send - echo->sent : sizeof buf;
    fill_pattern(buf, len, echo->sent);
    ssize_t n = conn_try_write(c, buf, len);
    if (n < 0) CHECK_INT(errno, EAGAIN);
    else echo->sent += (uint64_t)n;
    if (echo->sent == echo->to_send) {
        conn_set_writable_callback(c, NULL, NULL);
        CHECK_INT(conn_shutdown(c), 0);
    }
}

ALL_TRANSPORTS(a_connections_whole_life) {
    struct peer *peer = peer_of(version, NULL, NULL);
    struct conn_options o = options_of(version);
    struct ev_loop *loop = test_loop();
    CHECK(evloop_fd(loop) >= 0);
    struct client *client = client_open(loop, "localhost", peer_port(peer), &o);
    HOST_UNTIL(loop, client->ready);
    struct echo echo = {.to_send = (uint64_t)small(3 << 20, 100000)};
    conn_set_readable_callback(client->c, on_readable, &echo);
    conn_set_writable_callback(client->c, on_writable, &echo);
    HOST_UNTIL(loop, echo.ended);
    CHECK_INT(echo.got, echo.to_send);
    HOST_UNTIL(loop, conn_get_state(client->c) == CONN_CLOSED);
}

ALL_TRANSPORTS(failures_come_too) {
    struct ev_loop *loop = test_loop();
    CHECK(evloop_fd(loop) >= 0);
    struct conn_options o = options_of(version);
    struct client *refused = client_open(loop, "127.0.0.1", refused_port(), &o);
    struct client *invalid = client_open(loop, "127.0.0.1", "70000", &o);
    HOST_UNTIL(loop, refused->errors && invalid->errors);
    o.connect_timeout = o.tls_timeout = 0.1;
    char port[8];
    snprintf(port, sizeof port, "%d", full_queue(AF_INET, NULL, 0));
    struct client *late = client_open(loop, "127.0.0.1", port, &o);
    HOST_UNTIL(loop, late->errors);
    CHECK_INT(late->kind, CONN_ERR_TIMEOUT);
    struct peer *peer = peer_of(version, serve_reset, NULL);
    o = options_of(version);
    struct client *cut = client_open(loop, "127.0.0.1", peer_port(peer), &o);
    HOST_UNTIL(loop, cut->ready);
    CHECK_INT(conn_try_write(cut->c, "x", 1), 1);
    HOST_UNTIL(loop, cut->errors);
    CHECK_INT(cut->error, ECONNRESET);
}

TEST_MAIN

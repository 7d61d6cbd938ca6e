/*
 * Callbacks that run inside a call of the library and run the loop once more there, until what they stand in has been
 * decided without them: the outcome is reported once, and nothing is left behind.
 */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "../support/world.h"

#include "netconn.h"

#include <stdio.h>

/* A loop complains of descriptors that were closed while it watched them. */
static int complaints;
static void hear(int level, const char *message, void *arg) {
    (void)message, (void)arg;
    if (level <= NETCONN_LOG_WARN) complaints++;
}

struct inner {
    struct ev_loop *loop;
    struct client *client;
    int calls, wanted; /* in which call the loop is run */
    bool frees_the_loop;
};

/* The loop is run until the client has its outcome: a time-out, or that of another address. */
static void run_inside(struct inner *inner) {
    if (++inner->calls != inner->wanted) return;
    while (inner->client->ready + inner->client->errors == 0) CHECK(evloop_run_once(inner->loop, -1) >= 0);
    if (inner->frees_the_loop) {
        evloop_free(inner->loop);
        inner->loop = NULL;
        inner->client->c = NULL;
    }
}

static int run_in_on_socket(int fd, void *arg) {
    CHECK(fd >= 0);
    run_inside(arg);
    return 0;
}

static void open_observed(struct inner *inner, const char *host, const char *port, const struct conn_options *o) {
    inner->client = client_new(inner->loop);
    inner->client->c = conn_new_with(inner->loop, host, port, o, client_on_ready, client_on_error, inner->client);
    CHECK_PTR_NOT_NULL(inner->client->c);
}

/* on_socket of the second address waits, and meanwhile the time is up for all of them. */
static void late_socket(bool frees_the_loop) {
    enter_world();
    set_hosts("127.0.0.1 two.test\n127.0.0.2 two.test\n");
    int port = full_queue(AF_INET, "127.0.0.1", 0);
    full_queue(AF_INET, "127.0.0.2", port);
    char text[8];
    snprintf(text, sizeof text, "%d", port);
    struct inner inner = {.loop = evloop_new(), .wanted = 2, .frees_the_loop = frees_the_loop};
    struct conn_options o = options();
    o.attempt_delay = 0.01;
    o.connect_timeout = 0.1;
    o.on_socket = run_in_on_socket;
    o.socket_arg = &inner;
    open_observed(&inner, "two.test", text, &o);
    netconn_set_log(hear, NULL);
    evloop_run(inner.loop);
    CHECK_INT(inner.calls, 2);
    CHECK_INT(inner.client->errors, 1);
    CHECK_INT(inner.client->ready, 0);
    CHECK_INT(inner.client->kind, CONN_ERR_TIMEOUT);
    if (inner.loop) {
        run_rounds(inner.loop);
        client_close(inner.client);
        evloop_run(inner.loop); /* nothing else keeps it running */
        evloop_free(inner.loop);
    }
    CHECK_INT(complaints, 0);
}

TEST(a_time_out_inside_on_socket) { late_socket(false); }
TEST(a_time_out_inside_on_socket_that_frees_the_loop) { late_socket(true); }

/* on_socket of the second address waits, and meanwhile the first one connects. */
ALL_TRANSPORTS(the_race_is_won_inside_on_socket) {
    enter_world();
    set_hosts("127.0.0.1 localhost\n127.0.0.2 localhost\n");
    netconn_set_log(hear, NULL);
    struct inner inner = {.loop = evloop_new(), .wanted = 1};
    struct peer *peer = peer_of(version, NULL, NULL);
    struct peer_options second = {.address = "127.0.0.2", .port = peer_port_number(peer)};
    if (version) second.cert = CERT_GOOD, second.key = CERT_GOOD_KEY, second.min_version = second.max_version = version;
    peer_start(&second);
    struct conn_options o = options_of(version);
    o.on_socket = run_in_on_socket;
    o.socket_arg = &inner;
    o.attempt_delay = 0.01;
    /* The first attempt's own on_socket runs the loop: the delay passes, the second one starts inside and wins. */
    open_observed(&inner, "localhost", peer_port(peer), &o);
    client_wait_ready(inner.client);
    CHECK_INT(inner.calls, 2);
    client_echo(inner.client, "the winner");
    client_close(inner.client);
    evloop_run(inner.loop); /* nothing else keeps it running */
    evloop_free(inner.loop);
    CHECK_INT(complaints, 0);
}

/* ---- Inside the handshake ---------------------------------------------------------------------------------------------- */

static int run_in_verify(int preverified, int depth, const char *subject, long error, void *arg) {
    (void)depth, (void)subject, (void)error;
    run_inside(arg);
    return preverified;
}

static void late_verify(int version, bool frees_the_loop) {
    struct inner inner = {.loop = evloop_new(), .wanted = 1, .frees_the_loop = frees_the_loop};
    struct peer *peer = TLS_PEER(version);
    struct conn_options o = tls_options();
    o.tls_timeout = 0.2;
    CHECK_INT(netconn_tls_set_verify_callback(o.tls, run_in_verify, &inner), 0);
    open_observed(&inner, "127.0.0.1", peer_port(peer), &o);
    evloop_run(inner.loop);
    CHECK_INT(inner.client->errors, 1);
    CHECK_INT(inner.client->ready, 0);
    CHECK_INT(inner.client->kind, CONN_ERR_TIMEOUT);
    if (inner.loop) {
        CHECK_INT(inner.client->c->fd, -1);
        CHECK(inner.client->c->ssl == NULL);
        client_close(inner.client);
        evloop_free(inner.loop);
    }
    peer_join(peer);
}

BOTH_VERSIONS(a_time_out_inside_verify) { late_verify(version, false); }
BOTH_VERSIONS(a_time_out_inside_verify_that_frees_the_loop) { late_verify(version, true); }

static int run_some_rounds(int preverified, int depth, const char *subject, long error, void *arg) {
    (void)depth, (void)subject, (void)error;
    struct inner *inner = arg;
    for (int i = 0; i < 5; i++) CHECK(evloop_run_once(inner->loop, 0) >= 0);
    /* What the connection itself answers meanwhile. */
    char byte = 'x';
    CHECK_ERRNO(conn_try_read(inner->client->c, &byte, 1), ENOTCONN);
    CHECK_ERRNO(conn_try_write(inner->client->c, &byte, 1), ENOTCONN);
    CHECK_ERRNO(conn_shutdown(inner->client->c), ENOTCONN);
    CHECK_INT(conn_pending(inner->client->c), 0);
    CHECK_INT(conn_get_state(inner->client->c), CONN_TLS_HANDSHAKE);
    return preverified;
}

BOTH_VERSIONS(rounds_inside_verify_change_nothing) {
    struct inner inner = {.loop = test_loop()};
    struct peer *peer = TLS_PEER(version);
    struct conn_options o = tls_options();
    CHECK_INT(netconn_tls_set_verify_callback(o.tls, run_some_rounds, &inner), 0);
    open_observed(&inner, "127.0.0.1", peer_port(peer), &o);
    client_wait_ready(inner.client);
    client_echo(inner.client, "still there");
}

/* ---- All at once ------------------------------------------------------------------------------------------------------------ */

static int cleanup_in_verify(int preverified, int depth, const char *subject, long error, void *arg) {
    (void)depth, (void)subject, (void)error, (void)arg;
    netconn_cleanup(); /* spares the loop that is running */
    return preverified;
}

BOTH_VERSIONS(the_process_is_cleaned_up_inside_verify) {
    struct peer *peer = TLS_PEER(version);
    struct conn_options o = tls_options();
    CHECK_INT(netconn_tls_set_verify_callback(o.tls, cleanup_in_verify, NULL), 0);
    struct client *client = client_open(test_loop(), "localhost", peer_port(peer), &o);
    client_wait_ready(client);
    client_echo(client, "still there");
}

TEST_MAIN

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

#include <openssl/err.h>
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
    o.connect_timeout = slow(0.1);
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

/* ---- Inside the search for a session, before the first byte of the handshake ------------------------------------------------------ */

enum deed { ROUNDS, TIME_OUT, CLOSE_IT, FREE_THE_LOOP };

struct search {
    struct ev_loop *loop;
    struct client *client;
    enum deed deed;
    int calls;
};

static ssize_t search_session(const char *key, unsigned char *der, size_t size, void *arg) {
    (void)key, (void)der, (void)size;
    struct search *search = arg;
    struct net_conn *c = search->client->c;
    search->calls++;
    switch (search->deed) {
    case ROUNDS:
        /* The socket is writable, and with STARTTLS readable too: nothing may come of it before there is TLS. */
        for (int i = 0; i < 5; i++) {
            CHECK(evloop_run_once(search->loop, 0) >= 0);
            CHECK_INT(c->state, CONN_TLS_HANDSHAKE);
            CHECK_ERRNO(conn_try_write(c, "secret", 6), ENOTCONN);
        }
        break;
    case TIME_OUT:
        while (search->client->errors == 0) CHECK(evloop_run_once(search->loop, -1) >= 0);
        break;
    case CLOSE_IT:
        search->client->c = NULL;
        conn_close(c);
        break;
    case FREE_THE_LOOP:
        search->client->c = NULL;
        evloop_free(search->loop);
        search->loop = NULL;
        break;
    }
    return 0;
}

static int store(const char *key, const unsigned char *der, size_t len, void *arg) {
    (void)key, (void)der, (void)len, (void)arg;
    return -1;
}

static void drop(const char *key, void *arg) { (void)key, (void)arg; }

static void accept_and_echo(struct peer_conn *pc) {
    if (SSL_accept(pc->ssl) == 1) serve_echo(pc);
    else pc->ended = true;
    ERR_clear_error();
}

static void search_in(bool upgrade, enum deed deed, int version) {
    struct search search = {.loop = evloop_new(), .deed = deed};
    struct peer *peer = TLS_PEER(version, .no_handshake = true, .serve = accept_and_echo);
    struct conn_options o = options(), t = tls_options();
    t.tls_timeout = deed == TIME_OUT ? 0.05 : 0;
    CHECK_INT(netconn_tls_set_session_callbacks(t.tls, store, search_session, drop, &search), 0);
    bool gone = deed == CLOSE_IT || deed == FREE_THE_LOOP;
    if (upgrade) {
        struct client *plain = client_open(search.loop, "localhost", peer_port(peer), &o);
        client_wait_ready(plain);
        search.client = client_new(search.loop);
        search.client->c = plain->c;
        plain->c = NULL;
        CHECK_INT(conn_start_tls(search.client->c, &t, client_on_ready, client_on_error, search.client), 0);
        CHECK_INT(search.calls, 0); /* the handshake is the loop's */
    } else {
        search.client = client_new(search.loop);
        search.client->c = conn_new_with(search.loop, "localhost", peer_port(peer), &t, client_on_ready, client_on_error, search.client);
        CHECK_PTR_NOT_NULL(search.client->c);
    }
    struct ev_loop *loop = search.loop;
    while (search.calls == 0) CHECK(evloop_run_once(loop, -1) >= 0);
    CHECK_INT(search.calls, 1);
    if (deed == ROUNDS) {
        client_wait_ready(search.client);
        CHECK_STR(conn_get_tls_version(search.client->c), version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
        CHECK(search.client->c->ssl != NULL);
        client_echo(search.client, "under TLS, and only there");
    } else if (deed == TIME_OUT) {
        CHECK_FAILED_WITH(search.client, CONN_ERR_TIMEOUT, ETIMEDOUT);
    }
    if (search.loop) {
        run_rounds(search.loop);
        CHECK_INT(search.client->ready + search.client->errors, !gone);
        client_close(search.client);
        evloop_free(search.loop);
    }
    peer_stop(peer);
    CHECK_INT(complaints, 0);
}

BOTH_VERSIONS(the_loop_runs_inside_the_search_for_a_session) {
    netconn_set_log(hear, NULL);
    search_in(false, ROUNDS, version);
    search_in(true, ROUNDS, version);
}
BOTH_VERSIONS(a_time_out_inside_the_search_for_a_session) {
    netconn_set_log(hear, NULL);
    search_in(false, TIME_OUT, version);
    search_in(true, TIME_OUT, version);
}
BOTH_VERSIONS(closed_inside_the_search_for_a_session) {
    netconn_set_log(hear, NULL);
    search_in(false, CLOSE_IT, version);
    search_in(true, CLOSE_IT, version);
}
BOTH_VERSIONS(the_loop_freed_inside_the_search_for_a_session) {
    netconn_set_log(hear, NULL);
    search_in(false, FREE_THE_LOOP, version);
    search_in(true, FREE_THE_LOOP, version);
}

TEST_MAIN

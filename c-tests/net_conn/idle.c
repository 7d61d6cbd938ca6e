/* conn_set_idle_timeout: a connection that moves no byte for a while fails. Every test on plain TCP and on both TLS versions. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "../support/upgrade.h"
#include "pconn.h"

#include <math.h>
#include <openssl/err.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* Long enough for a round trip on a busy machine, short enough to be waited for. */
#define SHORT (slow(0.08))

static void note(void *flag) { *(bool *)flag = true; }

/* Runs the loop for a while. */
static void pass(struct ev_loop *loop, double seconds) {
    bool over = false;
    struct evloop_timer *timer = evloop_timer_start(loop, seconds, 0, note, &over);
    RUN_UNTIL(loop, over);
    evloop_timer_free(timer);
}

static void check_timed_out(struct client *client) {
    CHECK_FAILED_WITH(client, CONN_ERR_TIMEOUT, ETIMEDOUT);
    CHECK_CONTAINS(client->message, "no byte moved for");
    char byte = 'x';
    CHECK_ERRNO(conn_try_write(client->c, &byte, 1), ETIMEDOUT);
}

ALL_TRANSPORTS(nothing_moves) {
    struct client *client = ready_client(test_loop(), version, peer_of(version, NULL, NULL));
    client_echo(client, "the last that moves");
    double begin = now();
    CHECK_INT(conn_set_idle_timeout(client->c, SHORT), 0);
    RUN_UNTIL(client->loop, client->errors);
    CHECK(now() - begin >= SHORT); /* never early */
    check_timed_out(client);
    char byte;
    CHECK_ERRNO(conn_try_read(client->c, &byte, 1), ETIMEDOUT);
    CHECK_ERRNO(conn_shutdown(client->c), ETIMEDOUT);
    CHECK(client->c->fd >= 0); /* it was READY: the socket stays until the close */
    run_rounds(client->loop);
    CHECK_INT(client->errors, 1);
}

/* A machine that lets us wait for longer than the time-out proves nothing. */
ALL_TRANSPORTS(bytes_keep_it_alive) {
    struct client *client = ready_client(test_loop(), version, peer_of(version, NULL, NULL));
    double begin = now(), last = begin, longest = 0;
    CHECK_INT(conn_set_idle_timeout(client->c, SHORT), 0);
    while (now() - begin < 4 * SHORT && !client->errors) {
        client_echo(client, "x");
        for (double until = now() + SHORT / 8; !client->errors && now() < until;) CHECK(evloop_run_once(client->loop, 1) >= 0);
        double gap = now() - last;
        last += gap;
        if (gap > longest) longest = gap;
    }
    if (client->errors && longest < SHORT) FAIL("timed out, and no byte was ever later than %g s", longest);
    if (client->errors) return;
    RUN_UNTIL(client->loop, client->errors);
    check_timed_out(client);
}

static void send_something(struct peer_conn *pc) {
    peer_write(pc, "unread", 6);
    serve_echo(pc);
}

static void drop_one(struct net_conn *c, void *arg) {
    char byte;
    ssize_t n = conn_try_read(c, &byte, 1);
    int *state = arg;
    if (n == 1) ++*state;
    else if (n < 0 && errno == ETIMEDOUT) *state = 100;
}

/* What arrived is still read first; and the failure is readable until it was read. */
ALL_TRANSPORTS(unread_bytes_do_not_count_and_are_not_lost) {
    struct client *client = ready_client(test_loop(), version, peer_of(version, send_something, NULL));
    CHECK_INT(conn_set_idle_timeout(client->c, SHORT), 0);
    RUN_UNTIL(client->loop, client->errors);
    int state = 0;
    conn_set_readable_callback(client->c, drop_one, &state);
    RUN_UNTIL(client->loop, state == 100);
    char byte;
    CHECK_ERRNO(conn_try_read(client->c, &byte, 1), ETIMEDOUT);
    check_timed_out(client);
}

static void accept_late(struct peer_conn *pc) {
    gate_wait(pc->arg);
    CHECK_INT(SSL_accept(pc->ssl), 1);
    serve_echo(pc);
}

static void open_gate(void *gate) { gate_open(gate); }

BOTH_VERSIONS(it_counts_from_ready) {
    struct gate gate = GATE;
    struct ev_loop *loop = test_loop();
    struct peer *peer = TLS_PEER(version, .no_handshake = true, .serve = accept_late, .arg = &gate);
    struct conn_options o = tls_options();
    struct client *client = client_open(loop, "localhost", peer_port(peer), &o);
    CHECK_INT(conn_set_idle_timeout(client->c, SHORT), 0);
    struct evloop_timer *timer = evloop_timer_start(loop, 2 * SHORT, 0, open_gate, &gate);
    client_wait_ready(client);
    double begin = now();
    RUN_UNTIL(loop, client->errors);
    CHECK_CMP((now() - begin) * 1000, >=, SHORT * 900); /* on_ready was a moment ago */
    check_timed_out(client);
    evloop_timer_free(timer);
}

ALL_TRANSPORTS(it_can_be_changed_and_switched_off) {
    struct client *client = ready_client(test_loop(), version, peer_of(version, NULL, NULL));
    CHECK_INT(conn_set_idle_timeout(client->c, SHORT), 0);
    CHECK_INT(conn_set_idle_timeout(client->c, 0), 0);
    pass(client->loop, 2 * SHORT);
    CHECK_INT(conn_set_idle_timeout(client->c, SHORT), 0);
    CHECK_INT(conn_set_idle_timeout(client->c, -1), 0);
    pass(client->loop, 2 * SHORT);
    CHECK_INT(conn_set_idle_timeout(client->c, SHORT), 0);
    CHECK_INT(conn_set_idle_timeout(client->c, INFINITY), 0);
    pass(client->loop, 2 * SHORT);
    CHECK_INT(client->errors, 0);
    client_echo(client, "still here");
    CHECK_INT(conn_set_idle_timeout(client->c, 3600), 0);
    CHECK_INT(conn_set_idle_timeout(client->c, SHORT), 0);
    CHECK_ERRNO(conn_set_idle_timeout(client->c, NAN), EINVAL); /* the old one stays */
    RUN_UNTIL(client->loop, client->errors);
    check_timed_out(client);
    CHECK_INT(conn_set_idle_timeout(client->c, SHORT), 0); /* no effect */
    pass(client->loop, 2 * SHORT);
    CHECK_INT(client->errors, 1);
}

TEST(null_is_nothing) {
    CHECK_INT(conn_set_idle_timeout(NULL, 1), 0);
    CHECK_ERRNO(conn_set_idle_timeout(NULL, NAN), EINVAL);
}

/* An outcome that is no READY, and a clean end, leave nothing to be timed out. */
TEST(it_has_no_effect_elsewhere) {
    struct ev_loop *loop = test_loop();
    struct conn_options o = options();
    struct client *refused = client_open(loop, "127.0.0.1", refused_port(), &o);
    CHECK_INT(conn_set_idle_timeout(refused->c, SHORT), 0);
    client_wait_error(refused);
    CHECK_FAILED_WITH(refused, CONN_ERR_CONNECT, ECONNREFUSED);
    struct client *client = ready_client(loop, 0, PEER(.serve = serve_close));
    CHECK_INT(conn_set_idle_timeout(client->c, SHORT), 0);
    CHECK_INT(conn_shutdown(client->c), 0);
    char byte;
    CHECK_INT(client_read_some(client, &byte, 1), 0);
    CHECK_INT(client->c->state, CONN_CLOSED);
    pass(loop, 2 * SHORT);
    CHECK_INT(client->errors, 0);
    CHECK_INT(refused->errors, 1);
}

static void drain_and_hold(struct peer_conn *pc) {
    peer_drain(pc);
    gate_wait(pc->arg);
}

ALL_TRANSPORTS(a_half_closed_connection_times_out) {
    static struct gate gate = GATE;
    struct peer *peer = peer_of(version, drain_and_hold, &gate);
    at_end(open_gate, &gate); /* before the peer is stopped */
    struct client *client = ready_client(test_loop(), version, peer);
    CHECK_INT(conn_shutdown(client->c), 0);
    CHECK_INT(conn_set_idle_timeout(client->c, SHORT), 0);
    RUN_UNTIL(client->loop, client->errors);
    CHECK_FAILED_WITH(client, CONN_ERR_TIMEOUT, ETIMEDOUT);
}

/* It does not keep evloop_run running by itself, and the connection does. */
TEST(an_unreferenced_connection) {
    struct client *client = ready_client(test_loop(), 0, PEER(0));
    conn_unref(client->c);
    CHECK_INT(conn_set_idle_timeout(client->c, 3600), 0);
    evloop_run(client->loop);
    conn_ref(client->c);
    CHECK_INT(conn_set_idle_timeout(client->c, SHORT), 0);
    evloop_run(client->loop); /* until it has failed */
    check_timed_out(client);
}

/* ---- In callbacks ---------------------------------------------------------------------------------------------------- */

static void close_it(struct client *client) { client_close(client); }

static void free_the_loop(struct client *client) {
    evloop_free(client->loop);
    client->c = NULL;
    client->loop = NULL;
}

ALL_TRANSPORTS(ended_in_on_error) {
    struct peer *peer = peer_of(version, NULL, NULL);
    struct client *client = ready_client(test_loop(), version, peer);
    client->then_error = close_it;
    CHECK_INT(conn_set_idle_timeout(client->c, SHORT), 0);
    RUN_UNTIL(client->loop, client->c == NULL);
    client = ready_client(evloop_new(), version, peer);
    client->then_error = free_the_loop;
    CHECK_INT(conn_set_idle_timeout(client->c, SHORT), 0);
    evloop_run(client->loop);
    CHECK_INT(client->errors, 1);
}

static void set_in_callback(struct net_conn *c, void *arg) {
    (void)arg;
    CHECK_INT(conn_set_idle_timeout(c, SHORT), 0);
    conn_set_writable_callback(c, NULL, NULL);
    conn_set_readable_callback(c, NULL, NULL);
}

static void set_when_ready(struct client *client) { set_in_callback(client->c, NULL); }

ALL_TRANSPORTS(set_in_callbacks) {
    struct peer *peer = peer_of(version, send_something, NULL);
    struct conn_options o = options_of(version);
    struct ev_loop *loop = test_loop();
    struct client *at_ready = client_open(loop, "127.0.0.1", peer_port(peer), &o);
    at_ready->then_ready = set_when_ready;
    struct client *at_read = client_open(loop, "127.0.0.1", peer_port(peer), &o);
    conn_set_readable_callback(at_read->c, set_in_callback, NULL);
    struct client *at_write = client_open(loop, "127.0.0.1", peer_port(peer), &o);
    conn_set_writable_callback(at_write->c, set_in_callback, NULL);
    RUN_UNTIL(loop, at_ready->errors && at_read->errors && at_write->errors);
    check_timed_out(at_ready);
    check_timed_out(at_read);
    check_timed_out(at_write);
}

/* ---- In a pool ------------------------------------------------------------------------------------------------------------ */

static struct client *acquire(struct pconn_pool *pool, struct ev_loop *loop, struct peer *peer) {
    struct client *client = client_new(loop);
    client->c = pconn_acquire(pool, "http", "127.0.0.1", peer_port(peer), false, client_on_ready, client_on_error, client);
    CHECK_PTR_NOT_NULL(client->c);
    return client;
}

static void free_pool(void *pool) { pconn_pool_free(pool); }

/* The time-out is the user's, not the connection's; and before its next user has heard of it, nothing can be done with it. */
TEST(the_next_user_of_a_pooled_connection_has_none) {
    struct ev_loop *loop = test_loop();
    struct peer *peer = PEER(0);
    struct pconn_pool *pool = pconn_pool_new(loop);
    at_end(free_pool, pool);
    struct client *client = acquire(pool, loop, peer);
    client_wait_ready(client);
    client_echo(client, "the first user");
    CHECK_INT(conn_set_idle_timeout(client->c, SHORT), 0);
    struct net_conn *c = client->c;
    client->c = NULL;
    pconn_release(pool, c, true);
    pass(loop, 2 * SHORT);
    CHECK_INT(pconn_get_idle_count(pool), 1);
    struct client *next = acquire(pool, loop, peer);
    CHECK_ERRNO(conn_start_tls(next->c, NULL, NULL, NULL, NULL), EAGAIN);
    CHECK_ERRNO(conn_detach(next->c), EAGAIN);
    client_wait_ready(next);
    CHECK_INT(peer_accepted(peer), 1);
    pass(loop, 2 * SHORT);
    CHECK_INT(next->errors, 0);
    client_echo(next, "the next user");
    c = next->c;
    next->c = NULL;
    pconn_release(pool, c, true);
    /* Set before it is reported, it counts from there. */
    struct client *last = acquire(pool, loop, peer);
    CHECK_INT(conn_set_idle_timeout(last->c, SHORT), 0);
    client_wait_ready(last);
    RUN_UNTIL(loop, last->errors);
    check_timed_out(last);
    CHECK_INT(client->errors, 0);
}

/* What was lent and is taken out by its user is the pool's no more. */
TEST(a_lent_connection_is_detached) {
    struct ev_loop *loop = test_loop();
    struct peer *peer = PEER(0);
    struct pconn_pool *pool = pconn_pool_new(loop);
    at_end(free_pool, pool);
    struct client *client = acquire(pool, loop, peer);
    client_wait_ready(client);
    struct net_conn *c = client->c;
    client->c = NULL;
    int fd = conn_detach(c);
    CHECK(fd >= 0);
    CHECK_INT(pconn_get_total_count(pool), 0);
    close(fd);
}

/* ---- With STARTTLS ------------------------------------------------------------------------------------------------------ */

BOTH_VERSIONS(it_rests_during_a_handshake_and_goes_on_after_it) {
    struct gate gate = GATE;
    struct ev_loop *loop = test_loop();
    struct peer *peer = TLS_PEER(version, .no_handshake = true, .serve = accept_late, .arg = &gate);
    struct conn_options o = options(), t = tls_options();
    struct client *plain = client_open(loop, "localhost", peer_port(peer), &o);
    client_wait_ready(plain);
    CHECK_INT(conn_set_idle_timeout(plain->c, SHORT), 0);
    struct client *client = start_tls(plain, &t);
    struct evloop_timer *timer = evloop_timer_start(loop, 2 * SHORT, 0, open_gate, &gate);
    client_wait_ready(client);
    RUN_UNTIL(loop, client->errors);
    check_timed_out(client);
    evloop_timer_free(timer);
}

TEST_MAIN

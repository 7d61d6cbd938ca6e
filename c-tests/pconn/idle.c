/* What happens to connections while they are idle, and how many are kept for how long. */
#include "pooled.h"

#include <fcntl.h>
#include <math.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* An idle connection whose peer waits for the test's word. */
static struct pconn_pool *idle_pool(struct ev_loop *loop, int version, struct script *script, struct peer **peer,
                                    int *fd) {
    struct pconn_pool *pool = test_pool(loop);
    struct peer *p = peer_of(version, serve_script, script);
    struct client *client = acquire_ready(pool, loop, p, version);
    client_echo(client, "x");
    *fd = client->c->fd;
    give_back(pool, client);
    CHECK_COUNTS(pool, 1, 1);
    *peer = p;
    return pool;
}

/* ---- The peer ------------------------------------------------------------------------------------------------------ */

static void leaves(int version, void (*act)(struct peer_conn *pc)) {
    struct script *script = new_script(act);
    struct ev_loop *loop = test_loop();
    struct peer *peer;
    int fd;
    struct pconn_pool *pool = idle_pool(loop, version, script, &peer, &fd);
    run_rounds(loop);
    CHECK_COUNTS(pool, 1, 1);
    gate_open(&script->go);
    RUN_UNTIL(loop, pconn_get_idle_count(pool) == 0);
    CHECK_COUNTS(pool, 0, 0);
    CHECK_ERRNO(fcntl(fd, F_GETFD), EBADF);
}

ALL_TRANSPORTS(a_peer_that_closes) { leaves(version, act_close); }
ALL_TRANSPORTS(a_peer_that_resets) { leaves(version, act_reset); }
ALL_TRANSPORTS(a_peer_that_speaks_unasked) { leaves(version, act_speak); }

static void act_truncate(struct peer_conn *pc) {
    peer_truncate(pc);
    pc->ended = true;
}
BOTH_VERSIONS(a_peer_that_truncates) { leaves(version, act_truncate); }

static void act_garbage(struct peer_conn *pc) { CHECK_INT(write(pc->fd, "GET / HTTP/1.0\r\n", 16), 16); }
BOTH_VERSIONS(a_peer_that_speaks_no_tls) { leaves(version, act_garbage); }

/* Records that carry nothing for the program: the connection stays, and serves the next user. */
static void stays(int version, void (*act)(struct peer_conn *pc)) {
    struct script *script = new_script(act);
    struct ev_loop *loop = test_loop();
    struct peer *peer;
    int fd;
    struct pconn_pool *pool = idle_pool(loop, version, script, &peer, &fd);
    let_it_act(script);
    /* All that has come is read, and changes nothing. */
    while (evloop_run_once(loop, 0) > 0) CHECK_COUNTS(pool, 1, 1);
    run_rounds(loop);
    CHECK_COUNTS(pool, 1, 1);
    struct client *client = acquire_ready(pool, loop, peer, version);
    client_echo(client, "the same");
    CHECK_INT(peer_accepted(peer), 1);
}

static void act_ticket(struct peer_conn *pc) {
    CHECK_INT(SSL_new_session_ticket(pc->ssl), 1);
    CHECK_INT(SSL_do_handshake(pc->ssl), 1);
}
TEST(tickets_are_neither_unread_nor_unasked) { stays(TLS1_3_VERSION, act_ticket); }

static void act_key_update(struct peer_conn *pc) {
    CHECK_INT(SSL_key_update(pc->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    CHECK_INT(SSL_do_handshake(pc->ssl), 1);
}
TEST(key_updates_are_neither_unread_nor_unasked) { stays(TLS1_3_VERSION, act_key_update); }

static void act_many(struct peer_conn *pc) {
    for (int i = 0; i < 40; i++) {
        act_ticket(pc);
        act_key_update(pc);
    }
}
TEST(many_of_them_too) { stays(TLS1_3_VERSION, act_many); }

/* What comes right behind a ticket, in the same segment, is unasked all the same. */
static void act_ticket_and_speak(struct peer_conn *pc) {
    act_ticket(pc);
    act_speak(pc);
}
TEST(bytes_behind_a_ticket) { leaves(TLS1_3_VERSION, act_ticket_and_speak); }

/* They may also wait in the kernel when the connection is given back. */
static void unread_at_the_release(void (*act)(struct peer_conn *pc)) {
    struct script *script = new_script(act);
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = TLS_PEER(TLS1_3_VERSION, .serve = serve_script, .arg = script);
    struct client *client = acquire_ready(pool, loop, peer, TLS1_3_VERSION);
    client_echo(client, "x");
    let_it_act(script);
    give_back(pool, client);
    CHECK_COUNTS(pool, 1, 1);
    client = acquire_ready(pool, loop, peer, TLS1_3_VERSION);
    client_echo(client, "the same");
    CHECK_INT(peer_accepted(peer), 1);
}
TEST(an_unread_ticket_at_the_release) { unread_at_the_release(act_ticket); }
TEST(an_unread_key_update_at_the_release) { unread_at_the_release(act_key_update); }

static void act_renegotiate(struct peer_conn *pc) {
    CHECK_INT(SSL_renegotiate(pc->ssl), 1);
    SSL_do_handshake(pc->ssl); /* sends the request; what comes of it is the client's refusal */
}

/* TLS 1.2: refused, whereupon OpenSSL's server gives the connection up. */
TEST(a_renegotiation_is_refused) {
    struct script *script = new_script(act_renegotiate);
    struct ev_loop *loop = test_loop();
    struct peer *peer;
    int fd;
    struct pconn_pool *pool = idle_pool(loop, TLS1_2_VERSION, script, &peer, &fd);
    let_it_act(script);
    RUN_UNTIL(loop, pconn_get_idle_count(pool) == 0);
    struct client *client = acquire_ready(pool, loop, peer, TLS1_2_VERSION);
    client_echo(client, "another");
    CHECK_INT(peer_accepted(peer), 2);
}

/* ---- The loop ------------------------------------------------------------------------------------------------------ */

ALL_TRANSPORTS(an_idle_connection_makes_no_rounds) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = peer_of(version, NULL, NULL);
    struct client *client = acquire_ready(pool, loop, peer, version);
    client_echo(client, "x");
    conn_set_writable_callback(client->c, client_on_ready, client); /* would be called in each round */
    give_back(pool, client);
    evloop_run(loop); /* nothing is active */
    CHECK_COUNTS(pool, 1, 1);
    while (evloop_run_once(loop, 0) > 0) continue;
    CHECK_INT(evloop_run_once(loop, 0), 0);
    CHECK_COUNTS(pool, 1, 1);
}

/* ---- Limits -------------------------------------------------------------------------------------------------------- */

enum { MANY = 6 };

/* So many connections, given back in this order; fds by that order. */
static void fill(struct pconn_pool *pool, struct ev_loop *loop, struct peer *peer, int n, int fds[]) {
    struct client *clients[MANY];
    for (int i = 0; i < n; i++) {
        clients[i] = acquire_ready(pool, loop, peer, 0);
        client_echo(clients[i], "x");
        fds[i] = clients[i]->c->fd;
    }
    for (int i = 0; i < n; i++) give_back(pool, clients[i]);
}

static void expect_next(struct pconn_pool *pool, struct ev_loop *loop, struct peer *peer, int fd) {
    CHECK_INT(acquire(pool, loop, peer, 0)->c->fd, fd);
}

TEST(five_of_a_key_by_default) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = PEER(.serve = NULL), *other = PEER(.serve = NULL);
    int fds[MANY], more[2];
    fill(pool, loop, peer, MANY, fds);
    CHECK_COUNTS(pool, 5, 5);
    fill(pool, loop, other, 2, more);
    CHECK_COUNTS(pool, 7, 7);
    for (int i = MANY - 1; i > 0; i--) expect_next(pool, loop, peer, fds[i]);
    CHECK_COUNTS(pool, 2, 7);
    acquire(pool, loop, peer, 0); /* the oldest had been closed */
    CHECK_COUNTS(pool, 2, 8);
}

TEST(the_oldest_of_all_goes) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *a = PEER(.serve = NULL), *b = PEER(.serve = NULL);
    int first[3], second[3];
    pconn_pool_set_limits(pool, 3, 4, 300);
    fill(pool, loop, a, 3, first);
    fill(pool, loop, b, 3, second);
    CHECK_COUNTS(pool, 4, 4);
    expect_next(pool, loop, a, first[2]);
    CHECK_COUNTS(pool, 3, 4);
    acquire(pool, loop, a, 0);
    CHECK_COUNTS(pool, 3, 5);
    for (int i = 2; i >= 0; i--) expect_next(pool, loop, b, second[i]);
}

TEST(lower_limits_count_at_once) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *a = PEER(.serve = NULL), *b = PEER(.serve = NULL);
    int first[4], second[4];
    fill(pool, loop, a, 4, first);
    fill(pool, loop, b, 4, second);
    CHECK_COUNTS(pool, 8, 8);
    pconn_pool_set_limits(pool, 3, 256, 300);
    CHECK_COUNTS(pool, 6, 6);
    pconn_pool_set_limits(pool, 3, 4, 300);
    CHECK_COUNTS(pool, 4, 4);
    for (int i = 3; i >= 1; i--) expect_next(pool, loop, b, second[i]);
    expect_next(pool, loop, a, first[3]);
    CHECK_COUNTS(pool, 0, 4);
}

TEST(a_limit_of_zero_keeps_none) {
    static const struct {
        size_t of_a_key, of_all;
        double seconds;
    } none[] = {{0, 256, 300}, {5, 0, 300}, {5, 256, 0}, {5, 256, -1}};
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = PEER(.serve = NULL);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        int fd;
        pconn_pool_set_limits(pool, 5, 256, 300);
        fill(pool, loop, peer, 1, &fd);
        CHECK_COUNTS(pool, 1, 1);
        pconn_pool_set_limits(pool, none[i].of_a_key, none[i].of_all, none[i].seconds);
        CHECK_COUNTS(pool, 0, 0);
        fill(pool, loop, peer, 1, &fd);
        CHECK_COUNTS(pool, 0, 0);
    }
}

TEST(a_time_that_is_none_changes_nothing) {
    struct heard *heard = listen_to_the_log();
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    int fds[MANY];
    fill(pool, loop, PEER(.serve = NULL), MANY, fds);
    errno = 0;
    pconn_pool_set_limits(pool, 1, 1, NAN);
    CHECK_INT(errno, 0);
    CHECK_INT(heard->errors, 1);
    CHECK_CONTAINS(heard->last, "NaN");
    CHECK_COUNTS(pool, 5, 5);
}

TEST(an_idle_connection_grows_old) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = PEER(.serve = NULL);
    int fds[2];
    pconn_pool_set_limits(pool, 5, 256, 0.1);
    double begin = now();
    fill(pool, loop, peer, 2, fds);
    RUN_UNTIL(loop, pconn_get_idle_count(pool) == 0);
    CHECK(now() - begin >= 0.1);
    CHECK_COUNTS(pool, 0, 0);
    /* The next one has its own time. */
    begin = now();
    fill(pool, loop, peer, 1, fds);
    RUN_UNTIL(loop, pconn_get_idle_count(pool) == 0);
    CHECK(now() - begin >= 0.1);
}

static void note(void *flag) { *(bool *)flag = true; }

/* One that is lent when its time would have come is not touched, and its time begins anew when it is given back. */
TEST(a_lent_connection_does_not_grow_old) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = PEER(.serve = NULL);
    int fd;
    pconn_pool_set_limits(pool, 5, 256, 0.1);
    fill(pool, loop, peer, 1, &fd);
    struct client *client = acquire_ready(pool, loop, peer, 0);
    CHECK_INT(client->c->fd, fd);
    bool passed = false;
    struct evloop_timer *timer = evloop_timer_start(loop, 0.15, 0, note, &passed);
    RUN_UNTIL(loop, passed);
    evloop_timer_free(timer);
    client_echo(client, "still there");
    double begin = now();
    give_back(pool, client);
    CHECK_COUNTS(pool, 1, 1);
    RUN_UNTIL(loop, pconn_get_idle_count(pool) == 0);
    CHECK(now() - begin >= 0.1);
}

TEST(without_a_limit_nothing_grows_old) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    int fd;
    pconn_pool_set_limits(pool, 5, 256, INFINITY);
    fill(pool, loop, PEER(.serve = NULL), 1, &fd);
    CHECK_INT(evloop_timeout_ms(loop), -1);
    /* A shorter time counts for those that are idle already. */
    pconn_pool_set_limits(pool, 5, 256, 1000);
    CHECK_CMP(evloop_timeout_ms(loop), >, 0);
    pconn_pool_set_limits(pool, 5, 256, 0.05);
    RUN_UNTIL(loop, pconn_get_idle_count(pool) == 0);
}

static void pass(struct ev_loop *loop, double seconds) {
    bool passed = false;
    struct evloop_timer *timer = evloop_timer_start(loop, seconds, 0, note, &passed);
    RUN_UNTIL(loop, passed);
    evloop_timer_free(timer);
}

/* An idle time-out is its user's, and ends with the use. */
ALL_TRANSPORTS(the_idle_timeout_of_the_user_before_is_off) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = peer_of(version, NULL, NULL);
    struct client *client = acquire_ready(pool, loop, peer, version);
    client_echo(client, "x");
    CHECK_INT(conn_set_idle_timeout(client->c, 0.05), 0);
    give_back(pool, client);
    pass(loop, 0.1);
    CHECK_COUNTS(pool, 1, 1);
    client = acquire_ready(pool, loop, peer, version);
    pass(loop, 0.1);
    client_echo(client, "still there");
    give_back(pool, client);
    /* The next user's counts from READY on, also where it was asked for before. */
    client = acquire(pool, loop, peer, version);
    CHECK_INT(conn_set_idle_timeout(client->c, 0.05), 0);
    client_wait_ready(client);
    RUN_UNTIL(loop, client->errors);
    CHECK_INT(client->kind, CONN_ERR_TIMEOUT);
    CHECK_INT(client->error, ETIMEDOUT);
    give_back(pool, client);
    CHECK_COUNTS(pool, 0, 0);
}

/* ---- Closing them -------------------------------------------------------------------------------------------------- */

TEST(those_of_a_host_are_closed) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = PEER(.serve = NULL), *tls = TLS_PEER(TLS1_3_VERSION);
    static const char *const hosts[] = {"127.0.0.1", "localhost", "LOCALHOST"};
    struct client *clients[4];
    for (int i = 0; i < 3; i++) clients[i] = acquire_from(pool, loop, i == 2 ? "x" : "http", hosts[i], peer_port(peer), false);
    clients[3] = acquire_from(pool, loop, "https", "localhost", peer_port(tls), true);
    for (int i = 0; i < 4; i++) client_wait_ready(clients[i]);
    for (int i = 0; i < 4; i++) give_back(pool, clients[i]);
    CHECK_COUNTS(pool, 4, 4);
    struct client *lent = acquire_from(pool, loop, "https", "localhost", peer_port(tls), true);
    pconn_flush_for_host(pool, "nobody.example");
    CHECK_COUNTS(pool, 3, 4);
    pconn_flush_for_host(pool, "LocalHost");
    CHECK_COUNTS(pool, 1, 2);
    client_wait_ready(lent);
    client_echo(lent, "lent ones are left alone");
    pconn_shutdown_all(pool);
    CHECK_COUNTS(pool, 0, 1);
    give_back(pool, lent);
    CHECK_COUNTS(pool, 1, 1);
}

TEST_MAIN

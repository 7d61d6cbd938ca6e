/* Which connection a pool lends, and as what it comes. */
#include "pooled.h"
#include "../support/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

ALL_TRANSPORTS(a_released_connection_is_lent_again) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = peer_of(version, NULL, NULL);
    struct client *first = acquire_ready(pool, loop, peer, version);
    CHECK_COUNTS(pool, 0, 1);
    client_echo(first, "one");
    int fd = first->c->fd;
    give_back(pool, first);
    CHECK_COUNTS(pool, 1, 1);
    for (int i = 0; i < 3; i++) {
        struct client *again = acquire(pool, loop, peer, version);
        CHECK_COUNTS(pool, 0, 1);
        CHECK_INT(again->c->fd, fd);
        CHECK_INT(again->ready, 0);
        client_wait_ready(again);
        client_echo(again, "again");
        run_rounds(loop);
        CHECK_INT(again->ready, 1);
        give_back(pool, again);
        CHECK_COUNTS(pool, 1, 1);
    }
    CHECK_INT(peer_accepted(peer), 1);
    pconn_shutdown_all(pool);
    CHECK_COUNTS(pool, 0, 0);
}

/* One request after the other, each begun in the callback that ended the one before. */
struct chain {
    struct pconn_pool *pool;
    struct peer *peer;
    int version, left, fd;
    bool acquiring;
    struct net_conn *c;
};

static void chain_next(struct chain *chain);

static void chain_readable(struct net_conn *c, void *arg) {
    struct chain *chain = arg;
    char answer[16];
    ssize_t n = conn_try_read(c, answer, sizeof answer);
    if (n < 0 && errno == EAGAIN) return;
    CHECK_INT(n, 4);
    CHECK_MEM(answer, "ping", 4);
    pconn_release(chain->pool, c, true);
    CHECK_COUNTS(chain->pool, 1, 1);
    chain->c = NULL;
    if (--chain->left > 0) chain_next(chain);
}

static void chain_ready(struct net_conn *c, void *arg) {
    struct chain *chain = arg;
    CHECK(!chain->acquiring);
    CHECK_PTR(c, chain->c);
    if (!chain->fd) chain->fd = c->fd;
    CHECK_INT(c->fd, chain->fd);
    check_members(c);
    CHECK_INT(conn_try_write(c, "ping", 4), 4);
    conn_set_readable_callback(c, chain_readable, chain);
}

static void chain_error(struct net_conn *c, void *arg) {
    (void)arg;
    FAIL("%s", conn_get_error_msg(c));
}

static void chain_next(struct chain *chain) {
    chain->acquiring = true;
    chain->c = pconn_acquire(chain->pool, "x", "127.0.0.1", peer_port(chain->peer), chain->version != 0, chain_ready,
                             chain_error, chain);
    chain->acquiring = false;
    CHECK_PTR_NOT_NULL(chain->c);
}

ALL_TRANSPORTS(requests_in_a_row_use_one_connection) {
    struct ev_loop *loop = test_loop();
    struct chain chain = {.pool = test_pool(loop), .peer = peer_of(version, NULL, NULL), .version = version, .left = 100};
    chain_next(&chain);
    evloop_run(loop); /* ends: the idle connection does not keep it */
    CHECK_INT(chain.left, 0);
    CHECK_COUNTS(chain.pool, 1, 1);
    CHECK_INT(peer_accepted(chain.peer), 1);
}

ALL_TRANSPORTS(the_newest_comes_first) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = peer_of(version, NULL, NULL);
    struct client *clients[3];
    int fds[3];
    for (int i = 0; i < 3; i++) {
        clients[i] = acquire_ready(pool, loop, peer, version);
        fds[i] = clients[i]->c->fd;
    }
    give_back(pool, clients[1]);
    give_back(pool, clients[0]);
    give_back(pool, clients[2]);
    CHECK_COUNTS(pool, 3, 3);
    CHECK_INT(acquire_ready(pool, loop, peer, version)->c->fd, fds[2]);
    CHECK_INT(acquire_ready(pool, loop, peer, version)->c->fd, fds[0]);
    CHECK_INT(acquire_ready(pool, loop, peer, version)->c->fd, fds[1]);
    CHECK_COUNTS(pool, 0, 3);
    client_echo(acquire_ready(pool, loop, peer, version), "a new one");
    CHECK_INT(peer_accepted(peer), 4);
}

/* Whether a connection released under the first name serves the second. */
static bool shares(const char *scheme, const char *host, const char *other_scheme, const char *other_host) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = PEER(.serve = NULL);
    struct client *first = acquire_from(pool, loop, scheme, host, peer_port(peer), false);
    client_wait_ready(first);
    give_back(pool, first);
    acquire_from(pool, loop, other_scheme, other_host, peer_port(peer), false);
    return pconn_get_total_count(pool) == 1;
}

TEST(the_key_is_scheme_and_host_without_case) {
    CHECK(shares("http", "localhost", "http", "LocalHost"));
    CHECK(shares("http", "localhost", "HTTP", "localhost"));
    CHECK(!shares("http", "localhost", "ftp", "localhost"));
    CHECK(!shares("http", "localhost", "http", "127.0.0.1"));
}

TEST(the_key_holds_the_port_and_tls) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *plain = PEER(.serve = NULL), *other = PEER(.serve = NULL);
    struct peer *tls = TLS_PEER(TLS1_3_VERSION);
    give_back(pool, acquire_ready(pool, loop, plain, 0));
    struct client *elsewhere = acquire_ready(pool, loop, other, 0);
    CHECK_COUNTS(pool, 1, 2);
    give_back(pool, elsewhere);
    give_back(pool, acquire_ready(pool, loop, tls, TLS1_3_VERSION));
    CHECK_COUNTS(pool, 3, 3);
    /* The port of the TLS server, without TLS: a new connection, whatever comes of it. */
    client_close(acquire_from(pool, loop, "https", "127.0.0.1", peer_port(tls), false));
    CHECK_COUNTS(pool, 3, 3);
    CHECK_INT(acquire(pool, loop, tls, TLS1_3_VERSION)->c->fd >= 0, true);
    CHECK_COUNTS(pool, 2, 3);
}

/* Nobody listens there, and nobody has to: the pool's own numbers say what it took for the same. */
TEST(no_port_is_the_default_port) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct client *client = acquire_from(pool, loop, "http", "127.0.0.1", NULL, false);
    CHECK_STR(conn_get_port(client->c), "80");
    client_close(client);
    client = acquire_from(pool, loop, "https", "127.0.0.1", NULL, true);
    CHECK_STR(conn_get_port(client->c), "443");
}

TEST(no_port_shares_with_the_default_port_as_text) {
    enter_world();
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *http = PEER(.port = 80), *https = PEER(.port = 443, .cert = CERT_GOOD, .key = CERT_GOOD_KEY);
    for (int tls = 0; tls < 2; tls++) {
        struct client *first = acquire_from(pool, loop, "x", "127.0.0.1", tls ? "443" : "80", tls);
        client_wait_ready(first);
        give_back(pool, first);
        struct client *second = acquire_from(pool, loop, "x", "127.0.0.1", NULL, tls);
        CHECK_COUNTS(pool, tls, tls + 1);
        client_wait_ready(second);
        give_back(pool, second);
    }
    CHECK_INT(peer_accepted(http), 1);
    CHECK_INT(peer_accepted(https), 1);
}

TEST(another_default_context_makes_another_connection) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = TLS_PEER(TLS1_3_VERSION);
    give_back(pool, acquire_ready(pool, loop, peer, TLS1_3_VERSION));
    SocketTLSContext_T other = tls_client_context();
    CHECK_INT(conn_set_default_tls(other), 0);
    struct client *second = acquire_ready(pool, loop, peer, TLS1_3_VERSION);
    CHECK_COUNTS(pool, 1, 2);
    give_back(pool, second);
    /* The same context with other settings is another one, too. */
    CHECK_INT(netconn_tls_set_verify(other, NETCONN_TLS_VERIFY_NONE), 0);
    second = acquire_ready(pool, loop, peer, TLS1_3_VERSION);
    CHECK_COUNTS(pool, 2, 3);
    give_back(pool, second);
    acquire_ready(pool, loop, peer, TLS1_3_VERSION);
    CHECK_INT(peer_accepted(peer), 3);
}

static void set_flag(struct net_conn *c, void *flag) {
    (void)c;
    *(bool *)flag = true;
}

static void never(struct net_conn *c, void *arg) {
    (void)c, (void)arg;
    FAIL("a callback of the user before");
}

ALL_TRANSPORTS(the_next_user_starts_afresh) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = peer_of(version, NULL, NULL);
    struct client *first = acquire_ready(pool, loop, peer, version);
    conn_set_readable_callback(first->c, never, "readable");
    conn_set_writable_callback(first->c, never, "writable");
    conn_set_data(first->c, "data");
    conn_unref(first->c);
    give_back(pool, first);
    run_rounds(loop);
    struct client *second = acquire(pool, loop, peer, version);
    CHECK_COUNTS(pool, 0, 1);
    CHECK(second->c->readable_cb == NULL && second->c->writable_cb == NULL);
    CHECK_PTR_NULL(second->c->rw_arg);
    CHECK_PTR_NULL(conn_get_data(second->c));
    CHECK_PTR(second->c->cb_arg, second);
    /* It keeps the loop running until it is ready. */
    second->then_ready = client_close;
    evloop_run(loop);
    CHECK_INT(second->ready, 1);
    CHECK_COUNTS(pool, 0, 0);
}

/* Callbacks that are set between the acquisition and on_ready count from on_ready on. */
ALL_TRANSPORTS(callbacks_can_be_set_before_ready) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = peer_of(version, NULL, NULL);
    give_back(pool, acquire_ready(pool, loop, peer, version));
    struct client *second = acquire(pool, loop, peer, version);
    bool readable = false, writable = false;
    conn_set_readable_callback(second->c, set_flag, &readable);
    conn_set_writable_callback(second->c, set_flag, &writable);
    client_wait_ready(second);
    RUN_UNTIL(loop, writable);
    CHECK(!readable);
    conn_set_writable_callback(second->c, NULL, NULL);
    CHECK_INT(conn_try_write(second->c, "x", 1), 1);
    RUN_UNTIL(loop, readable);
    char byte;
    client_read(second, &byte, 1); /* readable may have been a ticket alone */
}

/* An idle connection never stopped being READY; nothing can be moved until its new user knows that it lives. */
ALL_TRANSPORTS(it_is_ready_and_gives_nothing_before_the_report) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = peer_of(version, NULL, NULL);
    give_back(pool, acquire_ready(pool, loop, peer, version));
    struct client *second = acquire(pool, loop, peer, version);
    char byte = 'x';
    CHECK_INT(conn_get_state(second->c), CONN_READY);
    CHECK_INT(second->c->state, CONN_READY);
    CHECK_INT(second->ready, 0);
    CHECK_ERRNO(conn_try_read(second->c, &byte, 1), EAGAIN);
    CHECK_ERRNO(conn_try_write(second->c, &byte, 1), EAGAIN);
    CHECK_ERRNO(conn_shutdown(second->c), EAGAIN);
    if (version == 0) {
        CHECK_ERRNO(conn_detach(second->c), EAGAIN);
        CHECK_ERRNO(conn_start_tls(second->c, NULL, NULL, NULL, NULL), EAGAIN);
    }
    client_wait_ready(second);
    client_echo(second, "now it does");
    client_close(second);
    CHECK_COUNTS(pool, 0, 0);
}

ALL_TRANSPORTS(a_connection_of_the_programs_own_is_adopted) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = peer_of(version, NULL, NULL);
    struct client *own = client_new(loop);
    own->c = conn_new(loop, "127.0.0.1", peer_port(peer), version != 0, client_on_ready, client_on_error, own);
    client_wait_ready(own);
    CHECK_COUNTS(pool, 0, 0);
    int fd = own->c->fd;
    give_back(pool, own);
    CHECK_COUNTS(pool, 1, 1);
    struct client *other = acquire_from(pool, loop, "other", "127.0.0.1", peer_port(peer), version != 0);
    CHECK_COUNTS(pool, 1, 2);
    client_close(other);
    struct client *again = acquire_ready(pool, loop, peer, version);
    CHECK_INT(again->c->fd, fd);
    client_echo(again, "adopted");
}

/* What was verified under other conditions than the default ones must not pass for verified. */
TEST(an_adopted_connection_of_another_context_is_not_lent_for_the_default) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = TLS_PEER(TLS1_3_VERSION);
    SocketTLSContext_T lax = tls_client_context();
    CHECK_INT(netconn_tls_set_verify(lax, NETCONN_TLS_VERIFY_NONE), 0);
    struct conn_options o = options();
    o.use_tls = true;
    o.tls = lax;
    struct client *own = client_open(loop, "127.0.0.1", peer_port(peer), &o);
    client_wait_ready(own);
    give_back(pool, own);
    CHECK_COUNTS(pool, 1, 1);
    struct client *strict = acquire_ready(pool, loop, peer, TLS1_3_VERSION);
    CHECK_INT(conn_get_verify_result(strict->c), 0);
    CHECK_COUNTS(pool, 1, 2);
    CHECK_INT(conn_set_default_tls(lax), 0);
    acquire_ready(pool, loop, peer, TLS1_3_VERSION);
    CHECK_COUNTS(pool, 0, 2);
}

/* The same for the name: the certificate was checked for localhost, not for the address. */
TEST(an_adopted_connection_of_another_name_is_not_lent_for_the_host) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = TLS_PEER(TLS1_3_VERSION);
    struct conn_options o = options();
    o.use_tls = true;
    o.server_name = "localhost";
    struct client *own = client_open(loop, "127.0.0.1", peer_port(peer), &o);
    client_wait_ready(own);
    give_back(pool, own);
    acquire_ready(pool, loop, peer, TLS1_3_VERSION);
    CHECK_COUNTS(pool, 1, 2);
}

/* Agrees on TLS with one byte, and echoes over it. */
static void serve_after_agreeing(struct peer_conn *pc) {
    char byte;
    if (recv(pc->fd, &byte, 1, 0) != 1) return;
    CHECK_INT(send(pc->fd, &byte, 1, MSG_NOSIGNAL), 1);
    CHECK_INT(SSL_accept(pc->ssl), 1);
    serve_echo(pc);
}

/* A plain connection that went to TLS while it was lent is lent no more as a plain one, and keeps its scheme. */
BOTH_VERSIONS(a_connection_that_went_to_tls_is_lent_with_it) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = TLS_PEER(version, .no_handshake = true, .serve = serve_after_agreeing);
    struct client *client = acquire_from(pool, loop, "smtp", "localhost", peer_port(peer), false);
    client_wait_ready(client);
    client_echo(client, "S");
    client->ready = 0;
    CHECK_INT(conn_start_tls(client->c, NULL, client_on_ready, client_on_error, client), 0);
    client_wait_ready(client);
    client_echo(client, "over TLS");
    int fd = client->c->fd;
    give_back(pool, client);
    CHECK_COUNTS(pool, 1, 1);
    client_close(acquire_from(pool, loop, "smtp", "localhost", peer_port(peer), false));
    client_close(acquire_from(pool, loop, "smtp", "127.0.0.1", peer_port(peer), true));
    client_close(acquire_from(pool, loop, "https", "localhost", peer_port(peer), true));
    CHECK_COUNTS(pool, 1, 1);
    client = acquire_from(pool, loop, "smtp", "localhost", peer_port(peer), true);
    CHECK_INT(client->c->fd, fd);
    client_wait_ready(client);
    client_echo(client, "still TLS");
}

TEST(a_detached_connection_counts_no_more) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct client *client = acquire_ready(pool, loop, PEER(.serve = NULL), 0);
    client_echo(client, "x");
    int fd = conn_detach(client->c);
    CHECK(fd >= 0);
    client->c = NULL;
    CHECK_COUNTS(pool, 0, 0);
    close(fd);
}

TEST(a_connection_moves_from_pool_to_pool) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *one = test_pool(loop), *two = test_pool(loop);
    struct peer *peer = PEER(.serve = NULL);
    struct client *client = acquire_ready(one, loop, peer, 0);
    give_back(two, client);
    CHECK_COUNTS(one, 0, 0);
    CHECK_COUNTS(two, 1, 1);
    client = acquire_ready(two, loop, peer, 0);
    client_echo(client, "the same");
    CHECK_INT(peer_accepted(peer), 1);
    client_close(client);
    CHECK_COUNTS(two, 0, 0);
}

TEST(unix_sockets_are_pooled) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    char path[200], host[220], shouting[220];
    snprintf(path, sizeof path, "%s/socket", temp_dir());
    snprintf(host, sizeof host, "unix:%s", path);
    snprintf(shouting, sizeof shouting, "unix:%s/SOCKET", temp_dir());
    struct peer *peer = PEER(.family = AF_UNIX, .address = path);
    struct client *first = acquire_from(pool, loop, "http", host, NULL, false);
    client_wait_ready(first);
    client_echo(first, "first");
    give_back(pool, first);
    /* Paths have case. */
    struct client *other = acquire_from(pool, loop, "http", shouting, NULL, false);
    client_wait_error(other);
    client_close(other);
    CHECK_COUNTS(pool, 1, 1);
    struct client *again = acquire_from(pool, loop, "http", host, NULL, false);
    client_wait_ready(again);
    client_echo(again, "again");
    CHECK_INT(peer_accepted(peer), 1);
    give_back(pool, again);
    pconn_flush_for_host(pool, shouting);
    CHECK_COUNTS(pool, 1, 1);
    pconn_flush_for_host(pool, host);
    CHECK_COUNTS(pool, 0, 0);
    CHECK_NULL_ERRNO(pconn_acquire(pool, "https", host, NULL, true, NULL, NULL, NULL), EINVAL);
    CHECK_COUNTS(pool, 0, 0);
}

TEST(a_failed_connection_counts_until_it_is_closed) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct client *client = acquire_from(pool, loop, "http", "127.0.0.1", refused_port(), false);
    client_wait_error(client);
    CHECK_COUNTS(pool, 0, 1);
    give_back(pool, client);
    CHECK_COUNTS(pool, 0, 0);
    client = acquire_from(pool, loop, "http", "127.0.0.1", "70000", false);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_INVALID, EINVAL);
    client_close(client);
    CHECK_COUNTS(pool, 0, 0);
}

TEST_MAIN

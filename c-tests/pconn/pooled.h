/* pooled.h - clients (support/client.h) whose connections come from a pool. */
#ifndef NETCONN_TESTS_POOLED_H
#define NETCONN_TESTS_POOLED_H

#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "pconn.h"

/* For peers that must not end before the test says so. */
static inline void serve_gate(struct peer_conn *pc) {
    gate_wait(pc->arg);
}

/* A pool on a loop of the test's own, which frees it. The default context trusts the test CA. */
static inline struct pconn_pool *test_pool(struct ev_loop *loop) {
    CHECK_INT(conn_set_default_tls(tls_client_context()), 0);
    struct pconn_pool *pool = pconn_pool_new(loop);
    CHECK_PTR_NOT_NULL(pool);
    CHECK_INT(pconn_get_idle_count(pool), 0);
    CHECK_INT(pconn_get_total_count(pool), 0);
    return pool;
}

static inline struct client *acquire_from(struct pconn_pool *pool, struct ev_loop *loop, const char *scheme,
                                          const char *host, const char *port, bool tls) {
    struct client *client = client_new(loop);
    client->calling = true;
    client->c = pconn_acquire(pool, scheme, host, port, tls, client_on_ready, client_on_error, client);
    client->calling = false;
    if (!client->c) FAIL("pconn_acquire(%s, %s): %s", host, port ? port : "NULL", strerror(errno));
    CHECK(conn_get_state(client->c) != CONN_READY);
    check_members(client->c);
    CHECK_ERRNO(conn_try_write(client->c, "early", 5), ENOTCONN);
    return client;
}

/* A connection of the pool's to a peer on 127.0.0.1, not READY yet. */
static inline struct client *acquire(struct pconn_pool *pool, struct ev_loop *loop, struct peer *peer, int version) {
    return acquire_from(pool, loop, version ? "https" : "http", "127.0.0.1", peer_port(peer), version != 0);
}

static inline struct client *acquire_ready(struct pconn_pool *pool, struct ev_loop *loop, struct peer *peer, int version) {
    struct client *client = acquire(pool, loop, peer, version);
    client_wait_ready(client);
    return client;
}

static inline void give_back(struct pconn_pool *pool, struct client *client) {
    struct net_conn *c = client->c;
    client->c = NULL;
    client->calling = true;
    pconn_release(pool, c, true);
    client->calling = false;
}

#define CHECK_COUNTS(pool, idle, total)                                                                                \
    do {                                                                                                               \
        CHECK_INT(pconn_get_idle_count(pool), idle);                                                                   \
        CHECK_INT(pconn_get_total_count(pool), total);                                                                 \
    } while (0)

#endif

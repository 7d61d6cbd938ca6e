/* pooled.h - clients (support/client.h) whose connections come from a pool. */
#ifndef NETCONN_TESTS_POOLED_H
#define NETCONN_TESTS_POOLED_H

#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "netconn.h"
#include "pconn.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>

/* A pool on a loop of the test's own, which frees it. The default context, where there is one, trusts the test CA. */
static inline struct pconn_pool *test_pool(struct ev_loop *loop) {
    if (netconn_openssl()) CHECK_INT(conn_set_default_tls(tls_client_context()), 0);
    struct conn_options o = options();
    o.connect_timeout = o.tls_timeout = slow(10); /* under a checker things take their time */
    CHECK_INT(conn_set_default_options(&o), 0);
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
    CHECK_INT(client->ready, 0); /* it is told from the loop */
    check_members(client->c);
    /* An idle one is READY as before, but moves nothing until then. */
    CHECK_ERRNO(conn_try_write(client->c, "early", 5), conn_get_state(client->c) == CONN_READY ? EAGAIN : ENOTCONN);
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

static inline void fail_on_error(struct net_conn *c, void *arg) {
    (void)arg;
    FAIL("%s", conn_get_error_msg(c));
}

/* ---- What the log says ------------------------------------------------------------------------------------------- */

struct heard {
    int errors; /* lines at that level */
    char last[400];
};

static inline void hear(int level, const char *message, void *arg) {
    struct heard *heard = arg;
    if (level != NETCONN_LOG_ERROR) return;
    heard->errors++;
    snprintf(heard->last, sizeof heard->last, "%s", message);
}

static inline struct heard *listen_to_the_log(void) {
    struct heard *heard = alloc(sizeof *heard);
    netconn_set_log(hear, heard);
    return heard;
}

/* ---- A peer that does what the test says, when it says so ---------------------------------------------------------- */

/* What is written leaves at once, whatever was not acknowledged yet. */
static inline void no_delay(struct peer_conn *pc) {
    int on = 1;
    CHECK_INT(setsockopt(pc->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
}

struct script {
    void (*act)(struct peer_conn *pc);
    struct gate go, done;
    struct peer_conn *pc;
};

/* Echoes one message, so that both sides know the connection to be there; acts when told to; echoes on. */
static inline void serve_script(struct peer_conn *pc) {
    struct script *script = pc->arg;
    if (pc->number > 0) {
        serve_echo(pc);
        return;
    }
    no_delay(pc);
    char buf[64];
    ssize_t n = peer_read(pc, buf, sizeof buf);
    CHECK(n > 0 && peer_write(pc, buf, (size_t)n));
    gate_wait(&script->go);
    script->act(pc);
    gate_open(&script->done);
    if (!pc->ended) serve_echo(pc);
}

static inline struct script *new_script(void (*act)(struct peer_conn *pc)) {
    struct script *script = alloc(sizeof *script);
    *script = (struct script){.act = act, .go = GATE, .done = GATE};
    return script;
}

/* On loopback what the peer has done by then is known to our kernel. */
static inline void let_it_act(struct script *script) {
    gate_open(&script->go);
    gate_wait(&script->done);
}

static inline void act_close(struct peer_conn *pc) {
    peer_end_writing(pc);
}
static inline void act_reset(struct peer_conn *pc) {
    peer_reset(pc);
    pc->ended = true;
}
static inline void act_speak(struct peer_conn *pc) {
    CHECK(peer_write(pc, "HTTP/1.1 408 Request Timeout\r\n\r\n", 33));
}

#define CHECK_COUNTS(pool, idle, total)                                                                                \
    do {                                                                                                               \
        CHECK_INT(pconn_get_idle_count(pool), idle);                                                                   \
        CHECK_INT(pconn_get_total_count(pool), total);                                                                 \
    } while (0)

#endif

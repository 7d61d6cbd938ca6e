/*
 * tls.h - connections over TLS, of which the client is in a pool: the test makes the steps of both ends.
 */
#ifndef NETCONN_TESTS_SOCKET_POOL_TLS_H
#define NETCONN_TESTS_SOCKET_POOL_TLS_H

#include "pool.h"

#include "../support/certs.h"
#include "core/SocketFeatures.h"

#if SOCKET_HAS_TLS

#include "tls/SocketTLS.h"
#include "tls/SocketTLSContext.h"

#include <fcntl.h>
#include <poll.h>

/* A server: one place, one context. */
struct server {
    Socket_T listener;
    SocketTLSContext_T context;
    SSL_CTX *ssl_ctx;
};

struct pair {
    Socket_T client, server;
};

static void end_socket(void *socket) { Socket_free(socket); }
static void end_context(void *context) { SocketTLSContext_free(context); }

static inline SocketTLSContext_T of_test(SocketTLSContext_T context) {
    SocketTLSContext_T *place = alloc(sizeof *place);
    *place = context;
    at_end(end_context, place);
    return context;
}

static inline struct server *new_server(void) {
    struct server *server = alloc(sizeof *server);
    server->listener = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_bind(server->listener, "127.0.0.1", 0);
    Socket_listen(server->listener, 16);
    at_end(end_socket, &server->listener);
    server->context = of_test(SocketTLSContext_new_server(cert(CERT_GOOD), cert(CERT_GOOD_KEY), NULL));
    server->ssl_ctx = SocketTLSContext_get_ssl_ctx(server->context);
    return server;
}

static inline SocketTLSContext_T new_client(int version) {
    SocketTLSContext_T context = of_test(SocketTLSContext_new_client(cert(CERT_CA)));
    SocketTLSContext_set_min_protocol(context, version);
    SocketTLSContext_set_max_protocol(context, version);
    return context;
}

/* A connection with TLS enabled on both ends, before the handshake; non-blocking. */
static inline struct pair new_pair(struct server *server, SocketTLSContext_T context, const char *name) {
    struct pair pair;
    pair.client = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_connect(pair.client, "127.0.0.1", Socket_getlocalport(server->listener));
    CHECK_INT(Socket_isconnected(pair.client), 1);
    pair.server = Socket_accept(server->listener);
    Socket_setnonblocking(pair.client);
    Socket_setnonblocking(pair.server);
    SocketTLS_enable(pair.client, context);
    SocketTLS_enable(pair.server, server->context);
    SocketTLS_set_hostname(pair.client, name);
    return pair;
}

static inline void await_bytes(Socket_T socket) {
    struct pollfd polled = {Socket_fd(socket), POLLIN, 0};
    CHECK_INT(poll(&polled, 1, (int)(20000 * slow(1))), 1);
}

/* Shakes hands, and sends a byte to the client, with which tickets come. */
static inline void acquaint(struct pair *pair) {
    TLSHandshakeState ours = TLS_HANDSHAKE_NOT_STARTED, theirs = TLS_HANDSHAKE_NOT_STARTED;
    for (int round = 0; ours != TLS_HANDSHAKE_COMPLETE || theirs != TLS_HANDSHAKE_COMPLETE; round++) {
        CHECK_CMP(round, <, 1000);
        ours = SocketTLS_handshake(pair->client);
        theirs = SocketTLS_handshake(pair->server);
    }
    char byte = 0;
    CHECK_INT(Socket_send(pair->server, "x", 1), 1);
    while (Socket_recv(pair->client, &byte, 1) == 0) await_bytes(pair->client);
    CHECK_INT(byte, 'x');
}

static inline void free_pair(struct pair *pair) {
    Socket_free(&pair->client);
    Socket_free(&pair->server);
}

/* A connection whose client is added before its handshake and removed after it. Whether it resumed a session. */
static inline int visit(SocketPool_T pool, struct server *server, SocketTLSContext_T context, const char *name) {
    struct pair pair = new_pair(server, context, name);
    CHECK_PTR_NOT_NULL(SocketPool_add(pool, pair.client));
    acquaint(&pair);
    int reused = SocketTLS_is_session_reused(pair.client);
    CHECK_INT(SocketTLS_is_session_reused(pair.server), reused);
    SocketPool_remove(pool, pair.client);
    free_pair(&pair);
    return reused;
}

/* Tests that hold for both versions. */
#define FOR_BOTH_VERSIONS(name)                                                                                        \
    static void name##_under(int version);                                                                             \
    TEST(name##_tls12) { name##_under(TLS1_2_VERSION); }                                                               \
    TEST(name##_tls13) { name##_under(TLS1_3_VERSION); }                                                               \
    static void name##_under(int version)

#endif

#endif

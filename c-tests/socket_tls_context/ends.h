/*
 * ends.h - the two ends of a TLS connection over a pair of sockets, driven by one thread in turns.
 */
#ifndef NETCONN_TESTS_ENDS_H
#define NETCONN_TESTS_ENDS_H

#include "contexts.h"

#include "socket/Socket.h"
#include "tls/SocketTLS.h"

/* One end: where its handshake stands. */
struct end {
    Socket_T socket;
    TLSHandshakeState state;
    /* What its handshake raised, NULL so far; and with which words. */
    const Except_T *raised;
    char words[600];
};

struct ends {
    struct end client, server;
};

/* Connections that are not freed yet. */
static int ends_alive;

static void free_ends(void *arg) {
    struct ends *ends = arg;
    Socket_free(&ends->client.socket);
    Socket_free(&ends->server.socket);
    if (--ends_alive == 0) CHECK_INT(Socket_debug_live_count(), 0);
}

/* Two sockets with TLS on them, before the handshake; the client expects `name` (NULL: nothing is said of it). */
__attribute__((unused)) static struct ends *ends_of(SocketTLSContext_T client, SocketTLSContext_T server, const char *name) {
    struct ends *ends = alloc(sizeof *ends);
    memset(ends, 0, sizeof *ends);
    SocketPair_new(SOCK_STREAM, &ends->client.socket, &ends->server.socket);
    ends_alive++;
    at_end(free_ends, ends);
    Socket_setnonblocking(ends->client.socket);
    Socket_setnonblocking(ends->server.socket);
    SocketTLS_enable(ends->client.socket, client);
    SocketTLS_enable(ends->server.socket, server);
    if (name != NULL) SocketTLS_set_hostname(ends->client.socket, name);
    return ends;
}

/* One step of one end. */
__attribute__((unused)) static void step(struct end *end) {
    if (end->raised != NULL || end->state == TLS_HANDSHAKE_COMPLETE) return;
    TRY { end->state = SocketTLS_handshake(end->socket); }
    ELSE {
        end->raised = Except_frame.exception->type;
        snprintf(end->words, sizeof end->words, "%s", Except_frame.exception->reason);
    }
    END_TRY;
}

/* Both handshakes, to their ends; whether both are complete. */
__attribute__((unused)) static bool shake(struct ends *ends) {
    for (int i = 0; i < 10; i++) {
        step(&ends->client);
        step(&ends->server);
    }
    return ends->client.state == TLS_HANDSHAKE_COMPLETE && ends->client.raised == NULL &&
           ends->server.state == TLS_HANDSHAKE_COMPLETE && ends->server.raised == NULL;
}

/* A byte from the server to the client. */
__attribute__((unused)) static void exchange(struct ends *ends) {
    char byte = 'x';
    CHECK_INT(SocketTLS_send(ends->server.socket, &byte, 1), 1);
    byte = 0;
    CHECK_INT(SocketTLS_recv(ends->client.socket, &byte, 1), 1);
    CHECK_INT(byte, 'x');
}

/* A connection that must come to be. */
__attribute__((unused)) static struct ends *connected(SocketTLSContext_T client, SocketTLSContext_T server, const char *name) {
    struct ends *ends = ends_of(client, server, name);
    if (!shake(ends)) FAIL("client: %s, server: %s", ends->client.words, ends->server.words);
    exchange(ends);
    return ends;
}

/* A connection that the client must refuse; its words. */
__attribute__((unused)) static const char *refused(SocketTLSContext_T client, SocketTLSContext_T server, const char *name) {
    struct ends *ends = ends_of(client, server, name);
    if (shake(ends)) FAIL("was not refused");
    CHECK_PTR(ends->client.raised, &SocketTLS_HandshakeFailed);
    return ends->client.words;
}

__attribute__((unused)) static int accept_all(int preverify_ok, X509_STORE_CTX *x509, SocketTLSContext_T context, Socket_T socket,
                                              void *arg) {
    (void)preverify_ok, (void)x509, (void)context, (void)socket, (void)arg;
    return 1;
}

/* The certificate that the client is shown, whether it is for the name or not. */
__attribute__((unused)) static SocketTLS_CertInfo certificate(SocketTLSContext_T client, SocketTLSContext_T server,
                                                              const char *name) {
    SocketTLS_CertInfo info;
    SocketTLSContext_set_verify_callback(client, accept_all, NULL);
    struct ends *ends = connected(client, server, name);
    CHECK_INT(SocketTLS_get_peer_cert_info(ends->client.socket, &info), 1);
    SocketTLSContext_set_verify_callback(client, NULL, NULL);
    return info;
}

/* Its subject. */
__attribute__((unused)) static const char *shown(SocketTLSContext_T client, SocketTLSContext_T server, const char *name) {
    static SocketTLS_CertInfo info;
    info = certificate(client, server, name);
    return info.subject;
}

#endif

/*
 * interop.h - blocking connections of the Socket family with programs that no one here wrote.
 */
#ifndef NETCONN_TESTS_SOCKET_TLS_INTEROP_H
#define NETCONN_TESTS_SOCKET_TLS_INTEROP_H

#include "../support/programs.h"
#include "pair.h"

#include <stdio.h>
#include <stdlib.h>

static inline const char *flag_of(int version) { return version == TLS1_2_VERSION ? "-tls1_2" : "-tls1_3"; }
static inline const char *name_of(int version) { return version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3"; }

/* A blocking connection to a port of 127.0.0.1, with TLS on it, before the handshake. */
static inline Socket_T call(const char *port, SocketTLSContext_T context) {
    Socket_T socket = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_connect(socket, "127.0.0.1", atoi(port));
    CHECK_INT(Socket_isconnected(socket), 1);
    SocketTLS_enable(socket, context);
    SocketTLS_set_hostname(socket, "localhost");
    return socket;
}

static inline void shake(Socket_T socket, int version) {
    CHECK_INT(SocketTLS_handshake_auto(socket), TLS_HANDSHAKE_COMPLETE);
    CHECK_STR(SocketTLS_get_version(socket), name_of(version));
    CHECK_INT(SocketTLS_get_verify_result(socket), X509_V_OK);
}

/* Bytes there and, as the peer turns lines round, back. */
static inline void reversed(Socket_T socket) {
    CHECK_INT(SocketTLS_send(socket, "abcdef\n", 7), 7);
    expect(socket, "fedcba\n");
}

/* A listener on 127.0.0.1 and its port. */
static inline Socket_T listening(char port[8]) {
    Socket_T listener = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_bind(listener, "127.0.0.1", 0);
    Socket_listen(listener, 8);
    snprintf(port, 8, "%d", Socket_getlocalport(listener));
    return listener;
}

/* The next client of a listener, after its handshake. */
static inline Socket_T answer(Socket_T listener, SocketTLSContext_T context) {
    Socket_T socket = Socket_accept(listener);
    CHECK_PTR_NOT_NULL(socket);
    SocketTLS_enable(socket, context);
    CHECK_INT(SocketTLS_handshake(socket), TLS_HANDSHAKE_COMPLETE);
    return socket;
}

struct bytes {
    unsigned char bytes[16384];
    size_t len;
};

static inline void keep(Socket_T socket, struct bytes *session) {
    session->len = sizeof session->bytes;
    CHECK_INT(SocketTLS_session_save(socket, session->bytes, &session->len), 1);
}

#endif

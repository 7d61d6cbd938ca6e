/*
 * pair.h - two ends of a connection, both of the Socket family, with TLS on them: the test makes the steps of both. Nothing
 * waits where nothing can come.
 */
#ifndef NETCONN_TESTS_SOCKET_TLS_PAIR_H
#define NETCONN_TESTS_SOCKET_TLS_PAIR_H

#include "../harness.h"
#include "../support/certs.h"
#include "../support/raises.h"
#include "socket/Socket.h"
#include "socket/SocketIO.h"
#include "tls/SocketTLS.h"
#include "tls/SocketTLSContext.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* The call gives 0 and EAGAIN. */
#define WOULD_BLOCK(call)                                                                                              \
    do {                                                                                                               \
        errno = 0;                                                                                                     \
        CHECK_INT(call, 0);                                                                                            \
        CHECK_INT(errno, EAGAIN);                                                                                      \
    } while (0)

struct pair {
    Socket_T client, server;
    SocketTLSContext_T trusting, serving;
};

/* A client's context that trusts the tests' CA, and a server's with the good certificate. */
static inline void make_contexts(struct pair *pair, int version) {
    pair->trusting = SocketTLSContext_new_client(cert(CERT_CA));
    pair->serving = SocketTLSContext_new_server(cert(CERT_GOOD), cert(CERT_GOOD_KEY), NULL);
    SocketTLSContext_set_min_protocol(pair->trusting, version);
    SocketTLSContext_set_max_protocol(pair->trusting, version);
}

static inline void free_pair(struct pair *pair) {
    Socket_free(&pair->client);
    Socket_free(&pair->server);
    if (pair->trusting) SocketTLSContext_free(&pair->trusting);
    if (pair->serving) SocketTLSContext_free(&pair->serving);
    CHECK_INT(Socket_debug_live_count(), 0);
}

static inline void unblock(Socket_T socket) {
    int flags = fcntl(Socket_fd(socket), F_GETFL);
    CHECK_INT(fcntl(Socket_fd(socket), F_SETFL, flags | O_NONBLOCK), 0);
}

static inline void block(Socket_T socket) {
    int flags = fcntl(Socket_fd(socket), F_GETFL);
    CHECK_INT(fcntl(Socket_fd(socket), F_SETFL, flags & ~O_NONBLOCK), 0);
}

static inline void enable_pair(struct pair *pair) {
    SocketTLS_enable(pair->client, pair->trusting);
    SocketTLS_enable(pair->server, pair->serving);
    SocketTLS_set_hostname(pair->client, "localhost");
}

/* Non-blocking Unix sockets with TLS enabled, before the handshake. */
static inline struct pair strangers(int version) {
    struct pair pair = {0};
    make_contexts(&pair, version);
    SocketPair_new(SOCK_STREAM, &pair.client, &pair.server);
    unblock(pair.client);
    unblock(pair.server);
    enable_pair(&pair);
    return pair;
}

/* The same over TCP, where a connection can be reset. */
static inline struct pair tcp_strangers(int version) {
    struct pair pair = {0};
    make_contexts(&pair, version);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(listener, (struct sockaddr *)&address, size), 0);
    CHECK_INT(listen(listener, 1), 0);
    CHECK_INT(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    CHECK_INT(connect(client, (struct sockaddr *)&address, size), 0);
    int server = accept(listener, NULL, NULL);
    close(listener);
    /* Both become non-blocking. */
    pair.client = Socket_new_from_fd(client);
    pair.server = Socket_new_from_fd(server);
    enable_pair(&pair);
    return pair;
}

/* Makes steps on both ends until both are complete. */
static inline void acquaint(struct pair *pair) {
    TLSHandshakeState ours = TLS_HANDSHAKE_NOT_STARTED, theirs = TLS_HANDSHAKE_NOT_STARTED;
    for (int round = 0; ours != TLS_HANDSHAKE_COMPLETE || theirs != TLS_HANDSHAKE_COMPLETE; round++) {
        CHECK_CMP(round, <, 1000);
        ours = SocketTLS_handshake(pair->client);
        theirs = SocketTLS_handshake(pair->server);
    }
}

/* Steps on both ends until the client's raises; what errno it comes with. */
static inline int failed_handshake(struct pair *pair) {
    volatile int error = -1;
    for (volatile int round = 0; error == -1; round++) {
        CHECK_CMP(round, <, 1000);
        TRY { SocketTLS_handshake(pair->client); }
        EXCEPT(SocketTLS_HandshakeFailed) { error = errno; }
        END_TRY;
        TRY { SocketTLS_handshake(pair->server); }
        EXCEPT(SocketTLS_HandshakeFailed) {}
        END_TRY;
    }
    return error;
}

static inline struct pair friends(int version) {
    struct pair pair = strangers(version);
    acquaint(&pair);
    return pair;
}

static inline struct pair tcp_friends(int version) {
    struct pair pair = tcp_strangers(version);
    acquaint(&pair);
    return pair;
}

/* Waits until the descriptor reports one of these. */
static inline void await(Socket_T socket, short events) {
    struct pollfd polled = {Socket_fd(socket), events, 0};
    CHECK_INT(poll(&polled, 1, (int)(20000 * slow(1))), 1);
}

/* `socket` receives exactly these bytes, and no more are there. */
static inline void expect(Socket_T socket, const char *text) {
    char buf[200];
    size_t got = 0, len = strlen(text);
    while (got < len) {
        ssize_t n = SocketTLS_recv(socket, buf + got, sizeof buf - got);
        if (n == 0) await(socket, POLLIN);
        got += (size_t)n;
    }
    CHECK_INT(got, len);
    CHECK_MEM(buf, text, len);
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
#define EACH_VERSION(version) \
    for (volatile int version, i_ = 0; i_ < 2 && (version = versions[i_], 1); i_++)

#endif

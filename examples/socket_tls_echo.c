/*
 * Echoes over TLS what its clients send: one thread, any number of them. With a CA, clients must show a certificate of it.
 *
 *     cc socket_tls_echo.c -o socket_tls_echo $(pkg-config --cflags --libs netconn)
 *     ./socket_tls_echo 8443 server.pem server.key [CA]
 *     openssl s_client -connect localhost:8443 -quiet
 */
#include <poll/SocketPoll.h>
#include <socket/Socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <tls/SocketTLS.h>
#include <tls/SocketTLSContext.h>

struct client {
    Socket_T socket;
    char buf[16384];
    size_t len, sent; /* of what is to be echoed */
};

/* Goes on until nothing moves any more, as an edge-triggered set of sockets asks for. Returns 0 when the client is gone. */
static int serve(struct client *c) {
    volatile int here = 1; /* what TRY's body changes and a handler's way leaves */
    TRY
        ssize_t n = SocketTLS_handshake(c->socket) == TLS_HANDSHAKE_COMPLETE ? 1 : 0;
        while (n > 0) {
            if (c->sent < c->len) {
                n = SocketTLS_send(c->socket, c->buf + c->sent, c->len - c->sent);
                c->sent += (size_t)n;
            } else {
                n = SocketTLS_recv(c->socket, c->buf, sizeof c->buf);
                c->len = (size_t)n;
                c->sent = 0;
            }
        } /* 0: it would block */
    EXCEPT(Socket_Closed) /* the client has taken its leave, and this takes ours */
        SocketTLS_disable(c->socket);
        here = 0;
    ELSE /* a handshake that failed, a connection that broke: this client's alone */
        fprintf(stderr, "%s: %s\n", Socket_getpeeraddr(c->socket), Except_frame.exception->reason);
        here = 0;
    END_TRY;
    return here;
}

static void welcome(SocketPoll_T poll, Socket_T listener, SocketTLSContext_T tls) {
    Socket_T socket;
    while ((socket = Socket_accept(listener)) != NULL) {
        struct client *c = calloc(1, sizeof *c);
        if (c == NULL) {
            Socket_free(&socket);
            continue;
        }
        c->socket = socket;
        SocketTLS_enable(socket, tls);
        SocketPoll_add(poll, socket, POLL_READ | POLL_WRITE, c);
    }
}

static void run(int port, const char *cert, const char *key, const char *ca) {
    SocketTLSContext_T tls = SocketTLSContext_new_server(cert, key, ca);
    Socket_T listener = Socket_new(AF_INET, SOCK_STREAM, 0);
    SocketPoll_T poll = SocketPoll_new(1000);
    SocketEvent_T *events;
    if (ca != NULL) SocketTLSContext_set_verify_mode(tls, TLS_VERIFY_FAIL_IF_NO_PEER_CERT);
    Socket_bind(listener, NULL, port); /* an address in use does not raise: listening does */
    Socket_listen(listener, 128);
    SocketPoll_add(poll, listener, POLL_READ, NULL);
    printf("listening on port %d\n", Socket_getlocalport(listener));
    fflush(stdout);
    for (;;) {
        int i, count = SocketPoll_wait(poll, &events, -1);
        for (i = 0; i < count; i++) {
            struct client *c = events[i].data;
            if (c == NULL) {
                welcome(poll, listener, tls);
            } else if (!serve(c)) {
                SocketPoll_del(poll, c->socket);
                Socket_free(&c->socket);
                free(c);
            }
        }
    }
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: %s PORT CERTIFICATE KEY [CA]\n", argv[0]);
        return 2;
    }
    TRY
        run(atoi(argv[1]), argv[2], argv[3], argc > 4 ? argv[4] : NULL);
    ELSE
        fprintf(stderr, "%s\n", Except_frame.exception->reason);
    END_TRY;
    return 1;
}

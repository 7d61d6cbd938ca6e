/*
 * Shows a server its own certificate, sends it a text, and prints what comes back. The server is verified, with a CA of
 * yours.
 *
 *     cc mtls.c -o mtls $(pkg-config --cflags --libs netconn)
 *     ./mtls localhost 8443 ca.pem client.pem client.key hello
 */
#include <errno.h>
#include <socket/Socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tls/SocketTLS.h>
#include <tls/SocketTLSContext.h>

static void talk(Socket_T socket, const char *text) {
    char buf[4096];
    SocketTLS_CertInfo server;
    if (SocketTLS_get_peer_cert_info(socket, &server) == 1)
        fprintf(stderr, "%s with %s, issued by %s\n", SocketTLS_get_version(socket), server.subject, server.issuer);
    Socket_sendall(socket, text, strlen(text));
    SocketTLS_shutdown_send(socket);
    for (;;) { /* until Socket_Closed */
        ssize_t n = SocketTLS_recv(socket, buf, sizeof buf);
        fwrite(buf, 1, (size_t)n, stdout);
    }
}

int main(int argc, char **argv) {
    static Socket_T socket; /* static, or volatile: what TRY's body changes and is used after it */
    static SocketTLSContext_T tls;
    volatile int status = 1;
    if (argc != 7 || argv[6][0] == 0) {
        fprintf(stderr, "usage: %s HOST PORT CA CERTIFICATE KEY TEXT\n", argv[0]);
        return 2;
    }
    TRY
        tls = SocketTLSContext_new_client(argv[3]);
        SocketTLSContext_load_certificate(tls, argv[4], argv[5]);
        socket = Socket_new(AF_INET, SOCK_STREAM, 0);
        Socket_connect(socket, argv[1], atoi(argv[2]));
        if (!Socket_isconnected(socket)) { /* what may pass is returned, not raised */
            fprintf(stderr, "%s port %s: %s\n", argv[1], argv[2], strerror(errno));
        } else {
            SocketTLS_enable(socket, tls);
            SocketTLS_set_hostname(socket, argv[1]); /* whom to verify: without it the handshake fails */
            SocketTLS_handshake(socket);
            talk(socket, argv[6]);
        }
    EXCEPT(Socket_Closed) /* the server has said all it had to say */
        status = 0;
    ELSE /* under TLS 1.3 a server that does not like our certificate says so here, with the first bytes */
        fprintf(stderr, "%s\n", Except_frame.exception->reason);
    END_TRY;
    Socket_free(&socket);
    SocketTLSContext_free(&tls);
    return status;
}

/* Sockets with TLS and OpenSSL's own programs, in both roles. */
#include "../support/programs.h"
#include "pair.h"

#include <signal.h>
#include <sys/wait.h>

/* A blocking client that is connected, with TLS enabled. */
static struct pair connected(const char *port, int version) {
    struct pair pair = {0};
    make_contexts(&pair, version);
    pair.client = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_connect(pair.client, "127.0.0.1", atoi(port));
    SocketTLS_enable(pair.client, pair.trusting);
    SocketTLS_set_hostname(pair.client, "localhost");
    return pair;
}

TEST(a_client_and_openssl_s_server) {
    EACH_VERSION(version) {
        /* Each line comes back reversed. */
        const char *port = start_s_server(CERT_GOOD, CERT_GOOD_KEY, version == TLS1_2_VERSION ? "-tls1_2" : "-tls1_3", "-rev", NULL);
        struct pair pair = connected(port, version);
        CHECK_INT(SocketTLS_handshake_auto(pair.client), TLS_HANDSHAKE_COMPLETE);
        char buf[100];
        CHECK_INT(Socket_sendall(pair.client, "stressed\n", 9), 9);
        CHECK_INT(Socket_recvall(pair.client, buf, 9), 9);
        CHECK_MEM(buf, "desserts\n", 9);
        SocketTLS_shutdown(pair.client);
        free_pair(&pair);
    }
}

/* `openssl s_client` with standard input and output in our hands. */
static pid_t start_s_client(int port, const char *version, int *input, int *output) {
    int in[2], out[2];
    CHECK_INT(pipe2(in, O_CLOEXEC), 0);
    CHECK_INT(pipe2(out, O_CLOEXEC), 0);
    char to[40];
    snprintf(to, sizeof to, "127.0.0.1:%d", port);
    const char *ca = cert(CERT_CA);
    pid_t child = fork();
    if (child == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        execlp("openssl", "openssl", "s_client", "-quiet", "-verify_quiet", "-verify_return_error", "-verify_hostname",
               "localhost", "-servername", "localhost", "-CAfile", ca, version, "-connect", to, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    *input = in[1];
    *output = out[0];
    return child;
}

TEST(a_server_and_openssl_s_client) {
    signal(SIGPIPE, SIG_IGN);
    EACH_VERSION(version) {
        struct pair pair = {0};
        make_contexts(&pair, version);
        Socket_T listener = Socket_new(AF_INET, SOCK_STREAM, 0);
        Socket_bind(listener, "127.0.0.1", 0);
        Socket_listen(listener, 1);
        int input, output;
        pid_t child = start_s_client(Socket_getlocalport(listener), version == TLS1_2_VERSION ? "-tls1_2" : "-tls1_3", &input, &output);
        await(listener, POLLIN);
        pair.server = Socket_accept(listener);
        SocketTLS_enable(pair.server, pair.serving);
        if (SocketTLS_handshake_loop(pair.server, (int)(20000 * slow(1))) != TLS_HANDSHAKE_COMPLETE) {
            int status;
            waitpid(child, &status, 0);
            if (WIFEXITED(status) && WEXITSTATUS(status) == 127) SKIP("there is no openssl (Debian package openssl)");
            FAIL("%s", Socket_GetLastError());
        }
        block(pair.server);
        CHECK_INT(write(input, "hello\n", 6), 6);
        char buf[20];
        CHECK_INT(Socket_recvall(pair.server, buf, 6), 6);
        CHECK_MEM(buf, "hello\n", 6);
        CHECK_INT(Socket_sendall(pair.server, "welcome\n", 8), 8);
        for (size_t got = 0; got < 8;) {
            ssize_t n = read(output, buf + got, sizeof buf - got);
            CHECK_CMP(n, >, 0);
            got += (size_t)n;
        }
        CHECK_MEM(buf, "welcome\n", 8);
        /* It answers a close_notify, and ends. */
        CHECK_INT(SocketTLS_shutdown_send(pair.server), 1);
        close(input);
        SocketTLS_shutdown(pair.server);
        close(output);
        int status;
        CHECK_INT(waitpid(child, &status, 0), child);
        Socket_free(&listener);
        free_pair(&pair);
    }
}

TEST_MAIN

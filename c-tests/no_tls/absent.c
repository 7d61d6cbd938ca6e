/* A build without TLS (make TLS=0): what needs TLS says so, and everything else works, as the other programs show. */
#include "../harness.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "net_conn.h"
#include "netconn.h"
#include "netconn_tls.h"

#include <sys/socket.h>
#include <unistd.h>

static SocketTLSContext_T const none = NULL;

/* The text is of this call: the one before it is another. */
#define SAYS_ABSENT(call)                                                                                              \
    do {                                                                                                               \
        call;                                                                                                          \
        CHECK_CONTAINS(netconn_tls_error(), "TLS");                                                                    \
        CHECK_CONTAINS(netconn_tls_error(), "without it");                                                             \
    } while (0)
#define ABSENT(call) SAYS_ABSENT(CHECK_ERRNO(call, ENOTSUP))
#define ABSENT_NULL(call) SAYS_ABSENT(CHECK_NULL_ERRNO(call, ENOTSUP))

TEST(there_is_no_openssl) {
    NEEDS_NO_TLS();
    CHECK_PTR_NULL(netconn_openssl());
}

TEST(each_function_of_contexts_says_so) {
    NEEDS_NO_TLS();
    const char *const protocols[] = {"h2"};
    CHECK_STR(netconn_tls_error(), "");
    ABSENT_NULL(netconn_tls_client(NULL));
    ABSENT_NULL(netconn_tls_client("/nonexistent"));
    ABSENT_NULL(netconn_tls_server(NULL, NULL, NULL));
    ABSENT_NULL(netconn_tls_server("/nonexistent", "/nonexistent", NULL));
    ABSENT(netconn_tls_load_ca(none, "/nonexistent"));
    ABSENT(netconn_tls_load_ca_pem(none, "x", 1));
    ABSENT(netconn_tls_load_certificate(none, "/nonexistent", "/nonexistent"));
    ABSENT(netconn_tls_load_certificate_pem(none, "x", 1, "x", 1));
    ABSENT(netconn_tls_set_verify(none, NETCONN_TLS_VERIFY_FULL));
    ABSENT(netconn_tls_set_verify_callback(none, NULL, NULL));
    ABSENT(netconn_tls_set_versions(none, 0, 0));
    ABSENT(netconn_tls_set_alpn(none, protocols, 1));
    ABSENT(netconn_tls_set_alpn_callback(none, NULL, NULL));
    ABSENT(netconn_tls_set_session_reuse(none, true));
    ABSENT(netconn_tls_set_session_callbacks(none, NULL, NULL, NULL, NULL));
    ABSENT(netconn_tls_set_password_callback(none, NULL, NULL));
    ABSENT(netconn_tls_set_keylog(none, "/nonexistent/keys"));
    ABSENT(netconn_tls_enable_early_data(none, 0));
    ABSENT(netconn_tls_disable_early_data(none));
    ABSENT_NULL(netconn_tls_ssl_ctx(none));
    ABSENT(netconn_tls_verify_name("/nonexistent", "localhost"));

    SocketTLSContext_T variable = NULL;
    netconn_tls_free(&variable);
    netconn_tls_free(NULL);
}

/* Before anything is connected: nobody listens there. */
static void fails_from_the_loop(const char *host) {
    struct ev_loop *loop = test_loop();
    struct conn_options o = options();
    o.use_tls = true;
    struct client *client = client_open(loop, host, "1", &o);
    CHECK_INT(client->errors, 0);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_TLS, ENOTSUP);
    CHECK_CONTAINS(client->message, "without it");
    CHECK_INT(conn_get_verify_result(client->c), -1);
    client_close(client);
}

TEST(a_tls_connection_to_a_literal_fails_from_the_loop) {
    NEEDS_NO_TLS();
    fails_from_the_loop("127.77.1.9");
}

TEST(a_tls_connection_to_a_name_fails_from_the_loop) {
    NEEDS_NO_TLS();
    fails_from_the_loop("localhost");
}

static void adopted(bool server_side) {
    struct ev_loop *loop = test_loop();
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct conn_options o = options();
    o.use_tls = true;
    o.server_side = server_side;
    o.server_name = server_side ? NULL : "localhost";
    struct client *client = client_adopt(loop, fds[0], &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_TLS, ENOTSUP);
    client_close(client);
    char byte;
    CHECK_INT(read(fds[1], &byte, 1), 0); /* nothing was sent, and the socket is closed */
    close(fds[1]);
}

TEST(an_adopted_tls_client_fails_from_the_loop) {
    NEEDS_NO_TLS();
    adopted(false);
}

TEST(an_adopted_tls_server_fails_from_the_loop) {
    NEEDS_NO_TLS();
    adopted(true);
}

TEST(tls_on_a_plain_connection_fails_from_the_loop) {
    NEEDS_NO_TLS();
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct client *plain = client_adopt(test_loop(), fds[0], NULL), *client = client_new(plain->loop);
    client_wait_ready(plain);
    client->c = plain->c;
    plain->c = NULL;
    struct conn_options o = options();
    o.server_name = "localhost";
    client->calling = true;
    CHECK_INT(conn_start_tls(client->c, &o, client_on_ready, client_on_error, client), 0);
    client->calling = false;
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_TLS, ENOTSUP);
    client_close(client);
    char byte;
    CHECK_INT(read(fds[1], &byte, 1), 0);
    close(fds[1]);
}

TEST(a_plain_connection_cannot_be_upgraded) {
    NEEDS_NO_TLS();
    struct ev_loop *loop = test_loop();
    struct peer *peer = PEER(.serve = serve_echo);
    struct conn_options o = options();
    struct client *client = client_open(loop, "127.0.0.1", peer_port(peer), &o);
    client_wait_ready(client);
    struct client *upgraded = client_new(loop);
    upgraded->c = client->c;
    CHECK_INT(conn_start_tls(client->c, NULL, client_on_ready, client_on_error, upgraded), 0);
    client_wait_error(upgraded);
    CHECK_FAILED_WITH(upgraded, CONN_ERR_TLS, ENOTSUP);
    CHECK_CONTAINS(upgraded->message, "without it");
    client_close(upgraded);
    client->c = NULL;
}

TEST(the_default_client_context_can_be_reset) {
    NEEDS_NO_TLS();
    CHECK_INT(conn_set_default_tls(NULL), 0);
}

TEST_MAIN

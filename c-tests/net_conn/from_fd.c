/* conn_from_fd: sockets that the program connected or accepted itself. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A blocking socket that is connected to the peer. */
static int connected_to(struct peer *peer) {
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)peer_port_number(peer))};
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    CHECK_INT(connect(fd, (struct sockaddr *)&where, sizeof where), 0);
    return fd;
}

static void free_context(void *ctx) {
    SocketTLSContext_T context = ctx;
    netconn_tls_free(&context);
}

static struct conn_options server_options(const char *client_ca) {
    struct conn_options o = options();
    o.use_tls = o.server_side = true;
    o.tls = netconn_tls_server(cert(CERT_GOOD), cert(CERT_GOOD_KEY), client_ca ? cert(client_ca) : NULL);
    if (!o.tls) FAIL("netconn_tls_server: %s", netconn_tls_error());
    at_end(free_context, o.tls);
    return o;
}

/* ---- The client side ------------------------------------------------------------------------------------------------- */

TEST(a_plain_client) {
    struct peer *peer = PEER(0);
    int fd = connected_to(peer);
    struct conn_options o = options();
    struct client *client = client_adopt(test_loop(), fd, &o);
    CHECK_INT(client->c->state, CONN_CONNECTING); /* READY is reported from the loop */
    CHECK_INT(conn_get_fd(client->c), fd);
    CHECK_STR(conn_get_host(client->c), "127.0.0.1");
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    client_wait_ready(client);
    CHECK_INT(conn_get_fd(client->c), fd);
    client_echo(client, "adopted");
    client_close(client);
    CHECK_ERRNO(fcntl(fd, F_GETFD), EBADF); /* it was the connection's */
}

TEST(null_options_are_the_defaults) {
    struct client *client = client_adopt(test_loop(), connected_to(PEER(0)), NULL);
    client_wait_ready(client);
    client_echo(client, "plain");
}

TEST(a_unix_socket_pair) {
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct ev_loop *loop = test_loop();
    struct client *one = client_adopt(loop, fds[0], NULL), *two = client_adopt(loop, fds[1], NULL);
    client_wait_ready(one);
    client_wait_ready(two);
    char buf[5];
    client_write(one, "hello", 5);
    client_read(two, buf, 5);
    CHECK_MEM(buf, "hello", 5);
    client_close(one);
    CHECK_INT(client_read_some(two, buf, 5), 0);
}

BOTH_VERSIONS(a_tls_client) {
    struct peer *peer = TLS_PEER(version);
    struct conn_options o = tls_options();
    int fd = connected_to(peer);
    CHECK_NULL_ERRNO(conn_from_fd(test_loop(), fd, &o, NULL, NULL, NULL), EINVAL); /* whom to expect? */
    CHECK(fcntl(fd, F_GETFD) >= 0);
    o.server_name = "localhost";
    struct client *client = client_adopt(test_loop(), fd, &o);
    CHECK_INT(client->c->state, CONN_TLS_HANDSHAKE);
    client_wait_ready(client);
    CHECK_INT(conn_get_verify_result(client->c), X509_V_OK);
    client_echo(client, "adopted under TLS");
}

BOTH_VERSIONS(a_tls_client_verifies) {
    struct peer *peer = TLS_PEER(version);
    struct conn_options o = tls_options();
    o.server_name = "elsewhere.example";
    struct client *client = client_adopt(test_loop(), connected_to(peer), &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_CERTIFICATE, EPROTO);
    CHECK_CONTAINS(client->message, "not for elsewhere.example");
}

/* ---- The server side ------------------------------------------------------------------------------------------------- */

/* Both ends are ours, on one loop. */
static void both_ends(struct conn_options *server, struct conn_options *o, struct client **at_server, struct client **at_client) {
    struct ev_loop *loop = test_loop();
    int fds[2];
    tcp_pair(fds);
    o->server_name = "localhost";
    *at_server = client_adopt(loop, fds[0], server);
    CHECK_INT((*at_server)->c->state, CONN_TLS_HANDSHAKE);
    *at_client = client_adopt(loop, fds[1], o);
}

BOTH_VERSIONS(a_tls_server) {
    struct conn_options server = server_options(NULL), o = tls_options();
    CHECK_INT(netconn_tls_set_versions(server.tls, version, version), 0);
    struct client *at_server, *at_client;
    both_ends(&server, &o, &at_server, &at_client);
    client_wait_ready(at_server);
    client_wait_ready(at_client);
    CHECK_STR(conn_get_tls_version(at_server->c), version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
    CHECK_STR(conn_get_cipher(at_server->c), conn_get_cipher(at_client->c));
    struct conn_certificate shown = {.size = sizeof shown};
    CHECK_ERRNO(conn_get_peer_certificate(at_server->c, &shown), ENOENT); /* none was asked for */
    CHECK_INT(conn_get_verify_result(at_server->c), -1);
    char buf[5];
    client_write(at_client, "hello", 5);
    client_read(at_server, buf, 5);
    CHECK_MEM(buf, "hello", 5);
    client_write(at_server, "HELLO", 5);
    client_read(at_client, buf, 5);
    CHECK_MEM(buf, "HELLO", 5);
    CHECK_INT(conn_shutdown(at_client->c), 0);
    CHECK_INT(client_read_some(at_server, buf, 5), 0);
    CHECK_INT(conn_shutdown(at_server->c), 0);
    CHECK_INT(client_read_some(at_client, buf, 5), 0);
    RUN_UNTIL(at_client->loop, conn_get_state(at_client->c) == CONN_CLOSED && conn_get_state(at_server->c) == CONN_CLOSED);
}

BOTH_VERSIONS(a_tls_server_that_asks_for_a_certificate) {
    struct conn_options server = server_options(CERT_CA), o = tls_options();
    CHECK_INT(netconn_tls_set_versions(server.tls, version, version), 0);
    CHECK_INT(netconn_tls_load_certificate(o.tls, cert(CERT_CLIENT), cert(CERT_CLIENT_KEY)), 0);
    struct client *at_server, *at_client;
    both_ends(&server, &o, &at_server, &at_client);
    client_wait_ready(at_server);
    client_wait_ready(at_client);
    struct conn_certificate shown = {.size = sizeof shown};
    CHECK_INT(conn_get_peer_certificate(at_server->c, &shown), 0);
    CHECK_CONTAINS(shown.subject, "test client");
    CHECK_INT(conn_get_verify_result(at_server->c), X509_V_OK);
}

BOTH_VERSIONS(a_tls_server_refuses_a_client_without_certificate) {
    struct conn_options server = server_options(CERT_CA), o = tls_options();
    CHECK_INT(netconn_tls_set_versions(server.tls, version, version), 0);
    struct client *at_server, *at_client;
    both_ends(&server, &o, &at_server, &at_client);
    client_wait_error(at_server);
    CHECK(at_server->kind == CONN_ERR_CERTIFICATE || at_server->kind == CONN_ERR_TLS);
    CHECK_INT(at_server->error, EPROTO);
    RUN_UNTIL(at_client->loop, at_client->errors || at_client->ready);
}

BOTH_VERSIONS(a_tls_server_refuses_an_untrusted_client) {
    struct conn_options server = server_options(CERT_CA), o = tls_options();
    CHECK_INT(netconn_tls_set_versions(server.tls, version, version), 0);
    CHECK_INT(netconn_tls_load_certificate(o.tls, cert("untrusted-client.pem"), cert("untrusted-client.key")), 0);
    struct client *at_server, *at_client;
    both_ends(&server, &o, &at_server, &at_client);
    client_wait_error(at_server);
    CHECK_FAILED_WITH(at_server, CONN_ERR_CERTIFICATE, EPROTO);
}

BOTH_VERSIONS(a_client_that_refuses_our_certificate) {
    struct conn_options server = server_options(NULL), o = tls_options();
    CHECK_INT(netconn_tls_set_versions(server.tls, version, version), 0);
    struct client *at_server, *at_client;
    both_ends(&server, &o, &at_server, &at_client);
    client_close(at_client);
    at_client = NULL;
    /* As if the client had hung up: the server's handshake comes to an end in any case. */
    client_wait_error(at_server);
    CHECK_FAILED_WITH(at_server, CONN_ERR_TLS, ECONNRESET);
}

TEST(a_tls_server_meets_a_plain_client) {
    int fds[2];
    tcp_pair(fds);
    struct conn_options server = server_options(NULL);
    struct client *client = client_adopt(test_loop(), fds[0], &server);
    CHECK_INT(send(fds[1], "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_TLS, EPROTO);
    close(fds[1]);
}

BOTH_VERSIONS(alpn_by_the_servers_order) {
    static const char *const mine[] = {"http/1.1", "h2"}, *const theirs[] = {"h2", "http/1.1"};
    struct conn_options server = server_options(NULL), o = tls_options();
    CHECK_INT(netconn_tls_set_versions(server.tls, version, version), 0);
    CHECK_INT(netconn_tls_set_alpn(server.tls, mine, 2), 0);
    CHECK_INT(netconn_tls_set_alpn(o.tls, theirs, 2), 0);
    struct client *at_server, *at_client;
    both_ends(&server, &o, &at_server, &at_client);
    client_wait_ready(at_server);
    client_wait_ready(at_client);
    CHECK_STR(conn_get_alpn(at_server->c), "http/1.1");
    CHECK_STR(conn_get_alpn(at_client->c), "http/1.1");
}

BOTH_VERSIONS(no_common_alpn) {
    static const char *const mine[] = {"smtp"}, *const theirs[] = {"h2"};
    struct conn_options server = server_options(NULL), o = tls_options();
    CHECK_INT(netconn_tls_set_versions(server.tls, version, version), 0);
    CHECK_INT(netconn_tls_set_alpn(server.tls, mine, 1), 0);
    CHECK_INT(netconn_tls_set_alpn(o.tls, theirs, 1), 0);
    struct client *at_server, *at_client;
    both_ends(&server, &o, &at_server, &at_client);
    client_wait_error(at_server);
    client_wait_error(at_client);
    CHECK_FAILED_WITH(at_server, CONN_ERR_TLS, EPROTO);
    CHECK_FAILED_WITH(at_client, CONN_ERR_TLS, EPROTO);
}

static const char *choose_last(const char *const *offered, size_t n, void *arg) {
    ++*(int *)arg;
    return n ? offered[n - 1] : NULL;
}

BOTH_VERSIONS(alpn_by_callback) {
    static const char *const theirs[] = {"a", "b", "c"};
    int calls = 0;
    struct conn_options server = server_options(NULL), o = tls_options();
    CHECK_INT(netconn_tls_set_versions(server.tls, version, version), 0);
    CHECK_INT(netconn_tls_set_alpn_callback(server.tls, choose_last, &calls), 0);
    CHECK_INT(netconn_tls_set_alpn(o.tls, theirs, 3), 0);
    struct client *at_server, *at_client;
    both_ends(&server, &o, &at_server, &at_client);
    client_wait_ready(at_server);
    client_wait_ready(at_client);
    CHECK_STR(conn_get_alpn(at_client->c), "c");
    CHECK_STR(conn_get_alpn(at_server->c), "c");
    CHECK_INT(calls, 1);
}

/* ---- What was there before we came ------------------------------------------------------------------------------------- */

TEST(bytes_and_an_end_that_wait_already) {
    int fds[2];
    tcp_pair(fds);
    CHECK_INT(send(fds[1], "early", 5, 0), 5);
    close(fds[1]);
    struct client *client = client_adopt(test_loop(), fds[0], NULL);
    client_wait_ready(client);
    char buf[10];
    client_read(client, buf, 5);
    CHECK_MEM(buf, "early", 5);
    CHECK_INT(client_read_some(client, buf, 5), 0);
}

/* ---- What is no connected stream socket -------------------------------------------------------------------------------- */

static void refuses_fd(int fd, int error) {
    struct ev_loop *loop = test_loop();
    run_rounds(loop);
    int fds = fd_count();
    CHECK_NULL_ERRNO(conn_from_fd(loop, fd, NULL, client_on_ready, client_on_error, NULL), error);
    CHECK_NO_NEW_FDS(fds); /* the fd stays open, and the caller's */
    run_rounds(loop);
}

TEST(no_fd_at_all) {
    refuses_fd(-1, EBADF);
    refuses_fd(1000000, EBADF);
    refuses_fd(INT_MAX, EBADF);
    refuses_fd(INT_MIN, EBADF);
}

TEST(no_socket) {
    int ends[2], file = open("/dev/null", O_RDWR);
    CHECK_INT(pipe(ends), 0);
    refuses_fd(file, ENOTSOCK);
    refuses_fd(ends[0], ENOTSOCK);
    CHECK(!(fcntl(ends[0], F_GETFL) & O_NONBLOCK)); /* not even touched */
}

TEST(not_connected) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    refuses_fd(fd, ENOTCONN);
    CHECK(!(fcntl(fd, F_GETFL) & O_NONBLOCK));
    struct sockaddr_in where = {.sin_family = AF_INET};
    CHECK_INT(bind(fd, (struct sockaddr *)&where, sizeof where), 0);
    CHECK_INT(listen(fd, 1), 0);
    refuses_fd(fd, ENOTCONN);
}

TEST(no_stream) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(9)};
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_INT(connect(fd, (struct sockaddr *)&where, sizeof where), 0);
    refuses_fd(fd, EINVAL);
}

TEST(options_that_do_not_fit) {
    NEEDS_TLS();
    int fds[2];
    tcp_pair(fds);
    struct ev_loop *loop = test_loop();
    struct conn_options o = options();
    o.use_tls = o.server_side = true;
    CHECK_NULL_ERRNO(conn_from_fd(loop, fds[0], &o, NULL, NULL, NULL), EINVAL); /* a server without certificate */
    o.tls = tls_client_context();
    CHECK_NULL_ERRNO(conn_from_fd(loop, fds[0], &o, NULL, NULL, NULL), EINVAL); /* a client's context */
    o = server_options(NULL);
    o.server_side = false;
    o.server_name = "localhost";
    CHECK_NULL_ERRNO(conn_from_fd(loop, fds[0], &o, NULL, NULL, NULL), EINVAL); /* a server's context */
    o = options();
    o.size = 0;
    CHECK_NULL_ERRNO(conn_from_fd(loop, fds[0], &o, NULL, NULL, NULL), EINVAL);
    /* After all that it is still usable. */
    struct client *client = client_adopt(loop, fds[0], NULL);
    client_wait_ready(client);
    close(fds[1]);
}

ALL_TRANSPORTS(calls_before_ready) {
    int ends[2];
    tcp_pair(ends);
    struct conn_options o = options_of(version);
    if (version) o.server_name = "localhost";
    struct client *client = client_adopt(test_loop(), ends[0], &o);
    char byte;
    struct iovec piece = {&byte, 1};
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    CHECK_INT(client->c->state, version ? CONN_TLS_HANDSHAKE : CONN_CONNECTING);
    CHECK_INT(client->c->ssl != NULL, version != 0);
    CHECK_ERRNO(conn_try_read(client->c, &byte, 1), ENOTCONN);
    CHECK_ERRNO(conn_try_write(client->c, &byte, 1), ENOTCONN);
    CHECK_ERRNO(conn_try_writev(client->c, &piece, 1), ENOTCONN);
    CHECK_ERRNO(conn_shutdown(client->c), ENOTCONN);
    CHECK_ERRNO(conn_peer_addr(client->c, (struct sockaddr *)&address, &len), ENOTCONN);
    CHECK_INT(conn_get_fd(client->c), ends[0]);
    CHECK_PTR_NULL(conn_get_tls_version(client->c));
    CHECK_PTR_NULL(conn_get_cipher(client->c));
    CHECK_PTR_NULL(conn_get_alpn(client->c));
    CHECK_INT(conn_session_reused(client->c), 0);
    CHECK_INT(conn_get_verify_result(client->c), -1);
    CHECK_INT(conn_pending(client->c), 0);
    close(ends[1]);
}

TEST_MAIN

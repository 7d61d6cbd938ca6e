/* One context for all faces: what the Socket family set on it counts for a net_conn, in the way of that one. */
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "contexts.h"

#include "netconn.h"
#include "socket/Socket.h"

#include <sys/socket.h>

static struct conn_options with(SocketTLSContext_T context) {
    struct conn_options o = tls_options();
    o.tls = context;
    return o;
}

/* ---- What is verified ---------------------------------------------------------------------------------------------- */

TEST(a_mode_that_was_never_set_is_the_full_one) {
    struct peer *peer = PEER(.cert = "untrusted.pem", .key = "untrusted.key");
    SocketTLSContext_T context = keep(SocketTLSContext_new(NULL));
    struct conn_options o = with(context);
    struct ev_loop *loop = test_loop();
    client_wait_error(client_open(loop, "localhost", peer_port(peer), &o));
    /* One that was set by name holds. */
    SocketTLSContext_set_verify_mode(context, TLS_VERIFY_NONE);
    client_wait_ready(client_open(loop, "localhost", peer_port(peer), &o));
    SocketTLSContext_set_verify_mode(context, TLS_VERIFY_PEER);
    client_wait_error(client_open(loop, "localhost", peer_port(peer), &o));
}

TEST(the_common_name_never_counts_there) {
    struct peer *peer = PEER(.cert = "cn-only.pem", .key = "cn-only.key");
    struct conn_options o = with(a_client());
    client_wait_error(client_open(test_loop(), "localhost", peer_port(peer), &o));
}

static const Except_T Mine = {&Mine, "of my own"};
static int calls;

static int without_socket(int preverify_ok, X509_STORE_CTX *x509, SocketTLSContext_T context, Socket_T socket, void *raise) {
    CHECK_PTR_NULL(socket);
    CHECK_PTR_NOT_NULL(context);
    CHECK_PTR_NOT_NULL(x509);
    calls++;
    if (raise != NULL) RAISE(Mine);
    return preverify_ok;
}

TEST(the_verify_callback_is_told_of_no_socket) {
    struct peer *peer = PEER(.cert = CERT_GOOD, .key = CERT_GOOD_KEY);
    SocketTLSContext_T context = a_client();
    struct conn_options o = with(context);
    struct ev_loop *loop = test_loop();
    SocketTLSContext_set_verify_callback(context, without_socket, NULL);
    client_wait_ready(client_open(loop, "localhost", peer_port(peer), &o));
    CHECK_INT(calls, 2);
    /* What it raises refuses. */
    SocketTLSContext_set_verify_callback(context, without_socket, &calls);
    struct client *client = client_open(loop, "localhost", peer_port(peer), &o);
    client_wait_error(client);
    CHECK_INT(client->kind, CONN_ERR_CERTIFICATE);
}

/* ---- A server's callback ------------------------------------------------------------------------------------------- */

static const char *raises(const char **names, size_t count, void *arg) {
    (void)names, (void)count, (void)arg;
    calls++;
    RAISE(Mine);
}

TEST(what_the_alpn_callback_raises_is_a_refusal) {
    SocketTLSContext_T server = a_server(), client = a_client();
    const char *names[] = {"h2"};
    SocketTLSContext_set_alpn_protos(client, names, 1);
    SocketTLSContext_set_alpn_callback(server, raises, NULL);
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct ev_loop *loop = test_loop();
    struct conn_options one = with(client), other = with(server);
    one.server_name = "localhost";
    other.server_side = true;
    struct client *ours = client_adopt(loop, fds[0], &one), *theirs = client_adopt(loop, fds[1], &other);
    client_wait_error(theirs);
    client_wait_error(ours);
    CHECK_INT(calls, 1);
    CHECK_INT(theirs->kind, CONN_ERR_TLS);
}

TEST_MAIN

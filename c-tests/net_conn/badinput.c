/* NULL in each pointer position of each function, calls at the wrong time and on the wrong thread: an error, never a crash. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "netconn.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- No connection ----------------------------------------------------------------------------------------------------- */

static void never(struct net_conn *c, void *arg) {
    (void)c, (void)arg;
    FAIL("a callback that nothing can cause");
}

TEST(a_null_connection) {
    char byte = 0;
    struct iovec piece = {&byte, 1};
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    struct conn_certificate shown = {.size = sizeof shown};
    conn_close(NULL);
    conn_abort(NULL);
    conn_ref(NULL);
    conn_unref(NULL);
    conn_set_readable_callback(NULL, never, NULL);
    conn_set_writable_callback(NULL, never, NULL);
    conn_set_data(NULL, &byte);
    CHECK_ERRNO(conn_try_read(NULL, &byte, 1), EINVAL);
    CHECK_ERRNO(conn_try_read(NULL, NULL, 0), EINVAL);
    CHECK_ERRNO(conn_try_write(NULL, &byte, 1), EINVAL);
    CHECK_ERRNO(conn_try_writev(NULL, &piece, 1), EINVAL);
    CHECK_ERRNO(conn_shutdown(NULL), EINVAL);
    CHECK_ERRNO(conn_start_tls(NULL, NULL, NULL, NULL, NULL), EINVAL);
    CHECK_ERRNO(conn_detach(NULL), EINVAL);
    CHECK_INT(conn_get_state(NULL), CONN_CLOSED);
    CHECK_PTR_NULL(conn_get_error_msg(NULL));
    CHECK_PTR_NULL(conn_get_host(NULL));
    CHECK_PTR_NULL(conn_get_port(NULL));
    CHECK_INT(conn_get_use_tls(NULL), false);
    CHECK_INT(conn_get_error(NULL), CONN_ERR_NONE);
    CHECK_INT(conn_get_errno(NULL), 0);
    CHECK_INT(conn_get_fd(NULL), -1);
    CHECK_INT(conn_pending(NULL), 0);
    CHECK_INT(conn_local_addr(NULL, (struct sockaddr *)&address, &len), -1);
    CHECK_INT(conn_peer_addr(NULL, (struct sockaddr *)&address, &len), -1);
    CHECK_PTR_NULL(conn_get_alpn(NULL));
    CHECK_PTR_NULL(conn_get_tls_version(NULL));
    CHECK_PTR_NULL(conn_get_cipher(NULL));
    CHECK_INT(conn_session_reused(NULL), false);
    CHECK_PTR_NULL(conn_get_timing(NULL));
    CHECK_INT(conn_get_verify_result(NULL), -1);
    CHECK_INT(conn_get_peer_certificate(NULL, &shown), -1);
    CHECK_INT(conn_get_ocsp_status(NULL), NETCONN_TLS_OCSP_NONE);
    CHECK_PTR_NULL(conn_get_data(NULL));
}

ALL_TRANSPORTS(null_in_the_other_places) {
    struct client *client = ready_client(test_loop(), version, peer_of(version, NULL, NULL));
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    CHECK_ERRNO(conn_local_addr(client->c, NULL, &len), EINVAL);
    CHECK_ERRNO(conn_local_addr(client->c, (struct sockaddr *)&address, NULL), EINVAL);
    CHECK_ERRNO(conn_peer_addr(client->c, NULL, &len), EINVAL);
    CHECK_ERRNO(conn_peer_addr(client->c, (struct sockaddr *)&address, NULL), EINVAL);
    CHECK_ERRNO(conn_get_peer_certificate(client->c, NULL), EINVAL);
    CHECK_ERRNO(conn_try_read(client->c, NULL, 5), EINVAL);
    CHECK_ERRNO(conn_try_write(client->c, NULL, 5), EINVAL);
    CHECK_ERRNO(conn_try_writev(client->c, NULL, 5), EINVAL);
    client_echo(client, "unharmed");
}

BOTH_VERSIONS(a_certificate_struct_of_another_size) {
    struct client *client = ready_client(test_loop(), version, TLS_PEER(version));
    struct conn_certificate shown = {.size = 0};
    CHECK_ERRNO(conn_get_peer_certificate(client->c, &shown), EINVAL);
    shown.size = sizeof shown + 1;
    CHECK_ERRNO(conn_get_peer_certificate(client->c, &shown), EINVAL);
    memset(&shown, 0xee, sizeof shown);
    shown.size = offsetof(struct conn_certificate, names); /* an older program's */
    CHECK_INT(conn_get_peer_certificate(client->c, &shown), 0);
    CHECK_CONTAINS(shown.subject, "localhost");
    CHECK_INT((unsigned char)shown.names[0], 0xee); /* not a byte further */
}

/* ---- The wrong time ------------------------------------------------------------------------------------------------------ */

ALL_TRANSPORTS(calls_after_ready_was_lost) {
    struct peer *peer = peer_of(version, serve_reset, NULL);
    struct client *client = ready_client(test_loop(), version, peer);
    client_write(client, "x", 1);
    RUN_UNTIL(client->loop, client->errors);
    char byte;
    struct iovec piece = {&byte, 1};
    for (int i = 0; i < 3; i++) {
        CHECK_ERRNO(conn_try_read(client->c, &byte, 1), ECONNRESET);
        CHECK_INT(conn_try_write(client->c, &byte, 1), -1);
        CHECK(errno == ECONNRESET || errno == EPIPE);
        CHECK_INT(conn_try_writev(client->c, &piece, 1), -1);
        conn_shutdown(client->c);
        CHECK_INT(conn_try_read(client->c, &byte, 0), 0);
        CHECK_INT(conn_try_write(client->c, &byte, 0), 0);
    }
    conn_set_readable_callback(client->c, never, NULL);
    conn_set_writable_callback(client->c, never, NULL);
    run_rounds(client->loop); /* the failure has been read: nothing fires any more */
    CHECK_INT(client->errors, 1);
    CHECK_STR(conn_get_error_msg(client->c), client->message);
}

TEST(calls_before_ready) {
    struct peer *peer = PEER(0);
    struct conn_options o = options();
    struct client *client = client_open(test_loop(), "localhost", peer_port(peer), &o);
    char byte;
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    struct iovec piece = {&byte, 1};
    CHECK_ERRNO(conn_try_read(client->c, &byte, 1), ENOTCONN);
    CHECK_ERRNO(conn_try_write(client->c, &byte, 1), ENOTCONN);
    CHECK_ERRNO(conn_try_writev(client->c, &piece, 1), ENOTCONN);
    CHECK_ERRNO(conn_shutdown(client->c), ENOTCONN);
    CHECK_ERRNO(conn_peer_addr(client->c, (struct sockaddr *)&address, &len), ENOTCONN);
    CHECK_ERRNO(conn_local_addr(client->c, (struct sockaddr *)&address, &len), ENOTCONN);
    CHECK_INT(conn_get_fd(client->c), -1);
    client_wait_ready(client);
    client_echo(client, "unharmed");
}

TEST(calls_after_a_failure_of_establishing) {
    struct conn_options o = options();
    struct client *client = client_open(test_loop(), "127.0.0.1", refused_port(), &o);
    client_wait_error(client);
    conn_set_readable_callback(client->c, never, NULL);
    conn_set_writable_callback(client->c, never, NULL);
    conn_ref(client->c);
    conn_unref(client->c);
    run_rounds(client->loop);
    evloop_run(client->loop);
    CHECK_STR(conn_get_error_msg(client->c), client->message);
}

TEST(tls_questions_to_a_plain_connection) {
    struct client *client = ready_client(test_loop(), 0, PEER(0));
    struct conn_certificate shown = {.size = sizeof shown};
    CHECK_PTR_NULL(client->c->ssl);
    CHECK_PTR_NULL(conn_get_alpn(client->c));
    CHECK_PTR_NULL(conn_get_tls_version(client->c));
    CHECK_PTR_NULL(conn_get_cipher(client->c));
    CHECK_INT(conn_session_reused(client->c), false);
    CHECK_INT(conn_get_verify_result(client->c), -1);
    CHECK_ERRNO(conn_get_peer_certificate(client->c, &shown), ENOENT);
    CHECK_INT(conn_get_ocsp_status(client->c), NETCONN_TLS_OCSP_NONE);
}

/* ---- Contexts ------------------------------------------------------------------------------------------------------------ */

TEST(null_contexts_and_files_that_are_not_there) {
    NEEDS_TLS();
    SocketTLSContext_T none = NULL;
    netconn_tls_free(NULL);
    netconn_tls_free(&none);
    CHECK_NULL_ERRNO(netconn_tls_client("/nonexistent/ca.pem"), ENOENT);
    CHECK_CONTAINS(netconn_tls_error(), "/nonexistent/ca.pem");
    CHECK_NULL_ERRNO(netconn_tls_client(cert("garbage.pem")), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "garbage.pem");
    CHECK_NULL_ERRNO(netconn_tls_client(cert("empty.pem")), EINVAL);
    CHECK_NULL_ERRNO(netconn_tls_server(cert(CERT_GOOD), cert(CERT_CLIENT_KEY), NULL), EINVAL); /* another's key */
    CHECK_NULL_ERRNO(netconn_tls_server(cert(CERT_GOOD), NULL, NULL), EINVAL);
    CHECK_NULL_ERRNO(netconn_tls_server("/nonexistent.pem", cert(CERT_GOOD_KEY), NULL), ENOENT);
    CHECK_ERRNO(netconn_tls_load_ca(NULL, cert(CERT_CA)), EINVAL);
    CHECK_ERRNO(netconn_tls_load_ca_pem(NULL, "x", 1), EINVAL);
    CHECK_ERRNO(netconn_tls_load_certificate(NULL, cert(CERT_CLIENT), cert(CERT_CLIENT_KEY)), EINVAL);
    CHECK_ERRNO(netconn_tls_set_verify(NULL, NETCONN_TLS_VERIFY_FULL), EINVAL);
    CHECK_ERRNO(netconn_tls_set_verify_callback(NULL, NULL, NULL), EINVAL);
    CHECK_ERRNO(netconn_tls_set_versions(NULL, 0, 0), EINVAL);
    CHECK_ERRNO(netconn_tls_set_alpn(NULL, NULL, 0), EINVAL);
    CHECK_ERRNO(netconn_tls_set_alpn_callback(NULL, NULL, NULL), EINVAL);
    CHECK_ERRNO(netconn_tls_set_session_reuse(NULL, true), EINVAL);
    CHECK_PTR_NULL(netconn_tls_ssl_ctx(NULL));
    CHECK_INT(netconn_tls_verify_name(NULL, "x"), -1);
    CHECK_INT(netconn_tls_verify_name(cert(CERT_GOOD), NULL), -1);
    CHECK_ERRNO(netconn_tls_verify_name("/nonexistent.pem", "x"), ENOENT);
    CHECK_INT(netconn_tls_verify_name(cert(CERT_GOOD), "localhost"), 1);
    CHECK_INT(netconn_tls_verify_name(cert(CERT_GOOD), "elsewhere.example"), 0);
}

BOTH_VERSIONS(a_setter_that_fails_changes_nothing) {
    struct peer *peer = TLS_PEER(version);
    struct conn_options o = tls_options();
    static const char *const empty[] = {""};
    char *huge = alloc(300);
    memset(huge, 'a', 256);
    const char *const too_long[] = {huge};
    CHECK_ERRNO(netconn_tls_set_alpn(o.tls, empty, 1), EINVAL);
    CHECK_ERRNO(netconn_tls_set_alpn(o.tls, too_long, 1), EINVAL);
    CHECK_ERRNO(netconn_tls_set_alpn(o.tls, NULL, 1), EINVAL);
    CHECK_ERRNO(netconn_tls_set_versions(o.tls, 0x0304, 0x0303), EINVAL);
    CHECK_ERRNO(netconn_tls_set_versions(o.tls, 0x0301, 0), EINVAL);
    CHECK_ERRNO(netconn_tls_set_versions(o.tls, 12345, 0), EINVAL);
    CHECK_ERRNO(netconn_tls_set_verify(o.tls, NETCONN_TLS_VERIFY_REQUIRE_CLIENT), EINVAL);
    CHECK_ERRNO(netconn_tls_set_verify(o.tls, (enum netconn_tls_verify)99), EINVAL);
    CHECK_ERRNO(netconn_tls_set_verify(o.tls, (enum netconn_tls_verify) - 1), EINVAL);
    CHECK_ERRNO(netconn_tls_load_ca(o.tls, NULL), EINVAL);
    CHECK_ERRNO(netconn_tls_load_ca(o.tls, "/nonexistent.pem"), ENOENT);
    CHECK_ERRNO(netconn_tls_load_ca_pem(o.tls, "garbage", 7), EINVAL);
    CHECK_ERRNO(netconn_tls_load_ca_pem(o.tls, NULL, 7), EINVAL);
    CHECK_ERRNO(netconn_tls_load_certificate(o.tls, cert(CERT_CLIENT), cert(CERT_GOOD_KEY)), EINVAL);
    CHECK_ERRNO(netconn_tls_load_certificate(o.tls, cert("garbage.pem"), cert(CERT_GOOD_KEY)), EINVAL);
    struct client *client = client_open(test_loop(), "127.0.0.1", peer_port(peer), &o);
    client_wait_ready(client);
    client_echo(client, "as before");
}

/* ---- The wrong thread ------------------------------------------------------------------------------------------------------ */

static char complaint[300];
static void listen_to_log(int level, const char *message, void *arg) {
    (void)arg;
    if (level == NETCONN_LOG_ERROR && strstr(message, "wrong thread")) snprintf(complaint, sizeof complaint, "%s", message);
}

/* The complaint about a call names its function. */
#define COMPLAINS(function, arguments)                                                                                 \
    do {                                                                                                               \
        complaint[0] = 0;                                                                                              \
        (void)function arguments;                                                                                      \
        CHECK_CONTAINS(complaint, #function " ");                                                                      \
    } while (0)

static void no_work(void *arg) { (void)arg; }
static void no_io(int fd, int revents, void *arg) { (void)fd, (void)revents, (void)arg; }

/* Nothing here reaches what the loop's own thread may be using: that one waits for this thread's end. */
static void *call_from_elsewhere(void *arg) {
    struct net_conn *c = ((struct client *)arg)->c;
    struct ev_loop *loop = ((struct client *)arg)->loop;
    char byte;
    struct iovec piece = {&byte, 0};
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    struct conn_certificate shown = {.size = sizeof shown};
    struct conn_options o = options();
    COMPLAINS(conn_try_read, (c, &byte, 1));
    COMPLAINS(conn_try_write, (c, &byte, 0));
    COMPLAINS(conn_try_writev, (c, &piece, 1));
    COMPLAINS(conn_pending, (c));
    COMPLAINS(conn_set_readable_callback, (c, NULL, NULL));
    COMPLAINS(conn_set_writable_callback, (c, NULL, NULL));
    COMPLAINS(conn_ref, (c));
    COMPLAINS(conn_set_data, (c, NULL));
    COMPLAINS(conn_get_data, (c));
    COMPLAINS(conn_get_state, (c));
    COMPLAINS(conn_get_error, (c));
    COMPLAINS(conn_get_fd, (c));
    COMPLAINS(conn_local_addr, (c, (struct sockaddr *)&address, &len));
    COMPLAINS(conn_peer_addr, (c, (struct sockaddr *)&address, &len));
    COMPLAINS(conn_get_peer_certificate, (c, &shown));
    COMPLAINS(conn_new_with, (loop, "127.0.0.1", "70000", &o, NULL, NULL, NULL));
    COMPLAINS(conn_from_fd, (loop, -1, &o, NULL, NULL, NULL));
    complaint[0] = 0;
    struct evloop_timer *timer = evloop_timer_start(loop, 1000, 0, no_work, NULL);
    CHECK_CONTAINS(complaint, "evloop_timer_start ");
    COMPLAINS(evloop_timer_stop, (timer));
    COMPLAINS(evloop_timer_free, (timer));
    COMPLAINS(evloop_io_start, (loop, -1, 0, no_io, NULL));
    COMPLAINS(evloop_now, (loop));
    /* Those that any thread may call. */
    complaint[0] = 0;
    CHECK_INT(evloop_post(loop, no_work, NULL), 0);
    evloop_wakeup(loop);
    evloop_break(loop);
    CHECK_STR(complaint, "");
    return NULL;
}

TEST(the_wrong_thread_is_reported) {
    /* NETCONN_TEST_DEBUG=1 says that the library is a debug build; another one does not look. */
    const char *debug = getenv("NETCONN_TEST_DEBUG");
    if (!debug || strcmp(debug, "1") != 0) return;
    netconn_set_log(listen_to_log, NULL);
    struct client *client = ready_client(test_loop(), 0, PEER(0));
    CHECK_STR(complaint, "");
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, call_from_elsewhere, client), 0);
    pthread_join(thread, NULL);
    netconn_set_log(NULL, NULL);
    client_echo(client, "unharmed");
}

TEST_MAIN

/* What is set on a context: each function, each value that it refuses, and its text. */
#include "../harness.h"
#include "netconn.h"
#include "netconn_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>

static void done(void *context) { netconn_tls_free(context); }

/* A context that is freed at the end of the test. */
static SocketTLSContext_T keep(SocketTLSContext_T context) {
    CHECK_PTR_NOT_NULL(context);
    SocketTLSContext_T *variable = alloc(sizeof *variable);
    *variable = context;
    at_end(done, variable);
    return context;
}

/* The context's SSL_CTX. A vendored OpenSSL hidden in the library must not meet the one that this test is linked with. */
static SSL_CTX *ssl_ctx(SocketTLSContext_T context) {
    if (strstr(netconn_openssl(), "(system)") == NULL) SKIP("the library has an OpenSSL of its own");
    return netconn_tls_ssl_ctx(context);
}

static SocketTLSContext_T a_client(void) { return keep(netconn_tls_client(cert("ca.pem"))); }
static SocketTLSContext_T a_server(void) { return keep(netconn_tls_server(cert("server.pem"), cert("server.key"), NULL)); }

/* ---- Verification ---------------------------------------------------------------------------------------------------- */

TEST(verification_modes_belong_to_a_side) {
    SocketTLSContext_T client = a_client(), server = a_server();
    CHECK_INT(netconn_tls_set_verify(client, NETCONN_TLS_VERIFY_FULL), 0);
    CHECK_INT(netconn_tls_set_verify(client, NETCONN_TLS_VERIFY_CHAIN), 0);
    CHECK_INT(netconn_tls_set_verify(client, NETCONN_TLS_VERIFY_NONE), 0);
    CHECK_ERRNO(netconn_tls_set_verify(client, NETCONN_TLS_VERIFY_REQUIRE_CLIENT), EINVAL);
    CHECK_ERRNO(netconn_tls_set_verify(client, NETCONN_TLS_VERIFY_OPTIONAL_CLIENT), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "for servers");

    CHECK_INT(netconn_tls_set_verify(server, NETCONN_TLS_VERIFY_REQUIRE_CLIENT), 0);
    CHECK_INT(netconn_tls_set_verify(server, NETCONN_TLS_VERIFY_OPTIONAL_CLIENT), 0);
    CHECK_INT(netconn_tls_set_verify(server, NETCONN_TLS_VERIFY_NONE), 0);
    CHECK_ERRNO(netconn_tls_set_verify(server, NETCONN_TLS_VERIFY_FULL), EINVAL);
    CHECK_ERRNO(netconn_tls_set_verify(server, NETCONN_TLS_VERIFY_CHAIN), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "for clients");

    CHECK_ERRNO(netconn_tls_set_verify(client, (enum netconn_tls_verify)5), EINVAL);
    CHECK_STR(netconn_tls_error(), "TLS: there is no verification mode 5");
    CHECK_ERRNO(netconn_tls_set_verify(client, (enum netconn_tls_verify)-1), EINVAL);
    CHECK_ERRNO(netconn_tls_set_verify(NULL, NETCONN_TLS_VERIFY_FULL), EINVAL);
}

static int accept_all(int preverified, int depth, const char *subject, long x509_error, void *arg) {
    (void)preverified, (void)depth, (void)subject, (void)x509_error, (void)arg;
    return 1;
}

TEST(a_verify_callback_is_set_and_removed) {
    SocketTLSContext_T client = a_client();
    int arg;
    CHECK_INT(netconn_tls_set_verify_callback(client, accept_all, &arg), 0);
    CHECK_INT(netconn_tls_set_verify_callback(client, NULL, NULL), 0);
    CHECK_INT(netconn_tls_set_verify_callback(a_server(), accept_all, NULL), 0);
    CHECK_ERRNO(netconn_tls_set_verify_callback(NULL, accept_all, NULL), EINVAL);
}

/* ---- Versions and protocols ------------------------------------------------------------------------------------------ */

static void check_versions(SocketTLSContext_T context, int min, int max) {
    CHECK_INT(SSL_CTX_get_min_proto_version(ssl_ctx(context)), min);
    CHECK_INT(SSL_CTX_get_max_proto_version(ssl_ctx(context)), max);
}

TEST(versions) {
    SocketTLSContext_T context = a_client();
    check_versions(context, 0x0303, 0);
    CHECK_INT(netconn_tls_set_versions(context, 0x0304, 0), 0);
    check_versions(context, 0x0304, 0);
    CHECK_INT(netconn_tls_set_versions(context, 0x0303, 0x0303), 0);
    check_versions(context, 0x0303, 0x0303);

    CHECK_ERRNO(netconn_tls_set_versions(context, 0x0304, 0x0303), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "above the highest");
    CHECK_ERRNO(netconn_tls_set_versions(context, 0, 0x0302), EINVAL);
    CHECK_ERRNO(netconn_tls_set_versions(context, 0x0302, 0), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "security level");
    CHECK_ERRNO(netconn_tls_set_versions(context, 3, 0), EINVAL);
    CHECK_ERRNO(netconn_tls_set_versions(context, -1, 0), EINVAL);
    CHECK_ERRNO(netconn_tls_set_versions(context, 0, 0x0305), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "unknown version");
    CHECK_ERRNO(netconn_tls_set_versions(NULL, 0, 0), EINVAL);
    check_versions(context, 0x0303, 0x0303);

    CHECK_INT(netconn_tls_set_versions(context, 0, 0), 0);
    check_versions(context, 0x0303, 0);
}

TEST(old_versions_need_a_lowered_security_level) {
    SocketTLSContext_T context = a_client();
    SSL_CTX_set_security_level(ssl_ctx(context), 0);
    CHECK_INT(netconn_tls_set_versions(context, 0x0301, 0x0302), 0);
    check_versions(context, 0x0301, 0x0302);
    CHECK_ERRNO(netconn_tls_set_versions(context, 0x0300, 0), EINVAL);
}

TEST(alpn) {
    char longest[257];
    memset(longest, 'x', 255);
    longest[255] = 0;
    const char *names[] = {"h2", "http/1.1", longest};
    SocketTLSContext_T client = a_client(), server = a_server();
    CHECK_INT(netconn_tls_set_alpn(client, names, 3), 0);
    CHECK_INT(netconn_tls_set_alpn(server, names, 3), 0);
    CHECK_INT(netconn_tls_set_alpn(client, NULL, 0), 0);

    CHECK_ERRNO(netconn_tls_set_alpn(client, NULL, 1), EINVAL);
    CHECK_ERRNO(netconn_tls_set_alpn(client, names, SIZE_MAX), EINVAL);
    CHECK_ERRNO(netconn_tls_set_alpn(NULL, names, 1), EINVAL);
    longest[255] = 'x', longest[256] = 0;
    CHECK_ERRNO(netconn_tls_set_alpn(client, names, 3), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "1 to 255 bytes");
    const char *empty[] = {"h2", ""}, *null[] = {"h2", NULL};
    CHECK_ERRNO(netconn_tls_set_alpn(client, empty, 2), EINVAL);
    CHECK_ERRNO(netconn_tls_set_alpn(client, null, 2), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "NULL");
}

static const char *choose_none(const char *const *offered, size_t n, void *arg) {
    (void)offered, (void)n, (void)arg;
    return NULL;
}

TEST(an_alpn_callback_is_a_servers) {
    SocketTLSContext_T server = a_server();
    CHECK_INT(netconn_tls_set_alpn_callback(server, choose_none, NULL), 0);
    CHECK_INT(netconn_tls_set_alpn_callback(server, NULL, NULL), 0);
    CHECK_ERRNO(netconn_tls_set_alpn_callback(a_client(), choose_none, NULL), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "for servers");
    CHECK_ERRNO(netconn_tls_set_alpn_callback(NULL, choose_none, NULL), EINVAL);
}

/* ---- The rest -------------------------------------------------------------------------------------------------------- */

TEST(session_reuse) {
    CHECK_INT(netconn_tls_set_session_reuse(a_client(), false), 0);
    SocketTLSContext_T server = a_server();
    CHECK_INT(netconn_tls_set_session_reuse(server, false), 0);
    CHECK_INT(netconn_tls_set_session_reuse(server, true), 0);
    CHECK_ERRNO(netconn_tls_set_session_reuse(NULL, true), EINVAL);
}

TEST(the_ssl_ctx_has_safe_defaults) {
    SSL_CTX *ctx = ssl_ctx(a_client());
    CHECK_CMP(SSL_CTX_get_security_level(ctx), >=, 2);
    CHECK(SSL_CTX_get_options(ctx) & SSL_OP_NO_RENEGOTIATION);
    CHECK(SSL_CTX_get_options(ctx) & SSL_OP_NO_COMPRESSION);
    CHECK(!(SSL_CTX_get_options(ctx) & SSL_OP_IGNORE_UNEXPECTED_EOF));
    CHECK_NULL_ERRNO(netconn_tls_ssl_ctx(NULL), EINVAL);
}

TEST(a_name_is_looked_for_in_a_certificate) {
    const char *pem = cert("server.pem");
    CHECK_INT(netconn_tls_verify_name(pem, "localhost"), 1);
    CHECK_INT(netconn_tls_verify_name(pem, "LocalHost."), 1);
    CHECK_INT(netconn_tls_verify_name(pem, "a.test.example"), 1);
    CHECK_INT(netconn_tls_verify_name(pem, "127.0.0.1"), 1);
    CHECK_INT(netconn_tls_verify_name(pem, "[::1]"), 1);
    CHECK_INT(netconn_tls_verify_name(pem, "test.example"), 0);
    CHECK_INT(netconn_tls_verify_name(pem, "a.b.test.example"), 0);
    CHECK_INT(netconn_tls_verify_name(pem, "127.0.0.2"), 0);
    CHECK_INT(netconn_tls_verify_name(cert("cn-only.pem"), "localhost"), 0);
    CHECK_INT(netconn_tls_verify_name(cert("chain.pem"), "localhost"), 1);

    CHECK_ERRNO(netconn_tls_verify_name("/nonexistent/x.pem", "localhost"), ENOENT);
    CHECK_STR(netconn_tls_error(), "/nonexistent/x.pem: No such file or directory");
    CHECK_ERRNO(netconn_tls_verify_name(cert("garbage.pem"), "localhost"), EINVAL);
    CHECK_ERRNO(netconn_tls_verify_name(NULL, "localhost"), EINVAL);
    CHECK_ERRNO(netconn_tls_verify_name(pem, NULL), EINVAL);
    CHECK_ERRNO(netconn_tls_verify_name(pem, ""), EINVAL);
    CHECK_ERRNO(netconn_tls_verify_name(pem, ".example"), EINVAL);
    CHECK_ERRNO(netconn_tls_verify_name(pem, "\xff"), EINVAL);
}

static void *other_thread(void *arg) {
    CHECK_STR(netconn_tls_error(), "");
    CHECK_NULL_ERRNO(netconn_tls_client("/nonexistent/other.pem"), ENOENT);
    CHECK_CONTAINS(netconn_tls_error(), "other.pem");
    return arg;
}

TEST(error_texts_belong_to_their_thread) {
    NEEDS_TLS();
    CHECK_STR(netconn_tls_error(), "");
    CHECK_NULL_ERRNO(netconn_tls_client("/nonexistent/mine.pem"), ENOENT);
    CHECK_CONTAINS(netconn_tls_error(), "mine.pem");
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, other_thread, NULL), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_CONTAINS(netconn_tls_error(), "mine.pem");
    /* As errno, the text stays until the next failure. */
    a_client();
    CHECK_CONTAINS(netconn_tls_error(), "mine.pem");
}

TEST(the_hosts_error_queue_is_left_alone) {
    ERR_raise_data(ERR_LIB_USER, 42, "of the host");
    CHECK_NULL_ERRNO(netconn_tls_client(cert("garbage.pem")), EINVAL);
    a_server();
    const char *data;
    int flags;
    CHECK_INT(ERR_GET_REASON(ERR_get_error_all(NULL, NULL, NULL, &data, &flags)), 42);
    CHECK_STR(data, "of the host");
    CHECK_INT(ERR_get_error(), 0);
}

#define THREADS 4

static void *churn(void *arg) {
    SocketTLSContext_T context = arg;
    const char *names[] = {"h2", "http/1.1"};
    int rounds = small(300, 30);
    for (int i = 0; i < rounds; i++) {
        CHECK_INT(netconn_tls_set_alpn(context, names, i % 3), 0);
        CHECK_INT(netconn_tls_set_verify(context, i % 2 ? NETCONN_TLS_VERIFY_FULL : NETCONN_TLS_VERIFY_CHAIN), 0);
        CHECK_INT(netconn_tls_set_verify_callback(context, i % 2 ? accept_all : NULL, NULL), 0);
        CHECK_INT(netconn_tls_load_ca(context, cert("other-ca.pem")), 0);
        CHECK_INT(netconn_tls_load_certificate(context, cert("client.pem"), cert("client.key")), 0);
        CHECK_ERRNO(netconn_tls_set_versions(context, 7, 0), EINVAL);
    }
    return NULL;
}

TEST(a_context_is_changed_by_several_threads) {
    SocketTLSContext_T context = a_client();
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_create(&threads[i], NULL, churn, context), 0);
    for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
}

TEST_MAIN

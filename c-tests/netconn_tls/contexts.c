/* Contexts are made and freed; whom they trust and what they show is loaded, or refused with a reason. */
#include "../harness.h"
#include "netconn.h"
#include "netconn_tls.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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

struct text {
    char *bytes;
    size_t len;
};

static struct text contents(const char *path) {
    FILE *file = fopen(path, "rb");
    CHECK_PTR_NOT_NULL(file);
    struct text text = {alloc(100000), 0};
    text.len = fread(text.bytes, 1, 100000, file);
    fclose(file);
    return text;
}

/* The subject of the certificate that a context shows. */
static const char *shown(SocketTLSContext_T context) {
    static char line[200];
    X509 *leaf = SSL_CTX_get0_certificate(ssl_ctx(context));
    CHECK_PTR_NOT_NULL(leaf);
    return X509_NAME_oneline(X509_get_subject_name(leaf), line, sizeof line);
}

/* A path below a directory that does not let us in, and a file that does not let us read. */
static const char *forbidden(void) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/secret.pem", temp_dir());
    FILE *file = fopen(path, "w");
    CHECK_PTR_NOT_NULL(file);
    fclose(file);
    CHECK_INT(chmod(path, 0), 0);
    return path;
}

/* ---- Making and freeing ---------------------------------------------------------------------------------------------- */

TEST(a_client_trusts_a_file) {
    SocketTLSContext_T context = netconn_tls_client(cert("ca.pem"));
    CHECK_PTR_NOT_NULL(context);
    netconn_tls_free(&context);
    CHECK_PTR_NULL(context);
    netconn_tls_free(&context);
    netconn_tls_free(NULL);
}

TEST(a_client_trusts_a_hashed_directory) { keep(netconn_tls_client(cert("cadir"))); }

TEST(a_file_may_be_a_symbolic_link) {
    char path[4096];
    snprintf(path, sizeof path, "%s/link.pem", temp_dir());
    CHECK_INT(symlink(cert("ca.pem"), path), 0);
    keep(netconn_tls_client(path));
}

TEST(errno_is_left_alone_by_success) {
    errno = 12345;
    SocketTLSContext_T context = netconn_tls_client(cert("ca.pem"));
    CHECK_INT(errno, 12345);
    CHECK_INT(netconn_tls_set_verify(context, NETCONN_TLS_VERIFY_CHAIN), 0);
    CHECK_INT(errno, 12345);
    netconn_tls_free(&context);
    CHECK_INT(errno, 12345);
}

TEST(a_client_refuses_what_it_cannot_load) {
    NEEDS_TLS();
    CHECK_NULL_ERRNO(netconn_tls_client("/nonexistent/ca.pem"), ENOENT);
    CHECK_STR(netconn_tls_error(), "/nonexistent/ca.pem: No such file or directory");
    CHECK_NULL_ERRNO(netconn_tls_client(""), ENOENT);
    CHECK_NULL_ERRNO(netconn_tls_client(cert("garbage.pem")), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "garbage.pem: no certificate in it (PEM)");
    CHECK_NULL_ERRNO(netconn_tls_client(cert("empty.pem")), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "empty.pem: is empty");
    CHECK_NULL_ERRNO(netconn_tls_client(cert("server.key")), EINVAL);
    CHECK_NULL_ERRNO(netconn_tls_client(temp_dir()), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "openssl rehash");
}

TEST(a_file_that_may_not_be_read_is_eacces) {
    const char *path = forbidden();
    SocketTLSContext_T context = a_server();
    if (geteuid() == 0) CHECK_INT(seteuid(65534), 0);
    CHECK_NULL_ERRNO(netconn_tls_client(path), EACCES);
    CHECK_CONTAINS(netconn_tls_error(), "secret.pem: Permission denied");
    CHECK_NULL_ERRNO(netconn_tls_server(path, path, NULL), EACCES);
    CHECK_ERRNO(netconn_tls_load_ca(context, path), EACCES);
    CHECK_ERRNO(netconn_tls_load_certificate(context, path, path), EACCES);
    CHECK_ERRNO(netconn_tls_verify_name(path, "localhost"), EACCES);
    if (getuid() == 0) CHECK_INT(seteuid(0), 0);
}

TEST(the_system_store_is_where_the_environment_says) {
    setenv("SSL_CERT_FILE", cert("ca.pem"), 1);
    setenv("SSL_CERT_DIR", "/nonexistent/dir", 1);
    keep(netconn_tls_client(NULL));
    setenv("SSL_CERT_FILE", "/nonexistent/file", 1);
    char dirs[4096];
    snprintf(dirs, sizeof dirs, "/nonexistent/dir:%s", cert("cadir"));
    setenv("SSL_CERT_DIR", dirs, 1);
    keep(netconn_tls_client(NULL));
}

TEST(without_a_system_store_the_places_are_named) {
    NEEDS_TLS();
    setenv("SSL_CERT_FILE", "/nonexistent/file", 1);
    setenv("SSL_CERT_DIR", "/nonexistent/one:/nonexistent/two", 1);
    CHECK_NULL_ERRNO(netconn_tls_client(NULL), ENOENT);
    CHECK_CONTAINS(netconn_tls_error(), "/nonexistent/file, /nonexistent/one, /nonexistent/two");
    CHECK_CONTAINS(netconn_tls_error(), "ca-certificates");
}

TEST(a_server_has_a_certificate_now_or_later) {
    CHECK_STR(shown(a_server()), "/CN=localhost");
    keep(netconn_tls_server(cert("server.pem"), cert("server.key"), cert("ca.pem")));
    keep(netconn_tls_server(cert("server-rsa.pem"), cert("server-rsa.key"), cert("cadir")));
    SocketTLSContext_T later = keep(netconn_tls_server(NULL, NULL, NULL));
    CHECK_PTR_NULL(SSL_CTX_get0_certificate(ssl_ctx(later)));
    CHECK_INT(netconn_tls_load_certificate(later, cert("chain.pem"), cert("chain.key")), 0);
    CHECK_STR(shown(later), "/CN=localhost");
}

TEST(a_server_refuses_what_it_cannot_load) {
    const char *pem = cert("server.pem"), *key = cert("server.key");
    CHECK_NULL_ERRNO(netconn_tls_server(pem, NULL, NULL), EINVAL);
    CHECK_STR(netconn_tls_error(), "TLS: the path of the key is NULL");
    CHECK_NULL_ERRNO(netconn_tls_server(NULL, key, NULL), EINVAL);
    CHECK_STR(netconn_tls_error(), "TLS: the path of the certificate is NULL");
    CHECK_NULL_ERRNO(netconn_tls_server("/nonexistent/s.pem", key, NULL), ENOENT);
    CHECK_CONTAINS(netconn_tls_error(), "/nonexistent/s.pem");
    CHECK_NULL_ERRNO(netconn_tls_server(pem, "/nonexistent/s.key", NULL), ENOENT);
    CHECK_CONTAINS(netconn_tls_error(), "/nonexistent/s.key");
    CHECK_NULL_ERRNO(netconn_tls_server(pem, key, "/nonexistent/ca.pem"), ENOENT);
    CHECK_NULL_ERRNO(netconn_tls_server(pem, key, cert("garbage.pem")), EINVAL);
    CHECK_NULL_ERRNO(netconn_tls_server(pem, cert("client.key"), NULL), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "client.key: is not the key of ");
    CHECK_CONTAINS(netconn_tls_error(), "server.pem");
    CHECK_NULL_ERRNO(netconn_tls_server(pem, pem, NULL), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "server.pem: no private key in it (PEM)");
    CHECK_NULL_ERRNO(netconn_tls_server(cert("weak-key.pem"), cert("weak-key.key"), NULL), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "weak-key.pem: ee key too small");
}

TEST(an_encrypted_key_is_refused_without_a_question_on_the_terminal) {
    CHECK_NULL_ERRNO(netconn_tls_server(cert("encrypted.pem"), cert("encrypted.key"), NULL), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "encrypted.key: the private key is encrypted");
}

/* ---- Loading --------------------------------------------------------------------------------------------------------- */

TEST(trust_accumulates) {
    SocketTLSContext_T context = a_client();
    CHECK_INT(netconn_tls_load_ca(context, cert("other-ca.pem")), 0);
    CHECK_INT(netconn_tls_load_ca(context, cert("cadir")), 0);
    CHECK_INT(netconn_tls_load_ca(context, cert("ca.pem")), 0); /* again: harmless */
    struct text pem = contents(cert("intermediate.pem"));
    CHECK_INT(netconn_tls_load_ca_pem(context, pem.bytes, pem.len), 0);
    X509_STORE *store = SSL_CTX_get_cert_store(ssl_ctx(context));
    CHECK_INT(sk_X509_OBJECT_num(X509_STORE_get0_objects(store)), 3);
}

TEST(trust_that_cannot_be_loaded_changes_nothing) {
    SocketTLSContext_T context = a_client();
    CHECK_ERRNO(netconn_tls_load_ca(context, "/nonexistent/ca.pem"), ENOENT);
    CHECK_ERRNO(netconn_tls_load_ca(context, cert("garbage.pem")), EINVAL);
    CHECK_ERRNO(netconn_tls_load_ca(context, NULL), EINVAL);
    CHECK_ERRNO(netconn_tls_load_ca(NULL, cert("ca.pem")), EINVAL);
    CHECK_STR(netconn_tls_error(), "TLS: the context is NULL");

    struct text pem = contents(cert("other-ca.pem"));
    CHECK_ERRNO(netconn_tls_load_ca_pem(NULL, pem.bytes, pem.len), EINVAL);
    CHECK_ERRNO(netconn_tls_load_ca_pem(context, NULL, 0), EINVAL);
    CHECK_ERRNO(netconn_tls_load_ca_pem(context, NULL, 7), EINVAL);
    CHECK_ERRNO(netconn_tls_load_ca_pem(context, pem.bytes, SIZE_MAX), EINVAL);
    CHECK_ERRNO(netconn_tls_load_ca_pem(context, "garbage", 7), EINVAL);
    /* One good certificate before a broken one. */
    char *both = alloc(2 * pem.len);
    memcpy(both, pem.bytes, pem.len);
    memcpy(both + pem.len, pem.bytes, pem.len);
    CHECK_ERRNO(netconn_tls_load_ca_pem(context, both, 2 * pem.len - 60), EINVAL);
    X509_STORE *store = SSL_CTX_get_cert_store(ssl_ctx(context));
    CHECK_INT(sk_X509_OBJECT_num(X509_STORE_get0_objects(store)), 1);
}

TEST(the_own_certificate_is_replaced) {
    SocketTLSContext_T context = a_client();
    CHECK_INT(netconn_tls_load_certificate(context, cert("client.pem"), cert("client.key")), 0);
    CHECK_STR(shown(context), "/CN=test client");
    struct text pem = contents(cert("wrong-name.pem")), key = contents(cert("wrong-name.key"));
    CHECK_INT(netconn_tls_load_certificate_pem(context, pem.bytes, pem.len, key.bytes, key.len), 0);
    CHECK_STR(shown(context), "/CN=old.example");
}

TEST(a_pair_that_cannot_be_loaded_changes_nothing) {
    SocketTLSContext_T context = a_server();
    const char *pem = cert("client.pem"), *key = cert("client.key");
    CHECK_ERRNO(netconn_tls_load_certificate(NULL, pem, key), EINVAL);
    CHECK_ERRNO(netconn_tls_load_certificate(context, NULL, key), EINVAL);
    CHECK_ERRNO(netconn_tls_load_certificate(context, pem, NULL), EINVAL);
    CHECK_ERRNO(netconn_tls_load_certificate(context, pem, "/nonexistent/key"), ENOENT);
    CHECK_ERRNO(netconn_tls_load_certificate(context, "/nonexistent/pem", key), ENOENT);
    CHECK_ERRNO(netconn_tls_load_certificate(context, pem, cert("server.key")), EINVAL);
    CHECK_ERRNO(netconn_tls_load_certificate(context, cert("encrypted.pem"), cert("encrypted.key")), EINVAL);
    CHECK_ERRNO(netconn_tls_load_certificate(context, cert("cadir"), key), EINVAL);

    struct text chain = contents(pem), other = contents(cert("server.key"));
    CHECK_ERRNO(netconn_tls_load_certificate_pem(NULL, chain.bytes, chain.len, other.bytes, other.len), EINVAL);
    CHECK_ERRNO(netconn_tls_load_certificate_pem(context, NULL, 0, other.bytes, other.len), EINVAL);
    CHECK_ERRNO(netconn_tls_load_certificate_pem(context, chain.bytes, chain.len, NULL, 5), EINVAL);
    CHECK_ERRNO(netconn_tls_load_certificate_pem(context, chain.bytes, chain.len, other.bytes, other.len), EINVAL);
    CHECK_STR(netconn_tls_error(), "the key in memory: is not the key of the certificate in memory");
    CHECK_STR(shown(context), "/CN=localhost");
}

TEST_MAIN

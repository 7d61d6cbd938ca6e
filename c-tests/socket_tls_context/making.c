/* Contexts are made and freed; paths, pairs and configs are taken, or refused with a reason. */
#include "../support/aborts.h"
#include "contexts.h"
#include "netconn_tls.h"

#include <sys/stat.h>
#include <unistd.h>

/* ---- The config ---------------------------------------------------------------------------------------------------- */

TEST(the_config_has_its_defaults) {
    SocketTLSConfig_T config;
    memset(&config, 0xff, sizeof config);
    SocketTLS_config_defaults(&config);
    CHECK_INT(config.min_version, TLS1_2_VERSION);
    CHECK_INT(config.max_version, TLS1_3_VERSION);
    CHECK_INT(config.handshake_timeout_ms, 30000);
    CHECK_INT(config.shutdown_timeout_ms, 5000);
    CHECK_INT(config.poll_interval_ms, 100);
    SocketTLS_config_defaults(NULL);
}

TEST(the_limits_have_their_values) {
    CHECK_INT(SOCKET_TLS_MIN_VERSION, TLS1_2_VERSION);
    CHECK_INT(SOCKET_TLS_MAX_VERSION, TLS1_3_VERSION);
    CHECK_STR(SOCKET_TLS13_CIPHERSUITES,
              "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256");
    CHECK_INT(SOCKET_TLS_DEFAULT_HANDSHAKE_TIMEOUT_MS, 30000);
    CHECK_INT(SOCKET_TLS_DEFAULT_SHUTDOWN_TIMEOUT_MS, 5000);
    CHECK_INT(SOCKET_TLS_POLL_INTERVAL_MS, 100);
    CHECK_INT(SOCKET_TLS_MAX_CERT_CHAIN_DEPTH, 10);
    CHECK_INT(SOCKET_TLS_MAX_SNI_CERTS, 100);
    CHECK_INT(SOCKET_TLS_MAX_SNI_LEN, 255);
    CHECK_INT(SOCKET_TLS_MAX_LABEL_LEN, 63);
    CHECK_INT(SOCKET_TLS_MAX_ALPN_LEN, 255);
    CHECK_INT(SOCKET_TLS_MAX_ALPN_PROTOCOLS, 16);
    CHECK_INT(SOCKET_TLS_MAX_PATH_LEN, 4096);
    CHECK_INT(SOCKET_TLS_TICKET_KEY_LEN, 80);
#ifdef OPENSSL_NO_CT
    CHECK_INT(SOCKET_HAS_CT_SUPPORT, 0);
#else
    CHECK_INT(SOCKET_HAS_CT_SUPPORT, 1);
#endif
}

static SocketTLSContext_T of_versions(int min, int max) {
    SocketTLSConfig_T config;
    SocketTLS_config_defaults(&config);
    config.min_version = min;
    config.max_version = max;
    return SocketTLSContext_new(&config);
}

TEST(a_config_gives_the_versions) {
    SocketTLSContext_T context = keep(of_versions(TLS1_2_VERSION, TLS1_2_VERSION));
    SSL_CTX *ctx = SocketTLSContext_get_ssl_ctx(context);
    CHECK_INT(SSL_CTX_get_min_proto_version(ctx), TLS1_2_VERSION);
    CHECK_INT(SSL_CTX_get_max_proto_version(ctx), TLS1_2_VERSION);
    keep(SocketTLSContext_new(NULL));
    CHECK_RAISES(of_versions(SSL3_VERSION, TLS1_3_VERSION), SocketTLS_Failed);
    CHECK_RAISES(of_versions(TLS1_2_VERSION, TLS1_3_VERSION + 1), SocketTLS_Failed);
    CHECK_RAISES(of_versions(TLS1_3_VERSION, TLS1_2_VERSION), SocketTLS_Failed);
    CHECK_RAISES(of_versions(-1, TLS1_2_VERSION), SocketTLS_Failed);
}

/* ---- Making and freeing -------------------------------------------------------------------------------------------- */

TEST(a_context_has_a_role_and_an_ssl_ctx) {
    SocketTLSContext_T client = SocketTLSContext_new_client(cert("ca.pem"));
    SocketTLSContext_T plain = SocketTLSContext_new(NULL);
    SocketTLSContext_T server = SocketTLSContext_new_server(cert("server.pem"), cert("server.key"), cert("ca.pem"));
    CHECK_INT(SocketTLSContext_is_server(client), 0);
    CHECK_INT(SocketTLSContext_is_server(plain), 0);
    CHECK_INT(SocketTLSContext_is_server(server), 1);
    CHECK_PTR_NOT_NULL(SocketTLSContext_get_ssl_ctx(client));
    CHECK_PTR(SocketTLSContext_get_ssl_ctx(server), SocketTLSContext_get_ssl_ctx(server));
    CHECK_PTR_NOT_NULL(SSL_CTX_get0_certificate(SocketTLSContext_get_ssl_ctx(server)));
    SocketTLSContext_free(&client);
    SocketTLSContext_free(&plain);
    SocketTLSContext_free(&server);
    CHECK_PTR_NULL(server);
    SocketTLSContext_free(&server);
}

TEST(every_context_has_the_defaults) {
    SocketTLSContext_T all[] = {a_client(), a_server(), keep(SocketTLSContext_new(NULL))};
    for (int i = 0; i < 3; i++) {
        SSL_CTX *ctx = SocketTLSContext_get_ssl_ctx(all[i]);
        CHECK_INT(SSL_CTX_get_min_proto_version(ctx), TLS1_2_VERSION);
        CHECK_INT(SSL_CTX_get_verify_depth(ctx), 10);
        CHECK_CMP(SSL_CTX_get_security_level(ctx), >=, 2);
        uint64_t options = SSL_CTX_get_options(ctx);
        CHECK(options & SSL_OP_NO_COMPRESSION);
        CHECK(options & SSL_OP_NO_RENEGOTIATION);
        CHECK(options & SSL_OP_CIPHER_SERVER_PREFERENCE);
        STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(ctx);
        CHECK_CMP(sk_SSL_CIPHER_num(ciphers), >, 3);
        const char *first[] = {"TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"};
        for (int j = 0; j < sk_SSL_CIPHER_num(ciphers); j++) {
            const char *name = SSL_CIPHER_get_name(sk_SSL_CIPHER_value(ciphers, j));
            if (j < 3)
                CHECK_STR(name, first[j]);
            else
                CHECK(strncmp(name, "ECDHE-", 6) == 0 && (strstr(name, "GCM") || strstr(name, "CHACHA20")));
        }
    }
}

TEST(the_context_is_that_of_the_other_faces) {
    SocketTLSContext_T context = SocketTLSContext_new_client(cert("ca.pem"));
    CHECK_INT(netconn_tls_set_session_reuse(context, false), 0);
    CHECK_PTR(netconn_tls_ssl_ctx(context), SocketTLSContext_get_ssl_ctx(context));
    netconn_tls_free(&context);
    context = netconn_tls_client(cert("ca.pem"));
    SocketTLSContext_set_verify_mode(context, TLS_VERIFY_PEER);
    SocketTLSContext_free(&context);
}

/* ---- Paths --------------------------------------------------------------------------------------------------------- */

static const char *link_to(const char *target, const char *name) {
    char *path = alloc(4096);
    snprintf(path, 4096, "%s/%s", temp_dir(), name);
    CHECK_INT(symlink(target, path), 0);
    return path;
}

TEST(paths_with_tricks_are_refused) {
    const char *pem = cert("server.pem"), *key = cert("server.key"), *ca = cert("ca.pem");
    SocketTLSContext_T context = a_server();
    char *with_dots = alloc(4096), *too_long = alloc(5000);
    snprintf(with_dots, 4096, "%s/../x", temp_dir());
    memset(too_long, 'x', 4097);
    too_long[4097] = 0;
    char *slash = alloc(4096);
    snprintf(slash, 4096, "%s/", link_to(cert("cadir"), "dir-link"));
    struct {
        const char *path, *words;
    } bad[] = {
        {"", "is empty"},
        {NULL, "is NULL"},
        {with_dots, ".."},
        {"a..b", ".."},
        {"a\nb", "control character"},
        {"a\x7f", "control character"},
        {too_long, "4096"},
        {link_to(pem, "link.pem"), "symbolic link"},
        {link_to("nowhere", "dangling"), "symbolic link"},
        {slash, "symbolic link"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *path = bad[i].path, *words = bad[i].words;
        CHECK_RAISES_SAYING(SocketTLSContext_new_server(path, key, NULL), SocketTLS_Failed, words);
        CHECK_RAISES_SAYING(SocketTLSContext_new_server(pem, path, NULL), SocketTLS_Failed, words);
        CHECK_RAISES_SAYING(SocketTLSContext_load_certificate(context, path, key), SocketTLS_Failed, words);
        CHECK_RAISES_SAYING(SocketTLSContext_load_certificate(context, pem, path), SocketTLS_Failed, words);
        CHECK_RAISES_SAYING(SocketTLSContext_load_ca(context, path), SocketTLS_Failed, words);
        CHECK_RAISES_SAYING(SocketTLSContext_add_certificate(context, NULL, path, key), SocketTLS_Failed, words);
        CHECK_RAISES_SAYING(SocketTLSContext_add_certificate(context, NULL, pem, path), SocketTLS_Failed, words);
        if (path != NULL) CHECK_RAISES_SAYING(SocketTLSContext_new_server(pem, key, path), SocketTLS_Failed, words);
    }
    /* A link on the way is none of its business. */
    char *inside = alloc(4096);
    snprintf(inside, 4096, "%s/ca.pem", link_to(cert(""), "certs"));
    CHECK_INT(access(inside, R_OK), 0);
    SocketTLSContext_load_ca(context, inside);
    SocketTLSContext_load_ca(context, ca);
}

/* ---- Pairs --------------------------------------------------------------------------------------------------------- */

TEST(what_is_no_pair_is_refused) {
    const char *pem = cert("server.pem"), *key = cert("server.key");
    CHECK_RAISES_SAYING(SocketTLSContext_new_server("/nonexistent/x.pem", key, NULL), SocketTLS_Failed, "No such file");
    CHECK_INT(errno, ENOENT);
    CHECK_RAISES_SAYING(SocketTLSContext_new_server(pem, "/nonexistent/x.key", NULL), SocketTLS_Failed, "No such file");
    CHECK_RAISES_SAYING(SocketTLSContext_new_server(cert("garbage.pem"), key, NULL), SocketTLS_Failed, "no certificate");
    CHECK_RAISES_SAYING(SocketTLSContext_new_server(cert("empty.pem"), key, NULL), SocketTLS_Failed, "is empty");
    CHECK_RAISES_SAYING(SocketTLSContext_new_server(pem, cert("garbage.pem"), NULL), SocketTLS_Failed, "no private key");
    CHECK_RAISES_SAYING(SocketTLSContext_new_server(pem, cert("client.key"), NULL), SocketTLS_Failed, "is not the key");
    /* Nobody is asked on the terminal. */
    CHECK_RAISES_SAYING(SocketTLSContext_new_server(cert("encrypted.pem"), cert("encrypted.key"), NULL), SocketTLS_Failed,
                        "encrypted");
    CHECK_RAISES(SocketTLSContext_new_server(temp_dir(), key, NULL), SocketTLS_Failed);
    if (geteuid() != 0) {
        const char *secret = written("secret.pem", "x", 1);
        CHECK_INT(chmod(secret, 0), 0);
        CHECK_RAISES(SocketTLSContext_new_server(secret, key, NULL), SocketTLS_Failed);
    }
}

TEST(a_pair_that_is_none_leaves_the_earlier_one) {
    SocketTLSContext_T context = a_server();
    X509 *before = SSL_CTX_get0_certificate(SocketTLSContext_get_ssl_ctx(context));
    CHECK_RAISES(SocketTLSContext_load_certificate(context, cert("chain.pem"), cert("client.key")), SocketTLS_Failed);
    CHECK_PTR(SSL_CTX_get0_certificate(SocketTLSContext_get_ssl_ctx(context)), before);
    SocketTLSContext_load_certificate(context, cert("chain.pem"), cert("chain.key"));
    CHECK(SSL_CTX_get0_certificate(SocketTLSContext_get_ssl_ctx(context)) != before);
}

/* ---- Preconditions ------------------------------------------------------------------------------------------------- */

static const struct {
    const char *function, *argument;
} violations[] = {
    {"SocketTLSContext_free", "ctx"},
    {"SocketTLSContext_load_certificate", "ctx"},
    {"SocketTLSContext_add_certificate", "ctx"},
    {"SocketTLSContext_load_ca", "ctx"},
    {"SocketTLSContext_get_ssl_ctx", "ctx"},
    {"SocketTLSContext_is_server", "ctx"},
    {"SocketTLSContext_set_verify_mode", "ctx"},
    {"SocketTLSContext_set_verify_callback", "ctx"},
    {"SocketTLSContext_set_min_protocol", "ctx"},
    {"SocketTLSContext_set_max_protocol", "ctx"},
    {"SocketTLSContext_set_cipher_list", "ctx"},
    {"SocketTLSContext_set_ciphersuites", "ctx"},
    {"SocketTLSContext_set_alpn_protos", "ctx"},
    {"SocketTLSContext_set_alpn_callback", "ctx"},
    {"SocketTLSContext_set_alpn_protos", "protos"},
    {"SocketTLSContext_set_alpn_protos", "protos"},
};

/* The violation with this number. */
static void violate(void *number) {
    const char *protos[] = {"h2", NULL};
    switch (*(int *)number) {
    case 0: SocketTLSContext_free(NULL); break;
    case 1: SocketTLSContext_load_certificate(NULL, "a", "b"); break;
    case 2: SocketTLSContext_add_certificate(NULL, NULL, "a", "b"); break;
    case 3: SocketTLSContext_load_ca(NULL, "a"); break;
    case 4: SocketTLSContext_get_ssl_ctx(NULL); break;
    case 5: SocketTLSContext_is_server(NULL); break;
    case 6: SocketTLSContext_set_verify_mode(NULL, TLS_VERIFY_NONE); break;
    case 7: SocketTLSContext_set_verify_callback(NULL, NULL, NULL); break;
    case 8: SocketTLSContext_set_min_protocol(NULL, 0); break;
    case 9: SocketTLSContext_set_max_protocol(NULL, 0); break;
    case 10: SocketTLSContext_set_cipher_list(NULL, NULL); break;
    case 11: SocketTLSContext_set_ciphersuites(NULL, NULL); break;
    case 12: SocketTLSContext_set_alpn_protos(NULL, NULL, 0); break;
    case 13: SocketTLSContext_set_alpn_callback(NULL, NULL, NULL); break;
    case 14: SocketTLSContext_set_alpn_protos(SocketTLSContext_new(NULL), protos, 2); break;
    case 15: SocketTLSContext_set_alpn_protos(SocketTLSContext_new(NULL), NULL, 1); break;
    }
}

TEST(violated_preconditions_abort) {
    for (int i = 0; i < (int)(sizeof violations / sizeof *violations); i++)
        CHECK_ABORTS(violate, &i, violations[i].function, violations[i].argument);
}

TEST_MAIN

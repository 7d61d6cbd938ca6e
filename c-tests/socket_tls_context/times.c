/* The time-outs of a context's config, with a peer that is silent. That a call comes back at all is the test: the defaults
 * are longer than a test may take. */
#include "ends.h"

static SocketTLSContext_T hasty(void) {
    SocketTLSConfig_T config;
    SocketTLS_config_defaults(&config);
    config.handshake_timeout_ms = 20;
    config.shutdown_timeout_ms = 20;
    config.poll_interval_ms = 5;
    return keep(SocketTLSContext_new(&config));
}

TEST(a_handshake_is_given_up) {
    struct ends *ends = ends_of(hasty(), a_server(), NULL);
    CHECK_INT(SocketTLS_handshake_auto(ends->client.socket), TLS_HANDSHAKE_ERROR);
    CHECK_CMP(strlen(Socket_GetLastError()), >, 0);
    /* It can be gone on with. */
    CHECK(shake(ends));
}

TEST(the_wait_for_the_peers_end_is_given_up) {
    struct ends *ends = connected(hasty(), a_server(), NULL);
    CHECK_RAISES(SocketTLS_shutdown(ends->client.socket), SocketTLS_ShutdownFailed);
    /* The TLS is gone all the same. */
    CHECK_RAISES(SocketTLS_shutdown(ends->client.socket), SocketTLS_ShutdownFailed);
}

TEST(what_is_not_above_zero_is_the_default) {
    SocketTLSConfig_T config = {0};
    SocketTLSContext_T context = keep(SocketTLSContext_new(&config));
    SSL_CTX *ctx = SocketTLSContext_get_ssl_ctx(context);
    CHECK_INT(SSL_CTX_get_min_proto_version(ctx), TLS1_2_VERSION);
    struct ends *ends = connected(context, a_server(), NULL);
    CHECK_STR(SocketTLS_get_version(ends->client.socket), "TLSv1.3");
}

TEST_MAIN

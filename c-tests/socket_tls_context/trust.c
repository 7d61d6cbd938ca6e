/* Whom a context trusts, and what it shows of itself. */
#include "ends.h"

#include <stdlib.h>

static SocketTLSContext_T plain(void) {
    SocketTLSContext_T context = keep(SocketTLSContext_new(NULL));
    SocketTLSContext_set_verify_mode(context, TLS_VERIFY_PEER);
    return context;
}

/* ---- Authorities --------------------------------------------------------------------------------------------------- */

TEST(a_file_or_a_hashed_directory) {
    SocketTLSContext_T server = a_server();
    refused(plain(), server, "localhost");
    static const char *const places[] = {"ca.pem", "cadir"};
    for (int i = 0; i < 2; i++) {
        SocketTLSContext_T context = plain();
        SocketTLSContext_load_ca(context, cert(places[i]));
        connected(context, server, "localhost");
        connected(keep(SocketTLSContext_new_client(cert(places[i]))), server, "localhost");
    }
}

TEST(authorities_accumulate) {
    SocketTLSContext_T context = plain();
    SocketTLSContext_load_ca(context, cert("ca.pem"));
    refused(context, server_of("untrusted"), "localhost");
    SocketTLSContext_load_ca(context, cert("other-ca.pem"));
    connected(context, server_of("untrusted"), "localhost");
    connected(context, a_server(), "localhost");
}

TEST(what_cannot_be_loaded_is_an_empty_directory) {
    SocketTLSContext_T context = plain(), server = a_server();
    char missing[4096];
    snprintf(missing, sizeof missing, "%s/later", temp_dir());
    SocketTLSContext_load_ca(context, missing);
    SocketTLSContext_load_ca(context, cert("garbage.pem"));
    SocketTLSContext_load_ca(context, temp_dir());
    refused(context, server, "localhost");
    /* Until there is something in it. */
    CHECK_INT(symlink(cert("cadir"), missing), 0);
    connected(context, server, "localhost");
}

TEST(an_intermediate_that_is_sent_is_needed) {
    SocketTLSContext_T client = a_client();
    connected(client, server_of("chain"), "localhost");
    refused(client, server_of("missing-intermediate"), "localhost");
    /* Also where the pair comes later. */
    SocketTLSContext_T server = server_of("self-signed");
    refused(client, server, "localhost");
    SocketTLSContext_load_certificate(server, cert("chain.pem"), cert("chain.key"));
    connected(client, server, "localhost");
}

TEST(without_an_authority_the_systems_are_trusted) {
    SocketTLSContext_T server = a_server();
    char missing[4096];
    snprintf(missing, sizeof missing, "%s/missing", temp_dir());
    CHECK_INT(setenv("SSL_CERT_FILE", cert("ca.pem"), 1), 0);
    CHECK_INT(setenv("SSL_CERT_DIR", missing, 1), 0);
    const char *paths[] = {NULL, missing, "a..b", cert("garbage.pem")};
    for (int i = 0; i < 4; i++) connected(keep(SocketTLSContext_new_client(paths[i])), server, "localhost");
    /* One that can be loaded is the only one. */
    refused(keep(SocketTLSContext_new_client(cert("other-ca.pem"))), server, "localhost");

    CHECK_INT(setenv("SSL_CERT_FILE", missing, 1), 0);
    CHECK_RAISES_SAYING(SocketTLSContext_new_client(missing), SocketTLS_Failed, missing);
    CHECK_RAISES_SAYING(SocketTLSContext_new_client("a..b"), SocketTLS_Failed, "a..b");
    /* Who names nobody gets a context that trusts nobody. */
    refused(keep(SocketTLSContext_new_client(NULL)), server, "localhost");
}

/* ---- Both sides show something ------------------------------------------------------------------------------------- */

static SocketTLSContext_T strict_server(const char *ca) {
    SocketTLSContext_T server = keep(SocketTLSContext_new_server(cert("server.pem"), cert("server.key"), ca));
    SocketTLSContext_set_verify_mode(server, TLS_VERIFY_FAIL_IF_NO_PEER_CERT);
    return server;
}

TEST(a_client_shows_its_certificate) {
    EACH_VERSION(version) {
        SocketTLSContext_T client = a_client();
        only(client, version);
        SocketTLSContext_T server = strict_server(cert("ca.pem"));
        CHECK(!shake(ends_of(client, server, "localhost")));
        SocketTLSContext_load_certificate(client, cert("client.pem"), cert("client.key"));
        struct ends *ends = connected(client, server, "localhost");
        SocketTLS_CertInfo info;
        CHECK_INT(SocketTLS_get_peer_cert_info(ends->server.socket, &info), 1);
        CHECK_CONTAINS(info.subject, "test client");
        CHECK_INT(SocketTLS_get_verify_result(ends->server.socket), X509_V_OK);
        /* A server that knows another authority. */
        ends = ends_of(client, strict_server(cert("other-ca.pem")), "localhost");
        CHECK(!shake(ends));
        CHECK_PTR(ends->server.raised, &SocketTLS_HandshakeFailed);
        /* A server's certificate is none of a client. */
        SocketTLSContext_load_certificate(client, cert("untrusted-client.pem"), cert("untrusted-client.key"));
        CHECK(!shake(ends_of(client, server, "localhost")));
    }
}

TEST(a_change_counts_for_the_sockets_after_it) {
    SocketTLSContext_T client = a_client(), server = a_server();
    struct ends *before = ends_of(client, server, "localhost");
    SocketTLSContext_set_verify_mode(server, TLS_VERIFY_FAIL_IF_NO_PEER_CERT);
    struct ends *after = ends_of(client, server, "localhost");
    CHECK(shake(before));
    CHECK(!shake(after));
}

TEST_MAIN

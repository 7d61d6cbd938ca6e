/* What is verified: modes as bits, the program's callback, and that the order of the setters does not matter. */
#include "ends.h"

#include <openssl/x509_vfy.h>

/* ---- Modes --------------------------------------------------------------------------------------------------------- */

TEST(a_client_that_verifies_needs_a_hostname) {
    SocketTLSContext_T client = a_client(), server = a_server();
    EACH_VERSION(version) {
        only(client, version);
        connected(client, server, "localhost");
        CHECK_CONTAINS(refused(client, server, NULL), "hostname");
        CHECK_CONTAINS(refused(client, server, "other.example"), "not for other.example");
        CHECK_CONTAINS(refused(client, server_of("self-signed"), "localhost"), "self-signed");
        CHECK_CONTAINS(refused(client, server_of("expired"), "localhost"), "expired");
        CHECK_CONTAINS(refused(client, server_of("untrusted"), "localhost"), "SocketTLSContext_load_ca");
    }
}

TEST(every_value_but_none_verifies_on_a_client) {
    SocketTLSContext_T server = server_of("untrusted");
    for (int mode = -1; mode <= 8; mode++) {
        SocketTLSContext_T client = a_client();
        SocketTLSContext_set_verify_mode(client, (TLSVerifyMode)mode);
        if (mode == TLS_VERIFY_NONE) {
            struct ends *ends = connected(client, server, NULL);
            /* It was looked at all the same. */
            CHECK_INT(SocketTLS_get_verify_result(ends->client.socket), X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN);
        } else
            refused(client, server, "localhost");
    }
}

TEST(a_context_of_new_verifies_nothing_until_it_is_told_to) {
    SocketTLSContext_T client = keep(SocketTLSContext_new(NULL)), server = a_server();
    connected(client, server, NULL);
    /* A hostname forces it, on its socket alone. */
    refused(client, server, "localhost");
    connected(client, server, NULL);
    SocketTLSContext_load_ca(client, cert("ca.pem"));
    connected(client, server, "localhost");
    refused(client, server, "other.example");
    SocketTLSContext_set_verify_mode(client, TLS_VERIFY_PEER);
    refused(client, server, NULL);
    SocketTLSContext_set_verify_mode(client, TLS_VERIFY_NONE);
    connected(client, server, NULL);
}

/* The client has come through on its side; what does its first read say? */
static void turned_away_at_the_first_read(struct ends *ends) {
    char byte;
    CHECK_INT(ends->client.state, TLS_HANDSHAKE_COMPLETE);
    CHECK_RAISES(SocketTLS_recv(ends->client.socket, &byte, 1), SocketTLS_Failed);
    CHECK_INT(errno, EPROTO);
}

TEST(a_servers_modes_are_bits) {
    static const struct {
        int mode;
        bool without, stranger;
    } table[] = {
        {0, true, true},  {1, true, false}, {2, false, false}, {3, false, false}, {4, true, false},
        {5, true, false}, {6, false, false}, {7, false, false}, {8, true, false},  {-1, true, false},
    };
    /* Under a checker a part of the table, another one for each version. */
    size_t each = (size_t)small(1, 3);
    EACH_VERSION(version) for (size_t i = (size_t)version % each; i < sizeof table / sizeof *table; i += each) {
        SocketTLSContext_T server =
            keep(SocketTLSContext_new_server(cert("server.pem"), cert("server.key"), cert("ca.pem")));
        SocketTLSContext_set_verify_mode(server, (TLSVerifyMode)table[i].mode);
        only(server, version);
        SocketTLSContext_T client = a_client();
        struct ends *ends = ends_of(client, server, "localhost");
        CHECK_INT(shake(ends), table[i].without);
        if (!table[i].without) {
            CHECK_PTR(ends->server.raised, &SocketTLS_HandshakeFailed);
            CHECK_CONTAINS(ends->server.words, "showed no certificate");
            if (version == TLS1_3_VERSION) turned_away_at_the_first_read(ends);
        }

        SocketTLSContext_load_certificate(client, cert("untrusted-client.pem"), cert("untrusted-client.key"));
        CHECK_INT(shake(ends_of(client, server, "localhost")), table[i].stranger);

        SocketTLSContext_load_certificate(client, cert("client.pem"), cert("client.key"));
        ends = connected(client, server, "localhost");
        SocketTLS_CertInfo info;
        bool asked = table[i].mode != 0;
        CHECK_INT(SocketTLS_get_peer_cert_info(ends->server.socket, &info), asked);
        if (asked) CHECK_CONTAINS(info.subject, "test client");
    }
}

/* ---- The callback -------------------------------------------------------------------------------------------------- */

static const Except_T Mine = {&Mine, "of my own"};

static struct {
    int calls, faults;
    bool leaf;
    SocketTLSContext_T context;
    Socket_T socket;
    /* How it answers. */
    enum { AS_OPENSSL, ACCEPT, ACCEPT_AND_FORGET, REFUSE, RAISE_MINE, RAISE_FAILED } answer;
} watch;

static int watching(int preverify_ok, X509_STORE_CTX *x509, SocketTLSContext_T context, Socket_T socket, void *arg) {
    CHECK_PTR(arg, &watch);
    CHECK_PTR(context, watch.context);
    CHECK_PTR(socket, watch.socket);
    CHECK_PTR_NOT_NULL(X509_STORE_CTX_get_current_cert(x509));
    watch.calls++;
    if (!preverify_ok) {
        watch.faults++;
        CHECK(X509_STORE_CTX_get_error(x509) != X509_V_OK);
    }
    if (X509_STORE_CTX_get_error_depth(x509) == 0) watch.leaf = true;
    switch (watch.answer) {
    case ACCEPT_AND_FORGET: X509_STORE_CTX_set_error(x509, X509_V_OK); return 7;
    case ACCEPT: return -1;
    case REFUSE: return 0;
    case RAISE_MINE: RAISE(Mine);
    case RAISE_FAILED: RAISE(SocketTLS_Failed);
    default: return preverify_ok;
    }
}

/* The ends of a connection whose client's callback watches, after the handshake. */
static struct ends *watched(SocketTLSContext_T client, SocketTLSContext_T server, const char *name, int answer) {
    struct ends *ends = ends_of(client, server, name);
    memset(&watch, 0, sizeof watch);
    watch.context = client;
    watch.socket = ends->client.socket;
    watch.answer = answer;
    shake(ends);
    return ends;
}

static bool went_on(struct ends *ends) { return ends->client.state == TLS_HANDSHAKE_COMPLETE; }

TEST(the_callback_is_asked_about_each_certificate) {
    SocketTLSContext_T client = a_client();
    SocketTLSContext_set_verify_callback(client, watching, &watch);
    CHECK(went_on(watched(client, server_of("chain"), "localhost", AS_OPENSSL)));
    CHECK_INT(watch.calls, 3);
    CHECK_INT(watch.faults, 0);
    CHECK(watch.leaf);
    CHECK(!went_on(watched(client, server_of("untrusted"), "localhost", AS_OPENSSL)));
    CHECK_INT(watch.faults, 1);
    /* Removed. */
    SocketTLSContext_set_verify_callback(client, NULL, NULL);
    CHECK(went_on(watched(client, a_server(), "localhost", REFUSE)));
    CHECK_INT(watch.calls, 0);
}

TEST(the_callbacks_word_counts) {
    SocketTLSContext_T client = a_client(), good = a_server(), bad = server_of("untrusted");
    SocketTLSContext_set_verify_callback(client, watching, &watch);
    EACH_VERSION(version) {
        only(client, version);
        struct ends *ends = watched(client, bad, "localhost", ACCEPT);
        CHECK(went_on(ends));
        CHECK_INT(SocketTLS_get_verify_result(ends->client.socket), X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN);
        ends = watched(client, bad, "localhost", ACCEPT_AND_FORGET);
        CHECK(went_on(ends));
        CHECK_INT(SocketTLS_get_verify_result(ends->client.socket), X509_V_OK);
        /* Another name is a fault like others. */
        CHECK(went_on(watched(client, good, "other.example", ACCEPT)));

        static const int refusals[] = {REFUSE, RAISE_MINE, RAISE_FAILED};
        for (int i = 0; i < 3; i++) {
            ends = watched(client, good, "localhost", refusals[i]);
            CHECK(!went_on(ends));
            /* What it raised is absorbed. */
            CHECK_PTR(ends->client.raised, &SocketTLS_HandshakeFailed);
            CHECK_INT(SocketTLS_get_verify_result(ends->client.socket), X509_V_ERR_APPLICATION_VERIFICATION);
            CHECK_INT(watch.calls, 1);
        }
        ends = watched(client, bad, "localhost", RAISE_MINE);
        CHECK_INT(SocketTLS_get_verify_result(ends->client.socket), X509_V_ERR_APPLICATION_VERIFICATION);
    }
}

TEST(without_verification_the_callback_is_asked_and_decides_nothing) {
    SocketTLSContext_T client = keep(SocketTLSContext_new(NULL));
    SocketTLSContext_set_verify_callback(client, watching, &watch);
    static const int answers[] = {AS_OPENSSL, ACCEPT, REFUSE, RAISE_MINE};
    for (int i = 0; i < 4; i++) {
        CHECK(went_on(watched(client, server_of("untrusted"), NULL, answers[i])));
        CHECK_CMP(watch.calls, >=, 1);
    }
}

TEST(a_servers_callback_is_told_of_its_socket) {
    SocketTLSContext_T server = keep(SocketTLSContext_new_server(cert("server.pem"), cert("server.key"), cert("ca.pem")));
    SocketTLSContext_T client = a_client();
    SocketTLSContext_load_certificate(client, cert("client.pem"), cert("client.key"));
    SocketTLSContext_set_verify_mode(server, TLS_VERIFY_PEER);
    SocketTLSContext_set_verify_callback(server, watching, &watch);
    struct ends *ends = ends_of(client, server, "localhost");
    memset(&watch, 0, sizeof watch);
    watch.context = server;
    watch.socket = ends->server.socket;
    CHECK(shake(ends));
    CHECK_INT(watch.calls, 2);
}

/* ---- Order --------------------------------------------------------------------------------------------------------- */

static void set(SocketTLSContext_T context, int what) {
    switch (what) {
    case 0: SocketTLSContext_set_verify_mode(context, TLS_VERIFY_PEER); break;
    case 1: SocketTLSContext_set_verify_callback(context, watching, &watch); break;
    default: SocketTLSContext_load_ca(context, cert("ca.pem"));
    }
}

TEST(the_order_of_the_setters_does_not_matter) {
    SocketTLSContext_T good = a_server(), bad = server_of("untrusted");
    for (int first = 0; first < 3; first++) {
        for (int second = 0; second < 3; second++) {
            if (second == first) continue;
            SocketTLSContext_T client = keep(SocketTLSContext_new(NULL));
            set(client, first);
            set(client, second);
            set(client, 3 - first - second);
            CHECK(went_on(watched(client, good, "localhost", AS_OPENSSL)));
            CHECK_INT(watch.calls, 2);
            CHECK(!went_on(watched(client, bad, "localhost", AS_OPENSSL)));
            CHECK(went_on(watched(client, bad, "localhost", ACCEPT)));
            CHECK(!went_on(watched(client, good, "localhost", REFUSE)));
        }
    }
}

/* ---- What a program demands of OpenSSL itself ---------------------------------------------------------------------- */

static SSL_CTX *ctx_of(SocketTLSContext_T context) { return SocketTLSContext_get_ssl_ctx(context); }

TEST(openssl_knows_the_mode) {
    CHECK_INT(SSL_CTX_get_verify_mode(ctx_of(a_client())), SSL_VERIFY_PEER);
    CHECK_INT(SSL_CTX_get_verify_mode(ctx_of(keep(SocketTLSContext_new(NULL)))), SSL_VERIFY_NONE);
    SocketTLSContext_T server = a_server();
    CHECK_INT(SSL_CTX_get_verify_mode(ctx_of(server)), SSL_VERIFY_NONE);
    for (int mode = 0; mode <= 7; mode++) {
        /* Bits 2 and 4 imply the first; OpenSSL's have the same values. */
        SocketTLSContext_set_verify_mode(server, (TLSVerifyMode)mode);
        CHECK_INT(SSL_CTX_get_verify_mode(ctx_of(server)), mode ? mode | SSL_VERIFY_PEER : 0);
    }
}

TEST(a_server_may_demand_certificates_by_openssl) {
    EACH_VERSION(version) {
        SocketTLSContext_T client = a_client();
        SocketTLSContext_T server =
            keep(SocketTLSContext_new_server(cert("server.pem"), cert("server.key"), cert("ca.pem")));
        only(client, version);
        struct ends *ends = connected(client, server, "localhost");
        unsigned char session[8192];
        size_t len = sizeof session;
        CHECK_INT(SocketTLS_session_save(ends->client.socket, session, &len), 1);

        SSL_CTX_set_verify(ctx_of(server), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        CHECK(!shake(ends_of(client, server, "localhost")));
        /* A session of before does not go round it. */
        ends = ends_of(client, server, "localhost");
        SocketTLS_session_restore(ends->client.socket, session, len);
        CHECK(!shake(ends));
        SocketTLSContext_load_certificate(client, cert("untrusted-client.pem"), cert("untrusted-client.key"));
        CHECK(!shake(ends_of(client, server, "localhost")));
        SocketTLSContext_load_certificate(client, cert("client.pem"), cert("client.key"));
        connected(client, server, "localhost");

        /* The setter that was used last decides. */
        SocketTLSContext_set_verify_mode(server, TLS_VERIFY_NONE);
        SocketTLSContext_T other = a_client();
        connected(other, server, "localhost");
        SSL_CTX_set_verify(ctx_of(server), SSL_VERIFY_PEER, NULL);
        connected(other, server, "localhost");
        ends = connected(client, server, "localhost");
        SocketTLS_CertInfo info;
        CHECK_INT(SocketTLS_get_peer_cert_info(ends->server.socket, &info), 1);
    }
}

TEST(a_client_may_demand_verification_by_openssl_and_never_less) {
    SocketTLSContext_T client = keep(SocketTLSContext_new(NULL)), server = a_server();
    connected(client, server, NULL);
    SSL_CTX_set_verify(ctx_of(client), SSL_VERIFY_PEER, NULL);
    CHECK_CONTAINS(refused(client, server, NULL), "hostname");
    refused(client, server, "localhost");
    SocketTLSContext_load_ca(client, cert("ca.pem"));
    connected(client, server, "localhost");

    SocketTLSContext_set_verify_mode(client, TLS_VERIFY_PEER);
    SSL_CTX_set_verify(ctx_of(client), SSL_VERIFY_NONE, NULL);
    CHECK_CONTAINS(refused(client, server, NULL), "hostname");
    CHECK_CONTAINS(refused(client, server, "other.example"), "not for other.example");
}

/* ---- A context that is freed before its sockets -------------------------------------------------------------------- */

TEST(a_freed_context_goes_on_without_its_callbacks) {
    for (int with_callback = 0; with_callback < 2; with_callback++) {
        SocketTLSContext_T client = SocketTLSContext_new_client(cert("ca.pem"));
        SocketTLSContext_T server = SocketTLSContext_new_server(cert("server.pem"), cert("server.key"), NULL);
        if (with_callback) SocketTLSContext_set_verify_callback(client, watching, &watch);
        struct ends *ends = ends_of(client, server, "localhost");
        memset(&watch, 0, sizeof watch);
        SocketTLSContext_free(&client);
        SocketTLSContext_free(&server);
        /* Where the callback would decide, nobody does. */
        CHECK_INT(shake(ends), !with_callback);
        CHECK_INT(watch.calls, 0);
        if (!with_callback) exchange(ends);
    }
    SocketTLSContext_T client = SocketTLSContext_new(NULL);
    SocketTLSContext_set_verify_callback(client, watching, &watch);
    struct ends *ends = ends_of(client, a_server(), NULL);
    SocketTLSContext_free(&client);
    CHECK(shake(ends));
    CHECK_INT(watch.calls, 0);
}

TEST_MAIN

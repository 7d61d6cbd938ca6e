/* What a socket tells of its TLS and of its peer, in every state. */
#include "pair.h"

#include <stdio.h>

/* The answers of a socket that has no TLS, or none yet. */
static void tells_nothing(Socket_T socket, bool enabled) {
    char text[100] = "x";
    SocketTLS_CertInfo info, zeros;
    X509 **chain = (X509 **)text;
    int count = 7, none = enabled ? 0 : -1;
    time_t time = 5;
    memset(&info, 'x', sizeof info);
    memset(&zeros, 0, sizeof zeros);
    CHECK_STR(SocketTLS_get_cipher(socket), NULL);
    if (!enabled) CHECK_STR(SocketTLS_get_version(socket), NULL);
    CHECK_INT(SocketTLS_get_protocol_version(socket), 0);
    CHECK_INT(SocketTLS_get_verify_result(socket), X509_V_ERR_INVALID_CALL);
    CHECK_INT(SocketTLS_is_session_reused(socket), -1);
    CHECK_STR(SocketTLS_get_alpn_selected(socket), NULL);
    CHECK_INT(SocketTLS_get_peer_cert_info(socket, &info), none);
    CHECK_MEM(&info, &zeros, sizeof info);
    CHECK_INT(SocketTLS_get_peer_cert_info(socket, NULL), none);
    CHECK_INT(SocketTLS_get_cert_expiry(socket), -1);
    CHECK_INT(SocketTLS_get_cert_subject(socket, text, sizeof text), none);
    CHECK_STR(text, "");
    CHECK_INT(SocketTLS_get_peer_cert_chain(socket, &chain, &count), none);
    CHECK_PTR_NULL(chain);
    CHECK_INT(count, 0);
    CHECK_INT(SocketTLS_get_ocsp_response_status(socket), -1);
    CHECK_INT(SocketTLS_get_ocsp_next_update(socket, &time), -1);
    CHECK_INT(time, -1);
    CHECK_INT(SocketTLS_get_ocsp_next_update(socket, NULL), -1);
    CHECK_INT(SocketTLS_check_renegotiation(socket), -1);
    CHECK_INT(SocketTLS_disable_renegotiation(socket), enabled ? 0 : -1);
    CHECK_INT(SocketTLS_get_renegotiation_count(socket), enabled ? 0 : -1);
}

TEST(without_tls_and_before_the_handshake_there_is_nothing_to_tell) {
    struct pair pair = {0};
    make_contexts(&pair, TLS1_3_VERSION);
    tells_nothing(NULL, false);
    SocketPair_new(SOCK_STREAM, &pair.client, &pair.server);
    tells_nothing(pair.client, false);
    unblock(pair.client);
    unblock(pair.server);
    enable_pair(&pair);
    tells_nothing(pair.client, true);
    tells_nothing(pair.server, true);
    CHECK_INT(SocketTLS_handshake(pair.client), TLS_HANDSHAKE_WANT_READ);
    tells_nothing(pair.client, true);
    acquaint(&pair);
    SocketTLS_disable(pair.client);
    tells_nothing(pair.client, false);
    Socket_T stale = pair.client;
    Socket_free(&pair.client);
    tells_nothing(stale, false);
    free_pair(&pair);
}

TEST(a_client_tells_of_its_server) {
    EACH_VERSION(version) {
        struct pair pair = friends(version);
        char text[300];
        SocketTLS_CertInfo info;
        bool new_one = version == TLS1_3_VERSION;
        CHECK_STR(SocketTLS_get_version(pair.client), new_one ? "TLSv1.3" : "TLSv1.2");
        CHECK_INT(SocketTLS_get_protocol_version(pair.client), version);
        CHECK_STR(SocketTLS_get_cipher(pair.client), SocketTLS_get_cipher(pair.server));
        if (new_one) CHECK_STR(SocketTLS_get_cipher(pair.client), "TLS_AES_256_GCM_SHA384");
        CHECK_INT(SocketTLS_get_verify_result(pair.client), X509_V_OK);
        CHECK_PTR_NULL(SocketTLS_get_verify_error_string(pair.client, text, sizeof text));
        CHECK_INT(SocketTLS_is_session_reused(pair.client), 0);

        CHECK_INT(SocketTLS_get_peer_cert_info(pair.client, &info), 1);
        CHECK_CONTAINS(info.subject, "CN=");
        CHECK_CONTAINS(info.issuer, "CN=netconn test root");
        CHECK_INT(info.version, 3);
        CHECK_CMP(info.not_before, <, info.not_after);
        CHECK_INT(info.not_after, SocketTLS_get_cert_expiry(pair.client));
        CHECK_INT(strlen(info.fingerprint), 64);
        CHECK_INT(strspn(info.fingerprint, "0123456789abcdef"), 64);
        CHECK_CMP(strlen(info.serial), >, 0);
        CHECK_INT(strspn(info.serial, "0123456789ABCDEF"), strlen(info.serial));
        CHECK_INT(SocketTLS_get_peer_cert_info(pair.client, NULL), 0);

        int len = SocketTLS_get_cert_subject(pair.client, text, sizeof text);
        CHECK_STR(text, info.subject);
        CHECK_INT(len, strlen(info.subject));
        CHECK_INT(SocketTLS_get_cert_subject(pair.client, text, 4), 3);
        CHECK_INT(strlen(text), 3);
        CHECK_INT(SocketTLS_get_cert_subject(pair.client, NULL, 4), 0);

        X509 **chain, **again;
        int count;
        CHECK_INT(SocketTLS_get_peer_cert_chain(pair.client, &chain, &count), 1);
        CHECK_CMP(count, >=, 1);
        char *name = X509_NAME_oneline(X509_get_subject_name(chain[0]), NULL, 0);
        CHECK_STR(name, info.subject);
        OPENSSL_free(name);
        CHECK_INT(SocketTLS_get_peer_cert_chain(pair.client, &again, &count), 1);
        CHECK_PTR(again, chain);
        CHECK_INT(SocketTLS_get_peer_cert_chain(pair.client, NULL, &count), -1);

        /* A server that asked for none. */
        CHECK_INT(SocketTLS_get_peer_cert_info(pair.server, &info), 0);
        CHECK_INT(SocketTLS_get_cert_expiry(pair.server), -1);
        CHECK_INT(SocketTLS_get_cert_subject(pair.server, text, sizeof text), 0);
        CHECK_INT(SocketTLS_get_peer_cert_chain(pair.server, &again, &count), 0);
        CHECK_INT(SocketTLS_get_verify_result(pair.server), X509_V_OK);

        /* The array is the socket's, not TLS's. */
        SocketTLS_disable(pair.client);
        CHECK_PTR_NOT_NULL(X509_get_subject_name(chain[0]));
        free_pair(&pair);
    }
}

TEST(a_server_tells_of_its_client) {
    EACH_VERSION(version) {
        struct pair pair = {0};
        make_contexts(&pair, version);
        SocketTLSContext_load_certificate(pair.trusting, cert(CERT_CLIENT), cert(CERT_CLIENT_KEY));
        SocketTLSContext_load_ca(pair.serving, cert(CERT_CA));
        SocketTLSContext_set_verify_mode(pair.serving, TLS_VERIFY_FAIL_IF_NO_PEER_CERT);
        SocketPair_new(SOCK_STREAM, &pair.client, &pair.server);
        unblock(pair.client);
        unblock(pair.server);
        enable_pair(&pair);
        acquaint(&pair);
        SocketTLS_CertInfo info;
        CHECK_INT(SocketTLS_get_peer_cert_info(pair.server, &info), 1);
        CHECK_CONTAINS(info.subject, "CN=test client");
        CHECK_INT(SocketTLS_get_verify_result(pair.server), X509_V_OK);
        X509 **chain;
        int count;
        CHECK_INT(SocketTLS_get_peer_cert_chain(pair.server, &chain, &count), 1);
        CHECK_CMP(count, >=, 1);
        free_pair(&pair);
    }
}

TEST(a_failed_handshake_tells_the_certificates_fault) {
    EACH_VERSION(version) {
        struct pair pair = {0};
        char text[200], one[1] = "x";
        make_contexts(&pair, version);
        SocketTLSContext_free(&pair.serving);
        pair.serving = SocketTLSContext_new_server(cert("expired.pem"), cert("expired.key"), NULL);
        SocketPair_new(SOCK_STREAM, &pair.client, &pair.server);
        unblock(pair.client);
        unblock(pair.server);
        enable_pair(&pair);
        CHECK_INT(failed_handshake(&pair), EPROTO);
        CHECK_INT(SocketTLS_get_verify_result(pair.client), X509_V_ERR_CERT_HAS_EXPIRED);
        CHECK_PTR(SocketTLS_get_verify_error_string(pair.client, text, sizeof text), text);
        CHECK_STR(text, X509_verify_cert_error_string(X509_V_ERR_CERT_HAS_EXPIRED));
        CHECK_PTR(SocketTLS_get_verify_error_string(pair.client, text, 5), text);
        CHECK_INT(strlen(text), 4);
        CHECK_PTR(SocketTLS_get_verify_error_string(pair.client, one, 1), one);
        CHECK_STR(one, "");
        CHECK_PTR_NULL(SocketTLS_get_verify_error_string(pair.client, text, 0));
        CHECK_PTR_NULL(SocketTLS_get_verify_error_string(pair.client, NULL, 5));
        CHECK_PTR_NULL(SocketTLS_get_verify_error_string(NULL, text, sizeof text));
        CHECK_INT(SocketTLS_get_peer_cert_info(pair.client, NULL), 0);
        free_pair(&pair);
    }
}

TEST(a_lax_client_tells_what_it_would_have_refused) {
    EACH_VERSION(version) {
        struct pair pair = {0};
        make_contexts(&pair, version);
        SocketTLSContext_free(&pair.trusting);
        pair.trusting = SocketTLSContext_new(NULL);
        SocketTLSContext_set_max_protocol(pair.trusting, version);
        SocketPair_new(SOCK_STREAM, &pair.client, &pair.server);
        unblock(pair.client);
        unblock(pair.server);
        SocketTLS_enable(pair.client, pair.trusting);
        SocketTLS_enable(pair.server, pair.serving);
        acquaint(&pair);
        CHECK_CMP(SocketTLS_get_verify_result(pair.client), !=, X509_V_OK);
        CHECK_CMP(SocketTLS_get_verify_result(pair.client), !=, X509_V_ERR_INVALID_CALL);
        free_pair(&pair);
    }
}

TEST(the_protocol_lives_as_long_as_the_socket) {
    EACH_VERSION(version) {
        struct pair pair = {0};
        const char *protos[] = {"h2", "http/1.1"};
        make_contexts(&pair, version);
        SocketTLSContext_set_alpn_protos(pair.trusting, protos, 2);
        SocketTLSContext_set_alpn_protos(pair.serving, protos + 1, 1);
        SocketPair_new(SOCK_STREAM, &pair.client, &pair.server);
        unblock(pair.client);
        unblock(pair.server);
        enable_pair(&pair);
        acquaint(&pair);
        const char *name = SocketTLS_get_alpn_selected(pair.client);
        CHECK_STR(name, "http/1.1");
        CHECK_PTR(SocketTLS_get_alpn_selected(pair.client), name);
        CHECK_STR(SocketTLS_get_alpn_selected(pair.server), "http/1.1");
        SocketTLS_disable(pair.client);
        CHECK_PTR_NULL(SocketTLS_get_alpn_selected(pair.client));
        CHECK_STR(name, "http/1.1");
        free_pair(&pair);
    }
}

/* ---- Renegotiation ------------------------------------------------------------------------------------------------- */

/* The live SSL of a socket. */
static SSL *ssl_of(Socket_T socket) { return *(SSL **)(uintptr_t)socket; }

static void allow(Socket_T socket) {
    SSL_clear_options(ssl_of(socket), SSL_OP_NO_RENEGOTIATION);
    SSL_set_options(ssl_of(socket), SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
}

TEST(nothing_is_renegotiated_unless_the_program_asks_for_it) {
    EACH_VERSION(version) {
        struct pair pair = friends(version);
        CHECK_INT(SocketTLS_check_renegotiation(pair.client), 0);
        CHECK_INT(SocketTLS_get_renegotiation_count(pair.client), 0);
        CHECK_INT(SSL_renegotiate(ssl_of(pair.client)), 0);
        CHECK_INT(SocketTLS_check_renegotiation(pair.client), 0);
        free_pair(&pair);
    }
}

TEST(a_program_may_renegotiate_three_times) {
    struct pair pair = friends(TLS1_2_VERSION);
    char byte;
    allow(pair.client);
    allow(pair.server);
    for (int i = 1; i <= 3; i++) {
        CHECK_INT(SSL_renegotiate(ssl_of(pair.client)), 1);
        int done = 0;
        for (int round = 0; !done; round++) {
            CHECK_CMP(round, <, 100);
            done = SocketTLS_check_renegotiation(pair.client);
            if (!done) CHECK_INT(SocketTLS_recv(pair.server, &byte, 1), 0);
        }
        CHECK_INT(done, 1);
        CHECK_INT(SocketTLS_get_renegotiation_count(pair.client), i);
        CHECK_INT(SocketTLS_send(pair.client, "hi", 2), 2);
        expect(pair.server, "hi");
    }
    CHECK_INT(SSL_renegotiate(ssl_of(pair.client)), 1);
    CHECK_RAISES_ERRNO(SocketTLS_check_renegotiation(pair.client), SocketTLS_ProtocolError, EPROTO);
    CHECK_INT(SocketTLS_check_renegotiation(pair.client), 0);
    CHECK_INT(SocketTLS_disable_renegotiation(pair.server), 0);
    CHECK_INT(SSL_renegotiate(ssl_of(pair.server)), 0);
    free_pair(&pair);
}

TEST_MAIN

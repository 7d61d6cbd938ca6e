/* Both roles with openssl's s_server and s_client, TLS 1.2 and 1.3: bytes, resumption, ALPN, client certificates. */
#include "interop.h"

TEST(a_client_of_s_server_and_a_second_that_resumes) {
    EACH_VERSION(version) {
        struct pair contexts = {0};
        struct bytes session;
        make_contexts(&contexts, version);
        const char *port = start_s_server(CERT_GOOD, CERT_GOOD_KEY, "-rev", flag_of(version), NULL);
        for (int i = 0; i < 3; i++) {
            Socket_T socket = call(port, contexts.trusting);
            if (i > 0) CHECK_INT(SocketTLS_session_restore(socket, session.bytes, session.len), 1);
            shake(socket, version);
            CHECK_INT(SocketTLS_is_session_reused(socket), i > 0);
            reversed(socket);
            keep(socket, &session);
            SocketTLS_shutdown(socket);
            Socket_free(&socket);
        }
        free_pair(&contexts);
    }
}

TEST(alpn_with_s_server) {
    EACH_VERSION(version) {
        struct pair contexts = {0};
        const char *protos[] = {"spdy/3", "http/1.1"}, *foreign[] = {"foreign"};
        make_contexts(&contexts, version);
        const char *port = start_s_server(CERT_GOOD, CERT_GOOD_KEY, "-rev", flag_of(version), "-alpn", "h2,http/1.1", NULL);
        SocketTLSContext_set_alpn_protos(contexts.trusting, protos, 2);
        Socket_T socket = call(port, contexts.trusting);
        shake(socket, version);
        CHECK_STR(SocketTLS_get_alpn_selected(socket), "http/1.1");
        reversed(socket);
        Socket_free(&socket);
        SocketTLSContext_set_alpn_protos(contexts.trusting, foreign, 1);
        socket = call(port, contexts.trusting);
        CHECK_RAISES_ERRNO(SocketTLS_handshake(socket), SocketTLS_HandshakeFailed, EPROTO); /* this server's choice */
        Socket_free(&socket);
        free_pair(&contexts);
    }
}

TEST(s_server_asks_for_a_certificate) {
    EACH_VERSION(version) {
        struct pair contexts = {0};
        char byte;
        make_contexts(&contexts, version);
        const char *port = start_s_server(CERT_GOOD, CERT_GOOD_KEY, "-rev", flag_of(version), "-Verify", "4", "-CAfile",
                                          cert(CERT_CA), "-verify_return_error", NULL);
        /* Without one: with TLS 1.2 the handshake fails, with TLS 1.3 the first receive. */
        Socket_T socket = call(port, contexts.trusting);
        if (version == TLS1_2_VERSION) {
            CHECK_RAISES_ERRNO(SocketTLS_handshake(socket), SocketTLS_HandshakeFailed, EPROTO);
        } else {
            shake(socket, version);
            CHECK_RAISES_ERRNO(SocketTLS_recv(socket, &byte, 1), SocketTLS_Failed, EPROTO);
        }
        Socket_free(&socket);
        SocketTLSContext_load_certificate(contexts.trusting, cert(CERT_CLIENT), cert(CERT_CLIENT_KEY));
        socket = call(port, contexts.trusting);
        shake(socket, version);
        reversed(socket);
        Socket_free(&socket);
        free_pair(&contexts);
    }
}

TEST(s_server_whose_certificate_nobody_trusts) {
    EACH_VERSION(version) {
        struct pair contexts = {0};
        make_contexts(&contexts, version);
        const char *port = start_s_server("self-signed.pem", "self-signed.key", "-rev", flag_of(version), NULL);
        Socket_T socket = call(port, contexts.trusting);
        CHECK_RAISES_ERRNO(SocketTLS_handshake(socket), SocketTLS_HandshakeFailed, EPROTO);
        CHECK_INT(SocketTLS_get_verify_result(socket), X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
        Socket_free(&socket);
        CHECK_INT(SocketTLS_handshake_loop(socket = call(port, contexts.trusting), 20000), TLS_HANDSHAKE_ERROR);
        CHECK_CONTAINS(Socket_GetLastError(), "self-signed");
        Socket_free(&socket);
        free_pair(&contexts);
    }
}

/* The client says a line, and sees one. */
static void exchange(Socket_T socket, struct program *s_client) {
    CHECK_INT(write(s_client->in, "from the client\n", 16), 16);
    expect(socket, "from the client\n");
    CHECK_INT(SocketTLS_send(socket, "from the server\n", 16), 16);
    program_until(s_client, "from the server\n");
}

TEST(a_server_of_s_client_and_a_second_that_resumes) {
    EACH_VERSION(version) {
        struct pair contexts = {0};
        char port[8], kept[300];
        make_contexts(&contexts, version);
        Socket_T listener = listening(port);
        snprintf(kept, sizeof kept, "%s/session", temp_dir());
        for (int i = 0; i < 2; i++) {
            struct program *s_client =
                start_s_client(port, flag_of(version), i == 0 ? "-sess_out" : "-sess_in", kept, NULL);
            Socket_T socket = answer(listener, contexts.serving);
            CHECK_STR(SocketTLS_get_version(socket), name_of(version));
            CHECK_INT(SocketTLS_is_session_reused(socket), i);
            exchange(socket, s_client);
            /* It answers a close_notify, and ends. */
            CHECK_INT(SocketTLS_shutdown_send(socket), 1);
            SocketTLS_shutdown(socket);
            Socket_free(&socket);
            CHECK_INT(program_end(s_client), 0);
        }
        Socket_free(&listener);
        free_pair(&contexts);
    }
}

TEST(alpn_with_s_client) {
    EACH_VERSION(version) {
        struct pair contexts = {0};
        char port[8];
        const char *protos[] = {"h2", "http/1.1"};
        make_contexts(&contexts, version);
        SocketTLSContext_set_alpn_protos(contexts.serving, protos, 2);
        Socket_T listener = listening(port);
        struct program *s_client = start_s_client(port, flag_of(version), "-alpn", "http/1.1,h2", NULL);
        Socket_T socket = answer(listener, contexts.serving);
        CHECK_STR(SocketTLS_get_alpn_selected(socket), "h2"); /* by our order */
        exchange(socket, s_client);
        Socket_free(&socket);
        s_client = start_s_client(port, flag_of(version), "-alpn", "foreign", NULL);
        socket = answer(listener, contexts.serving);
        CHECK_PTR_NULL(SocketTLS_get_alpn_selected(socket)); /* and goes on */
        exchange(socket, s_client);
        Socket_free(&socket);
        Socket_free(&listener);
        free_pair(&contexts);
    }
}

TEST(s_client_shows_a_certificate_or_is_refused) {
    EACH_VERSION(version) {
        struct pair contexts = {0};
        char port[8];
        make_contexts(&contexts, version);
        SocketTLSContext_load_ca(contexts.serving, cert(CERT_CA));
        SocketTLSContext_set_verify_mode(contexts.serving, TLS_VERIFY_FAIL_IF_NO_PEER_CERT);
        Socket_T listener = listening(port);
        struct program *s_client =
            start_s_client(port, flag_of(version), "-cert", cert(CERT_CLIENT), "-key", cert(CERT_CLIENT_KEY), NULL);
        Socket_T socket = answer(listener, contexts.serving);
        SocketTLS_CertInfo info;
        CHECK_INT(SocketTLS_get_peer_cert_info(socket, &info), 1);
        CHECK_CONTAINS(info.subject, "CN=test client");
        exchange(socket, s_client);
        Socket_free(&socket);

        s_client = start_s_client(port, flag_of(version), NULL);
        socket = Socket_accept(listener);
        SocketTLS_enable(socket, contexts.serving);
        CHECK_RAISES_ERRNO(SocketTLS_handshake(socket), SocketTLS_HandshakeFailed, EPROTO);
        Socket_free(&socket);
        CHECK_CMP(program_end(s_client), !=, 0);
        Socket_free(&listener);
        free_pair(&contexts);
    }
}

TEST_MAIN

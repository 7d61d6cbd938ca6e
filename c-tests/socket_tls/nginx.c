/* nginx, as a server and as the client that it is of the servers behind it. */
#include "../support/runs.h"
#include "interop.h"

enum { FILE_SIZE = 300007 };

/* Reads to the end of the stream. */
static size_t read_all(Socket_T socket, char *buf, size_t size) {
    volatile size_t got = 0;
    TRY
        while (got < size) got += (size_t)Socket_recv(socket, buf + got, size - got);
    EXCEPT(Socket_Closed)
    END_TRY;
    return got;
}

/* GETs the file, which has to be the pattern; the server closes. */
static void get(Socket_T socket, const char *path) {
    char request[200], *answered = alloc(FILE_SIZE + 5000);
    int len = snprintf(request, sizeof request, "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n", path);
    CHECK_INT(Socket_sendall(socket, request, (size_t)len), len);
    size_t got = read_all(socket, answered, FILE_SIZE + 4999);
    answered[got] = 0;
    if (strncmp(answered, "HTTP/1.1 200 ", 13) != 0) FAIL("%.300s", answered);
    const char *body = strstr(answered, "\r\n\r\n");
    CHECK_PTR_NOT_NULL(body);
    CHECK_INT(answered + got - (body + 4), FILE_SIZE);
    CHECK_INT(find_pattern_error(body + 4, FILE_SIZE, 0), -1);
}

TEST(files_of_nginx_and_sessions_that_it_resumes) {
    EACH_VERSION(version) {
        struct pair contexts = {0};
        struct bytes session;
        make_pattern_file("file.bin", FILE_SIZE, 0);
        make_contexts(&contexts, version);
        const char *port = start_nginx(temp_dir(), CERT_GOOD, CERT_GOOD_KEY, name_of(version));
        for (int i = 0; i < 2; i++) {
            Socket_T socket = call(port, contexts.trusting);
            if (i > 0) CHECK_INT(SocketTLS_session_restore(socket, session.bytes, session.len), 1);
            shake(socket, version);
            CHECK_INT(SocketTLS_is_session_reused(socket), i);
            get(socket, "/file.bin");
            keep(socket, &session);
            SocketTLS_shutdown(socket);
            Socket_free(&socket);
        }
        free_pair(&contexts);
    }
}

TEST(nginx_asks_for_a_certificate_and_chooses_a_protocol) {
    EACH_VERSION(version) {
        struct pair contexts = {0};
        char lines[600];
        const char *protos[] = {"http/1.1"};
        make_pattern_file("file.bin", FILE_SIZE, 0);
        make_contexts(&contexts, version);
        snprintf(lines, sizeof lines, "ssl_verify_client on; ssl_client_certificate %s;", cert(CERT_CA));
        const char *port = start_nginx_with(temp_dir(), CERT_GOOD, CERT_GOOD_KEY, name_of(version), lines);
        SocketTLSContext_load_certificate(contexts.trusting, cert(CERT_CLIENT), cert(CERT_CLIENT_KEY));
        SocketTLSContext_set_alpn_protos(contexts.trusting, protos, 1);
        Socket_T socket = call(port, contexts.trusting);
        shake(socket, version);
        CHECK_STR(SocketTLS_get_alpn_selected(socket), "http/1.1");
        get(socket, "/file.bin");
        Socket_free(&socket);
        free_pair(&contexts);
    }
}

/* A browser in front of nginx, plain. */
static Socket_T browser(const char *port) {
    static const char request[] = "GET /behind HTTP/1.0\r\nHost: localhost\r\n\r\n";
    Socket_T socket = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_connect(socket, "127.0.0.1", atoi(port));
    CHECK_INT(Socket_isconnected(socket), 1);
    CHECK_INT(Socket_sendall(socket, request, sizeof request - 1), sizeof request - 1);
    return socket;
}

static const char answer_head[] = "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n";

TEST(nginx_is_a_client_that_shows_its_certificate_and_resumes) {
    EACH_VERSION(version) {
        struct pair contexts = {0};
        char back[8], lines[2000], text[4000];
        make_contexts(&contexts, version);
        SocketTLSContext_load_ca(contexts.serving, cert(CERT_CA));
        SocketTLSContext_set_verify_mode(contexts.serving, TLS_VERIFY_FAIL_IF_NO_PEER_CERT);
        Socket_T listener = listening(back);
        snprintf(lines, sizeof lines,
                 "location / { proxy_pass https://127.0.0.1:%s; proxy_ssl_protocols %s; proxy_ssl_session_reuse on;"
                 " proxy_ssl_verify on; proxy_ssl_trusted_certificate %s; proxy_ssl_name localhost; proxy_ssl_server_name on;"
                 " proxy_ssl_certificate %s; proxy_ssl_certificate_key %s; }",
                 back, name_of(version), cert(CERT_CA), cert(CERT_CLIENT), cert(CERT_CLIENT_KEY));
        const char *front = start_nginx_with(temp_dir(), NULL, NULL, NULL, lines);
        for (int i = 0; i < 2; i++) {
            Socket_T client = browser(front), server = answer(listener, contexts.serving);
            CHECK_STR(SocketTLS_get_version(server), name_of(version));
            CHECK_INT(SocketTLS_is_session_reused(server), i);
            SocketTLS_CertInfo info;
            CHECK_INT(SocketTLS_get_peer_cert_info(server, &info), 1);
            CHECK_CONTAINS(info.subject, "CN=test client");
            size_t got = 0;
            do {
                got += (size_t)Socket_recv(server, text + got, sizeof text - 1 - got);
                text[got] = 0;
            } while (!strstr(text, "\r\n\r\n"));
            CHECK_CONTAINS(text, "GET /behind ");
            Socket_sendall(server, answer_head, sizeof answer_head - 1);
            Socket_sendall(server, "hello", 5);
            SocketTLS_shutdown(server);
            Socket_free(&server);
            got = read_all(client, text, sizeof text - 1);
            text[got] = 0;
            CHECK_CONTAINS(text, "200 OK");
            CHECK_STR(strstr(text, "\r\n\r\n"), "\r\n\r\nhello");
            Socket_free(&client);
        }
        Socket_free(&listener);
        free_pair(&contexts);
    }
}

TEST_MAIN

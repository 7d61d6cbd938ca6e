/* Servers that no one here wrote: nginx and openssl s_server, with TLS 1.2 and 1.3. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/programs.h"
#include "../support/transports.h"

#include <stdio.h>
#include <stdlib.h>

enum { FILE_SIZE = 1000003 };

static const char *version_name(int version) { return version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3"; }

static void make_file(void) {
    char path[300];
    snprintf(path, sizeof path, "%s/file.bin", temp_dir());
    unsigned char *bytes = alloc(FILE_SIZE);
    fill_pattern(bytes, FILE_SIZE, 0);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    CHECK_INT(fwrite(bytes, 1, FILE_SIZE, file), FILE_SIZE);
    CHECK_INT(fclose(file), 0);
}

/* GETs /file.bin and compares it byte for byte; the server closes. */
static void get_the_file(struct client *client) {
    static const char request[] = "GET /file.bin HTTP/1.0\r\nHost: localhost\r\n\r\n";
    client_write(client, request, sizeof request - 1);
    size_t got = 0, size = FILE_SIZE + 4096;
    char *answer = alloc(size + 1);
    for (;;) {
        ssize_t n = client_read_some(client, answer + got, size - got);
        if (n < 0) FAIL("after %zu bytes: %s", got, strerror(errno));
        if (n == 0) break;
        got += (size_t)n;
    }
    CHECK_CMP(got, >, FILE_SIZE);
    CHECK(strncmp(answer, "HTTP/1.", 7) == 0);
    char *body = strstr(answer, "\r\n\r\n");
    CHECK(body != NULL);
    body += 4;
    CHECK_INT(answer + got - body, FILE_SIZE);
    CHECK_INT(find_pattern_error(body, FILE_SIZE, 0), -1);
}

TEST(nginx_plain) {
    make_file();
    struct conn_options o = options();
    struct client *client = client_open(test_loop(), "localhost", start_nginx(temp_dir(), NULL, NULL, NULL), &o);
    client_wait_ready(client);
    get_the_file(client);
}

BOTH_VERSIONS(nginx_https) {
    make_file();
    const char *port = start_nginx(temp_dir(), CERT_GOOD, CERT_GOOD_KEY, version_name(version));
    struct conn_options o = tls_options();
    for (int i = 0; i < 2; i++) { /* the second resumes */
        struct client *client = client_open(test_loop(), "localhost", port, &o);
        client_wait_ready(client);
        CHECK_STR(conn_get_tls_version(client->c), version_name(version));
        CHECK_INT(conn_session_reused(client->c), i == 1);
        get_the_file(client);
        client_close(client);
    }
}

BOTH_VERSIONS(nginx_keeps_a_connection_for_several_requests) {
    make_file();
    const char *port = start_nginx(temp_dir(), CERT_GOOD, CERT_GOOD_KEY, version_name(version));
    struct conn_options o = tls_options();
    struct client *client = client_open(test_loop(), "localhost", port, &o);
    client_wait_ready(client);
    for (int i = 0; i < 5; i++) {
        static const char request[] = "GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n";
        client_write(client, request, sizeof request - 1);
        char answer[2000];
        size_t got = 0;
        do {
            ssize_t n = client_read_some(client, answer + got, sizeof answer - 1 - got);
            CHECK_CMP(n, >, 0);
            got += (size_t)n;
            answer[got] = 0;
        } while (!strstr(answer, "</html>"));
        CHECK_CONTAINS(answer, "404 Not Found");
    }
}

TEST(nginx_without_tls_met_with_tls) {
    const char *port = start_nginx(temp_dir(), NULL, NULL, NULL);
    struct conn_options o = tls_options();
    struct client *client = client_open(test_loop(), "localhost", port, &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_TLS, EPROTO);
}

/* s_server -rev sends each line back in reverse. */
static void reverses(const char *port, const char *version) {
    struct conn_options o = tls_options();
    struct client *client = client_open(test_loop(), "localhost", port, &o);
    client_wait_ready(client);
    CHECK_STR(conn_get_tls_version(client->c), version);
    char answer[7];
    client_write(client, "abcdef\n", 7);
    client_read(client, answer, 7);
    CHECK_MEM(answer, "fedcba\n", 7);
}

TEST(s_server_tls12) { reverses(start_s_server(CERT_GOOD, CERT_GOOD_KEY, "-rev", "-tls1_2", NULL), "TLSv1.2"); }
TEST(s_server_tls13) { reverses(start_s_server(CERT_GOOD, CERT_GOOD_KEY, "-rev", "-tls1_3", NULL), "TLSv1.3"); }
TEST(s_server_with_an_rsa_key_tls12) { reverses(start_s_server("server-rsa.pem", "server-rsa.key", "-rev", "-tls1_2", NULL), "TLSv1.2"); }
TEST(s_server_with_an_rsa_key_tls13) { reverses(start_s_server("server-rsa.pem", "server-rsa.key", "-rev", "-tls1_3", NULL), "TLSv1.3"); }

TEST(s_server_alpn) {
    static const char *const offer[] = {"h2", "http/1.1"};
    const char *port = start_s_server(CERT_GOOD, CERT_GOOD_KEY, "-rev", "-alpn", "http/1.1", NULL);
    struct conn_options o = tls_options();
    CHECK_INT(netconn_tls_set_alpn(o.tls, offer, 2), 0);
    struct client *client = client_open(test_loop(), "localhost", port, &o);
    client_wait_ready(client);
    CHECK_STR(conn_get_alpn(client->c), "http/1.1");
}

TEST(s_server_asks_for_a_client_certificate) {
    const char *port = start_s_server(CERT_GOOD, CERT_GOOD_KEY, "-rev", "-Verify", "3", "-verify_return_error", "-CAfile", cert(CERT_CA), NULL);
    struct conn_options o = tls_options();
    CHECK_INT(netconn_tls_load_certificate(o.tls, cert(CERT_CLIENT), cert(CERT_CLIENT_KEY)), 0);
    struct client *client = client_open(test_loop(), "localhost", port, &o);
    client_wait_ready(client);
    char answer[3];
    client_write(client, "ab\n", 3);
    client_read(client, answer, 3);
    CHECK_MEM(answer, "ba\n", 3);
}

TEST_MAIN

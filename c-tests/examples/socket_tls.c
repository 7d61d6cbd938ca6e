/* examples/socket_tls_echo.c and examples/mtls.c, run as a user runs them: against each other, and when it goes wrong. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/runs.h"

#include <stdio.h>
#include <unistd.h>

#define ECHO "examples/bin/socket_tls_echo"
#define MTLS "examples/bin/mtls"

/* Starts the server on any port, which it prints. */
static const char *start_echo(const char *ca) {
    struct run *run = run_start(ECHO, "0", cert(CERT_GOOD), cert(CERT_GOOD_KEY), ca, NULL);
    char line[100] = "", *port = alloc(8);
    for (size_t n = 0; !strchr(line, '\n');) {
        ssize_t more = read(run->out_fd, line + n, sizeof line - 1 - n);
        CHECK_CMP(more, >, 0);
        n += (size_t)more;
        line[n] = 0;
    }
    CHECK_INT(sscanf(line, "listening on port %7s", port), 1);
    return port;
}

static struct run *run_mtls(const char *port, const char *ca, const char *text) {
    return run_built(MTLS, "localhost", port, cert(ca), cert(CERT_CLIENT), cert(CERT_CLIENT_KEY), text, NULL);
}

static void talk(const char *port, size_t size) {
    char *text = alloc(size + 1);
    for (size_t i = 0; i < size; i++) text[i] = (char)('a' + (i * i + i / 7) % 26);
    text[size] = 0;
    struct run *run = run_mtls(port, CERT_CA, text);
    CHECK_STATUS(run, 0);
    CHECK_CONTAINS(run->err, "TLSv1.3 with ");
    CHECK_CONTAINS(run->err, "issued by /CN=netconn test root");
    CHECK_STR(run->out, text);
}

TEST(the_client_shows_its_certificate_and_gets_its_bytes_back) {
    const char *port = start_echo(cert(CERT_CA));
    talk(port, 6);
    talk(port, 50000);
}

TEST(a_server_that_asks_for_no_certificate) { talk(start_echo(NULL), 100); }

TEST(a_server_that_trusts_others_refuses_the_client) {
    const char *port = start_echo(cert(CERT_OTHER_CA));
    struct run *run = run_mtls(port, CERT_CA, "hello");
    CHECK_STATUS(run, 1);
    /* By an alert, or, where the server is gone already, by what a send finds. */
    if (!strstr(run->err, "Broken pipe") && !strstr(run->err, "reset")) CHECK_CONTAINS(run->err, "alert");
    CHECK_INT(run->out_len, 0);
}

TEST(a_client_that_trusts_others_refuses_the_server) {
    const char *port = start_echo(NULL);
    struct run *run = run_mtls(port, CERT_OTHER_CA, "hello");
    CHECK_STATUS(run, 1);
    CHECK_CONTAINS(run->err, "not trusted");
    /* The server goes on. */
    talk(port, 6);
}

TEST(they_say_what_goes_wrong) {
    CHECK_STATUS(run_built(ECHO, NULL), 2);
    CHECK_STATUS(run_built(MTLS, NULL), 2);
    struct run *run = run_built(ECHO, "0", "/none.pem", cert(CERT_GOOD_KEY), NULL);
    CHECK_STATUS(run, 1);
    CHECK_CONTAINS(run->err, "/none.pem");
    run = run_built(MTLS, "127.0.0.1", "1", cert(CERT_CA), cert(CERT_CLIENT), cert(CERT_CLIENT_KEY), "hello", NULL);
    CHECK_STATUS(run, 1);
    CHECK_CONTAINS(run->err, "127.0.0.1 port 1: Connection refused");
}

TEST_MAIN

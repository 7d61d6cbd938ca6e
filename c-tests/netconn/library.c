/* netconn.h: what is the whole process's: version, log, error texts, the first touch of OpenSSL, the end. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "dns_cares.h"
#include "netconn.h"

#include <netdb.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- OpenSSL stays asleep until TLS is asked for ------------------------------------------------------------------------ */

static int openssl_allocations;
static void *count_malloc(size_t size, const char *file, int line) {
    (void)file, (void)line;
    openssl_allocations++;
    return malloc(size);
}
static void *count_realloc(void *old, size_t size, const char *file, int line) {
    (void)file, (void)line;
    openssl_allocations++;
    return realloc(old, size);
}
static void count_free(void *old, const char *file, int line) {
    (void)file, (void)line;
    free(old);
}

extern const bool stays_cold; /* of the harness */
const bool stays_cold = true;

TEST(openssl_is_not_touched_before_tls) {
    /* OpenSSL takes other functions only as long as it has allocated nothing: loading the library did not. */
    CHECK_INT(CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free), 1);
    netconn_version();
    netconn_openssl();
    struct ev_loop *loop = evloop_new();
    struct net_conn *c = conn_new(loop, "localhost", refused_port(), false, NULL, NULL, NULL);
    evloop_run(loop);
    CHECK_INT(conn_get_error(c), CONN_ERR_CONNECT);
    conn_close(c);
    netconn_cleanup();
    CHECK_INT(openssl_allocations, 0);
}

/* ---- Version ------------------------------------------------------------------------------------------------------------ */

TEST(the_headers_and_the_library_are_of_one_version) {
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", NETCONN_VERSION_MAJOR, NETCONN_VERSION_MINOR, NETCONN_VERSION_PATCH);
    CHECK_STR(netconn_version(), text);
    CHECK_STR(NETCONN_VERSION, text);
    CHECK_INT(NETCONN_VERSION_NUM, NETCONN_VERSION_MAJOR << 16 | NETCONN_VERSION_MINOR << 8 | NETCONN_VERSION_PATCH);
    CHECK(strcmp(netconn_poller(), "epoll") == 0 || strcmp(netconn_poller(), "polling") == 0);
}

/* ---- Error texts -------------------------------------------------------------------------------------------------------- */

TEST(errors_have_texts) {
    CHECK_STR(netconn_strerror(ECONNREFUSED), strerror(ECONNREFUSED));
    CHECK_STR(netconn_strerror(ETIMEDOUT), strerror(ETIMEDOUT));
    CHECK_STR(netconn_strerror(EAI_NONAME), gai_strerror(EAI_NONAME));
    CHECK_STR(netconn_strerror(EAI_AGAIN), gai_strerror(EAI_AGAIN));
    CHECK_STR(dns_strerror(EAI_FAIL), gai_strerror(EAI_FAIL));
    CHECK_PTR_NOT_NULL(netconn_strerror(0));
    CHECK_PTR_NOT_NULL(netconn_strerror(123456));
    CHECK_PTR_NOT_NULL(netconn_strerror(-123456));
    /* Valid for ever: a later text does not overwrite it. */
    const char *first = netconn_strerror(EPIPE);
    netconn_strerror(EPERM);
    CHECK_STR(first, strerror(EPIPE));
}

/* ---- The log -------------------------------------------------------------------------------------------------------------- */

static struct {
    int lines[4], broken;
    char all[8192];
} heard;
static void *const sink_arg = &heard;
static void sink(int level, const char *message, void *arg) {
    CHECK_PTR(arg, sink_arg);
    CHECK(level >= NETCONN_LOG_ERROR && level <= NETCONN_LOG_DEBUG);
    heard.lines[level]++;
    for (const char *at = message; *at; at++) heard.broken += (unsigned char)*at < ' ' || *at == 0x7f;
    strncat(heard.all, message, sizeof heard.all - strlen(heard.all) - 2);
    strcat(heard.all, "\n");
}

static void fail_to_connect(const char *host) {
    struct conn_options o = options();
    struct client *client = client_open(test_loop(), host, refused_port(), &o);
    client_wait_error(client);
    client_close(client);
}

TEST(a_sink_gets_every_level_whatever_the_environment_says) {
    setenv("NETCONN_LOG", "error", 1);
    netconn_set_log(sink, sink_arg);
    fail_to_connect("127.0.0.1");
    CHECK_CMP(heard.lines[NETCONN_LOG_DEBUG], >=, 2); /* each state */
    SocketTLSContext_T ctx = tls_client_context();
    CHECK_INT(netconn_tls_set_verify(ctx, NETCONN_TLS_VERIFY_NONE), 0);
    CHECK_INT(heard.lines[NETCONN_LOG_WARN], 1);
    CHECK_INT(netconn_tls_set_verify(ctx, NETCONN_TLS_VERIFY_NONE), 0);
    CHECK_INT(heard.lines[NETCONN_LOG_WARN], 1); /* said once */
    netconn_set_log(NULL, NULL);
    int before = heard.lines[NETCONN_LOG_DEBUG];
    fail_to_connect("127.0.0.1");
    CHECK_INT(heard.lines[NETCONN_LOG_DEBUG], before);
}

TEST(a_message_is_one_line_whatever_a_name_holds) {
    netconn_set_log(sink, sink_arg);
    fail_to_connect("evil\nnetconn: a line of its own\x1b[2J.test");
    netconn_set_log(NULL, NULL);
    CHECK_CONTAINS(heard.all, "evil");
    CHECK_INT(heard.broken, 0);
}

/* What goes to stderr in a process with this NETCONN_LOG. */
static size_t said_on_stderr(const char *level, char *text, size_t size) {
    int ends[2];
    CHECK_INT(pipe(ends), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (level) setenv("NETCONN_LOG", level, 1);
        else unsetenv("NETCONN_LOG");
        dup2(ends[1], 2);
        struct ev_loop *loop = evloop_new();
        struct net_conn *c = conn_new(loop, "127.0.0.1", refused_port(), false, NULL, NULL, NULL);
        evloop_run(loop);
        conn_close(c);
        SocketTLSContext_T ctx = netconn_tls_client(cert(CERT_CA));
        netconn_tls_set_verify(ctx, NETCONN_TLS_VERIFY_NONE);
        netconn_tls_free(&ctx);
        _exit(0);
    }
    close(ends[1]);
    size_t got = 0;
    for (ssize_t n; (n = read(ends[0], text + got, size - 1 - got)) > 0;) got += (size_t)n;
    text[got] = 0;
    close(ends[0]);
    CHECK_INT(waitpid(child, NULL, 0), child);
    return got;
}

TEST(without_a_sink_the_environment_decides) {
    char text[8192];
    CHECK_INT(said_on_stderr(NULL, text, sizeof text), 0);
    CHECK_INT(said_on_stderr("", text, sizeof text), 0);
    CHECK_INT(said_on_stderr("error", text, sizeof text), 0);
    CHECK_CMP(said_on_stderr("warn", text, sizeof text), >, 0);
    CHECK_CONTAINS(text, "verification is off");
    CHECK(strstr(text, "refused") == NULL);
    CHECK_CMP(said_on_stderr("debug", text, sizeof text), >, 0);
    CHECK_CONTAINS(text, "verification is off");
    CHECK_CONTAINS(text, "Connection refused");
}

TEST(a_log_that_nobody_reads_raises_no_signal) {
    int ends[2];
    CHECK_INT(pipe(ends), 0);
    close(ends[0]);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        /* SIGPIPE has its default disposition here: one would end the child. */
        setenv("NETCONN_LOG", "debug", 1);
        dup2(ends[1], 2);
        struct ev_loop *loop = evloop_new();
        struct net_conn *c = conn_new(loop, "127.0.0.1", refused_port(), false, NULL, NULL, NULL);
        evloop_run(loop);
        conn_close(c);
        evloop_free(loop);
        netconn_cleanup();
        _exit(0);
    }
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    close(ends[1]);
}

/* ---- The end, and after it ---------------------------------------------------------------------------------------------- */

TEST(everything_works_again_after_the_cleanup) {
    struct peer *peer = TLS_PEER(0);
    for (int round = 0; round < 3; round++) {
        SocketTLSContext_T ctx = netconn_tls_client(cert(CERT_CA));
        CHECK_PTR_NOT_NULL(ctx);
        CHECK_INT(conn_set_default_tls(ctx), 0);
        netconn_tls_free(&ctx);
        struct conn_options o = options();
        o.connect_timeout = 7;
        CHECK_INT(conn_set_default_options(&o), 0);
        struct net_conn *c = conn_new(NULL, "localhost", peer_port(peer), true, NULL, NULL, NULL);
        CHECK_PTR_NOT_NULL(c);
        RUN_UNTIL(evloop_get_default(), conn_get_state(c) >= CONN_READY);
        CHECK_INT(conn_get_state(c), CONN_READY);
        struct net_conn *resolving = conn_new(NULL, "localhost", peer_port(peer), false, NULL, NULL, NULL);
        CHECK_PTR_NOT_NULL(resolving);
        CHECK_INT(dns_init(NULL), 0);
        netconn_cleanup();
        netconn_cleanup();
    }
    /* The default context went, too. */
    setenv("SSL_CERT_FILE", cert(CERT_OTHER_CA), 1);
    struct client *client = client_new(test_loop());
    client->c = conn_new(client->loop, "localhost", peer_port(peer), true, client_on_ready, client_on_error, client);
    client_wait_error(client);
    CHECK_INT(client->kind, CONN_ERR_CERTIFICATE);
}

TEST_MAIN

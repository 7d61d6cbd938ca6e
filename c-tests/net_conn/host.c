/* The program around the library: its errno, its OpenSSL error queue, its signals, its fds and threads are its own. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "netconn.h"

#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* First of all: no other test of this process has made the library do anything. */
TEST(loading_makes_no_fd_and_no_thread) {
    int fds = fd_count();
    CHECK_INT(thread_count(), 1);
    CHECK_PTR_NOT_NULL(netconn_version());
    netconn_openssl();
    netconn_poller();
    struct conn_options o;
    conn_options_init(&o);
    CHECK_INT(conn_get_state(NULL), CONN_CLOSED);
    CHECK_NO_NEW_FDS(fds);
    CHECK_INT(thread_count(), 1);
    netconn_cleanup(); /* of nothing, and again */
    netconn_cleanup();
    CHECK_NO_NEW_FDS(fds);
}

TEST(a_literal_needs_no_thread) {
    int ends[2];
    tcp_pair(ends);
    struct ev_loop *loop = test_loop();
    struct conn_options o = options();
    struct client *client = client_open(loop, "127.0.0.1", refused_port(), &o);
    client_wait_error(client);
    CHECK_INT(thread_count(), 1);
    close(ends[0]);
    close(ends[1]);
}

#define UNTOUCHED(call)                                                                                                \
    do {                                                                                                               \
        errno = 4711;                                                                                                  \
        (void)(call);                                                                                                  \
        CHECK_INT(errno, 4711);                                                                                        \
    } while (0)

ALL_TRANSPORTS(success_leaves_errno_alone) {
    struct peer *peer = peer_of(version, NULL, NULL);
    struct conn_options o = options_of(version);
    struct ev_loop *loop;
    UNTOUCHED(loop = evloop_new());
    struct client *client = client_new(loop);
    UNTOUCHED(client->c = conn_new_with(loop, "127.0.0.1", peer_port(peer), &o, client_on_ready, client_on_error, client));
    client_wait_ready(client);
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    struct conn_certificate shown = {.size = sizeof shown};
    UNTOUCHED(conn_try_write(client->c, "hello", 5));
    char buf[5];
    errno = 4711;
    bool readable = false;
    while (!readable) {
        ssize_t n = conn_try_read(client->c, buf, 5);
        if (n > 0) readable = true;
        else CHECK(evloop_run_once(loop, 10) >= 0);
        if (!readable) errno = 4711;
    }
    CHECK_INT(errno, 4711);
    UNTOUCHED(conn_try_read(client->c, buf, 0));
    UNTOUCHED(conn_get_state(client->c));
    UNTOUCHED(conn_get_error_msg(client->c));
    UNTOUCHED(conn_get_timing(client->c));
    UNTOUCHED(conn_get_cipher(client->c));
    UNTOUCHED(conn_peer_addr(client->c, (struct sockaddr *)&address, &len));
    if (version) UNTOUCHED(conn_get_peer_certificate(client->c, &shown));
    UNTOUCHED(conn_pending(client->c));
    UNTOUCHED(conn_set_readable_callback(client->c, NULL, NULL));
    UNTOUCHED(conn_shutdown(client->c));
    struct net_conn *c = client->c;
    client->c = NULL;
    UNTOUCHED(conn_close(c));
    UNTOUCHED(evloop_run(loop));
    UNTOUCHED(evloop_free(loop));
}

/* ---- The program's own OpenSSL errors -------------------------------------------------------------------------------------- */

static void leave_errors(void) {
    ERR_clear_error();
    ERR_raise_data(ERR_LIB_USER, 1, "the program's first");
    ERR_raise_data(ERR_LIB_SSL, SSL_R_BAD_LENGTH, "and its second");
}

static void errors_are_ours(const char *where) {
    const char *data;
    int flags;
    unsigned long first = ERR_get_error_all(NULL, NULL, NULL, &data, &flags);
    if (ERR_GET_LIB(first) != ERR_LIB_USER || ERR_GET_REASON(first) != 1) FAIL("%s: the first error is %lx", where, first);
    CHECK_STR(data, "the program's first");
    unsigned long second = ERR_get_error_all(NULL, NULL, NULL, &data, &flags);
    if (ERR_GET_LIB(second) != ERR_LIB_SSL || ERR_GET_REASON(second) != SSL_R_BAD_LENGTH) FAIL("%s: the second error is %lx", where, second);
    CHECK_STR(data, "and its second");
    if (ERR_peek_error() != 0) FAIL("%s: left an error: %s", where, ERR_reason_error_string(ERR_peek_error()));
}

/* With stale errors in the queue all goes as without, and afterwards they are what they were. */
#define AMONG_ERRORS(statement)                                                                                        \
    do {                                                                                                               \
        leave_errors();                                                                                                \
        statement;                                                                                                     \
        errors_are_ours(#statement);                                                                                   \
    } while (0)

BOTH_VERSIONS(the_programs_openssl_errors_stay) {
    if (!strstr(netconn_openssl(), "(system)")) SKIP("netconn has an OpenSSL of its own, with a queue of its own");
    struct peer *peer = TLS_PEER(version), *truncating = TLS_PEER(version, .serve = peer_truncate);
    struct conn_options o;
    AMONG_ERRORS(o = tls_options());
    struct ev_loop *loop = test_loop();
    struct client *client;
    AMONG_ERRORS(client = client_open(loop, "127.0.0.1", peer_port(peer), &o));
    AMONG_ERRORS(client_wait_ready(client));
    AMONG_ERRORS(client_echo(client, "hello"));
    char byte;
    AMONG_ERRORS(CHECK_ERRNO(conn_try_read(client->c, &byte, 1), EAGAIN));
    AMONG_ERRORS(client_close(client));
    /* Failures, too. */
    AMONG_ERRORS(client = client_open(loop, "127.0.0.1", peer_port(truncating), &o));
    AMONG_ERRORS(client_wait_ready(client));
    AMONG_ERRORS(CHECK_INT(client_read_some(client, &byte, 1), -1));
    AMONG_ERRORS(client_close(client));
    o.server_name = "elsewhere.example";
    AMONG_ERRORS(client = client_open(loop, "127.0.0.1", peer_port(peer), &o));
    AMONG_ERRORS(client_wait_error(client));
    CHECK_INT(client->kind, CONN_ERR_CERTIFICATE);
    AMONG_ERRORS(CHECK_PTR_NULL(netconn_tls_client("/nonexistent")));
    AMONG_ERRORS(CHECK_PTR_NULL(netconn_tls_client(cert("garbage.pem"))));
    AMONG_ERRORS(CHECK_PTR_NULL(netconn_tls_server(cert(CERT_GOOD), cert(CERT_CLIENT_KEY), NULL)));
}

BOTH_VERSIONS(an_empty_queue_stays_empty) {
    if (!strstr(netconn_openssl(), "(system)")) SKIP("netconn has an OpenSSL of its own, with a queue of its own");
    struct peer *peer = TLS_PEER(version);
    struct conn_options o = tls_options();
    o.server_name = "elsewhere.example";
    ERR_clear_error();
    struct client *client = client_open(test_loop(), "127.0.0.1", peer_port(peer), &o);
    client_wait_error(client);
    client_close(client);
    CHECK_PTR_NULL(netconn_tls_client(cert("garbage.pem")));
    CHECK_INT(ERR_peek_error(), 0);
}

/* ---- Signals ----------------------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t pipes;
static void count_pipe(int number) {
    (void)number;
    pipes++;
}

ALL_TRANSPORTS(the_programs_sigpipe_handler_is_neither_called_nor_replaced) {
    struct sigaction mine = {.sa_handler = count_pipe}, found;
    sigaction(SIGPIPE, &mine, NULL);
    struct peer *peer = peer_of(version, serve_reset, NULL);
    struct client *client = ready_client(test_loop(), version, peer);
    client_write(client, "x", 1);
    peer_join(peer);
    for (int i = 0; i < 5; i++) CHECK_INT(conn_try_write(client->c, "more", 4), -1);
    client_close(client);
    evloop_run(client->loop);
    CHECK_INT(pipes, 0);
    sigaction(SIGPIPE, NULL, &found);
    CHECK(found.sa_handler == count_pipe);
    sigset_t pending;
    sigpending(&pending);
    CHECK(!sigismember(&pending, SIGPIPE));
}

static void take_note(int number) { (void)number; }

static void *send_signals(void *arg) {
    pthread_t target = *(pthread_t *)arg;
    for (int i = 0; i < 200; i++) pthread_kill(target, SIGUSR1);
    return NULL;
}

ALL_TRANSPORTS(interrupted_calls_never_surface) {
    /* Without SA_RESTART: each system call may end with EINTR. */
    struct sigaction action = {.sa_handler = take_note};
    sigaction(SIGUSR1, &action, NULL);
    struct peer *peer = peer_of(version, NULL, NULL);
    struct client *client = ready_client(test_loop(), version, peer);
    pthread_t self = pthread_self(), thread;
    CHECK_INT(pthread_create(&thread, NULL, send_signals, &self), 0);
    for (int i = 0; i < 50; i++) client_echo(client, "hello");
    pthread_join(thread, NULL);
    client_echo(client, "and again");
}

/* ---- Memory -------------------------------------------------------------------------------------------------------------------- */

TEST(cleanup_with_everything_still_open) {
    struct peer *peer = TLS_PEER(0);
    setenv("SSL_CERT_FILE", cert(CERT_CA), 1);
    int fds = fd_count();
    struct net_conn *c = conn_new(NULL, "localhost", peer_port(peer), true, NULL, NULL, NULL);
    CHECK_PTR_NOT_NULL(c);
    RUN_UNTIL(evloop_get_default(), conn_get_state(c) == CONN_READY);
    netconn_cleanup(); /* the default loop, its connection, caches, the default context */
    peer_join(peer);
    CHECK_NO_NEW_FDS(fds);
    CHECK_PTR_NOT_NULL(evloop_get_default()); /* a new one */
}

TEST_MAIN

/*
 * A child of fork() takes its parent's loop over: the connections on it end there, from the loop and without a byte, and go on in
 * the parent. The peers are threads of the parent, which take nothing but a clean end.
 */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child that has passed its checks. It does not exit: what the threads of its parent had in hand would count as leaked. */
static void leave(void) { raise(SIGKILL); }

static void wait_for(pid_t child) {
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGKILL);
}

static void check_lost(struct client *client) {
    CHECK_INT(client->errors, 1);
    CHECK_INT(client->kind, CONN_ERR_IO);
    CHECK_INT(client->error, ECANCELED);
    CHECK_CONTAINS(client->message, "forked child");
    CHECK_INT(conn_get_state(client->c), CONN_ERROR);
    CHECK_INT(client->c->fd, -1);
    CHECK_PTR_NULL(client->c->ssl);
    CHECK_PTR_NULL(client->c->io_watcher);
    CHECK_PTR_NULL(client->c->connect_timer);
    CHECK_ERRNO(conn_get_fd(client->c), ENOTCONN);
}

/* Sends the pattern, ends, and the peer is content. */
static void goes_on(struct client *client, struct peer *peer) {
    unsigned char pattern[20000];
    fill_pattern(pattern, sizeof pattern, 0);
    client_write(client, pattern, sizeof pattern);
    client_close(client);
    evloop_run(client->loop);
    peer_join(peer);
    CHECK_INT(peer_bytes(peer), sizeof pattern);
}

static void nothing(struct net_conn *c, void *arg) {
    (void)c, (void)arg;
    FAIL("a callback of the parent's in the child");
}

ALL_TRANSPORTS(an_established_connection_ends_in_the_child_alone) {
    struct peer *peer = peer_of(version, serve_check, NULL);
    struct client *client = ready_client(test_loop(), version, peer);
    conn_set_readable_callback(client->c, nothing, NULL);
    conn_set_writable_callback(client->c, nothing, NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        int fd = conn_get_fd(client->c);
        CHECK_INT(evloop_after_fork(client->loop), 0);
        CHECK_INT(client->errors, 0); /* from the loop, not inside the call */
        CHECK_INT(conn_get_state(client->c), CONN_ERROR);
        CHECK_ERRNO(fcntl(fd, F_GETFD), EBADF);
        evloop_run(client->loop);
        check_lost(client);
        char byte = 'c';
        struct iovec piece = {&byte, 1};
        CHECK_ERRNO(conn_try_read(client->c, &byte, 1), ECANCELED);
        CHECK_ERRNO(conn_try_write(client->c, &byte, 1), ECANCELED);
        CHECK_ERRNO(conn_try_writev(client->c, &piece, 1), ECANCELED);
        CHECK_ERRNO(conn_shutdown(client->c), ECANCELED);
        CHECK_INT(conn_pending(client->c), 0);
        conn_close(client->c);
        evloop_run(client->loop);
        evloop_free(client->loop);
        leave();
    }
    wait_for(child);
    conn_set_readable_callback(client->c, NULL, NULL);
    conn_set_writable_callback(client->c, NULL, NULL);
    goes_on(client, peer);
}

/* One in each state; the child closes none of them by hand. */
ALL_TRANSPORTS(each_state_ends_in_the_child) {
    struct peer *peer = peer_of(version, serve_check, NULL), *echo = peer_of(version, NULL, NULL);
    struct peer *mute = PEER(.serve = serve_stall);
    int full = full_queue(AF_INET, "127.0.0.1", 0);
    char full_port[8];
    snprintf(full_port, sizeof full_port, "%d", full);
    struct conn_options o = options_of(version), tls = tls_options();
    struct client *ready = ready_client(test_loop(), version, peer);
    struct ev_loop *loop = ready->loop;
    struct client *handshake = client_open(loop, "127.0.0.1", peer_port(mute), &tls);
    RUN_UNTIL(loop, conn_get_state(handshake->c) == CONN_TLS_HANDSHAKE);
    struct client *connecting = client_open(loop, "127.0.0.1", full_port, &o);
    struct client *invalid = client_open(loop, "127.0.0.1", "70000", &o);
    struct client *resolving = client_open(loop, "localhost", peer_port(echo), &o);
    int fds = fd_count();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_INT(evloop_after_fork(loop), 0);
        /* The sockets are closed at once; the poller of `polling` is forgotten, with its three descriptors. */
        CHECK_CMP(fd_count(), <, fds + (getenv("NETCONN_POLLER") ? 3 : 0));
        struct client *all[] = {ready, handshake, connecting, invalid, resolving};
        for (int i = 0; i < 5; i++) CHECK_INT(all[i]->errors, 0);
        evloop_run(loop);
        for (int i = 0; i < 5; i++) {
            check_lost(all[i]);
            CHECK_INT(all[i]->ready, i == 0);
        }
        for (int i = 1; i < 5; i++) CHECK_ERRNO(conn_try_read(all[i]->c, &i, 1), ENOTCONN);
        evloop_free(loop);
        leave();
    }
    wait_for(child);
    client_wait_error(invalid);
    CHECK_INT(invalid->kind, CONN_ERR_INVALID);
    client_close(handshake);
    client_close(connecting);
    client_wait_ready(resolving);
    client_echo(resolving, "looked up by the parent");
    client_close(resolving);
    goes_on(ready, peer);
}

ALL_TRANSPORTS(what_had_failed_or_ended_before_keeps_its_reason) {
    struct peer *reset = peer_of(version, serve_reset, NULL);
    struct client *failed = ready_client(test_loop(), version, reset);
    struct conn_options o = options_of(version);
    struct client *refused = client_open(failed->loop, "127.0.0.1", refused_port(), &o);
    client_wait_error(refused);
    client_write(failed, "x", 1);
    char byte;
    CHECK_INT(client_read_some(failed, &byte, 1), -1);
    /* The state says it; on_error has not. */
    CHECK_INT(conn_get_state(failed->c), CONN_ERROR);
    CHECK_INT(failed->errors, 0);
    int error = conn_get_errno(failed->c);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_INT(evloop_after_fork(failed->loop), 0);
        evloop_run(failed->loop);
        CHECK_INT(failed->errors, 1);
        CHECK_INT(failed->error, error);
        CHECK_ERRNO(conn_try_read(failed->c, &byte, 1), error);
        CHECK_INT(refused->errors, 1);
        CHECK_INT(conn_get_errno(refused->c), ECONNREFUSED);
        leave();
    }
    wait_for(child);
    RUN_UNTIL(failed->loop, failed->errors == 1);
}

/* More than the kernel takes: what is left when the parent closes lingers in the parent, and vanishes in the child. */
BOTH_VERSIONS(what_lingers_is_sent_by_the_parent_alone) {
    /* The kernel answers tickets that come after the close with a reset, which would end this otherwise. */
    struct peer *peer = TLS_PEER(version, .serve = serve_check, .receive_buffer = 4096, .no_tickets = true);
    struct client *client = ready_client(test_loop(), version, peer);
    static unsigned char pattern[1 << 20];
    fill_pattern(pattern, sizeof pattern, 0);
    size_t sent = 0;
    for (ssize_t n; sent < sizeof pattern && (n = conn_try_write(client->c, pattern + sent, sizeof pattern - sent)) > 0;)
        sent += (size_t)n;
    client_close(client);
    int fds = fd_count();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_INT(evloop_after_fork(client->loop), 0);
        CHECK_CMP(fd_count(), <=, fds + (getenv("NETCONN_POLLER") ? 3 : 0));
        evloop_run(client->loop);
        leave();
    }
    wait_for(child);
    evloop_run(client->loop);
    peer_join(peer);
    CHECK_INT(peer_bytes(peer), sent);
}

/* ---- New ones on the same loop ------------------------------------------------------------------------------------------- */

ALL_TRANSPORTS(the_child_connects_on_the_loop_it_has_taken_over) {
    const char *port = peer_process_of(version);
    struct conn_options o = options_of(version);
    struct client *client = client_open(test_loop(), "127.0.0.1", port, &o);
    client_wait_ready(client);
    client_echo(client, "before");
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_INT(evloop_after_fork(client->loop), 0);
        for (int i = 0; i < 2; i++) {
            struct client *own = client_open(client->loop, i ? "localhost" : "127.0.0.1", port, &o);
            client_wait_ready(own);
            client_echo(own, "the child's own");
            client_close(own);
        }
        evloop_run(client->loop);
        check_lost(client);
        leave();
    }
    client_echo(client, "meanwhile");
    wait_for(child);
    client_echo(client, "after");
    client_close(client);
}

/* ---- Inside callbacks ---------------------------------------------------------------------------------------------------- */

static pid_t inside;

static void fork_here(struct client *client) {
    if (inside != 0) return;
    inside = fork();
    CHECK(inside >= 0);
    if (inside != 0) return;
    inside = -1;
    CHECK_INT(evloop_after_fork(client->loop), 0);
}

static void fork_when_ready(struct client *client) { fork_here(client); }

ALL_TRANSPORTS(in_on_ready) {
    struct peer *peer = peer_of(version, serve_check, NULL);
    struct conn_options o = options_of(version);
    struct client *client = client_open(test_loop(), "127.0.0.1", peer_port(peer), &o);
    client->then_ready = fork_when_ready;
    RUN_UNTIL(client->loop, client->ready || client->errors);
    if (inside == -1) {
        RUN_UNTIL(client->loop, client->errors);
        check_lost(client);
        leave();
    }
    wait_for(inside);
    goes_on(client, peer);
}

static void read_and_fork(struct net_conn *c, void *arg) {
    char byte;
    if (conn_try_read(c, &byte, 1) == 1) {
        fork_here(arg);
        if (inside == -1) CHECK_ERRNO(conn_try_read(c, &byte, 1), ECANCELED);
    }
}

ALL_TRANSPORTS(in_a_readable_callback) {
    struct peer *peer = peer_of(version, NULL, NULL);
    struct client *client = ready_client(test_loop(), version, peer);
    conn_set_readable_callback(client->c, read_and_fork, client);
    client_write(client, "abc", 3);
    RUN_UNTIL(client->loop, inside != 0);
    if (inside == -1) {
        RUN_UNTIL(client->loop, client->errors);
        check_lost(client);
        leave();
    }
    wait_for(inside);
    conn_set_readable_callback(client->c, NULL, NULL);
    client_close(client);
}

/* The socket is the parent's: the child does not connect it. */
static int fork_on_socket(int fd, void *arg) {
    (void)fd;
    fork_here(arg);
    return 0;
}

ALL_TRANSPORTS(in_on_socket) {
    struct peer *peer = peer_of(version, serve_check, NULL);
    struct conn_options o = options_of(version);
    struct client *client = client_new(test_loop());
    o.on_socket = fork_on_socket;
    o.socket_arg = client;
    client->c = conn_new_with(client->loop, "localhost", peer_port(peer), &o, client_on_ready, client_on_error, client);
    CHECK_PTR_NOT_NULL(client->c);
    RUN_UNTIL(client->loop, inside != 0);
    if (inside == -1) {
        RUN_UNTIL(client->loop, client->errors);
        check_lost(client);
        leave();
    }
    wait_for(inside);
    client_wait_ready(client);
    goes_on(client, peer);
}

static int fork_alone(int fd, void *arg) {
    (void)fd, (void)arg;
    if (inside == 0 && (inside = fork()) == 0) inside = -1;
    return 0;
}

ALL_TRANSPORTS(in_on_socket_without_taking_over) {
    struct peer *peer = peer_of(version, serve_check, NULL);
    struct conn_options o = options_of(version);
    o.on_socket = fork_alone;
    struct client *client = client_open(test_loop(), "127.0.0.1", peer_port(peer), &o);
    if (inside == -1) {
        CHECK_ERRNO(evloop_run_once(client->loop, 0), EPERM);
        leave();
    }
    wait_for(inside);
    client_wait_ready(client);
    goes_on(client, peer);
}

TEST_MAIN

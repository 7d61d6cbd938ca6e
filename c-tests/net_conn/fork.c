/* A forked child has its parent's connections in its memory: it cannot use them, and what it closes is its own descriptor. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void nothing(struct net_conn *c, void *arg) {
    (void)c, (void)arg;
    FAIL("a callback of the parent's in the child");
}

/* A child that has passed its checks. It does not exit: what the threads of its parent had in hand would count as leaked. */
static void leave(void) { raise(SIGKILL); }

static void wait_for(pid_t child) {
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGKILL);
}

static void in_a_child(void (*act)(struct client *client), struct client *client) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        act(client);
        leave();
    }
    wait_for(child);
}

static void try_everything(struct client *client) {
    char byte = 'c';
    struct iovec piece = {&byte, 1};
    CHECK_ERRNO(conn_try_read(client->c, &byte, 1), EPERM);
    CHECK_ERRNO(conn_try_write(client->c, &byte, 1), EPERM);
    CHECK_ERRNO(conn_try_writev(client->c, &piece, 1), EPERM);
    CHECK_ERRNO(conn_try_sendfile(client->c, 0, NULL, 1), EPERM);
    CHECK_ERRNO(conn_shutdown(client->c), EPERM);
    CHECK_ERRNO(conn_start_tls(client->c, NULL, NULL, NULL, NULL), EPERM);
    CHECK_ERRNO(conn_detach(client->c), EPERM);
    CHECK_ERRNO(conn_set_idle_timeout(client->c, 1), EPERM);
    conn_set_readable_callback(client->c, nothing, NULL);
    conn_set_writable_callback(client->c, nothing, NULL);
    CHECK_INT(conn_get_state(client->c), CONN_READY);
    evloop_run(client->loop);
    CHECK_NULL_ERRNO(conn_new(client->loop, "127.0.0.1", "80", false, NULL, NULL, NULL), EPERM);
    CHECK_NULL_ERRNO(conn_from_fd(client->loop, conn_get_fd(client->c), NULL, NULL, NULL, NULL), EPERM);
}

ALL_TRANSPORTS(a_child_cannot_use_a_connection) {
    struct client *client = ready_client(test_loop(), version, peer_of(version, NULL, NULL));
    in_a_child(try_everything, client);
    client_echo(client, "the parent's");
}

static void close_it(struct client *client) {
    int fd = conn_get_fd(client->c);
    conn_close(client->c);
    CHECK_ERRNO(write(fd, "", 1), EBADF);
}

static void abort_it(struct client *client) {
    int fd = conn_get_fd(client->c);
    conn_abort(client->c);
    CHECK_ERRNO(write(fd, "", 1), EBADF);
}

/* The peer takes nothing but a clean end. */
ALL_TRANSPORTS(what_a_child_closes_goes_on_in_its_parent) {
    for (int round = 0; round < 2; round++) {
        struct peer *peer = peer_of(version, serve_check, NULL);
        struct client *client = ready_client(test_loop(), version, peer);
        in_a_child(round == 0 ? close_it : abort_it, client);
        unsigned char pattern[1000];
        fill_pattern(pattern, sizeof pattern, 0);
        client_write(client, pattern, sizeof pattern);
        client_close(client);
        evloop_run(client->loop);
        peer_join(peer);
        CHECK_INT(peer_bytes(peer), sizeof pattern);
    }
}

ALL_TRANSPORTS(a_child_closes_what_is_not_ready) {
    struct peer *peer = peer_of(version, NULL, NULL);
    struct conn_options o = options_of(version);
    struct client *resolving = client_open(test_loop(), "localhost", peer_port(peer), &o);
    struct client *connecting = client_open(resolving->loop, "127.0.0.1", peer_port(peer), &o);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        conn_close(resolving->c);
        conn_close(connecting->c);
        leave();
    }
    wait_for(child);
    client_wait_ready(resolving);
    client_wait_ready(connecting);
    client_echo(resolving, "one");
    client_echo(connecting, "two");
}

TEST_MAIN

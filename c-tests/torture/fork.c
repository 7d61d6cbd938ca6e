/*
 * A child of fork() and its parent's connections: whatever the child does to them, the parent does not notice, and no
 * byte of the parent's TLS state is used twice. The child's own connections work.
 */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "netconn.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child that has come to its end kills itself: a memory checker would count what only the parent can give back. */
static void end_child(void) { kill(getpid(), SIGKILL); }

static void wait_for_child(pid_t child) {
    int status = -1;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGKILL);
}

/* What a child may find in the middle of anything: a connection in each state. */
struct family {
    struct client *ready, *connecting;
    const char *port;
    struct conn_options o;
};

/*
 * The peer is another process: a thread of one in this process could hold OpenSSL's or an allocator's lock at the moment of
 * the fork, for which the child would wait for ever.
 */
static struct family make_family(int version) {
    struct family family = {.port = peer_process_of(version), .o = options_of(version)};
    struct ev_loop *loop = test_loop();
    family.ready = client_open(loop, "127.0.0.1", family.port, &family.o);
    client_wait_ready(family.ready);
    family.connecting = client_open(loop, "127.0.0.1", family.port, &family.o);
    return family;
}

static void goes_on_in_the_parent(struct family *family) {
    client_echo(family->ready, "the first is well");
    client_wait_ready(family->connecting);
    client_echo(family->connecting, "and so is the second");
    struct linger linger = {-1, -1};
    socklen_t len = sizeof linger;
    CHECK_INT(getsockopt(family->ready->c->fd, SOL_SOCKET, SO_LINGER, &linger, &len), 0);
    CHECK_INT(linger.l_onoff, 0);
}

ALL_TRANSPORTS(a_child_gets_nothing_out_of_a_connection) {
    struct family family = make_family(version);
    pid_t child = fork();
    if (child == 0) {
        struct net_conn *c = family.ready->c;
        char byte = 'x';
        struct iovec piece = {&byte, 1};
        CHECK_ERRNO(conn_try_write(c, &byte, 1), EPERM);
        CHECK_ERRNO(conn_try_writev(c, &piece, 1), EPERM);
        CHECK_ERRNO(conn_try_read(c, &byte, 1), EPERM);
        CHECK_ERRNO(conn_shutdown(c), EPERM);
        conn_set_readable_callback(c, client_on_ready, NULL);
        conn_set_writable_callback(c, client_on_ready, NULL);
        CHECK_INT(conn_get_state(c), CONN_READY);
        end_child();
    }
    wait_for_child(child);
    goes_on_in_the_parent(&family);
}

static void ends_in_a_child(int version, void (*end)(struct net_conn *)) {
    struct family family = make_family(version);
    pid_t child = fork();
    if (child == 0) {
        end(family.ready->c);
        end(family.connecting->c);
        end_child();
    }
    wait_for_child(child);
    goes_on_in_the_parent(&family);
}

ALL_TRANSPORTS(a_child_closes) { ends_in_a_child(version, conn_close); }
ALL_TRANSPORTS(a_child_aborts) { ends_in_a_child(version, conn_abort); }

ALL_TRANSPORTS(a_child_frees_the_loop) {
    struct family family = make_family(version);
    pid_t child = fork();
    if (child == 0) {
        evloop_free(family.ready->loop);
        end_child();
    }
    wait_for_child(child);
    goes_on_in_the_parent(&family);
}

ALL_TRANSPORTS(a_child_cleans_up_and_connects_by_itself) {
    struct family family = make_family(version);
    pid_t child = fork();
    if (child == 0) {
        netconn_cleanup();
        struct client *client = client_open(evloop_get_default(), "localhost", family.port, &family.o);
        client_wait_ready(client);
        client_echo(client, "the child's own");
        client_close(client);
        end_child();
    }
    wait_for_child(child);
    goes_on_in_the_parent(&family);
}

TEST_MAIN

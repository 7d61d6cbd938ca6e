/* conn_detach: the socket of a plain connection goes back to the program. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* How often the epoll sets of this process (the polling crate's too) hold this descriptor. */
static int registrations(int fd) {
    int found = 0;
    for (int epoll = 0; epoll < 256; epoll++) {
        char path[64], line[256];
        snprintf(path, sizeof path, "/proc/self/fdinfo/%d", epoll);
        FILE *file = fopen(path, "r");
        if (!file) continue;
        while (fgets(line, sizeof line, file)) {
            int tfd;
            if (sscanf(line, "tfd: %d", &tfd) == 1 && tfd == fd) found++;
        }
        fclose(file);
    }
    return found;
}

static void read_exactly(int fd, char *buf, size_t len) {
    for (size_t got = 0; got < len;) {
        struct pollfd waiting = {fd, POLLIN, 0};
        CHECK_INT(poll(&waiting, 1, -1), 1);
        ssize_t n = read(fd, buf + got, len - got);
        CHECK_CMP(n, >, 0);
        got += (size_t)n;
    }
}

/* Takes the socket, which goes on with the same stream; closes it. */
static void take(struct client *client) {
    int was = client->c->fd;
    struct net_conn *c = client->c;
    client->c = NULL;
    int fd = conn_detach(c);
    CHECK_INT(fd, was);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_INT(registrations(fd), 0);
    char buf[6];
    CHECK_INT(send(fd, "my own", 6, MSG_NOSIGNAL), 6);
    read_exactly(fd, buf, 6);
    CHECK_MEM(buf, "my own", 6);
    close(fd);
}

TEST(the_socket_goes_on_with_its_stream) {
    int fds;
    struct ev_loop *loop = evloop_new();
    CHECK(evloop_fd(loop) >= 0); /* from here on each change is in the kernel at once */
    struct conn_options o = options();
    struct client *client = client_open(loop, "127.0.0.1", peer_process_of(0), &o);
    client_wait_ready(client);
    client_echo(client, "through the connection");
    CHECK_INT(registrations(client->c->fd), 1);
    fds = fd_count();
    take(client);
    CHECK_NO_NEW_FDS(fds - 1);
    evloop_run(loop); /* nothing keeps it */
    CHECK_INT(client->errors, 0);
    evloop_free(loop);
}

static void send_eleven(struct peer_conn *pc) {
    peer_write(pc, "hello again", 11);
    serve_echo(pc);
}

/* What was not read is still to be read. */
TEST(unread_bytes_stay_in_the_socket) {
    struct client *client = ready_client(test_loop(), 0, PEER(.serve = send_eleven));
    char buf[6];
    client_read(client, buf, 5);
    struct net_conn *c = client->c;
    client->c = NULL;
    int fd = conn_detach(c);
    CHECK(fd >= 0);
    read_exactly(fd, buf, 6);
    CHECK_MEM(buf, " again", 6);
    close(fd);
}

static void take_in_callback(struct net_conn *c, void *arg) {
    struct client *client = arg;
    CHECK_PTR(c, client->c);
    take(client);
}

static void read_and_take(struct net_conn *c, void *arg) {
    char byte;
    CHECK_INT(conn_try_read(c, &byte, 1), 1);
    take_in_callback(c, arg);
}

static void never(struct net_conn *c, void *arg) {
    (void)c, (void)arg;
    FAIL("a callback of a detached connection");
}

TEST(in_every_callback) {
    struct ev_loop *loop = test_loop();
    struct peer *peer = PEER(0);
    struct conn_options o = options();
    struct client *client = client_open(loop, "127.0.0.1", peer_port(peer), &o);
    client->then_ready = take;
    conn_set_writable_callback(client->c, never, NULL);
    RUN_UNTIL(loop, client->c == NULL);
    run_rounds(loop);

    client = ready_client(loop, 0, peer);
    conn_set_writable_callback(client->c, take_in_callback, client);
    RUN_UNTIL(loop, client->c == NULL);

    client = ready_client(loop, 0, peer);
    client_write(client, "x", 1);
    conn_set_readable_callback(client->c, read_and_take, client);
    RUN_UNTIL(loop, client->c == NULL);
    run_rounds(loop);
}

/* It can be given to a connection again, over TLS too. */
TEST(and_back_again) {
    struct ev_loop *loop = test_loop();
    struct client *client = ready_client(loop, 0, PEER(0));
    for (int i = 0; i < 3; i++) {
        struct net_conn *c = client->c;
        client->c = NULL;
        int fd = conn_detach(c);
        CHECK(fd >= 0);
        client = client_adopt(loop, fd, NULL);
        CHECK_INT(client->c->fd, fd);
        client_wait_ready(client);
        client_echo(client, "again");
    }
}

TEST(half_closed_it_may_go_too) {
    struct client *client = ready_client(test_loop(), 0, PEER(.serve = serve_echo));
    client_write(client, "last", 4);
    CHECK_INT(conn_shutdown(client->c), 0);
    struct net_conn *c = client->c;
    client->c = NULL;
    int fd = conn_detach(c);
    CHECK(fd >= 0);
    char buf[4];
    read_exactly(fd, buf, 4);
    CHECK_MEM(buf, "last", 4);
    close(fd);
}

BOTH_VERSIONS(not_under_tls) {
    struct conn_options o = tls_options();
    struct client *client = client_open(test_loop(), "localhost", peer_port(TLS_PEER(version)), &o);
    CHECK_ERRNO(conn_detach(client->c), ENOTCONN);
    RUN_UNTIL(client->loop, client->c->state >= CONN_TLS_HANDSHAKE);
    CHECK_ERRNO(conn_detach(client->c), ENOTSUP);
    client_wait_ready(client);
    CHECK_ERRNO(conn_detach(client->c), ENOTSUP);
    client_echo(client, "as it was");
}

TEST(not_before_ready_nor_after_a_failure) {
    CHECK_ERRNO(conn_detach(NULL), EINVAL);
    struct ev_loop *loop = test_loop();
    struct conn_options o = options();
    struct client *client = client_open(loop, "127.0.0.1", peer_port(PEER(0)), &o);
    CHECK_ERRNO(conn_detach(client->c), ENOTCONN);
    client_wait_ready(client);
    client_echo(client, "as it was");
    client = client_open(loop, "127.0.0.1", refused_port(), &o);
    client_wait_error(client);
    CHECK_ERRNO(conn_detach(client->c), ENOTCONN);
    client = ready_client(loop, 0, PEER(.serve = serve_reset));
    client_write(client, "x", 1);
    RUN_UNTIL(loop, client->errors == 1);
    CHECK_ERRNO(conn_detach(client->c), ENOTCONN);
}

TEST_MAIN

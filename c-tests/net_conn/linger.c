/* The lingering close: what was accepted is delivered, what is not wanted any more is not waited for. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void wait_then_check(struct peer_conn *pc) {
    gate_wait(pc->arg);
    serve_check(pc); /* which wants a clean end: close_notify under TLS */
}

static void never(struct net_conn *c, void *arg) {
    (void)c, (void)arg;
    FAIL("a callback of a connection that is gone");
}

static void open_gate(void *gate) { gate_open(gate); }

/* Writes until nothing more is taken. */
static uint64_t fill_up(struct client *client) {
    unsigned char buf[30000];
    uint64_t put = 0;
    for (;;) {
        fill_pattern(buf, sizeof buf, put);
        ssize_t n = conn_try_write(client->c, buf, sizeof buf);
        if (n < 0) break;
        put += (uint64_t)n;
    }
    CHECK_INT(errno, EAGAIN);
    return put;
}

ALL_TRANSPORTS(what_was_accepted_arrives_after_the_close) {
    struct gate gate = GATE;
    struct peer *peer = peer_of(version, wait_then_check, &gate);
    struct ev_loop *loop = test_loop();
    struct client *client = ready_client(loop, version, peer);
    uint64_t put = fill_up(client);
    client_close(client); /* the peer has not read a byte yet */
    struct evloop_timer *timer = evloop_timer_start(loop, 0.05, 0, open_gate, &gate);
    evloop_run(loop); /* it runs on until all is with the kernel */
    evloop_timer_free(timer);
    peer_join(peer);
    CHECK_INT(peer_bytes(peer), put);
}

ALL_TRANSPORTS(a_small_message_then_close) {
    for (int i = 0; i < 10; i++) {
        struct peer *peer = peer_of(version, serve_check, NULL);
        struct ev_loop *loop = test_loop();
        struct client *client = ready_client(loop, version, peer);
        unsigned char buf[1000];
        fill_pattern(buf, sizeof buf, 0);
        CHECK_INT(conn_try_write(client->c, buf, sizeof buf), sizeof buf);
        client_close(client);
        evloop_run(loop);
        peer_join(peer);
        CHECK_INT(peer_bytes(peer), 1000);
    }
}

static void write_and_close(struct client *client) {
    unsigned char buf[1000];
    fill_pattern(buf, sizeof buf, 0);
    CHECK_INT(conn_try_write(client->c, buf, sizeof buf), sizeof buf);
    client_close(client);
}

ALL_TRANSPORTS(written_and_closed_in_on_ready) {
    struct peer *peer = peer_of(version, serve_check, NULL);
    struct ev_loop *loop = test_loop();
    struct conn_options o = options_of(version);
    struct client *client = client_open(loop, "127.0.0.1", peer_port(peer), &o);
    client->then_ready = write_and_close;
    evloop_run(loop);
    peer_join(peer);
    CHECK_INT(peer_bytes(peer), 1000);
}

static void chatter(struct peer_conn *pc) {
    /* Bytes that the client never reads must not turn its close into a reset that takes its last words away. */
    peer_write_pattern(pc, 1000);
    serve_check(pc);
}

BOTH_VERSIONS(unread_tickets_and_bytes_do_not_spoil_the_close) {
    struct peer *peer = peer_of(version, chatter, NULL);
    struct ev_loop *loop = test_loop();
    struct client *client = ready_client(loop, version, peer);
    char byte;
    CHECK_INT(client_read_some(client, &byte, 1), 1);
    unsigned char buf[1000];
    fill_pattern(buf, sizeof buf, 0);
    CHECK_INT(conn_try_write(client->c, buf, sizeof buf), sizeof buf);
    client_close(client);
    evloop_run(loop);
    peer_join(peer);
    CHECK_INT(peer_bytes(peer), 1000);
}

ALL_TRANSPORTS(a_peer_that_never_reads_is_given_up) {
    TEST_LIMIT(60);
    struct peer *peer = peer_of(version, serve_stall, NULL);
    struct ev_loop *loop = test_loop();
    struct client *client = ready_client(loop, version, peer);
    fill_up(client);
    client_close(client);
    evloop_run(loop); /* at most 5 s: the test's limit is the only clock here */
}

ALL_TRANSPORTS(an_abort_waits_for_nothing) {
    struct peer *peer = peer_of(version, serve_stall, NULL);
    struct ev_loop *loop = test_loop();
    struct client *client = ready_client(loop, version, peer);
    fill_up(client);
    int fds = fd_count();
    conn_abort(client->c);
    client->c = NULL;
    CHECK_CMP(fd_count(), <, fds); /* gone when the call returns */
    evloop_run(loop);
    peer_join(peer); /* the peer was told */
}

/* What the peer's kernel says of the end: 0 or an errno. */
static void note_end(struct peer_conn *pc) {
    int *end = pc->arg;
    char buf[4096];
    ssize_t n;
    while ((n = recv(pc->fd, buf, sizeof buf, 0)) > 0) {}
    *end = n < 0 ? errno : 0;
    pc->ended = true;
}

ALL_TRANSPORTS(an_abort_is_a_reset_and_a_close_is_not) {
    for (int aborted = 0; aborted < 2; aborted++) {
        int end = -1;
        /* Tickets that come after the close would be answered with a reset. */
        struct peer *peer = version ? TLS_PEER(version, .serve = note_end, .arg = &end, .no_tickets = true)
                                    : PEER(.serve = note_end, .arg = &end);
        struct ev_loop *loop = test_loop();
        struct client *client = ready_client(loop, version, peer);
        client_write(client, "accepted", 8);
        if (aborted) {
            struct net_conn *c = client->c;
            client->c = NULL;
            conn_abort(c);
        } else {
            client_close(client);
        }
        evloop_run(loop);
        peer_join(peer);
        CHECK_INT(end, aborted ? ECONNRESET : 0);
    }
}

static void note_end_of_handshake(struct peer_conn *pc) {
    char byte;
    if (recv(pc->fd, &byte, 1, 0) != 1) FAIL("no hello came");
    gate_open(((void **)pc->arg)[1]);
    pc->arg = ((void **)pc->arg)[0];
    note_end(pc);
}

TEST(an_abort_in_the_handshake_is_a_reset) {
    struct gate hello = GATE;
    int end = -1;
    void *both[2] = {&end, &hello};
    struct peer *peer = PEER(.serve = note_end_of_handshake, .arg = both);
    struct ev_loop *loop = test_loop();
    struct conn_options o = tls_options();
    struct client *client = client_open(loop, "127.0.0.1", peer_port(peer), &o);
    RUN_UNTIL(loop, client->c->state == CONN_TLS_HANDSHAKE);
    run_rounds(loop);
    gate_wait(&hello);
    struct net_conn *c = client->c;
    client->c = NULL;
    conn_abort(c);
    evloop_run(loop);
    peer_join(peer);
    CHECK_INT(end, ECONNRESET);
    CHECK_INT(client->ready + client->errors, 0);
}

/* A copy of the descriptor keeps the socket: the loop has to forget it all the same, or it would spin on its events. */
TEST(an_aborted_connection_leaves_nothing_in_the_loop) {
    struct ev_loop *loop = test_loop();
    struct client *client = ready_client(loop, 0, PEER(0));
    struct pollfd work = {evloop_fd(loop), POLLIN, 0};
    conn_set_readable_callback(client->c, never, NULL);
    run_rounds(loop);
    struct net_conn *c = client->c;
    int copy = dup(c->fd);
    CHECK_CMP(copy, >=, 0);
    client->c = NULL;
    conn_abort(c);
    run_rounds(loop);
    CHECK_INT(send(copy, "x", 1, MSG_NOSIGNAL), 1);
    struct pollfd echoed = {copy, POLLIN, 0};
    CHECK_INT(poll(&echoed, 1, -1), 1);
    CHECK_INT(poll(&work, 1, 0), 0);
    CHECK_INT(evloop_run_once(loop, 0), 0);
    close(copy);
}

static void read_late(struct peer_conn *pc) {
    gate_wait(pc->arg);
    peer_drain(pc);
}

/* Bytes that wait for their reader do not survive it. */
ALL_TRANSPORTS(an_abort_drops_what_was_accepted) {
    struct gate gate = GATE;
    struct peer *peer = version ? TLS_PEER(version, .serve = read_late, .arg = &gate, .receive_buffer = 4096)
                                : PEER(.serve = read_late, .arg = &gate, .receive_buffer = 4096);
    struct ev_loop *loop = test_loop();
    struct client *client = ready_client(loop, version, peer);
    uint64_t accepted = fill_up(client);
    struct net_conn *c = client->c;
    client->c = NULL;
    conn_abort(c);
    gate_open(&gate);
    peer_join(peer);
    CHECK_CMP(peer_bytes(peer), <, accepted);
}

ALL_TRANSPORTS(the_loop_freed_while_a_close_lingers) {
    struct peer *peer = peer_of(version, serve_stall, NULL);
    struct ev_loop *loop = evloop_new();
    CHECK_PTR_NOT_NULL(loop);
    struct client *client = ready_client(loop, version, peer);
    fill_up(client);
    client_close(client);
    evloop_free(loop);
    peer_stop(peer); /* the end may be stuck behind what it never reads */
}

ALL_TRANSPORTS(the_peer_hangs_up_while_a_close_lingers) {
    struct peer *peer = peer_of(version, serve_stall, NULL);
    struct ev_loop *loop = test_loop();
    struct client *client = ready_client(loop, version, peer);
    fill_up(client);
    client_close(client);
    peer_stop(peer);
    evloop_run(loop);
}

TEST_MAIN

/*
 * Peers that send without end what is no data: key updates, tickets. A connection's share of the loop and of memory
 * stays small, and what is real still comes through.
 */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static long resident_kib(void) {
    FILE *file = fopen("/proc/self/status", "r");
    CHECK_PTR_NOT_NULL(file);
    char line[200];
    long kib = 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "VmRSS: %ld", &kib) == 1) break;
    fclose(file);
    return kib;
}

/* As fast as the kernel takes it, until the client is gone. */
static void flood_with_updates(struct peer_conn *pc) {
    while (SSL_key_update(pc->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 && SSL_do_handshake(pc->ssl) == 1) {}
    pc->ended = true;
}

/* Each asks for an answer, which nobody reads. */
static void flood_with_questions(struct peer_conn *pc) {
    while (SSL_key_update(pc->ssl, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(pc->ssl) == 1) {}
    pc->ended = true;
}

/* OpenSSL takes no offence when a ticket cannot be sent. */
static bool is_there(struct peer_conn *pc) {
    char byte;
    return recv(pc->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0 || errno == EAGAIN;
}

static void flood_with_tickets(struct peer_conn *pc) {
    while (is_there(pc) && SSL_new_session_ticket(pc->ssl) == 1 && SSL_do_handshake(pc->ssl) == 1) {}
    pc->ended = true;
}

struct eager {
    uint64_t calls;
};

static void reads_in_vain(struct net_conn *c, void *arg) {
    char buf[16384];
    ((struct eager *)arg)->calls++;
    ssize_t n = conn_try_read(c, buf, sizeof buf);
    if (n >= 0) FAIL("data came out of a flood of nothing: %zd", n);
    CHECK(errno == EAGAIN || conn_get_state(c) == CONN_ERROR);
}

static void flooded(peer_serve serve) {
    TEST_LIMIT(60);
    struct ev_loop *loop = test_loop();
    struct peer *flooding = TLS_PEER(TLS1_3_VERSION, .serve = serve), *calm = TLS_PEER(TLS1_3_VERSION);
    struct client *busy = ready_client(loop, TLS1_3_VERSION, flooding), *quiet = ready_client(loop, TLS1_3_VERSION, calm);
    struct eager eager = {0};
    conn_set_readable_callback(busy->c, reads_in_vain, &eager);
    long before = 0;
    for (int i = 0; i < small(200, 2); i++) {
        client_echo(quiet, "ping");
        if (i < 10) before = resident_kib();
    }
    RUN_UNTIL(loop, eager.calls > 0);
    CHECK_CMP(resident_kib() - before, <, 16 * 1024);
    conn_abort(busy->c);
    busy->c = NULL;
}

TEST(key_updates_without_end) { flooded(flood_with_updates); }
TEST(key_updates_that_ask_for_answers_without_end) { flooded(flood_with_questions); }
TEST(tickets_without_end) { flooded(flood_with_tickets); }

/* Nor does one call go on for as long as there is something to read: 27 bytes each, of which a call takes eight times
 * what OpenSSL's buffer holds at the most. */
enum { UPDATES = 7000 };

static void many_updates_and_a_byte(struct peer_conn *pc) {
    int room = 1 << 20;
    CHECK_INT(setsockopt(pc->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
    for (int i = 0; i < UPDATES; i++)
        if (SSL_key_update(pc->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1 || SSL_do_handshake(pc->ssl) != 1) return;
    peer_write(pc, "x", 1);
    gate_open(pc->arg);
    peer_drain(pc);
}

TEST(many_key_updates_take_several_reads) {
    struct gate sent = GATE;
    struct peer *peer = TLS_PEER(TLS1_3_VERSION, .serve = many_updates_and_a_byte, .arg = &sent);
    struct client *client = ready_client(test_loop(), TLS1_3_VERSION, peer);
    gate_wait(&sent); /* all of it is in the kernel */
    char byte = 0;
    int reads = 0;
    ssize_t n = -1;
    while (n < 0) {
        struct pollfd readable = {client->c->fd, POLLIN, 0};
        CHECK_INT(poll(&readable, 1, -1), 1);
        n = conn_try_read(client->c, &byte, 1);
        if (n < 0) CHECK_INT(errno, EAGAIN);
        reads++;
    }
    CHECK_INT(byte, 'x');
    CHECK_CMP(reads, >, UPDATES * 27 / (8 * 17 * 1024));
}

/* ---- And while connecting ---------------------------------------------------------------------------------------------- */

static void flood_with_garbage(struct peer_conn *pc) {
    unsigned char garbage[4096];
    fill_pattern(garbage, sizeof garbage, (uint64_t)(uintptr_t)pc->arg);
    while (send(pc->fd, garbage, sizeof garbage, MSG_NOSIGNAL) > 0) {}
    pc->ended = true;
}

TEST(garbage_in_place_of_a_handshake) {
    struct ev_loop *loop = test_loop();
    struct conn_options o = tls_options();
    for (int i = 0; i < small(100, 10); i++) {
        struct peer *peer = PEER(.serve = flood_with_garbage, .arg = (void *)(uintptr_t)(i * 4096));
        struct client *client = client_open(loop, "127.0.0.1", peer_port(peer), &o);
        client_wait_error(client);
        CHECK_INT(client->kind, CONN_ERR_TLS);
        client_close(client);
        peer_stop(peer);
    }
}

/* Records without a byte. */
static void flood_with_empty_records(struct peer_conn *pc) {
    static const unsigned char empty[] = {22, 3, 3, 0, 0};
    while (send(pc->fd, empty, sizeof empty, MSG_NOSIGNAL) > 0) {}
    pc->ended = true;
}

TEST(empty_records_in_place_of_a_handshake) {
    struct ev_loop *loop = test_loop();
    struct conn_options o = tls_options();
    o.tls_timeout = slow(5);
    struct client *client = client_open(loop, "127.0.0.1", peer_port(PEER(.serve = flood_with_empty_records)), &o);
    client_wait_error(client);
    CHECK(client->kind == CONN_ERR_TLS || client->kind == CONN_ERR_TIMEOUT);
    client_close(client);
}

TEST_MAIN

/* Sockets with TLS in a poll set: what is waited for while they shake hands, and who is woken by what they have read ahead. */
#include "pair.h"
#include "poll/SocketPoll.h"

#include <pthread.h>

/* What a wait without waiting tells of this socket, which has this data; 0: nothing. */
static unsigned events_of(SocketPoll_T poll, Socket_T socket, void *data) {
    SocketEvent_T *events;
    int count = SocketPoll_wait(poll, &events, 0);
    CHECK_CMP(count, <=, 1);
    if (count == 0) return 0;
    CHECK_PTR(events[0].socket, socket);
    CHECK_PTR(events[0].data, data);
    return events[0].events;
}

TEST(a_handshake_is_waited_for_as_its_last_step_wanted) {
    EACH_VERSION(version) {
        struct pair pair = strangers(version);
        SocketPoll_T poll = SocketPoll_new(4);
        int data;
        /* What was asked for is writing alone. */
        SocketPoll_add(poll, pair.client, POLL_WRITE, &data);
        CHECK_INT(events_of(poll, pair.client, &data), POLL_WRITE);
        TLSHandshakeState ours = SocketTLS_handshake(pair.client), theirs = TLS_HANDSHAKE_NOT_STARTED;
        CHECK_INT(ours, TLS_HANDSHAKE_WANT_READ);
        CHECK_INT(events_of(poll, pair.client, &data), 0);
        for (int round = 0; ours != TLS_HANDSHAKE_COMPLETE; round++) {
            CHECK_CMP(round, <, 100);
            theirs = SocketTLS_handshake(pair.server);
            CHECK_INT(events_of(poll, pair.client, &data), POLL_READ);
            CHECK_INT(events_of(poll, pair.client, &data), 0);
            ours = SocketTLS_handshake(pair.client);
        }
        /* Complete: as it was asked for again. */
        CHECK_INT(events_of(poll, pair.client, &data), POLL_WRITE);
        while (theirs != TLS_HANDSHAKE_COMPLETE) theirs = SocketTLS_handshake(pair.server);
        CHECK_INT(SocketTLS_send(pair.server, "x", 1), 1);
        /* Room for writing may have grown meanwhile; what can be read was not asked for. */
        CHECK_INT(events_of(poll, pair.client, &data) & POLL_READ, 0);
        SocketPoll_mod(poll, pair.client, POLL_READ, NULL);
        CHECK_INT(events_of(poll, pair.client, NULL), POLL_READ);
        SocketPoll_free(&poll);
        free_pair(&pair);
    }
}

/* What the program asks for by mod holds until the next event, and after the handshake. */
TEST(mod_during_a_handshake) {
    struct pair pair = strangers(TLS1_2_VERSION);
    SocketPoll_T poll = SocketPoll_new(4);
    int data;
    SocketPoll_add(poll, pair.client, POLL_READ | POLL_WRITE, NULL);
    CHECK_INT(events_of(poll, pair.client, NULL), POLL_WRITE);
    CHECK_INT(SocketTLS_handshake(pair.client), TLS_HANDSHAKE_WANT_READ);
    SocketPoll_mod(poll, pair.client, POLL_WRITE, &data);
    CHECK_INT(events_of(poll, pair.client, &data), POLL_WRITE);
    CHECK_INT(events_of(poll, pair.client, &data), 0);
    CHECK_INT(SocketTLS_handshake(pair.server), TLS_HANDSHAKE_WANT_READ);
    CHECK_INT(events_of(poll, pair.client, &data), POLL_READ);
    SocketPoll_mod(poll, pair.client, POLL_READ, &data);
    acquaint(&pair);
    CHECK_INT(events_of(poll, pair.client, &data), 0);
    CHECK_INT(SocketTLS_send(pair.server, "x", 1), 1);
    CHECK_INT(events_of(poll, pair.client, &data), POLL_READ);
    SocketPoll_free(&poll);
    free_pair(&pair);
}

/* The last step of the handshake takes data along with it, and nothing more comes from the kernel. */
TEST(data_that_came_with_the_handshake_is_told) {
    struct pair pair = strangers(TLS1_2_VERSION);
    char buf[10];
    SocketPoll_T poll = SocketPoll_new(4);
    SocketPoll_add(poll, pair.client, POLL_READ, NULL);
    CHECK_INT(events_of(poll, pair.client, NULL), 0);
    SocketTLS_handshake(pair.client);
    SocketTLS_handshake(pair.server);
    SocketTLS_handshake(pair.client);
    CHECK_INT(SocketTLS_handshake(pair.server), TLS_HANDSHAKE_COMPLETE);
    CHECK_INT(SocketTLS_send(pair.server, "early", 5), 5);
    CHECK_INT(events_of(poll, pair.client, NULL), POLL_READ);
    CHECK_INT(SocketTLS_handshake(pair.client), TLS_HANDSHAKE_COMPLETE);
    CHECK_INT(recv(Socket_fd(pair.client), buf, 1, MSG_PEEK | MSG_DONTWAIT), -1);
    for (int i = 0; i < 3; i++) CHECK_INT(events_of(poll, pair.client, NULL), POLL_READ);
    CHECK_INT(SocketTLS_recv(pair.client, buf, sizeof buf), 5);
    CHECK_INT(events_of(poll, pair.client, NULL), 0);
    /* A socket that is added with bytes read ahead. */
    SocketPoll_del(poll, pair.client);
    CHECK_INT(SocketTLS_send(pair.server, "later", 5), 5);
    CHECK_INT(SocketTLS_recv(pair.client, buf, 1), 1);
    SocketPoll_add(poll, pair.client, POLL_WRITE, NULL);
    CHECK_INT(events_of(poll, pair.client, NULL), POLL_WRITE); /* reading was not asked for */
    CHECK_INT(events_of(poll, pair.client, NULL), 0);
    SocketPoll_mod(poll, pair.client, POLL_READ, NULL);
    CHECK_INT(events_of(poll, pair.client, NULL), POLL_READ);
    CHECK_INT(SocketTLS_recv(pair.client, buf, sizeof buf), 4);
    CHECK_INT(events_of(poll, pair.client, NULL), 0);
    SocketPoll_free(&poll);
    free_pair(&pair);
}

/* Byte by byte: a wake-up for each, and none between them. */
TEST(a_record_in_bytes_wakes_once_for_each) {
    struct pair pair = friends(TLS1_2_VERSION);
    char wire[200], buf[10];
    CHECK_INT(SocketTLS_send(pair.server, "bytes", 5), 5);
    ssize_t size = recv(Socket_fd(pair.client), wire, sizeof wire, 0);
    SocketPoll_T poll = SocketPoll_new(4);
    SocketPoll_add(poll, pair.client, POLL_READ, NULL);
    CHECK_INT(events_of(poll, pair.client, NULL), 0);
    for (ssize_t i = 0; i < size; i++) {
        CHECK_INT(write(Socket_fd(pair.server), wire + i, 1), 1);
        CHECK_INT(events_of(poll, pair.client, NULL), POLL_READ);
        if (i + 1 < size) WOULD_BLOCK(SocketTLS_recv(pair.client, buf, sizeof buf));
        if (i + 1 < size) CHECK_INT(events_of(poll, pair.client, NULL), 0);
    }
    CHECK_INT(SocketTLS_recv(pair.client, buf, sizeof buf), 5);
    CHECK_INT(events_of(poll, pair.client, NULL), 0);
    SocketPoll_free(&poll);
    free_pair(&pair);
}

static void *wait_for_one(void *poll) {
    SocketEvent_T *events;
    CHECK_INT(SocketPoll_wait(poll, &events, -1), 1);
    CHECK_INT(events[0].events, POLL_READ);
    return NULL;
}

/* The thread that waits learns of what another one has left in the socket. */
TEST(another_thread_reads_a_part) {
    struct pair pair = friends(TLS1_2_VERSION);
    char buf[10];
    pthread_t waiter;
    SocketPoll_T poll = SocketPoll_new(4);
    SocketPoll_add(poll, pair.client, POLL_READ, NULL);
    CHECK_INT(SocketTLS_send(pair.server, "0123456789", 10), 10);
    CHECK_INT(events_of(poll, pair.client, NULL), POLL_READ);
    CHECK_INT(pthread_create(&waiter, NULL, wait_for_one, poll), 0);
    CHECK_INT(SocketTLS_recv(pair.client, buf, 2), 2);
    pthread_join(waiter, NULL);
    CHECK_INT(SocketTLS_recv(pair.client, buf, 10), 8);
    SocketPoll_free(&poll);
    free_pair(&pair);
}

static void *wait_for_writing(void *poll) {
    SocketEvent_T *events;
    do {
        CHECK_INT(SocketPoll_wait(poll, &events, -1), 1);
    } while (!(events[0].events & POLL_WRITE));
    return NULL;
}

/* Reading is what it waits for until another thread has made the last step; nothing comes from the kernel then. */
TEST(another_thread_completes_the_handshake) {
    EACH_VERSION(version) {
        struct pair pair = strangers(version);
        pthread_t waiter;
        SocketPoll_T poll = SocketPoll_new(4);
        SocketPoll_add(poll, pair.client, POLL_WRITE, NULL);
        CHECK_INT(events_of(poll, pair.client, NULL), POLL_WRITE);
        CHECK_INT(SocketTLS_handshake(pair.client), TLS_HANDSHAKE_WANT_READ);
        CHECK_INT(pthread_create(&waiter, NULL, wait_for_writing, poll), 0);
        acquaint(&pair);
        pthread_join(waiter, NULL);
        SocketPoll_free(&poll);
        free_pair(&pair);
    }
}

/* Both ways at once, in pieces of all sizes; each end reads and writes until it would block. */
struct end {
    Socket_T socket;
    size_t sent, received;
};

TEST(traffic_both_ways_comes_through) {
    size_t all = (size_t)load(8 << 20, 1 << 20, 1 << 18);
    static char out[40000], in[40000];
    unsigned state = 7;
    EACH_VERSION(version) {
        struct pair pair = tcp_friends(version);
        struct end ends[2] = {{pair.client, 0, 0}, {pair.server, 0, 0}};
        SocketPoll_T poll = SocketPoll_new(4);
        for (int i = 0; i < 2; i++) SocketPoll_add(poll, ends[i].socket, POLL_READ | POLL_WRITE, &ends[i]);
        while (ends[0].received < all || ends[1].received < all) {
            SocketEvent_T *events;
            int count = SocketPoll_wait(poll, &events, (int)(20000 * slow(1)));
            CHECK_CMP(count, >, 0);
            for (int i = 0; i < count; i++) {
                struct end *end = events[i].data;
                for (ssize_t n = 1; n > 0 && end->received < all;) {
                    state = state * 1103515245u + 12345u;
                    n = SocketTLS_recv(end->socket, in, 1 + (state >> 8) % sizeof in);
                    CHECK_INT(find_pattern_error(in, (size_t)n, end->received), -1);
                    end->received += (size_t)n;
                }
                while (end->sent < all) {
                    size_t len = sizeof out < all - end->sent ? sizeof out : all - end->sent;
                    fill_pattern(out, len, end->sent);
                    ssize_t n = SocketTLS_send(end->socket, out, len);
                    if (n == 0) break;
                    end->sent += (size_t)n;
                }
            }
        }
        SocketPoll_free(&poll);
        free_pair(&pair);
    }
}

TEST_MAIN

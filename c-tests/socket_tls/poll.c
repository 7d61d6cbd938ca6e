/* Sockets with TLS in a poll set: the handshake's wishes, what the kernel knows nothing of, and ends. */
#include "pair.h"
#include "poll/SocketPoll.h"

/* Waits for events; they are of this socket. */
static unsigned wait_for(SocketPoll_T poll, Socket_T socket) {
    SocketEvent_T *events;
    int count = SocketPoll_wait(poll, &events, (int)(20000 * slow(1)));
    CHECK_INT(count, 1);
    CHECK_PTR(events[0].socket, socket);
    return events[0].events;
}

/* There is nothing to wait for. */
static void nothing(SocketPoll_T poll) {
    SocketEvent_T *events;
    CHECK_INT(SocketPoll_wait(poll, &events, 0), 0);
}

TEST(a_handshake_over_tcp_as_the_events_come) {
    EACH_VERSION(version) {
        struct pair pair = tcp_strangers(version);
        SocketPoll_T poll = SocketPoll_new(4);
        SocketPoll_add(poll, pair.client, POLL_READ | POLL_WRITE, NULL);
        SocketPoll_add(poll, pair.server, POLL_READ, NULL);
        TLSHandshakeState ours = TLS_HANDSHAKE_NOT_STARTED, theirs = TLS_HANDSHAKE_NOT_STARTED;
        for (int round = 0; ours != TLS_HANDSHAKE_COMPLETE || theirs != TLS_HANDSHAKE_COMPLETE; round++) {
            CHECK_CMP(round, <, 1000);
            SocketEvent_T *events;
            int count = SocketPoll_wait(poll, &events, (int)(20000 * slow(1)));
            CHECK_CMP(count, >, 0);
            for (int i = 0; i < count; i++) {
                if (events[i].socket == pair.client)
                    ours = SocketTLS_handshake(pair.client);
                else
                    theirs = SocketTLS_handshake(pair.server);
            }
        }
        SocketPoll_free(&poll);
        free_pair(&pair);
    }
}

TEST(what_was_decrypted_or_read_ahead_is_an_event) {
    EACH_VERSION(version) {
        struct pair pair = friends(version);
        char buf[10];
        /* Tickets come first. */
        WOULD_BLOCK(SocketTLS_recv(pair.client, buf, sizeof buf));
        SocketPoll_T poll = SocketPoll_new(4);
        SocketPoll_add(poll, pair.client, POLL_READ, NULL);
        nothing(poll);
        CHECK_INT(SocketTLS_send(pair.server, "first", 5), 5);
        CHECK_INT(SocketTLS_send(pair.server, "second", 6), 6);
        CHECK_INT(wait_for(poll, pair.client), POLL_READ);
        CHECK_INT(SocketTLS_recv(pair.client, buf, 2), 2);
        CHECK_INT(wait_for(poll, pair.client), POLL_READ);
        CHECK_INT(SocketTLS_recv(pair.client, buf, 10), 3);
        CHECK_INT(wait_for(poll, pair.client), POLL_READ);
        CHECK_INT(SocketTLS_recv(pair.client, buf, 10), 6);
        nothing(poll);
        WOULD_BLOCK(SocketTLS_recv(pair.client, buf, 10));
        nothing(poll);
        SocketPoll_free(&poll);
        free_pair(&pair);
    }
}

TEST(half_a_record_is_no_event_twice) {
    struct pair pair = friends(TLS1_2_VERSION);
    /* A record of the server's, taken off the wire in two parts. */
    char wire[200], buf[10];
    CHECK_INT(SocketTLS_send(pair.server, "halves", 6), 6);
    ssize_t size = recv(Socket_fd(pair.client), wire, sizeof wire, 0);
    CHECK_CMP(size, >, 10);
    SocketPoll_T poll = SocketPoll_new(4);
    SocketPoll_add(poll, pair.client, POLL_READ, NULL);
    /* A part of its header, a part of its body, and the rest. */
    static const size_t cuts[] = {0, 3, 7};
    for (int i = 0; i < 2; i++) {
        size_t part = cuts[i + 1] - cuts[i];
        CHECK_INT(write(Socket_fd(pair.server), wire + cuts[i], part), part);
        CHECK_INT(wait_for(poll, pair.client), POLL_READ);
        WOULD_BLOCK(SocketTLS_recv(pair.client, buf, sizeof buf));
        nothing(poll);
    }
    CHECK_INT(write(Socket_fd(pair.server), wire + 7, (size_t)size - 7), size - 7);
    CHECK_INT(wait_for(poll, pair.client), POLL_READ);
    CHECK_INT(SocketTLS_recv(pair.client, buf, sizeof buf), 6);
    nothing(poll);
    SocketPoll_free(&poll);
    free_pair(&pair);
}

TEST(what_tls_has_left_behind_is_an_event) {
    struct pair pair = friends(TLS1_3_VERSION);
    char buf[10];
    SocketPoll_T poll = SocketPoll_new(4);
    CHECK_INT(SocketTLS_shutdown_send(pair.server), 1);
    CHECK_INT(write(Socket_fd(pair.server), "clear", 5), 5);
    CHECK_INT(SocketTLS_disable(pair.client), 1);
    SocketPoll_add(poll, pair.client, POLL_READ, NULL);
    CHECK_INT(wait_for(poll, pair.client), POLL_READ);
    CHECK_INT(Socket_recv(pair.client, buf, 2), 2);
    CHECK_INT(wait_for(poll, pair.client), POLL_READ);
    CHECK_INT(Socket_recv(pair.client, buf, 10), 3);
    nothing(poll);
    SocketPoll_free(&poll);
    free_pair(&pair);
}

TEST(an_end_is_an_event_and_then_an_exception) {
    struct pair pair = friends(TLS1_3_VERSION);
    char buf[10];
    WOULD_BLOCK(SocketTLS_recv(pair.client, buf, sizeof buf));
    SocketPoll_T poll = SocketPoll_new(4);
    SocketPoll_add(poll, pair.client, POLL_READ, NULL);
    CHECK_INT(SocketTLS_shutdown_send(pair.server), 1);
    CHECK_INT(wait_for(poll, pair.client) & POLL_READ, POLL_READ);
    CHECK_RAISES_ERRNO(SocketTLS_recv(pair.client, buf, sizeof buf), Socket_Closed, 0);
    Socket_free(&pair.server);
    CHECK_INT(wait_for(poll, pair.client) & POLL_READ, POLL_READ);
    SocketPoll_free(&poll);
    free_pair(&pair);
}

TEST_MAIN

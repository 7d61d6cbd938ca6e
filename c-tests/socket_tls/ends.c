/* How TLS ends on a socket: close_notify in one direction or both, back to plain, and what an end without it is. */
#include "pair.h"

#include <pthread.h>

static char buf[20000];

/* What each kind of receiving call says at an end: exception and errno. */
#define BOTH_RAISE(socket, plain, plain_errno, tls, tls_errno)                                                         \
    do {                                                                                                               \
        CHECK_RAISES_ERRNO(Socket_recv((socket), buf, 10), plain, plain_errno);                                        \
        CHECK_RAISES_ERRNO(SocketTLS_recv((socket), buf, 10), tls, tls_errno);                                         \
        struct iovec piece_ = {buf, 10};                                                                               \
        CHECK_RAISES_ERRNO(Socket_recvv((socket), &piece_, 1), plain, plain_errno);                                    \
    } while (0)

TEST(close_notify_is_the_end_of_what_comes_and_not_of_what_goes) {
    EACH_VERSION(version) {
        struct pair pair = friends(version);
        CHECK_INT(SocketTLS_send(pair.server, "last", 4), 4);
        CHECK_INT(SocketTLS_shutdown_send(pair.server), 1);
        CHECK_INT(SocketTLS_shutdown_send(pair.server), 1);
        CHECK_RAISES_ERRNO(SocketTLS_send(pair.server, "x", 1), Socket_Closed, EPIPE);
        CHECK_RAISES_ERRNO(Socket_send(pair.server, "x", 1), Socket_Closed, EPIPE);
        CHECK_INT(socket_is_tls_enabled(pair.server), 1);
        expect(pair.client, "last");
        BOTH_RAISE(pair.client, Socket_Closed, ECONNRESET, Socket_Closed, 0);
        CHECK_INT(SocketTLS_send(pair.client, "more", 4), 4);
        CHECK_INT(Socket_send(pair.client, "!", 1), 1);
        expect(pair.server, "more!");
        free_pair(&pair);
    }
}

TEST(an_end_without_close_notify_is_a_truncation) {
    EACH_VERSION(version) {
        struct pair pair = friends(version);
        CHECK_INT(SocketTLS_send(pair.server, "half", 4), 4);
        Socket_free(&pair.server);
        expect(pair.client, "half");
        BOTH_RAISE(pair.client, Socket_Closed, EPROTO, SocketTLS_Failed, EPROTO);
        CHECK_CONTAINS(Socket_GetLastError(), "close_notify");
        CHECK_RAISES_ERRNO(Socket_send(pair.client, "x", 1), Socket_Closed, EPROTO);
        CHECK_RAISES_ERRNO(SocketTLS_send(pair.client, "x", 1), SocketTLS_Failed, EPROTO);
        free_pair(&pair);
    }
}

/* The server's end is gone with a reset, and the client's kernel knows. */
static void reset(struct pair *pair) {
    struct linger now = {1, 0};
    CHECK_INT(setsockopt(Socket_fd(pair->server), SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    Socket_free(&pair->server);
    await(pair->client, POLLIN);
}

TEST(a_reset_is_told_as_one) {
    EACH_VERSION(version) {
        struct pair pair = tcp_friends(version);
        reset(&pair);
        BOTH_RAISE(pair.client, Socket_Closed, ECONNRESET, SocketTLS_Failed, ECONNRESET);
        CHECK_RAISES_ERRNO(SocketTLS_send(pair.client, "x", 1), SocketTLS_Failed, ECONNRESET);
        CHECK_RAISES_ERRNO(Socket_send(pair.client, "x", 1), Socket_Closed, ECONNRESET);
        free_pair(&pair);
        /* Also where nothing was received first. */
        pair = tcp_friends(version);
        reset(&pair);
        CHECK_RAISES_ERRNO(SocketTLS_send(pair.client, "x", 1), SocketTLS_Failed, ECONNRESET);
        CHECK_RAISES_ERRNO(Socket_send(pair.client, "x", 1), Socket_Closed, ECONNRESET);
        BOTH_RAISE(pair.client, Socket_Closed, ECONNRESET, SocketTLS_Failed, ECONNRESET);
        free_pair(&pair);
    }
}

TEST(a_bad_record_is_a_failure_of_the_protocol) {
    EACH_VERSION(version) {
        struct pair pair = friends(version);
        static const char forged[] = "\x17\x03\x03\x00\x20 this has never been encrypted...";
        CHECK_INT(write(Socket_fd(pair.server), forged, 37), 37);
        BOTH_RAISE(pair.client, SocketTLS_Failed, EPROTO, SocketTLS_Failed, EPROTO);
        CHECK_RAISES_ERRNO(SocketTLS_send(pair.client, "x", 1), SocketTLS_Failed, EPROTO);
        CHECK_RAISES_ERRNO(Socket_send(pair.client, "x", 1), SocketTLS_Failed, EPROTO);
        CHECK_RAISES_ERRNO(SocketTLS_shutdown_send(pair.client), SocketTLS_ShutdownFailed, EPROTO);
        CHECK_RAISES_ERRNO(SocketTLS_shutdown(pair.client), SocketTLS_ShutdownFailed, EPROTO);
        CHECK_INT(socket_is_tls_enabled(pair.client), 0);
        /* The other end hears of it. */
        CHECK_RAISES_ERRNO(SocketTLS_recv(pair.server, buf, 10), SocketTLS_Failed, EPROTO);
        free_pair(&pair);
    }
}

TEST(the_end_of_the_socket_is_none_of_tls) {
    struct pair pair = friends(TLS1_3_VERSION);
    CHECK_INT(shutdown(Socket_fd(pair.client), SHUT_WR), 0);
    CHECK_RAISES_ERRNO(SocketTLS_send(pair.client, "x", 1), SocketTLS_Failed, EPIPE);
    CHECK_INT(SocketTLS_send(pair.server, "still", 5), 5);
    expect(pair.client, "still");
    WOULD_BLOCK(SocketTLS_recv(pair.client, buf, 10));
    free_pair(&pair);
}

/* ---- shutdown_send ----------------------------------------------------------------------------------------------- */

TEST(shutdown_send_waits_for_nothing) {
    EACH_VERSION(version) {
        struct pair pair = {0};
        CHECK_INT(SocketTLS_shutdown_send(NULL), -1);
        SocketPair_new(SOCK_STREAM, &pair.client, &pair.server);
        CHECK_INT(SocketTLS_shutdown_send(pair.client), -1);
        free_pair(&pair);

        pair = strangers(version);
        CHECK_RAISES_ERRNO(SocketTLS_shutdown_send(pair.client), SocketTLS_ShutdownFailed, ENOTCONN);
        acquaint(&pair);
        /* On a blocking socket too. */
        while (SocketTLS_send(pair.client, buf, sizeof buf) > 0) {}
        block(pair.client);
        WOULD_BLOCK(SocketTLS_shutdown_send(pair.client));
        WOULD_BLOCK(SocketTLS_shutdown_send(pair.client));
        static char in[20000];
        while (SocketTLS_recv(pair.server, in, sizeof in) > 0) {}
        CHECK_INT(SocketTLS_shutdown_send(pair.client), 1);
        volatile int closed = 0;
        TRY { while (SocketTLS_recv(pair.server, in, sizeof in) > 0) {} }
        EXCEPT(Socket_Closed) { closed = errno == 0; }
        END_TRY;
        CHECK_INT(closed, 1);
        free_pair(&pair);
    }
}

TEST(a_socket_with_an_unsent_close_notify_may_be_freed) {
    struct pair pair = friends(TLS1_3_VERSION);
    while (SocketTLS_send(pair.client, buf, sizeof buf) > 0) {}
    WOULD_BLOCK(SocketTLS_shutdown_send(pair.client));
    free_pair(&pair);
}

/* ---- shutdown ---------------------------------------------------------------------------------------------------- */

static void *shut_down(void *arg) {
    SocketTLS_shutdown(arg);
    return NULL;
}

TEST(both_ends_shut_down_and_go_on_in_the_clear) {
    EACH_VERSION(version) {
        for (volatile int blocking = 0; blocking < 2; blocking++) {
            struct pair pair = friends(version);
            if (blocking) block(pair.client), block(pair.server);
            /* What was not received is dropped. */
            CHECK_INT(SocketTLS_send(pair.server, buf, 10000), 10000);
            pthread_t thread;
            CHECK_INT(pthread_create(&thread, NULL, shut_down, pair.server), 0);
            SocketTLS_shutdown(pair.client);
            CHECK_INT(pthread_join(thread, NULL), 0);
            CHECK_INT(socket_is_tls_enabled(pair.client), 0);
            CHECK_INT(socket_tls_want_read(pair.client), 0);
            CHECK_INT(Socket_send(pair.client, "plain", 5), 5);
            CHECK_INT(recv(Socket_fd(pair.server), buf, 10, MSG_PEEK), 5);
            CHECK_MEM(buf, "plain", 5);
            CHECK_INT(Socket_recv(pair.server, buf, 10), 5);
            CHECK_RAISES_ERRNO(SocketTLS_shutdown(pair.client), SocketTLS_ShutdownFailed, EINVAL);
            CHECK_RAISES_ERRNO(SocketTLS_send(pair.client, "x", 1), SocketTLS_Failed, EINVAL);
            free_pair(&pair);
        }
    }
}

static void set_operation_timeout(Socket_T socket, int ms) {
    SocketTimeouts_T timeouts;
    Socket_timeouts_get(socket, &timeouts);
    timeouts.operation_timeout_ms = ms;
    Socket_timeouts_set(socket, &timeouts);
}

TEST(a_peer_that_does_not_answer_is_waited_for_so_long) {
    for (volatile int blocking = 0; blocking < 2; blocking++) {
        struct pair pair = friends(TLS1_3_VERSION);
        if (blocking) block(pair.client);
        set_operation_timeout(pair.client, 30);
        CHECK_RAISES_ERRNO(SocketTLS_shutdown(pair.client), SocketTLS_ShutdownFailed, ETIMEDOUT);
        CHECK_INT(socket_is_tls_enabled(pair.client), 0);
        CHECK_RAISES_ERRNO(SocketTLS_recv(pair.server, buf, 10), Socket_Closed, 0);
        free_pair(&pair);

        /* Nor one that cannot be told. */
        pair = friends(TLS1_3_VERSION);
        while (SocketTLS_send(pair.client, buf, sizeof buf) > 0) {}
        if (blocking) block(pair.client);
        set_operation_timeout(pair.client, 30);
        CHECK_RAISES_ERRNO(SocketTLS_shutdown(pair.client), SocketTLS_ShutdownFailed, ETIMEDOUT);
        free_pair(&pair);
    }
}

TEST(the_end_of_the_connection_counts_as_a_close) {
    EACH_VERSION(version) {
        struct pair pair = friends(version);
        Socket_free(&pair.server);
        SocketTLS_shutdown(pair.client);
        CHECK_INT(socket_is_tls_enabled(pair.client), 0);
        free_pair(&pair);

        pair = tcp_friends(version);
        reset(&pair);
        SocketTLS_shutdown(pair.client);
        free_pair(&pair);
    }
}

TEST(an_unfinished_handshake_is_dropped_without_a_word) {
    struct pair pair = strangers(TLS1_3_VERSION);
    SocketTLS_shutdown(pair.client);
    CHECK_INT(socket_is_tls_enabled(pair.client), 0);
    CHECK_INT(SocketTLS_disable(pair.server), 0);
    CHECK_INT(Socket_send(pair.client, "plain", 5), 5);
    CHECK_INT(Socket_recv(pair.server, buf, 10), 5);
    CHECK_RAISES_ERRNO(SocketTLS_shutdown(NULL), SocketTLS_ShutdownFailed, EINVAL);
    free_pair(&pair);
}

/* ---- disable ----------------------------------------------------------------------------------------------------- */

static void *disable(void *arg) {
    CHECK_INT(SocketTLS_disable(arg), 1);
    return NULL;
}

TEST(disable_makes_a_socket_plain_again_and_tls_may_come_back) {
    EACH_VERSION(version) {
        struct pair pair = friends(version);
        for (int round = 0; round < 2; round++) {
            pthread_t thread;
            CHECK_INT(pthread_create(&thread, NULL, disable, pair.server), 0);
            CHECK_INT(SocketTLS_disable(pair.client), 1);
            CHECK_INT(pthread_join(thread, NULL), 0);
            CHECK_INT(Socket_send(pair.client, "plain", 5), 5);
            CHECK_INT(Socket_recv(pair.server, buf, 10), 5);
            enable_pair(&pair);
            acquaint(&pair);
            CHECK_INT(SocketTLS_send(pair.client, "again", 5), 5);
            expect(pair.server, "again");
        }
        free_pair(&pair);
    }
}

TEST(disable_never_raises_for_what_happened_to_the_connection) {
    CHECK_RAISES_ERRNO(SocketTLS_disable(NULL), SocketTLS_Failed, EINVAL);
    struct pair pair = friends(TLS1_3_VERSION);
    Socket_free(&pair.server);
    CHECK_INT(SocketTLS_disable(pair.client), 0);
    CHECK_INT(SocketTLS_disable(pair.client), 0);
    free_pair(&pair);

    pair = tcp_friends(TLS1_3_VERSION);
    reset(&pair);
    CHECK_INT(SocketTLS_disable(pair.client), 0);
    free_pair(&pair);

    pair = friends(TLS1_3_VERSION);
    CHECK_INT(write(Socket_fd(pair.server), "nonsense that is no record", 26), 26);
    CHECK_INT(SocketTLS_disable(pair.client), 0);
    CHECK_INT(socket_is_tls_enabled(pair.client), 0);
    /* One that does not answer. */
    struct pair other = friends(TLS1_3_VERSION);
    block(other.client);
    CHECK_INT(SocketTLS_disable(other.client), 0);
    Socket_free(&other.client);
    Socket_free(&other.server);
    SocketTLSContext_free(&other.trusting);
    SocketTLSContext_free(&other.serving);
    free_pair(&pair);
}

TEST(what_was_read_ahead_of_tls_is_received_first) {
    EACH_VERSION(version) {
        struct pair pair = friends(version);
        CHECK_INT(SocketTLS_send(pair.server, "tls", 3), 3);
        CHECK_INT(SocketTLS_shutdown_send(pair.server), 1);
        CHECK_INT(write(Socket_fd(pair.server), "in the clear", 12), 12);
        expect(pair.client, "tls");
        CHECK_RAISES_ERRNO(SocketTLS_recv(pair.client, buf, 10), Socket_Closed, 0);
        CHECK_INT(SocketTLS_disable(pair.client), 1);
        CHECK_INT(Socket_recv(pair.client, buf, 6), 6);
        CHECK_MEM(buf, "in the", 6);
        CHECK_INT(Socket_recv(pair.client, buf, 100), 6);
        CHECK_MEM(buf, " clear", 6);
        WOULD_BLOCK(Socket_recv(pair.client, buf, 10));
        CHECK_INT(write(Socket_fd(pair.server), "more", 4), 4);
        CHECK_INT(Socket_recv(pair.client, buf, 10), 4);
        free_pair(&pair);
    }
}

TEST(a_second_tls_finds_what_was_read_ahead_of_the_first) {
    struct pair pair = friends(TLS1_2_VERSION);
    CHECK_INT(SocketTLS_shutdown_send(pair.client), 1);
    /* The client's second hello is on its way before the server has looked for the end of the first TLS. */
    SocketTLS_disable(pair.server);
    CHECK_INT(SocketTLS_disable(pair.client), 1);
    SocketTLS_enable(pair.client, pair.trusting);
    SocketTLS_set_hostname(pair.client, "localhost");
    CHECK_INT(SocketTLS_handshake(pair.client), TLS_HANDSHAKE_WANT_READ);
    SocketTLS_enable(pair.server, pair.serving);
    acquaint(&pair);
    CHECK_INT(SocketTLS_send(pair.client, "again", 5), 5);
    expect(pair.server, "again");
    free_pair(&pair);
}

TEST_MAIN

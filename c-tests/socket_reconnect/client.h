/*
 * client.h - a client under test: its changes of state as one line of text, and a loop that drives it as a program does.
 */
#ifndef NETCONN_TESTS_RECONNECT_CLIENT_H
#define NETCONN_TESTS_RECONNECT_CLIENT_H

#include "../harness.h"
#include "../support/peers.h"
#include "../support/raises.h"

#include "socket/SocketReconnect.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Small waits, no examination, nothing that opens. */
__attribute__((unused)) static SocketReconnect_Policy_T quick(void) {
    SocketReconnect_Policy_T policy;
    SocketReconnect_policy_defaults(&policy);
    policy.initial_delay_ms = 1;
    policy.max_delay_ms = 4;
    policy.max_attempts = 0;
    policy.circuit_failure_threshold = 1000;
    policy.health_check_interval_ms = 0;
    return policy;
}

/* "DISCONNECTED CONNECTING CONNECTED ": all states there were. */
static char life[4096];
static SocketReconnect_T teller;

__attribute__((unused)) static void tell(SocketReconnect_T conn, SocketReconnect_State before, SocketReconnect_State after, void *data) {
    CHECK_PTR(data, life);
    CHECK_INT(SocketReconnect_state(conn), after);
    size_t length = strlen(life);
    if (length == 0) length = (size_t)snprintf(life, sizeof life, "%s ", SocketReconnect_state_name(before));
    if (length < sizeof life - 32) snprintf(life + length, sizeof life - length, "%s ", SocketReconnect_state_name(after));
    teller = conn;
}

__attribute__((unused)) static SocketReconnect_T client(const char *port, SocketReconnect_Policy_T policy) {
    life[0] = '\0';
    SocketReconnect_T conn = SocketReconnect_new("127.0.0.1", atoi(port), &policy, tell, life);
    CHECK_PTR_NOT_NULL(conn);
    return conn;
}

/* One round of a program's loop. */
__attribute__((unused)) static void go_round(SocketReconnect_T conn) {
    int connected = SocketReconnect_isconnected(conn);
    struct pollfd fd = {SocketReconnect_pollfd(conn), (short)(connected ? POLLIN : POLLIN | POLLOUT), 0};
    int wait = SocketReconnect_next_timeout_ms(conn);
    /* Somebody must move it on: the descriptor or the time. */
    CHECK(fd.fd >= 0 || wait >= 0);
    if (SocketReconnect_state(conn) == RECONNECT_CONNECTING && fd.fd >= 0) {
        CHECK_INT(wait, -1);
#if SOCKET_HAS_TLS
        /* A handshake that waits for the peer can always write. */
        if (SocketReconnect_tls_handshake_state(conn) == TLS_HANDSHAKE_WANT_READ) fd.events = POLLIN;
#endif
    }
    CHECK_CMP(poll(&fd, 1, wait), >=, 0);
    /* Not both: on a slow machine the next attempt may be due at once. */
    if (fd.revents && !connected)
        SocketReconnect_process(conn);
    else
        SocketReconnect_tick(conn);
}

__attribute__((unused)) static void go_until(SocketReconnect_T conn, SocketReconnect_State state) {
    while (SocketReconnect_state(conn) != state) go_round(conn);
}

/* Waits until something can be received, and receives. */
__attribute__((unused)) static ssize_t receive(SocketReconnect_T conn, void *buf, size_t len) {
    for (;;) {
        ssize_t count = SocketReconnect_recv(conn, buf, len);
        if (count >= 0 || errno != EAGAIN) return count;
        CHECK_INT(SocketReconnect_isconnected(conn), 1);
        struct pollfd fd = {SocketReconnect_pollfd(conn), POLLIN, 0};
        CHECK_INT(poll(&fd, 1, -1), 1);
    }
}

/* Sends a word to a peer that sends it back. */
__attribute__((unused)) static void echo(SocketReconnect_T conn, const char *word) {
    size_t length = strlen(word), got = 0;
    char answer[64];
    CHECK_INT(SocketReconnect_send(conn, word, length), length);
    while (got < length) {
        ssize_t count = receive(conn, answer + got, sizeof answer - got);
        CHECK_CMP(count, >, 0);
        got += (size_t)count;
    }
    CHECK_MEM(answer, word, length);
}

#endif

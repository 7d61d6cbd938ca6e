/* polls.h - what the tests of poll sets share. */
#ifndef NETCONN_TESTS_POLLS_H
#define NETCONN_TESTS_POLLS_H

#include "../support/aborts.h"
#include "../support/raises.h"
#include "poll/SocketPoll.h"
#include "socket/Socket.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* A connected pair of stream sockets. */
struct pair {
    Socket_T near, far;
};

static inline struct pair make_pair(void) {
    struct pair pair;
    SocketPair_new(SOCK_STREAM, &pair.near, &pair.far);
    return pair;
}

static inline void free_pair(struct pair *pair) {
    Socket_free(&pair->near);
    Socket_free(&pair->far);
}

/* One byte more from here to the other end. */
static inline void put(Socket_T socket) { CHECK_INT(send(Socket_fd(socket), "x", 1, MSG_NOSIGNAL), 1); }

/* Reads until it would block; how many bytes. */
static inline int drain(Socket_T socket) {
    char buf[256];
    int all = 0;
    for (ssize_t n; (n = recv(Socket_fd(socket), buf, sizeof buf, MSG_DONTWAIT)) > 0;) all += (int)n;
    return all;
}

/* What a wait without waiting tells of this socket; 0: nothing. Others are no failure. */
static inline unsigned events_of(SocketPoll_T poll, Socket_T socket) {
    SocketEvent_T *events = NULL;
    unsigned found = 0;
    int n = SocketPoll_wait(poll, &events, 0);
    CHECK_PTR_NOT_NULL(events);
    for (int i = 0; i < n; i++) {
        if (events[i].socket == socket) found |= events[i].events;
    }
    return found;
}

#endif

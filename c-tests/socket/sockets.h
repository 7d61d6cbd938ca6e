/* sockets.h - what the tests of sockets share. */
#ifndef NETCONN_TESTS_SOCKETS_H
#define NETCONN_TESTS_SOCKETS_H

#include "../harness.h"
#include "../support/raises.h"
#include "socket/Socket.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

/* The two ends of pair(). */
static Socket_T a, b;

__attribute__((unused)) static void pair(void) { SocketPair_new(SOCK_STREAM, &a, &b); }

__attribute__((unused)) static void unpair(void) {
    Socket_free(&a);
    Socket_free(&b);
    CHECK_INT(Socket_debug_live_count(), 0);
}

/* A listener on 127.0.0.1. */
static inline Socket_T listener(void) {
    Socket_T s = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_bind(s, "127.0.0.1", 0);
    CHECK_INT(errno, 0);
    Socket_listen(s, 5);
    return s;
}

/* The connection has succeeded or failed. */
static inline void wait_writable(Socket_T s) {
    struct pollfd polled = {.fd = Socket_fd(s), .events = POLLOUT};
    CHECK_INT(poll(&polled, 1, -1), 1);
}

/* For SIGUSR1. */
static inline void do_nothing(int signal) { (void)signal; }

struct interrupted {
    pthread_t thread;
    volatile int done;
};

/* Sends signals until the other thread has had one; the first may come before it waits. */
static inline void *interrupt(void *arg) {
    struct interrupted *it = arg;
    while (!it->done) {
        pthread_kill(it->thread, SIGUSR1);
        usleep(1000);
    }
    return NULL;
}

#endif

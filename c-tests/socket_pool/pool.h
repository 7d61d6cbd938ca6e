/*
 * pool.h - what the programs about pool/SocketPool.h share.
 */
#ifndef NETCONN_TESTS_SOCKET_POOL_H
#define NETCONN_TESTS_SOCKET_POOL_H

#include "../harness.h"
#include "../support/aborts.h"
#include "../support/raises.h"

#include "pool/SocketPool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void dispose(void *arena) { Arena_dispose(arena); }
static void end_pool(void *pool) { SocketPool_free(pool); }

/* An arena that ends with the test. */
static inline Arena_T new_arena(void) {
    Arena_T *arena = alloc(sizeof *arena);
    *arena = Arena_new();
    at_end(dispose, arena);
    return *arena;
}

/* A pool that ends with the test, before its arena. */
static inline SocketPool_T new_pool(size_t max) {
    Arena_T arena = new_arena();
    SocketPool_T *pool = alloc(sizeof *pool);
    *pool = SocketPool_new(arena, max, 1024);
    at_end(end_pool, pool);
    return *pool;
}

/* A socket whose other end is only a descriptor, stored in `peer` unless that is NULL, in which case it is closed. */
static inline Socket_T new_socket(int *peer) {
    Socket_T a = NULL, b = NULL;
    SocketPair_new(SOCK_STREAM, &a, &b);
    if (peer) *peer = dup(Socket_fd(b));
    Socket_free(&b);
    return a;
}

static inline void free_all(Socket_T *sockets, int n) {
    for (int i = 0; i < n; i++) Socket_free(&sockets[i]);
}

#endif

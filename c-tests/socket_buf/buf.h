/*
 * buf.h - what the programs about socket/SocketBuf.h share.
 */
#ifndef NETCONN_TESTS_SOCKET_BUF_H
#define NETCONN_TESTS_SOCKET_BUF_H

#include "../harness.h"
#include "../support/raises.h"

#include "core/Arena.h"
#include "socket/SocketBuf.h"

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

static void dispose(void *arena) { Arena_dispose(arena); }

/* An arena that ends with the test. */
static inline Arena_T new_arena(void) {
    Arena_T *arena = alloc(sizeof *arena);
    *arena = Arena_new();
    at_end(dispose, arena);
    return *arena;
}

static inline SocketBuf_T new_buf(size_t capacity) { return SocketBuf_new(new_arena(), capacity); }

#endif

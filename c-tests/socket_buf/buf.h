/*
 * buf.h - what the programs about socket/SocketBuf.h share.
 */
#ifndef NETCONN_TESTS_SOCKET_BUF_H
#define NETCONN_TESTS_SOCKET_BUF_H

#include "../harness.h"

#include "core/Arena.h"
#include "core/Except.h"
#include "socket/SocketBuf.h"

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

/* The statement raises this exception, with this errno and a text that Socket_GetLastError gives, too. */
#define RAISES(kind, error, statement)                                                                                 \
    do {                                                                                                               \
        volatile int raised_ = 0;                                                                                      \
        test_at(__FILE__, __LINE__);                                                                                   \
        TRY { statement; }                                                                                             \
        EXCEPT(kind) {                                                                                                 \
            raised_ = 1;                                                                                               \
            CHECK_INT(errno, error);                                                                                   \
            CHECK_STR(Except_frame.exception->reason, Socket_GetLastError());                                          \
            CHECK(Except_frame.exception->reason[0] != '\0');                                                          \
        }                                                                                                              \
        END_TRY;                                                                                                       \
        if (!raised_) FAIL("%s does not raise %s", #statement, #kind);                                                 \
    } while (0)

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

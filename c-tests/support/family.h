/*
 * family.h - checks of the Socket family: that a call raises. (That it aborts: aborts.h.)
 */
#ifndef NETCONN_TESTS_FAMILY_H
#define NETCONN_TESTS_FAMILY_H

#include "../harness.h"
#include "core/Except.h"
#include "core/SocketError.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What CHECK_RAISES caught last. */
static int raised_errno __attribute__((unused));
static char raised_reason[EXCEPT_REASON_SIZE] __attribute__((unused));

/* The statement raises this exception; its reason is the thread's message. */
#define CHECK_RAISES(statement, kind)                                                                             \
    do {                                                                                                               \
        volatile int raised_ = 0;                                                                                      \
        test_at(__FILE__, __LINE__);                                                                                   \
        TRY {                                                                                                          \
            statement;                                                                                                 \
        }                                                                                                              \
        EXCEPT(kind) {                                                                                            \
            raised_ = 1;                                                                                               \
            raised_errno = errno;                                                                                      \
            snprintf(raised_reason, sizeof raised_reason, "%s", Except_frame.exception->reason);                       \
        }                                                                                                              \
        ELSE {                                                                                                         \
            FAIL("%s raises another exception: %s", #statement, Except_frame.exception->reason);                       \
        }                                                                                                              \
        END_TRY;                                                                                                       \
        if (!raised_) FAIL("%s does not raise %s", #statement, #kind);                                            \
        CHECK_STR(Socket_GetLastError(), raised_reason);                                                               \
    } while (0)

/* The same, with an error number and words that its reason has. */
#define CHECK_RAISES_ERRNO(statement, kind, number, words)                                                        \
    do {                                                                                                               \
        CHECK_RAISES(statement, kind);                                                                            \
        CHECK_INT(raised_errno, number);                                                                               \
        CHECK_INT(Socket_geterrno(), number);                                                                          \
        CHECK_CONTAINS(raised_reason, words);                                                                          \
    } while (0)

#endif

/*
 * raises.h - calls of the Socket family that must fail by an exception. (Those that must abort: aborts.h.)
 */
#ifndef NETCONN_TESTS_RAISES_H
#define NETCONN_TESTS_RAISES_H

#include "../harness.h"
#include "core/Except.h"
#include "core/SocketError.h"

#include <stdio.h>

/* What a statement changes between its TRY and its raise is not looked at after it: GCC fears for every loop around one. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wclobbered"
#endif

/* What CHECK_RAISES caught last. */
static int raised_errno __attribute__((unused));
static char raised_reason[EXCEPT_REASON_SIZE] __attribute__((unused));

/* The statement raises this exception, and its reason is the thread's last message. */
#define CHECK_RAISES(statement, exception_)                                                                            \
    do {                                                                                                               \
        const Except_T *volatile raised_ = NULL;                                                                       \
        test_at(__FILE__, __LINE__);                                                                                   \
        /* No call of the family fails with this one: what is seen afterwards was set. */                              \
        errno = ENOTTY;                                                                                                \
        TRY { statement; }                                                                                             \
        ELSE {                                                                                                         \
            raised_errno = errno;                                                                                      \
            raised_ = Except_frame.exception->type;                                                                    \
            snprintf(raised_reason, sizeof raised_reason, "%s", Except_frame.exception->reason);                       \
        }                                                                                                              \
        END_TRY;                                                                                                       \
        if (raised_ == NULL) FAIL("%s does not raise %s", #statement, #exception_);                                    \
        if (raised_ != &(exception_)) FAIL("%s raises another exception: %s", #statement, raised_reason);              \
        CHECK_STR(raised_reason, Socket_GetLastError());                                                               \
    } while (0)

/* The same, with words that its reason has. */
#define CHECK_RAISES_SAYING(statement, exception_, words)                                                              \
    do {                                                                                                               \
        CHECK_RAISES(statement, exception_);                                                                           \
        CHECK_CONTAINS(raised_reason, (words));                                                                        \
    } while (0)

/* The same, with an error number; words that its reason has may follow, as a literal. */
#define CHECK_RAISES_ERRNO(statement, exception_, number, ...)                                                         \
    do {                                                                                                               \
        CHECK_RAISES_SAYING(statement, exception_, "" __VA_ARGS__);                                                    \
        CHECK_INT(raised_errno, number);                                                                               \
        CHECK_INT(Socket_geterrno(), number);                                                                          \
    } while (0)

#endif

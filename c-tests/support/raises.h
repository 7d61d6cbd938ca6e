/*
 * raises.h - calls of the Socket family that must fail by an exception.
 */
#ifndef NETCONN_TESTS_RAISES_H
#define NETCONN_TESTS_RAISES_H

#include "../harness.h"
#include "core/Except.h"
#include "core/SocketError.h"

/* What a statement changes between its TRY and its raise is not looked at after it: GCC fears for every loop around one. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wclobbered"
#endif

/* The statement raises this exception, with the thread's last message as its reason, and that has `part` in it. */
#define CHECK_RAISES_SAYING(raised, part, statement)                                                                   \
    do {                                                                                                               \
        test_at(__FILE__, __LINE__);                                                                                   \
        const Except_T *volatile raised_ = NULL;                                                                       \
        TRY { statement; }                                                                                             \
        ELSE {                                                                                                         \
            raised_ = Except_frame.exception->type;                                                                    \
            CHECK_STR(Except_frame.exception->reason, Socket_GetLastError());                                          \
        }                                                                                                              \
        END_TRY;                                                                                                       \
        if (raised_ == NULL) FAIL("%s raised nothing", #statement);                                                    \
        if (raised_ != &(raised)) FAIL("%s raised \"%s\"", #statement, Socket_GetLastError());                         \
        CHECK_CONTAINS(Socket_GetLastError(), (part));                                                                 \
    } while (0)

#define CHECK_RAISES(raised, statement) CHECK_RAISES_SAYING(raised, "", statement)

/* The same, and this is the errno that comes with it. */
#define CHECK_RAISES_ERRNO(raised, expected_errno, statement)                                                          \
    do {                                                                                                               \
        CHECK_RAISES(raised, statement);                                                                               \
        CHECK_INT(Socket_geterrno(), expected_errno);                                                                  \
    } while (0)

#endif

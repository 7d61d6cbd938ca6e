/*
 * raises.h - what must raise an exception.
 */
#ifndef NETCONN_TESTS_RAISES_H
#define NETCONN_TESTS_RAISES_H

#include "../harness.h"

#include "core/Except.h"
#include "core/SocketError.h"

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

/* The statement raises what a callback of the test's has raised: an exception object with this text. */
#define RAISES_OWN(kind, text, statement)                                                                              \
    do {                                                                                                               \
        volatile int raised_ = 0;                                                                                      \
        test_at(__FILE__, __LINE__);                                                                                   \
        TRY { statement; }                                                                                             \
        EXCEPT(kind) {                                                                                                 \
            raised_ = 1;                                                                                               \
            CHECK_STR(Except_frame.exception->reason, text);                                                           \
        }                                                                                                              \
        END_TRY;                                                                                                       \
        if (!raised_) FAIL("%s does not raise %s", #statement, #kind);                                                 \
    } while (0)

#endif

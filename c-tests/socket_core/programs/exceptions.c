/*
 * A program with exceptions of its own and of the library, as C and as C++; exits with 0 when all is caught as it should be.
 * Without position-independent code the program has copies of the library's objects, and both must use these.
 */
#include "core/Except.h"
#include "core/SocketUtil.h"
#include "socket/Socket.h"
#include "tls/SocketTLSContext.h"

#include <stdio.h>
#include <string.h>

static const Except_T Own = {&Own, "my own"};

#define EXPECT(condition)                                                    \
    do {                                                                     \
        if (!(condition)) {                                                  \
            fprintf(stderr, "line %d: %s is not so\n", __LINE__, #condition); \
            return 1;                                                        \
        }                                                                    \
    } while (0)

static int returns_early(int value) {
    TRY
        RETURN value;
    FINALLY
        return -1;
    END_TRY;
    return -2;
}

static int all(void) {
    volatile int caught = 0;

    /* Of the library: raised there, compared here. */
    TRY Socket_new(-1, -1, -1); EXCEPT (Own) caught = -1; EXCEPT (Socket_Failed)
        caught = 1;
        EXPECT(Except_frame.exception->type == &Socket_Failed);
        EXPECT(strcmp(Except_frame.exception->reason, Socket_GetLastError()) == 0);
        EXPECT(strcmp(socket_error_buf, Socket_GetLastError()) == 0);
        EXPECT(socket_last_errno == Socket_geterrno());
    END_TRY;
    EXPECT(caught == 1);
    TRY Arena_alloc(NULL, 1, __FILE__, __LINE__); EXCEPT (Arena_Failed) caught = 2; END_TRY;
    EXPECT(caught == 2);

    /* Of the program, with the library's objects. */
    TRY RAISE(Socket_Closed); EXCEPT (Socket_Closed) caught = 3; END_TRY;
    EXPECT(caught == 3);
    EXPECT(Socket_Closed.type == &Socket_Closed && Assert_Failed.type == &Assert_Failed);
    TRY
        TRY RAISE(Own); EXCEPT (Socket_Failed) caught = -1; FINALLY caught = 4; END_TRY;
    EXCEPT (Own)
        caught++;
    END_TRY;
    EXPECT(caught == 5);

    EXPECT(returns_early(6) == 6);
    EXPECT(Except_stack == NULL);
    return 0;
}

int main(void) { return all(); }

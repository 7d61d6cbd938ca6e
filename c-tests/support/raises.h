/*
 * raises.h - calls of the Socket family that must fail: by an exception, or, where a precondition is violated, by an abort
 * that names the function and the argument.
 */
#ifndef NETCONN_TESTS_RAISES_H
#define NETCONN_TESTS_RAISES_H

#include "../harness.h"
#include "core/Except.h"
#include "core/SocketError.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* The statement aborts with a message that has both parts in it. Not for a test with threads. */
#define CHECK_ABORTS(function, argument, statement)                                                                    \
    do {                                                                                                               \
        test_at(__FILE__, __LINE__);                                                                                   \
        int told_ = 0;                                                                                                 \
        pid_t child_ = raises_fork(&told_);                                                                            \
        if (child_ == 0) {                                                                                             \
            statement;                                                                                                 \
            _exit(0);                                                                                                  \
        }                                                                                                              \
        char text_[2000];                                                                                              \
        int status_ = raises_wait(child_, told_, text_, sizeof text_);                                                 \
        if (!WIFSIGNALED(status_) || WTERMSIG(status_) != SIGABRT)                                                     \
            FAIL("%s did not abort (status %#x): %s", #statement, status_, text_);                                     \
        CHECK_CONTAINS(text_, (function));                                                                             \
        CHECK_CONTAINS(text_, (argument));                                                                             \
    } while (0)

__attribute__((unused)) static pid_t raises_fork(int *told) {
    int fds[2];
    CHECK_INT(pipe(fds), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        dup2(fds[1], 2);
        close(fds[0]);
    }
    close(fds[1]);
    *told = fds[0];
    return child;
}

__attribute__((unused)) static int raises_wait(pid_t child, int told, char *text, size_t size) {
    size_t len = 0;
    for (;;) {
        /* What is too much is read, and not kept. */
        char more[512];
        ssize_t n = read(told, more, sizeof more);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        size_t room = size - 1 - len;
        if (room > (size_t)n) room = (size_t)n;
        memcpy(text + len, more, room);
        len += room;
    }
    text[len] = 0;
    close(told);
    int status = 0;
    while (waitpid(child, &status, 0) < 0) CHECK_INT(errno, EINTR);
    return status;
}

#endif

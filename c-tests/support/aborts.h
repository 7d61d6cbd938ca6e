/*
 * aborts.h - what must end the program: run in a child, which has to die of SIGABRT.
 */
#ifndef NETCONN_TESTS_ABORTS_H
#define NETCONN_TESTS_ABORTS_H

/* Calls fn(arg) in a child, and fails the test unless that aborts. What the child wrote to standard error, valid until the end
 * of the test. The test must have no threads of its own (see peer_process). */
const char *what_aborts(const char *file, int line, void (*fn)(void *arg), void *arg);

/* fn(arg) aborts, and says both of these words, e.g. the function and the argument that was wrong. */
#define CHECK_ABORTS(fn, arg, function, argument)                                                                      \
    do {                                                                                                               \
        const char *said_ = what_aborts(__FILE__, __LINE__, (fn), (arg));                                              \
        CHECK_CONTAINS(said_, (function));                                                                             \
        CHECK_CONTAINS(said_, (argument));                                                                             \
    } while (0)

#endif

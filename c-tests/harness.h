/*
 * harness.h - the frame of netconn's C tests.
 *
 *     #include "../harness.h"
 *     #include "net_conn.h"
 *
 *     TEST(a_null_connection_is_closed) {
 *         CHECK_INT(conn_get_state(NULL), CONN_CLOSED);
 *     }
 *
 *     TEST_MAIN
 *
 * Each TEST runs in a process of its own, forked from a parent that never calls the library: a crash or a hang costs one
 * test, and a memory checker (valgrind, AddressSanitizer) gives its verdict on each test alone, when its process exits.
 * The first failing check ends its test, wherever it stands: in the body, in a callback, in a peer's thread or process.
 *
 * A program prints one line a test (`ok NAME`, `FAIL NAME: why`, `skip NAME: reason`), then
 * `PROGRAM: N passed, N failed, N skipped`, and exits with 1 when a test failed. Arguments select tests by name; -l lists.
 *
 * Environment:
 *   NETCONN_TEST_CERTS  directory of the test certificates (see cert())
 *   NETCONN_TEST_SMALL  1: loads shrink (see small())
 *   NETCONN_TEST_DEBUG  1: the libraries are the debug ones (see load())
 *   NETCONN_TEST_SLOW   factor for all time limits, for runs under a checker
 *   NETCONN_TEST_TLS    0: the library is a build without TLS (see NEEDS_TLS())
 *   SKIPS_AS_FAILS      1: a skipped test is a failed one
 *
 * The harness knows nothing of what is tested, except that netconn_cleanup() is called at the end of a passed test when
 * the program is linked with it.
 */
#ifndef NETCONN_TESTS_HARNESS_H
#define NETCONN_TESTS_HARNESS_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

/* Defines and registers a test; they run in the order of the file. */
#define TEST(name)                                                                                                     \
    static void test_body_##name(void);                                                                                \
    __attribute__((constructor)) static void test_register_##name(void) {                                              \
        static struct test_case test = {#name, test_body_##name, NULL};                                                \
        test_register(&test);                                                                                          \
    }                                                                                                                  \
    static void test_body_##name(void)

#define TEST_MAIN                                                                                                      \
    int main(int argc, char **argv) { return test_main(argc, argv); }

/* Inside a test: its time limit from its start, in seconds, in place of 30. */
#define TEST_LIMIT(seconds) test_limit(seconds)

/* Inside a test: ends it as skipped. printf arguments; name the Debian package that would bring what is missing. */
#define SKIP(...) test_skip(__VA_ARGS__)

/* Inside a test: leaves it out, without counting it, where the tested library is a build without TLS. cert() does so. */
#define NEEDS_TLS() test_needs_tls(true)
/* The other way round. */
#define NEEDS_NO_TLS() test_needs_tls(false)

/* Ends the test as failed. printf arguments. */
#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)

/* ---- Checks: each prints both values, and returns only when it holds --------------------------------------------- */

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        test_at(__FILE__, __LINE__);                                                                                   \
        if (!(condition)) test_fail(__FILE__, __LINE__, "%s is not true (errno: %s)", #condition, strerror(errno));     \
    } while (0)

/* Integers and enums of any width and sign. */
#define CHECK_INT(actual, expected)                                                                                    \
    test_check_int(__FILE__, __LINE__, #actual, (long long)(actual), (long long)(expected), #expected)

/* actual OP expected for integers, e.g. CHECK_CMP(n, >=, 3). */
#define CHECK_CMP(actual, op, expected)                                                                                \
    do {                                                                                                               \
        test_at(__FILE__, __LINE__);                                                                                   \
        long long actual_ = (long long)(actual), expected_ = (long long)(expected);                                    \
        if (!(actual_ op expected_))                                                                                   \
            test_fail(__FILE__, __LINE__, "%s is %lld, expected %s %s (%lld)", #actual, actual_, #op, #expected, expected_); \
    } while (0)

/* Strings; NULL equals NULL alone. */
#define CHECK_STR(actual, expected) test_check_str(__FILE__, __LINE__, #actual, (actual), (expected))
/* `part` occurs in `actual`. */
#define CHECK_CONTAINS(actual, part) test_check_contains(__FILE__, __LINE__, #actual, (actual), (part))
/* The same `size` bytes; on failure the first difference is shown. */
#define CHECK_MEM(actual, expected, size) test_check_mem(__FILE__, __LINE__, #actual, (actual), (expected), (size))

#define CHECK_PTR(actual, expected) test_check_ptr(__FILE__, __LINE__, #actual, (const void *)(actual), (const void *)(expected))
#define CHECK_PTR_NULL(actual) CHECK_PTR(actual, NULL)
#define CHECK_PTR_NOT_NULL(actual)                                                                                     \
    do {                                                                                                               \
        test_at(__FILE__, __LINE__);                                                                                   \
        if ((actual) == NULL) test_fail(__FILE__, __LINE__, "%s is NULL (errno: %s)", #actual, strerror(errno));        \
    } while (0)

/* The call returns -1 with this errno. */
#define CHECK_ERRNO(call, expected_errno)                                                                              \
    do {                                                                                                               \
        errno = 0;                                                                                                     \
        long long result_ = (long long)(call);                                                                         \
        test_check_errno(__FILE__, __LINE__, #call, result_ == -1, result_, errno, (expected_errno));                   \
    } while (0)

/* The call returns NULL with this errno. */
#define CHECK_NULL_ERRNO(call, expected_errno)                                                                         \
    do {                                                                                                               \
        errno = 0;                                                                                                     \
        const void *result_ = (const void *)(call);                                                                    \
        test_check_errno(__FILE__, __LINE__, #call, result_ == NULL, (long long)(intptr_t)result_, errno, (expected_errno)); \
    } while (0)

/* ---- Helpers ----------------------------------------------------------------------------------------------------- */

/* The size of a load: `n`, or `n_small` when NETCONN_TEST_SMALL is set (under a checker). */
int small(int n, int n_small);
/* The same of three: `n_debug` on the debug libraries, where a long load says nothing more (NETCONN_TEST_DEBUG). */
int load(int n, int n_debug, int n_small);

/* `seconds`, multiplied under a checker: for limits that must not be met, never for something that must be in time. */
double slow(double seconds);

/* The path of a test certificate, valid for the whole test. Fails the test when there is no such file. */
const char *cert(const char *file);

/* A directory of this test's own, removed with all in it when the test ends. */
const char *temp_dir(void);

/* The number of open fds of this process. */
int fd_count(void);
/* The number of threads of this process. */
int thread_count(void);
/* No fd is open that was not when fd_count() gave `before`; a failure names what is open. */
#define CHECK_NO_NEW_FDS(before) test_check_fds(__FILE__, __LINE__, (before))

/* Monotonic seconds. */
double now(void);

/* `fn` runs when the test has passed, last registered first, before netconn_cleanup(): for what a checker would count. */
void at_end(void (*fn)(void *arg), void *arg);

/* Memory that is freed at the end; never NULL. */
void *alloc(size_t size);

/* A repeatable stream of bytes that has no period a lost or repeated block could hide in: byte `offset` and following. */
void fill_pattern(void *buf, size_t len, uint64_t offset);
/* The first position in buf that differs from the stream, or -1. */
long find_pattern_error(const void *buf, size_t len, uint64_t offset);

/* ---- Behind the macros ------------------------------------------------------------------------------------------- */

struct test_case {
    const char *name;
    void (*body)(void);
    struct test_case *next;
};
void test_register(struct test_case *test);
int test_main(int argc, char **argv);
void test_limit(double seconds);
void test_at(const char *file, int line);
void test_needs_tls(bool with);
__attribute__((noreturn, format(printf, 1, 2))) void test_skip(const char *format, ...);
__attribute__((noreturn, format(printf, 3, 4))) void test_fail(const char *file, int line, const char *format, ...);
void test_check_int(const char *file, int line, const char *what, long long actual, long long expected, const char *expected_text);
void test_check_str(const char *file, int line, const char *what, const char *actual, const char *expected);
void test_check_contains(const char *file, int line, const char *what, const char *actual, const char *part);
void test_check_mem(const char *file, int line, const char *what, const void *actual, const void *expected, size_t size);
void test_check_ptr(const char *file, int line, const char *what, const void *actual, const void *expected);
void test_check_errno(const char *file, int line, const char *what, int failed, long long result, int error, int expected);
void test_check_fds(const char *file, int line, int before);

#endif

/*
 * heap.h - what this process has allocated, to the byte: glibc's own count, with its caches for each thread turned off,
 * which would count freed memory as allocated. A program that asks ends with HEAP_TEST_MAIN in place of TEST_MAIN.
 *
 * Under valgrind and AddressSanitizer, which have allocators of their own and find leaks by themselves, it is always 0.
 */
#ifndef NETCONN_TESTS_HEAP_H
#define NETCONN_TESTS_HEAP_H

#include <stdbool.h>

#define HEAP_TEST_MAIN                                                                                                 \
    int main(int argc, char **argv) {                                                                                  \
        heap_start(argv);                                                                                              \
        return test_main(argc, argv);                                                                                  \
    }

/* Whether the allocator is the C library's own, and not a checker's. */
bool heap_counts(void);

/* Executes the program anew with the caches off. */
void heap_start(char **argv);

/* Bytes allocated by all threads. */
long heap_in_use(void);

/* At most `slack` bytes more than heap_in_use() gave `before`. */
#define CHECK_HEAP(before, slack) heap_check(__FILE__, __LINE__, (before), (slack))
void heap_check(const char *file, int line, long before, long slack);

#endif

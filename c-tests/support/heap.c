/* heap.c - see heap.h. */
#include "heap.h"

#include "../harness.h"

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

bool heap_counts(void) {
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
    const char *preloaded = getenv("LD_PRELOAD");
    return !(preloaded && strstr(preloaded, "valgrind"));
#else
    return false;
#endif
}

void heap_start(char **argv) {
    if (!heap_counts() || getenv("GLIBC_TUNABLES")) return;
    setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1);
    execv("/proc/self/exe", argv);
}

long heap_in_use(void) {
#if defined(__GLIBC__)
    if (heap_counts()) {
        struct mallinfo2 info = mallinfo2();
        return (long)(info.uordblks + info.hblkhd);
    }
#endif
    return 0;
}

void heap_check(const char *file, int line, long before, long slack) {
    long after = heap_in_use();
    test_at(file, line);
    if (after > before + slack)
        test_fail(file, line, "%ld bytes are allocated, and were %ld: %ld more, expected %ld at most", after, before, after - before,
                  slack);
}

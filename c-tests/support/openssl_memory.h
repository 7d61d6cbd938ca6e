/*
 * openssl_memory.h - OpenSSL's memory, of which a program can make it run out: of the allocations that a thread makes while it
 * is armed, those from the `nth` on fail, `lasting` of them. `seen` counts them; with `nth` 0 none fails.
 */
#ifndef NETCONN_TESTS_OPENSSL_MEMORY_H
#define NETCONN_TESTS_OPENSSL_MEMORY_H

#include "../harness.h"

#include <openssl/crypto.h>
#include <stdlib.h>

static __thread bool armed;
static long nth, seen, lasting;

static bool fails(void) {
    if (!armed) return false;
    long here = ++seen;
    return nth > 0 && here >= nth && here < nth + lasting;
}

static void *ssl_malloc(size_t size, const char *file, int line) {
    (void)file, (void)line;
    return size == 0 || fails() ? NULL : malloc(size);
}
static void *ssl_realloc(void *memory, size_t size, const char *file, int line) {
    (void)file, (void)line;
    if (size == 0) {
        free(memory);
        return NULL;
    }
    return fails() ? NULL : realloc(memory, size);
}
static void ssl_free(void *memory, const char *file, int line) {
    (void)file, (void)line;
    free(memory);
}

extern const bool stays_cold; /* of the harness */
const bool stays_cold = true;

/* To be called before OpenSSL has allocated anything: it takes no other memory then. */
static void take_openssl_memory(void) {
    if (CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free) != 1) SKIP("OpenSSL has allocated already");
}

#endif

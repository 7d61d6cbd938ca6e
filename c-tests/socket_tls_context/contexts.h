/*
 * contexts.h - contexts that are freed with the test, and files of its own.
 */
#ifndef NETCONN_TESTS_CONTEXTS_H
#define NETCONN_TESTS_CONTEXTS_H

#include "../harness.h"
#include "../support/raises.h"
#include "tls/SocketTLSContext.h"

#include <stdio.h>

/* Both versions of TLS, one after the other. */
#define EACH_VERSION(version) for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++)

static void free_context(void *variable) { SocketTLSContext_free(variable); }

/* A context that is freed at the end of the test; its variable. */
__attribute__((unused)) static SocketTLSContext_T keep(SocketTLSContext_T context) {
    CHECK_PTR_NOT_NULL(context);
    SocketTLSContext_T *variable = alloc(sizeof *variable);
    *variable = context;
    at_end(free_context, variable);
    return context;
}

__attribute__((unused)) static SocketTLSContext_T a_client(void) {
    return keep(SocketTLSContext_new_client(cert("ca.pem")));
}

__attribute__((unused)) static SocketTLSContext_T a_server(void) {
    return keep(SocketTLSContext_new_server(cert("server.pem"), cert("server.key"), NULL));
}

/* A server with another pair of the test certificates. */
__attribute__((unused)) static SocketTLSContext_T server_of(const char *name) {
    char file[100];
    snprintf(file, sizeof file, "%s.pem", name);
    const char *chain = cert(file);
    snprintf(file, sizeof file, "%s.key", name);
    return keep(SocketTLSContext_new_server(chain, cert(file), NULL));
}

__attribute__((unused)) static void only(SocketTLSContext_T context, int version) {
    SocketTLSContext_set_min_protocol(context, version);
    SocketTLSContext_set_max_protocol(context, version);
}

/* A file of this test's own with these bytes; `name` within its directory. */
__attribute__((unused)) static const char *written(const char *name, const char *bytes, size_t len) {
    char *path = alloc(4096);
    snprintf(path, 4096, "%s/%s", temp_dir(), name);
    FILE *file = fopen(path, "wb");
    CHECK_PTR_NOT_NULL(file);
    CHECK_INT(fwrite(bytes, 1, len, file), len);
    CHECK_INT(fclose(file), 0);
    return path;
}

/* What is in a file; `*len` its length. */
__attribute__((unused)) static char *contents(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    CHECK_PTR_NOT_NULL(file);
    char *bytes = alloc(100000);
    *len = fread(bytes, 1, 100000, file);
    fclose(file);
    return bytes;
}

#endif

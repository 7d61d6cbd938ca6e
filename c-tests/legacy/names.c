/* A program that uses for itself every name the library might have been tempted to take (src/names). */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/peers.h"
#include "../support/runs.h"
#include "../support/transports.h"

#include <stdlib.h>

static void serve_hello(struct peer_conn *pc) {
    char request[18];
    if (peer_read_exactly(pc, request, sizeof request)) peer_write(pc, "hello", 5);
}

static void fetch(int version, const char *program) {
    struct peer *peer = peer_of(version, serve_hello, NULL);
    if (version) CHECK_INT(setenv("SSL_CERT_FILE", cert(CERT_CA), 1), 0);
    struct run *run = run_built(program, "localhost", peer_port(peer), version ? "tls" : NULL, NULL);
    CHECK_STATUS(run, 0);
    CHECK_STR(run->out, "hello");
}

ALL_TRANSPORTS(shared_library) { fetch(version, "legacy/bin/names-dynamic"); }
ALL_TRANSPORTS(static_library) { fetch(version, "legacy/bin/names-static"); }

TEST_MAIN

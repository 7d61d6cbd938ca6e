/*
 * OpenSSL's allocations made to fail in turn, on the test's own thread: while a context is made and loaded, in the
 * handshake, while bytes move, in the close. One outcome each, no crash, no hang, no descriptor left.
 *
 * OpenSSL is this program's and the library's, one and the same: with the vendored one, which is hidden inside the
 * library, the test is skipped.
 */
#include "echo.h"

#include "../support/certs.h"
#include "../support/openssl_memory.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "netconn.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- The torture --------------------------------------------------------------------------------------------------------- */

static int verified(int preverified, int depth, const char *subject, long error, void *arg) {
    (void)depth, (void)subject, (void)error, (void)arg;
    return preverified;
}

/* A context of its own, used once: each setter may fail, and says so. */
static bool live(int version, const char *port) {
    static const char *const protocols[] = {"h2", "http/1.1"};
    SocketTLSContext_T ctx = netconn_tls_client(cert(CERT_CA));
    if (!ctx) {
        CHECK(netconn_tls_error()[0] != 0);
        return false;
    }
    bool good = netconn_tls_set_versions(ctx, version, version) == 0;
    good &= netconn_tls_set_alpn(ctx, protocols, 2) == 0;
    good &= netconn_tls_set_verify_callback(ctx, verified, NULL) == 0;
    good &= netconn_tls_load_certificate(ctx, cert(CERT_CLIENT), cert(CERT_CLIENT_KEY)) == 0;
    if (!good) CHECK(netconn_tls_error()[0] != 0);
    struct conn_options o = options();
    o.use_tls = true;
    o.tls = ctx;
    o.tls_timeout = slow(10);
    struct echo_life life = {.seconds = slow(10)};
    good &= live_echo(port, &o, &life);
    /* A peer that gives up, or a record that never came: neither is what happens here. */
    CHECK(!life.gave_up);
    if (life.errors) CHECK_CMP(life.kind, !=, CONN_ERR_TIMEOUT);
    netconn_tls_free(&ctx);
    return good;
}

static void torture(int version, int runs, long fail_together) {
    TEST_LIMIT(120);
    take_openssl_memory();
    NEEDS_TLS();
    if (!netconn_openssl() || !strstr(netconn_openssl(), "system")) SKIP("the library has an OpenSSL of its own");
    /* Not a certificate that the client verifies alone: the server wants one, too. */
    const char *port = peer_process(&(struct peer_options){
        .cert = CERT_GOOD, .key = CERT_GOOD_KEY, .min_version = version, .max_version = version, .client_ca = CERT_CA});
    int fds = fd_count();
    CHECK(live(version, port)); /* what OpenSSL makes once in a process is made, and stays usable */
    wait_for_fds(fds);
    nth = seen = 0;
    armed = true;
    CHECK(live(version, port));
    armed = false;
    wait_for_fds(fds);
    long allocations = seen, step = allocations / runs + 1;
    CHECK_CMP(allocations, >, 100);
    int bad = 0;
    lasting = fail_together;
    for (long at = 1; at <= allocations; at += step) {
        nth = at;
        seen = 0;
        armed = true;
        if (!live(version, port)) bad++;
        armed = false;
        wait_for_fds(fds);
    }
    CHECK_CMP(bad, >, 0);
    nth = 0;
    CHECK(live(version, port)); /* and nothing of it stays */
}

BOTH_VERSIONS(each_allocation_fails_once) { torture(version, small(700, 20), 1); }
BOTH_VERSIONS(memory_is_out_for_a_while) { torture(version, small(100, 6), 20); }
BOTH_VERSIONS(memory_is_out_for_good) { torture(version, small(100, 6), 1000000); }

TEST_MAIN

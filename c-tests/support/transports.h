/* transports.h - one test body for plain TCP, TLS 1.2 and TLS 1.3. */
#ifndef NETCONN_TESTS_TRANSPORTS_H
#define NETCONN_TESTS_TRANSPORTS_H

#include "../harness.h"
#include "certs.h"
#include "client.h"
#include "peers.h"

/* `version` is 0 (plain), TLS1_2_VERSION or TLS1_3_VERSION. A build without TLS is asked for the plain ones alone. */
#define ALL_TRANSPORTS(name)                                                                                           \
    static void name(int version);                                                                                     \
    TEST(name##_plain) { name(0); }                                                                                    \
    TEST(name##_tls12) {                                                                                               \
        NEEDS_TLS();                                                                                                   \
        name(TLS1_2_VERSION);                                                                                          \
    }                                                                                                                  \
    TEST(name##_tls13) {                                                                                               \
        NEEDS_TLS();                                                                                                   \
        name(TLS1_3_VERSION);                                                                                          \
    }                                                                                                                  \
    static void name(int version)

#define BOTH_VERSIONS(name)                                                                                            \
    static void name(int version);                                                                                     \
    TEST(name##_tls12) {                                                                                               \
        NEEDS_TLS();                                                                                                   \
        name(TLS1_2_VERSION);                                                                                          \
    }                                                                                                                  \
    TEST(name##_tls13) {                                                                                               \
        NEEDS_TLS();                                                                                                   \
        name(TLS1_3_VERSION);                                                                                          \
    }                                                                                                                  \
    static void name(int version)

static inline struct peer *peer_of(int version, peer_serve serve, void *arg) {
    if (version == 0) return PEER(.serve = serve, .arg = arg);
    return TLS_PEER(version, .serve = serve, .arg = arg);
}

/* An echo server in a process of its own: its port. */
static inline const char *peer_process_of(int version) {
    struct peer_options options = {0};
    if (version) {
        options.cert = CERT_GOOD;
        options.key = CERT_GOOD_KEY;
        options.min_version = options.max_version = version;
    }
    return peer_process(&options);
}

static inline struct conn_options options_of(int version) { return version ? tls_options() : options(); }

/* Connected to 127.0.0.1, and READY. */
static inline struct client *ready_client(struct ev_loop *loop, int version, struct peer *peer) {
    struct conn_options o = options_of(version);
    struct client *client = client_open(loop, "127.0.0.1", peer_port(peer), &o);
    client_wait_ready(client);
    return client;
}

#endif

/*
 * storm.c - socket/SocketReconnect.h: any calls in any order, from callbacks too, against a peer that does as it likes.
 */
#include "../support/certs.h"
#include "client.h"

#if SOCKET_HAS_TLS
#include "tls/SocketTLS.h"
#include "tls/SocketTLSContext.h"
static SocketTLSContext_T ctx;
#endif

static unsigned long long seed;

/* The same numbers each time. */
static unsigned dice(unsigned sides) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(seed >> 33) % sides;
}

/* As the first byte says; the connections' own numbers would depend on who is faster. */
static void as_told(struct peer_conn *pc) {
    char order;
    while (peer_read(pc, &order, 1) == 1) {
        if (order < 64) continue;
        if (order < 96 && !peer_write(pc, "answer", 6)) return;
        if (order >= 120) {
            peer_reset(pc);
            return;
        }
        if (order >= 110) return;
    }
}

static const Except_T Thunder = {&Thunder, "thunder"};
static SocketReconnect_T conn;
static int depth;

static void consistent(void) {
    int fd = SocketReconnect_pollfd(conn), wait = SocketReconnect_next_timeout_ms(conn);
    Socket_T socket = SocketReconnect_socket(conn);
    switch (SocketReconnect_state(conn)) {
    case RECONNECT_DISCONNECTED:
        CHECK_INT(fd, -1);
        CHECK_INT(wait, -1);
        CHECK_PTR_NULL(socket);
        break;
    case RECONNECT_CONNECTING:
        CHECK_PTR_NULL(socket);
        /* Inside of a callback the attempt has not begun. */
        if (depth == 0) CHECK(fd >= 0 ? wait == -1 : wait == 0);
        break;
    case RECONNECT_CONNECTED:
        CHECK_PTR_NOT_NULL(socket);
        CHECK_INT(Socket_fd(socket), fd);
        CHECK_INT(SocketReconnect_isconnected(conn), 1);
        break;
    case RECONNECT_BACKOFF:
    case RECONNECT_CIRCUIT_OPEN:
        CHECK_INT(fd, -1);
        CHECK_CMP(wait, >=, 0);
        CHECK_PTR_NULL(socket);
        CHECK_CMP(SocketReconnect_failures(conn), >=, 0);
        break;
    }
}

static int examine(SocketReconnect_T self, Socket_T socket, int ms, void *data);

static void anything(void) {
    char buf[16];
    unsigned what = dice(60);
    if (what < 14) {
        SocketReconnect_process(conn);
    } else if (what < 21) {
        SocketReconnect_tick(conn);
    } else if (what < 27) {
        SocketReconnect_connect(conn);
    } else if (what < 28) {
        SocketReconnect_disconnect(conn);
    } else if (what < 29) {
        SocketReconnect_reset(conn);
    } else if (what < 36) {
        buf[0] = (char)dice(128);
        SocketReconnect_send(conn, buf, 1);
    } else if (what < 43) {
        SocketReconnect_recv(conn, buf, 1 + dice(sizeof buf));
    } else if (what < 44) {
        SocketReconnect_set_health_check(conn, dice(2) ? examine : NULL);
#if SOCKET_HAS_TLS
    } else if (what < 45 && ctx) {
        SocketReconnect_set_tls(conn, ctx, dice(8) ? "localhost" : "elsewhere.example");
    } else if (what < 46) {
        SocketReconnect_set_session_resumption(conn, (int)dice(4));
    } else if (what < 47 && dice(10) == 0) {
        SocketReconnect_disable_tls(conn);
#endif
    } else if (depth == 0 && SocketReconnect_pollfd(conn) >= 0) {
        short events = SocketReconnect_isconnected(conn) ? POLLIN : POLLIN | POLLOUT;
        struct pollfd fd = {SocketReconnect_pollfd(conn), events, 0};
        CHECK_CMP(poll(&fd, 1, 1), >=, 0);
    }
}

/* What a callback does; whether the client is still there. */
static int mischief(void) {
    depth++;
    consistent();
    for (unsigned i = dice(2); conn && i > 0; i--) anything();
    depth--;
    if (conn && dice(100) == 0) SocketReconnect_free(&conn);
    if (dice(20) == 0) RAISE(Thunder);
    return conn != NULL;
}

static int examine(SocketReconnect_T self, Socket_T socket, int ms, void *data) {
    (void)socket, (void)ms, (void)data;
    CHECK_PTR(self, conn);
    return mischief() && dice(10) > 0;
}

static void on_change(SocketReconnect_T self, SocketReconnect_State before, SocketReconnect_State after, void *data) {
    (void)data;
    CHECK_PTR(self, conn);
    CHECK(before != after);
    mischief();
}

static void storm(struct peer *peer, int calls) {
    SocketReconnect_Policy_T policy = quick();
    policy.max_delay_ms = 1;
    policy.health_check_interval_ms = 1;
    policy.max_attempts = (int)dice(4);
    policy.circuit_failure_threshold = dice(4) ? 1000 : 3;
    int port = dice(5) ? peer_port_number(peer) : atoi(refused_port());
    conn = SocketReconnect_new(dice(6) ? "127.0.0.1" : "localhost", port, &policy, on_change, NULL);
#if SOCKET_HAS_TLS
    /* Without it the server waits for a handshake that never comes. */
    if (ctx && dice(8)) SocketReconnect_set_tls(conn, ctx, "localhost");
#endif
    SocketReconnect_set_health_check(conn, dice(2) ? examine : NULL);
    for (volatile int i = 0; conn && i < calls; i++) {
        volatile int raised = 0;
        TRY { anything(); }
        EXCEPT(Thunder) { raised = 1; }
        END_TRY;
        (void)raised;
        depth = 0;
        if (conn) consistent();
    }
    SocketReconnect_free(&conn);
    CHECK_INT(Socket_debug_live_count(), 0);
}

TEST(any_calls_in_any_order_over_plain_streams) {
    TEST_LIMIT(60);
    struct peer *peer = PEER(.serve = as_told);
    for (int i = 0; i < load(100, 40, 6); i++) {
        seed = (unsigned long long)i * 7919 + 1;
        storm(peer, 500);
    }
}

#if SOCKET_HAS_TLS
TEST(any_calls_in_any_order_over_tls) {
    NEEDS_TLS();
    TEST_LIMIT(60);
    ctx = SocketTLSContext_new_client(cert(CERT_CA));
    struct peer *peer = PEER(.serve = as_told, .cert = CERT_GOOD, .key = CERT_GOOD_KEY);
    for (int i = 0; i < load(100, 40, 6); i++) {
        seed = (unsigned long long)i * 104729 + 1;
        storm(peer, 500);
    }
    SocketTLSContext_free(&ctx);
}
#endif

TEST_MAIN

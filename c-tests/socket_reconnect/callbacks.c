/*
 * callbacks.c - socket/SocketReconnect.h: what callbacks do to their client.
 */
#include "client.h"

static SocketReconnect_T conn;
static int calls;

static SocketReconnect_T make(const char *port, SocketReconnect_Callback callback) {
    SocketReconnect_Policy_T policy = quick();
    return SocketReconnect_new("127.0.0.1", atoi(port), &policy, callback, NULL);
}

/* ---- Freeing ----------------------------------------------------------------------------------------------------- */

static SocketReconnect_State last;

static void free_it(SocketReconnect_T self, SocketReconnect_State before, SocketReconnect_State after, void *data) {
    (void)before, (void)data;
    calls++;
    CHECK_PTR(self, conn);
    if (after == last) SocketReconnect_free(&conn);
}

TEST(a_callback_frees_its_client) {
    struct peer *peer = PEER(.serve = serve_close);
    SocketReconnect_State states[] = {RECONNECT_CONNECTING, RECONNECT_CONNECTED, RECONNECT_BACKOFF, RECONNECT_DISCONNECTED};
    for (int i = 0; i < 4; i++) {
        last = states[i];
        conn = make(peer_port(peer), free_it);
        SocketReconnect_connect(conn);
        while (conn && !SocketReconnect_isconnected(conn)) go_round(conn);
        if (last == RECONNECT_DISCONNECTED) SocketReconnect_disconnect(conn);
        char byte;
        while (conn && SocketReconnect_recv(conn, &byte, 1) < 0 && errno == EAGAIN) go_round(conn);
        CHECK_PTR_NULL(conn);
    }
    CHECK_INT(calls, 1 + 2 + 3 + 3);
    CHECK_INT(Socket_debug_live_count(), 0);
}

static int free_in_examination(SocketReconnect_T self, Socket_T socket, int ms, void *data) {
    (void)socket, (void)ms, (void)data;
    CHECK_PTR(self, conn);
    SocketReconnect_free(&conn);
    return 0;
}

TEST(an_examination_frees_its_client) {
    struct peer *peer = PEER(.serve = serve_echo);
    SocketReconnect_Policy_T policy = quick();
    policy.health_check_interval_ms = 1;
    conn = SocketReconnect_new("127.0.0.1", peer_port_number(peer), &policy, NULL, NULL);
    SocketReconnect_set_health_check(conn, free_in_examination);
    SocketReconnect_connect(conn);
    while (conn) go_round(conn);
    CHECK_INT(Socket_debug_live_count(), 0);
}

/* ---- Asking for more --------------------------------------------------------------------------------------------- */

static void try_again(SocketReconnect_T self, SocketReconnect_State before, SocketReconnect_State after, void *data) {
    (void)before, (void)data;
    static int inside;
    CHECK_INT(inside++, 0);
    calls++;
    if (after == RECONNECT_DISCONNECTED && calls < 200) {
        SocketReconnect_connect(self);
        CHECK_INT(SocketReconnect_state(self), RECONNECT_CONNECTING);
    }
    inside--;
}

TEST(a_callback_connects_again_and_is_never_nested) {
    SocketReconnect_Policy_T policy = quick();
    policy.max_attempts = 1;
    conn = SocketReconnect_new("127.0.0.1", atoi(refused_port()), &policy, try_again, NULL);
    SocketReconnect_connect(conn);
    while (calls < 200 || SocketReconnect_state(conn) != RECONNECT_DISCONNECTED) go_round(conn);
    SocketReconnect_free(&conn);
}

static void stop_it(SocketReconnect_T self, SocketReconnect_State before, SocketReconnect_State after, void *data) {
    tell(self, before, after, life);
    (void)data;
    if (after != last) return;
    last = (SocketReconnect_State)-1;
    SocketReconnect_disconnect(self);
    CHECK_INT(SocketReconnect_pollfd(self), -1);
    CHECK_PTR_NULL(SocketReconnect_socket(self));
}

TEST(a_callback_ends_what_has_just_begun) {
    struct peer *peer = PEER(.serve = serve_echo);
    conn = make(peer_port(peer), stop_it);
    last = RECONNECT_CONNECTING;
    SocketReconnect_connect(conn);
    CHECK_INT(SocketReconnect_state(conn), RECONNECT_DISCONNECTED);
    CHECK_STR(life, "DISCONNECTED CONNECTING DISCONNECTED ");
    CHECK_INT(Socket_debug_live_count(), 0);
    life[0] = '\0';
    last = RECONNECT_CONNECTED;
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_DISCONNECTED);
    CHECK_STR(life, "DISCONNECTED CONNECTING CONNECTED DISCONNECTED ");
    CHECK_INT(Socket_debug_live_count(), 0);
    SocketReconnect_free(&conn);
}

/* ---- Raising ----------------------------------------------------------------------------------------------------- */

static const Except_T No_Luck = {&No_Luck, "no luck"};

static void raise(SocketReconnect_T self, SocketReconnect_State before, SocketReconnect_State after, void *data) {
    (void)before, (void)data, (void)self;
    calls++;
    if (after == last) RAISE(No_Luck);
}

TEST(what_a_callback_raises_comes_out_of_the_call) {
    struct peer *peer = PEER(.serve = serve_echo);
    conn = make(peer_port(peer), raise);
    last = RECONNECT_CONNECTING;
    CHECK_RAISES(SocketReconnect_connect(conn), No_Luck);
    /* The attempt was begun all the same. */
    last = (SocketReconnect_State)-1;
    go_until(conn, RECONNECT_CONNECTED);
    echo(conn, "on");
    last = RECONNECT_DISCONNECTED;
    CHECK_RAISES(SocketReconnect_disconnect(conn), No_Luck);
    CHECK_INT(SocketReconnect_state(conn), RECONNECT_DISCONNECTED);
    last = RECONNECT_CONNECTED;
    SocketReconnect_connect(conn);
    CHECK_RAISES(go_until(conn, RECONNECT_BACKOFF), No_Luck);
    CHECK_INT(SocketReconnect_isconnected(conn), 1);
    echo(conn, "and on");
    SocketReconnect_free(&conn);
}

static void free_and_raise(SocketReconnect_T self, SocketReconnect_State before, SocketReconnect_State after, void *data) {
    (void)self, (void)before, (void)after, (void)data;
    SocketReconnect_free(&conn);
    RAISE(No_Luck);
}

TEST(a_callback_frees_and_raises) {
    struct peer *peer = PEER(.serve = serve_echo);
    conn = make(peer_port(peer), free_and_raise);
    CHECK_RAISES(SocketReconnect_connect(conn), No_Luck);
    CHECK_PTR_NULL(conn);
}

static int raise_in_examination(SocketReconnect_T self, Socket_T socket, int ms, void *data) {
    (void)self, (void)socket, (void)ms, (void)data;
    RAISE(No_Luck);
    return 0;
}

TEST(an_examination_that_raises_says_nothing_against_the_connection) {
    struct peer *peer = PEER(.serve = serve_echo);
    SocketReconnect_Policy_T policy = quick();
    policy.health_check_interval_ms = 1;
    conn = SocketReconnect_new("127.0.0.1", peer_port_number(peer), &policy, NULL, NULL);
    SocketReconnect_set_health_check(conn, raise_in_examination);
    SocketReconnect_connect(conn);
    CHECK_RAISES(go_until(conn, RECONNECT_BACKOFF), No_Luck);
    CHECK_INT(SocketReconnect_isconnected(conn), 1);
    SocketReconnect_free(&conn);
}

/* ---- The socket is only lent ------------------------------------------------------------------------------------- */

TEST(a_socket_that_a_program_frees_is_a_broken_connection) {
    struct peer *peer = PEER(.serve = serve_echo);
    conn = make(peer_port(peer), NULL);
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_CONNECTED);
    Socket_T socket = SocketReconnect_socket(conn);
    Socket_free(&socket);
    char byte;
    CHECK_INT(SocketReconnect_recv(conn, &byte, 1), 0);
    CHECK_INT(SocketReconnect_state(conn), RECONNECT_BACKOFF);
    go_until(conn, RECONNECT_CONNECTED);
    echo(conn, "anew");
    SocketReconnect_free(&conn);
}

TEST_MAIN

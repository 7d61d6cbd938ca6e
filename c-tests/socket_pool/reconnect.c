/*
 * reconnect.c - pool/SocketPool.h: connections that are made again when they break.
 */
#include "pool.h"

#include "socket/SocketReconnect.h"

#include <poll.h>

static SocketPool_T pool;
static Socket_T listener, first;
static Connection_T connection;

static void end(void *socket) { Socket_free(socket); }

/* A pool with one connection, whose peer is gone, and a place to connect to. */
static int broken(SocketPool_T in) {
    pool = in;
    listener = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_bind(listener, "127.0.0.1", 0);
    Socket_listen(listener, 8);
    first = new_socket(NULL);
    at_end(end, &first);
    at_end(end, &listener);
    connection = SocketPool_add(pool, first);
    return Socket_getlocalport(listener);
}

/* Drives the pool until its connection is in this state. */
static void drive(SocketReconnect_State state) {
    SocketReconnect_T reconnect = Connection_reconnect(connection);
    while (SocketReconnect_state(reconnect) != state) {
        struct pollfd polled = {SocketReconnect_pollfd(reconnect), POLLOUT, 0};
        int wait = SocketPool_reconnect_timeout_ms(pool);
        poll(&polled, 1, wait < 0 || wait > 50 ? 50 : wait);
        SocketPool_process_reconnects(pool);
    }
}

TEST(the_new_socket_is_the_connections) {
    int port = broken(new_pool(3));
    int live = Socket_debug_live_count();
    CHECK_INT(Connection_has_reconnect(connection), 0);
    CHECK_PTR_NULL(Connection_reconnect(connection));
    CHECK_INT(SocketPool_reconnect_timeout_ms(pool), -1);
    Connection_setdata(connection, pool);
    SocketPool_enable_reconnect(pool, connection, "127.0.0.1", port);
    CHECK_INT(Connection_has_reconnect(connection), 1);
    SocketReconnect_T reconnect = Connection_reconnect(connection);
    CHECK_INT(SocketReconnect_state(reconnect), RECONNECT_DISCONNECTED);
    SocketPool_process_reconnects(pool);
    CHECK_PTR(Connection_socket(connection), first);
    SocketReconnect_connect(reconnect);
    drive(RECONNECT_CONNECTED);
    Socket_T next = Connection_socket(connection);
    CHECK(next != first);
    CHECK_PTR(next, SocketReconnect_socket(reconnect));
    CHECK_PTR(SocketPool_get(pool, next), connection);
    CHECK_PTR_NULL(SocketPool_get(pool, first));
    CHECK_PTR(Connection_data(connection), pool);
    CHECK_INT(SocketPool_count(pool), 1);
    CHECK_CMP(SocketPool_reconnect_timeout_ms(pool), >=, 0);
    /* It breaks again. */
    Socket_T other = Socket_accept(listener);
    Socket_free(&other);
    char byte;
    struct pollfd polled = {SocketReconnect_pollfd(reconnect), POLLIN, 0};
    CHECK_INT(poll(&polled, 1, -1), 1);
    CHECK_INT(SocketReconnect_recv(reconnect, &byte, 1), 0);
    drive(RECONNECT_CONNECTED);
    CHECK(Connection_socket(connection) != next);
    CHECK_PTR_NULL(SocketPool_get(pool, next));
    /* The socket goes with what has made it. */
    SocketPool_remove(pool, Connection_socket(connection));
    CHECK_INT(Socket_debug_live_count(), live);
    CHECK_PTR_NULL(Connection_reconnect(connection));
    CHECK_INT(SocketReconnect_state(reconnect), RECONNECT_DISCONNECTED);
    CHECK_INT(SocketPool_reconnect_timeout_ms(pool), -1);
    SocketPool_process_reconnects(pool);
}

TEST(it_ends_with_the_pool_and_when_disabled) {
    Arena_T arena = new_arena();
    int port = broken(SocketPool_new(arena, 3, 512)), live = Socket_debug_live_count();
    SocketPool_enable_reconnect(pool, connection, "127.0.0.1", port);
    SocketReconnect_T before = Connection_reconnect(connection);
    SocketPool_enable_reconnect(pool, connection, "127.0.0.1", port);
    CHECK(Connection_reconnect(connection) != before);
    SocketReconnect_connect(Connection_reconnect(connection));
    drive(RECONNECT_CONNECTED);
    CHECK_INT(Socket_debug_live_count(), live + 1);
    SocketPool_disable_reconnect(pool, connection);
    SocketPool_disable_reconnect(pool, connection);
    CHECK_INT(Connection_has_reconnect(connection), 0);
    CHECK_INT(Socket_debug_live_count(), live);
    CHECK_INT(SocketPool_count(pool), 1);
    SocketPool_enable_reconnect(pool, connection, "127.0.0.1", port);
    SocketReconnect_connect(Connection_reconnect(connection));
    drive(RECONNECT_CONNECTED);
    SocketPool_free(&pool);
    CHECK_INT(Connection_has_reconnect(connection), 0);
    CHECK_INT(Socket_debug_live_count(), live);
}

TEST(the_policy_is_for_those_to_come) {
    broken(new_pool(3));
    Socket_T closed = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_bind(closed, "127.0.0.1", 0);
    int port = Socket_getlocalport(closed);
    SocketReconnect_Policy_T policy;
    SocketReconnect_policy_defaults(&policy);
    policy.max_attempts = 1;
    SocketPool_set_reconnect_policy(pool, &policy);
    SocketPool_enable_reconnect(pool, connection, "127.0.0.1", port);
    SocketReconnect_connect(Connection_reconnect(connection));
    drive(RECONNECT_DISCONNECTED);
    CHECK_PTR(Connection_socket(connection), first);
    SocketPool_set_reconnect_policy(pool, NULL);
    SocketPool_enable_reconnect(pool, connection, "127.0.0.1", port);
    SocketReconnect_connect(Connection_reconnect(connection));
    drive(RECONNECT_BACKOFF);
    CHECK_CMP(SocketPool_reconnect_timeout_ms(pool), >=, 0);
    Socket_free(&closed);
}

TEST(wrong_arguments_are_refused) {
    char host[300];
    memset(host, 'a', sizeof host - 1);
    host[sizeof host - 1] = '\0';
    int port = broken(new_pool(3));
    CHECK_RAISES_ERRNO(SocketPool_enable_reconnect(pool, NULL, "h", port), SocketReconnect_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_enable_reconnect(pool, connection, NULL, port), SocketReconnect_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_enable_reconnect(pool, connection, host, port), SocketReconnect_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_enable_reconnect(pool, connection, "h", 0), SocketReconnect_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_disable_reconnect(pool, NULL), SocketReconnect_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_enable_reconnect(NULL, connection, "h", port), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_process_reconnects(NULL), SocketPool_Failed, EINVAL);
    SocketPool_remove(pool, first);
    CHECK_RAISES_ERRNO(SocketPool_enable_reconnect(pool, connection, "h", port), SocketPool_Failed, EINVAL);
    SocketPool_disable_reconnect(pool, connection);
    CHECK_PTR_NULL(Connection_reconnect(NULL));
    CHECK_INT(Connection_has_reconnect(NULL), 0);
}

TEST_MAIN

/*
 * farewell.c - pool/SocketPool.h: how TLS connections leave the pool.
 */
#include "tls.h"

#if SOCKET_HAS_TLS

#define NAME "localhost"

/* The peer has ended TLS in good order. */
static void check_notified(Socket_T socket) {
    char byte;
    volatile int closed = 0;
    await_bytes(socket);
    TRY { CHECK_INT(SocketTLS_recv(socket, &byte, 1), 0); }
    EXCEPT(Socket_Closed) { closed = 1; }
    END_TRY;
    CHECK_INT(closed, 1);
}

FOR_BOTH_VERSIONS(who_is_removed_says_so) {
    SocketPool_T pool = new_pool(4);
    struct server *server = new_server();
    struct pair pair = new_pair(server, new_client(version), NAME);
    SocketPool_add(pool, pair.client);
    acquaint(&pair);
    SocketPool_remove(pool, pair.client);
    check_notified(pair.server);
    /* Nothing goes in the clear over what was TLS; what the peer still says can be read. */
    CHECK_RAISES_SAYING(Socket_send(pair.client, "x", 1), Socket_Closed, "");
    CHECK_INT(Socket_send(pair.server, "bye", 3), 3);
    char bytes[4];
    await_bytes(pair.client);
    CHECK_INT(Socket_recv(pair.client, bytes, sizeof bytes), 3);
    SocketPool_remove(pool, pair.client);
    free_pair(&pair);
}

FOR_BOTH_VERSIONS(a_server_says_so_too) {
    SocketPool_T pool = new_pool(4);
    struct server *server = new_server();
    struct pair pair = new_pair(server, new_client(version), NAME);
    SocketPool_add(pool, pair.server);
    acquaint(&pair);
    SocketPool_cleanup(pool, 0);
    check_notified(pair.client);
    free_pair(&pair);
}

FOR_BOTH_VERSIONS(force_says_so_too) {
    SocketPool_T pool = new_pool(4);
    struct server *server = new_server();
    struct pair pair = new_pair(server, new_client(version), NAME);
    SocketPool_add(pool, pair.client);
    acquaint(&pair);
    SocketPool_drain_force(pool);
    check_notified(pair.server);
    free_pair(&pair);
}

FOR_BOTH_VERSIONS(an_unfinished_handshake_ends_without_a_word) {
    SocketPool_T pool = new_pool(4);
    struct server *server = new_server();
    struct pair pair = new_pair(server, new_client(version), NAME);
    SocketPool_add(pool, pair.client);
    SocketPool_remove(pool, pair.client);
    SocketPool_add(pool, pair.client);
    CHECK_INT(SocketTLS_handshake(pair.client), TLS_HANDSHAKE_WANT_READ);
    await_bytes(pair.server);
    char bytes[4096];
    CHECK_CMP(recv(Socket_fd(pair.server), bytes, sizeof bytes, 0), >, 0);
    SocketPool_remove(pool, pair.client);
    CHECK_INT(recv(Socket_fd(pair.server), bytes, sizeof bytes, 0), -1);
    CHECK_INT(errno, EAGAIN);
    free_pair(&pair);
}

FOR_BOTH_VERSIONS(a_peer_that_takes_nothing_is_not_waited_for) {
    SocketPool_T pool = new_pool(4);
    struct server *server = new_server();
    struct pair pair = new_pair(server, new_client(version), NAME);
    SocketTimeouts_T timeouts = {.operation_timeout_ms = 20};
    Socket_timeouts_set(pair.client, &timeouts);
    SocketPool_add(pool, pair.client);
    acquaint(&pair);
    char *bytes = alloc(16384);
    memset(bytes, 'x', 16384);
    while (Socket_send(pair.client, bytes, 16384) > 0) continue;
    SocketPool_remove(pool, pair.client);
    CHECK_INT(SocketPool_count(pool), 0);
    free_pair(&pair);
}

FOR_BOTH_VERSIONS(a_peer_that_is_gone_raises_nothing) {
    SocketPool_T pool = new_pool(4);
    struct server *server = new_server();
    struct pair pair = new_pair(server, new_client(version), NAME);
    SocketPool_add(pool, pair.client);
    acquaint(&pair);
    struct linger reset = {1, 0};
    CHECK_INT(setsockopt(Socket_fd(pair.server), SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    Socket_free(&pair.server);
    SocketPool_remove(pool, pair.client);
    SocketPool_add(pool, pair.client);
    SocketPool_cleanup(pool, 0);
}

FOR_BOTH_VERSIONS(a_freed_socket_is_passed_over) {
    SocketPool_T pool = new_pool(4);
    struct server *server = new_server();
    struct pair pair = new_pair(server, new_client(version), NAME);
    Socket_T stale = pair.client;
    SocketPool_add(pool, pair.client);
    acquaint(&pair);
    Socket_free(&pair.client);
    SocketPool_remove(pool, stale);
    CHECK_INT(SocketPool_count(pool), 0);
    free_pair(&pair);
}

FOR_BOTH_VERSIONS(nothing_is_left_of_many) {
    struct server *server = new_server();
    SocketTLSContext_T context = new_client(version);
    int before = fd_count(), live = Socket_debug_live_count();
    for (int i = 0; i < 3; i++) {
        SocketPool_T pool = SocketPool_new(new_arena(), 3, 512);
        for (int k = 0; k < load(6, 4, 2); k++) CHECK_INT(visit(pool, server, context, NAME), k > 0);
        SocketPool_free(&pool);
    }
    CHECK_NO_NEW_FDS(before);
    CHECK_INT(Socket_debug_live_count(), live);
}

#else

TEST(without_tls) { NEEDS_TLS(); }

#endif

TEST_MAIN

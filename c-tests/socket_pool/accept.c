/*
 * accept.c - pool/SocketPool.h: connections that a pool accepts, many at once or within limits.
 */
#include "pool.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>

static SocketPool_T pool;
static Socket_T listener;

static void end(void *socket) { Socket_free(socket); }

static void listen_for(size_t max) {
    pool = new_pool(max);
    listener = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_bind(listener, "127.0.0.1", 0);
    Socket_listen(listener, 64);
    at_end(end, &listener);
}

static Socket_T clients[16];

/* `n` connections that wait to be accepted. */
static void knock(int n) {
    for (int i = 0; i < n; i++) {
        clients[i] = Socket_new(AF_INET, SOCK_STREAM, 0);
        Socket_connect(clients[i], "127.0.0.1", Socket_getlocalport(listener));
        CHECK_INT(Socket_isconnected(clients[i]), 1);
    }
}

TEST(what_waits_is_taken_in) {
    Socket_T out[8] = {0};
    listen_for(5);
    CHECK_INT(SocketPool_accept_batch(pool, listener, 8, 8, out), 0);
    knock(7);
    CHECK_INT(SocketPool_accept_batch(pool, listener, 2, 8, out), 2);
    CHECK_INT(SocketPool_count(pool), 2);
    /* The listener blocks, and still nobody waits; then the pool is full. */
    CHECK_INT(SocketPool_accept_batch(pool, listener, 8, 8, out), 3);
    CHECK_INT(SocketPool_count(pool), 5);
    CHECK_INT(SocketPool_accept_batch(pool, listener, 8, 8, out), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_PTR(Connection_socket(SocketPool_get(pool, out[i])), out[i]);
        CHECK(fcntl(Socket_fd(out[i]), F_GETFL) & O_NONBLOCK);
        CHECK(fcntl(Socket_fd(out[i]), F_GETFD) & FD_CLOEXEC);
        CHECK_STR(Socket_getpeeraddr(out[i]), "127.0.0.1");
    }
    SocketPool_cleanup(pool, 0);
    CHECK_INT(SocketPool_accept_batch(pool, listener, 8, 8, out), 2);
    CHECK(!(fcntl(Socket_fd(listener), F_GETFL) & O_NONBLOCK));
    SocketPool_cleanup(pool, 0);
    free_all(clients, 7);
}

TEST(nothing_is_taken_in_for_wrong_arguments) {
    Socket_T out[8] = {0}, stale;
    listen_for(5);
    knock(1);
    CHECK_INT(SocketPool_accept_batch(NULL, listener, 8, 8, out), 0);
    CHECK_INT(SocketPool_accept_batch(pool, NULL, 8, 8, out), 0);
    CHECK_INT(SocketPool_accept_batch(pool, listener, 8, 8, NULL), 0);
    CHECK_INT(SocketPool_accept_batch(pool, listener, 0, 8, out), 0);
    CHECK_INT(SocketPool_accept_batch(pool, listener, -1, 8, out), 0);
    CHECK_INT(SocketPool_accept_batch(pool, listener, 1001, 2000, out), 0);
    CHECK_INT(SocketPool_accept_batch(pool, listener, 8, 7, out), 0);
    /* No listener, and one that was freed. */
    CHECK_INT(SocketPool_accept_batch(pool, clients[0], 8, 8, out), 0);
    Socket_T other = new_socket(NULL);
    stale = other;
    Socket_free(&other);
    CHECK_INT(SocketPool_accept_batch(pool, stale, 8, 8, out), 0);
    SocketPool_drain(pool, -1);
    CHECK_INT(SocketPool_accept_batch(pool, listener, 8, 8, out), 0);
    free_all(clients, 1);
}

TEST(one_comes_within_the_limits) {
    listen_for(5);
    Socket_setnonblocking(listener);
    CHECK_PTR_NULL(SocketPool_accept_limited(pool, listener));
    knock(6);
    SocketPool_setmaxperip(pool, 2);
    Socket_T one = SocketPool_accept_limited(pool, listener), two = SocketPool_accept_limited(pool, listener);
    CHECK_PTR_NOT_NULL(one);
    CHECK_PTR_NOT_NULL(two);
    CHECK_INT(SocketPool_count(pool), 0);
    CHECK_INT(SocketPool_ip_count(pool, "127.0.0.1"), 2);
    /* The third is closed. */
    CHECK_PTR_NULL(SocketPool_accept_limited(pool, listener));
    char byte;
    CHECK_INT(recv(Socket_fd(clients[2]), &byte, 1, 0), 0);
    /* One that is removed, and one that is freed and taken back, make room. */
    SocketPool_add(pool, one);
    SocketPool_remove(pool, one);
    CHECK_INT(SocketPool_ip_count(pool, "127.0.0.1"), 1);
    Socket_free(&two);
    SocketPool_release_ip(pool, "127.0.0.1");
    CHECK_INT(SocketPool_ip_count(pool, "127.0.0.1"), 0);
    two = SocketPool_accept_limited(pool, listener);
    CHECK_PTR_NOT_NULL(two);
    SocketPool_drain(pool, 0);
    CHECK_PTR_NULL(SocketPool_accept_limited(pool, listener));
    Socket_free(&one);
    Socket_free(&two);
    free_all(clients, 6);
}

TEST(a_rate_is_kept) {
    listen_for(5);
    Socket_setnonblocking(listener);
    knock(16);
    SocketPool_setconnrate(pool, 1, 2);
    Socket_T sockets[16];
    for (int i = 0; i < 2; i++) CHECK_PTR_NOT_NULL(sockets[i] = SocketPool_accept_limited(pool, listener));
    /* Each further one takes a second to come. */
    int n = 2;
    while (n < 16 && (sockets[n] = SocketPool_accept_limited(pool, listener))) n++;
    CHECK_CMP(n, <, 16);
    /* Those that were not let in wait. */
    SocketPool_setconnrate(pool, 0, 0);
    CHECK_INT(SocketPool_accept_allowed(pool, NULL), 1);
    CHECK_PTR_NOT_NULL(sockets[n] = SocketPool_accept_limited(pool, listener));
    free_all(sockets, n + 1);
    free_all(clients, 16);
    CHECK_RAISES_ERRNO(SocketPool_accept_limited(pool, NULL), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_accept_limited(NULL, listener), SocketPool_Failed, EINVAL);
    Socket_T no_listener = new_socket(NULL);
    CHECK_RAISES(SocketPool_accept_limited(pool, no_listener), Socket_Failed);
    Socket_free(&no_listener);
}

TEST_MAIN

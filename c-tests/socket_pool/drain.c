/*
 * drain.c - pool/SocketPool.h: the end of a pool in good order, and by force.
 */
#include "pool.h"

#include <pthread.h>
#include <stdint.h>

static const Except_T Own = {&Own, "a callback's own"};

static SocketPool_T pool;
static Socket_T sockets[3];
static int calls, forced = -1, peer, raise_in;

static void drained(SocketPool_T which, int timed_out, void *arg) {
    CHECK_PTR(which, pool);
    CHECK_PTR(arg, &calls);
    CHECK_INT(SocketPool_state(which), POOL_STATE_STOPPED);
    CHECK_INT(SocketPool_count(which), 0);
    calls++;
    forced = timed_out;
    if (raise_in) RAISE(Own);
}

static void fill(int n) {
    pool = new_pool(3);
    SocketPool_set_drain_callback(pool, drained, &calls);
    for (int i = 0; i < n; i++) SocketPool_add(pool, sockets[i] = new_socket(i ? NULL : &peer));
}

TEST(an_empty_pool_stops_at_once) {
    fill(0);
    CHECK_INT(SocketPool_state(pool), POOL_STATE_RUNNING);
    CHECK_INT(SocketPool_health(pool), POOL_HEALTH_HEALTHY);
    CHECK_INT(SocketPool_drain_remaining_ms(pool), -1);
    CHECK_INT(SocketPool_drain_poll(pool), 0);
    CHECK_INT(calls, 0);
    SocketPool_drain(pool, 0);
    CHECK_INT(calls, 1);
    CHECK_INT(forced, 0);
    CHECK_INT(SocketPool_is_stopped(pool), 1);
    CHECK_INT(SocketPool_is_draining(pool), 0);
    CHECK_INT(SocketPool_health(pool), POOL_HEALTH_STOPPED);
    SocketPool_drain(pool, 5);
    SocketPool_drain_force(pool);
    CHECK_INT(SocketPool_drain_wait(pool, 5), 0);
    CHECK_INT(SocketPool_drain_poll(pool), 0);
    CHECK_INT(calls, 1);
    Socket_T socket = new_socket(NULL);
    CHECK_PTR_NULL(SocketPool_add(pool, socket));
    Socket_free(&socket);
}

TEST(connections_may_come_to_their_end) {
    fill(2);
    CHECK_INT(SocketPool_drain_poll(pool), 2);
    SocketPool_drain(pool, -1);
    CHECK_INT(SocketPool_is_draining(pool), 1);
    CHECK_INT(SocketPool_state(pool), POOL_STATE_DRAINING);
    CHECK_INT(SocketPool_health(pool), POOL_HEALTH_DRAINING);
    CHECK(SocketPool_drain_remaining_ms(pool) == INT64_MAX);
    CHECK_PTR_NULL(SocketPool_add(pool, sockets[2] = new_socket(NULL)));
    CHECK_PTR_NULL(SocketPool_add(pool, sockets[0]));
    CHECK_PTR_NOT_NULL(SocketPool_get(pool, sockets[0]));
    CHECK_INT(SocketPool_drain_poll(pool), 2);
    SocketPool_remove(pool, sockets[0]);
    CHECK_INT(SocketPool_drain_poll(pool), 1);
    SocketPool_remove(pool, sockets[1]);
    CHECK_INT(SocketPool_is_stopped(pool), 0);
    CHECK_INT(SocketPool_drain_poll(pool), 0);
    CHECK_INT(SocketPool_is_stopped(pool), 1);
    CHECK_INT(calls, 1);
    CHECK_INT(forced, 0);
    CHECK_INT(Socket_debug_live_count(), 3);
    free_all(sockets, 3);
}

TEST(force_frees_what_is_left) {
    fill(3);
    SocketPool_drain_force(pool);
    CHECK_INT(calls, 1);
    CHECK_INT(forced, 1);
    CHECK_INT(SocketPool_state(pool), POOL_STATE_STOPPED);
    CHECK_INT(Socket_debug_live_count(), 0);
    char byte;
    CHECK_INT(read(peer, &byte, 1), 0);
    for (int i = 0; i < 3; i++) SocketPool_remove(pool, sockets[i]);
    free_all(sockets, 3);
}

TEST(no_time_is_force) {
    fill(2);
    SocketPool_drain(pool, 0);
    CHECK_INT(calls, 1);
    CHECK_INT(forced, 1);
    CHECK_INT(Socket_debug_live_count(), 0);
}

TEST(time_runs_out) {
    fill(2);
    SocketPool_drain(pool, 20);
    CHECK_CMP(SocketPool_drain_remaining_ms(pool), <=, 20);
    CHECK_CMP(SocketPool_drain_remaining_ms(pool), >=, 0);
    int left;
    while ((left = SocketPool_drain_poll(pool)) > 0) CHECK_INT(left, 2);
    CHECK_INT(left, -1);
    CHECK_INT(forced, 1);
    CHECK_INT(SocketPool_drain_poll(pool), 0);
    CHECK_INT(SocketPool_drain_remaining_ms(pool), -1);
    CHECK_INT(Socket_debug_live_count(), 0);
    CHECK_INT(calls, 1);
}

static void *remove_all(void *arg) {
    (void)arg;
    for (int i = 0; i < 3; i++) {
        usleep(2000);
        SocketPool_remove(pool, sockets[i]);
    }
    return NULL;
}

TEST(waiting_ends_with_the_last_connection) {
    pthread_t thread;
    fill(3);
    CHECK_INT(pthread_create(&thread, NULL, remove_all, NULL), 0);
    CHECK_INT(SocketPool_drain_wait(pool, -1), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(calls, 1);
    CHECK_INT(forced, 0);
    free_all(sockets, 3);
}

TEST(waiting_ends_with_the_time) {
    fill(2);
    CHECK_INT(SocketPool_drain_wait(pool, 5), -1);
    CHECK_INT(forced, 1);
    CHECK_INT(Socket_debug_live_count(), 0);
    fill(2);
    CHECK_INT(SocketPool_drain_wait(pool, 0), -1);
    /* One that has no limit gets one. */
    fill(2);
    SocketPool_drain(pool, -1);
    CHECK_INT(SocketPool_drain_wait(pool, 5), -1);
    CHECK_INT(Socket_debug_live_count(), 0);
}

TEST(the_callback_may_raise) {
    fill(1);
    raise_in = 1;
    CHECK_RAISES_SAYING(SocketPool_drain_force(pool), Own, "a callback's own");
    CHECK_INT(SocketPool_is_stopped(pool), 1);
    CHECK_INT(Socket_debug_live_count(), 0);
    CHECK_INT(calls, 1);
}

static void end_the_pool(SocketPool_T which, int timed_out, void *arg) {
    (void)timed_out, (void)arg;
    CHECK_PTR(which, pool);
    SocketPool_free(&pool);
}

TEST(the_callback_may_free_the_pool) {
    Arena_T arena = new_arena();
    pool = SocketPool_new(arena, 3, 512);
    SocketPool_set_drain_callback(pool, end_the_pool, NULL);
    SocketPool_add(pool, new_socket(NULL));
    SocketPool_drain_force(pool);
    CHECK_PTR_NULL(pool);
    CHECK_INT(Socket_debug_live_count(), 0);
}

TEST(null_is_no_pool) {
    CHECK_RAISES_ERRNO(SocketPool_drain(NULL, 0), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_drain_poll(NULL), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_drain_force(NULL), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_drain_wait(NULL, 0), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_state(NULL), SocketPool_Failed, EINVAL);
}

TEST_MAIN

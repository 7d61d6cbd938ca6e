/*
 * threads.c - pool/SocketPool.h: many threads use one pool, each with its own sockets.
 */
#include "pool.h"

#include <pthread.h>
#include <stdatomic.h>

#define THREADS 4

static SocketPool_T pool;
static atomic_int approved, drained_times;

static int approve(Connection_T connection, void *arg) {
    (void)arg;
    atomic_fetch_add(&approved, 1);
    return Connection_isactive(connection) && SocketPool_count(pool) > 0;
}

static void *come_and_go(void *arg) {
    uint64_t mark = (uint64_t)(uintptr_t)arg;
    for (int i = 0; i < load(1500, 300, 60); i++) {
        Socket_T socket = new_socket(NULL);
        Connection_T connection = SocketPool_add(pool, socket);
        if (connection) {
            unsigned char data[64], out[64];
            fill_pattern(data, sizeof data, mark + (uint64_t)i);
            Connection_setdata(connection, arg);
            CHECK_INT(SocketBuf_write(Connection_inbuf(connection), data, sizeof data), sizeof data);
            CHECK_PTR(SocketPool_get(pool, socket), connection);
            CHECK_PTR(Connection_data(connection), arg);
            CHECK_PTR(Connection_socket(connection), socket);
            CHECK_INT(SocketBuf_read(Connection_inbuf(connection), out, sizeof out), sizeof out);
            CHECK_MEM(out, data, sizeof data);
            SocketPool_remove(pool, socket);
        }
        Socket_free(&socket);
    }
    return NULL;
}

static void look(Connection_T connection, void *arg) {
    (void)arg;
    (void)Connection_lastactivity(connection);
}

static atomic_int stop;

static void *watch(void *arg) {
    (void)arg;
    while (!atomic_load(&stop)) {
        SocketPool_Stats stats;
        SocketPool_foreach(pool, look, NULL);
        SocketPool_get_stats(pool, &stats);
        CHECK_CMP(stats.current_active, <=, THREADS);
        SocketPool_cleanup(pool, 1000);
        SocketPool_prewarm(pool, 50);
        usleep(500);
    }
    return NULL;
}

TEST(each_finds_its_own) {
    pthread_t threads[THREADS], watcher;
    pool = new_pool(THREADS);
    SocketPool_set_validation_callback(pool, approve, NULL);
    CHECK_INT(pthread_create(&watcher, NULL, watch, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, come_and_go, (void *)(uintptr_t)(i * 1000 + 1)), 0);
    for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
    atomic_store(&stop, 1);
    CHECK_INT(pthread_join(watcher, NULL), 0);
    CHECK_CMP(atomic_load(&approved), >, 0);
    CHECK_INT(SocketPool_count(pool), 0);
    CHECK_INT(Socket_debug_live_count(), 0);
}

static void drained(SocketPool_T which, int timed_out, void *arg) {
    (void)which, (void)timed_out, (void)arg;
    atomic_fetch_add(&drained_times, 1);
}

static void *drain(void *arg) {
    (void)arg;
    SocketPool_drain_wait(pool, 2);
    CHECK_INT(SocketPool_is_stopped(pool), 1);
    return NULL;
}

TEST(many_may_drain) {
    for (int round = 0; round < load(40, 20, 4); round++) {
        pthread_t threads[THREADS];
        pool = new_pool(THREADS);
        atomic_store(&drained_times, 0);
        SocketPool_set_drain_callback(pool, drained, NULL);
        for (int i = 0; i < THREADS; i++) SocketPool_add(pool, new_socket(NULL));
        for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_create(&threads[i], NULL, drain, NULL), 0);
        for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
        CHECK_INT(atomic_load(&drained_times), 1);
        CHECK_INT(Socket_debug_live_count(), 0);
    }
}

TEST_MAIN

/*
 * figures.c - pool/SocketPool.h: statistics, idle connections, how a connection is, limits by address.
 */
#include "pool.h"

static SocketPool_T pool;
static Socket_T sockets[4];

static void fill(int n) {
    pool = new_pool(4);
    for (int i = 0; i < n; i++) SocketPool_add(pool, sockets[i] = new_socket(NULL));
}

static int refuse(Connection_T connection, void *arg) {
    (void)connection, (void)arg;
    return 0;
}

TEST(what_happened_is_counted) {
    SocketPool_Stats stats;
    fill(3);
    CHECK(SocketPool_get_hit_rate(pool) == 0);
    SocketPool_get(pool, sockets[0]);
    SocketPool_get(pool, sockets[1]);
    SocketPool_get(pool, sockets[0]);
    SocketPool_remove(pool, sockets[2]);
    CHECK_PTR_NULL(SocketPool_get(pool, sockets[2]));
    CHECK(SocketPool_get_hit_rate(pool) == 0.75);
    SocketPool_set_validation_callback(pool, refuse, NULL);
    SocketPool_get(pool, sockets[1]);
    SocketPool_get_stats(pool, &stats);
    CHECK_INT(stats.total_added, 3);
    CHECK_INT(stats.total_removed, 2);
    CHECK_INT(stats.total_reused, 4);
    CHECK_INT(stats.total_validation_failures, 1);
    CHECK_INT(stats.current_active, 1);
    CHECK_INT(stats.current_idle, 0);
    CHECK_INT(stats.max_connections, 4);
    CHECK(stats.reuse_rate == 4.0 / 7.0);
    CHECK(stats.avg_connection_age_sec >= 0);
    CHECK(stats.churn_rate_per_sec > 0);
    SocketPool_reset_stats(pool);
    SocketPool_get_stats(pool, &stats);
    CHECK_INT(stats.total_added, 0);
    CHECK_INT(stats.current_active, 1);
    CHECK(stats.reuse_rate == 0);
    CHECK_RAISES_ERRNO(SocketPool_get_stats(pool, NULL), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_get_stats(NULL, &stats), SocketPool_Failed, EINVAL);
    free_all(sockets, 3);
}

TEST(idle_connections_go) {
    SocketPool_Stats stats;
    fill(2);
    CHECK_INT(SocketPool_get_idle_timeout(pool), 300);
    CHECK_CMP(SocketPool_idle_cleanup_due_ms(pool), <=, 60000);
    CHECK_CMP(SocketPool_idle_cleanup_due_ms(pool), >=, 0);
    CHECK_INT(SocketPool_run_idle_cleanup(pool), 0);
    SocketPool_set_idle_timeout(pool, 0);
    CHECK_INT(SocketPool_idle_cleanup_due_ms(pool), -1);
    CHECK_INT(SocketPool_run_idle_cleanup(pool), 0);
    SocketPool_set_idle_timeout(pool, 1);
    CHECK_INT(SocketPool_get_idle_timeout(pool), 1);
    CHECK_INT(SocketPool_get_active_count(pool), 2);
    while (SocketPool_get_idle_count(pool) < 2) usleep(10000);
    CHECK_INT(SocketPool_run_idle_cleanup(pool), 2);
    SocketPool_get_stats(pool, &stats);
    CHECK_INT(stats.total_idle_cleanups, 2);
    CHECK_INT(stats.current_active, 0);
    CHECK_INT(Socket_debug_live_count(), 0);
}

TEST(a_connection_is_looked_at) {
    int peer;
    SocketPool_Stats stats;
    fill(0);
    Socket_T socket = new_socket(&peer);
    Connection_T connection = SocketPool_add(pool, socket);
    CHECK_INT(SocketPool_check_connection(pool, connection), POOL_CONN_HEALTHY);
    CHECK_INT(write(peer, "x", 1), 1);
    CHECK_INT(SocketPool_check_connection(pool, connection), POOL_CONN_HEALTHY);
    close(peer);
    CHECK_INT(SocketPool_check_connection(pool, connection), POOL_CONN_HEALTHY);
    char byte;
    CHECK_INT(read(Socket_fd(socket), &byte, 1), 1);
    CHECK_INT(SocketPool_check_connection(pool, connection), POOL_CONN_DISCONNECTED);
    SocketPool_remove(pool, socket);
    CHECK_INT(SocketPool_check_connection(pool, connection), POOL_CONN_ERROR);
    CHECK_INT(SocketPool_check_connection(pool, NULL), POOL_CONN_ERROR);
    SocketPool_get_stats(pool, &stats);
    CHECK_INT(stats.total_health_checks, 4);
    CHECK_INT(stats.total_health_failures, 1);
    Socket_free(&socket);
}

TEST(one_that_is_idle_too_long_is_stale) {
    int peer;
    fill(0);
    Socket_T socket = new_socket(&peer);
    Connection_T connection = SocketPool_add(pool, socket);
    SocketPool_set_idle_timeout(pool, 1);
    while (SocketPool_get_idle_count(pool) == 0) usleep(10000);
    CHECK_INT(SocketPool_check_connection(pool, connection), POOL_CONN_STALE);
    close(peer);
    Socket_free(&socket);
}

TEST(an_address_has_its_number) {
    fill(0);
    CHECK_INT(SocketPool_getmaxperip(pool), 0);
    for (int i = 0; i < 5; i++) CHECK_INT(SocketPool_track_ip(pool, "192.0.2.1"), 1);
    CHECK_INT(SocketPool_ip_count(pool, "192.0.2.1"), 5);
    /* The same address in other words. */
    CHECK_INT(SocketPool_ip_count(pool, "::ffff:192.0.2.1"), 5);
    CHECK_INT(SocketPool_ip_count(pool, "192.0.2.2"), 0);
    SocketPool_setmaxperip(pool, 2);
    CHECK_INT(SocketPool_getmaxperip(pool), 2);
    CHECK_INT(SocketPool_accept_allowed(pool, "192.0.2.1"), 0);
    CHECK_INT(SocketPool_accept_allowed(pool, "192.0.2.2"), 1);
    CHECK_INT(SocketPool_accept_allowed(pool, NULL), 1);
    CHECK_INT(SocketPool_track_ip(pool, "192.0.2.1"), 0);
    for (int i = 0; i < 4; i++) SocketPool_release_ip(pool, "192.0.2.1");
    CHECK_INT(SocketPool_ip_count(pool, "192.0.2.1"), 1);
    CHECK_INT(SocketPool_track_ip(pool, "192.0.2.1"), 1);
    CHECK_INT(SocketPool_track_ip(pool, "192.0.2.1"), 0);
    CHECK_INT(SocketPool_track_ip(pool, NULL), 1);
    SocketPool_release_ip(pool, NULL);
    SocketPool_release_ip(pool, "nobody");
    CHECK_INT(SocketPool_ip_count(pool, NULL), 0);
    SocketPool_setmaxperip(pool, -1);
    CHECK_INT(SocketPool_getmaxperip(pool), 0);
    CHECK_INT(SocketPool_track_ip(pool, "192.0.2.1"), 1);
    CHECK_RAISES_ERRNO(SocketPool_setmaxperip(pool, 10001), SocketPool_Failed, EINVAL);
    SocketPool_drain(pool, 0);
    CHECK_INT(SocketPool_accept_allowed(pool, NULL), 0);
}

TEST(a_rate_is_set_and_taken_back) {
    fill(0);
    CHECK_INT(SocketPool_getconnrate(pool), 0);
    SocketPool_setconnrate(pool, 50, 3);
    CHECK_INT(SocketPool_getconnrate(pool), 50);
    CHECK_INT(SocketPool_accept_allowed(pool, NULL), 1);
    SocketPool_setconnrate(pool, 0, 3);
    CHECK_INT(SocketPool_getconnrate(pool), 0);
    CHECK_RAISES_ERRNO(SocketPool_setconnrate(pool, 1000001, 1), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_setconnrate(pool, 1, 1000001), SocketPool_Failed, EINVAL);
}

TEST_MAIN

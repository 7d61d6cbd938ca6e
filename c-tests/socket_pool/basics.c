/*
 * basics.c - pool/SocketPool.h: adding, finding, removing, cleaning up; what is known of a connection.
 */
#include "pool.h"

#include <time.h>

static void end(void *socket) { Socket_free(socket); }

/* A socket that ends with the test, at the latest. */
static Socket_T socket_of_test(void) {
    Socket_T *socket = alloc(sizeof *socket);
    *socket = new_socket(NULL);
    at_end(end, socket);
    return *socket;
}

TEST(a_pool_has_bounds) {
    Arena_T arena = new_arena();
    CHECK_RAISES_ERRNO(SocketPool_new(NULL, 10, 1024), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_new(arena, 0, 1024), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_new(arena, 10001, 1024), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_new(arena, 10, 511), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_new(arena, 10, 1024 * 1024 + 1), SocketPool_Failed, EINVAL);
    SocketPool_T pool = SocketPool_new(arena, 10000, 512);
    CHECK_INT(SocketPool_count(pool), 0);
    SocketPool_free(&pool);
    CHECK_PTR_NULL(pool);
    SocketPool_free(&pool);
    SocketPool_free(NULL);
}

TEST(an_arena_that_gives_no_more_fails_the_pool) {
    Arena_T arena = new_arena();
    SocketConfig_set_max_memory(SocketConfig_get_memory_used() + 4096);
    CHECK_RAISES_ERRNO(SocketPool_new(arena, 1000, 8192), SocketPool_Failed, ENOMEM);
    SocketConfig_set_max_memory(0);
    SocketPool_T pool = new_pool(2);
    Socket_T socket = socket_of_test();
    SocketPool_set_bufsize(pool, 1024 * 1024);
    SocketConfig_set_max_memory(SocketConfig_get_memory_used());
    CHECK_RAISES_ERRNO(SocketPool_add(pool, socket), SocketPool_Failed, ENOMEM);
    CHECK_INT(SocketPool_count(pool), 0);
    SocketConfig_set_max_memory(0);
    CHECK_PTR_NOT_NULL(SocketPool_add(pool, socket));
    CHECK_INT(SocketPool_count(pool), 1);
}

TEST(what_was_added_is_found) {
    SocketPool_T pool = new_pool(4);
    Socket_T a = socket_of_test(), b = socket_of_test();
    CHECK_PTR_NULL(SocketPool_get(pool, a));
    time_t before = time(NULL);
    Connection_T connection = SocketPool_add(pool, a);
    CHECK_PTR_NOT_NULL(connection);
    CHECK_INT(SocketPool_count(pool), 1);
    CHECK_PTR(SocketPool_get(pool, a), connection);
    CHECK_PTR_NULL(SocketPool_get(pool, b));
    CHECK_PTR(Connection_socket(connection), a);
    CHECK_PTR_NULL(Connection_data(connection));
    CHECK_INT(Connection_isactive(connection), 1);
    CHECK_CMP(Connection_created_at(connection), >=, before);
    CHECK_CMP(Connection_lastactivity(connection), >=, Connection_created_at(connection));
    CHECK_INT(SocketBuf_space(Connection_inbuf(connection)), 1024);
    CHECK_INT(SocketBuf_space(Connection_outbuf(connection)), 1024);
    CHECK(Connection_inbuf(connection) != Connection_outbuf(connection));
    Connection_setdata(connection, &pool);
    CHECK_PTR(Connection_data(SocketPool_get(pool, a)), &pool);
    SocketPool_remove(pool, a);
    CHECK_INT(Connection_isactive(connection), 0);
    CHECK_PTR_NULL(Connection_socket(connection));
    CHECK_PTR_NULL(Connection_data(connection));
    CHECK_PTR_NULL(SocketPool_get(pool, a));
    CHECK_INT(SocketPool_count(pool), 0);
    /* The socket is still the program's. */
    CHECK_CMP(fcntl(Socket_fd(a), F_GETFD), >=, 0);
}

TEST(a_known_socket_keeps_its_connection) {
    SocketPool_T pool = new_pool(4);
    Socket_T socket = socket_of_test();
    Connection_T connection = SocketPool_add(pool, socket);
    size_t len;
    SocketBuf_write(Connection_inbuf(connection), "in", 2);
    SocketBuf_write(Connection_outbuf(connection), "out", 3);
    const char *bytes = SocketBuf_readptr(Connection_outbuf(connection), &len);
    CHECK_PTR(SocketPool_add(pool, socket), connection);
    CHECK_INT(SocketPool_count(pool), 1);
    CHECK_INT(SocketBuf_available(Connection_inbuf(connection)), 0);
    CHECK_INT(SocketBuf_available(Connection_outbuf(connection)), 0);
    CHECK_MEM(bytes, "\0\0\0", 3);
}

TEST(the_slot_that_became_free_last_is_taken_first) {
    SocketPool_T pool = new_pool(5);
    Socket_T sockets[5];
    Connection_T connections[5];
    for (int i = 0; i < 5; i++) {
        sockets[i] = socket_of_test();
        connections[i] = SocketPool_add(pool, sockets[i]);
    }
    Connection_setdata(connections[3], pool);
    SocketBuf_T in = Connection_inbuf(connections[3]);
    size_t len;
    SocketBuf_write(in, "secret", 6);
    const char *bytes = SocketBuf_readptr(in, &len);
    SocketPool_remove(pool, sockets[1]);
    SocketPool_remove(pool, sockets[3]);
    CHECK_MEM(bytes, "\0\0\0\0\0\0", 6);
    CHECK_PTR(SocketPool_add(pool, sockets[1]), connections[3]);
    CHECK_PTR_NULL(Connection_data(connections[3]));
    CHECK_PTR(Connection_inbuf(connections[3]), in);
    CHECK_INT(SocketBuf_empty(in), 1);
    CHECK_PTR(SocketPool_add(pool, sockets[3]), connections[1]);
}

TEST(a_full_pool_takes_none) {
    SocketPool_T pool = new_pool(2);
    Socket_T a = socket_of_test(), b = socket_of_test(), c = socket_of_test();
    CHECK_PTR_NOT_NULL(SocketPool_add(pool, a));
    CHECK_PTR_NOT_NULL(SocketPool_add(pool, b));
    CHECK_PTR_NULL(SocketPool_add(pool, c));
    CHECK_PTR_NOT_NULL(SocketPool_add(pool, b));
    SocketPool_remove(pool, a);
    CHECK_PTR_NOT_NULL(SocketPool_add(pool, c));
}

TEST(null_is_no_argument) {
    SocketPool_T pool = new_pool(2);
    Socket_T socket = socket_of_test();
    CHECK_RAISES_ERRNO(SocketPool_add(NULL, socket), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_add(pool, NULL), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_get(NULL, socket), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_get(pool, NULL), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_remove(NULL, socket), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_remove(pool, NULL), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_foreach(pool, NULL, NULL), SocketPool_Failed, EINVAL);
    SocketPool_cleanup(NULL, 0);
}

static void ask_null(void *arg) { (void)arg, Connection_socket(NULL); }
static void set_null(void *arg) { (void)arg, Connection_setdata(NULL, NULL); }

TEST(a_null_connection_aborts_with_a_message) {
    CHECK_ABORTS(ask_null, NULL, "Connection_socket", "conn is NULL");
    CHECK_ABORTS(set_null, NULL, "Connection_setdata", "conn is NULL");
}

TEST(cleaning_up_frees_sockets) {
    int before = Socket_debug_live_count(), peer;
    SocketPool_T pool = new_pool(3);
    Socket_T sockets[3] = {new_socket(&peer), new_socket(NULL), new_socket(NULL)};
    for (int i = 0; i < 3; i++) SocketPool_add(pool, sockets[i]);
    SocketPool_cleanup(pool, 1000);
    CHECK_INT(SocketPool_count(pool), 3);
    SocketPool_cleanup(pool, 0);
    CHECK_INT(SocketPool_count(pool), 0);
    CHECK_INT(Socket_debug_live_count(), before);
    char byte;
    CHECK_INT(read(peer, &byte, 1), 0);
    close(peer);
    /* What the program holds is out of date, and harmless. */
    for (int i = 0; i < 3; i++) {
        SocketPool_remove(pool, sockets[i]);
        CHECK_PTR_NULL(SocketPool_get(pool, sockets[i]));
        CHECK_RAISES_ERRNO(SocketPool_add(pool, sockets[i]), SocketPool_Failed, EBADF);
        Socket_free(&sockets[i]);
        CHECK_PTR_NULL(sockets[i]);
    }
    CHECK_INT(Socket_debug_live_count(), before);
}

TEST(a_negative_time_is_none) {
    SocketPool_T pool = new_pool(3);
    SocketPool_add(pool, new_socket(NULL));
    SocketPool_cleanup(pool, -5);
    CHECK_INT(SocketPool_count(pool), 0);
}

TEST(a_socket_that_was_freed_in_the_pool_leaves_it) {
    SocketPool_T pool = new_pool(2);
    Socket_T a = new_socket(NULL), b = new_socket(NULL), stale_a = a, stale_b = b;
    SocketPool_add(pool, a);
    SocketPool_add(pool, b);
    Socket_free(&a);
    Socket_free(&b);
    SocketPool_remove(pool, stale_a);
    CHECK_INT(SocketPool_count(pool), 1);
    CHECK_PTR_NULL(SocketPool_get(pool, stale_b));
    CHECK_INT(SocketPool_count(pool), 0);
}

TEST(a_pool_that_ends_leaves_sockets_open) {
    int before = Socket_debug_live_count(), peer;
    SocketPool_T pool = SocketPool_new(new_arena(), 2, 512);
    Socket_T socket = new_socket(&peer);
    Connection_T connection = SocketPool_add(pool, socket);
    SocketPool_free(&pool);
    CHECK_INT(Socket_debug_live_count(), before + 1);
    CHECK_INT(write(peer, "x", 1), 1);
    char byte;
    CHECK_INT(read(Socket_fd(socket), &byte, 1), 1);
    CHECK_INT(Connection_isactive(connection), 0);
    CHECK_PTR_NULL(Connection_socket(connection));
    close(peer);
    Socket_free(&socket);
}

TEST(a_socket_may_be_in_two_pools) {
    SocketPool_T one = new_pool(2), two = new_pool(2);
    Socket_T socket = socket_of_test();
    Connection_T in_one = SocketPool_add(one, socket), in_two = SocketPool_add(two, socket);
    CHECK(in_one != in_two);
    SocketPool_remove(one, socket);
    CHECK_PTR(SocketPool_get(two, socket), in_two);
}

TEST(nothing_is_left_after_many) {
    SocketPool_T pool = new_pool(50);
    int before = fd_count(), live = Socket_debug_live_count();
    size_t memory = 0;
    for (int i = 0; i < load(2000, 500, 100); i++) {
        Socket_T socket = new_socket(NULL);
        Connection_T connection = SocketPool_add(pool, socket);
        SocketBuf_write(Connection_inbuf(connection), "x", 1);
        if (i % 3) SocketPool_remove(pool, socket);
        else SocketPool_cleanup(pool, 0);
        Socket_free(&socket);
        if (i == 10) memory = SocketConfig_get_memory_used();
    }
    CHECK_INT(SocketConfig_get_memory_used(), memory);
    CHECK_INT(Socket_debug_live_count(), live);
    CHECK_NO_NEW_FDS(before);
}

TEST_MAIN

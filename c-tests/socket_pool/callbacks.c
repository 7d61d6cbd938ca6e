/*
 * callbacks.c - pool/SocketPool.h: functions of the program's that see connections, and what they do with the pool.
 */
#include "pool.h"

static const Except_T Own = {&Own, "a callback's own"};

static SocketPool_T pool;
static Socket_T sockets[8];
static int calls, raise_in;
static Connection_T seen[16];

static void fill(size_t max, int n) {
    pool = new_pool(max);
    for (int i = 0; i < n; i++) {
        sockets[i] = new_socket(NULL);
        SocketPool_add(pool, sockets[i]);
    }
}

static void empty(void) {
    SocketPool_cleanup(pool, 0);
    memset(sockets, 0, sizeof sockets);
}

static void see(Connection_T connection, void *arg) {
    CHECK_PTR(arg, &calls);
    seen[calls++] = connection;
    if (calls == raise_in) RAISE(Own);
}

TEST(each_is_shown_in_the_order_of_adding) {
    fill(5, 5);
    SocketPool_remove(pool, sockets[1]);
    SocketPool_remove(pool, sockets[3]);
    SocketPool_add(pool, sockets[3]);
    SocketPool_add(pool, sockets[1]);
    SocketPool_foreach(pool, see, &calls);
    static const int order[] = {0, 2, 4, 3, 1};
    CHECK_INT(calls, 5);
    for (int i = 0; i < 5; i++) CHECK_PTR(Connection_socket(seen[i]), sockets[order[i]]);
    calls = 0, raise_in = 2;
    CHECK_RAISES_SAYING(SocketPool_foreach(pool, see, &calls), Own, "a callback's own");
    CHECK_INT(calls, 2);
    CHECK_INT(SocketPool_count(pool), 5);
    empty();
}

/* What is forbidden and must do no harm. */
static void call_the_pool(Connection_T connection, void *arg) {
    (void)arg;
    calls++;
    CHECK_INT(Connection_isactive(connection), 1);
    if (calls == 1) {
        SocketPool_remove(pool, sockets[1]);
        Socket_free(&sockets[1]);
        sockets[1] = new_socket(NULL);
        SocketPool_add(pool, sockets[1]);
        SocketPool_resize(pool, 100);
        SocketPool_foreach(pool, see, &calls);
        return;
    }
    if (calls == 6) {
        SocketPool_cleanup(pool, 0);
        SocketPool_free(&pool);
    }
}

TEST(a_function_that_calls_the_pool_does_no_harm) {
    Arena_T arena = new_arena();
    pool = SocketPool_new(arena, 4, 512);
    for (int i = 0; i < 4; i++) SocketPool_add(pool, sockets[i] = new_socket(NULL));
    SocketPool_foreach(pool, call_the_pool, NULL);
    /* The first call showed four; the second connection was gone, the third call ended all. */
    CHECK_INT(calls, 6);
    CHECK_PTR_NULL(pool);
    CHECK_INT(Socket_debug_live_count(), 0);
}

static int judge(Connection_T connection, void *arg) {
    calls++;
    CHECK_INT(Connection_isactive(connection), 1);
    if (raise_in) RAISE(Own);
    return *(int *)arg;
}

TEST(who_is_asked_may_refuse) {
    int answer = 7;
    fill(2, 2);
    SocketPool_set_validation_callback(pool, judge, &answer);
    CHECK_PTR_NOT_NULL(SocketPool_get(pool, sockets[0]));
    CHECK_INT(calls, 1);
    answer = 0;
    CHECK_PTR_NULL(SocketPool_get(pool, sockets[0]));
    CHECK_INT(SocketPool_count(pool), 1);
    CHECK_INT(Socket_debug_live_count(), 2);
    CHECK_PTR_NULL(SocketPool_get(pool, sockets[0]));
    CHECK_INT(calls, 2);
    raise_in = 1;
    CHECK_RAISES_SAYING(SocketPool_get(pool, sockets[1]), Own, "a callback's own");
    CHECK_INT(SocketPool_count(pool), 1);
    SocketPool_set_validation_callback(pool, NULL, NULL);
    CHECK_PTR_NOT_NULL(SocketPool_get(pool, sockets[1]));
    Socket_free(&sockets[0]);
    empty();
}

static int remove_and_approve(Connection_T connection, void *arg) {
    (void)arg;
    Socket_T socket = Connection_socket(connection);
    SocketPool_remove(pool, socket);
    /* Another takes the slot. */
    CHECK_PTR(SocketPool_add(pool, sockets[1]), connection);
    return 1;
}

TEST(who_is_asked_may_remove) {
    fill(1, 1);
    sockets[1] = new_socket(NULL);
    SocketPool_set_validation_callback(pool, remove_and_approve, NULL);
    CHECK_PTR_NULL(SocketPool_get(pool, sockets[0]));
    CHECK_INT(SocketPool_count(pool), 1);
    Socket_free(&sockets[0]);
    empty();
    CHECK_INT(Socket_debug_live_count(), 0);
}

static int is_odd(Connection_T connection, void *arg) {
    (void)arg;
    if (raise_in) RAISE(Own);
    return Connection_data(connection) != NULL;
}

TEST(connections_are_looked_for) {
    Connection_T out[4];
    fill(8, 8);
    CHECK_PTR_NULL(SocketPool_find(pool, is_odd, NULL));
    for (int i = 1; i < 8; i += 2) Connection_setdata(SocketPool_get(pool, sockets[i]), pool);
    CHECK_PTR(Connection_socket(SocketPool_find(pool, is_odd, NULL)), sockets[1]);
    CHECK_INT(SocketPool_filter(pool, is_odd, NULL, out, 3), 3);
    for (int i = 0; i < 3; i++) CHECK_PTR(Connection_socket(out[i]), sockets[2 * i + 1]);
    CHECK_INT(SocketPool_filter(pool, is_odd, NULL, out, 4), 4);
    CHECK_INT(SocketPool_filter(pool, is_odd, NULL, NULL, 0), 0);
    CHECK_RAISES_ERRNO(SocketPool_filter(pool, is_odd, NULL, NULL, 1), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_find(pool, NULL, NULL), SocketPool_Failed, EINVAL);
    raise_in = 1;
    CHECK_RAISES_SAYING(SocketPool_find(pool, is_odd, NULL), Own, "a callback's own");
    empty();
}

static size_t sizes[8];

static void resized(SocketPool_T which, size_t old_size, size_t new_size, void *arg) {
    CHECK_PTR(which, pool);
    CHECK_PTR(arg, &calls);
    sizes[calls++] = old_size;
    sizes[calls++] = new_size;
    sizes[calls++] = SocketPool_count(which);
    if (raise_in) RAISE(Own);
}

TEST(a_pool_is_resized) {
    fill(4, 4);
    SocketPool_set_pre_resize_callback(pool, resized, &calls);
    SocketPool_resize(pool, 4);
    CHECK_INT(calls, 0);
    SocketPool_resize(pool, 6);
    CHECK_INT(calls, 3);
    CHECK_INT(sizes[0], 4);
    CHECK_INT(sizes[1], 6);
    for (int i = 4; i < 6; i++) CHECK_PTR_NOT_NULL(SocketPool_add(pool, sockets[i] = new_socket(NULL)));
    CHECK_PTR_NULL(SocketPool_add(pool, sockets[6] = new_socket(NULL)));
    raise_in = 1;
    CHECK_RAISES_SAYING(SocketPool_resize(pool, 2), Own, "a callback's own");
    CHECK_INT(SocketPool_count(pool), 6);
    SocketPool_set_pre_resize_callback(pool, NULL, NULL);
    SocketPool_set_resize_callback(pool, resized, &calls);
    calls = 0;
    CHECK_RAISES_SAYING(SocketPool_resize(pool, 2), Own, "a callback's own");
    CHECK_INT(sizes[0], 6);
    CHECK_INT(sizes[1], 2);
    CHECK_INT(sizes[2], 2);
    CHECK_INT(SocketPool_count(pool), 2);
    CHECK_INT(Socket_debug_live_count(), 3);
    CHECK_PTR_NULL(SocketPool_add(pool, sockets[6]));
    SocketPool_set_resize_callback(pool, NULL, NULL);
    SocketPool_resize(pool, 0);
    CHECK_INT(SocketPool_count(pool), 1);
    SocketPool_resize(pool, 1000000);
    CHECK_PTR_NOT_NULL(SocketPool_add(pool, sockets[6]));
    empty();
}

TEST(the_longest_idle_go_first) {
    fill(3, 3);
    SocketPool_get(pool, sockets[0]);
    SocketPool_resize(pool, 1);
    CHECK_PTR_NOT_NULL(SocketPool_get(pool, sockets[0]));
    CHECK_INT(Socket_debug_live_count(), 1);
    empty();
}

static void use(Connection_T connection, void *arg) {
    (void)arg;
    if (raise_in) RAISE(Own);
    if (Connection_socket(connection) == sockets[1]) SocketPool_remove(pool, sockets[1]);
    calls++;
}

TEST(who_is_about_to_go_is_shown) {
    fill(3, 3);
    SocketPool_set_idle_callback(pool, use, NULL);
    SocketPool_cleanup(pool, 1000);
    CHECK_INT(calls, 0);
    raise_in = 1;
    CHECK_RAISES_SAYING(SocketPool_cleanup(pool, 0), Own, "a callback's own");
    CHECK_INT(SocketPool_count(pool), 3);
    raise_in = 0;
    SocketPool_cleanup(pool, 0);
    CHECK_INT(calls, 3);
    CHECK_INT(SocketPool_count(pool), 0);
    CHECK_INT(Socket_debug_live_count(), 1);
    Socket_free(&sockets[1]);
}

static void too_much(void *arg) { SocketPool_prewarm(arg, 101); }
static void too_little(void *arg) { SocketPool_prewarm(arg, -1); }

TEST(slots_get_their_buffers_beforehand) {
    fill(10, 0);
    size_t before = SocketConfig_get_memory_used();
    SocketPool_prewarm(pool, 20);
    CHECK_INT(SocketConfig_get_memory_used(), before);
    SocketPool_prewarm(pool, 100);
    CHECK_CMP(SocketConfig_get_memory_used(), >, before + 8 * 1024);
    before = SocketConfig_get_memory_used();
    SocketPool_set_bufsize(pool, 4096);
    for (int i = 0; i < 8; i++) {
        Connection_T connection = SocketPool_add(pool, sockets[i] = new_socket(NULL));
        CHECK_INT(SocketBuf_space(Connection_inbuf(connection)), 1024);
    }
    CHECK_INT(SocketConfig_get_memory_used(), before);
    CHECK_ABORTS(too_much, pool, "SocketPool_prewarm", "percentage");
    CHECK_ABORTS(too_little, pool, "SocketPool_prewarm", "percentage");
    empty();
}

TEST(the_size_of_buffers_is_for_new_slots) {
    static const size_t wanted[] = {4096, 1, (size_t)-1}, given[] = {4096, 512, 1024 * 1024};
    fill(4, 1);
    for (int i = 0; i < 3; i++) {
        SocketPool_set_bufsize(pool, wanted[i]);
        Connection_T connection = SocketPool_add(pool, sockets[i + 1] = new_socket(NULL));
        CHECK_INT(SocketBuf_space(Connection_inbuf(connection)), given[i]);
        CHECK_INT(SocketBuf_space(Connection_outbuf(connection)), given[i]);
    }
    CHECK_INT(SocketBuf_space(Connection_inbuf(SocketPool_get(pool, sockets[0]))), 1024);
    empty();
}

TEST_MAIN

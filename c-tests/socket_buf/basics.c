/*
 * basics.c - socket/SocketBuf.h: bytes in, bytes out, in order; what is refused.
 */
#include "buf.h"

#include "../support/aborts.h"

TEST(a_new_buffer_is_empty) {
    SocketBuf_T buf = new_buf(512);
    CHECK_PTR_NOT_NULL(buf);
    CHECK_INT(SocketBuf_available(buf), 0);
    CHECK_INT(SocketBuf_space(buf), 512);
    CHECK_INT(SocketBuf_empty(buf), 1);
    CHECK_INT(SocketBuf_full(buf), 0);
    CHECK(SocketBuf_check_invariants(buf));
    SocketBuf_release(&buf);
    CHECK_PTR_NULL(buf);
    SocketBuf_release(&buf);
    SocketBuf_release(NULL);
    CHECK(!SocketBuf_check_invariants(NULL));
}

TEST(the_capacity_has_bounds) {
    Arena_T arena = new_arena();
    CHECK_RAISES_ERRNO(SocketBuf_new(arena, 511), SocketBuf_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketBuf_new(arena, 1024 * 1024 + 1), SocketBuf_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketBuf_new(NULL, 4096), SocketBuf_Failed, EINVAL);
    CHECK_INT(SocketBuf_space(SocketBuf_new(arena, 1024 * 1024)), 1024 * 1024);
}

TEST(what_goes_in_comes_out) {
    char data[600], out[600];
    SocketBuf_T buf = new_buf(512);
    fill_pattern(data, sizeof data, 0);
    CHECK_INT(SocketBuf_write(buf, data, 300), 300);
    CHECK_INT(SocketBuf_peek(buf, out, 100), 100);
    CHECK_MEM(out, data, 100);
    CHECK_INT(SocketBuf_read(buf, out, sizeof out), 300);
    CHECK_MEM(out, data, 300);
    CHECK_INT(SocketBuf_read(buf, out, sizeof out), 0);
    CHECK_INT(SocketBuf_write(buf, data, sizeof data), 512);
    CHECK_INT(SocketBuf_full(buf), 1);
    CHECK_INT(SocketBuf_write(buf, data, 1), 0);
    CHECK_INT(SocketBuf_read(buf, out, 200), 200);
    /* Round the corner. */
    CHECK_INT(SocketBuf_write(buf, data + 512, 88), 88);
    CHECK_INT(SocketBuf_read(buf, out + 200, 400), 400);
    CHECK_MEM(out, data, 600);
    CHECK_INT(SocketBuf_empty(buf), 1);
}

TEST(nothing_can_be_moved_from_and_to_null) {
    SocketBuf_T buf = new_buf(512);
    CHECK_INT(SocketBuf_write(buf, NULL, 0), 0);
    CHECK_INT(SocketBuf_read(buf, NULL, 0), 0);
    CHECK_INT(SocketBuf_peek(buf, NULL, 0), 0);
    CHECK_RAISES_ERRNO(SocketBuf_write(buf, NULL, 1), SocketBuf_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketBuf_read(buf, NULL, 1), SocketBuf_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketBuf_peek(buf, NULL, 1), SocketBuf_Failed, EINVAL);
}

TEST(only_what_is_there_is_consumed) {
    char out[4];
    SocketBuf_T buf = new_buf(512);
    SocketBuf_write(buf, "abcdef", 6);
    CHECK_RAISES_ERRNO(SocketBuf_consume(buf, 7), SocketBuf_Failed, EINVAL);
    SocketBuf_consume(buf, 0);
    SocketBuf_consume(buf, 4);
    CHECK_INT(SocketBuf_read(buf, out, sizeof out), 2);
    CHECK_MEM(out, "ef", 2);
}

TEST(clearing_empties_and_wiping_overwrites) {
    size_t len;
    SocketBuf_T buf = new_buf(512);
    SocketBuf_write(buf, "secret", 6);
    const char *at = SocketBuf_readptr(buf, &len);
    CHECK_INT(len, 6);
    SocketBuf_clear(buf);
    CHECK_INT(SocketBuf_available(buf), 0);
    CHECK_MEM(at, "secret", 6);
    SocketBuf_write(buf, "secret", 6);
    SocketBuf_secureclear(buf);
    CHECK_INT(SocketBuf_available(buf), 0);
    CHECK_INT(SocketBuf_space(buf), 512);
    CHECK_MEM(at, "\0\0\0\0\0\0", 6);
}

TEST(its_own_bytes_can_be_written_again) {
    char out[64];
    size_t len;
    SocketBuf_T buf = new_buf(512);
    SocketBuf_write(buf, "0123456789", 10);
    const void *at = SocketBuf_readptr(buf, &len);
    CHECK_INT(SocketBuf_write(buf, at, len), 10);
    CHECK_INT(SocketBuf_read(buf, out, sizeof out), 20);
    CHECK_MEM(out, "01234567890123456789", 20);
}

static void write_null(void *arg) { (void)arg, SocketBuf_write(NULL, "x", 1); }
static void ask_null(void *arg) { (void)arg, SocketBuf_available(NULL); }
static void clear_null(void *arg) { (void)arg, SocketBuf_clear(NULL); }
static void grow_null(void *arg) { (void)arg, SocketBuf_reserve(NULL, 1); }

TEST(a_null_buffer_aborts_with_a_message) {
    CHECK_ABORTS(write_null, NULL, "SocketBuf_write", "buf is NULL");
    CHECK_ABORTS(ask_null, NULL, "SocketBuf_available", "buf is NULL");
    CHECK_ABORTS(clear_null, NULL, "SocketBuf_clear", "buf is NULL");
    CHECK_ABORTS(grow_null, NULL, "SocketBuf_reserve", "buf is NULL");
}

TEST_MAIN

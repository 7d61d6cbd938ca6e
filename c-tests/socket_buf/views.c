/*
 * views.c - socket/SocketBuf.h: growing, pieces of memory, looking for bytes, lines, vectors.
 */
#include "buf.h"

#include "core/SocketConfig.h"

/* A buffer of 512 bytes whose content begins at byte `at` of its memory. */
static SocketBuf_T turned(size_t at) {
    char bytes[512] = {0};
    SocketBuf_T buf = new_buf(512);
    SocketBuf_write(buf, bytes, at + 1);
    SocketBuf_consume(buf, at);
    SocketBuf_write(buf, "!", 1);
    SocketBuf_consume(buf, 1);
    return buf;
}

TEST(it_grows_when_asked) {
    char data[3000], out[3000];
    SocketBuf_T buf = turned(400);
    fill_pattern(data, sizeof data, 7);
    SocketBuf_consume(buf, 1);
    CHECK_INT(SocketBuf_write(buf, data, 500), 500);
    CHECK_INT(SocketBuf_ensure(buf, 12), 1);
    CHECK_INT(SocketBuf_space(buf), 12);
    CHECK_INT(SocketBuf_ensure(buf, 2500), 1);
    CHECK_CMP(SocketBuf_space(buf), >=, 2500);
    CHECK(SocketBuf_check_invariants(buf));
    CHECK_INT(SocketBuf_write(buf, data + 500, 2500), 2500);
    CHECK_INT(SocketBuf_read(buf, out, sizeof out), 3000);
    CHECK_MEM(out, data, 3000);
    SocketBuf_reserve(buf, 5000);
    CHECK_CMP(SocketBuf_space(buf), >=, 5000);
}

TEST(what_it_grew_out_of_is_overwritten) {
    size_t len;
    SocketBuf_T buf = new_buf(512);
    SocketBuf_write(buf, "secret", 6);
    const char *before = SocketBuf_readptr(buf, &len);
    SocketBuf_reserve(buf, 1000);
    CHECK(SocketBuf_readptr(buf, &len) != before);
    CHECK_MEM(before, "\0\0\0\0\0\0", 6);
}

TEST(an_arena_that_gives_no_more_leaves_it_as_it_was) {
    char out[8];
    SocketBuf_T buf = new_buf(512);
    SocketBuf_write(buf, "abc", 3);
    CHECK_RAISES_ERRNO(SocketBuf_reserve(buf, (size_t)-1), SocketBuf_Failed, ENOMEM);
    CHECK_RAISES_ERRNO(SocketBuf_reserve(buf, (size_t)300 * 1024 * 1024), SocketBuf_Failed, ENOMEM);
    CHECK_INT(SocketBuf_ensure(buf, (size_t)300 * 1024 * 1024), 0);
    SocketConfig_set_max_memory(SocketConfig_get_memory_used());
    CHECK_RAISES_ERRNO(SocketBuf_reserve(buf, 4 * 1024 * 1024), SocketBuf_Failed, ENOMEM);
    CHECK_RAISES_ERRNO(SocketBuf_new(new_arena(), 4096), SocketBuf_Failed, ENOMEM);
    SocketConfig_set_max_memory(0);
    CHECK_INT(SocketBuf_read(buf, out, sizeof out), 3);
    CHECK_MEM(out, "abc", 3);
}

TEST(content_and_room_come_in_pieces) {
    char data[512], out[512];
    size_t len, room;
    SocketBuf_T buf = new_buf(512);
    CHECK_PTR_NULL(SocketBuf_readptr(buf, &len));
    CHECK_INT(len, 0);
    buf = turned(400);
    SocketBuf_consume(buf, 1);
    fill_pattern(data, sizeof data, 0);
    char *to = SocketBuf_writeptr(buf, &room);
    CHECK_PTR_NOT_NULL(to);
    memcpy(to, data, room);
    CHECK_RAISES_ERRNO(SocketBuf_written(buf, room + 1), SocketBuf_Failed, EINVAL);
    SocketBuf_written(buf, room);
    CHECK_INT(SocketBuf_available(buf), room);
    SocketBuf_write(buf, data + room, 512 - room);
    CHECK_PTR_NULL(SocketBuf_writeptr(buf, &len));
    CHECK_INT(len, 0);
    const void *from = SocketBuf_readptr(buf, &len);
    CHECK_MEM(from, data, len);
    SocketBuf_compact(buf);
    from = SocketBuf_readptr(buf, &len);
    CHECK_INT(len, 512);
    CHECK_MEM(from, data, 512);
    CHECK_INT(SocketBuf_read(buf, out, 512), 512);
    CHECK_MEM(out, data, 512);
    CHECK_RAISES_ERRNO(SocketBuf_readptr(buf, NULL), SocketBuf_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketBuf_writeptr(buf, NULL), SocketBuf_Failed, EINVAL);
}

TEST(bytes_are_found_round_the_corner_too) {
    for (size_t at = 480; at < 511; at++) {
        SocketBuf_T buf = turned(at);
        SocketBuf_consume(buf, 1);
        SocketBuf_write(buf, "aaaaaab\r\n\r\nrest", 15);
        CHECK_INT(SocketBuf_find(buf, "\r\n\r\n", 4), 7);
        CHECK_INT(SocketBuf_find(buf, "aab", 3), 4);
        CHECK_INT(SocketBuf_find(buf, "a", 1), 0);
        CHECK_INT(SocketBuf_find(buf, "rest!", 5), -1);
        CHECK_INT(SocketBuf_find(buf, "x", 1), -1);
        CHECK_INT(SocketBuf_find(buf, "aaaaaab\r\n\r\nrest?", 16), -1);
        CHECK_INT(SocketBuf_find(buf, "", 0), 0);
        CHECK_INT(SocketBuf_find(buf, NULL, 0), 0);
    }
    CHECK_RAISES_ERRNO(SocketBuf_find(new_buf(512), NULL, 1), SocketBuf_Failed, EINVAL);
}

TEST(lines_come_whole) {
    char line[16];
    SocketBuf_T buf = turned(505);
    SocketBuf_consume(buf, 1);
    CHECK_INT(SocketBuf_readline(buf, line, sizeof line), -1);
    SocketBuf_write(buf, "first", 5);
    CHECK_INT(SocketBuf_readline(buf, line, sizeof line), -1);
    CHECK_INT(SocketBuf_available(buf), 5);
    SocketBuf_write(buf, " line\n\nsecond\r\n0123456789abcdefgh\n", 34);
    CHECK_INT(SocketBuf_readline(buf, line, sizeof line), 10);
    CHECK_STR(line, "first line");
    CHECK_INT(SocketBuf_readline(buf, line, sizeof line), 0);
    CHECK_STR(line, "");
    CHECK_INT(SocketBuf_readline(buf, line, sizeof line), 7);
    CHECK_STR(line, "second\r");
    /* Longer than its place: in parts. */
    CHECK_INT(SocketBuf_readline(buf, line, sizeof line), 15);
    CHECK_STR(line, "0123456789abcde");
    CHECK_INT(SocketBuf_readline(buf, line, sizeof line), 3);
    CHECK_STR(line, "fgh");
    CHECK_INT(SocketBuf_empty(buf), 1);
    SocketBuf_write(buf, "x\n", 2);
    CHECK_INT(SocketBuf_readline(buf, line, 1), 0);
    CHECK_INT(SocketBuf_available(buf), 2);
    CHECK_RAISES_ERRNO(SocketBuf_readline(buf, NULL, 5), SocketBuf_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketBuf_readline(buf, line, 0), SocketBuf_Failed, EINVAL);
}

TEST(vectors_are_filled_in_order) {
    char a[4] = {0}, b[10] = {0}, data[600];
    SocketBuf_T buf = new_buf(512);
    struct iovec from[3] = {{"abc", 3}, {NULL, 0}, {"defgh", 5}};
    CHECK_INT(SocketBuf_writev(buf, from, 3), 8);
    struct iovec to[2] = {{a, sizeof a}, {b, sizeof b}};
    CHECK_INT(SocketBuf_readv(buf, to, 2), 8);
    CHECK_MEM(a, "abcd", 4);
    CHECK_MEM(b, "efgh", 4);
    CHECK_INT(SocketBuf_readv(buf, NULL, 0), 0);
    fill_pattern(data, sizeof data, 0);
    struct iovec large[2] = {{data, 500}, {data + 500, 100}};
    CHECK_INT(SocketBuf_writev(buf, large, 2), 512);
    CHECK_INT(SocketBuf_full(buf), 1);
    struct iovec wrong = {NULL, 1};
    CHECK_RAISES_ERRNO(SocketBuf_writev(buf, &wrong, 1), SocketBuf_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketBuf_readv(buf, &wrong, 1), SocketBuf_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketBuf_readv(buf, to, -1), SocketBuf_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketBuf_readv(buf, NULL, 1), SocketBuf_Failed, EINVAL);
    struct iovec overflow[2] = {{data, SIZE_MAX / 2}, {data, SIZE_MAX / 2 + 2}};
    CHECK_RAISES_ERRNO(SocketBuf_writev(buf, overflow, 2), SocketBuf_Failed, EINVAL);
}

TEST_MAIN

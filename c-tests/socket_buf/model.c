/*
 * model.c - socket/SocketBuf.h: any sequence of operations gives what a plain array of bytes gives.
 */
#include "buf.h"

#include <stdio.h>

#define MOST 8192

/* The content as it should be, and how much more there is room for. */
static struct {
    unsigned char bytes[MOST];
    size_t len, capacity;
} model;

static uint64_t seed;

static size_t any(size_t below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(seed >> 33) % below;
}

static void drop(size_t count) {
    memmove(model.bytes, model.bytes + count, model.len - count);
    model.len -= count;
}

static void append(const unsigned char *data, size_t count) {
    memcpy(model.bytes + model.len, data, count);
    model.len += count;
}

static void step(SocketBuf_T buf) {
    unsigned char data[700], out[700];
    size_t n = any(sizeof data), there, expected;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)(9 + any(30) / 7);
    size_t room = model.capacity - model.len;
    switch (any(12)) {
    case 0:
    case 1:
    case 2:
        expected = n < room ? n : room;
        CHECK_INT(SocketBuf_write(buf, data, n), expected);
        append(data, expected);
        break;
    case 3:
    case 4:
        expected = n < model.len ? n : model.len;
        CHECK_INT(SocketBuf_read(buf, out, n), expected);
        CHECK_MEM(out, model.bytes, expected);
        drop(expected);
        break;
    case 5:
        expected = n < model.len ? n : model.len;
        CHECK_INT(SocketBuf_peek(buf, out, n), expected);
        CHECK_MEM(out, model.bytes, expected);
        break;
    case 6:
        n = any(model.len + 1);
        SocketBuf_consume(buf, n);
        drop(n);
        break;
    case 7: {
        const void *at = SocketBuf_readptr(buf, &there);
        CHECK((there == 0) == (model.len == 0));
        CHECK_CMP(there, <=, model.len);
        CHECK_MEM(at, model.bytes, there);
        break;
    }
    case 8: {
        void *at = SocketBuf_writeptr(buf, &there);
        CHECK((there == 0) == (room == 0));
        n = n < there ? n : there;
        if (n > 0) memcpy(at, data, n);
        SocketBuf_written(buf, n);
        append(data, n);
        break;
    }
    case 9: {
        size_t k = 1 + any(3);
        void *at = memmem(model.bytes, model.len, data, k);
        CHECK_INT(SocketBuf_find(buf, data, k), at ? (unsigned char *)at - model.bytes : -1);
        break;
    }
    case 10: {
        /* Bytes of 3 are as good as newlines: here they stand for none. */
        char line[64];
        unsigned char *end = memchr(model.bytes, '\n', model.len);
        if (any(2)) SocketBuf_compact(buf);
        there = end ? (size_t)(end - model.bytes) : 0;
        expected = there < sizeof line ? there : sizeof line - 1;
        CHECK_INT(SocketBuf_readline(buf, line, sizeof line), end ? (long long)expected : -1);
        if (!end) break;
        CHECK_MEM(line, model.bytes, expected);
        CHECK_INT(line[expected], '\0');
        drop(expected + (expected == there));
        break;
    }
    default:
        if (any(40) == 0) SocketBuf_clear(buf), model.len = 0;
        else if (any(40) == 0 && model.capacity < MOST / 2) {
            SocketBuf_reserve(buf, room + 1);
            model.capacity = SocketBuf_space(buf) + model.len;
            CHECK_CMP(model.capacity, <=, MOST);
        }
    }
    CHECK_INT(SocketBuf_available(buf), model.len);
    CHECK_INT(SocketBuf_space(buf), model.capacity - model.len);
    CHECK_INT(SocketBuf_empty(buf), model.len == 0);
    CHECK_INT(SocketBuf_full(buf), model.len == model.capacity);
    CHECK(SocketBuf_check_invariants(buf));
}

TEST(it_is_as_an_array) {
    Arena_T arena = new_arena();
    for (int run = 0; run < load(60, 12, 3); run++) {
        seed = (uint64_t)run;
        model.len = 0;
        model.capacity = 512 + any(1000);
        SocketBuf_T buf = SocketBuf_new(arena, model.capacity);
        for (int i = 0; i < 3000; i++) step(buf);
    }
}

TEST_MAIN

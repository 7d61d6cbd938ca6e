/* Arena.h: blocks, their limits and where failures are raised, clearing, use by several threads; the budget of SocketConfig.h. */
#include "../harness.h"
#include "core/Arena.h"
#include "core/SocketConfig.h"
#include "core/SocketError.h"

#include <pthread.h>

/* Evaluates `call` and tells whether it raised Arena_Failed, with this errno, from this file. */
#define FAILS(call, expected_errno)                                                                                    \
    do {                                                                                                               \
        volatile int raised_ = 0;                                                                                      \
        TRY(void)(call);                                                                                               \
        EXCEPT (Arena_Failed)                                                                                          \
            raised_ = 1;                                                                                               \
            CHECK_INT(errno, (expected_errno));                                                                        \
            CHECK_INT(Socket_geterrno(), (expected_errno));                                                            \
            CHECK_STR(Except_frame.exception->reason, Socket_GetLastError());                                          \
        END_TRY;                                                                                                       \
        if (!raised_) FAIL("%s does not raise", #call);                                                                \
    } while (0)

TEST(blocks_are_aligned_and_apart) {
    Arena_T arena = Arena_new();
    CHECK_PTR_NOT_NULL(arena);
    unsigned char *blocks[300];
    for (size_t i = 0; i < 300; i++) {
        blocks[i] = ALLOC(arena, i + 1);
        CHECK_INT((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)i, i + 1);
    }
    for (size_t i = 0; i < 300; i++)
        for (size_t k = 0; k <= i; k++) CHECK_INT(blocks[i][k], i & 255);
    Arena_dispose(&arena);
    CHECK_PTR_NULL(arena);
    Arena_dispose(&arena);
    Arena_dispose(NULL);
}

TEST(calloc_gives_zeros) {
    Arena_T arena = Arena_new_unlocked();
    memset(ALLOC(arena, 5000), 0xff, 5000);
    Arena_reset(arena);
    unsigned char *block = CALLOC(arena, 50, 100);
    for (int i = 0; i < 5000; i++) CHECK_INT(block[i], 0);
    Arena_dispose(&arena);
}

TEST(a_block_has_limits) {
    Arena_T volatile arena = Arena_new();
    FAILS(ALLOC(NULL, 1), EINVAL);
    FAILS(CALLOC(NULL, 1, 1), EINVAL);
    FAILS(ALLOC(arena, 0), EINVAL);
    FAILS(CALLOC(arena, 0, 1), EINVAL);
    FAILS(CALLOC(arena, 1, 0), EINVAL);
    FAILS(ALLOC(arena, 256u * 1024 * 1024 + 1), EINVAL);
    FAILS(ALLOC(arena, (size_t)-1), EINVAL);
    FAILS(CALLOC(arena, 2, (size_t)-1 / 2 + 1), EINVAL);
    FAILS(CALLOC(arena, 1024, 256 * 1024 + 1), EINVAL);
    char *block = ALLOC(arena, 256u * 1024 * 1024);
    block[256u * 1024 * 1024 - 1] = 1;
    CHECK_STR(CALLOC(arena, 1, 1), "");
    Arena_T last = arena;
    Arena_dispose(&last);
}

TEST(a_failure_is_raised_where_the_block_was_asked_for) {
    volatile int line = 0;
    TRY
        line = __LINE__ + 1;
        ALLOC(NULL, 1);
    EXCEPT (Arena_Failed)
        CHECK_STR(Except_frame.file, __FILE__);
        CHECK_INT(Except_frame.line, line);
    END_TRY;
    TRY
        Arena_alloc(NULL, 1, NULL, 0);
    EXCEPT (Arena_Failed)
        CHECK_STR(Except_frame.file, "Arena_alloc");
    END_TRY;
}

TEST(a_cleared_arena_can_be_used_on) {
    Arena_T arena = Arena_new();
    size_t before = SocketConfig_get_memory_used();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) memset(ALLOC(arena, 10000), round, 10000);
        CHECK_CMP(SocketConfig_get_memory_used(), >=, before + 1000000);
        if (round == 0) {
            Arena_clear(arena);
            CHECK_INT(SocketConfig_get_memory_used(), before);
        } else {
            Arena_reset(arena);
            CHECK_CMP(SocketConfig_get_memory_used(), <, before + 1000000);
        }
    }
    Arena_clear(NULL);
    Arena_reset(NULL);
    Arena_dispose(&arena);
    CHECK_INT(SocketConfig_get_memory_used(), before);
}

TEST(all_arenas_share_a_budget) {
    CHECK_INT(SocketConfig_get_max_memory(), 0);
    CHECK_INT(SocketConfig_get_memory_used(), 0);
    SocketConfig_set_max_memory(100000);
    CHECK_INT(SocketConfig_get_max_memory(), 100000);
    Arena_T first = Arena_new(), second = Arena_new();
    ALLOC(first, 60000);
    Arena_T volatile other = second;
    FAILS(ALLOC(other, 60000), ENOMEM);
    CHECK_CONTAINS(Socket_GetLastError(), "60000");
    ALLOC(second, 30000);
    CHECK_CMP(SocketConfig_get_memory_used(), <=, 100000);
    Arena_dispose(&first);
    ALLOC(second, 60000);
    SocketConfig_set_max_memory(0);
    ALLOC(second, 600000);
    Arena_dispose(&second);
    CHECK_INT(SocketConfig_get_memory_used(), 0);
}

static void *takes_blocks(void *arena) {
    for (volatile int i = 0; i < 2000; i++) {
        unsigned *block = ALLOC(arena, 40);
        unsigned const mark = (unsigned)(uintptr_t)block;
        for (int k = 0; k < 10; k++) block[k] = mark;
        for (int k = 0; k < 10; k++) CHECK_INT(block[k], mark);
    }
    return NULL;
}

TEST(threads_may_share_one) {
    Arena_T arena = Arena_new();
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) CHECK_INT(pthread_create(&threads[i], NULL, takes_blocks, arena), 0);
    for (int i = 0; i < 3; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
    Arena_dispose(&arena);
}

TEST_MAIN

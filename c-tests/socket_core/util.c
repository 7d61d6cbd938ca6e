/* SocketUtil.h: clocks, deadlines, sums and products. */
#include "../harness.h"
#include "core/SocketUtil.h"

TEST(the_clock_goes_on_in_three_units) {
    int64_t ms = Socket_get_monotonic_ms();
    uint64_t us = Socket_get_monotonic_us(), ns = Socket_get_monotonic_ns();
    CHECK_CMP(ms, >, 0);
    CHECK_CMP(us, >=, (uint64_t)ms * 1000);
    CHECK_CMP(ns, >=, us * 1000);
    CHECK_CMP(Socket_get_monotonic_ms(), >=, ms);
    CHECK_CMP(SocketTimeout_now_ms(), >=, ms);
}

TEST(no_deadline_is_zero) {
    CHECK_INT(SocketTimeout_deadline_ms(0), 0);
    CHECK_INT(SocketTimeout_deadline_ms(-1), 0);
    CHECK_INT(SocketTimeout_remaining_ms(0), -1);
    CHECK_INT(SocketTimeout_expired(0), 0);
    CHECK_INT(SocketTimeout_poll_timeout(500, 0), 500);
    CHECK_INT(SocketTimeout_poll_timeout(-1, 0), -1);
}

TEST(a_deadline_to_come) {
    int64_t before = SocketTimeout_now_ms();
    int64_t deadline = SocketTimeout_deadline_ms(1000000);
    CHECK_CMP(deadline, >=, before + 1000000);
    CHECK_CMP(deadline, <=, SocketTimeout_now_ms() + 1000000);
    CHECK_CMP(SocketTimeout_remaining_ms(deadline), >, 0);
    CHECK_CMP(SocketTimeout_remaining_ms(deadline), <=, 1000000);
    CHECK_INT(SocketTimeout_expired(deadline), 0);
    CHECK_INT(SocketTimeout_poll_timeout(5, deadline), 5);
    CHECK_INT(SocketTimeout_poll_timeout(0, deadline), 0);
    CHECK_CMP(SocketTimeout_poll_timeout(-1, deadline), >, 5);
    CHECK_CMP(SocketTimeout_poll_timeout(INT_MAX, deadline), <=, 1000000);
    CHECK_INT(SocketTimeout_poll_timeout(-1, INT64_MAX), INT_MAX);
}

TEST(a_deadline_that_has_passed) {
    int64_t deadline = SocketTimeout_now_ms() - 10;
    CHECK_INT(SocketTimeout_remaining_ms(deadline), 0);
    CHECK_INT(SocketTimeout_expired(deadline), 1);
    CHECK_INT(SocketTimeout_poll_timeout(500, deadline), 0);
    CHECK_INT(SocketTimeout_poll_timeout(-1, deadline), 0);
    CHECK_CMP(SocketTimeout_elapsed_ms(deadline), >=, 10);
}

TEST(what_does_not_fit_is_told) {
    uint64_t sum = 7;
    CHECK_INT(socket_util_safe_add_u64(1, 2, &sum), 1);
    CHECK_INT(sum, 3);
    CHECK_INT(socket_util_safe_add_u64(UINT64_MAX, 1, &sum), 0);
    CHECK_INT(socket_util_safe_add_u64(UINT64_MAX, 0, &sum), 1);
    CHECK(sum == UINT64_MAX);
    CHECK_INT(socket_util_safe_mul_u64(UINT64_MAX / 2, 2, &sum), 1);
    CHECK(sum == UINT64_MAX - 1);
    CHECK_INT(socket_util_safe_mul_u64(UINT64_MAX / 2 + 1, 2, &sum), 0);
    CHECK_INT(socket_util_safe_mul_u64(UINT64_MAX, 0, &sum), 1);
    CHECK_INT(sum, 0);
    size_t product;
    CHECK_INT(socket_util_safe_mul_size(6, 7, &product), 1);
    CHECK_INT(product, 42);
    CHECK_INT(socket_util_safe_mul_size(SIZE_MAX, 2, &product), 0);
    CHECK_INT(socket_util_safe_mul_size(0, SIZE_MAX, &product), 1);
    CHECK_INT(product, 0);
}

TEST(times_in_other_forms) {
    struct timespec t = socket_util_ms_to_timespec(12345);
    CHECK_INT(t.tv_sec, 12);
    CHECK_INT(t.tv_nsec, 345000000);
    CHECK_INT(socket_util_timespec_to_ms(t), 12345);
    t = socket_util_timespec_add(t, (struct timespec){1, 999999999});
    CHECK_INT(t.tv_sec, 14);
    CHECK_INT(t.tv_nsec, 344999999);
    CHECK_INT(socket_util_timespec_to_ms(t), 14344);
}

TEST_MAIN

/* evloop.h: timers. */
#include "../harness.h"
#include "evloop.h"

#include <math.h>

struct tick {
    struct ev_loop *loop;
    struct evloop_timer *timer;
    double not_before;
    double again;
    int calls;
    int *order;
};

static int sequence;

static void count(void *arg) {
    struct tick *tick = arg;
    CHECK(now() >= tick->not_before); /* never early */
    tick->calls++;
    if (tick->order) *tick->order = sequence++;
}

TEST(a_timer_fires_once_and_can_be_used_again) {
    struct ev_loop *loop = evloop_new();
    struct tick tick = {.not_before = now() + 0.02};
    struct evloop_timer *timer = evloop_timer_start(loop, 0.02, 0, count, &tick);
    CHECK_PTR_NOT_NULL(timer);
    evloop_run(loop);
    CHECK_INT(tick.calls, 1);
    evloop_run(loop);
    CHECK_INT(tick.calls, 1);
    tick.not_before = now() + 0.005;
    evloop_timer_reschedule(timer, 0.005, 0);
    evloop_run(loop);
    CHECK_INT(tick.calls, 2);
    evloop_timer_reschedule(timer, 0, 0);
    evloop_timer_stop(timer);
    evloop_timer_stop(timer);
    evloop_run(loop);
    CHECK_INT(tick.calls, 2);
    evloop_timer_reschedule(timer, 0, 0);
    evloop_run(loop);
    CHECK_INT(tick.calls, 3);
    evloop_timer_free(timer);
    evloop_free(loop);
}

TEST(equal_times_fire_in_the_order_of_starting) {
    struct ev_loop *loop = evloop_new();
    enum { N = 100 };
    struct tick ticks[N] = {{0}};
    int order[N];
    for (int i = 0; i < N; i++) {
        ticks[i].order = &order[i];
        evloop_timer_start(loop, 0, 0, count, &ticks[i]);
    }
    evloop_run(loop);
    for (int i = 0; i < N; i++) CHECK_INT(order[i], i);
    evloop_free(loop);
}

TEST(odd_times) {
    struct ev_loop *loop = evloop_new();
    struct tick tick = {0};
    evloop_timer_start(loop, -5, 0, count, &tick);
    evloop_timer_start(loop, NAN, NAN, count, &tick);
    evloop_timer_start(loop, -INFINITY, -1, count, &tick);
    struct evloop_timer *never = evloop_timer_start(loop, INFINITY, 0, count, &tick);
    evloop_timer_unref(never);
    evloop_timer_unref(evloop_timer_start(loop, 1e300, 0, count, &tick));
    evloop_run(loop);
    CHECK_INT(tick.calls, 3);
    CHECK_INT(evloop_timeout_ms(loop), -1);
    evloop_timer_free(never);
    CHECK_NULL_ERRNO(evloop_timer_start(loop, 1, 0, NULL, NULL), EINVAL);
    CHECK_INT(evloop_timeout_ms(loop), -1);
    evloop_free(loop);
}

static void stop_at_three(void *arg) {
    struct tick *tick = arg;
    count(tick);
    if (tick->calls == 3) evloop_timer_stop(tick->timer);
}

TEST(a_repeat_goes_on_until_it_is_stopped) {
    struct ev_loop *loop = evloop_new();
    struct tick tick = {0};
    double start = now();
    tick.timer = evloop_timer_start(loop, 0.002, 0.004, stop_at_three, &tick);
    evloop_run(loop);
    CHECK_INT(tick.calls, 3);
    CHECK(now() - start >= 0.01);
    evloop_free(loop);
}

TEST(an_overdue_repeat_does_not_come_in_a_burst) {
    struct ev_loop *loop = evloop_new();
    struct tick tick = {0};
    evloop_timer_start(loop, 0.001, 3600, count, &tick);
    CHECK_INT(evloop_run_once(loop, -1), 1);
    struct evloop_timer *fast = evloop_timer_start(loop, 0, 0.02, count, &tick);
    double until = now() + 0.2; /* ten of its periods pass outside the loop */
    while (now() < until) {
    }
    tick.calls = 0;
    CHECK_INT(evloop_run_once(loop, 0), 1);
    CHECK_INT(tick.calls, 1);
    int wait = evloop_timeout_ms(loop);
    CHECK_CMP(wait, >=, 0);
    CHECK_CMP(wait, <=, 20);
    evloop_timer_free(fast);
    evloop_free(loop);
}

static void rearm(void *arg) {
    struct tick *tick = arg;
    count(tick);
    evloop_timer_reschedule(tick->timer, 0, 0);
    evloop_timer_start(tick->loop, 0, 0, count, tick);
}

TEST(a_timer_started_in_a_round_fires_in_a_later_one) {
    struct ev_loop *loop = evloop_new();
    struct tick tick = {.loop = loop};
    tick.timer = evloop_timer_start(loop, 0, 0, rearm, &tick);
    CHECK_INT(evloop_run_once(loop, -1), 1);
    CHECK_INT(evloop_run_once(loop, -1), 2);
    evloop_free(loop);
}

static void busy(void *arg) {
    struct tick *tick = arg;
    double until = now() + 0.03;
    while (now() < until) {
    }
    tick->not_before = now() + 0.01;
    evloop_timer_start(tick->loop, 0.01, 0, count, tick);
}

TEST(the_time_counts_from_the_call_not_from_the_round) {
    struct tick tick = {.loop = evloop_new()};
    evloop_timer_start(tick.loop, 0, 0, busy, &tick);
    evloop_run(tick.loop);
    CHECK_INT(tick.calls, 1);
    evloop_free(tick.loop);
}

static void free_itself(void *arg) {
    struct tick *tick = arg;
    count(tick);
    evloop_timer_free(tick->timer);
}

static void free_the_loop(void *arg) {
    struct tick *tick = arg;
    count(tick);
    evloop_free(tick->loop);
}

TEST(a_timer_may_free_itself_and_the_loop) {
    struct tick tick = {.loop = evloop_new()};
    tick.timer = evloop_timer_start(tick.loop, 0, 0.001, free_itself, &tick);
    evloop_run(tick.loop);
    CHECK_INT(tick.calls, 1);
    for (int i = 0; i < 3; i++) evloop_timer_start(tick.loop, 0, 1, free_the_loop, &tick);
    evloop_run(tick.loop);
    CHECK_INT(tick.calls, 2);
}

static void free_the_others(void *arg) {
    struct tick *all = arg;
    all->calls++;
    for (int i = 1; i < 4; i++) {
        evloop_timer_free(all[i].timer);
        all[i].timer = NULL;
    }
}

TEST(a_timer_freed_by_an_earlier_one_does_not_fire) {
    struct ev_loop *loop = evloop_new();
    struct tick ticks[4] = {{0}};
    evloop_timer_start(loop, 0, 0, free_the_others, ticks);
    for (int i = 1; i < 4; i++) ticks[i].timer = evloop_timer_start(loop, 0, 0, count, &ticks[i]);
    evloop_run(loop);
    CHECK_INT(ticks[0].calls, 1);
    for (int i = 1; i < 4; i++) CHECK_INT(ticks[i].calls, 0);
    evloop_free(loop);
}

TEST(an_unreferenced_timer_does_not_keep_the_loop_running) {
    struct ev_loop *loop = evloop_new();
    struct tick tick = {0};
    struct evloop_timer *timer = evloop_timer_start(loop, 3600, 0, count, &tick);
    evloop_timer_unref(timer);
    evloop_timer_unref(timer);
    evloop_run(loop);
    evloop_timer_reschedule(timer, 0, 0);
    CHECK_INT(evloop_run_once(loop, 0), 1); /* it fires all the same */
    evloop_timer_reschedule(timer, 0.001, 0);
    evloop_timer_ref(timer);
    evloop_run(loop);
    CHECK_INT(tick.calls, 2);
    evloop_free(loop);
}

TEST(the_time_to_the_next_timer_is_told_rounded_up) {
    struct ev_loop *loop = evloop_new();
    struct tick tick = {0};
    CHECK_INT(evloop_timeout_ms(loop), -1);
    struct evloop_timer *timer = evloop_timer_start(loop, 100, 0, count, &tick);
    int wait = evloop_timeout_ms(loop);
    CHECK_CMP(wait, >, 50000);
    CHECK_CMP(wait, <=, 100000);
    evloop_timer_reschedule(timer, 0.0001, 0);
    CHECK_CMP(evloop_timeout_ms(loop), <=, 1);
    evloop_timer_reschedule(timer, 1e9, 0); /* longer than a poller can wait */
    CHECK_INT(evloop_timeout_ms(loop), 2147483647);
    evloop_timer_stop(timer);
    CHECK_INT(evloop_timeout_ms(loop), -1);
    evloop_free(loop);
}

TEST(a_hundred_thousand_timers) {
    struct ev_loop *loop = evloop_new();
    int n = small(100000, 2000);
    struct tick tick = {0};
    struct evloop_timer **timers = alloc(sizeof *timers * (size_t)n);
    for (int i = 0; i < n; i++) {
        timers[i] = evloop_timer_start(loop, 1000 + (i * 7919L) % n, 0, count, &tick);
        CHECK_PTR_NOT_NULL(timers[i]);
    }
    /* Moved often, as idle time-outs are: linear costs would not end. */
    for (int round = 0; round < 10; round++)
        for (int i = 0; i < n; i++) evloop_timer_reschedule(timers[(i * 31L) % n], 500 + i % 1000, 0);
    for (int i = 0; i < n; i += 2) evloop_timer_free(timers[i]);
    for (int i = 1; i < n; i += 2) evloop_timer_reschedule(timers[i], 0, 0);
    evloop_run(loop);
    CHECK_INT(tick.calls, n / 2);
    evloop_free(loop);
}

static void look_at_the_time(void *arg) {
    struct tick *tick = arg;
    double first = evloop_now(tick->loop);
    double until = now() + 0.005;
    while (now() < until) {
    }
    CHECK(evloop_now(tick->loop) == first); /* cached for the round */
    CHECK(first <= now());
    tick->not_before = first;
}

TEST(the_loop_has_one_time_a_round) {
    struct tick tick = {.loop = evloop_new()};
    double before = now();
    CHECK(evloop_now(tick.loop) >= before);
    evloop_timer_start(tick.loop, 0, 0, look_at_the_time, &tick);
    evloop_run(tick.loop);
    CHECK(tick.not_before >= before);
    CHECK(evloop_now(tick.loop) > tick.not_before);
    evloop_free(tick.loop);
}

TEST_MAIN

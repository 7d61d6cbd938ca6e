/* core/SocketTimer.h: timers of a poll set. */
#include "polls.h"

#include <sys/time.h>

static SocketPoll_T set;
static int calls;

static void count(void *arg) {
    calls++;
    if (arg) ++*(int *)arg;
}

/* Waits until the counter has this value. */
static void wait_for(int *counter, int value) {
    SocketEvent_T *events;
    while (*counter < value) CHECK_INT(SocketPoll_wait(set, &events, -1), 0);
}

TEST(a_timer_ends_a_wait_and_fires_once) {
    set = SocketPoll_new(4);
    SocketEvent_T *events = NULL;
    double start = now();
    SocketTimer_T timer = SocketTimer_add(set, 20, count, NULL);
    CHECK_PTR_NOT_NULL(timer);
    CHECK_CMP(SocketTimer_remaining(set, timer), <=, 20);
    CHECK_INT(SocketPoll_wait(set, &events, 0), 0);
    if (now() - start < 0.02) CHECK_INT(calls, 0);
    wait_for(&calls, 1);
    CHECK(now() - start >= 0.02);
    CHECK_PTR_NOT_NULL(events);
    CHECK_INT(SocketTimer_remaining(set, timer), -1);
    CHECK_INT(SocketTimer_cancel(set, timer), -1);
    CHECK_INT(SocketPoll_wait(set, &events, 0), 0);
    CHECK_INT(calls, 1);
    SocketTimer_T next = SocketTimer_add(set, 0, count, NULL);
    CHECK(next != timer);
    CHECK_INT(SocketPoll_wait(set, &events, -1), 0);
    CHECK_INT(calls, 2);
    SocketPoll_free(&set);
}

TEST(a_repeating_one_keeps_its_beat) {
    set = SocketPoll_new(4);
    double start = now();
    SocketTimer_T timer = SocketTimer_add_repeating(set, 3, count, NULL);
    wait_for(&calls, 10);
    CHECK(now() - start >= 0.03);
    CHECK_CMP(SocketTimer_remaining(set, timer), >=, 0);
    CHECK_CMP(SocketTimer_remaining(set, timer), <=, 3);
    CHECK_INT(SocketTimer_cancel(set, timer), 0);
    CHECK_INT(SocketTimer_cancel(set, timer), -1);
    SocketEvent_T *events;
    CHECK_INT(SocketPoll_wait(set, &events, 10), 0);
    CHECK_INT(calls, 10);
    SocketPoll_free(&set);
}

TEST(timers_come_in_the_order_of_their_times) {
    enum { N = 50 };
    int order[N];
    SocketEvent_T *events;
    set = SocketPoll_new(4);
    memset(order, 0, sizeof order);
    for (int i = 0; i < N; i++) SocketTimer_add(set, i % 2 ? 1 : 0, count, &order[i]);
    wait_for(&calls, N);
    for (int i = 0; i < N; i++) CHECK_INT(order[i], 1);
    CHECK_INT(SocketPoll_wait(set, &events, 0), 0);
    SocketPoll_free(&set);
}

TEST(what_is_no_timer_is_refused) {
    set = SocketPoll_new(4);
    CHECK_RAISES_ERRNO(SocketTimer_add(set, -1, count, NULL), SocketTimer_Failed, EINVAL, "out of range");
    CHECK_RAISES_ERRNO(SocketTimer_add(set, SOCKET_MAX_TIMER_DELAY_MS + 1, count, NULL), SocketTimer_Failed, EINVAL, "out of range");
    CHECK_RAISES_ERRNO(SocketTimer_add_repeating(set, 0, count, NULL), SocketTimer_Failed, EINVAL, "out of range");
    CHECK_RAISES_ERRNO(SocketTimer_add(set, 0, NULL, NULL), SocketTimer_Failed, EINVAL, "callback");
    SocketTimer_T last = SocketTimer_add(set, SOCKET_MAX_TIMER_DELAY_MS, count, NULL);
    CHECK_CMP(SocketTimer_remaining(set, last), >, SOCKET_MAX_TIMER_DELAY_MS - 60000);
    CHECK_INT(SocketTimer_cancel(set, NULL), -1);
    CHECK_INT((int)SocketTimer_remaining(set, NULL), -1);
    SocketPoll_T other = SocketPoll_new(4);
    CHECK_INT(SocketTimer_cancel(other, last), -1);
    SocketPoll_free(&other);
    if (load(1, 1, 0)) {
        for (int i = 1; i < SOCKET_MAX_TIMERS_PER_HEAP; i++) SocketTimer_add(set, 1000000, count, NULL);
        CHECK_RAISES_ERRNO(SocketTimer_add(set, 0, count, NULL), SocketTimer_Failed, ENOMEM, "100000");
    }
    SocketPoll_free(&set);
}

TEST(a_timer_can_be_moved_and_paused) {
    set = SocketPoll_new(4);
    SocketEvent_T *events;
    SocketTimer_T timer = SocketTimer_add(set, 100000, count, NULL);
    CHECK_INT(SocketTimer_resume(set, timer), -1);
    CHECK_INT(SocketTimer_pause(set, timer), 0);
    CHECK_INT(SocketTimer_pause(set, timer), -1);
    int64_t left = SocketTimer_remaining(set, timer);
    CHECK_CMP(left, >, 1000);
    CHECK_INT(SocketPoll_wait(set, &events, 3), 0);
    CHECK(SocketTimer_remaining(set, timer) == left);
    CHECK_INT(SocketTimer_resume(set, timer), 0);
    CHECK_INT(SocketTimer_reschedule(set, timer, -1), -1);
    CHECK_INT(SocketTimer_reschedule(set, timer, 1), 0);
    wait_for(&calls, 1);
    CHECK_INT(SocketTimer_reschedule(set, timer, 1), -1);
    CHECK_INT(SocketTimer_pause(set, timer), -1);
    CHECK_INT(SocketTimer_resume(set, timer), -1);
    SocketPoll_free(&set);
}

/* ---- What a callback may do --------------------------------------------------------------------------------------- */

static SocketTimer_T self, others[3];
static Socket_T registered;

static void cancel_itself(void *arg) {
    (void)arg;
    calls++;
    CHECK_INT(SocketTimer_cancel(set, self), 0);
}

static void cancel_the_others(void *arg) {
    (void)arg;
    calls++;
    for (int i = 0; i < 3; i++) SocketTimer_cancel(set, others[i]);
    /* This one was called by the wait that is going on, so a further one is for the next. */
    SocketTimer_add(set, 0, count, NULL);
}

TEST(a_callback_cancels_and_adds) {
    SocketEvent_T *events;
    set = SocketPoll_new(4);
    self = SocketTimer_add_repeating(set, 1, cancel_itself, NULL);
    wait_for(&calls, 1);
    CHECK_INT(SocketPoll_wait(set, &events, 5), 0);
    CHECK_INT(calls, 1);
    calls = 0;
    for (int i = 0; i < 3; i++) others[i] = SocketTimer_add(set, 0, cancel_the_others, NULL);
    CHECK_INT(SocketPoll_wait(set, &events, -1), 0);
    CHECK_INT(calls, 1); /* the first has cancelled the rest, which were due as well */
    CHECK_INT(SocketPoll_wait(set, &events, -1), 0);
    CHECK_INT(calls, 2);
    SocketPoll_free(&set);
}

static void end_the_set(void *arg) {
    calls++;
    SocketPoll_free(arg);
}

TEST(a_callback_ends_the_set) {
    struct pair pair = make_pair();
    SocketEvent_T *events = NULL;
    set = SocketPoll_new(4);
    SocketPoll_T own = set;
    SocketPoll_add(set, pair.near, POLL_WRITE, NULL);
    for (int i = 0; i < 3; i++) SocketTimer_add(set, 0, end_the_set, &set);
    CHECK_INT(SocketPoll_wait(own, &events, -1), 0);
    CHECK_INT(calls, 1);
    free_pair(&pair);
    CHECK_PTR_NULL(set);
}

static void free_registered(void *arg) {
    (void)arg;
    calls++;
    Socket_free(&registered);
}

/* The socket's event was harvested by this very wait. */
TEST(a_callback_frees_a_socket_that_is_ready) {
    struct pair pair = make_pair();
    SocketEvent_T *events = NULL;
    set = SocketPoll_new(4);
    registered = pair.near;
    SocketPoll_add(set, registered, POLL_WRITE, NULL);
    SocketTimer_add(set, 0, free_registered, NULL);
    CHECK_INT(SocketPoll_wait(set, &events, 0), 0);
    CHECK_INT(calls, 1);
    CHECK_INT(SocketPoll_getregisteredcount(set), 0);
    Socket_free(&pair.far);
    SocketPoll_free(&set);
}

static const Except_T Out_Of_Tune = {&Out_Of_Tune, "out of tune"};

static void raise_once(void *arg) {
    (void)arg;
    if (calls++ == 0) RAISE(Out_Of_Tune);
}

TEST(what_a_callback_raises_leaves_the_wait_and_no_event_is_lost) {
    struct pair pair = make_pair();
    SocketEvent_T *events = NULL;
    set = SocketPoll_new(4);
    SocketPoll_add(set, pair.near, POLL_READ | POLL_WRITE, &pair);
    put(pair.far);
    for (int i = 0; i < 3; i++) SocketTimer_add(set, 0, raise_once, NULL);
    CHECK_RAISES(SocketPoll_wait(set, &events, -1), Out_Of_Tune);
    CHECK_STR(raised_reason, "out of tune");
    CHECK_INT(calls, 1);
    /* The other two are due still, and the edge is told. */
    CHECK_INT(SocketPoll_wait(set, &events, -1), 1);
    CHECK_INT(calls, 3);
    CHECK_PTR(events[0].data, &pair);
    CHECK_INT(events[0].events, POLL_READ | POLL_WRITE);
    CHECK_INT(SocketPoll_wait(set, &events, 0), 0);
    free_pair(&pair);
    SocketPoll_free(&set);
}

static void wait_inside(void *arg) {
    SocketEvent_T *events = NULL;
    calls++;
    CHECK_INT(SocketPoll_wait(set, &events, 0), 1);
    CHECK_PTR(events[0].data, arg);
}

TEST(a_callback_waits) {
    struct pair pair = make_pair();
    SocketEvent_T *events = NULL;
    set = SocketPoll_new(4);
    SocketPoll_add(set, pair.near, POLL_WRITE, &pair);
    SocketTimer_add(set, 0, wait_inside, &pair);
    CHECK_INT(SocketPoll_wait(set, &events, -1), 0);
    CHECK_INT(calls, 1);
    free_pair(&pair);
    SocketPoll_free(&set);
}

/* ---- Signals ------------------------------------------------------------------------------------------------------ */

static volatile sig_atomic_t signals;
static void on_alarm(int signum) {
    (void)signum;
    signals++;
}

TEST(a_signal_does_not_end_a_wait) {
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval often = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
    SocketEvent_T *events = NULL;
    set = SocketPoll_new(4);
    CHECK_INT(sigaction(SIGALRM, &action, NULL), 0);
    double start = now();
    CHECK_INT(setitimer(ITIMER_REAL, &often, NULL), 0);
    CHECK_INT(SocketPoll_wait(set, &events, 50), 0);
    CHECK(now() - start >= 0.05);
    CHECK_INT(setitimer(ITIMER_REAL, &never, NULL), 0);
    CHECK_CMP(signals, >, 0);
    SocketPoll_free(&set);
}

TEST_MAIN

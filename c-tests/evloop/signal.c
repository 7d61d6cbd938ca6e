/* evloop.h: signals. */
#include "../harness.h"
#include "evloop.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

struct seen {
    struct ev_loop *loop;
    struct evloop_signal *signal;
    struct evloop_signal *other;
    int calls;
    int last;
};

static void note(int signum, void *arg) {
    struct seen *seen = arg;
    seen->calls++;
    seen->last = signum;
}

static void (*handler_of(int signum))(int) {
    struct sigaction action;
    CHECK_INT(sigaction(signum, NULL, &action), 0);
    return action.sa_handler;
}

static volatile sig_atomic_t former_calls;
static void former(int signum) {
    (void)signum;
    former_calls++;
}

TEST(a_signal_is_an_event) {
    struct seen seen = {.loop = evloop_new()};
    seen.signal = evloop_signal_start(seen.loop, SIGUSR1, note, &seen);
    CHECK_PTR_NOT_NULL(seen.signal);
    CHECK_INT(evloop_run_once(seen.loop, 0), 0);
    CHECK_INT(raise(SIGUSR1), 0);
    CHECK_INT(seen.calls, 0); /* not from the handler */
    CHECK_INT(evloop_run_once(seen.loop, -1), 1);
    CHECK_INT(seen.last, SIGUSR1);
    for (int i = 0; i < 10; i++) raise(SIGUSR1);
    CHECK_INT(evloop_run_once(seen.loop, -1), 1); /* several arrivals may be one */
    CHECK_INT(evloop_run_once(seen.loop, 0), 0);
    evloop_signal_free(seen.signal);
    evloop_free(seen.loop);
}

TEST(the_last_watcher_restores_what_the_signal_did) {
    CHECK(signal(SIGUSR1, former) != SIG_ERR);
    struct seen a = {.loop = evloop_new()}, b = {.loop = evloop_new()};
    a.signal = evloop_signal_start(a.loop, SIGUSR1, note, &a);
    a.other = evloop_signal_start(a.loop, SIGUSR1, note, &a);
    b.signal = evloop_signal_start(b.loop, SIGUSR1, note, &b);
    raise(SIGUSR1);
    CHECK_INT(former_calls, 0);
    CHECK_INT(evloop_run_once(a.loop, -1), 2);
    CHECK_INT(evloop_run_once(b.loop, -1), 1);
    evloop_signal_free(a.signal);
    evloop_signal_stop(a.other);
    evloop_signal_stop(a.other);
    raise(SIGUSR1);
    CHECK_INT(evloop_run_once(a.loop, 0), 0);
    CHECK_INT(evloop_run_once(b.loop, -1), 1);
    evloop_signal_free(a.other);
    CHECK(handler_of(SIGUSR1) != former);
    evloop_free(b.loop);
    CHECK(handler_of(SIGUSR1) == former);
    raise(SIGUSR1);
    CHECK_INT(former_calls, 1);
    evloop_free(a.loop);
}

TEST(a_handler_installed_meanwhile_is_left_alone) {
    struct seen seen = {.loop = evloop_new()};
    seen.signal = evloop_signal_start(seen.loop, SIGUSR1, note, &seen);
    CHECK(signal(SIGUSR1, former) != SIG_ERR);
    evloop_free(seen.loop);
    CHECK(handler_of(SIGUSR1) == former);
}

TEST(what_cannot_be_caught_is_refused) {
    struct ev_loop *loop = evloop_new();
    int refused[] = {0, -1, SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, 32, 33, 65, 1 << 20};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        CHECK_NULL_ERRNO(evloop_signal_start(loop, refused[i], note, NULL), EINVAL);
    CHECK_NULL_ERRNO(evloop_signal_start(loop, SIGUSR1, NULL, NULL), EINVAL);
    CHECK(handler_of(SIGUSR1) == SIG_DFL);
    evloop_free(loop);
}

TEST(a_watched_signal_keeps_the_loop_running_until_it_is_stopped) {
    struct seen seen = {.loop = evloop_new()};
    seen.signal = evloop_signal_start(seen.loop, SIGRTMIN + 3, note, &seen);
    raise(SIGRTMIN + 3);
    CHECK_INT(evloop_run_once(seen.loop, -1), 1);
    CHECK_INT(seen.last, SIGRTMIN + 3);
    evloop_signal_stop(seen.signal);
    evloop_run(seen.loop);
    evloop_free(seen.loop);
}

static void stop_it(int signum, void *arg) {
    note(signum, arg);
    evloop_signal_stop(((struct seen *)arg)->signal);
}
static void free_both(int signum, void *arg) {
    struct seen *seen = arg;
    note(signum, arg);
    evloop_signal_free(seen->signal);
    evloop_signal_free(seen->other);
}
static void free_the_loop(int signum, void *arg) {
    note(signum, arg);
    evloop_free(((struct seen *)arg)->loop);
}
static void break_it(int signum, void *arg) {
    note(signum, arg);
    evloop_break(((struct seen *)arg)->loop);
}

TEST(a_callback_may_end_anything) {
    struct seen seen = {.loop = evloop_new()};
    seen.signal = evloop_signal_start(seen.loop, SIGUSR1, stop_it, &seen);
    raise(SIGUSR1);
    evloop_run(seen.loop);
    CHECK_INT(seen.calls, 1);
    evloop_signal_free(seen.signal);
    seen.signal = evloop_signal_start(seen.loop, SIGUSR1, free_both, &seen);
    seen.other = evloop_signal_start(seen.loop, SIGUSR1, free_both, &seen);
    raise(SIGUSR1);
    evloop_run(seen.loop);
    CHECK_INT(seen.calls, 2);
    for (int i = 0; i < 3; i++) evloop_signal_start(seen.loop, SIGUSR1, free_the_loop, &seen);
    raise(SIGUSR1);
    evloop_run(seen.loop);
    CHECK_INT(seen.calls, 3);
    CHECK(handler_of(SIGUSR1) == SIG_DFL);
}

TEST(a_break_loses_no_signal) {
    struct seen seen = {.loop = evloop_new()};
    for (int i = 0; i < 2; i++) evloop_signal_start(seen.loop, SIGUSR1, break_it, &seen);
    raise(SIGUSR1);
    evloop_run(seen.loop);
    CHECK_INT(seen.calls, 1);
    evloop_run(seen.loop);
    CHECK_INT(seen.calls, 2);
    evloop_free(seen.loop);
}

static struct ev_loop *to_wake;
static void wake(int signum) {
    (void)signum;
    int before = errno;
    errno = 55;
    evloop_wakeup(to_wake);
    if (errno != 55) former_calls++;
    errno = before;
}

TEST(a_signal_handler_may_wake_the_loop) {
    struct ev_loop *loop = to_wake = evloop_new();
    struct seen seen = {.loop = loop};
    evloop_signal_start(loop, SIGUSR2, note, &seen); /* keeps it waiting */
    CHECK(signal(SIGUSR1, wake) != SIG_ERR);
    raise(SIGUSR1);
    CHECK_INT(evloop_run_once(loop, -1), 0);
    CHECK_INT(former_calls, 0);
    evloop_free(loop);
}

/* Watchers come and go while signals arrive on other threads. */
static int storms;
static void *storm(void *arg) {
    int n = *(int *)arg;
    for (int i = 0; i < n; i++) {
        CHECK_INT(kill(getpid(), SIGUSR1), 0);
        if (i % 16 == 0) sched_yield();
    }
    __atomic_sub_fetch(&storms, 1, __ATOMIC_RELAXED);
    return NULL;
}

TEST(watchers_come_and_go_in_a_storm_of_signals) {
    struct seen keeper = {.loop = evloop_new()};
    evloop_signal_start(keeper.loop, SIGUSR1, note, &keeper);
    pthread_t threads[2];
    int n = small(50000, 500);
    storms = 2;
    for (int i = 0; i < 2; i++) CHECK_INT(pthread_create(&threads[i], NULL, storm, &n), 0);
    for (int i = 0; i < 10 || __atomic_load_n(&storms, __ATOMIC_RELAXED) > 0; i++) {
        struct seen seen = {.loop = evloop_new()};
        CHECK_PTR_NOT_NULL(evloop_signal_start(seen.loop, SIGUSR1, note, &seen));
        if (i % 4 == 0) CHECK_CMP(evloop_run_once(seen.loop, 0), >=, 0);
        evloop_free(seen.loop);
    }
    for (int i = 0; i < 2; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK_CMP(evloop_run_once(keeper.loop, -1), ==, 1);
    CHECK_INT(keeper.calls, 1);
    evloop_free(keeper.loop);
}

TEST_MAIN

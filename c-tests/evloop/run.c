/* evloop.h: running, breaking, posting, waking, embedding, attachments, the end of loops. */
#include "../harness.h"
#include "evloop.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct work {
    struct ev_loop *loop;
    int calls;
    int order[8];
    int n;
};

static void count(void *arg) { ((struct work *)arg)->calls++; }

TEST(a_loop_with_nothing_to_do_returns) {
    struct ev_loop *loop = evloop_new();
    evloop_run(loop);
    CHECK_INT(evloop_run_once(loop, -1), 0);
    CHECK_INT(evloop_run_once(loop, 0), 0);
    evloop_free(loop);
}

/* ---- Posts ---- */

TEST(posted_work_runs_once_and_keeps_the_loop_running_until_then) {
    struct work work = {.loop = evloop_new()};
    CHECK_INT(evloop_post(work.loop, count, &work), 0);
    CHECK_INT(evloop_timeout_ms(work.loop), 0);
    evloop_run(work.loop);
    CHECK_INT(work.calls, 1);
    evloop_run(work.loop);
    CHECK_INT(work.calls, 1);
    CHECK_ERRNO(evloop_post(work.loop, NULL, &work), EINVAL);
    evloop_free(work.loop);
}

static void post_again(void *arg) {
    struct work *work = arg;
    work->calls++;
    CHECK_INT(evloop_post(work->loop, count, work), 0);
}

TEST(a_post_made_in_a_round_runs_in_a_later_one) {
    struct work work = {.loop = evloop_new()};
    evloop_post(work.loop, post_again, &work);
    evloop_post(work.loop, post_again, &work);
    CHECK_INT(evloop_run_once(work.loop, -1), 2);
    CHECK_INT(evloop_run_once(work.loop, -1), 2);
    CHECK_INT(evloop_run_once(work.loop, -1), 0);
    evloop_free(work.loop);
}

TEST(posts_of_a_freed_loop_are_dropped) {
    struct work work = {.loop = evloop_new()};
    evloop_post(work.loop, count, &work);
    evloop_free(work.loop);
    CHECK_INT(work.calls, 0);
}

enum { POSTERS = 4 };

struct poster;
struct letter {
    struct poster *poster;
    int number;
};
struct poster {
    struct ev_loop *loop;
    pthread_t thread;
    struct letter *letters;
    int n;
    int expected;
    int *left;
};

static void receive(void *arg) {
    struct letter *letter = arg;
    CHECK_INT(letter->number, letter->poster->expected);
    letter->poster->expected++;
    if (--*letter->poster->left == 0) evloop_break(letter->poster->loop);
}

static void *post_many(void *arg) {
    struct poster *poster = arg;
    for (int i = 0; i < poster->n; i++) {
        poster->letters[i] = (struct letter){poster, i};
        CHECK_INT(evloop_post(poster->loop, receive, &poster->letters[i]), 0);
    }
    return NULL;
}

static void never(void *arg) { FAIL("fired: %p", arg); }

TEST(posts_of_four_threads_arrive_each_in_order) {
    struct ev_loop *loop = evloop_new();
    evloop_timer_start(loop, 3600, 0, never, NULL); /* keeps it running between posts */
    struct poster posters[POSTERS];
    int n = small(20000, 1000), left = n * POSTERS;
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){.loop = loop, .letters = alloc(sizeof(struct letter) * (size_t)n), .n = n, .left = &left};
        CHECK_INT(pthread_create(&posters[i].thread, NULL, post_many, &posters[i]), 0);
    }
    evloop_run(loop);
    for (int i = 0; i < POSTERS; i++) {
        CHECK_INT(pthread_join(posters[i].thread, NULL), 0);
        CHECK_INT(posters[i].expected, n);
    }
    evloop_free(loop);
}

/* ---- Break and wake-up ---- */

static void break_it(void *arg) {
    struct work *work = arg;
    work->calls++;
    evloop_break(work->loop);
}

TEST(a_break_ends_the_run_after_the_current_callback) {
    struct work work = {.loop = evloop_new()};
    evloop_break(work.loop); /* nobody runs: no effect */
    evloop_post(work.loop, break_it, &work);
    evloop_post(work.loop, break_it, &work);
    evloop_run(work.loop);
    CHECK_INT(work.calls, 1);
    CHECK_INT(evloop_run_once(work.loop, 0), 1);
    CHECK_INT(work.calls, 2);
    evloop_free(work.loop);
}

static void run_inside(void *arg) {
    struct work *work = arg;
    evloop_post(work->loop, break_it, work);
    evloop_run(work->loop);
    work->order[work->n++] = work->calls;
}

TEST(a_break_ends_nested_runs_too) {
    struct work work = {.loop = evloop_new()};
    evloop_timer_start(work.loop, 3600, 0, never, NULL);
    evloop_post(work.loop, run_inside, &work);
    evloop_run(work.loop);
    CHECK_INT(work.n, 1);
    CHECK_INT(work.order[0], 1);
    evloop_free(work.loop);
}

static void *break_from_elsewhere(void *arg) {
    evloop_break(arg);
    return NULL;
}
static void *wake_from_elsewhere(void *arg) {
    evloop_wakeup(arg);
    return NULL;
}
static pthread_t breaker;
static void start_breaker(void *arg) {
    struct work *work = arg;
    CHECK_INT(pthread_create(&breaker, NULL, break_from_elsewhere, work->loop), 0);
}

TEST(a_break_from_another_thread_ends_the_wait) {
    struct work work = {.loop = evloop_new()};
    evloop_timer_start(work.loop, 3600, 0, never, NULL);
    evloop_post(work.loop, start_breaker, &work);
    evloop_run(work.loop);
    CHECK_INT(pthread_join(breaker, NULL), 0);
    evloop_free(work.loop);
}

TEST(a_wake_up_ends_one_wait) {
    struct ev_loop *loop = evloop_new();
    evloop_timer_start(loop, 3600, 0, never, NULL);
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, wake_from_elsewhere, loop), 0);
    CHECK_INT(evloop_run_once(loop, -1), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    evloop_wakeup(loop); /* also where it comes before the wait */
    CHECK_INT(evloop_run_once(loop, -1), 0);
    double start = now();
    CHECK_INT(evloop_run_once(loop, 20), 0);
    CHECK(now() - start >= 0.02);
    evloop_free(loop);
}

/* A signal that is not the loop's must not end a wait. */
static void ignore_signal(int signum) { (void)signum; }
static pthread_t waiter;
static void *interrupt(void *arg) {
    for (int i = 0; i < 20; i++) {
        CHECK_INT(pthread_kill(waiter, SIGUSR1), 0);
        poll(NULL, 0, 1);
    }
    return arg;
}

TEST(an_interrupted_wait_goes_on) {
    struct ev_loop *loop = evloop_new();
    struct sigaction action = {.sa_handler = ignore_signal};
    CHECK_INT(sigaction(SIGUSR1, &action, NULL), 0);
    waiter = pthread_self();
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, interrupt, NULL), 0);
    double start = now();
    CHECK_INT(evloop_run_once(loop, 100), 0);
    CHECK(now() - start >= 0.1);
    CHECK_INT(pthread_join(thread, NULL), 0);
    evloop_free(loop);
}

/* ---- The end of loops ---- */

static void free_it(void *arg) {
    struct work *work = arg;
    work->calls++;
    evloop_free(work->loop);
}
static void run_and_free(void *arg) {
    struct work *work = arg;
    evloop_post(work->loop, free_it, work);
    evloop_run(work->loop);
    work->n++;
}

TEST(a_loop_may_be_freed_inside_posted_work_and_nested_runs) {
    struct work work = {.loop = evloop_new()};
    evloop_post(work.loop, free_it, &work);
    evloop_post(work.loop, free_it, &work);
    evloop_run(work.loop);
    CHECK_INT(work.calls, 1);
    work.loop = evloop_new();
    evloop_timer_start(work.loop, 0, 1, never, NULL);
    evloop_post(work.loop, run_and_free, &work);
    /* The timer is due in the same round as the posts, which come first. */
    evloop_run(work.loop);
    CHECK_INT(work.n, 1);
}

static void nothing(int fd, int revents, void *arg) { FAIL("called: %d %d %p", fd, revents, arg); }

TEST(freeing_a_loop_releases_everything) {
    int before = fd_count();
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct ev_loop *loop = evloop_new();
    for (int i = 0; i < 3; i++) {
        evloop_io_start(loop, fds[0], EVLOOP_READ, nothing, NULL);
        evloop_timer_start(loop, 0, 1, never, NULL);
        evloop_signal_start(loop, SIGUSR1, NULL, NULL);
        evloop_post(loop, never, NULL);
    }
    CHECK_CMP(evloop_fd(loop), >=, 0);
    evloop_free(loop);
    close(fds[0]);
    close(fds[1]);
    CHECK_NO_NEW_FDS(before);
}

static void destroy(void *arg) {
    struct work *work = arg;
    evloop_destroy_all();
    work->calls++;
    CHECK_INT(evloop_post(work->loop, count, work), 0); /* the one that runs is still there */
}

TEST(all_loops_that_nobody_runs_are_destroyed) {
    int before = fd_count();
    struct ev_loop *first = evloop_get_default();
    CHECK_PTR_NOT_NULL(first);
    struct work work = {.loop = evloop_new()};
    evloop_new();
    evloop_post(work.loop, destroy, &work);
    evloop_run(work.loop);
    CHECK_INT(work.calls, 2);
    evloop_destroy_all();
    CHECK_NO_NEW_FDS(before);
    evloop_destroy_all();
    CHECK_PTR_NOT_NULL(evloop_get_default());
    evloop_free(evloop_get_default());
    CHECK_NO_NEW_FDS(before);
}

/* ---- Embedding ---- */

static int readable(int fd, int timeout_ms) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, timeout_ms);
}
static void note(int fd, int revents, void *arg) {
    (void)fd;
    (void)revents;
    count(arg);
}

TEST(the_descriptor_of_a_loop_shows_its_work) {
    struct work work = {.loop = evloop_new()};
    int fd = evloop_fd(work.loop);
    CHECK_CMP(fd, >=, 0);
    CHECK_INT(evloop_fd(work.loop), fd);
    evloop_run_once(work.loop, 0);
    CHECK_INT(readable(fd, 0), 0);

    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    struct evloop_io *io = evloop_io_start(work.loop, fds[0], EVLOOP_READ, note, &work);
    CHECK_INT(readable(fd, 0), 0);
    CHECK_INT(write(fds[1], "x", 1), 1);
    CHECK_INT(readable(fd, 0), 1);
    CHECK_INT(evloop_run_once(work.loop, 0), 1);
    CHECK_INT(readable(fd, 0), 1);
    evloop_io_update(io, 0);
    CHECK_INT(readable(fd, 0), 0); /* at once */

    evloop_post(work.loop, post_again, &work);
    CHECK_INT(readable(fd, 0), 1);
    CHECK_INT(evloop_run_once(work.loop, 0), 1);
    CHECK_INT(readable(fd, 0), 1);
    CHECK_INT(evloop_run_once(work.loop, 0), 1);
    CHECK_INT(readable(fd, 0), 0);

    struct evloop_timer *timer = evloop_timer_start(work.loop, 0.005, 0, count, &work);
    CHECK_INT(readable(fd, -1), 1);
    CHECK_INT(evloop_run_once(work.loop, 0), 1);
    CHECK_INT(readable(fd, 0), 0);
    evloop_timer_reschedule(timer, 3600, 0);
    CHECK_INT(readable(fd, 0), 0);
    evloop_timer_reschedule(timer, 0, 0);
    CHECK_INT(readable(fd, -1), 1);
    evloop_timer_stop(timer);
    CHECK_INT(readable(fd, 0), 0);

    CHECK_INT(work.calls, 4);
    evloop_free(work.loop);
}

/* ---- Attachments ---- */

TEST(a_loop_has_room_for_one_attachment) {
    struct work first = {0}, second = {0};
    struct ev_loop *loop = evloop_new();
    CHECK_PTR_NULL(evloop_get_attachment(loop));
    CHECK_INT(evloop_set_attachment(loop, &first, count), 0);
    CHECK_PTR(evloop_get_attachment(loop), &first);
    CHECK_ERRNO(evloop_set_attachment(loop, &second, count), EEXIST);
    CHECK_INT(evloop_set_attachment(loop, NULL, NULL), 0);
    CHECK_PTR_NULL(evloop_get_attachment(loop));
    CHECK_INT(first.calls, 0);
    CHECK_INT(evloop_set_attachment(loop, NULL, NULL), 0);
    CHECK_INT(evloop_set_attachment(loop, &second, count), 0);
    evloop_free(loop);
    CHECK_INT(first.calls, 0);
    CHECK_INT(second.calls, 1);
    loop = evloop_new();
    CHECK_INT(evloop_set_attachment(loop, &first, NULL), 0);
    evloop_free(loop);
}

TEST_MAIN

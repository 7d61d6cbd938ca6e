/* evloop.h: a child of fork() that takes a loop of its parent's over, and a parent that does not notice. */
#include "../harness.h"
#include "dns_cares.h"
#include "evloop.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child: another status than 0 says which line. The child does not run the harness's end. */
#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            dprintf(2, "child: line %d: %s is not true (%s)\n", __LINE__, #condition, strerror(errno));                \
            _exit(100);                                                                                                \
        }                                                                                                              \
    } while (0)

/* A child that has passed its checks. It does not exit: what the threads of its parent had in hand would count as leaked. */
static void leave(void) { raise(SIGKILL); }

static bool has_passed(int status) { return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL; }

static void wait_for(pid_t child) {
    int status = -1;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(has_passed(status));
}

struct seen {
    struct ev_loop *loop;
    struct evloop_io *io;
    int fds[2];
    int calls;
    char order[32];
    pid_t child;
};

static void count(void *arg) { ((struct seen *)arg)->calls++; }
static void note(int fd, int revents, void *arg) {
    (void)fd;
    (void)revents;
    count(arg);
}
static void on_signal(int signum, void *arg) {
    (void)signum;
    count(arg);
}

static void setup(struct seen *seen) {
    seen->loop = evloop_new();
    CHECK_PTR_NOT_NULL(seen->loop);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, seen->fds), 0);
    seen->io = evloop_io_start(seen->loop, seen->fds[0], EVLOOP_READ, note, seen);
    CHECK_PTR_NOT_NULL(seen->io);
    CHECK_INT(evloop_run_once(seen->loop, 0), 0);
}

TEST(in_the_same_process_nothing_happens) {
    struct seen seen = {0};
    setup(&seen);
    int fds = fd_count();
    errno = 4711;
    CHECK_INT(evloop_after_fork(seen.loop), 0);
    CHECK_INT(errno, 4711);
    CHECK_NO_NEW_FDS(fds);
    CHECK_INT(write(seen.fds[1], "x", 1), 1);
    CHECK_INT(evloop_run_once(seen.loop, -1), 1);
    CHECK_ERRNO(evloop_after_fork(NULL), EINVAL);
    evloop_free(seen.loop);
}

/* The same descriptors on both sides: each process has the events of its own set, and changes no other. */
TEST(both_go_on_with_the_same_descriptors) {
    struct seen seen = {0};
    setup(&seen);
    pid_t child = fork();
    if (child == 0) {
        int fds = fd_count();
        REQUIRE(evloop_after_fork(seen.loop) == 0);
        /* The poller of `polling` is forgotten with the descriptors that only it knows. */
        REQUIRE(fd_count() - fds <= (getenv("NETCONN_POLLER") ? 3 : 0));
        REQUIRE(evloop_after_fork(seen.loop) == 0);
        REQUIRE(evloop_run_once(seen.loop, 0) == 0);
        REQUIRE(write(seen.fds[1], "x", 1) == 1);
        REQUIRE(evloop_run_once(seen.loop, -1) == 1 && seen.calls == 1);
        evloop_io_update(seen.io, EVLOOP_WRITE);
        REQUIRE(evloop_run_once(seen.loop, -1) == 1);
        evloop_io_free(seen.io);
        REQUIRE(evloop_run_once(seen.loop, 0) == 0);
        struct evloop_io *other = evloop_io_start(seen.loop, seen.fds[1], EVLOOP_WRITE, note, &seen);
        REQUIRE(other && evloop_run_once(seen.loop, -1) == 1);
        evloop_wakeup(seen.loop);
        REQUIRE(evloop_post(seen.loop, count, &seen) == 0);
        evloop_free(seen.loop);
        close(seen.fds[0]);
        close(seen.fds[1]);
        leave();
    }
    wait_for(child);
    /* The child's byte is there; nothing of the child's watching is, nor its wake-ups. */
    CHECK_INT(evloop_run_once(seen.loop, -1), 1);
    CHECK_INT(evloop_run_once(seen.loop, -1), 1);
    char byte;
    CHECK_INT(read(seen.fds[0], &byte, 1), 1);
    CHECK_INT(evloop_run_once(seen.loop, 0), 0);
    struct pollfd quiet = {seen.fds[0], POLLIN, 0};
    CHECK_INT(poll(&quiet, 1, 0), 0);
    evloop_free(seen.loop);
}

static struct seen *ordering;
static void one(void *arg) { strcat(ordering->order, arg); }

TEST(timers_posts_and_idle_watchers_are_kept) {
    struct seen seen = {0};
    setup(&seen);
    ordering = &seen;
    struct evloop_timer *repeating = evloop_timer_start(seen.loop, 0.01, 3600, one, "b");
    struct evloop_timer *late = evloop_timer_start(seen.loop, 0.01, 0, one, "c");
    struct evloop_timer *stopped = evloop_timer_start(seen.loop, 0, 0, one, "x");
    evloop_timer_stop(stopped);
    struct evloop_io *idle = evloop_io_start(seen.loop, seen.fds[1], 0, note, &seen);
    evloop_io_unref(seen.io);
    CHECK_INT(evloop_post(seen.loop, one, "a"), 0);
    CHECK_INT(evloop_post(seen.loop, one, "a"), 0);
    pid_t child = fork();
    if (child == 0) {
        REQUIRE(evloop_after_fork(seen.loop) == 0);
        while (strlen(seen.order) < 4) REQUIRE(evloop_run_once(seen.loop, -1) >= 0);
        REQUIRE(strcmp(seen.order, "aabc") == 0);
        evloop_timer_free(repeating);
        evloop_timer_reschedule(stopped, 0, 0);
        evloop_timer_reschedule(late, 0, 0);
        REQUIRE(evloop_run_once(seen.loop, -1) == 2);
        evloop_io_update(idle, EVLOOP_WRITE);
        REQUIRE(evloop_run_once(seen.loop, -1) == 1 && seen.calls == 1);
        /* Still unref'd: the run ends when nothing else is active. */
        evloop_io_free(idle);
        evloop_run(seen.loop);
        evloop_free(seen.loop);
        leave();
    }
    while (strlen(seen.order) < 4) CHECK(evloop_run_once(seen.loop, -1) >= 0);
    CHECK_STR(seen.order, "aabc");
    wait_for(child);
    evloop_free(seen.loop);
}

TEST(changes_that_the_kernel_was_not_told_are_kept) {
    struct seen seen = {0};
    setup(&seen);
    struct evloop_io *gone = evloop_io_start(seen.loop, seen.fds[1], EVLOOP_WRITE, note, &seen);
    CHECK_INT(evloop_run_once(seen.loop, -1), 1);
    evloop_io_update(seen.io, EVLOOP_WRITE);
    pid_t child = fork();
    if (child == 0) {
        evloop_io_free(gone); /* before: it is the parent's registration */
        REQUIRE(evloop_after_fork(seen.loop) == 0);
        seen.calls = 0;
        REQUIRE(evloop_run_once(seen.loop, -1) == 1 && seen.calls == 1);
        REQUIRE(evloop_run_once(seen.loop, -1) == 1 && seen.calls == 2);
        evloop_free(seen.loop);
        leave();
    }
    wait_for(child);
    CHECK_INT(evloop_run_once(seen.loop, -1), 2);
    evloop_free(seen.loop);
}

TEST(signals_are_watched_again) {
    struct seen seen = {0};
    setup(&seen);
    struct evloop_signal *watched = evloop_signal_start(seen.loop, SIGUSR1, on_signal, &seen);
    struct evloop_signal *stopped = evloop_signal_start(seen.loop, SIGUSR2, on_signal, &seen);
    evloop_signal_stop(stopped);
    raise(SIGUSR1); /* the parent's: it has not been told yet */
    pid_t child = fork();
    if (child == 0) {
        struct sigaction before;
        sigaction(SIGUSR1, NULL, &before);
        REQUIRE(before.sa_handler == SIG_DFL);
        REQUIRE(evloop_after_fork(seen.loop) == 0);
        REQUIRE(evloop_run_once(seen.loop, 0) == 0);
        raise(SIGUSR1);
        REQUIRE(evloop_run_once(seen.loop, -1) == 1 && seen.calls == 1);
        sigaction(SIGUSR2, NULL, &before);
        REQUIRE(before.sa_handler == SIG_DFL);
        evloop_signal_free(watched);
        evloop_signal_free(stopped);
        sigaction(SIGUSR1, NULL, &before);
        REQUIRE(before.sa_handler == SIG_DFL);
        evloop_free(seen.loop);
        leave();
    }
    wait_for(child);
    CHECK_INT(evloop_run_once(seen.loop, -1), 1);
    CHECK_INT(seen.calls, 1);
    evloop_free(seen.loop);
}

/* ---- Inside a callback ------------------------------------------------------------------------------------------------- */

static void fork_and_take_over(int fd, int revents, void *arg) {
    struct seen *seen = arg;
    note(fd, revents, arg);
    if (seen->child != 0) {
        evloop_break(seen->loop);
        return;
    }
    seen->child = fork();
    if (seen->child != 0) return;
    seen->child = -1;
    REQUIRE(evloop_after_fork(seen->loop) == 0);
    REQUIRE(evloop_post(seen->loop, count, seen) == 0);
}

static void check_run_goes_on(void (*run)(struct ev_loop *loop)) {
    struct seen seen = {0};
    setup(&seen);
    evloop_io_free(seen.io);
    struct evloop_io *both[2];
    for (int i = 0; i < 2; i++) both[i] = evloop_io_start(seen.loop, seen.fds[i], EVLOOP_WRITE, fork_and_take_over, &seen);
    struct evloop_timer *timer = evloop_timer_start(seen.loop, 0, 0, count, &seen);
    run(seen.loop);
    if (seen.child == -1) {
        /* The child's run went on after the callback, to its own break. */
        REQUIRE(seen.calls >= 2);
        evloop_timer_free(timer);
        for (int i = 0; i < 2; i++) evloop_io_free(both[i]);
        evloop_run(seen.loop);
        evloop_free(seen.loop);
        leave();
    }
    wait_for(seen.child);
    evloop_free(seen.loop);
}

static void run_rounds_of_one(struct ev_loop *loop) {
    CHECK(evloop_run_once(loop, -1) >= 1);
    CHECK(evloop_run_once(loop, -1) >= 1);
}

TEST(a_run_around_the_callback_goes_on_in_the_child) { check_run_goes_on(evloop_run); }
TEST(a_round_around_the_callback_ends_in_the_child) { check_run_goes_on(run_rounds_of_one); }

static void fork_in_post(void *arg) {
    struct seen *seen = arg;
    seen->child = fork();
    if (seen->child != 0) {
        evloop_break(seen->loop);
        return;
    }
    seen->child = -1;
    REQUIRE(evloop_after_fork(seen->loop) == 0);
    evloop_free(seen->loop);
}

TEST(the_child_frees_what_it_has_just_taken_over) {
    struct seen seen = {0};
    setup(&seen);
    CHECK_INT(evloop_post(seen.loop, fork_in_post, &seen), 0);
    CHECK_INT(evloop_post(seen.loop, count, &seen), 0);
    evloop_run(seen.loop);
    if (seen.child == -1) {
        REQUIRE(seen.calls == 0);
        leave();
    }
    wait_for(seen.child);
    evloop_free(seen.loop);
}

static void nested(void *arg) {
    struct seen *seen = arg;
    CHECK_INT(evloop_post(seen->loop, fork_in_post, seen), 0);
    evloop_run(seen->loop);
}

TEST(nested_runs_return_in_the_child) {
    struct seen seen = {0};
    setup(&seen);
    CHECK_INT(evloop_post(seen.loop, nested, &seen), 0);
    evloop_run(seen.loop);
    if (seen.child == -1) leave();
    wait_for(seen.child);
    evloop_free(seen.loop);
}

/* ---- Other threads ------------------------------------------------------------------------------------------------------- */

struct runner {
    struct seen seen;
    int ready[2];
};

static void tell(void *arg) {
    struct runner *runner = arg;
    CHECK_INT(write(runner->ready[1], "r", 1), 1);
}

static void *run_it(void *arg) {
    struct runner *runner = arg;
    evloop_run(runner->seen.loop);
    return NULL;
}

/* Waits until the only other thread of this process sleeps in the kernel. */
static void wait_until_it_sleeps(void) {
    char command[128], state[8];
    snprintf(command, sizeof command, "grep -l '^State:.S' $(ls -d /proc/%d/task/* | grep -v /%d$)/status", (int)getpid(),
             (int)getpid());
    for (bool sleeps = false; !sleeps;) {
        FILE *all = popen(command, "r");
        CHECK_PTR_NOT_NULL(all);
        sleeps = fgets(state, sizeof state, all) != NULL;
        pclose(all);
    }
}

TEST(a_thread_that_is_not_the_loops_forks) {
    struct runner runner = {0};
    setup(&runner.seen);
    CHECK_INT(pipe(runner.ready), 0);
    CHECK_INT(evloop_post(runner.seen.loop, tell, &runner), 0);
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, run_it, &runner), 0);
    char byte;
    CHECK_INT(read(runner.ready[0], &byte, 1), 1);
    /* Asleep, but where? In the wait, unless the scheduler was unkind: then the next child finds it there. */
    int status = -1;
    do {
        wait_until_it_sleeps();
        pid_t child = fork();
        if (child == 0) {
            if (evloop_after_fork(runner.seen.loop) == -1) {
                REQUIRE(errno == EBUSY);
                REQUIRE(evloop_run_once(runner.seen.loop, 0) == -1 && errno == EPERM);
                raise(SIGTERM);
            }
            REQUIRE(evloop_run_once(runner.seen.loop, 0) == 0);
            REQUIRE(evloop_post(runner.seen.loop, count, &runner.seen) == 0);
            REQUIRE(evloop_run_once(runner.seen.loop, -1) == 1);
            evloop_free(runner.seen.loop);
            leave();
        }
        CHECK_INT(waitpid(child, &status, 0), child);
    } while (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    CHECK(has_passed(status));
    evloop_break(runner.seen.loop);
    pthread_join(thread, NULL);
    evloop_free(runner.seen.loop);
}

static void hold_the_loop(void *arg) {
    struct runner *runner = arg;
    tell(arg);
    char byte;
    CHECK_INT(read(runner->seen.fds[0], &byte, 1), 1);
}

TEST(a_loop_at_work_in_another_thread_cannot_be_taken_over) {
    struct runner runner = {0};
    setup(&runner.seen);
    CHECK_INT(pipe(runner.ready), 0);
    int hold[2];
    CHECK_INT(pipe(hold), 0);
    close(runner.seen.fds[0]);
    evloop_io_free(runner.seen.io);
    runner.seen.fds[0] = hold[0];
    CHECK_INT(evloop_post(runner.seen.loop, hold_the_loop, &runner), 0);
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, run_it, &runner), 0);
    char byte;
    CHECK_INT(read(runner.ready[0], &byte, 1), 1);
    pid_t child = fork();
    if (child == 0) {
        REQUIRE(evloop_after_fork(runner.seen.loop) == -1 && errno == EBUSY);
        REQUIRE(evloop_run_once(runner.seen.loop, 0) == -1 && errno == EPERM);
        evloop_destroy_all(); /* leaves it alone */
        struct ev_loop *own = evloop_new();
        REQUIRE(own && evloop_run_once(own, 0) == 0);
        evloop_free(own);
        leave();
    }
    wait_for(child);
    CHECK_INT(write(hold[1], "h", 1), 1);
    pthread_join(thread, NULL);
    evloop_free(runner.seen.loop);
}

static int posted;
static void take_post(void *arg) {
    count(arg);
    __atomic_sub_fetch(&posted, 1, __ATOMIC_SEQ_CST);
}
static void *post_for_ever(void *arg) {
    struct seen *seen = arg;
    while (__atomic_load_n(&seen->child, __ATOMIC_SEQ_CST) == 0) {
        if (__atomic_add_fetch(&posted, 1, __ATOMIC_SEQ_CST) > 1000 || evloop_post(seen->loop, take_post, seen) != 0) {
            __atomic_sub_fetch(&posted, 1, __ATOMIC_SEQ_CST);
            sched_yield();
        }
    }
    return NULL;
}

/* A post is half done somewhere at nearly every fork. */
TEST(children_of_a_storm_of_posts) {
    struct seen seen = {0};
    setup(&seen);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) CHECK_INT(pthread_create(&threads[i], NULL, post_for_ever, &seen), 0);
    for (int i = 0; i < small(50, 5); i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20); /* a lock that nobody opens */
            REQUIRE(evloop_after_fork(seen.loop) == 0);
            REQUIRE(evloop_post(seen.loop, count, &seen) == 0);
            seen.calls = 0;
            REQUIRE(evloop_run_once(seen.loop, -1) >= 1 && seen.calls >= 1);
            evloop_free(seen.loop);
            leave();
        }
        wait_for(child);
        CHECK(evloop_run_once(seen.loop, 0) >= 0);
    }
    __atomic_store_n(&seen.child, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    evloop_free(seen.loop);
}

/* ---- The default loop ------------------------------------------------------------------------------------------------------ */

TEST(the_default_loop_stays_the_default_one) {
    struct ev_loop *loop = evloop_get_default();
    pid_t child = fork();
    if (child == 0) {
        REQUIRE(evloop_after_fork(loop) == 0);
        REQUIRE(evloop_get_default() == loop);
        struct seen seen = {0};
        REQUIRE(evloop_timer_start(NULL, 0, 0, count, &seen) != NULL);
        evloop_run(loop);
        REQUIRE(seen.calls == 1);
        /* And of the child's child. */
        pid_t grandchild = fork();
        if (grandchild == 0) {
            struct ev_loop *fresh = evloop_get_default();
            REQUIRE(fresh && fresh != loop);
            REQUIRE(evloop_after_fork(loop) == 0);
            REQUIRE(evloop_get_default() == fresh);
            REQUIRE(evloop_run_once(loop, 0) == 0 && evloop_run_once(fresh, 0) == 0);
            evloop_destroy_all();
            leave();
        }
        int status;
        REQUIRE(waitpid(grandchild, &status, 0) == grandchild && has_passed(status));
        REQUIRE(evloop_run_once(loop, 0) == 0);
        evloop_destroy_all();
        leave();
    }
    wait_for(child);
    CHECK_PTR(evloop_get_default(), loop);
    CHECK_INT(evloop_run_once(loop, 0), 0);
}

/* ---- Embedded -------------------------------------------------------------------------------------------------------------- */

static bool is_readable(int fd, int timeout) {
    struct pollfd host = {fd, POLLIN, 0};
    return poll(&host, 1, timeout) == 1;
}

TEST(an_embedded_loop_keeps_its_number) {
    struct seen seen = {0};
    setup(&seen);
    int fd = evloop_fd(seen.loop);
    CHECK(fd >= 0);
    struct evloop_timer *timer = evloop_timer_start(seen.loop, 3600, 0, count, &seen);
    pid_t child = fork();
    if (child == 0) {
        REQUIRE(evloop_after_fork(seen.loop) == 0);
        REQUIRE(evloop_fd(seen.loop) == fd);
        REQUIRE(!is_readable(fd, 0));
        REQUIRE(evloop_post(seen.loop, count, &seen) == 0);
        REQUIRE(is_readable(fd, -1) && evloop_run_once(seen.loop, 0) == 1);
        REQUIRE(!is_readable(fd, 0));
        evloop_timer_reschedule(timer, 0.001, 0);
        REQUIRE(is_readable(fd, -1));
        while (seen.calls < 2) REQUIRE(evloop_run_once(seen.loop, 0) >= 0);
        REQUIRE(write(seen.fds[1], "x", 1) == 1);
        REQUIRE(is_readable(fd, -1) && evloop_run_once(seen.loop, 0) == 1);
        evloop_free(seen.loop);
        REQUIRE(fcntl(fd, F_GETFD) == -1);
        leave();
    }
    wait_for(child);
    char byte;
    CHECK_INT(read(seen.fds[0], &byte, 1), 1);
    CHECK(!is_readable(fd, 0));
    evloop_timer_reschedule(timer, 0.001, 0);
    CHECK(is_readable(fd, -1));
    evloop_free(seen.loop);
}

TEST(an_attachment_is_kept_and_not_told) {
    struct seen seen = {0};
    setup(&seen);
    CHECK_INT(evloop_set_attachment(seen.loop, &seen, count), 0);
    pid_t child = fork();
    if (child == 0) {
        REQUIRE(evloop_after_fork(seen.loop) == 0);
        REQUIRE(evloop_get_attachment(seen.loop) == &seen && seen.calls == 0);
        evloop_free(seen.loop);
        REQUIRE(seen.calls == 1);
        leave();
    }
    wait_for(child);
    evloop_free(seen.loop);
}

/* ---- What can go wrong ------------------------------------------------------------------------------------------------------ */

TEST(without_descriptors_the_loop_is_as_before) {
    struct seen seen = {0};
    setup(&seen);
    CHECK(evloop_fd(seen.loop) >= 0);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit all, none;
        REQUIRE(getrlimit(RLIMIT_NOFILE, &all) == 0);
        int fds = fd_count();
        for (rlim_t room = 0; room < 8; room++) {
            /* Room for so many more: the first that fails is another one each time. */
            int top = dup(0);
            close(top);
            none = all;
            none.rlim_cur = (rlim_t)top + room;
            REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
            int taken = evloop_after_fork(seen.loop);
            int error = errno;
            REQUIRE(setrlimit(RLIMIT_NOFILE, &all) == 0);
            if (taken == 0) {
                REQUIRE(room > 0);
                break;
            }
            REQUIRE(error == EMFILE);
            REQUIRE(fd_count() == fds);
            REQUIRE(evloop_run_once(seen.loop, 0) == -1 && errno == EPERM);
        }
        REQUIRE(evloop_run_once(seen.loop, 0) == 0);
        REQUIRE(write(seen.fds[1], "x", 1) == 1);
        REQUIRE(evloop_run_once(seen.loop, -1) == 1);
        evloop_free(seen.loop);
        leave();
    }
    wait_for(child);
    CHECK_INT(evloop_run_once(seen.loop, -1), 1);
    evloop_free(seen.loop);
}

TEST(a_watched_descriptor_that_the_child_has_closed) {
    struct seen seen = {0};
    setup(&seen);
    evloop_io_free(seen.io);
    /* A number that nothing new will get. */
    CHECK_INT(dup2(seen.fds[0], 200), 200);
    seen.io = evloop_io_start(seen.loop, 200, EVLOOP_READ, note, &seen);
    CHECK_INT(evloop_run_once(seen.loop, 0), 0);
    pid_t child = fork();
    if (child == 0) {
        close(200);
        REQUIRE(evloop_after_fork(seen.loop) == 0);
        REQUIRE(evloop_run_once(seen.loop, 0) == 1); /* told once, so that its owner meets EBADF */
        REQUIRE(evloop_run_once(seen.loop, 0) == 0);
        evloop_io_free(seen.io);
        evloop_free(seen.loop);
        leave();
    }
    wait_for(child);
    CHECK_INT(write(seen.fds[1], "x", 1), 1);
    CHECK_INT(evloop_run_once(seen.loop, -1), 1);
    evloop_free(seen.loop);
}

/* Generations: each child takes over and forks the next. */
TEST(two_hundred_generations) {
    struct seen seen = {0};
    setup(&seen);
    pid_t first = fork();
    int depth = 0;
    while (first == 0 && depth < small(200, 20)) {
        REQUIRE(evloop_run_once(seen.loop, 0) == -1 && errno == EPERM);
        if (depth % 50 == 0) {
            REQUIRE(evloop_after_fork(seen.loop) == 0);
            REQUIRE(evloop_run_once(seen.loop, 0) == 0);
        }
        depth++;
        pid_t next = fork();
        if (next != 0) {
            int status;
            REQUIRE(waitpid(next, &status, 0) == next && has_passed(status));
            leave();
        }
    }
    if (first == 0) leave();
    wait_for(first);
    evloop_free(seen.loop);
}

static void on_answer(int status, const struct addrinfo *ai, void *arg) {
    REQUIRE(status == 0 && ai != NULL);
    count(arg);
}

TEST(lookups_are_asked_again) {
#ifdef __SANITIZE_ADDRESS__
    /* The sanitizer's allocator has locks that fork(2) knows nothing of: what a resolver's thread held then, the child waits for
     * for ever. Without it this child lives on what glibc and the library see to. */
    return;
#endif
    struct seen seen = {0};
    setup(&seen);
    evloop_io_free(seen.io);
    /* The C library has then read its configuration, which takes long under a checker, with locks held. */
    dns_set_cache_ttl(0);
    dns_resolve_async(seen.loop, "localhost", "80", AF_UNSPEC, SOCK_STREAM, 0, on_answer, &seen);
    evloop_run(seen.loop);
    seen.calls = 0;
    for (int i = 0; i < 3; i++)
        CHECK_PTR_NOT_NULL(dns_resolve_start(seen.loop, "localhost", "80", AF_UNSPEC, SOCK_STREAM, 0, on_answer, &seen));
    struct dns_request *cancelled = dns_resolve_start(seen.loop, "localhost", "81", AF_UNSPEC, SOCK_STREAM, 0, on_answer, &seen);
    CHECK_PTR_NOT_NULL(dns_resolve_start(seen.loop, "127.0.0.1", "80", AF_UNSPEC, SOCK_STREAM, 0, on_answer, &seen));
    pid_t child = fork();
    if (child == 0) {
        REQUIRE(evloop_after_fork(seen.loop) == 0);
        dns_cancel(cancelled);
        evloop_run(seen.loop); /* ends: no lookup is left */
        REQUIRE(seen.calls == 4);
        evloop_free(seen.loop);
        leave();
    }
    wait_for(child);
    evloop_run(seen.loop);
    CHECK_INT(seen.calls, 5);
    evloop_free(seen.loop);
}

TEST_MAIN

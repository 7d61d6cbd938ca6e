/* evloop.h: what a child of fork() can do with its parent's loops: nothing, and no harm. */
#include "../harness.h"
#include "evloop.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct seen {
    struct ev_loop *loop;
    struct evloop_io *io;
    int fds[2];
    int calls;
    pid_t child;
};

static void note(int fd, int revents, void *arg) {
    (void)fd;
    (void)revents;
    ((struct seen *)arg)->calls++;
}
static void count(void *arg) { ((struct seen *)arg)->calls++; }
static void on_signal(int signum, void *arg) {
    (void)signum;
    count(arg);
}

static void setup(struct seen *seen) {
    seen->loop = evloop_get_default();
    CHECK_PTR_NOT_NULL(seen->loop);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, seen->fds), 0);
    seen->io = evloop_io_start(seen->loop, seen->fds[0], EVLOOP_READ, note, seen);
    CHECK_PTR_NOT_NULL(seen->io);
    CHECK_INT(evloop_run_once(seen->loop, 0), 0);
}

/* Both processes leave with the same checks: a child that fails one ends with another status. */
static void wait_for(pid_t child) {
    int status = -1;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) _exit(100);                                                                                  \
    } while (0)

TEST(a_child_cannot_use_a_loop_of_its_parent) {
    struct seen seen = {0};
    setup(&seen);
    struct evloop_timer *timer = evloop_timer_start(seen.loop, 3600, 0, count, &seen);
    pid_t child = fork();
    if (child == 0) {
        errno = 0;
        REQUIRE(evloop_io_start(seen.loop, seen.fds[1], EVLOOP_READ, note, &seen) == NULL && errno == EPERM);
        errno = 0;
        REQUIRE(evloop_timer_start(seen.loop, 0, 0, count, &seen) == NULL && errno == EPERM);
        errno = 0;
        REQUIRE(evloop_signal_start(seen.loop, SIGUSR1, on_signal, &seen) == NULL && errno == EPERM);
        errno = 0;
        REQUIRE(evloop_run_once(seen.loop, 0) == -1 && errno == EPERM);
        errno = 0;
        REQUIRE(evloop_post(seen.loop, count, &seen) == -1 && errno == EPERM);
        errno = 0;
        REQUIRE(evloop_fd(seen.loop) == -1 && errno == EPERM);
        errno = 0;
        REQUIRE(evloop_timeout_ms(seen.loop) == -1 && errno == EPERM);
        errno = 0;
        REQUIRE(evloop_set_attachment(seen.loop, &seen, NULL) == -1 && errno == EPERM);
        evloop_wakeup(seen.loop);
        evloop_break(seen.loop);
        evloop_run(seen.loop);
        evloop_io_update(seen.io, 0);
        evloop_io_stop(seen.io);
        evloop_timer_reschedule(timer, 0, 0);
        REQUIRE(seen.calls == 0);
        _exit(0);
    }
    wait_for(child);
    /* The parent's loop was not woken and lost nothing. */
    CHECK_INT(write(seen.fds[1], "x", 1), 1);
    CHECK_INT(evloop_run_once(seen.loop, -1), 1);
}

TEST(what_a_child_frees_stays_registered_in_its_parent) {
    struct seen seen = {0};
    setup(&seen);
    struct evloop_timer *timer = evloop_timer_start(seen.loop, 3600, 0, count, &seen);
    CHECK_PTR_NOT_NULL(evloop_new());
    pid_t child = fork();
    if (child == 0) {
        evloop_io_free(seen.io);
        evloop_timer_free(timer);
        close(seen.fds[0]);
        evloop_free(seen.loop);
        evloop_destroy_all();
        _exit(0);
    }
    wait_for(child);
    CHECK_INT(write(seen.fds[1], "x", 1), 1);
    CHECK_INT(evloop_run_once(seen.loop, -1), 1);
    CHECK_INT(evloop_run_once(seen.loop, -1), 1);
}

TEST(a_child_gets_a_default_loop_of_its_own) {
    struct seen seen = {0};
    setup(&seen);
    pid_t child = fork();
    if (child == 0) {
        struct seen own = {0};
        own.loop = evloop_get_default();
        REQUIRE(own.loop != NULL && own.loop != seen.loop);
        REQUIRE(own.loop == evloop_get_default());
        REQUIRE(write(seen.fds[1], "x", 1) == 1);
        REQUIRE(evloop_io_start(NULL, seen.fds[0], EVLOOP_READ, note, &own) != NULL);
        REQUIRE(evloop_run_once(own.loop, -1) == 1);
        REQUIRE(evloop_post(own.loop, count, &own) == 0);
        REQUIRE(evloop_run_once(own.loop, -1) == 2);
        REQUIRE(own.calls == 3 && seen.calls == 0);
        evloop_destroy_all();
        _exit(0);
    }
    wait_for(child);
    CHECK_INT(evloop_run_once(seen.loop, -1), 1);
}

static void fork_inside(int fd, int revents, void *arg) {
    struct seen *seen = arg;
    note(fd, revents, arg);
    if (seen->child == 0 && (seen->child = fork()) == 0) seen->child = -1;
}

TEST(a_child_made_in_a_callback_leaves_the_loop) {
    struct seen seen = {0};
    setup(&seen);
    evloop_io_free(seen.io);
    /* Both are ready: the child must not see the second one's event. */
    for (int i = 0; i < 2; i++)
        CHECK_PTR_NOT_NULL(evloop_io_start(seen.loop, seen.fds[i], EVLOOP_WRITE, fork_inside, &seen));
    int ran = evloop_run_once(seen.loop, -1);
    if (seen.child == -1) {
        evloop_run(seen.loop);
        _exit(ran == 1 && seen.calls == 1 ? 0 : 101);
    }
    CHECK_INT(ran, 2);
    wait_for(seen.child);
    CHECK_INT(evloop_run_once(seen.loop, -1), 2);
}

TEST(a_signal_in_a_child_does_what_it_did_before) {
    struct seen seen = {0};
    setup(&seen);
    CHECK_PTR_NOT_NULL(evloop_signal_start(seen.loop, SIGTERM, on_signal, &seen));
    pid_t child = fork();
    if (child == 0) {
        raise(SIGTERM);
        _exit(102);
    }
    int status = -1;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGTERM);
    CHECK_INT(evloop_run_once(seen.loop, 0), 0); /* it was not the parent's */
    raise(SIGTERM);
    CHECK_INT(evloop_run_once(seen.loop, -1), 1);
}

TEST_MAIN

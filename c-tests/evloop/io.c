/* evloop.h: watched descriptors. */
#include "../harness.h"
#include "evloop.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct seen {
    int calls;
    int last_fd;
    int last_events;
    struct ev_loop *loop;
    struct evloop_io *io;
    struct evloop_io *other;
    int other_fd;
};

static void note(int fd, int revents, void *arg) {
    struct seen *seen = arg;
    seen->calls++;
    seen->last_fd = fd;
    seen->last_events = revents;
}

static void pair(int fds[2]) {
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static void send_byte(int fd) { CHECK_INT(write(fd, "x", 1), 1); }
static void take_byte(int fd) {
    char byte;
    CHECK_INT(read(fd, &byte, 1), 1);
}

TEST(a_ready_descriptor_is_told_while_it_is_ready) {
    struct ev_loop *loop = evloop_new();
    CHECK_PTR_NOT_NULL(loop);
    int fds[2];
    pair(fds);
    struct seen seen = {0};
    struct evloop_io *io = evloop_io_start(loop, fds[0], EVLOOP_READ, note, &seen);
    CHECK_PTR_NOT_NULL(io);
    CHECK_INT(evloop_run_once(loop, 0), 0);
    send_byte(fds[1]);
    CHECK_INT(evloop_run_once(loop, -1), 1);
    CHECK_INT(evloop_run_once(loop, -1), 1);
    CHECK_INT(seen.calls, 2);
    CHECK_INT(seen.last_fd, fds[0]);
    CHECK_INT(seen.last_events, EVLOOP_READ);
    take_byte(fds[0]);
    CHECK_INT(evloop_run_once(loop, 0), 0);
    evloop_io_update(io, EVLOOP_READ | EVLOOP_WRITE);
    CHECK_INT(evloop_run_once(loop, 0), 1);
    CHECK_INT(seen.last_events, EVLOOP_WRITE);
    evloop_io_update(io, 0x40);
    CHECK_INT(evloop_run_once(loop, 0), 1);
    evloop_io_stop(io);
    CHECK_INT(evloop_run_once(loop, 0), 0);
    evloop_io_update(io, EVLOOP_WRITE);
    CHECK_INT(evloop_run_once(loop, 0), 1);
    evloop_io_update(io, 0);
    CHECK_INT(evloop_run_once(loop, 0), 0);
    evloop_io_free(io);
    evloop_free(loop);
    CHECK_INT(fcntl(fds[0], F_GETFD), FD_CLOEXEC); /* still the caller's */
    close(fds[0]);
    close(fds[1]);
}

TEST(several_watchers_share_a_descriptor) {
    struct ev_loop *loop = evloop_new();
    int fds[2];
    pair(fds);
    struct seen readers[2] = {{0}}, writer = {0};
    struct evloop_io *first = evloop_io_start(loop, fds[0], EVLOOP_READ, note, &readers[0]);
    evloop_io_start(loop, fds[0], EVLOOP_READ, note, &readers[1]);
    evloop_io_start(loop, fds[0], EVLOOP_WRITE, note, &writer);
    CHECK_INT(evloop_run_once(loop, 0), 1);
    send_byte(fds[1]);
    CHECK_INT(evloop_run_once(loop, 0), 3);
    CHECK_INT(readers[0].last_events, EVLOOP_READ);
    CHECK_INT(writer.last_events, EVLOOP_WRITE);
    evloop_io_free(first);
    CHECK_INT(evloop_run_once(loop, 0), 2);
    CHECK_INT(readers[0].calls, 1);
    CHECK_INT(readers[1].calls, 2);
    CHECK_INT(writer.calls, 3);
    evloop_free(loop);
}

TEST(a_hang_up_counts_as_what_was_asked_for) {
    struct ev_loop *loop = evloop_new();
    int fds[2];
    pair(fds);
    struct seen seen = {0};
    struct evloop_io *io = evloop_io_start(loop, fds[0], 0, note, &seen);
    close(fds[1]);
    CHECK_INT(evloop_run_once(loop, 0), 0); /* an idle watcher hears nothing and costs nothing */
    evloop_io_update(io, EVLOOP_WRITE);
    CHECK_INT(evloop_run_once(loop, 0), 1);
    CHECK_INT(seen.last_events, EVLOOP_WRITE);
    evloop_io_update(io, EVLOOP_READ);
    CHECK_INT(evloop_run_once(loop, 0), 1);
    CHECK_INT(seen.last_events, EVLOOP_READ);
    evloop_free(loop);
}

TEST(a_regular_file_is_always_ready) {
    struct ev_loop *loop = evloop_new();
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK_CMP(file, >=, 0);
    struct seen seen = {0};
    struct evloop_io *io = evloop_io_start(loop, file, EVLOOP_READ, note, &seen);
    for (int i = 0; i < 3; i++) CHECK_INT(evloop_run_once(loop, -1), 1);
    CHECK_INT(seen.last_events, EVLOOP_READ);
    CHECK_INT(evloop_timeout_ms(loop), 0);
    evloop_io_free(io);
    CHECK_INT(evloop_run_once(loop, -1), 0);
    close(file);
    evloop_free(loop);
}

TEST(what_cannot_be_watched_is_refused) {
    struct ev_loop *loop = evloop_new();
    struct seen seen = {0};
    int fds[2];
    pair(fds);
    CHECK_NULL_ERRNO(evloop_io_start(loop, -1, EVLOOP_READ, note, &seen), EBADF);
    CHECK_NULL_ERRNO(evloop_io_start(loop, 1 << 30, EVLOOP_READ, note, &seen), EBADF);
    CHECK_NULL_ERRNO(evloop_io_start(loop, fds[0], 4, note, &seen), EINVAL);
    CHECK_NULL_ERRNO(evloop_io_start(loop, fds[0], -1, note, &seen), EINVAL);
    CHECK_NULL_ERRNO(evloop_io_start(loop, fds[0], 0x101, note, &seen), EINVAL);
    CHECK_NULL_ERRNO(evloop_io_start(loop, fds[0], EVLOOP_READ, NULL, &seen), EINVAL);
    close(fds[1]);
    CHECK_NULL_ERRNO(evloop_io_start(loop, fds[1], EVLOOP_READ, note, &seen), EBADF);
    errno = 77;
    CHECK_PTR_NOT_NULL(evloop_io_start(loop, fds[0], EVLOOP_READ, note, &seen));
    CHECK_INT(errno, 77); /* left alone on success */
    evloop_free(loop);
}

TEST(null_objects_are_accepted) {
    evloop_free(NULL);
    evloop_io_update(NULL, EVLOOP_READ);
    evloop_io_stop(NULL);
    evloop_io_free(NULL);
    evloop_io_ref(NULL);
    evloop_io_unref(NULL);
    evloop_timer_reschedule(NULL, 1, 1);
    evloop_timer_stop(NULL);
    evloop_timer_free(NULL);
    evloop_timer_ref(NULL);
    evloop_timer_unref(NULL);
    evloop_signal_stop(NULL);
    evloop_signal_free(NULL);
    evloop_run(NULL);
    evloop_break(NULL);
    evloop_wakeup(NULL);
    CHECK(evloop_now(NULL) == 0);
    CHECK_PTR_NULL(evloop_get_attachment(NULL));
    CHECK_ERRNO(evloop_run_once(NULL, 0), EINVAL);
    CHECK_ERRNO(evloop_fd(NULL), EINVAL);
    CHECK_ERRNO(evloop_timeout_ms(NULL), EINVAL);
    CHECK_ERRNO(evloop_post(NULL, free, NULL), EINVAL);
    CHECK_ERRNO(evloop_set_attachment(NULL, &errno, NULL), EINVAL);
}

TEST(a_null_loop_is_the_default_one_where_something_is_created) {
    int fds[2];
    pair(fds);
    struct seen seen = {0};
    struct evloop_io *io = evloop_io_start(NULL, fds[0], EVLOOP_WRITE, note, &seen);
    CHECK_PTR_NOT_NULL(io);
    CHECK_INT(evloop_run_once(evloop_get_default(), 0), 1);
    CHECK_INT(seen.calls, 1);
    CHECK_PTR(evloop_get_default(), evloop_get_default());
    evloop_io_free(io);
}

/* ---- What a callback may do ---- */

static void free_itself(int fd, int revents, void *arg) {
    note(fd, revents, arg);
    evloop_io_free(((struct seen *)arg)->io);
}
static void stop_itself(int fd, int revents, void *arg) {
    note(fd, revents, arg);
    evloop_io_stop(((struct seen *)arg)->io);
}
static void free_the_loop(int fd, int revents, void *arg) {
    note(fd, revents, arg);
    evloop_free(((struct seen *)arg)->loop);
}

TEST(a_watcher_may_stop_and_free_itself) {
    struct ev_loop *loop = evloop_new();
    int fds[2];
    pair(fds);
    struct seen seen = {0};
    seen.io = evloop_io_start(loop, fds[0], EVLOOP_WRITE, stop_itself, &seen);
    evloop_run(loop);
    CHECK_INT(seen.calls, 1);
    evloop_io_update(seen.io, EVLOOP_WRITE);
    evloop_run(loop);
    CHECK_INT(seen.calls, 2);
    evloop_io_free(seen.io);
    seen.io = evloop_io_start(loop, fds[0], EVLOOP_WRITE, free_itself, &seen);
    evloop_run(loop);
    CHECK_INT(seen.calls, 3);
    evloop_free(loop);
}

TEST(a_watcher_may_free_the_loop) {
    int fds[2];
    pair(fds);
    struct seen seen = {0};
    seen.loop = evloop_new();
    for (int i = 0; i < 3; i++) evloop_io_start(seen.loop, fds[i % 2], EVLOOP_WRITE, free_the_loop, &seen);
    evloop_run(seen.loop);
    CHECK_INT(seen.calls, 1);
}

static void end_the_other(int fd, int revents, void *arg) {
    struct seen *seen = arg;
    note(fd, revents, arg);
    evloop_io_free(seen->other);
    close(seen->other_fd);
}

TEST(the_first_of_two_ready_ones_may_free_the_second) {
    struct ev_loop *loop = evloop_new();
    int a[2], b[2];
    pair(a);
    pair(b);
    struct seen first = {0}, second = {0};
    first.other_fd = b[0];
    second.other_fd = a[0];
    second.other = evloop_io_start(loop, a[0], EVLOOP_WRITE, end_the_other, &first);
    first.other = evloop_io_start(loop, b[0], EVLOOP_WRITE, end_the_other, &second);
    CHECK_INT(evloop_run_once(loop, -1), 1);
    CHECK_INT(first.calls + second.calls, 1);
    evloop_free(loop);
}

static void reuse_the_other(int fd, int revents, void *arg) {
    struct seen *seen = arg;
    note(fd, revents, arg);
    evloop_io_free(seen->other);
    close(seen->other_fd);
    int quiet[2];
    pair(quiet); /* the lowest free numbers: the one just closed is among them */
    CHECK(quiet[0] == seen->other_fd || quiet[1] == seen->other_fd);
    static struct seen fresh;
    fresh.io = evloop_io_start(seen->loop, seen->other_fd, EVLOOP_READ, note, &fresh);
    CHECK_PTR_NOT_NULL(fresh.io);
    seen->other = NULL;
    seen->other_fd = quiet[0] == seen->other_fd ? quiet[1] : quiet[0];
}

TEST(a_number_reused_in_a_round_does_not_inherit_events) {
    struct ev_loop *loop = evloop_new();
    int a[2], b[2];
    pair(a);
    pair(b);
    send_byte(a[1]);
    send_byte(b[1]);
    struct seen seen[2] = {{.loop = loop, .other_fd = b[0]}, {.loop = loop, .other_fd = a[0]}};
    seen[1].other = evloop_io_start(loop, a[0], EVLOOP_READ, reuse_the_other, &seen[0]);
    seen[0].other = evloop_io_start(loop, b[0], EVLOOP_READ, reuse_the_other, &seen[1]);
    CHECK_INT(evloop_run_once(loop, -1), 1);
    struct seen *ran = seen[0].calls ? &seen[0] : &seen[1];
    struct seen *gone = seen[0].calls ? &seen[1] : &seen[0];
    CHECK_INT(gone->calls, 0);
    take_byte(ran->last_fd);
    CHECK_INT(evloop_run_once(loop, 0), 0);
    send_byte(ran->other_fd); /* the quiet pair's other end */
    CHECK_INT(evloop_run_once(loop, 0), 1);
    evloop_free(loop);
}

TEST(a_duplicate_that_outlives_a_watched_descriptor_does_no_harm) {
    struct ev_loop *loop = evloop_new();
    int fds[2], kept[2];
    pair(fds);
    pair(kept);
    send_byte(fds[1]);
    struct seen doomed = {0}, other = {0};
    struct evloop_io *io = evloop_io_start(loop, fds[0], EVLOOP_READ, note, &doomed);
    evloop_io_start(loop, kept[0], EVLOOP_READ, note, &other);
    CHECK_INT(evloop_run_once(loop, 0), 1);
    int duplicate = dup(fds[0]);
    close(fds[0]); /* before the watcher is freed: wrong, but a loop must not spin for it */
    evloop_io_free(io);
    CHECK_INT(evloop_run_once(loop, 0), 0);
    CHECK_INT(evloop_run_once(loop, 0), 0);
    double start = now();
    CHECK_INT(evloop_run_once(loop, 50), 0); /* it waits again */
    CHECK(now() - start >= 0.05);
    send_byte(kept[1]);
    CHECK_INT(evloop_run_once(loop, 0), 1);
    CHECK_INT(doomed.calls, 1);
    evloop_free(loop);
    close(duplicate);
}

struct nested {
    struct ev_loop *loop;
    int depth;
    int calls;
};

static void run_nested(int fd, int revents, void *arg) {
    struct nested *nested = arg;
    (void)revents;
    take_byte(fd); /* fails where there is none: the event was stale */
    nested->calls++;
    nested->depth++;
    if (nested->depth < 3) CHECK_CMP(evloop_run_once(nested->loop, 0), >=, 0);
    nested->depth--;
}

TEST(rounds_may_be_nested) {
    struct nested nested = {.loop = evloop_new()};
    int fds[4][2];
    for (int i = 0; i < 4; i++) {
        pair(fds[i]);
        send_byte(fds[i][1]);
        evloop_io_start(nested.loop, fds[i][0], EVLOOP_READ, run_nested, &nested);
    }
    while (evloop_run_once(nested.loop, 0) > 0) {
    }
    CHECK_INT(nested.calls, 4);
    evloop_free(nested.loop);
}

TEST(an_unreferenced_watcher_does_not_keep_the_loop_running) {
    struct ev_loop *loop = evloop_new();
    int fds[2];
    pair(fds);
    struct seen seen = {0};
    struct evloop_io *io = evloop_io_start(loop, fds[0], EVLOOP_READ, note, &seen);
    evloop_io_unref(io);
    evloop_io_unref(io);
    evloop_run(loop);
    CHECK_INT(evloop_run_once(loop, -1), 0); /* no limit, but nothing is active */
    send_byte(fds[1]);
    CHECK_INT(evloop_run_once(loop, 0), 1); /* it is told all the same */
    evloop_io_ref(io);
    evloop_io_ref(io);
    evloop_io_unref(io);
    evloop_run(loop);
    evloop_free(loop);
}

TEST(many_descriptors_and_none_left_open) {
    int before = fd_count();
    struct ev_loop *loop = evloop_new();
    int n = small(400, 50);
    int (*fds)[2] = alloc(sizeof *fds * (size_t)n);
    struct seen seen = {0};
    for (int i = 0; i < n; i++) {
        pair(fds[i]);
        CHECK_PTR_NOT_NULL(evloop_io_start(loop, fds[i][0], EVLOOP_READ, note, &seen));
        send_byte(fds[i][1]);
    }
    int ran = 0;
    while (ran < n) {
        int once = evloop_run_once(loop, -1);
        CHECK_CMP(once, >, 0);
        ran += once;
    }
    evloop_free(loop);
    for (int i = 0; i < n; i++) {
        close(fds[i][0]);
        close(fds[i][1]);
    }
    CHECK_NO_NEW_FDS(before);
}

TEST(a_loop_says_when_no_descriptor_is_left) {
    struct rlimit limit = {0};
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int probe = dup(0); /* the lowest free number: one descriptor is left, and a loop needs more */
    CHECK_CMP(probe, >=, 0);
    close(probe);
    limit.rlim_cur = (rlim_t)probe + 1;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_NULL_ERRNO(evloop_new(), EMFILE);
    CHECK_NULL_ERRNO(evloop_get_default(), EMFILE);
    limit.rlim_cur = 64;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_PTR_NOT_NULL(evloop_get_default());
}

TEST_MAIN

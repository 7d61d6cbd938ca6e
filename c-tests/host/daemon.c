/*
 * Daemons: they fork twice, leave their session, and close descriptors, all of them if need be: before the first use of the
 * library, or with loops and connections in hand.
 */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "dns_cares.h"
#include "netconn.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a test has before it becomes a daemon. */
struct before {
    const char *port;
    struct conn_options o;
    struct ev_loop *loop;
    struct client *ready, *resolving, *connecting;
    int pair[2], calls;
    struct evloop_io *io;
};

/* `act` in a daemon, which the test waits for. Whether it passed its checks: it does not exit, since a checker would count
 * what only the parent can give back. */
static void in_a_daemon(void (*act)(struct before *before), struct before *before) {
    CHECK_INT(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(setsid() > 0);
        pid_t daemon = fork();
        CHECK(daemon >= 0);
        if (daemon != 0) _exit(0);
        alarm((unsigned)slow(25)); /* the harness does not see it any more */
        CHECK_INT(chdir("/"), 0);
        umask(0);
        act(before);
        raise(SIGKILL);
    }
    int status, ended = 0;
    pid_t pid;
    while ((pid = waitpid(-1, &status, __WALL)) > 0) {
        if (pid == child) continue;
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ended++;
        /* The peer's process goes on. */
        if (ended) break;
        FAIL("the daemon ended with status %x", status);
    }
    CHECK_INT(ended, 1);
}

static void close_from(int first) {
    for (int fd = first; fd < 1024; fd++) close(fd);
}

static void talk(struct before *before, struct ev_loop *loop) {
    for (int i = 0; i < 2; i++) {
        struct client *client = client_open(loop, i ? "localhost" : "127.0.0.1", before->port, &before->o);
        client_wait_ready(client);
        client_echo(client, "the daemon's own");
        client_close(client);
    }
    evloop_run(loop);
}

/* ---- Before the first use ------------------------------------------------------------------------------------------------ */

static void start(struct before *before) {
    struct ev_loop *loop = evloop_get_default();
    talk(before, loop);
    netconn_cleanup();
}

static void start_without_descriptors(struct before *before) {
    close_from(0);
    start(before);
    CHECK_INT(open("/dev/null", O_RDWR), 0); /* none is left */
}

static void start_with_null(struct before *before) {
    close_from(0);
    for (int fd = 0; fd < 3; fd++) CHECK_INT(open("/dev/null", O_RDWR), fd);
    start(before);
    CHECK_INT(open("/dev/null", O_RDWR), 3);
}

ALL_TRANSPORTS(before_the_first_use) {
    struct before before = {.port = peer_process_of(version), .o = options_of(version)};
    in_a_daemon(start, &before);
    in_a_daemon(start_with_null, &before);
    in_a_daemon(start_without_descriptors, &before);
}

/* ---- After it -------------------------------------------------------------------------------------------------------------- */

static void count(int fd, int revents, void *arg) {
    (void)fd, (void)revents;
    ((struct before *)arg)->calls++;
}

static struct before used(int version) {
    struct before before = {.port = peer_process_of(version), .o = options_of(version)};
    before.loop = evloop_get_default();
    /* A name: the C library has then read its configuration, which takes long under a checker, with locks held. */
    dns_set_cache_ttl(0);
    before.ready = client_open(before.loop, "localhost", before.port, &before.o);
    client_wait_ready(before.ready);
    CHECK_INT(pipe2(before.pair, O_CLOEXEC | O_NONBLOCK), 0);
    before.resolving = client_open(before.loop, "localhost", before.port, &before.o);
    before.connecting = client_open(before.loop, "127.0.0.1", before.port, &before.o);
    return before;
}

static void watch(struct before *before) {
    before->io = evloop_io_start(before->loop, before->pair[0], EVLOOP_READ, count, before);
    CHECK_PTR_NOT_NULL(before->io);
    evloop_io_unref(before->io);
}

static void goes_on(struct before *before) {
    client_echo(before->ready, "well");
    client_wait_ready(before->resolving);
    client_wait_ready(before->connecting);
    client_echo(before->resolving, "and well");
    client_echo(before->connecting, "and well, too");
    int calls = before->calls;
    CHECK_INT(write(before->pair[1], "x", 1), 1);
    RUN_UNTIL(before->loop, before->calls > calls);
    evloop_io_free(before->io);
    client_close(before->ready);
    client_close(before->resolving);
    client_close(before->connecting);
    evloop_run(before->loop);
    close(before->pair[0]);
    close(before->pair[1]);
}

static void start_beside_the_parents(struct before *before) {
    CHECK_ERRNO(evloop_run_once(before->loop, 0), EPERM);
    struct ev_loop *own = evloop_get_default();
    CHECK(own != before->loop);
    talk(before, own);
    CHECK_INT(before->ready->errors + before->calls, 0);
    netconn_cleanup(); /* the parent's loop too: memory and descriptors of this process */
}

ALL_TRANSPORTS(after_the_first_use_with_a_loop_of_its_own) {
    struct before before = used(version);
    watch(&before);
    in_a_daemon(start_beside_the_parents, &before);
    goes_on(&before);
}

static void take_over(struct before *before) {
    CHECK_INT(evloop_after_fork(before->loop), 0);
    CHECK_PTR(evloop_get_default(), before->loop);
    talk(before, evloop_get_default());
    RUN_UNTIL(before->loop, before->ready->errors && before->resolving->errors && before->connecting->errors);
    CHECK_INT(before->ready->error, ECANCELED);
    int own[2];
    CHECK_INT(pipe(own), 0);
    dup2(own[0], before->pair[0]); /* the parent's pipe is the parent's */
    evloop_io_free(before->io);
    watch(before);
    CHECK_INT(write(own[1], "x", 1), 1);
    RUN_UNTIL(before->loop, before->calls == 1);
    netconn_cleanup();
}

ALL_TRANSPORTS(after_the_first_use_with_the_parents_loop) {
    struct before before = used(version);
    watch(&before);
    in_a_daemon(take_over, &before);
    goes_on(&before);
}

/* ---- After it, with all descriptors closed ---------------------------------------------------------------------------------- */

/* The host's own, of each kind that the library has too, under the numbers that were the library's. */
struct own {
    int fds[12], n;
    ino_t inodes[12];
};

static void open_own(struct own *own) {
    own->n = 0;
    own->fds[own->n++] = open("/dev/null", O_RDWR);
    for (int i = 0; i < 3; i++) {
        own->fds[own->n++] = open("/proc/self/exe", O_RDONLY);
        own->fds[own->n++] = socket(AF_INET, SOCK_STREAM, 0);
        own->fds[own->n++] = dup(own->fds[0]);
    }
    for (int i = 0; i < own->n; i++) {
        struct stat st;
        CHECK_INT(fstat(own->fds[i], &st), 0);
        own->inodes[i] = st.st_ino;
    }
}

static void check_own(struct own *own) {
    for (int i = 0; i < own->n; i++) {
        struct stat st;
        if (fstat(own->fds[i], &st) != 0) FAIL("descriptor %d of the host was closed", own->fds[i]);
        CHECK_INT(st.st_ino, own->inodes[i]);
    }
}

static void end_the_parents(struct before *before) {
    conn_close(before->ready->c);
    evloop_io_free(before->io);
    evloop_free(before->loop);
}

/* The host's descriptors have the numbers of the old loop and its connections. */
static void close_all_and_open_own(struct before *before) {
    close_from(3);
    struct own own;
    open_own(&own);
    end_the_parents(before);
    check_own(&own);
    talk(before, evloop_get_default());
    netconn_cleanup();
    check_own(&own);
}

/* The new loop's do. */
static void close_all_and_start_afresh(struct before *before) {
    close_from(3);
    struct ev_loop *fresh = evloop_get_default();
    CHECK(fresh != before->loop);
    struct client *client = client_open(fresh, "127.0.0.1", before->port, &before->o);
    client_wait_ready(client);
    CHECK_PTR_NOT_NULL(evloop_new());
    struct own own;
    open_own(&own);
    end_the_parents(before);
    client_echo(client, "undisturbed");
    client_close(client);
    check_own(&own);
    talk(before, fresh);
    netconn_cleanup();
    check_own(&own);
}

static void close_all_and_clean_up(struct before *before) {
    (void)before;
    close_from(3);
    struct own own;
    open_own(&own);
    netconn_cleanup();
    check_own(&own);
    talk(before, evloop_get_default());
}

static void close_all_and_take_over(struct before *before) {
    close_from(3);
    struct own own;
    open_own(&own);
    evloop_io_free(before->io);
    CHECK_INT(evloop_after_fork(before->loop), 0);
    check_own(&own);
    RUN_UNTIL(before->loop, before->ready->errors && before->resolving->errors && before->connecting->errors);
    CHECK_INT(before->ready->error, ECANCELED);
    talk(before, before->loop);
    check_own(&own);
    netconn_cleanup();
    check_own(&own);
}

/* Nothing else is opened: the new descriptors get the old numbers. */
static void close_all_and_take_over_at_once(struct before *before) {
    close_from(3);
    evloop_io_free(before->io);
    CHECK_INT(evloop_after_fork(before->loop), 0);
    talk(before, before->loop);
    conn_close(before->ready->c);
    talk(before, before->loop);
    netconn_cleanup();
    CHECK_INT(open("/dev/null", O_RDWR), 3);
}

static void (*const closing[])(struct before *) = {
    close_all_and_open_own, close_all_and_start_afresh, close_all_and_clean_up, close_all_and_take_over,
    close_all_and_take_over_at_once,
};

ALL_TRANSPORTS(closing_what_it_does_not_know) {
    struct before before = used(version);
    watch(&before);
    for (unsigned i = 0; i < sizeof closing / sizeof *closing; i++) in_a_daemon(closing[i], &before);
    goes_on(&before);
}

ALL_TRANSPORTS(closing_what_it_does_not_know_with_an_embedded_loop) {
    struct before before = used(version);
    watch(&before);
    CHECK(evloop_fd(before.loop) >= 0);
    for (unsigned i = 0; i < sizeof closing / sizeof *closing; i++) in_a_daemon(closing[i], &before);
    goes_on(&before);
}

TEST_MAIN

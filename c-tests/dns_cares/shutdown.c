/* shutdown.c - the resolver ends: by call, with the process, in a forked child. */
#include "lookup.h"
#include "name_server.h"

#define BOTH "[::1]:80 127.0.0.1:80"

TEST(shutdown_drops_what_is_pending) {
    struct name_server *ns = name_server_start();
    struct ev_loop *loop = new_loop();
    CHECK_LOOKUP(loop, "a.test", "80", BOTH);
    struct lookup *dropped[] = {lookup_start(loop, "127.0.0.1", "80"), lookup_start(loop, "a.test", "80"),
                                lookup_start(loop, "a..b", "80"), lookup_start(loop, "held.test", "80"),
                                lookup_start(loop, "silent.test", "80")};
    name_server_wait(ns, "held.test", 2);
    name_server_wait(ns, "silent.test", 2);
    dns_shutdown();
    evloop_run(loop); /* returns: nothing is active */
    name_server_release(ns);
    /* Afresh, and not joined to what was dropped. */
    CHECK_LOOKUP(loop, "held.test", "80", BOTH);
    CHECK_INT(name_server_count(ns, "held.test"), 4);
    for (int i = 0; i < 5; i++) CHECK_INT(dropped[i]->answers, 0);
}

TEST(shutdown_of_nothing) {
    dns_shutdown();
    struct ev_loop *loop = new_loop();
    CHECK_INT(dns_init(loop), 0);
    dns_shutdown();
    dns_shutdown();
    CHECK_LOOKUP(loop, "127.0.0.1", "80", "127.0.0.1:80");
}

static void shut_down(struct lookup *lookup) {
    (void)lookup;
    dns_shutdown();
}

TEST(shutdown_in_a_callback) {
    name_server_start();
    struct ev_loop *loop = new_loop();
    struct lookup *first = lookup_new(loop);
    first->then = shut_down;
    lookup_begin(first, "a.test", "80", AF_UNSPEC, SOCK_STREAM);
    struct lookup *second = lookup_start(loop, "held.test", "80");
    evloop_run(loop);
    CHECK_INT(first->answers, 1);
    CHECK_INT(second->answers, 0);
}

TEST(shutdown_gives_new_threads_for_stuck_ones) {
    struct name_server *ns = name_server_start();
    struct ev_loop *loop = new_loop();
    for (int i = 0; i < 4; i++) {
        char host[32];
        snprintf(host, sizeof host, "silent%d.test", i);
        lookup_start(loop, host, "80");
    }
    name_server_wait(ns, "silent", 8);
    dns_shutdown();
    CHECK_LOOKUP(loop, "a.test", "80", BOTH);
}

static void stay_stuck(int fd, struct name_server *ns) {
    struct ev_loop *loop = evloop_get_default();
    for (int i = 0; i < 6; i++) {
        char host[32];
        snprintf(host, sizeof host, "silent%d.test", i);
        lookup_start(loop, host, "80");
    }
    (void)ns;
    char go;
    CHECK_INT(read(fd, &go, 1), 1);
}

/* A process with all threads stuck: the way it ends must not wait for them. */
static void check_exit(void (*leave)(void)) {
    struct name_server *ns = name_server_start();
    int fds[2];
    CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        stay_stuck(fds[0], ns);
        leave();
        exit(7);
    }
    name_server_wait(ns, "silent", 8);
    CHECK_INT(write(fds[1], "", 1), 1);
    int status;
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 7);
    close(fds[0]);
    close(fds[1]);
}

static void nothing(void) {}

TEST(exit_does_not_wait_for_a_stuck_lookup) { check_exit(nothing); }

TEST(destroying_all_does_not_wait_for_a_stuck_lookup) { check_exit(evloop_destroy_all); }

TEST(shutdown_does_not_wait_for_a_stuck_lookup) { check_exit(dns_shutdown); }

TEST(a_child_has_a_resolver_of_its_own) {
    struct name_server *ns = name_server_start();
    struct ev_loop *loop = new_loop();
    CHECK_LOOKUP(loop, "a.test", "80", BOTH);
    struct lookup *pending = lookup_start(loop, "held.test", "80");
    name_server_wait(ns, "held.test", 2);
    int fds[2];
    CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK_NULL_ERRNO(dns_resolve_start(loop, "127.0.0.1", "80", 0, 0, 0, lookup_done, NULL), EPERM);
        dns_cancel(pending->request); /* harmless */
        struct ev_loop *own = evloop_new();
        CHECK_PTR_NOT_NULL(own);
        CHECK_LOOKUP(own, "127.0.0.1", "80", "127.0.0.1:80");
        CHECK_LOOKUP(own, "a.test", "80", BOTH); /* the parent's cache is the parent's */
        struct lookup *stuck = lookup_start(own, "held.test", "80");
        dns_cancel(stuck->request);
        evloop_free(own);
        dns_shutdown();
        CHECK_INT(write(fds[1], "", 1), 1);
        /* Without a word to a leak checker: what the parent's thread was working on is lost here, as in every fork. */
        kill(getpid(), SIGKILL);
    }
    close(fds[1]);
    char done;
    CHECK_INT(read(fds[0], &done, 1), 1);
    close(fds[0]);
    CHECK_INT(waitpid(pid, NULL, 0), pid);
    CHECK_INT(name_server_count(ns, "a.test"), 4);
    /* The parent is as it was. */
    name_server_release(ns);
    CHECK_STR(lookup_wait(pending)->text, BOTH);
}

TEST_MAIN

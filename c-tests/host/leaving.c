/*
 * A process that ends, becomes another program, or starts one, in the middle of a callback: with connections half made, a lookup
 * under way and a watched signal.
 */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "dns_cares.h"

#include <dirent.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* ---- Ends ----------------------------------------------------------------------------------------------------------------- */

static void leave_by_exit(void) { exit(42); }
static void leave_by_quick_exit(void) { quick_exit(42); }
static void leave_at_once(void) { _exit(42); }
static void leave_by_exec(void) { execl("/bin/sh", "sh", "-c", "exit 42", (char *)NULL); }
static void (*leave)(void);

static void in_a_timer(void *arg) {
    (void)arg;
    leave();
}
static void in_on_ready(struct net_conn *c, void *arg) {
    (void)c, (void)arg;
    leave();
}
static void in_an_answer(int status, const struct addrinfo *ai, void *arg) {
    (void)status, (void)ai, (void)arg;
    leave();
}
static void in_a_signal(int signum, void *arg) {
    (void)signum, (void)arg;
    leave();
}
static void nothing_here(int signum, void *arg) { (void)signum, (void)arg; }

static int stuck(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out, void *arg) {
    (void)host, (void)service, (void)hints, (void)out, (void)arg;
    for (;;) pause();
    return EAI_FAIL;
}

/* Not in the test's own process, whose exit is the harness's: a process of its own, which has to end with 42. */
static void leaves(const char *port, int version, int where) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm((unsigned)slow(20));
        struct conn_options o = options_of(version);
        struct ev_loop *loop = where == 0 ? evloop_get_default() : evloop_new();
        dns_set_resolver(stuck, NULL, NULL);
        dns_resolve_async(loop, "stuck.test", "80", AF_UNSPEC, SOCK_STREAM, 0, in_an_answer, NULL);
        conn_new_with(loop, "stuck.test", port, &o, in_on_ready, in_on_ready, NULL);
        evloop_signal_start(loop, SIGUSR2, nothing_here, NULL);
        switch (where) {
        case 0: evloop_timer_start(loop, 0, 0, in_a_timer, NULL); break;
        case 1: conn_new_with(loop, "127.0.0.1", port, &o, in_on_ready, NULL, NULL); break;
        case 2: dns_resolve_async(loop, "127.0.0.1", "80", AF_UNSPEC, SOCK_STREAM, 0, in_an_answer, NULL); break;
        case 3:
            evloop_signal_start(loop, SIGUSR1, in_a_signal, NULL);
            raise(SIGUSR1);
            break;
        case 4: evloop_post(loop, in_a_timer, NULL); break;
        }
        evloop_run(loop);
        _exit(1);
    }
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    /* A memory checker has a status of its own for what a process has that leaves in the middle. */
    if (!small(0, 1)) CHECK_INT(WEXITSTATUS(status), 42);
}

static void leaves_everywhere(void (*how)(void), int version) {
    const char *port = peer_process_of(version);
    leave = how;
    for (int where = 0; where < 5; where++) leaves(port, version, where);
}

ALL_TRANSPORTS(by_exit) { leaves_everywhere(leave_by_exit, version); }
ALL_TRANSPORTS(by_quick_exit) { leaves_everywhere(leave_by_quick_exit, version); }
ALL_TRANSPORTS(at_once) { leaves_everywhere(leave_at_once, version); }
ALL_TRANSPORTS(by_exec) { leaves_everywhere(leave_by_exec, version); }

/* ---- Starts another program ------------------------------------------------------------------------------------------------ */

static int started;

/* The program sees the descriptors that it is meant to see: none of the library's. */
static const char *const look[] = {"sh", "-c", "for fd in /proc/$$/fd/*; do readlink $fd; done >\"$0\"; exit 0", NULL, NULL};

static void check_seen(const char *file) {
    FILE *seen = fopen(file, "r");
    CHECK_PTR_NOT_NULL(seen);
    char line[512];
    int lines = 0;
    while (fgets(line, sizeof line, seen)) {
        lines++;
        if (strstr(line, "socket:") || strstr(line, "eventpoll") || strstr(line, "eventfd") || strstr(line, "timerfd"))
            FAIL("the program that was started has %s", line);
    }
    CHECK_CMP(lines, >=, 2);
    fclose(seen);
}

static const char *file_for(const char *name) {
    char *path = alloc(256);
    snprintf(path, 256, "%s/%s", temp_dir(), name);
    return path;
}

static void wait_until_it_ends(pid_t pid) {
    int status;
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK_INT(status, 0);
}

/* What the arguments of `sh` are called with: the file in place of the first NULL. */
static void arguments(const char *argv[5], const char *file) {
    memcpy(argv, look, 3 * sizeof *argv);
    argv[3] = file;
    argv[4] = NULL;
}

static void start_programs(struct client *client) {
    const char *argv[5], *file = file_for("spawned");
    arguments(argv, file);
    pid_t pid;
    CHECK_INT(posix_spawn(&pid, "/bin/sh", NULL, NULL, (char *const *)(uintptr_t)argv, environ), 0);
    wait_until_it_ends(pid);
    check_seen(file);
    file = file_for("vforked");
    arguments(argv, file);
    pid = vfork();
    if (pid == 0) {
        execv("/bin/sh", (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    wait_until_it_ends(pid);
    check_seen(file);
    file = file_for("forked");
    arguments(argv, file);
    pid = fork();
    if (pid == 0) {
        execv("/bin/sh", (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    wait_until_it_ends(pid);
    check_seen(file);
    /* No fork of the parent's: its connection works here and now. */
    if (client->c && conn_get_state(client->c) == CONN_READY) CHECK_INT(conn_try_write(client->c, "!", 1), 1);
    started++;
}

static void start_in_a_timer(void *arg) { start_programs(arg); }

static void start_when_readable(struct net_conn *c, void *arg) {
    char byte;
    if (conn_try_read(c, &byte, 1) == 1) {
        conn_set_readable_callback(c, NULL, NULL);
        start_programs(arg);
    }
}

ALL_TRANSPORTS(by_spawn_vfork_and_fork_in_callbacks) {
    struct peer *peer = peer_of(version, NULL, NULL);
    struct conn_options o = options_of(version);
    struct client *client = client_open(test_loop(), "localhost", peer_port(peer), &o);
    CHECK(evloop_fd(client->loop) >= 0);
    client->then_ready = start_programs;
    client_wait_ready(client);
    CHECK_INT(started, 1);
    evloop_timer_start(client->loop, 0, 0, start_in_a_timer, client);
    RUN_UNTIL(client->loop, started == 2);
    conn_set_readable_callback(client->c, start_when_readable, client);
    RUN_UNTIL(client->loop, started == 3);
    char bang[3];
    client_read(client, bang, 2);
    client_echo(client, "as before");
    client_close(client);
    peer_join(peer);
}

TEST_MAIN

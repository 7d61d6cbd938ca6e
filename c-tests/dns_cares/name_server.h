/*
 * name_server.h - a name server in a thread of the test's process, which answers when the test says, and counts. And
 * dnsmasq, for answers that no one here wrote.
 *
 * It knows names by how they begin: "held..." gets its answer from name_server_release() on, "silent..." none ever,
 * "missing..." does not exist, "broken..." is a server failure; every other name is 127.0.0.1 and ::1.
 */
#ifndef NETCONN_TESTS_NAME_SERVER_H
#define NETCONN_TESTS_NAME_SERVER_H

#include "../harness.h"
#include "../support/world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME_SERVER "127.0.0.53"

struct query {
    unsigned char packet[512];
    size_t length;
    char name[256];
    struct sockaddr_in from;
    struct query *next;
};

struct name_server {
    int fd, wake[2];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    bool released;
    struct query *queries; /* all that came, newest first */
    int received;
};

/* The name of a query, with dots; false for what is none. */
static inline bool query_name(const struct query *q, char *name, size_t *end) {
    size_t at = 12, used = 0;
    while (at < q->length && q->packet[at] != 0) {
        size_t label = q->packet[at++];
        if (label > 63 || at + label > q->length || used + label + 2 > sizeof q->name) return false;
        if (used > 0) name[used++] = '.';
        memcpy(name + used, q->packet + at, label);
        used += label;
        at += label;
    }
    name[used] = 0;
    *end = at + 5; /* the root label, type and class */
    return *end <= q->length;
}

static inline bool begins(const char *name, const char *with) { return strncasecmp(name, with, strlen(with)) == 0; }

static inline void name_server_answer(struct name_server *ns, struct query *q) {
    unsigned char reply[600];
    size_t end;
    char name[256];
    if (!query_name(q, name, &end)) return;
    int type = q->packet[end - 4] << 8 | q->packet[end - 3];
    int rcode = begins(name, "missing") ? 3 : begins(name, "broken") ? 2 : 0;
    bool found = rcode == 0 && (type == 1 || type == 28);
    memcpy(reply, q->packet, end);
    reply[2] = 0x85; /* an answer, with authority, to a recursive question */
    reply[3] = (unsigned char)(0x80 | rcode);
    memcpy(reply + 4, "\0\1\0\0\0\0\0\0", 8);
    if (found) {
        reply[7] = 1;
        /* The name of the question; type, class, an hour, length. */
        unsigned char record[12] = {0xc0, 12, 0, (unsigned char)type, 0, 1, 0, 0, 14, 16, 0, type == 1 ? 4 : 16};
        memcpy(reply + end, record, 12);
        end += 12;
        if (type == 1) {
            memcpy(reply + end, "\177\0\0\1", 4);
            end += 4;
        } else {
            memcpy(reply + end, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
            end += 16;
        }
    }
    sendto(ns->fd, reply, end, 0, (struct sockaddr *)&q->from, sizeof q->from);
}

static inline void *name_server_serve(void *arg) {
    struct name_server *ns = arg;
    for (;;) {
        struct pollfd fds[2] = {{.fd = ns->fd, .events = POLLIN}, {.fd = ns->wake[0], .events = POLLIN}};
        poll(fds, 2, -1);
        if (fds[1].revents) return NULL;
        struct query *q = calloc(1, sizeof *q);
        if (!q) abort();
        socklen_t from_length = sizeof q->from;
        ssize_t n = recvfrom(ns->fd, q->packet, sizeof q->packet, 0, (struct sockaddr *)&q->from, &from_length);
        q->length = n < 0 ? 0 : (size_t)n;
        size_t end;
        if (q->length < 17 || !query_name(q, q->name, &end)) {
            free(q);
            continue;
        }
        pthread_mutex_lock(&ns->lock);
        q->next = ns->queries;
        ns->queries = q;
        ns->received++;
        bool answer = !begins(q->name, "silent") && (ns->released || !begins(q->name, "held"));
        if (answer) name_server_answer(ns, q);
        pthread_cond_broadcast(&ns->arrived);
        pthread_mutex_unlock(&ns->lock);
    }
}

static inline void name_server_stop(void *arg) {
    struct name_server *ns = arg;
    CHECK_INT(write(ns->wake[1], "", 1), 1);
    pthread_join(ns->thread, NULL);
    while (ns->queries) {
        struct query *next = ns->queries->next;
        free(ns->queries);
        ns->queries = next;
    }
    close(ns->fd);
    close(ns->wake[0]);
    close(ns->wake[1]);
}

/* Names are asked of this server from now on, in a world of the test's own. */
static inline struct name_server *name_server_start(void) {
    enter_world();
    set_name_server(NAME_SERVER);
    struct name_server *ns = alloc(sizeof *ns);
    memset(ns, 0, sizeof *ns);
    ns->fd = dead_name_server(NAME_SERVER);
    ns->fd = fcntl(ns->fd, F_DUPFD_CLOEXEC, 0);
    CHECK(ns->fd >= 0);
    CHECK_INT(pipe2(ns->wake, O_CLOEXEC), 0);
    CHECK_INT(pthread_mutex_init(&ns->lock, NULL), 0);
    CHECK_INT(pthread_cond_init(&ns->arrived, NULL), 0);
    CHECK_INT(pthread_create(&ns->thread, NULL, name_server_serve, ns), 0);
    at_end(name_server_stop, ns);
    return ns;
}

/* Held names get their answers, those that were asked already too. */
static inline void name_server_release(struct name_server *ns) {
    pthread_mutex_lock(&ns->lock);
    ns->released = true;
    for (struct query *q = ns->queries; q; q = q->next)
        if (begins(q->name, "held")) name_server_answer(ns, q);
    pthread_mutex_unlock(&ns->lock);
}

/* How many queries for names that begin so have come. A lookup makes two, for A and AAAA. */
static inline int name_server_count(struct name_server *ns, const char *name) {
    pthread_mutex_lock(&ns->lock);
    int count = 0;
    for (struct query *q = ns->queries; q; q = q->next) count += begins(q->name, name);
    pthread_mutex_unlock(&ns->lock);
    return count;
}

/* Waits until so many of them have come: a thread of the library is then inside getaddrinfo. */
static inline void name_server_wait(struct name_server *ns, const char *name, int wanted) {
    pthread_mutex_lock(&ns->lock);
    for (;;) {
        int count = 0;
        for (struct query *q = ns->queries; q; q = q->next) count += begins(q->name, name);
        if (count >= wanted) break;
        pthread_cond_wait(&ns->arrived, &ns->lock);
    }
    pthread_mutex_unlock(&ns->lock);
}

static inline void dnsmasq_stop(void *pid) {
    kill((pid_t)(intptr_t)pid, SIGKILL);
    waitpid((pid_t)(intptr_t)pid, NULL, 0);
}

/*
 * dnsmasq with further arguments (ended by NULL), in a world of the test's own; it answers when this returns. What it
 * does not know does not exist.
 */
static inline void start_dnsmasq(const char *const *arguments) {
    enter_world();
    set_name_server(NAME_SERVER);
    static const char *const places[] = {"/usr/sbin/dnsmasq", "/sbin/dnsmasq", "/usr/bin/dnsmasq", NULL};
    const char *program = NULL;
    for (const char *const *place = places; *place && !program; place++)
        if (access(*place, X_OK) == 0) program = *place;
    if (!program) SKIP("needs dnsmasq (Debian package dnsmasq-base)");
    const char *argv[64] = {program,         "--keep-in-foreground", "--conf-file=/dev/null",
                            "--no-resolv",   "--no-hosts",           "--user=root",
                            "--pid-file=",   "--bind-interfaces",    "--listen-address=" NAME_SERVER,
                            "--local=/#/",   "--log-facility=-",     "--cache-size=0"};
    size_t n = 12;
    while (*arguments && n < 63) argv[n++] = *arguments++;
    int out[2];
    CHECK_INT(pipe2(out, O_CLOEXEC), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        dup2(out[1], 2);
        execv(program, (char *const *)argv);
        _exit(127);
    }
    close(out[1]);
    at_end(dnsmasq_stop, (void *)(intptr_t)pid);
    /* It logs "started" once its sockets are bound. */
    char log[4096] = "";
    size_t used = 0;
    while (!strstr(log, "started")) {
        ssize_t got = read(out[0], log + used, sizeof log - 1 - used);
        if (got <= 0) FAIL("dnsmasq did not start: %s", log);
        used += (size_t)got;
        log[used] = 0;
    }
    /* Left open for what it still has to say. */
}

#endif

/* server.c - see server.h. */
#include "server.h"

#include "../harness.h"
#include "certs.h"
#include "client.h"
#include "heap.h"

#include "netconn.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct server {
    pid_t pid;
    int control; /* a stream socket: a letter each way, and a report */
    char port[8];
};

void need_fds(int n) {
    struct rlimit limit;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur >= (rlim_t)n) return;
    limit.rlim_cur = (rlim_t)n;
    if (limit.rlim_max < (rlim_t)n) limit.rlim_max = (rlim_t)n;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) SKIP("needs %d open files (ulimit -n)", n);
}

/* ---- The server's process ---------------------------------------------------------------------------------------------- */

static struct {
    struct ev_loop *loop;
    struct conn_options options;
    struct served *all;
    struct server_report report;
    int control;
} self;

struct served {
    struct net_conn *c;
    struct served *next, **link;
};

static void end(struct served *served) {
    conn_close(served->c);
    *served->link = served->next;
    if (served->next) served->next->link = served->link;
    free(served);
    self.report.open--;
}

static void on_error(struct net_conn *c, void *arg) {
    (void)c;
    self.report.failed++;
    end(arg);
}

/* What comes is short, and the kernel takes it whole. */
static void on_readable(struct net_conn *c, void *arg) {
    char buf[4096];
    ssize_t n = conn_try_read(c, buf, sizeof buf);
    if (n > 0) {
        if (conn_try_write(c, buf, (size_t)n) != n) CHECK_INT(conn_get_state(c), CONN_ERROR);
    } else if (n == 0) {
        end(arg);
    } else if (errno != EAGAIN) {
        CHECK_INT(conn_get_state(c), CONN_ERROR); /* and on_error follows */
    }
}

static void on_ready(struct net_conn *c, void *arg) { conn_set_readable_callback(c, on_readable, arg); }

static void on_acceptable(int listener, int events, void *arg) {
    (void)events, (void)arg;
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;) {
        struct served *served = calloc(1, sizeof *served);
        CHECK(served != NULL);
        self.report.accepted++;
        served->c = conn_from_fd(self.loop, fd, &self.options, on_ready, on_error, served);
        if (!served->c) { /* the client is gone already */
            CHECK_INT(errno, ENOTCONN);
            close(fd);
            free(served);
            self.report.failed++;
            continue;
        }
        self.report.open++;
        served->next = self.all;
        served->link = &self.all;
        if (self.all) self.all->link = &served->next;
        self.all = served;
    }
    if (errno != EAGAIN && errno != ECONNABORTED) FAIL("accept: %s", strerror(errno));
}

static void report(void *arg) {
    (void)arg;
    self.report.fds = fd_count();
    self.report.heap = heap_in_use();
    CHECK_INT(write(self.control, &self.report, sizeof self.report), sizeof self.report);
}

static void on_control(int fd, int events, void *arg) {
    (void)events, (void)arg;
    char letter = 0;
    if (read(fd, &letter, 1) != 1) evloop_break(self.loop);
    if (letter == 'c')
        while (self.all) end(self.all);
    /* A round later: what happened before this letter was sent has been seen by then. */
    if (letter == 'r') CHECK_INT(evloop_post(self.loop, report, NULL), 0);
}

static int listener(char port[8]) {
    struct sockaddr_in where = {.sin_family = AF_INET}; /* 0.0.0.0 */
    socklen_t len = sizeof where;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(fd >= 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&where, len), 0);
    CHECK_INT(listen(fd, 4096), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&where, &len), 0);
    snprintf(port, 8, "%d", ntohs(where.sin_port));
    return fd;
}

static void __attribute__((noreturn)) serve(const struct server_options *options, int listening) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (options->limit) need_fds(options->limit);
    self.options = (struct conn_options){0};
    conn_options_init(&self.options);
    if (options->version) {
        self.options.use_tls = self.options.server_side = true;
        self.options.tls_timeout = slow(60);
        self.options.tls = netconn_tls_server(cert(CERT_GOOD), cert(CERT_GOOD_KEY), NULL);
        if (!self.options.tls) FAIL("netconn_tls_server: %s", netconn_tls_error());
        CHECK_INT(netconn_tls_set_versions(self.options.tls, options->version, options->version), 0);
        CHECK_INT(netconn_tls_set_session_reuse(self.options.tls, !options->no_sessions), 0);
    }
    self.loop = evloop_new();
    CHECK(self.loop != NULL);
    struct evloop_io *accepting = evloop_io_start(self.loop, listening, EVLOOP_READ, on_acceptable, NULL);
    struct evloop_io *controlled = evloop_io_start(self.loop, self.control, EVLOOP_READ, on_control, NULL);
    CHECK(accepting && controlled);
    evloop_run(self.loop);
    while (self.all) end(self.all);
    evloop_free(self.loop);
    netconn_tls_free(&self.options.tls);
    netconn_cleanup();
    exit(0);
}

/* ---- The test's process -------------------------------------------------------------------------------------------------- */

static void stop(void *arg) {
    struct server *server = arg;
    int status = -1;
    close(server->control);
    CHECK_INT(waitpid(server->pid, &status, 0), server->pid);
    if (status != 0) FAIL("the server's process ended with status 0x%x", status);
}

struct server *server_start(const struct server_options *options) {
    if (options->version) NEEDS_TLS();
    struct server *server = alloc(sizeof *server);
    int ends[2], listening = listener(server->port);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    server->pid = fork();
    CHECK(server->pid >= 0);
    if (server->pid == 0) {
        close(ends[0]);
        self.control = ends[1];
        serve(options, listening);
    }
    close(ends[1]);
    close(listening);
    server->control = ends[0];
    at_end(stop, server);
    return server;
}

const char *server_port(struct server *server) { return server->port; }

struct server_report server_report(struct server *server) {
    struct server_report report;
    CHECK_INT(write(server->control, "r", 1), 1);
    ssize_t n = recv(server->control, &report, sizeof report, MSG_WAITALL);
    if (n != sizeof report) FAIL("the server's process ended");
    return report;
}

struct server_report server_wait_open(struct server *server, int open) {
    struct server_report report = server_report(server);
    for (double until = now() + slow(30); report.open != open && now() < until; report = server_report(server)) poll(NULL, 0, 1);
    CHECK_INT(report.open, open);
    return report;
}

void server_close_all(struct server *server) { CHECK_INT(write(server->control, "c", 1), 1); }

/*
 * A client whose loop is netconn's own or runs in another library's (one of LIBEV, LIBEVENT, LIBUV, GLIB defined), for
 * counting system calls. Each round is one answer, or one piece of posted work.
 *
 *     embedded PORT ROUNDS echo    a message there and back, to an echo server on 127.0.0.1
 *     embedded PORT ROUNDS change  the same, and what is waited for changes and changes back in each round
 *     embedded PORT ROUNDS timer   the same, and a deadline is set anew in each round
 *     embedded PORT ROUNDS post    work that posts itself again
 */
#include "evloop.h"
#include "net_conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined LIBEV
#include "adapters/libev.h"
static void run(struct ev_loop *loop) {
    netconn_attach_libev(loop, ev_default_loop(0));
    ev_run(ev_default_loop(0), 0);
}
static void stop(struct ev_loop *loop) { netconn_detach_libev(loop); }
#elif defined LIBEVENT
#include "adapters/libevent.h"
static void run(struct ev_loop *loop) {
    struct event_base *host = event_base_new();
    netconn_attach_libevent(loop, host);
    event_base_dispatch(host);
}
static void stop(struct ev_loop *loop) { netconn_detach_libevent(loop); }
#elif defined LIBUV
#include "adapters/libuv.h"
static void run(struct ev_loop *loop) {
    netconn_attach_libuv(loop, uv_default_loop());
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
static void stop(struct ev_loop *loop) { netconn_detach_libuv(loop); }
#elif defined GLIB
#include "adapters/glib.h"
static GMainLoop *host;
static void run(struct ev_loop *loop) {
    host = g_main_loop_new(NULL, FALSE);
    netconn_attach_glib(loop, NULL);
    g_main_loop_run(host);
}
static void stop(struct ev_loop *loop) {
    (void)loop;
    g_main_loop_quit(host);
}
#else
static void run(struct ev_loop *loop) { evloop_run(loop); }
static void stop(struct ev_loop *loop) { evloop_break(loop); }
#endif

static struct ev_loop *loop;
static struct evloop_timer *deadline;
static long rounds;
static bool changes;

static void on_deadline(void *arg) {
    (void)arg;
    fprintf(stderr, "no answer\n");
    exit(1);
}

static void on_writable(struct net_conn *c, void *arg) {
    (void)c, (void)arg;
}

static void ask(struct net_conn *c) {
    char message[64] = "a message there and back";
    if (changes) {
        conn_set_writable_callback(c, on_writable, NULL);
        conn_set_writable_callback(c, NULL, NULL);
    }
    if (deadline) evloop_timer_reschedule(deadline, 30, 0);
    if (conn_try_write(c, message, sizeof message) != sizeof message) exit(1);
}

static void on_readable(struct net_conn *c, void *arg) {
    char buf[64];
    (void)arg;
    if (conn_try_read(c, buf, sizeof buf) <= 0) return;
    if (--rounds > 0) ask(c);
    else stop(loop);
}

static void on_ready(struct net_conn *c, void *arg) {
    conn_set_readable_callback(c, on_readable, arg);
    ask(c);
}

static void on_error(struct net_conn *c, void *arg) {
    (void)arg;
    fprintf(stderr, "%s\n", conn_get_error_msg(c));
    exit(1);
}

static void work(void *arg) {
    if (--rounds > 0) evloop_post(loop, work, arg);
    else stop(loop);
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    const char *mode = argv[3];
    changes = strcmp(mode, "change") == 0;
    rounds = atol(argv[2]);
    loop = evloop_new();
    if (strcmp(mode, "timer") == 0) deadline = evloop_timer_start(loop, 30, 0, on_deadline, NULL);
    if (strcmp(mode, "post") == 0) evloop_post(loop, work, NULL);
    else conn_new(loop, "127.0.0.1", argv[1], false, on_ready, on_error, NULL);
    run(loop);
    evloop_free(loop);
    return rounds == 0 ? 0 : 1;
}

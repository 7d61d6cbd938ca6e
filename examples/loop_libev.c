/*
 * Fetches a page in libev's loop, with a timer of libev's beside it.
 *
 *     cc loop_libev.c -o loop_libev -I/usr/local/include/netconn -L/usr/local/lib -lnetconn -Wl,-rpath,/usr/local/lib -lev
 *     ./loop_libev example.org 443 tls
 */
#include <adapters/libev.h>
#include <net_conn.h>
#include <netconn.h>
#include <stdio.h>

static int status = 1;

static void finish(struct net_conn *c) {
    conn_close(c);
    ev_break(ev_default_loop(0), EVBREAK_ALL);
}

static void on_readable(struct net_conn *c, void *arg) {
    char buf[4096];
    ssize_t n = conn_try_read(c, buf, sizeof buf); /* -1: nothing yet, or on_error follows */
    (void)arg;
    if (n > 0) fwrite(buf, 1, (size_t)n, stdout);
    if (n == 0) { /* the end of the answer */
        status = 0;
        finish(c);
    }
}

static void on_ready(struct net_conn *c, void *arg) {
    char request[512];
    int len = snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: %.300s\r\nConnection: close\r\n\r\n",
                       conn_get_host(c));
    conn_try_write(c, request, (size_t)len); /* a new connection takes so few bytes at once */
    conn_set_readable_callback(c, on_readable, arg);
}

static void on_error(struct net_conn *c, void *arg) {
    (void)arg;
    fprintf(stderr, "%s\n", conn_get_error_msg(c));
    finish(c);
}

static void on_tick(struct ev_loop *host, ev_timer *timer, int revents) {
    (void)host, (void)timer, (void)revents;
    fprintf(stderr, ".");
}

int main(int argc, char **argv) {
    struct ev_loop *host = ev_default_loop(0);
    struct ev_loop *loop = evloop_new(); /* netconn's; the two types share their name */
    ev_timer timer;
    if (argc < 3) {
        fprintf(stderr, "usage: %s HOST PORT [tls]\n", argv[0]);
        return 2;
    }
    if (!host || !loop || netconn_attach_libev(loop, host) != 0) {
        perror("netconn_attach_libev");
        return 2;
    }
    ev_timer_init(&timer, on_tick, 0, 0.1);
    ev_timer_start(host, &timer);
    if (conn_new(loop, argv[1], argv[2], argc > 3, on_ready, on_error, NULL)) ev_run(host, 0);
    else perror("conn_new");

    evloop_free(loop); /* detaches */
    ev_loop_destroy(host);
    netconn_cleanup();
    return status;
}

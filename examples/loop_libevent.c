/*
 * Fetches a page in libevent's loop, with a timer of libevent's beside it.
 *
 *     cc loop_libevent.c -o loop_libevent -I/usr/local/include/netconn -L/usr/local/lib -lnetconn -Wl,-rpath,/usr/local/lib -levent_core
 *     ./loop_libevent example.org 443 tls
 */
#include <adapters/libevent.h>
#include <net_conn.h>
#include <netconn.h>
#include <stdio.h>

static struct event_base *host;
static int status = 1;

static void finish(struct net_conn *c) {
    conn_close(c);
    event_base_loopbreak(host);
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

static void on_tick(evutil_socket_t fd, short events, void *arg) {
    (void)fd, (void)events, (void)arg;
    fprintf(stderr, ".");
}

int main(int argc, char **argv) {
    struct ev_loop *loop = evloop_new();
    struct timeval interval = {0, 100000};
    struct event *timer;
    if (argc < 3) {
        fprintf(stderr, "usage: %s HOST PORT [tls]\n", argv[0]);
        return 2;
    }
    host = event_base_new();
    if (!host || !loop || netconn_attach_libevent(loop, host) != 0) {
        perror("netconn_attach_libevent");
        return 2;
    }
    timer = event_new(host, -1, EV_PERSIST, on_tick, NULL);
    event_add(timer, &interval);
    if (conn_new(loop, argv[1], argv[2], argc > 3, on_ready, on_error, NULL)) event_base_dispatch(host);
    else perror("conn_new");

    evloop_free(loop); /* detaches */
    event_free(timer);
    event_base_free(host);
    netconn_cleanup();
    return status;
}

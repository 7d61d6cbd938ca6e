/*
 * Fetches a page in libuv's loop, with a timer of libuv's beside it.
 *
 *     cc loop_libuv.c -o loop_libuv -I/usr/local/include/netconn -L/usr/local/lib -lnetconn -Wl,-rpath,/usr/local/lib -luv
 *     ./loop_libuv example.org 443 tls
 */
#include <adapters/libuv.h>
#include <net_conn.h>
#include <netconn.h>
#include <stdio.h>

static uv_timer_t timer;
static int status = 1;

/* Ends uv_run(): nothing is left in libuv's loop then. */
static void finish(struct net_conn *c, struct ev_loop *loop) {
    conn_close(c);
    evloop_free(loop); /* detaches */
    uv_close((uv_handle_t *)&timer, NULL);
}

static void on_readable(struct net_conn *c, void *arg) {
    char buf[4096];
    ssize_t n = conn_try_read(c, buf, sizeof buf); /* -1: nothing yet, or on_error follows */
    if (n > 0) fwrite(buf, 1, (size_t)n, stdout);
    if (n == 0) { /* the end of the answer */
        status = 0;
        finish(c, arg);
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
    fprintf(stderr, "%s\n", conn_get_error_msg(c));
    finish(c, arg);
}

static void on_tick(uv_timer_t *handle) {
    (void)handle;
    fprintf(stderr, ".");
}

int main(int argc, char **argv) {
    uv_loop_t *host = uv_default_loop();
    struct ev_loop *loop = evloop_new();
    if (argc < 3) {
        fprintf(stderr, "usage: %s HOST PORT [tls]\n", argv[0]);
        return 2;
    }
    if (!host || !loop || netconn_attach_libuv(loop, host) != 0) {
        perror("netconn_attach_libuv");
        return 2;
    }
    uv_timer_init(host, &timer);
    uv_timer_start(&timer, on_tick, 0, 100);
    if (!conn_new(loop, argv[1], argv[2], argc > 3, on_ready, on_error, loop)) {
        perror("conn_new");
        return 2;
    }
    uv_run(host, UV_RUN_DEFAULT); /* until no handle is left, the loop's own one among them */
    uv_loop_close(host);
    netconn_cleanup();
    return status;
}

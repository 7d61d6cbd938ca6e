/*
 * Fetches a page in GLib's main loop, with a time-out source of GLib's beside it.
 *
 *     cc loop_glib.c -o loop_glib -I/usr/local/include/netconn -L/usr/local/lib -lnetconn -Wl,-rpath,/usr/local/lib $(pkg-config --cflags --libs glib-2.0)
 *     ./loop_glib example.org 443 tls
 */
#include <adapters/glib.h>
#include <net_conn.h>
#include <netconn.h>
#include <stdio.h>

static GMainLoop *host;
static int status = 1;

static void finish(struct net_conn *c) {
    conn_close(c);
    g_main_loop_quit(host);
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

static gboolean on_tick(gpointer arg) {
    (void)arg;
    fprintf(stderr, ".");
    return G_SOURCE_CONTINUE;
}

int main(int argc, char **argv) {
    struct ev_loop *loop = evloop_new();
    guint timer;
    if (argc < 3) {
        fprintf(stderr, "usage: %s HOST PORT [tls]\n", argv[0]);
        return 2;
    }
    if (!loop || netconn_attach_glib(loop, g_main_context_default()) != 0) {
        perror("netconn_attach_glib");
        return 2;
    }
    host = g_main_loop_new(NULL, FALSE);
    timer = g_timeout_add(100, on_tick, NULL);
    if (conn_new(loop, argv[1], argv[2], argc > 3, on_ready, on_error, NULL)) g_main_loop_run(host);
    else perror("conn_new");

    evloop_free(loop); /* detaches */
    g_source_remove(timer);
    g_main_loop_unref(host);
    netconn_cleanup();
    return status;
}

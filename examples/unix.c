/*
 * Asks a daemon that speaks HTTP on a Unix socket, and prints what it says.
 *
 *     cc unix.c -o unix $(pkg-config --cflags --libs netconn)
 *     ./unix /var/run/docker.sock /version
 */
#include <errno.h>
#include <net_conn.h>
#include <stdio.h>
#include <string.h>

static struct {
    char request[2048];
    size_t len, sent;
    int status; /* of this program */
} ask;

static void on_readable(struct net_conn *c, void *arg) {
    char buf[4096];
    ssize_t n = conn_try_read(c, buf, sizeof buf); /* -1: nothing yet, or on_error follows */
    (void)arg;
    if (n > 0) fwrite(buf, 1, (size_t)n, stdout);
    if (n == 0) { /* the end of the answer */
        ask.status = 0;
        conn_close(c);
    }
}

/* As much of the request as the socket takes; the rest when it takes more. */
static void on_writable(struct net_conn *c, void *arg) {
    ssize_t n = conn_try_write(c, ask.request + ask.sent, ask.len - ask.sent);
    (void)arg;
    if (n > 0) ask.sent += (size_t)n;
    conn_set_writable_callback(c, ask.sent < ask.len ? on_writable : NULL, NULL);
}

static void on_ready(struct net_conn *c, void *arg) {
    conn_set_readable_callback(c, on_readable, arg);
    on_writable(c, arg);
}

static void on_error(struct net_conn *c, void *arg) {
    (void)arg;
    fprintf(stderr, "%s\n", conn_get_error_msg(c));
    conn_close(c);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s SOCKET PATH\n       a SOCKET that begins with @ is an abstract name\n", argv[0]);
        return 2;
    }
    int len = snprintf(ask.request, sizeof ask.request, "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n", argv[2]);
    if (len >= (int)sizeof ask.request) {
        fprintf(stderr, "the path is too long\n");
        return 2;
    }
    ask.len = (size_t)len;
    ask.status = 1;
    /* The host is the socket; there is no port. */
    char host[256];
    if (snprintf(host, sizeof host, "unix:%s", argv[1]) >= (int)sizeof host) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(ENAMETOOLONG));
        return 2;
    }
    if (!conn_new(NULL, host, NULL, false, on_ready, on_error, NULL)) {
        perror(argv[1]);
        return 1;
    }
    evloop_run(evloop_get_default()); /* until nothing is open any more */
    return ask.status;
}

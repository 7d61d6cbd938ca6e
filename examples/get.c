/*
 * Asks a server for its front page and prints the answer.
 *
 *     cc get.c -o get -I/usr/local/include/netconn -L/usr/local/lib -lnetconn -Wl,-rpath,/usr/local/lib
 *     ./get example.org 443 tls
 */
#include <net_conn.h>
#include <stdio.h>

static void on_readable(struct net_conn *c, void *status) {
    char buf[4096];
    ssize_t n = conn_try_read(c, buf, sizeof buf); /* -1: nothing yet, or on_error follows */
    if (n > 0) fwrite(buf, 1, (size_t)n, stdout);
    if (n == 0) *(int *)status = 0, conn_close(c); /* the end of the answer */
}

static void on_ready(struct net_conn *c, void *status) {
    conn_try_write(c, "GET / HTTP/1.0\r\n\r\n", 18); /* a new connection takes so few bytes at once */
    conn_set_readable_callback(c, on_readable, status);
}

static void on_error(struct net_conn *c, void *status) {
    (void)status;
    fprintf(stderr, "%s\n", conn_get_error_msg(c));
    conn_close(c);
}

int main(int argc, char **argv) {
    int status = 1;
    if (argc < 3 || !conn_new(NULL, argv[1], argv[2], argc > 3, on_ready, on_error, &status)) {
        fprintf(stderr, "usage: %s HOST PORT [tls]\n", argv[0]);
        return 2;
    }
    evloop_run(evloop_get_default()); /* until nothing is open any more */
    return status;
}

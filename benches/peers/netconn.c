/*
 * The echo client of straight.c on netconn: evloop.h and net_conn.h. Its server is straight.
 */
#define _GNU_SOURCE
#include "common.h"

#include <evloop.h>
#include <net_conn.h>
#include <netconn_tls.h>
#include <sys/types.h>

struct peer {
    struct net_conn *conn;
    long left;         /* messages still to echo */
    size_t got;        /* bytes of the current echo */
    size_t sent;       /* bytes of the current message that were taken */
};

static struct options options;
static struct ev_loop *loop;
static char *message;
static char buffer[16 * 1024];
static int done_count;

static void on_writable(struct net_conn *c, void *arg);

static void done(void)
{
    if (++done_count == options.connections)
        evloop_break(loop);
}

static void fail(struct net_conn *c)
{
    const char *text = conn_get_error_msg(c);
    fprintf(stderr, "%s\n", text ? text : strerror(errno));
    exit(1);
}

static void send_message(struct peer *p)
{
    ssize_t count = conn_try_write(p->conn, message + p->sent, options.size - p->sent);
    if (count < 0) {
        if (errno != EAGAIN)
            fail(p->conn);
        count = 0;
    }
    p->sent += (size_t)count;
    if (p->sent < options.size)
        conn_set_writable_callback(p->conn, on_writable, p);
}

static void on_writable(struct net_conn *c, void *arg)
{
    struct peer *p = arg;
    conn_set_writable_callback(c, NULL, NULL);
    send_message(p);
}

static void on_readable(struct net_conn *c, void *arg)
{
    struct peer *p = arg;
    ssize_t count = conn_try_read(c, buffer, sizeof buffer);
    if (count < 0) {
        if (errno == EAGAIN)
            return;
        fail(c);
    }
    if (count == 0) {
        fprintf(stderr, "the server closed\n");
        exit(1);
    }
    p->got += (size_t)count;
    if (p->got < options.size)
        return;
    p->got = p->sent = 0;
    if (--p->left == 0)
        done();
    else
        send_message(p);
}

static void on_ready(struct net_conn *c, void *arg)
{
    struct peer *p = arg;
    conn_set_readable_callback(c, on_readable, p);
    if (options.idle || p->left == 0)
        done();
    else
        send_message(p);
}

static void on_error(struct net_conn *c, void *arg)
{
    (void)arg;
    fail(c);
}

static void stop_waiting(void *arg)
{
    (void)arg;
    evloop_break(loop);
}

int main(int argc, char **argv)
{
    options = parse_options(argc, argv);
    if (options.mode == MODE_SERVER)
        usage(argv[0]);
    SocketTLSContext_T tls = NULL;
    if (options.tls) {
        tls = netconn_tls_client(options.ca);
        if (!tls) {
            fprintf(stderr, "%s\n", netconn_tls_error());
            return 1;
        }
    }
    loop = evloop_get_default();
    struct peer *peers = calloc((size_t)options.connections, sizeof *peers);
    message = malloc(options.size);
    if (!loop || !peers || !message)
        die("set-up");
    memset(message, 'x', options.size);

    struct conn_options with;
    conn_options_init(&with);
    with.use_tls = options.tls;
    with.tls = tls;
    with.server_name = "localhost";
    with.connect_timeout = with.tls_timeout = 60;

    size_t before = heap_in_use();
    double start = seconds_now();
    for (int i = 0; i < options.connections; i++) {
        struct peer *p = &peers[i];
        p->left = options.messages;
        p->conn = conn_new_with(loop, options.host, options.port, &with, on_ready, on_error, p);
        if (!p->conn)
            die("conn_new_with");
    }
    evloop_run(loop);
    if (options.idle) {
        /* Let the session tickets arrive: they are part of an idle connection. */
        struct evloop_timer *timer = evloop_timer_start(loop, 0.5, 0, stop_waiting, NULL);
        evloop_run(loop);
        evloop_timer_free(timer);
        print_idle("netconn", &options, before, heap_in_use());
    } else {
        print_round_trips("netconn", &options, seconds_now() - start);
    }
    for (int i = 0; i < options.connections; i++)
        conn_close(peers[i].conn);
    netconn_tls_free(&tls);
    free(peers);
    free(message);
    evloop_destroy_all();
    return 0;
}

/*
 * Requests in a row, of an echo server: over one connection that the program keeps, or over a pool from which each request
 * acquires a connection and to which its answer gives it back, in the same callback or after the loop has gone round.
 * Its server is straight.
 */
#define _GNU_SOURCE
#include "common.h"

#include <evloop.h>
#include <net_conn.h>
#include <netconn_tls.h>
#include <pconn.h>
#include <sys/types.h>

static struct options options;
static struct ev_loop *loop;
static struct pconn_pool *pool;
static char *message;
static char buffer[16 * 1024];
static size_t got;
static long left;
static int pooled, apart;

static void next(struct net_conn *c);

static void fail(struct net_conn *c, void *arg)
{
    const char *text = conn_get_error_msg(c);
    (void)arg;
    fprintf(stderr, "%s\n", text ? text : strerror(errno));
    exit(1);
}

static void send_request(struct net_conn *c)
{
    got = 0;
    if (conn_try_write(c, message, options.size) != (ssize_t)options.size)
        fail(c, NULL);
}

static void later(void *arg)
{
    (void)arg;
    next(NULL);
}

static void on_readable(struct net_conn *c, void *arg)
{
    ssize_t count = conn_try_read(c, buffer, sizeof buffer);
    (void)arg;
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0)
        fail(c, NULL);
    got += (size_t)count;
    if (got < options.size)
        return;
    if (pooled)
        pconn_release(pool, c, true);
    if (--left == 0) {
        evloop_break(loop);
    } else if (apart) {
        evloop_post(loop, later, c);
    } else {
        next(c);
    }
}

static void on_ready(struct net_conn *c, void *arg)
{
    (void)arg;
    send_request(c);
    conn_set_readable_callback(c, on_readable, NULL);
}

static struct net_conn *kept;

static void next(struct net_conn *c)
{
    if (!pooled) {
        send_request(c ? c : kept);
        return;
    }
    if (!pconn_acquire(pool, "echo", options.host, options.port, options.tls, on_ready, fail, NULL))
        fail(NULL, NULL);
}

int main(int argc, char **argv)
{
    /* --pooled and --apart are this program's own. */
    for (int i = 1; i < argc; i++) {
        int *flag = !strcmp(argv[i], "--pooled") ? &pooled : !strcmp(argv[i], "--apart") ? &apart : NULL;
        if (!flag)
            continue;
        *flag = 1;
        memmove(argv + i, argv + i + 1, (size_t)(argc - i) * sizeof *argv);
        argc--, i--;
    }
    options = parse_options(argc, argv);
    loop = evloop_new();
    pool = pconn_pool_new(loop);
    left = options.messages;
    message = calloc(1, options.size);
    if (options.tls && conn_set_default_tls(netconn_tls_client(options.ca)) != 0) {
        fprintf(stderr, "%s\n", netconn_tls_error());
        return 1;
    }
    if (pooled) {
        next(NULL);
    } else {
        kept = conn_new(loop, options.host, options.port, options.tls, on_ready, fail, NULL);
        if (!kept)
            fail(NULL, NULL);
    }
    evloop_run(loop);
    return left != 0;
}

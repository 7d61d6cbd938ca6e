/*
 * libev.h - netconn's loop inside one of libev's, which has to be built as usual (EV_MULTIPLICITY).
 *
 *     struct ev_loop *loop = evloop_new(), *host = ev_default_loop(0);
 *     netconn_attach_libev(loop, host);
 *     conn_new(loop, ...);
 *     ev_run(host, 0);
 *
 * Both libraries call their type `struct ev_loop`: netconn's loop comes first.
 *
 * Connections, timers, lookups, signals and posted work of netconn then come from ev_run(), on its thread, one round of
 * netconn's loop for one event of libev's: neither starves the other. A callback may do what it may do under
 * evloop_run(): close, detach, free netconn's loop, call ev_break(), run either loop in itself.
 *
 * An attached loop keeps ev_run() running, as an active watcher does, whether anything is open in it or not: end with
 * ev_break(), or with netconn_detach_libev() or evloop_free() in the last callback.
 *
 * Either loop may end first. evloop_free() detaches. ev_loop_destroy() detaches, too.
 *
 * In a child of fork() that goes on with both: evloop_after_fork() first, then ev_loop_fork(). Where the host ran
 * before, detach and attach again.
 */
#ifndef NETCONN_ADAPTERS_LIBEV_H
#define NETCONN_ADAPTERS_LIBEV_H

#include "adapter.h"

#include <ev.h>

struct netconn_libev {
    struct netconn_adapter adapter;
    struct ev_loop *host;
    ev_io readable;
    ev_prepare prepare;
    ev_cleanup cleanup;
};

static inline void netconn_libev_readable(struct ev_loop *host, ev_io *watcher, int revents) {
    struct netconn_libev *a = (struct netconn_libev *)watcher->data;
    (void)revents;
    /* It fails in a forked child that has not called evloop_after_fork(): the descriptor would stay readable for ever.
     * No callback has run then. Where one has, it may have freed the watcher. */
    if (evloop_run_once(a->adapter.loop, 0) < 0) ev_io_stop(host, watcher);
}

/* For a host that runs in a callback of netconn's: what that callback has started is shown now. */
static inline void netconn_libev_prepare(struct ev_loop *host, ev_prepare *watcher, int revents) {
    (void)host, (void)revents;
    evloop_timeout_ms(((struct netconn_libev *)watcher->data)->adapter.loop);
}

static inline void netconn_libev_stop(struct netconn_libev *a) {
    if (a->host == NULL) return;
    ev_io_stop(a->host, &a->readable);
    ev_ref(a->host);
    ev_prepare_stop(a->host, &a->prepare);
    ev_cleanup_stop(a->host, &a->cleanup);
    a->host = NULL;
}

/* netconn's loop ends, or was detached. */
static inline void netconn_libev_end(void *adapter) {
    struct netconn_libev *a = (struct netconn_libev *)adapter;
    netconn_libev_stop(a);
    free(a);
}

/* libev's loop ends. */
static inline void netconn_libev_cleanup(struct ev_loop *host, ev_cleanup *watcher, int revents) {
    struct netconn_libev *a = (struct netconn_libev *)watcher->data;
    (void)host, (void)revents;
    netconn_libev_stop(a);
    /* It fails in a forked child, where the loop is still the parent's: evloop_after_fork() may come. */
    if (evloop_set_attachment(a->adapter.loop, NULL, NULL) == 0) free(a);
}

/*
 * Runs `loop`, one of netconn's, inside `host`, one of libev's. 0; or -1 and errno: EINVAL for NULL and when the two
 * are in the wrong order, EEXIST when `loop` is attached already, EMFILE, ENFILE, ENOMEM, EPERM in a forked child.
 */
static inline int netconn_attach_libev(struct ev_loop *loop, struct ev_loop *host) {
    int before = errno;
    struct netconn_libev *a =
        (struct netconn_libev *)netconn_adapter_new("libev", sizeof *a, loop, host, netconn_libev_end);
    if (a == NULL) return -1;
    a->host = host;
    ev_io_init(&a->readable, netconn_libev_readable, evloop_fd(loop), EV_READ);
    ev_prepare_init(&a->prepare, netconn_libev_prepare);
    ev_cleanup_init(&a->cleanup, netconn_libev_cleanup);
    a->readable.data = a->prepare.data = a->cleanup.data = a;
    ev_io_start(host, &a->readable);
    ev_prepare_start(host, &a->prepare);
    ev_unref(host); /* the other watcher keeps ev_run() running */
    ev_cleanup_start(host, &a->cleanup);
    errno = before;
    return 0;
}

/*
 * Ends that. What is open in `loop` stays open, and waits until the loop is attached again or run by itself. Any
 * callback of either loop may call it. 0; or -1 and errno: EINVAL for what is no loop of netconn's or not attached to
 * libev, EPERM in a forked child.
 */
static inline int netconn_detach_libev(struct ev_loop *loop) {
    int before = errno;
    void *adapter = netconn_adapter_take("libev", loop);
    if (adapter == NULL) return -1;
    netconn_libev_end(adapter);
    errno = before;
    return 0;
}

#endif

/*
 * libuv.h - netconn's loop inside one of libuv's.
 *
 *     struct ev_loop *loop = evloop_new();
 *     netconn_attach_libuv(loop, uv_default_loop());
 *     conn_new(loop, ...);
 *     uv_run(uv_default_loop(), UV_RUN_DEFAULT);
 *
 * Connections, timers, lookups, signals and posted work of netconn then come from uv_run(), on its thread, one round of
 * netconn's loop for one event of libuv's: neither starves the other. A callback may do what it may do under
 * evloop_run(): close, detach, free netconn's loop, call uv_stop(), run netconn's loop in itself.
 *
 * An attached loop keeps uv_run() running, as an active handle does, whether anything is open in it or not: end with
 * uv_stop(), or with netconn_detach_libuv() or evloop_free() in the last callback.
 *
 * Either loop may end first. evloop_free() detaches. libuv closes a handle in its next iteration: uv_run() once more
 * before uv_loop_close(), which gives UV_EBUSY otherwise. The usual uv_walk() that closes all handles may close this
 * one, too; netconn's loop then waits until it is run by itself, or detached and attached elsewhere.
 *
 * In a child of fork() that goes on with both: evloop_after_fork() first, then uv_loop_fork(). Where the host ran
 * before, detach and attach again.
 */
#ifndef NETCONN_ADAPTERS_LIBUV_H
#define NETCONN_ADAPTERS_LIBUV_H

#include "adapter.h"

#include <uv.h>

struct netconn_libuv {
    struct netconn_adapter adapter;
    uv_poll_t readable;
    uv_close_cb others; /* of whoever has closed the handle before us */
};

static inline void netconn_libuv_readable(uv_poll_t *handle, int status, int events) {
    struct netconn_libuv *a = (struct netconn_libuv *)handle->data;
    (void)status, (void)events;
    /* It fails in a forked child that has not called evloop_after_fork(): the descriptor would stay readable for ever.
     * No callback has run then. Where one has, it may have closed the handle. */
    if (evloop_run_once(a->adapter.loop, 0) < 0) uv_poll_stop(handle);
}

static inline void netconn_libuv_closed(uv_handle_t *handle) {
    struct netconn_libuv *a = (struct netconn_libuv *)handle->data;
    if (a->others != NULL) a->others(handle);
    free(a);
}

/* netconn's loop ends, or was detached. libuv's may be gone once the handle is closed: only the handle is looked at. */
static inline void netconn_libuv_end(void *adapter) {
    struct netconn_libuv *a = (struct netconn_libuv *)adapter;
    uv_handle_t *handle = (uv_handle_t *)&a->readable;
    if (!uv_is_closing(handle)) {
        uv_close(handle, netconn_libuv_closed);
    } else if (uv_has_ref(handle)) { /* uv_walk() has closed it, and libuv will look at it once more */
        a->others = handle->close_cb;
        handle->close_cb = netconn_libuv_closed;
    } else {
        free(a);
    }
}

/*
 * Runs `loop` inside `host`. 0; or -1 and errno: EINVAL for NULL and when the two are in the wrong order, EEXIST when
 * `loop` is attached already, EMFILE, ENFILE, ENOMEM, EPERM in a forked child.
 */
static inline int netconn_attach_libuv(struct ev_loop *loop, uv_loop_t *host) {
    int before = errno, result;
    struct netconn_libuv *a =
        (struct netconn_libuv *)netconn_adapter_new("libuv", sizeof *a, loop, host, netconn_libuv_end);
    if (a == NULL) return -1;
    result = uv_poll_init(host, &a->readable, evloop_fd(loop));
    if (result < 0) {
        evloop_set_attachment(loop, NULL, NULL);
        free(a);
        errno = -result;
        return -1;
    }
    a->readable.data = a;
    uv_poll_start(&a->readable, UV_READABLE, netconn_libuv_readable); /* cannot fail for a handle that is open */
    errno = before;
    return 0;
}

/*
 * Ends that. What is open in `loop` stays open, and waits until the loop is attached again or run by itself. Any
 * callback of either loop may call it. 0; or -1 and errno: EINVAL for what is no loop of netconn's or not attached to
 * libuv, EPERM in a forked child.
 */
static inline int netconn_detach_libuv(struct ev_loop *loop) {
    int before = errno;
    void *adapter = netconn_adapter_take("libuv", loop);
    if (adapter == NULL) return -1;
    netconn_libuv_end(adapter);
    errno = before;
    return 0;
}

#endif

/*
 * libevent.h - netconn's loop inside an event base of libevent 2.1 or later.
 *
 *     struct ev_loop *loop = evloop_new();
 *     struct event_base *host = event_base_new();
 *     netconn_attach_libevent(loop, host);
 *     conn_new(loop, ...);
 *     event_base_dispatch(host);
 *
 * Connections, timers, lookups, signals and posted work of netconn then come from event_base_dispatch(), on its thread,
 * one round of netconn's loop for one event of libevent's: neither starves the other. A callback may do what it may do
 * under evloop_run(): close, detach, free netconn's loop, call event_base_loopbreak(), run netconn's loop in itself.
 *
 * An attached loop keeps event_base_dispatch() running, as an added event does, whether anything is open in it or not:
 * end with event_base_loopbreak(), or with netconn_detach_libevent() or evloop_free() in the last callback.
 *
 * Either may end first. evloop_free() detaches. After event_base_free() netconn's loop waits until it is run by itself,
 * or detached and attached elsewhere.
 *
 * In a child of fork() that goes on with both: evloop_after_fork() first, then event_reinit(). Where the host ran
 * before, detach and attach again.
 */
#ifndef NETCONN_ADAPTERS_LIBEVENT_H
#define NETCONN_ADAPTERS_LIBEVENT_H

#include "adapter.h"

#include <event2/event.h>
#include <event2/event_struct.h>

struct netconn_libevent {
    struct netconn_adapter adapter;
    struct event readable;
};

static inline void netconn_libevent_readable(evutil_socket_t fd, short events, void *adapter) {
    struct netconn_libevent *a = (struct netconn_libevent *)adapter;
    (void)fd, (void)events;
    /* It fails in a forked child that has not called evloop_after_fork(): the descriptor would stay readable for ever.
     * No callback has run then. Where one has, it may have freed the adapter. */
    if (evloop_run_once(a->adapter.loop, 0) < 0) event_del(&a->readable);
}

/* netconn's loop ends, or was detached. */
static inline void netconn_libevent_end(void *adapter) {
    struct netconn_libevent *a = (struct netconn_libevent *)adapter;
    /* event_base_free() deletes all events: the flag tells, and every function would reach for the base. */
    if (a->readable.ev_evcallback.evcb_flags & EVLIST_INSERTED) event_del(&a->readable);
    event_debug_unassign(&a->readable);
    free(a);
}

/*
 * Runs `loop` inside `host`. 0; or -1 and errno: EINVAL for NULL and when the two are in the wrong order, EEXIST when
 * `loop` is attached already, EMFILE, ENFILE, ENOMEM, EPERM in a forked child.
 */
static inline int netconn_attach_libevent(struct ev_loop *loop, struct event_base *host) {
    int before = errno;
    struct netconn_libevent *a =
        (struct netconn_libevent *)netconn_adapter_new("libevent", sizeof *a, loop, host, netconn_libevent_end);
    if (a == NULL) return -1;
    if (event_assign(&a->readable, host, evloop_fd(loop), EV_READ | EV_PERSIST, netconn_libevent_readable, a) != 0 ||
        event_add(&a->readable, NULL) != 0) {
        evloop_set_attachment(loop, NULL, NULL);
        netconn_libevent_end(a);
        errno = ENOMEM;
        return -1;
    }
    errno = before;
    return 0;
}

/*
 * Ends that. What is open in `loop` stays open, and waits until the loop is attached again or run by itself. Any
 * callback of either may call it. 0; or -1 and errno: EINVAL for what is no loop of netconn's or not attached to
 * libevent, EPERM in a forked child.
 */
static inline int netconn_detach_libevent(struct ev_loop *loop) {
    int before = errno;
    void *adapter = netconn_adapter_take("libevent", loop);
    if (adapter == NULL) return -1;
    netconn_libevent_end(adapter);
    errno = before;
    return 0;
}

#endif

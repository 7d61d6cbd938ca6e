/*
 * glib.h - netconn's loop inside a GMainContext of GLib 2.36 or later: GTK, GStreamer, D-Bus.
 *
 *     struct ev_loop *loop = evloop_new();
 *     netconn_attach_glib(loop, g_main_context_default());
 *     conn_new(loop, ...);
 *     g_main_loop_run(main_loop);
 *
 * Connections, timers, lookups, signals and posted work of netconn then come from g_main_loop_run(), on its thread, one
 * round of netconn's loop for one dispatch of a source of priority G_PRIORITY_DEFAULT: sources of that priority and
 * netconn do not starve each other. A callback may do what it may do under evloop_run(): close, detach, free netconn's
 * loop, call g_main_loop_quit(), run either loop in itself (a dialog).
 *
 * A GMainLoop runs until g_main_loop_quit(), whatever is open.
 *
 * Either may end first. evloop_free() detaches. When the last reference to the context goes, netconn's loop waits until
 * it is run by itself, or detached and attached elsewhere.
 *
 * In a child of fork() that goes on with both: evloop_after_fork(). Where the context ran before, detach and attach
 * again.
 */
#ifndef NETCONN_ADAPTERS_GLIB_H
#define NETCONN_ADAPTERS_GLIB_H

#include "adapter.h"

#include <glib.h>

struct netconn_glib {
    struct netconn_adapter adapter;
    GSource *source;
};

struct netconn_glib_source {
    GSource source;
    struct netconn_glib *owner;
    gpointer tag; /* of the descriptor; NULL once it is no longer watched */
};

/* Where GLib runs in a callback of netconn's, what that callback has started is shown at the descriptor now. */
static inline gboolean netconn_glib_prepare(GSource *source, gint *timeout) {
    *timeout = -1;
    evloop_timeout_ms(((struct netconn_glib_source *)source)->owner->adapter.loop);
    return FALSE;
}

static inline gboolean netconn_glib_check(GSource *source) {
    struct netconn_glib_source *s = (struct netconn_glib_source *)source;
    return s->tag != NULL && g_source_query_unix_fd(source, s->tag) != 0;
}

static inline gboolean netconn_glib_dispatch(GSource *source, GSourceFunc callback, gpointer data) {
    struct netconn_glib_source *s = (struct netconn_glib_source *)source;
    (void)callback, (void)data;
    /* It fails in a forked child that has not called evloop_after_fork(): the descriptor would stay readable for ever.
     * GLib keeps the source until this returns. */
    if (evloop_run_once(s->owner->adapter.loop, 0) < 0) {
        g_source_remove_unix_fd(source, s->tag);
        s->tag = NULL;
    }
    return TRUE;
}

/* netconn's loop ends, or was detached. */
static inline void netconn_glib_end(void *adapter) {
    struct netconn_glib *a = (struct netconn_glib *)adapter;
    g_source_destroy(a->source); /* also when the context is gone */
    g_source_unref(a->source);
    free(a);
}

/*
 * Runs `loop` inside `host`; NULL is the default context, as in GLib's own functions. 0; or -1 and errno: EINVAL for a
 * NULL loop and when the two are in the wrong order, EEXIST when `loop` is attached already, EMFILE, ENFILE, ENOMEM,
 * EPERM in a forked child.
 */
static inline int netconn_attach_glib(struct ev_loop *loop, GMainContext *host) {
    static GSourceFuncs functions = {netconn_glib_prepare, netconn_glib_check, netconn_glib_dispatch, NULL, NULL, NULL};
    struct netconn_glib_source *source;
    struct netconn_glib *a;
    int before = errno;
    if (host == NULL && loop != NULL) host = g_main_context_default();
    a = (struct netconn_glib *)netconn_adapter_new("glib", sizeof *a, loop, host, netconn_glib_end);
    if (a == NULL) return -1;
    a->source = g_source_new(&functions, sizeof *source);
    source = (struct netconn_glib_source *)a->source;
    source->owner = a;
    source->tag = g_source_add_unix_fd(a->source, evloop_fd(loop), G_IO_IN);
    g_source_set_can_recurse(a->source, TRUE);
    g_source_set_name(a->source, "netconn");
    g_source_attach(a->source, host);
    errno = before;
    return 0;
}

/*
 * Ends that. What is open in `loop` stays open, and waits until the loop is attached again or run by itself. Any
 * callback of either may call it. 0; or -1 and errno: EINVAL for what is no loop of netconn's or not attached to GLib,
 * EPERM in a forked child.
 */
static inline int netconn_detach_glib(struct ev_loop *loop) {
    int before = errno;
    void *adapter = netconn_adapter_take("glib", loop);
    if (adapter == NULL) return -1;
    netconn_glib_end(adapter);
    errno = before;
    return 0;
}

#endif

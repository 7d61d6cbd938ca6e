/* needs: libglib2.0-dev glib.h pkg-config:glib-2.0 */
/* adapters/glib.h: netconn's loop inside a GMainContext. */
#include "host.h"

#include "adapters/glib.h"

#define HOST GMainContext
#define HOST_MAY_NEST

static bool stopped;

static HOST *host_new(void) {
    GMainContext *host = g_main_context_new();
    CHECK_PTR_NOT_NULL(host);
    return host;
}
static void host_free(HOST *host) { g_main_context_unref(host); }
static void host_once(HOST *host) { g_main_context_iteration(host, TRUE); }
static void host_poll(HOST *host) { g_main_context_iteration(host, FALSE); }
static void host_run(HOST *host) {
    stopped = false;
    while (!stopped) g_main_context_iteration(host, TRUE);
}
static void host_stop(HOST *host) {
    (void)host;
    stopped = true;
}
static void host_forked(HOST *host) { (void)host; }
static int attach(struct ev_loop *loop, HOST *host) { return netconn_attach_glib(loop, host); }
static int detach(struct ev_loop *loop) { return netconn_detach_glib(loop); }

struct call {
    void (*fn)(void *arg);
    void *arg;
};
static struct call *call(void (*fn)(void *), void *arg) {
    struct call *call = alloc(sizeof *call);
    *call = (struct call){fn, arg};
    return call;
}
static gboolean on_timer(gpointer arg) {
    struct call *call = arg;
    call->fn(call->arg);
    return G_SOURCE_REMOVE;
}
static gboolean on_io(GIOChannel *channel, GIOCondition condition, gpointer arg) {
    struct call *call = arg;
    (void)channel, (void)condition;
    call->fn(call->arg);
    return G_SOURCE_CONTINUE;
}
static void host_after(HOST *host, int ms, void (*fn)(void *), void *arg) {
    GSource *source = g_timeout_source_new((guint)ms);
    g_source_set_callback(source, on_timer, call(fn, arg), NULL);
    g_source_attach(source, host);
    g_source_unref(source);
}
static void host_watch(HOST *host, int fd, void (*fn)(void *), void *arg) {
    GIOChannel *channel = g_io_channel_unix_new(fd);
    GSource *source = g_io_create_watch(channel, G_IO_IN);
    g_source_set_callback(source, (GSourceFunc)(void (*)(void))on_io, call(fn, arg), NULL);
    g_source_attach(source, host);
    g_source_unref(source);
    g_io_channel_unref(channel);
}

#include "tests.h"

static GMainLoop *main_loop;
static void quit(void *arg) {
    (void)arg;
    g_main_loop_quit(main_loop);
}

TEST(the_default_context) {
    struct ev_loop *loop = evloop_new();
    main_loop = g_main_loop_new(NULL, FALSE);
    CHECK_INT(netconn_attach_glib(loop, NULL), 0);
    CHECK_ERRNO(netconn_attach_glib(loop, g_main_context_default()), EEXIST);
    evloop_timer_start(loop, 0.001, 0, quit, NULL);
    g_main_loop_run(main_loop);
    CHECK_INT(netconn_detach_glib(loop), 0);
    CHECK_ERRNO(netconn_detach_glib(loop), EINVAL);
    evloop_free(loop);
    g_main_loop_unref(main_loop);
}

static int polls;
static gint counted_poll(GPollFD *fds, guint n, gint timeout) {
    polls++;
    return g_poll(fds, n, timeout);
}

TEST(an_iteration_of_the_host_for_each_wake_up) {
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    CHECK_INT(netconn_attach_glib(loop, host), 0);
    int fired = 0;
    settle(host);
    g_main_context_set_poll_func(host, counted_poll);
    evloop_timer_start(loop, 0.002, 0, count, &fired);
    HOST_UNTIL(host, fired);
    CHECK_CMP(polls, <=, 2);
    evloop_free(loop);
    host_free(host);
}

TEST(a_context_with_another_thread_default) {
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    g_main_context_push_thread_default(host);
    CHECK_INT(netconn_attach_glib(loop, host), 0);
    int ran = 0;
    CHECK_INT(evloop_post(loop, count, &ran), 0);
    HOST_UNTIL(host, ran);
    g_main_context_pop_thread_default(host);
    host_free(host);
    evloop_free(loop);
}

TEST_MAIN

/* needs: libevent-dev event2/event.h -levent_core */
/* adapters/libevent.h: netconn's loop inside an event base. */
#include "host.h"

#include "adapters/libevent.h"

#define HOST struct event_base

struct call {
    struct event *event; /* NULL once it has fired, or with its base */
    void (*fn)(void *arg);
    void *arg;
    struct event_base *host;
    bool once;
    struct call *next;
};
static struct call *calls;

static HOST *host_new(void) {
    struct event_base *host = event_base_new();
    CHECK_PTR_NOT_NULL(host);
    return host;
}
static void host_free(HOST *host) {
    for (struct call *call = calls; call; call = call->next) {
        if (call->host != host || !call->event) continue;
        event_free(call->event);
        call->event = NULL;
    }
    event_base_free(host);
}
static void host_once(HOST *host) { event_base_loop(host, EVLOOP_ONCE); }
static void host_poll(HOST *host) { event_base_loop(host, EVLOOP_NONBLOCK); }
static void host_run(HOST *host) { event_base_dispatch(host); }
static void host_stop(HOST *host) { event_base_loopbreak(host); }
static void host_forked(HOST *host) { CHECK_INT(event_reinit(host), 0); }
static int attach(struct ev_loop *loop, HOST *host) { return netconn_attach_libevent(loop, host); }
static int detach(struct ev_loop *loop) { return netconn_detach_libevent(loop); }

static void on_event(evutil_socket_t fd, short events, void *arg) {
    struct call *call = arg;
    (void)fd, (void)events;
    if (call->once) {
        event_free(call->event);
        call->event = NULL;
    }
    call->fn(call->arg);
}
static struct call *call(HOST *host, void (*fn)(void *), void *arg) {
    struct call *call = alloc(sizeof *call);
    *call = (struct call){.fn = fn, .arg = arg, .host = host, .next = calls};
    return calls = call;
}
static void host_after(HOST *host, int ms, void (*fn)(void *), void *arg) {
    struct call *c = call(host, fn, arg);
    struct timeval time = {0, ms * 1000};
    c->once = true;
    c->event = event_new(host, -1, 0, on_event, c);
    CHECK_INT(event_add(c->event, &time), 0);
}
static void host_watch(HOST *host, int fd, void (*fn)(void *), void *arg) {
    struct call *c = call(host, fn, arg);
    c->event = event_new(host, fd, EV_READ | EV_PERSIST, on_event, c);
    CHECK_INT(event_add(c->event, NULL), 0);
}

#include "tests.h"

static void detach_by_itself(void *loop) { CHECK_INT(netconn_detach_libevent(loop), 0); }

TEST(an_attached_loop_keeps_the_host_running_until_it_is_detached) {
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    CHECK_INT(event_base_dispatch(host), 1);
    CHECK_INT(netconn_attach_libevent(loop, host), 0);
    evloop_timer_start(loop, 0.001, 0, detach_by_itself, loop);
    CHECK_INT(event_base_dispatch(host), 1);
    CHECK_ERRNO(netconn_detach_libevent(loop), EINVAL);
    evloop_free(loop);
    event_base_free(host);
}

/* libevent's own checks of how events are used. */
TEST(in_the_debug_mode_of_libevent) {
    event_enable_debug_mode();
    struct ev_loop *loop = evloop_new();
    for (int i = 0; i < 3; i++) {
        HOST *host = host_new();
        int ran = 0;
        CHECK_INT(netconn_attach_libevent(loop, host), 0);
        evloop_timer_start(loop, 0, 0, count, &ran);
        HOST_UNTIL(host, ran);
        if (i != 1) CHECK_INT(netconn_detach_libevent(loop), 0);
        event_base_free(host);
        if (i == 1) CHECK_INT(netconn_detach_libevent(loop), 0);
    }
    evloop_free(loop);
    libevent_global_shutdown();
}

TEST_MAIN

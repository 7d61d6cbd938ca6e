/* needs: libuv1-dev uv.h -luv */
/* adapters/libuv.h: netconn's loop inside one of libuv's. */
#include "host.h"

#include "adapters/libuv.h"

#define HOST uv_loop_t

static HOST *host_new(void) {
    uv_loop_t *host = alloc(sizeof *host);
    CHECK_INT(uv_loop_init(host), 0);
    return host;
}
static void close_handle(uv_handle_t *handle, void *arg) {
    (void)arg;
    if (!uv_is_closing(handle)) uv_close(handle, NULL);
}
static void host_free(HOST *host) {
    uv_walk(host, close_handle, NULL);
    CHECK_INT(uv_run(host, UV_RUN_DEFAULT), 0);
    CHECK_INT(uv_loop_close(host), 0);
    memset(host, 0xa5, sizeof *host); /* nobody looks at it any more */
}
static void host_once(HOST *host) { uv_run(host, UV_RUN_ONCE); }
static void host_poll(HOST *host) { uv_run(host, UV_RUN_NOWAIT); }
static void host_run(HOST *host) { uv_run(host, UV_RUN_DEFAULT); }
static void host_stop(HOST *host) { uv_stop(host); }
static void host_forked(HOST *host) { CHECK_INT(uv_loop_fork(host), 0); }
static int attach(struct ev_loop *loop, HOST *host) { return netconn_attach_libuv(loop, host); }
static int detach(struct ev_loop *loop) { return netconn_detach_libuv(loop); }

struct call {
    uv_timer_t timer;
    uv_poll_t poll;
    void (*fn)(void *arg);
    void *arg;
};
static struct call *call(void (*fn)(void *), void *arg) {
    struct call *call = alloc(sizeof *call);
    call->fn = fn;
    call->arg = arg;
    call->timer.data = call->poll.data = call;
    return call;
}
static void on_timer(uv_timer_t *timer) {
    struct call *call = timer->data;
    uv_close((uv_handle_t *)timer, NULL);
    call->fn(call->arg);
}
static void on_poll(uv_poll_t *poll, int status, int events) {
    struct call *call = poll->data;
    (void)status, (void)events;
    call->fn(call->arg);
}
static void host_after(HOST *host, int ms, void (*fn)(void *), void *arg) {
    struct call *c = call(fn, arg);
    CHECK_INT(uv_timer_init(host, &c->timer), 0);
    uv_update_time(host);
    CHECK_INT(uv_timer_start(&c->timer, on_timer, (uint64_t)ms, 0), 0);
}
static void host_watch(HOST *host, int fd, void (*fn)(void *), void *arg) {
    struct call *c = call(fn, arg);
    CHECK_INT(uv_poll_init(host, &c->poll, fd), 0);
    CHECK_INT(uv_poll_start(&c->poll, UV_READABLE, on_poll), 0);
}

#include "tests.h"

static void detach_by_itself(void *loop) { CHECK_INT(netconn_detach_libuv(loop), 0); }

TEST(an_attached_loop_keeps_the_host_running_until_it_is_detached) {
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    CHECK_INT(uv_run(host, UV_RUN_DEFAULT), 0);
    CHECK_INT(netconn_attach_libuv(loop, host), 0);
    evloop_timer_start(loop, 0.001, 0, detach_by_itself, loop);
    CHECK_INT(uv_run(host, UV_RUN_DEFAULT), 0);
    CHECK_ERRNO(netconn_detach_libuv(loop), EINVAL);
    evloop_free(loop);
    CHECK_INT(uv_loop_close(host), 0);
}

TEST(libuv_closes_the_handle_in_its_next_iteration) {
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    CHECK_INT(netconn_attach_libuv(loop, host), 0);
    CHECK_INT(uv_loop_close(host), UV_EBUSY);
    CHECK_INT(netconn_detach_libuv(loop), 0);
    CHECK_INT(uv_loop_close(host), UV_EBUSY);
    CHECK_INT(netconn_attach_libuv(loop, host), 0); /* meanwhile */
    evloop_free(loop);
    CHECK_INT(uv_loop_close(host), UV_EBUSY);
    CHECK_INT(uv_run(host, UV_RUN_DEFAULT), 0);
    CHECK_INT(uv_loop_close(host), 0);
}

static int closed;
static void on_close(uv_handle_t *handle) {
    (void)handle;
    closed++;
}
static void close_counted(uv_handle_t *handle, void *arg) {
    (void)arg;
    uv_close(handle, on_close);
}

TEST(a_walk_closes_the_handle_and_our_loop_ends_before_libuv_has_looked) {
    for (int i = 0; i < 2; i++) {
        struct ev_loop *loop = evloop_new();
        HOST *host = host_new();
        CHECK_INT(netconn_attach_libuv(loop, host), 0);
        closed = 0;
        uv_walk(host, close_counted, NULL);
        if (i == 0) CHECK_INT(netconn_detach_libuv(loop), 0);
        evloop_free(loop);
        CHECK_INT(uv_run(host, UV_RUN_DEFAULT), 0);
        CHECK_INT(closed, 1);
        CHECK_INT(uv_loop_close(host), 0);
    }
}

static void on_prepare(uv_prepare_t *prepare) { ++*(int *)prepare->data; }

TEST(an_iteration_of_the_host_for_each_wake_up) {
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    CHECK_INT(netconn_attach_libuv(loop, host), 0);
    int fired = 0, iterations = 0;
    uv_prepare_t prepare;
    CHECK_INT(uv_prepare_init(host, &prepare), 0);
    prepare.data = &iterations;
    settle(host);
    CHECK_INT(uv_prepare_start(&prepare, on_prepare), 0);
    evloop_timer_start(loop, 0.002, 0, count, &fired);
    HOST_UNTIL(host, fired);
    CHECK_CMP(iterations, <=, 2);
    evloop_free(loop);
    host_free(host);
}

TEST_MAIN

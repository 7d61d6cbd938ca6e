/* needs: libev-dev ev.h -lev */
/* adapters/libev.h: netconn's loop inside one of libev's. */
#include "host.h"

#include "adapters/libev.h"

#define HOST struct ev_loop
#define HOST_MAY_NEST

static HOST *host_new(void) {
    struct ev_loop *host = ev_loop_new(EVFLAG_AUTO);
    CHECK_PTR_NOT_NULL(host);
    return host;
}
static void host_free(HOST *host) { ev_loop_destroy(host); }
static void host_once(HOST *host) { ev_run(host, EVRUN_ONCE); }
static void host_poll(HOST *host) { ev_run(host, EVRUN_NOWAIT); }
static void host_run(HOST *host) { ev_run(host, 0); }
static void host_stop(HOST *host) { ev_break(host, EVBREAK_ALL); }
static void host_forked(HOST *host) { ev_loop_fork(host); }
static int attach(struct ev_loop *loop, HOST *host) { return netconn_attach_libev(loop, host); }
static int detach(struct ev_loop *loop) { return netconn_detach_libev(loop); }

struct call {
    ev_timer timer;
    ev_io io;
    void (*fn)(void *arg);
    void *arg;
};
static struct call *call(void (*fn)(void *), void *arg) {
    struct call *call = alloc(sizeof *call);
    call->fn = fn;
    call->arg = arg;
    return call;
}
static void on_timer(struct ev_loop *host, ev_timer *timer, int revents) {
    struct call *call = timer->data;
    (void)host, (void)revents;
    call->fn(call->arg);
}
static void on_io(struct ev_loop *host, ev_io *io, int revents) {
    struct call *call = io->data;
    (void)host, (void)revents;
    call->fn(call->arg);
}
static void host_after(HOST *host, int ms, void (*fn)(void *), void *arg) {
    struct call *c = call(fn, arg);
    ev_timer_init(&c->timer, on_timer, ms / 1e3, 0);
    c->timer.data = c;
    ev_now_update(host);
    ev_timer_start(host, &c->timer);
}
static void host_watch(HOST *host, int fd, void (*fn)(void *), void *arg) {
    struct call *c = call(fn, arg);
    ev_io_init(&c->io, on_io, fd, EV_READ);
    c->io.data = c;
    ev_io_start(host, &c->io);
}

#include "tests.h"

TEST(the_default_loop) {
    struct ev_loop *loop = evloop_get_default(), *host = ev_default_loop(0);
    CHECK_INT(netconn_attach_libev(loop, host), 0);
    int ran = 0;
    evloop_timer_start(loop, 0.001, 0, count, &ran);
    HOST_UNTIL(host, ran);
    ev_loop_destroy(host);
    CHECK_ERRNO(netconn_detach_libev(loop), EINVAL);
}

static void detach_by_itself(void *loop) { CHECK_INT(netconn_detach_libev(loop), 0); }

TEST(an_attached_loop_keeps_the_host_running_until_it_is_detached) {
    struct ev_loop *loop = evloop_new(), *host = host_new();
    ev_run(host, 0);
    CHECK_INT(netconn_attach_libev(loop, host), 0);
    evloop_timer_start(loop, 0.001, 0, detach_by_itself, loop);
    ev_run(host, 0);
    CHECK_ERRNO(netconn_detach_libev(loop), EINVAL);
    evloop_free(loop);
    ev_run(host, 0);
    ev_loop_destroy(host);
}

TEST(an_iteration_of_the_host_for_each_wake_up) {
    struct ev_loop *loop = evloop_new(), *host = host_new();
    CHECK_INT(netconn_attach_libev(loop, host), 0);
    int fired = 0;
    settle(host);
    unsigned before = ev_iteration(host);
    evloop_timer_start(loop, 0.002, 0, count, &fired);
    HOST_UNTIL(host, fired);
    CHECK_CMP(ev_iteration(host) - before, <=, 2);
    evloop_free(loop);
    ev_loop_destroy(host);
}

/* libev's loop ends in a child before netconn's is the child's. */
TEST(a_child_destroys_the_host_first) {
    struct ev_loop *loop = evloop_new(), *host = host_new();
    int ran = 0, status;
    CHECK_INT(netconn_attach_libev(loop, host), 0);
    settle(host);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        ev_loop_fork(host);
        ev_loop_destroy(host);
        if (evloop_after_fork(loop) != 0 || netconn_detach_libev(loop) != 0) _exit(1);
        evloop_free(loop);
        _exit(0);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    CHECK_INT(evloop_post(loop, count, &ran), 0);
    HOST_UNTIL(host, ran);
    evloop_free(loop);
    ev_loop_destroy(host);
}

TEST_MAIN

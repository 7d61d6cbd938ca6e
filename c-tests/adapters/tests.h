/*
 * tests.h - the tests of every adapter. The program has defined, beside HOST:
 *
 *     HOST *host_new(void);
 *     void host_free(HOST *);                   with all timers and watchers, as programs of that library do
 *     void host_once(HOST *), host_poll(HOST *); one iteration that waits, one that does not
 *     void host_run(HOST *), host_stop(HOST *);
 *     void host_after(HOST *, int ms, void (*fn)(void *), void *arg);          once
 *     void host_watch(HOST *, int fd, void (*fn)(void *), void *arg);          readable, level-triggered
 *     void host_forked(HOST *);                 in a child, as that library asks for it
 *     int attach(struct ev_loop *, HOST *), detach(struct ev_loop *);
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOST_UNTIL(host, condition)                                                                                    \
    do {                                                                                                               \
        while (!(condition)) host_once(host);                                                                          \
    } while (0)

/* One iteration after another that finds nothing new: what was ready has been seen. */
static void settle(HOST *host) {
    for (int before = -1; before != rounds;) {
        before = rounds;
        for (int i = 0; i < 5; i++) host_poll(host);
    }
}

/* A timer of the host's that counts, and starts itself again. */
struct ticks {
    HOST *host;
    int ms, n, last; /* none is started after the last */
};

static void on_tick(void *arg) {
    struct ticks *ticks = arg;
    if (++ticks->n < ticks->last) host_after(ticks->host, ticks->ms, on_tick, ticks);
}

static void tick(struct ticks *ticks, HOST *host, int ms, int last) {
    *ticks = (struct ticks){host, ms, 0, last};
    host_after(host, ms, on_tick, ticks);
}

static void count(void *arg) { ++*(int *)arg; }

/* Ends our loop, and the connections in it. */
static void end_loop(struct ev_loop *loop, struct client *client) {
    if (client) client->c = NULL;
    evloop_free(loop);
}

#include "traffic.h"
#include "life.h"
#include "rounds.h"

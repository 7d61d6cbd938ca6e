/*
 * echo.h - one client's whole life, for tests in which anything may fail at any moment: a loop is made, a connection
 * opened by name, five bytes are sent and come back, both directions are ended, all is closed.
 *
 * Whatever fails, the rules hold, and live_echo() fails the test where they do not: at most one outcome of establishing,
 * and exactly one where the connection was made and the loop could run; a failure has a kind, an errno and a message; no
 * callback after the close. wait_for_fds() then sees to it that no descriptor is left.
 */
#ifndef NETCONN_TESTS_TORTURE_ECHO_H
#define NETCONN_TESTS_TORTURE_ECHO_H

#include "../harness.h"
#include "../support/client.h"
#include "dns_cares.h"
#include "fds.h"

#include <unistd.h>

struct echo_life {
    struct ev_loop *loop;
    struct net_conn *c;
    int ready, errors;
    size_t written, got;
    bool shut, closed;
    enum conn_error kind; /* of the failure, if there was one */
    int error;
    double seconds; /* set by the caller: once READY, all is closed after this time; 0: never */
    struct evloop_timer *patience;
    bool gave_up;
};

static inline void echo_close(struct echo_life *life) {
    life->closed = true;
    evloop_timer_free(life->patience);
    life->patience = NULL;
    conn_close(life->c);
    life->c = NULL;
}

static inline void echo_go_on(struct echo_life *life) {
    static const char text[] = "hello";
    char buf[16];
    if (life->written < 5) {
        ssize_t n = conn_try_write(life->c, text + life->written, 5 - life->written);
        if (n > 0) life->written += (size_t)n;
        if (life->written == 5) conn_set_writable_callback(life->c, NULL, NULL);
    }
    ssize_t n = conn_try_read(life->c, buf, sizeof buf);
    if (n > 0) {
        CHECK(life->got + (size_t)n <= 5);
        CHECK_MEM(buf, text + life->got, (size_t)n);
        life->got += (size_t)n;
    }
    /* A failure is told by on_error: nothing is done about it here. */
    if (life->got == 5 && !life->shut) life->shut = conn_shutdown(life->c) == 0;
    if (n == 0) echo_close(life);
}

static inline void echo_moves(struct net_conn *c, void *arg) {
    struct echo_life *life = arg;
    CHECK(!life->closed);
    CHECK_PTR(c, life->c);
    echo_go_on(life);
}

static inline void echo_give_up(void *arg) {
    struct echo_life *life = arg;
    life->gave_up = true;
    echo_close(life);
}

static inline void echo_ready(struct net_conn *c, void *arg) {
    struct echo_life *life = arg;
    CHECK(!life->closed);
    CHECK_INT(++life->ready, 1);
    CHECK_INT(life->errors, 0);
    check_members(c);
    conn_set_readable_callback(c, echo_moves, life);
    conn_set_writable_callback(c, echo_moves, life);
    if (life->seconds > 0) life->patience = evloop_timer_start(life->loop, life->seconds, 0, echo_give_up, life);
}

static inline void echo_failed(struct net_conn *c, void *arg) {
    struct echo_life *life = arg;
    CHECK(!life->closed);
    CHECK_INT(++life->errors, 1);
    CHECK_INT(conn_get_state(c), CONN_ERROR);
    check_members(c);
    life->kind = conn_get_error(c);
    life->error = conn_get_errno(c);
    CHECK(life->kind != CONN_ERR_NONE);
    CHECK(life->error != 0);
    CHECK(conn_get_error_msg(c)[0] != 0);
    echo_close(life);
}

/* True when all went well. Needs a time limit of the caller's own, which tells a hang. */
static inline bool live_echo(const char *port, const struct conn_options *o, struct echo_life *life) {
    *life = (struct echo_life){.seconds = life->seconds};
    life->loop = evloop_new();
    if (!life->loop) {
        CHECK(errno != 0);
        return false;
    }
    errno = 0;
    life->c = conn_new_with(life->loop, "localhost", port, o, echo_ready, echo_failed, life);
    if (life->c) {
        /* A wait that failed ends a run: the next one goes on. */
        for (int runs = 0; !life->closed && runs < 3; runs++) evloop_run(life->loop);
        if (!life->closed) FAIL("no outcome: the state is %d", conn_get_state(life->c));
        CHECK(life->ready + life->errors > 0);
    } else {
        CHECK(errno != 0);
        CHECK_INT(life->ready + life->errors, 0);
    }
    evloop_run(life->loop); /* what lingers */
    evloop_free(life->loop);
    return life->got == 5 && life->errors == 0 && !life->gave_up;
}

#endif

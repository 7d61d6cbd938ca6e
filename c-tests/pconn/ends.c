/* Connections that end, and pools and loops that are freed, at each moment. */
#include "pooled.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* An idle connection whose peer waits for the test's word. */
static struct peer *idle_connection(struct pconn_pool *pool, struct ev_loop *loop, int version, struct script *script) {
    struct peer *peer = peer_of(version, serve_script, script);
    struct client *client = acquire_ready(pool, loop, peer, version);
    client_echo(client, "x");
    give_back(pool, client);
    CHECK_COUNTS(pool, 1, 1);
    return peer;
}

/* ---- Over before the next user hears of it ------------------------------------------------------------------------- */

static void dies_before_ready(int version, void (*act)(struct peer_conn *pc)) {
    struct script *script = new_script(act);
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = idle_connection(pool, loop, version, script);
    struct client *client = acquire(pool, loop, peer, version);
    CHECK_COUNTS(pool, 0, 1);
    let_it_act(script);
    client_wait_error(client);
    CHECK_INT(client->error, ECONNRESET);
    CHECK_CONTAINS(client->message, "127.0.0.1");
    char byte;
    CHECK_ERRNO(conn_try_read(client->c, &byte, 1), ENOTCONN);
    CHECK_ERRNO(conn_try_write(client->c, &byte, 1), ENOTCONN);
    run_rounds(loop);
    CHECK_INT(client->ready, 0);
    CHECK_INT(client->errors, 1);
    CHECK_COUNTS(pool, 0, 1);
    client_close(client);
    CHECK_COUNTS(pool, 0, 0);
    client = acquire_ready(pool, loop, peer, version);
    client_echo(client, "a new one");
    CHECK_INT(peer_accepted(peer), 2);
}

ALL_TRANSPORTS(closed_between_acquisition_and_ready) { dies_before_ready(version, act_close); }
ALL_TRANSPORTS(reset_between_acquisition_and_ready) { dies_before_ready(version, act_reset); }
ALL_TRANSPORTS(unasked_bytes_between_acquisition_and_ready) { dies_before_ready(version, act_speak); }

/* The same with the acquisition in a callback, and the loop running on. */
struct late {
    struct pconn_pool *pool;
    struct ev_loop *loop;
    struct peer *peer;
    struct script *script;
    struct client *client;
    int version;
};

static void acquire_and_let_die(void *arg) {
    struct late *late = arg;
    late->client = acquire(late->pool, late->loop, late->peer, late->version);
    CHECK_COUNTS(late->pool, 0, 1);
    let_it_act(late->script);
}

/* Whether the loop has seen it or not: one outcome, and one only. */
ALL_TRANSPORTS(closed_right_after_an_acquisition_in_a_callback) {
    struct late late = {.loop = test_loop(), .version = version, .script = new_script(act_close)};
    late.pool = test_pool(late.loop);
    late.peer = idle_connection(late.pool, late.loop, version, late.script);
    run_rounds(late.loop);
    CHECK_INT(evloop_post(late.loop, acquire_and_let_die, &late), 0);
    RUN_UNTIL(late.loop, late.client && late.client->ready + late.client->errors > 0);
    run_rounds(late.loop);
    if (late.client->ready) {
        char byte;
        CHECK_INT(late.client->errors, 0); /* a clean end is no error */
        CHECK_INT(client_read_some(late.client, &byte, 1), 0);
    } else {
        CHECK_FAILED_WITH(late.client, CONN_ERR_IO, ECONNRESET);
    }
}

/* Its end waits in the same round, behind the callback that acquires it. */
struct both {
    struct pconn_pool *pool;
    struct ev_loop *loop;
    struct peer *peer;
    struct client *clients[2];
};

static void acquire_both(int fd, int revents, void *arg) {
    struct both *both = arg;
    (void)revents;
    CHECK_INT(read(fd, &(uint64_t){0}, 8), 8);
    for (int i = 0; i < 2; i++) both->clients[i] = acquire(both->pool, both->loop, both->peer, 0);
}

TEST(an_end_in_the_same_round_is_seen) {
    struct script *script = new_script(act_close);
    struct both both = {.loop = test_loop()};
    both.pool = test_pool(both.loop);
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct evloop_io *watcher = evloop_io_start(both.loop, fd, EVLOOP_READ, acquire_both, &both);
    both.peer = idle_connection(both.pool, both.loop, 0, script);
    run_rounds(both.loop);
    /* In this order they come out of the kernel. */
    CHECK_INT(write(fd, &(uint64_t){1}, 8), 8);
    let_it_act(script);
    CHECK(evloop_run_once(both.loop, 0) >= 0);
    RUN_UNTIL(both.loop, both.clients[1]->ready == 1);
    CHECK_FAILED_WITH(both.clients[0], CONN_ERR_IO, ECONNRESET);
    CHECK_INT(both.clients[0]->ready, 0);
    evloop_io_free(watcher);
    close(fd);
}

/* What is over already is not lent, also where the loop has not run since. */
static void dies_before_acquisition(int version, void (*act)(struct peer_conn *pc)) {
    struct script *script = new_script(act);
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = idle_connection(pool, loop, version, script);
    let_it_act(script);
    struct client *client = acquire(pool, loop, peer, version);
    CHECK_COUNTS(pool, 0, 1);
    client_wait_ready(client);
    client_echo(client, "a new one");
    CHECK_INT(peer_accepted(peer), 2);
}

ALL_TRANSPORTS(closed_between_release_and_acquisition) { dies_before_acquisition(version, act_close); }
ALL_TRANSPORTS(reset_between_release_and_acquisition) { dies_before_acquisition(version, act_reset); }
ALL_TRANSPORTS(unasked_bytes_between_release_and_acquisition) { dies_before_acquisition(version, act_speak); }

/* So many descriptors are ready that one wait does not tell of all. */
static void count(int fd, int revents, void *arg) {
    (void)fd, (void)revents;
    ++*(int *)arg;
}

TEST(a_death_in_a_crowd_is_seen) {
    enum { CROWD = 600 };
    struct late late = {.loop = test_loop(), .script = new_script(act_close)};
    late.pool = test_pool(late.loop);
    late.peer = idle_connection(late.pool, late.loop, 0, late.script);
    int calls = 0;
    struct evloop_io *watchers[CROWD];
    int fds[CROWD];
    for (int i = 0; i < CROWD; i++) {
        fds[i] = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
        CHECK(fds[i] >= 0);
        watchers[i] = evloop_io_start(late.loop, fds[i], EVLOOP_READ, count, &calls);
        CHECK_PTR_NOT_NULL(watchers[i]);
    }
    CHECK_INT(evloop_post(late.loop, acquire_and_let_die, &late), 0);
    RUN_UNTIL(late.loop, late.client);
    client_wait_error(late.client);
    CHECK_FAILED_WITH(late.client, CONN_ERR_IO, ECONNRESET);
    for (int i = 0; i < CROWD; i++) {
        evloop_io_free(watchers[i]);
        close(fds[i]);
    }
    CHECK(calls > 0);
}

/* ---- Ended by the program before it is ready ----------------------------------------------------------------------- */

ALL_TRANSPORTS(closed_before_ready) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = peer_of(version, NULL, NULL);
    give_back(pool, acquire_ready(pool, loop, peer, version));
    struct client *client = acquire(pool, loop, peer, version);
    client_close(client);
    CHECK_COUNTS(pool, 0, 0);
    run_rounds(loop);
    CHECK_INT(client->ready + client->errors, 0);
}

ALL_TRANSPORTS(given_back_before_ready) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = peer_of(version, NULL, NULL);
    give_back(pool, acquire_ready(pool, loop, peer, version));
    struct client *client = acquire(pool, loop, peer, version);
    give_back(pool, client);
    CHECK_COUNTS(pool, 1, 1);
    run_rounds(loop);
    CHECK_INT(client->ready + client->errors, 0);
    struct client *one = acquire(pool, loop, peer, version);
    give_back(pool, one);
    struct client *two = acquire(pool, loop, peer, version);
    client_wait_ready(two);
    client_echo(two, "two");
    run_rounds(loop);
    CHECK_INT(one->ready, 0);
    CHECK_INT(two->ready, 1);
    CHECK_INT(peer_accepted(peer), 1);
}

/* ---- Closing and freeing in callbacks ------------------------------------------------------------------------------ */

enum deed { FREE_POOL, FREE_LOOP, SHUT_DOWN, FLUSH, NO_LIMITS, CLEAN_UP, DEEDS };

struct doer {
    struct pconn_pool *pool;
    struct ev_loop *loop;
    enum deed deed;
    bool done;
};

static void do_it(struct doer *doer) {
    CHECK(!doer->done);
    doer->done = true;
    switch (doer->deed) {
    case FREE_POOL: pconn_pool_free(doer->pool); break;
    case FREE_LOOP: evloop_free(doer->loop); break;
    case SHUT_DOWN: pconn_shutdown_all(doer->pool); break;
    case FLUSH: pconn_flush_for_host(doer->pool, "127.0.0.1"); break;
    case NO_LIMITS: pconn_pool_set_limits(doer->pool, 0, 0, 0); break;
    case CLEAN_UP: netconn_cleanup(); break;
    case DEEDS: break;
    }
}

static void do_and_close(struct net_conn *c, void *arg) {
    struct doer *doer = arg;
    do_it(doer);
    /* A loop that is freed has freed its connections; one that is running is not cleaned up. */
    if (doer->deed != FREE_LOOP) conn_close(c);
}

static void do_after_a_byte(struct net_conn *c, void *arg) {
    char byte;
    if (conn_try_read(c, &byte, 1) == 1) do_and_close(c, arg);
}

static void write_and_wait(struct net_conn *c, void *arg) {
    CHECK_INT(conn_try_write(c, "x", 1), 1);
    conn_set_readable_callback(c, do_after_a_byte, arg);
}

/* In on_ready of a new connection and of a reused one, in readable, in on_error; others are idle meanwhile. */
static void deed_in_callbacks(int version, enum deed deed) {
    for (int where = 0; where < 4; where++) {
        struct doer doer = {.loop = evloop_new(), .deed = deed};
        doer.pool = test_pool(doer.loop);
        struct peer *peer = peer_of(version, NULL, NULL);
        struct client *clients[3];
        for (int i = 0; i < 3; i++) {
            clients[i] = acquire_ready(doer.pool, doer.loop, peer, version);
            client_echo(clients[i], "x");
        }
        for (int i = 0; i < 3; i++) give_back(doer.pool, clients[i]);
        const char *port = where == 3 ? refused_port() : peer_port(peer);
        const char *scheme = where == 0 ? "new" : version ? "https" : "http";
        struct net_conn *c = pconn_acquire(doer.pool, scheme, "127.0.0.1", port, version != 0,
                                           where == 2 ? write_and_wait : do_and_close,
                                           where == 3 ? do_and_close : fail_on_error, &doer);
        CHECK_PTR_NOT_NULL(c);
        evloop_run(doer.loop);
        CHECK(doer.done);
        if (deed == FREE_LOOP) continue;
        if (deed != FREE_POOL) {
            size_t left = deed != CLEAN_UP ? 0 : where == 1 || where == 2 ? 2 : 3;
            CHECK_COUNTS(doer.pool, left, left);
            pconn_pool_free(doer.pool);
        }
        evloop_free(doer.loop);
    }
}

ALL_TRANSPORTS(the_pool_freed_in_each_callback) { deed_in_callbacks(version, FREE_POOL); }
ALL_TRANSPORTS(the_loop_freed_in_each_callback) { deed_in_callbacks(version, FREE_LOOP); }
ALL_TRANSPORTS(all_closed_in_each_callback) { deed_in_callbacks(version, SHUT_DOWN); }
ALL_TRANSPORTS(a_host_flushed_in_each_callback) { deed_in_callbacks(version, FLUSH); }
ALL_TRANSPORTS(limits_changed_in_each_callback) { deed_in_callbacks(version, NO_LIMITS); }
ALL_TRANSPORTS(everything_cleaned_up_in_each_callback) { deed_in_callbacks(version, CLEAN_UP); }

static void note_ready(struct net_conn *c, void *flag) {
    (void)c;
    *(bool *)flag = true;
}

/* The one callback that runs inside pconn_acquire. */
static int do_on_socket(int fd, void *arg) {
    (void)fd;
    do_it(arg);
    return 0;
}

TEST(freed_inside_an_acquisition) {
    for (enum deed deed = FREE_POOL; deed <= FREE_LOOP; deed++) {
        struct doer doer = {.loop = evloop_new(), .deed = deed};
        struct peer *peer = PEER(.serve = NULL);
        doer.pool = test_pool(doer.loop);
        struct client *idle = acquire_ready(doer.pool, doer.loop, peer, 0);
        give_back(doer.pool, idle);
        struct conn_options o = options();
        o.on_socket = do_on_socket;
        o.socket_arg = &doer;
        CHECK_INT(conn_set_default_options(&o), 0);
        if (deed == FREE_POOL) {
            struct client *client = acquire_from(doer.pool, doer.loop, "new", "127.0.0.1", peer_port(peer), false);
            client_wait_ready(client);
            client_echo(client, "lives on");
            client_close(client);
            evloop_free(doer.loop);
        } else {
            CHECK_NULL_ERRNO(pconn_acquire(doer.pool, "new", "127.0.0.1", peer_port(peer), false, note_ready, fail_on_error, &doer),
                             ECANCELED);
        }
        CHECK(doer.done);
    }
}

/* ---- Pools and loops ----------------------------------------------------------------------------------------------- */

ALL_TRANSPORTS(lent_connections_survive_their_pool) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = peer_of(version, NULL, NULL);
    struct client *used = acquire_ready(pool, loop, peer, version);
    struct client *idle = acquire_ready(pool, loop, peer, version);
    give_back(pool, idle);
    struct client *reused = acquire(pool, loop, peer, version); /* not ready yet */
    struct client *fresh = acquire(pool, loop, peer, version);
    CHECK_COUNTS(pool, 0, 3);
    pconn_pool_free(pool);
    client_echo(used, "used");
    client_wait_ready(reused);
    client_echo(reused, "reused");
    client_wait_ready(fresh);
    client_echo(fresh, "fresh");
    /* Another pool takes them in. */
    struct pconn_pool *next = test_pool(loop);
    give_back(next, reused);
    client_close(fresh);
    CHECK_COUNTS(next, 1, 1);
}

TEST(a_reused_connection_that_dies_without_its_pool_is_reported) {
    struct script *script = new_script(act_close);
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = idle_connection(pool, loop, 0, script);
    struct client *client = acquire(pool, loop, peer, 0);
    pconn_pool_free(pool);
    let_it_act(script);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_IO, ECONNRESET);
}

ALL_TRANSPORTS(a_loop_takes_its_pools_along) {
    struct peer *peer = peer_of(version, NULL, NULL);
    struct ev_loop *loop = evloop_new();
    struct pconn_pool *pool = test_pool(loop);
    struct client *clients[3];
    int fds[3];
    for (int i = 0; i < 3; i++) {
        clients[i] = acquire_ready(pool, loop, peer, version);
        client_echo(clients[i], "x");
        fds[i] = clients[i]->c->fd;
    }
    give_back(pool, clients[0]);
    give_back(pool, clients[1]);
    struct client *reused = acquire(pool, loop, peer, version);
    CHECK_COUNTS(pool, 1, 3);
    evloop_free(loop);
    clients[2]->c = reused->c = NULL;
    CHECK_INT(reused->ready + reused->errors, 0);
    for (int i = 0; i < 3; i++) CHECK_ERRNO(fcntl(fds[i], F_GETFD), EBADF);
}

TEST(two_pools_on_one_loop_share_nothing) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *one = test_pool(loop), *two = test_pool(loop);
    struct peer *peer = PEER(.serve = NULL);
    give_back(one, acquire_ready(one, loop, peer, 0));
    struct client *client = acquire_ready(two, loop, peer, 0);
    CHECK_COUNTS(one, 1, 1);
    CHECK_COUNTS(two, 0, 1);
    give_back(two, client);
    pconn_pool_free(one);
    CHECK_COUNTS(two, 1, 1);
    client_echo(acquire_ready(two, loop, peer, 0), "two");
}

/* ---- Ways to run --------------------------------------------------------------------------------------------------- */

struct nested {
    struct pconn_pool *pool;
    struct ev_loop *loop;
    struct peer *peer;
    bool done;
};

static void break_ready(struct net_conn *c, void *arg) {
    struct nested *nested = arg;
    nested->done = true;
    CHECK_INT(conn_get_state(c), CONN_READY);
    evloop_break(nested->loop);
}

/* Reads, gives back, acquires, and waits for on_ready, all in one callback. */
static void acquire_nested(struct net_conn *c, void *arg) {
    struct nested *nested = arg;
    char byte[8];
    ssize_t n = conn_try_read(c, byte, sizeof byte);
    if (n < 0 && errno == EAGAIN) return;
    CHECK_INT(n, 1);
    conn_set_readable_callback(c, NULL, NULL);
    pconn_release(nested->pool, c, true);
    struct net_conn *again =
        pconn_acquire(nested->pool, "x", "127.0.0.1", peer_port(nested->peer), false, break_ready, fail_on_error, nested);
    CHECK_PTR(again, c);
    evloop_run(nested->loop);
    CHECK(nested->done);
    conn_close(again);
}

static void write_nested(struct net_conn *c, void *arg) {
    CHECK_INT(conn_try_write(c, "x", 1), 1);
    conn_set_readable_callback(c, acquire_nested, arg);
}

TEST(reported_by_a_nested_run) {
    struct nested nested = {.loop = test_loop(), .peer = PEER(.serve = NULL)};
    nested.pool = test_pool(nested.loop);
    CHECK_PTR_NOT_NULL(pconn_acquire(nested.pool, "x", "127.0.0.1", peer_port(nested.peer), false, write_nested,
                                     fail_on_error, &nested));
    evloop_run(nested.loop);
    CHECK(nested.done);
    CHECK_COUNTS(nested.pool, 0, 0);
}

/* The same, but the callback breaks the run: the next run reports it. */
static void acquire_and_break(struct net_conn *c, void *arg) {
    struct nested *nested = arg;
    char byte[8];
    ssize_t n = conn_try_read(c, byte, sizeof byte);
    if (n < 0 && errno == EAGAIN) return;
    pconn_release(nested->pool, c, true);
    CHECK_PTR_NOT_NULL(pconn_acquire(nested->pool, "x", "127.0.0.1", peer_port(nested->peer), false, note_ready,
                                     fail_on_error, &nested->done));
    evloop_break(nested->loop);
}

static void write_broken(struct net_conn *c, void *arg) {
    CHECK_INT(conn_try_write(c, "x", 1), 1);
    conn_set_readable_callback(c, acquire_and_break, arg);
}

TEST(reported_after_a_break) {
    struct nested nested = {.loop = test_loop(), .peer = PEER(.serve = NULL)};
    nested.pool = test_pool(nested.loop);
    CHECK_PTR_NOT_NULL(pconn_acquire(nested.pool, "x", "127.0.0.1", peer_port(nested.peer), false, write_broken,
                                     fail_on_error, &nested));
    evloop_run(nested.loop);
    CHECK(!nested.done);
    RUN_UNTIL(nested.loop, nested.done);
    CHECK_COUNTS(nested.pool, 0, 1);
}

TEST(reported_to_a_host_that_watches_the_loop) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = PEER(.serve = NULL);
    int fd = evloop_fd(loop);
    CHECK(fd >= 0);
    struct client *client = acquire(pool, loop, peer, 0);
    struct pollfd host = {.fd = fd, .events = POLLIN};
    while (!client->ready) {
        CHECK_INT(poll(&host, 1, 20000), 1);
        CHECK(evloop_run_once(loop, 0) >= 0);
    }
    give_back(pool, client);
    for (int i = 0; i < 3; i++) {
        struct client *again = acquire(pool, loop, peer, 0);
        while (!again->ready) {
            CHECK_INT(poll(&host, 1, 20000), 1);
            CHECK(evloop_run_once(loop, 0) >= 0);
        }
        give_back(pool, again);
    }
    CHECK_COUNTS(pool, 1, 1);
}

/* ---- A forked child ------------------------------------------------------------------------------------------------ */

ALL_TRANSPORTS(a_child_cannot_use_its_parents_pool) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = peer_of(version, NULL, NULL);
    struct client *lent = acquire_ready(pool, loop, peer, version);
    struct client *idle = acquire_ready(pool, loop, peer, version);
    client_echo(lent, "x");
    client_echo(idle, "x");
    int fd = idle->c->fd, lent_fd = lent->c->fd;
    give_back(pool, idle);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_NULL_ERRNO(pconn_acquire(pool, "http", "127.0.0.1", peer_port(peer), false, NULL, NULL, NULL), EPERM);
        CHECK_NULL_ERRNO(pconn_pool_new(loop), EPERM);
        CHECK_COUNTS(pool, 1, 2);
        pconn_release(pool, lent->c, true);
        CHECK_COUNTS(pool, 1, 1);
        CHECK_ERRNO(fcntl(lent_fd, F_GETFD), EBADF);
        pconn_pool_free(pool);
        CHECK_ERRNO(fcntl(fd, F_GETFD), EBADF);
        raise(SIGKILL);
    }
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGKILL);
    CHECK_COUNTS(pool, 1, 2);
    client_echo(lent, "the parent's");
    struct client *again = acquire_ready(pool, loop, peer, version);
    CHECK_INT(again->c->fd, fd);
    client_echo(again, "the parent's, too");
}

TEST_MAIN

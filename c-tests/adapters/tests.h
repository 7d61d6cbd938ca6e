/*
 * tests.h - the tests of every adapter. The program has defined, beside HOST:
 *
 *     HOST *host_new(void);
 *     void host_free(HOST *);                   ends all timers and watchers as programs of that library do, attached or not
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

/* ---- Misuse ------------------------------------------------------------------------------------------------------- */

TEST(misuse_is_told) {
    struct ev_loop *loop = evloop_new(), *second = evloop_new(), *gone = evloop_new();
    HOST *host = host_new(), *other = host_new();
    int fds = fd_count(), data = 0;
    CHECK_ERRNO(attach(NULL, host), EINVAL);
    CHECK_ERRNO(attach(NULL, NULL), EINVAL);
    CHECK_ERRNO(attach((struct ev_loop *)(void *)host, (HOST *)(void *)loop), EINVAL);
    CHECK_ERRNO(attach((struct ev_loop *)(void *)host, other), EINVAL);
    CHECK_ERRNO(attach(loop, (HOST *)(void *)loop), EINVAL);
    CHECK_ERRNO(attach(loop, (HOST *)(void *)second), EINVAL);
    CHECK_ERRNO(attach((struct ev_loop *)(void *)&data, host), EINVAL);
    CHECK_ERRNO(detach(NULL), EINVAL);
    CHECK_ERRNO(detach(loop), EINVAL);
    CHECK_ERRNO(detach((struct ev_loop *)(void *)host), EINVAL);
    CHECK_INT(fd_count(), fds);

    errno = 12345;
    CHECK_INT(attach(loop, host), 0);
    CHECK_ERRNO(attach(loop, host), EEXIST);
    CHECK_ERRNO(attach(loop, other), EEXIST);
    CHECK_ERRNO(attach(loop, (HOST *)(void *)loop), EINVAL);
    CHECK_ERRNO(evloop_set_attachment(loop, &data, NULL), EEXIST);
    CHECK_ERRNO(detach(second), EINVAL);
    errno = 12345;
    CHECK_INT(detach(loop), 0);
    CHECK_INT(errno, 12345);
    CHECK_ERRNO(detach(loop), EINVAL);
    CHECK_PTR_NULL(evloop_get_attachment(loop));

    /* Another adapter's, or the program's own. */
    struct netconn_adapter foreign = {"other", loop};
    CHECK_INT(evloop_set_attachment(loop, &foreign, NULL), 0);
    CHECK_ERRNO(attach(loop, host), EEXIST);
    CHECK_ERRNO(detach(loop), EINVAL);
    CHECK_PTR(evloop_get_attachment(loop), &foreign);
    CHECK_INT(evloop_set_attachment(loop, NULL, NULL), 0);

    evloop_free(gone);
    CHECK_ERRNO(attach(gone, host), EINVAL);
    CHECK_ERRNO(detach(gone), EINVAL);
    CHECK_ERRNO(evloop_set_attachment(gone, &data, NULL), EINVAL);
    CHECK_NULL_ERRNO(evloop_get_attachment(gone), EINVAL);
    CHECK_NULL_ERRNO(evloop_get_attachment((struct ev_loop *)(void *)host), EINVAL);
    settle(host);
    evloop_free(loop);
    evloop_free(second);
    host_free(host);
    host_free(other);
}

/* ---- What comes through the host ------------------------------------------------------------------------------------ */

struct echo {
    uint64_t to_send, sent, got;
    bool ended;
    HOST *stop; /* at the end */
};

static void echo_readable(struct net_conn *c, void *arg) {
    struct echo *echo = arg;
    unsigned char buf[5000]; /* less than a record: the rest waits inside TLS */
    ssize_t n = conn_try_read(c, buf, sizeof buf);
    if (n < 0) {
        CHECK_INT(errno, EAGAIN);
        return;
    }
    CHECK_INT(find_pattern_error(buf, (size_t)n, echo->got), -1);
    echo->got += (uint64_t)n;
    if (n > 0) return;
    echo->ended = true;
    conn_set_readable_callback(c, NULL, NULL);
    if (echo->stop) host_stop(echo->stop);
}

static void echo_writable(struct net_conn *c, void *arg) {
    struct echo *echo = arg;
    unsigned char buf[50000];
    size_t len = echo->to_send - echo->sent < sizeof buf ? echo->to_send - echo->sent : sizeof buf;
    fill_pattern(buf, len, echo->sent);
    ssize_t n = conn_try_write(c, buf, len);
    if (n < 0) CHECK_INT(errno, EAGAIN);
    else echo->sent += (uint64_t)n;
    if (echo->sent == echo->to_send) {
        conn_set_writable_callback(c, NULL, NULL);
        CHECK_INT(conn_shutdown(c), 0);
    }
}

static void start_echo(struct client *client, struct echo *echo) {
    conn_set_readable_callback(client->c, echo_readable, echo);
    conn_set_writable_callback(client->c, echo_writable, echo);
}

static void then_echo(struct client *client) { start_echo(client, client->arg); }

struct traffic {
    int fds[2];
    uint64_t got;
    uint64_t to_send;
};

/* A socket of the host's that keeps itself busy. */
static void on_traffic(void *arg) {
    struct traffic *traffic = arg;
    char buf[100];
    ssize_t n = recv(traffic->fds[0], buf, sizeof buf, MSG_DONTWAIT);
    CHECK(n > 0 || errno == EAGAIN);
    if (n <= 0) return;
    traffic->got += (uint64_t)n;
    if (traffic->got < traffic->to_send) CHECK_INT(send(traffic->fds[1], buf, 1, 0), 1);
}

ALL_TRANSPORTS(connections_beside_timers_and_sockets_of_the_host) {
    struct peer *peer = peer_of(version, NULL, NULL);
    struct conn_options o = options_of(version);
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    CHECK_INT(attach(loop, host), 0);
    struct traffic traffic = {.to_send = 200};
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, traffic.fds), 0);
    host_watch(host, traffic.fds[0], on_traffic, &traffic);
    CHECK_INT(send(traffic.fds[1], "", 1, 0), 1);
    struct ticks ticks;
    tick(&ticks, host, 1, 20);
    enum { CONNECTIONS = 5 };
    struct echo echo[CONNECTIONS];
    struct client *client[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) {
        echo[i] = (struct echo){.to_send = (uint64_t)small(1000000, 50000)};
        client[i] = client_open(loop, i % 2 ? "localhost" : "127.0.0.1", peer_port(peer), &o);
        client[i]->arg = &echo[i];
        client[i]->then_ready = then_echo;
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        HOST_UNTIL(host, echo[i].ended && conn_get_state(client[i]->c) == CONN_CLOSED);
        CHECK_INT(echo[i].got, echo[i].to_send);
        CHECK_INT(client[i]->ready, 1);
        client_close(client[i]);
    }
    HOST_UNTIL(host, traffic.got == traffic.to_send && ticks.n == ticks.last);
    CHECK_INT(detach(loop), 0);
    evloop_free(loop);
    host_free(host);
    close(traffic.fds[0]);
    close(traffic.fds[1]);
}

ALL_TRANSPORTS(a_run_of_the_host_ends_when_a_callback_stops_it) {
    struct peer *peer = peer_of(version, NULL, NULL);
    struct conn_options o = options_of(version);
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    CHECK_INT(attach(loop, host), 0);
    for (int i = 0; i < 2; i++) {
        struct echo echo = {.to_send = 1000, .stop = host};
        struct client *client = client_open(loop, "127.0.0.1", peer_port(peer), &o);
        client->arg = &echo;
        client->then_ready = then_echo;
        host_run(host);
        CHECK(echo.ended);
        CHECK_INT(echo.got, echo.to_send);
        client_close(client);
    }
    evloop_free(loop);
    host_free(host);
}

ALL_TRANSPORTS(failures_come_through_the_host) {
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    CHECK_INT(attach(loop, host), 0);
    struct conn_options o = options_of(version);
    struct client *refused = client_open(loop, "127.0.0.1", refused_port(), &o);
    struct client *invalid = client_open(loop, "127.0.0.1", "70000", &o);
    HOST_UNTIL(host, refused->errors && invalid->errors);
    CHECK_FAILED_WITH(refused, CONN_ERR_CONNECT, ECONNREFUSED);
    struct peer *peer = peer_of(version, serve_stall, NULL);
    o.connect_timeout = o.tls_timeout = 0.05;
    char port[8];
    snprintf(port, sizeof port, "%d", full_queue(AF_INET, NULL, 0));
    struct client *late = client_open(loop, "127.0.0.1", port, &o);
    HOST_UNTIL(host, late->errors);
    CHECK_INT(late->kind, CONN_ERR_TIMEOUT);
    client_close(refused);
    client_close(invalid);
    client_close(late);
    peer_stop(peer);
    evloop_free(loop);
    host_free(host);
}

struct order {
    int n, seen[32];
};
struct step {
    struct order *order;
    int number;
};
static void on_step(void *arg) {
    struct step *step = arg;
    if (step->order->n < 32) step->order->seen[step->order->n++] = step->number;
}

TEST(timers_of_both) {
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    CHECK_INT(attach(loop, host), 0);
    struct order order = {0};
    struct step steps[4] = {{&order, 0}, {&order, 1}, {&order, 2}, {&order, 3}};
    struct ticks ticks;
    tick(&ticks, host, 2, 10);
    double begin = now();
    evloop_timer_start(loop, slow(0.1), 0, on_step, &steps[3]);
    evloop_timer_start(loop, slow(0.03), 0, on_step, &steps[1]);
    evloop_timer_start(loop, 0, 0, on_step, &steps[0]);
    evloop_timer_start(loop, slow(0.03), 0, on_step, &steps[2]);
    struct evloop_timer *stopped = evloop_timer_start(loop, 0.005, 0, on_step, &steps[3]);
    evloop_timer_stop(stopped);
    HOST_UNTIL(host, order.n == 4 && ticks.n == 10);
    CHECK(now() - begin >= 0.1);
    for (int i = 0; i < 4; i++) CHECK_INT(order.seen[i], i);

    /* A repeating one costs a round for each time it fires, and no more. */
    settle(host);
    int fired = 0, before = rounds;
    struct evloop_timer *repeating = evloop_timer_start(loop, 0.001, 0.001, count, &fired);
    HOST_UNTIL(host, fired >= 20);
    CHECK_CMP(rounds - before, <=, fired);
    evloop_timer_free(repeating);
    evloop_free(loop);
    host_free(host);
}

struct poster {
    struct ev_loop *loop;
    int posts, ran, number;
    pthread_t thread, runs_on;
    struct posted {
        struct poster *poster;
        int number;
    } *work;
};

static void on_posted(void *arg) {
    struct posted *posted = arg;
    CHECK_INT(posted->poster->ran, posted->number);
    CHECK(pthread_equal(pthread_self(), posted->poster->runs_on));
    posted->poster->ran++;
}

static void *post_all(void *arg) {
    struct poster *poster = arg;
    for (int i = 0; i < poster->posts; i++) {
        poster->work[i] = (struct posted){poster, i};
        CHECK_INT(evloop_post(poster->loop, on_posted, &poster->work[i]), 0);
    }
    return NULL;
}

TEST(posts_of_threads) {
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    CHECK_INT(attach(loop, host), 0);
    enum { THREADS = 4 };
    struct poster posters[THREADS];
    for (int i = 0; i < THREADS; i++) {
        int posts = small(2000, 100);
        posters[i] = (struct poster){.loop = loop, .posts = posts, .runs_on = pthread_self()};
        posters[i].work = alloc(sizeof *posters[i].work * (size_t)posts);
        CHECK_INT(pthread_create(&posters[i].thread, NULL, post_all, &posters[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) HOST_UNTIL(host, posters[i].ran == posters[i].posts);
    for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_join(posters[i].thread, NULL), 0);

    /* From this thread: outside, and in callbacks of either. */
    int ran = 0;
    CHECK_INT(evloop_post(loop, count, &ran), 0);
    HOST_UNTIL(host, ran == 1);
    settle(host);
    int before = rounds;
    evloop_wakeup(loop);
    HOST_UNTIL(host, rounds > before);
    evloop_free(loop);
    host_free(host);
}

struct again {
    struct ev_loop *loop;
    HOST *host;
    int n, last;
};

static void post_again(void *arg) {
    struct again *again = arg;
    if (++again->n < again->last) CHECK_INT(evloop_post(again->loop, post_again, again), 0);
}

static void post_from_host(void *arg) {
    struct again *again = arg;
    CHECK_INT(evloop_post(again->loop, post_again, again), 0);
}

TEST(posts_of_callbacks) {
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    CHECK_INT(attach(loop, host), 0);
    struct again again = {loop, host, 0, 50};
    host_after(host, 0, post_from_host, &again);
    HOST_UNTIL(host, again.n == 50);
    int before = rounds;
    settle(host);
    CHECK_CMP(rounds - before, <=, 1);
    evloop_free(loop);
    host_free(host);
}

struct answer {
    int answers, status;
};
static void on_answer(int status, const struct addrinfo *ai, void *arg) {
    struct answer *answer = arg;
    answer->answers++;
    answer->status = status;
    CHECK_INT(status == 0, ai != NULL);
}

TEST(lookups) {
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    CHECK_INT(attach(loop, host), 0);
    struct answer name = {0}, literal = {0}, nothing = {0};
    dns_set_cache_ttl(0);
    dns_resolve_async(loop, "localhost", "80", AF_UNSPEC, SOCK_STREAM, 0, on_answer, &name);
    dns_resolve_async(loop, "127.0.0.1", "80", AF_UNSPEC, SOCK_STREAM, 0, on_answer, &literal);
    dns_resolve_async(loop, "::1", "80", AF_INET, SOCK_STREAM, 0, on_answer, &nothing);
    HOST_UNTIL(host, name.answers && literal.answers && nothing.answers);
    CHECK_INT(name.status, 0);
    CHECK_INT(literal.status, 0);
    CHECK(nothing.status != 0);
    evloop_free(loop);
    host_free(host);
}

static void on_usr1(int signum, void *arg) {
    CHECK_INT(signum, SIGUSR1);
    ++*(int *)arg;
}

TEST(signals) {
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    CHECK_INT(attach(loop, host), 0);
    int told = 0;
    struct evloop_signal *watcher = evloop_signal_start(loop, SIGUSR1, on_usr1, &told);
    for (int i = 1; i <= 3; i++) {
        CHECK_INT(kill(getpid(), SIGUSR1), 0);
        HOST_UNTIL(host, told == i);
    }
    evloop_signal_free(watcher);
    evloop_free(loop);
    host_free(host);
}

/* ---- Detaching and attaching again ------------------------------------------------------------------------------------ */

static void send_byte(struct client *client) { CHECK_INT(conn_try_write(client->c, "x", 1), 1); }

struct bytes {
    int n;
    void (*then)(struct bytes *);
    struct ev_loop *loop;
    HOST *host, *next;
    struct client *client;
};
static void on_byte(struct net_conn *c, void *arg) {
    struct bytes *bytes = arg;
    char buf[10];
    ssize_t n = conn_try_read(c, buf, sizeof buf);
    if (n < 0) CHECK_INT(errno, EAGAIN);
    if (n <= 0) return;
    bytes->n += (int)n;
    if (bytes->then) bytes->then(bytes);
}

ALL_TRANSPORTS(what_is_open_waits_while_detached) {
    struct peer *peer = peer_of(version, NULL, NULL);
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new(), *other = host_new();
    struct client *client = ready_client(loop, version, peer);
    struct bytes bytes = {0};
    int fired = 0, ran = 0;
    conn_set_readable_callback(client->c, on_byte, &bytes);
    CHECK_INT(attach(loop, host), 0);
    send_byte(client);
    HOST_UNTIL(host, bytes.n == 1);

    CHECK_INT(detach(loop), 0);
    send_byte(client);
    evloop_timer_start(loop, 0.001, 0, count, &fired);
    CHECK_INT(evloop_post(loop, count, &ran), 0);
    struct ticks ticks;
    tick(&ticks, host, 2, 5);
    int before = rounds;
    HOST_UNTIL(host, ticks.n == 5);
    CHECK_INT(rounds, before);
    CHECK_INT(bytes.n + fired + ran, 1);

    /* At another host everything goes on; */
    CHECK_INT(attach(loop, other), 0);
    HOST_UNTIL(other, bytes.n == 2 && fired && ran);
    CHECK_INT(detach(loop), 0);
    /* by itself, */
    send_byte(client);
    RUN_UNTIL(loop, bytes.n == 3);
    /* and at the first one. */
    for (int i = 0; i < 10; i++) {
        CHECK_INT(attach(loop, host), 0);
        send_byte(client);
        HOST_UNTIL(host, bytes.n == 4 + i);
        CHECK_INT(detach(loop), 0);
    }
    client_close(client);
    evloop_free(loop);
    host_free(host);
    host_free(other);
}

static void detach_now(struct bytes *bytes) { CHECK_INT(detach(bytes->loop), 0); }
static void move_now(struct bytes *bytes) {
    CHECK_INT(detach(bytes->loop), 0);
    CHECK_INT(attach(bytes->loop, bytes->next), 0);
}
static void detach_from_host(void *arg) { detach_now(arg); }
static void attach_from_host(void *arg) {
    struct bytes *bytes = arg;
    CHECK_INT(attach(bytes->loop, bytes->host), 0);
}

TEST(a_callback_detaches_and_attaches) {
    struct peer *peer = PEER(.serve = NULL);
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new(), *other = host_new();
    struct client *client = ready_client(loop, 0, peer);
    struct bytes bytes = {.loop = loop, .host = host, .next = host, .then = detach_now};
    conn_set_readable_callback(client->c, on_byte, &bytes);
    CHECK_INT(attach(loop, host), 0);
    send_byte(client);
    HOST_UNTIL(host, bytes.n == 1);
    CHECK_ERRNO(detach(loop), EINVAL);
    settle(host);

    CHECK_INT(attach(loop, host), 0);
    bytes.then = move_now; /* to the same */
    for (int i = 2; i < 5; i++) {
        send_byte(client);
        HOST_UNTIL(host, bytes.n == i);
    }
    bytes.next = other;
    send_byte(client);
    HOST_UNTIL(host, bytes.n == 5);
    bytes.then = NULL;
    send_byte(client);
    HOST_UNTIL(other, bytes.n == 6);
    settle(host);
    CHECK_INT(detach(loop), 0);

    /* In callbacks of the host. */
    host_after(host, 0, attach_from_host, &bytes);
    send_byte(client);
    HOST_UNTIL(host, bytes.n == 7);
    host_after(host, 0, detach_from_host, &bytes);
    HOST_UNTIL(host, evloop_get_attachment(loop) == NULL);
    client_close(client);
    evloop_free(loop);
    host_free(host);
    host_free(other);
}

TEST(two_loops_in_one_host) {
    struct peer *peer = PEER(.serve = NULL);
    struct ev_loop *loops[2];
    struct client *clients[2];
    struct bytes bytes[2] = {{0}, {0}};
    HOST *host = host_new();
    for (int i = 0; i < 2; i++) {
        loops[i] = evloop_new();
        clients[i] = ready_client(loops[i], 0, peer);
        conn_set_readable_callback(clients[i]->c, on_byte, &bytes[i]);
        CHECK_INT(attach(loops[i], host), 0);
        send_byte(clients[i]);
    }
    HOST_UNTIL(host, bytes[0].n == 1 && bytes[1].n == 1);
    end_loop(loops[0], clients[0]);
    send_byte(clients[1]);
    HOST_UNTIL(host, bytes[1].n == 2);
    end_loop(loops[1], clients[1]);
    host_free(host);
}

/* ---- The end of either ------------------------------------------------------------------------------------------------ */

static void free_ours(void *arg) {
    struct bytes *bytes = arg;
    end_loop(bytes->loop, bytes->client);
    bytes->loop = NULL;
}
static void free_in_callback(struct bytes *bytes) { free_ours(bytes); }

/* `how`: 0 outside, 1 in a callback of the loop, 2 in one of the host. */
static void free_ours_first(int how) {
    struct peer *peer = PEER(.serve = NULL);
    host_free(host_new()); /* what the library keeps */
    int fds = fd_count();
    HOST *host = host_new();
    for (int i = 0; i < 3; i++) {
        struct ev_loop *loop = evloop_new();
        struct client *client = ready_client(loop, 0, peer);
        struct bytes bytes = {.loop = loop, .client = client, .then = how == 1 ? free_in_callback : NULL};
        int never = 0;
        conn_set_readable_callback(client->c, on_byte, &bytes);
        CHECK_INT(attach(loop, host), 0);
        evloop_timer_start(loop, 0.001, 0.001, count, &never);
        send_byte(client);
        if (how != 1) HOST_UNTIL(host, bytes.n == 1);
        if (how == 0) free_ours(&bytes);
        if (how == 2) host_after(host, 0, free_ours, &bytes);
        HOST_UNTIL(host, bytes.loop == NULL);
        /* The host goes on, and hears no more of it. */
        struct ticks ticks;
        int before = rounds, then = never;
        tick(&ticks, host, 1, 5);
        HOST_UNTIL(host, ticks.n == 5);
        CHECK_INT(rounds, before);
        CHECK_INT(never, then);
    }
    host_free(host);
    peer_join(peer);
    CHECK_NO_NEW_FDS(fds);
}
TEST(our_loop_ends_first) { free_ours_first(0); }
TEST(our_loop_ends_first_in_its_callback) { free_ours_first(1); }
TEST(our_loop_ends_first_in_a_callback_of_the_host) { free_ours_first(2); }

/* `then`: what is done to our loop after the host has ended. */
static void free_host_first(void (*then)(struct ev_loop *loop)) {
    struct peer *peer = PEER(.serve = NULL);
    host_free(host_new());
    int fds = fd_count();
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    struct client *client = ready_client(loop, 0, peer);
    struct bytes bytes = {0};
    conn_set_readable_callback(client->c, on_byte, &bytes);
    CHECK_INT(attach(loop, host), 0);
    send_byte(client);
    HOST_UNTIL(host, bytes.n == 1);
    send_byte(client);
    host_free(host);
    /* It can be run by itself. */
    RUN_UNTIL(loop, bytes.n == 2);
    if (then) then(loop);
    if (then) {
        host = host_new();
        CHECK_INT(attach(loop, host), 0);
        send_byte(client);
        HOST_UNTIL(host, bytes.n == 3);
        end_loop(loop, client);
        host_free(host);
    } else {
        end_loop(loop, client);
    }
    peer_join(peer);
    CHECK_NO_NEW_FDS(fds);
}
static void detach_if_attached(struct ev_loop *loop) {
    if (evloop_get_attachment(loop)) CHECK_INT(detach(loop), 0);
    CHECK_ERRNO(detach(loop), EINVAL);
}
TEST(the_host_ends_first) { free_host_first(NULL); }
TEST(the_host_ends_first_and_our_loop_goes_to_another) { free_host_first(detach_if_attached); }

/* ---- Runs inside runs ------------------------------------------------------------------------------------------------- */

/* The style of old programs: a callback waits for an answer. */
static void wait_for_an_answer(void *arg) {
    struct client *client = arg;
    client_echo(client, "a whole question and answer");
}

struct nest {
    struct client *client;
    int done;
};
static void nest_in_our_callback(void *arg) {
    struct nest *nest = arg;
    wait_for_an_answer(nest->client);
    nest->done++;
}

TEST(our_loop_runs_in_callbacks_of_either) {
    struct peer *peer = PEER(.serve = NULL);
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    struct nest nest = {.client = ready_client(loop, 0, peer)};
    CHECK_INT(attach(loop, host), 0);
    host_after(host, 0, nest_in_our_callback, &nest);
    HOST_UNTIL(host, nest.done == 1);
    CHECK_INT(evloop_post(loop, nest_in_our_callback, &nest), 0);
    HOST_UNTIL(host, nest.done == 2);
    evloop_timer_start(loop, 0.001, 0, nest_in_our_callback, &nest);
    HOST_UNTIL(host, nest.done == 3);
    end_loop(loop, nest.client);
    host_free(host);
}

#ifdef HOST_MAY_NEST
/* A dialog in a callback: everything goes on in it, also what this callback has just started. */
struct dialog {
    struct ev_loop *loop;
    HOST *host;
    struct client *client;
    int posted, fired, closed;
};
static void open_dialog(void *arg) {
    struct dialog *dialog = arg;
    CHECK_INT(evloop_post(dialog->loop, count, &dialog->posted), 0);
    HOST_UNTIL(dialog->host, dialog->posted);
    evloop_timer_start(dialog->loop, 0.002, 0, count, &dialog->fired);
    HOST_UNTIL(dialog->host, dialog->fired);
    struct conn_options o = options();
    struct client *invalid = client_open(dialog->loop, "127.0.0.1", "70000", &o);
    HOST_UNTIL(dialog->host, invalid->errors);
    struct bytes bytes = {0};
    conn_set_readable_callback(dialog->client->c, on_byte, &bytes);
    send_byte(dialog->client);
    HOST_UNTIL(dialog->host, bytes.n == 1);
    conn_set_readable_callback(dialog->client->c, NULL, NULL);
    client_close(invalid);
    settle(dialog->host);
    dialog->closed++;
}

TEST(the_host_runs_in_our_callback) {
    struct peer *peer = PEER(.serve = NULL);
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    struct dialog dialog = {.loop = loop, .host = host, .client = ready_client(loop, 0, peer)};
    CHECK_INT(attach(loop, host), 0);
    evloop_timer_start(loop, 0, 0, open_dialog, &dialog);
    HOST_UNTIL(host, dialog.closed == 1);
    CHECK_INT(evloop_post(loop, open_dialog, &dialog), 0);
    HOST_UNTIL(host, dialog.closed == 2);
    end_loop(loop, dialog.client);
    host_free(host);
}
#endif

/* ---- Wake-ups --------------------------------------------------------------------------------------------------------- */

ALL_TRANSPORTS(nothing_wakes_up_while_nothing_happens) {
    struct peer *peer = peer_of(version, NULL, NULL);
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    CHECK_INT(attach(loop, host), 0);
    struct conn_options o = options_of(version);
    struct client *client = client_open(loop, "127.0.0.1", peer_port(peer), &o);
    HOST_UNTIL(host, client->ready);
    struct bytes bytes = {0};
    conn_set_readable_callback(client->c, on_byte, &bytes);
    send_byte(client);
    HOST_UNTIL(host, bytes.n == 1);
    struct ticks ticks;
    /* Idle timers and watchers of all kinds. */
    int never = 0;
    evloop_timer_start(loop, 3600, 0, count, &never);
    evloop_timer_free(evloop_timer_start(loop, 0.001, 0, count, &never));
    struct evloop_signal *signal = evloop_signal_start(loop, SIGUSR1, on_usr1, &never);
    settle(host);
    int before = rounds, iterations = 0;
    tick(&ticks, host, 2, 50);
    for (; ticks.n < 50; iterations++) host_once(host);
    CHECK_INT(rounds, before);
    /* One for each tick, and one or two that came too early for a clock of milliseconds. */
    CHECK_CMP(iterations, <=, 3 * 50);
    CHECK_INT(never, 0);

    /* Each answer wakes up once. */
    for (int i = 0; i < 50; i++) {
        send_byte(client);
        HOST_UNTIL(host, bytes.n == 2 + i);
    }
    settle(host);
    CHECK_CMP(rounds - before, <=, 50);
    evloop_signal_free(signal);
    client_close(client);
    evloop_free(loop);
    host_free(host);
}

TEST(in_a_forked_child_the_host_is_not_kept_busy) {
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    CHECK_INT(attach(loop, host), 0);
    int ran = 0, status;
    settle(host);
    CHECK_INT(evloop_post(loop, count, &ran), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        host_forked(host);
        rounds = 0;
        for (int i = 0; i < 20; i++) host_poll(host);
        _exit(rounds <= 1 && ran == 0 && detach(loop) == -1 && errno == EPERM ? 0 : 1);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    HOST_UNTIL(host, ran);
    evloop_free(loop);
    host_free(host);
}

/* What a forked child exits with when a check of its own fails. */
#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) _exit(__LINE__ % 250 + 1);                                                                   \
    } while (0)

/* `late`: the child's host runs before our loop is the child's. */
static void both_go_on_in_a_child(bool late) {
    const char *port = peer_process(&(struct peer_options){0});
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    CHECK_INT(attach(loop, host), 0);
    int fired = 0, ran = 0, status;
    settle(host);
    evloop_timer_start(loop, 0.05, 0, count, &fired);
    CHECK_INT(evloop_post(loop, count, &ran), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (late) {
            host_forked(host);
            for (int i = 0; i < 5; i++) host_poll(host);
        }
        REQUIRE(evloop_after_fork(loop) == 0);
        if (late) REQUIRE(detach(loop) == 0 && attach(loop, host) == 0);
        else host_forked(host);
        HOST_UNTIL(host, fired && ran); /* what was kept */
        struct conn_options o = options();
        struct client *client = client_open(loop, "127.0.0.1", port, &o);
        struct echo echo = {.to_send = 10000};
        client->arg = &echo;
        client->then_ready = then_echo;
        HOST_UNTIL(host, echo.ended);
        REQUIRE(echo.got == echo.to_send);
        client_close(client);
        REQUIRE(evloop_post(loop, count, &ran) == 0);
        HOST_UNTIL(host, ran == 2);
        settle(host);
        int before = rounds;
        for (int i = 0; i < 20; i++) host_poll(host);
        REQUIRE(rounds == before);
        REQUIRE(detach(loop) == 0);
        evloop_free(loop);
        _exit(0);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    /* The parent noticed nothing. */
    HOST_UNTIL(host, fired && ran);
    struct conn_options o = options();
    struct client *client = client_open(loop, "127.0.0.1", port, &o);
    HOST_UNTIL(host, client->ready);
    client_close(client);
    evloop_free(loop);
    host_free(host);
}
TEST(both_loops_go_on_in_a_child) { both_go_on_in_a_child(false); }
TEST(both_loops_go_on_in_a_child_whose_host_ran_first) { both_go_on_in_a_child(true); }

/* ---- Nobody starves --------------------------------------------------------------------------------------------------- */

TEST(a_busy_loop_of_ours_lets_the_host_live) {
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    CHECK_INT(attach(loop, host), 0);
    struct again again = {loop, host, 0, 1000000000};
    CHECK_INT(evloop_post(loop, post_again, &again), 0);
    struct traffic traffic = {.to_send = 20};
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, traffic.fds), 0);
    host_watch(host, traffic.fds[0], on_traffic, &traffic);
    CHECK_INT(send(traffic.fds[1], "", 1, 0), 1);
    struct ticks ticks;
    tick(&ticks, host, 1, 10);
    int before = rounds, iterations = 0;
    for (; ticks.n < 10 || traffic.got < 20; iterations++) {
        int n = again.n;
        host_once(host);
        CHECK_CMP(again.n, <=, n + 2); /* a round, seldom two, in one iteration of the host's */
    }
    CHECK_CMP(again.n, >, 0);
    CHECK_CMP(rounds - before, <=, 2 * iterations);
    evloop_free(loop);
    host_free(host);
    close(traffic.fds[0]);
    close(traffic.fds[1]);
}

static void stay_readable(void *arg) { ++*(int *)arg; }

TEST(a_busy_host_lets_our_loop_live) {
    struct peer *peer = PEER(.serve = NULL);
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    struct client *client = ready_client(loop, 0, peer);
    struct echo echo = {.to_send = 100000};
    CHECK_INT(attach(loop, host), 0);
    int fds[2], calls = 0;
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_INT(send(fds[1], "", 1, 0), 1);
    host_watch(host, fds[0], stay_readable, &calls); /* always ready: nobody reads it */
    start_echo(client, &echo);
    struct again again = {loop, host, 0, 20};
    CHECK_INT(evloop_post(loop, post_again, &again), 0);
    int fired = 0;
    evloop_timer_start(loop, 0.005, 0, count, &fired);
    HOST_UNTIL(host, echo.ended && again.n == 20 && fired);
    CHECK_CMP(calls, >, 0);
    end_loop(loop, client);
    host_free(host);
    close(fds[0]);
    close(fds[1]);
}

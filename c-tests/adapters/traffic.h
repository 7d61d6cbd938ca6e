/* traffic.h - what comes through the host: connections, timers, posts, lookups, signals. Part of tests.h. */

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

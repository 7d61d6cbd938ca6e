/* life.h - misuse, attaching and detaching, the end of either loop, and a child of fork. Part of tests.h. */

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

/* ---- Detaching and attaching again -------------------------------------------------------------------------------- */

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

/* ---- The end of either -------------------------------------------------------------------------------------------- */

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

/* ---- A child of fork ---------------------------------------------------------------------------------------------- */

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

/* `then`: what the child does with a loop that it has not taken over. */
static void a_child_leaves_the_parent_alone(void (*then)(struct ev_loop *loop)) {
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    int ran = 0, status;
    CHECK_INT(attach(loop, host), 0);
    settle(host);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        then(loop);
        _exit(0);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    for (int i = 1; i <= 3; i++) {
        CHECK_INT(evloop_post(loop, count, &ran), 0);
        HOST_UNTIL(host, ran == i);
    }
    evloop_timer_start(loop, 0.001, 0, count, &ran);
    HOST_UNTIL(host, ran == 4);
    evloop_free(loop);
    host_free(host);
}
static void detach_in_child(struct ev_loop *loop) {
    if (detach(loop) != -1 || errno != EPERM) _exit(1);
}
static void cleanup_in_child(struct ev_loop *loop) {
    (void)loop;
    netconn_cleanup();
}
static void take_over_and_free(struct ev_loop *loop) {
    if (evloop_after_fork(loop) != 0 || detach(loop) != 0) _exit(1);
    evloop_free(loop);
}
TEST(a_child_frees_the_loop) { a_child_leaves_the_parent_alone(evloop_free); }
TEST(a_child_cannot_detach_the_loop) { a_child_leaves_the_parent_alone(detach_in_child); }
TEST(a_child_cleans_up) { a_child_leaves_the_parent_alone(cleanup_in_child); }
TEST(a_child_takes_the_loop_over_without_the_host) { a_child_leaves_the_parent_alone(take_over_and_free); }

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

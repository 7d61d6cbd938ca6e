/* A callback may do anything: close its connection, close another, free the loop, stop it, open new ones. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "../support/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void greet(struct peer_conn *pc) {
    peer_write(pc, "hello", 5);
    peer_drain(pc);
}

static void hello_then_reset(struct peer_conn *pc) {
    char byte;
    peer_read(pc, &byte, 1);
    peer_reset(pc);
}

/* ---- Where: the callbacks. What: the deeds. Each deed in each callback, on each transport. ----------------------------- */

enum where { ON_READY, ON_ERROR, ON_LATE_ERROR, READABLE, WRITABLE, WHERES };
static const char *const where_names[] = {"on_ready", "on_error", "on_error after READY", "readable", "writable"};

struct scene {
    struct ev_loop *loop;
    struct net_conn *c, *other;
    struct peer *peer;
    enum where where;
    void (*deed)(struct scene *scene);
    int done;  /* how often the deed was done */
    bool over; /* after the deed no callback of `c` may run */
    int other_ready, other_errors;
    struct conn_options options;
};

static void act(struct scene *scene, enum where where, struct net_conn *c) {
    if (scene->over) FAIL("a callback ran after the deed in %s", where_names[scene->where]);
    CHECK_PTR(c, scene->c);
    if (where != scene->where) return;
    scene->done++;
    scene->deed(scene);
}

static void scene_readable(struct net_conn *c, void *scene) { act(scene, READABLE, c); }
static void scene_writable(struct net_conn *c, void *scene) { act(scene, WRITABLE, c); }
static void scene_ready(struct net_conn *c, void *arg) {
    struct scene *scene = arg;
    if (scene->where == ON_LATE_ERROR) conn_try_write(c, "x", 1); /* answered with a reset */
    /* Both are wanted, and one round may have both ready. */
    if (scene->where == READABLE || scene->where == WRITABLE) {
        conn_set_readable_callback(c, scene_readable, scene);
        conn_set_writable_callback(c, scene_writable, scene);
    }
    act(scene, ON_READY, c);
}
static void scene_error(struct net_conn *c, void *arg) {
    struct scene *scene = arg;
    if (scene->where != ON_ERROR && scene->where != ON_LATE_ERROR) FAIL("failed: %s", conn_get_error_msg(c));
    act(scene, scene->where, c);
}
static void other_ready(struct net_conn *c, void *arg) {
    (void)c;
    ((struct scene *)arg)->other_ready++;
}
static void other_error(struct net_conn *c, void *arg) {
    (void)c;
    ((struct scene *)arg)->other_errors++;
}

static struct net_conn *scene_open(struct scene *scene, conn_event_cb ready, conn_event_cb error) {
    const char *port = scene->where == ON_ERROR ? refused_port() : peer_port(scene->peer);
    struct net_conn *c = conn_new_with(scene->loop, "127.0.0.1", port, &scene->options, ready, error, scene);
    CHECK_PTR_NOT_NULL(c);
    return c;
}

/* Plays the scene in each of the callbacks, until `evloop_run` returns by itself. */
static void play(int version, void (*deed)(struct scene *), void (*after)(struct scene *), bool with_other) {
    struct conn_options o = options_of(version);
    for (int where = 0; where < WHERES; where++) {
        struct scene scene = {.where = (enum where)where, .deed = deed, .options = o};
        scene.peer = peer_of(version, where == ON_LATE_ERROR ? hello_then_reset : greet, NULL);
        scene.loop = evloop_new();
        CHECK_PTR_NOT_NULL(scene.loop);
        scene.c = scene_open(&scene, scene_ready, scene_error);
        if (with_other) scene.other = scene_open(&scene, other_ready, other_error);
        evloop_run(scene.loop);
        if (scene.done != 1) FAIL("in %s the deed was done %d times", where_names[where], scene.done);
        if (after) after(&scene);
        evloop_free(scene.loop);
        peer_stop(scene.peer);
    }
}

/* ---- Closing --------------------------------------------------------------------------------------------------------- */

static void close_itself(struct scene *scene) {
    conn_close(scene->c);
    scene->over = true;
}
ALL_TRANSPORTS(closes_itself) { play(version, close_itself, NULL, false); }

static void abort_itself(struct scene *scene) {
    conn_abort(scene->c);
    scene->over = true;
}
ALL_TRANSPORTS(aborts_itself) { play(version, abort_itself, NULL, false); }

static void close_both(struct scene *scene) {
    conn_close(scene->other);
    scene->other_ready = scene->other_errors = 0;
    conn_close(scene->c);
    scene->over = true;
}
static void other_is_silent(struct scene *scene) {
    CHECK_INT(scene->other_ready, 0);
    CHECK_INT(scene->other_errors, 0);
}
ALL_TRANSPORTS(closes_another_and_itself) { play(version, close_both, other_is_silent, true); }

/* ---- The loop -------------------------------------------------------------------------------------------------------- */

static void free_the_loop(struct scene *scene) {
    evloop_free(scene->loop);
    scene->loop = NULL; /* NULL is accepted by the free after the scene */
    scene->over = true;
}
ALL_TRANSPORTS(frees_the_loop) { play(version, free_the_loop, NULL, false); }
ALL_TRANSPORTS(frees_the_loop_with_another_connection) { play(version, free_the_loop, NULL, true); }

static void close_and_free_the_loop(struct scene *scene) {
    conn_close(scene->c);
    free_the_loop(scene);
}
ALL_TRANSPORTS(closes_itself_and_frees_the_loop) { play(version, close_and_free_the_loop, NULL, false); }

static void stop_the_loop(struct scene *scene) {
    evloop_break(scene->loop);
    scene->over = true;
}
static void close_after_break(struct scene *scene) {
    scene->over = false;
    CHECK(conn_get_state(scene->c) == CONN_READY || conn_get_state(scene->c) == CONN_ERROR);
    conn_close(scene->c);
    scene->over = true;
    evloop_run(scene->loop);
}
ALL_TRANSPORTS(breaks_the_loop) { play(version, stop_the_loop, close_after_break, false); }

static void run_nested(struct scene *scene) {
    for (int i = 0; i < 3; i++) {
        enum where where = scene->where;
        scene->where = WHERES; /* what runs in the nested rounds does nothing */
        CHECK(evloop_run_once(scene->loop, 0) >= 0);
        scene->where = where;
    }
    conn_close(scene->c);
    scene->over = true;
}
ALL_TRANSPORTS(runs_the_loop_inside) {
    struct conn_options o = options_of(version);
    static const enum where wheres[] = {ON_READY, READABLE, WRITABLE};
    for (size_t i = 0; i < 3; i++) {
        struct scene scene = {.where = wheres[i], .deed = run_nested, .options = o};
        scene.peer = peer_of(version, greet, NULL);
        scene.loop = evloop_new();
        scene.c = scene_open(&scene, scene_ready, scene_error);
        evloop_run(scene.loop);
        CHECK_INT(scene.done, 1);
        evloop_free(scene.loop);
    }
}

/* ---- New connections inside ------------------------------------------------------------------------------------------ */

struct chain {
    struct ev_loop *loop;
    const char *port;
    const struct conn_options *options;
    int left, errors;
    bool inside;
};

static void next_link(struct net_conn *c, void *arg);
static void chain_error(struct net_conn *c, void *arg) {
    ((struct chain *)arg)->errors++;
    next_link(c, arg);
}

/* Closes the one that is ready and opens the next, which may get its address. */
static void next_link(struct net_conn *c, void *arg) {
    struct chain *chain = arg;
    CHECK(!chain->inside);
    conn_close(c);
    if (--chain->left == 0) return;
    chain->inside = true;
    c = conn_new_with(chain->loop, "127.0.0.1", chain->port, chain->options, next_link, chain_error, chain);
    CHECK_PTR_NOT_NULL(c);
    chain->inside = false;
}

ALL_TRANSPORTS(a_chain_of_connections) {
    struct peer *peer = peer_of(version, serve_sink, NULL);
    struct conn_options o = options_of(version);
    struct chain chain = {.loop = test_loop(), .port = peer_port(peer), .options = &o, .left = 20};
    CHECK_PTR_NOT_NULL(conn_new_with(chain.loop, "127.0.0.1", chain.port, &o, next_link, chain_error, &chain));
    evloop_run(chain.loop);
    CHECK_INT(chain.left, 0);
    CHECK_INT(chain.errors, 0);
    peer_join(peer);
    CHECK_INT(peer_accepted(peer), 20);
}

TEST(a_chain_of_failures) {
    struct conn_options o = options();
    struct chain chain = {.loop = test_loop(), .port = refused_port(), .options = &o, .left = 20};
    CHECK_PTR_NOT_NULL(conn_new_with(chain.loop, "127.0.0.1", chain.port, &o, next_link, chain_error, &chain));
    evloop_run(chain.loop);
    CHECK_INT(chain.left, 0);
    CHECK_INT(chain.errors, 20);
}

/* ---- Two that are ready in the same round ------------------------------------------------------------------------------ */

struct pair {
    struct client *mine, *theirs;
    int *fired;
};

static void close_the_other(struct net_conn *c, void *arg) {
    struct pair *pair = arg;
    CHECK_PTR(c, pair->mine->c);
    ++*pair->fired;
    client_close(pair->theirs);
    conn_set_readable_callback(c, NULL, NULL);
}

ALL_TRANSPORTS(an_event_already_collected_is_dropped_by_a_close) {
    struct peer *peer = peer_of(version, greet, NULL);
    struct ev_loop *loop = test_loop();
    struct client *one = ready_client(loop, version, peer), *two = ready_client(loop, version, peer);
    char byte;
    CHECK_INT(client_read_some(one, &byte, 1), 1); /* both have been greeted */
    CHECK_INT(client_read_some(two, &byte, 1), 1);
    int fired = 0;
    struct pair first = {one, two, &fired}, second = {two, one, &fired};
    conn_set_readable_callback(one->c, close_the_other, &first);
    conn_set_readable_callback(two->c, close_the_other, &second);
    RUN_UNTIL(loop, fired);
    run_rounds(loop);
    CHECK_INT(fired, 1);
}

/* ---- Callbacks inside a call: on_socket, verify, ALPN ------------------------------------------------------------------ */

static int free_loop_in_on_socket(int fd, void *loop) {
    CHECK(fd >= 0);
    evloop_free(loop);
    return 0;
}

TEST(on_socket_frees_the_loop_inside_conn_new) {
    struct peer *peer = PEER(0);
    struct ev_loop *loop = evloop_new();
    struct conn_options o = options();
    o.on_socket = free_loop_in_on_socket;
    o.socket_arg = loop;
    CHECK_NULL_ERRNO(conn_new_with(loop, "127.0.0.1", peer_port(peer), &o, NULL, NULL, NULL), ECANCELED);
}

struct closing {
    struct client *client;
    int calls;
};

static int close_in_on_socket(int fd, void *arg) {
    struct closing *closing = arg;
    CHECK(fd >= 0);
    closing->calls++;
    struct net_conn *c = closing->client->c;
    closing->client->c = NULL;
    conn_close(c);
    return 0;
}

TEST(on_socket_closes_its_connection_from_the_loop) {
    struct peer *peer = PEER(0);
    struct closing closing = {NULL, 0};
    struct conn_options o = options();
    o.on_socket = close_in_on_socket;
    o.socket_arg = &closing;
    o.family = AF_INET;
    closing.client = client_open(test_loop(), "localhost", peer_port(peer), &o); /* a name: on_socket runs later */
    evloop_run(closing.client->loop);
    CHECK_INT(closing.calls, 1);
    CHECK_INT(closing.client->ready + closing.client->errors, 0);
}

TEST(on_socket_closes_another_connection) {
    struct peer *peer = PEER(0);
    struct ev_loop *loop = test_loop();
    struct closing closing = {ready_client(loop, 0, peer), 0};
    struct conn_options o = options();
    o.on_socket = close_in_on_socket;
    o.socket_arg = &closing;
    struct client *client = client_open(loop, "127.0.0.1", peer_port(peer), &o);
    client_wait_ready(client);
    client_echo(client, "the one that stays");
}

static int close_in_verify(int preverified, int depth, const char *subject, long error, void *arg) {
    (void)depth, (void)subject, (void)error;
    struct closing *closing = arg;
    closing->calls++;
    if (closing->client->c) {
        struct net_conn *c = closing->client->c;
        closing->client->c = NULL;
        conn_close(c);
    }
    return preverified;
}

BOTH_VERSIONS(verify_closes_its_connection) {
    struct peer *peer = TLS_PEER(version);
    struct closing closing = {NULL, 0};
    struct conn_options o = tls_options();
    CHECK_INT(netconn_tls_set_verify_callback(o.tls, close_in_verify, &closing), 0);
    closing.client = client_open(test_loop(), "127.0.0.1", peer_port(peer), &o);
    evloop_run(closing.client->loop);
    CHECK_CMP(closing.calls, >=, 1);
    CHECK_INT(closing.client->ready + closing.client->errors, 0);
    peer_join(peer);
}

static int free_loop_in_verify(int preverified, int depth, const char *subject, long error, void *arg) {
    (void)depth, (void)subject, (void)error;
    struct ev_loop **loop = arg;
    evloop_free(*loop);
    *loop = NULL;
    return preverified;
}

BOTH_VERSIONS(verify_frees_the_loop) {
    struct peer *peer = TLS_PEER(version);
    struct ev_loop *loop = evloop_new();
    struct conn_options o = tls_options();
    CHECK_INT(netconn_tls_set_verify_callback(o.tls, free_loop_in_verify, &loop), 0);
    CHECK_PTR_NOT_NULL(conn_new_with(loop, "127.0.0.1", peer_port(peer), &o, NULL, NULL, NULL));
    evloop_run(loop);
    CHECK_PTR_NULL(loop);
}

static const char *close_in_alpn(const char *const *offered, size_t n, void *arg) {
    struct closing *closing = arg;
    CHECK_INT(n, 2);
    CHECK_STR(offered[0], "h2");
    CHECK_STR(offered[1], "http/1.1");
    closing->calls++;
    struct net_conn *c = closing->client->c;
    closing->client->c = NULL;
    conn_close(c);
    return offered[0];
}

BOTH_VERSIONS(alpn_closes_its_connection) {
    static const char *const offer[] = {"h2", "http/1.1"};
    struct closing closing = {NULL, 0};
    struct ev_loop *loop = test_loop();
    int fds[2];
    tcp_pair(fds);
    struct conn_options server = options(), o = tls_options();
    SocketTLSContext_T ctx = netconn_tls_server(cert(CERT_GOOD), cert(CERT_GOOD_KEY), NULL);
    CHECK_PTR_NOT_NULL(ctx);
    CHECK_INT(netconn_tls_set_versions(ctx, version, version), 0);
    CHECK_INT(netconn_tls_set_alpn_callback(ctx, close_in_alpn, &closing), 0);
    CHECK_INT(netconn_tls_set_alpn(o.tls, offer, 2), 0);
    server.use_tls = server.server_side = true;
    server.tls = ctx;
    closing.client = client_adopt(loop, fds[0], &server);
    o.server_name = "localhost";
    struct client *client = client_adopt(loop, fds[1], &o);
    /* What OpenSSL had answered by then may be on its way: for a client of TLS 1.3 that is enough to be ready. */
    RUN_UNTIL(loop, client->errors || client->ready);
    CHECK_INT(closing.calls, 1);
    CHECK_INT(closing.client->ready + closing.client->errors, 0);
    netconn_tls_free(&ctx);
}

TEST_MAIN

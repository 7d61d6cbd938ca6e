/* Many connections at once on one loop. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

/* Both ends of each are in this process. */
static void need_fds(int n) {
    struct rlimit limit;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur >= (rlim_t)n) return;
    limit.rlim_cur = (rlim_t)n;
    if (limit.rlim_max < (rlim_t)n) limit.rlim_max = (rlim_t)n;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) SKIP("needs %d open files (ulimit -n)", n);
}

struct crowd {
    int ready, done;
    struct one *ones;
};
struct one {
    struct crowd *crowd;
    struct net_conn *c;
    char text[32];
    size_t got;
};

static void one_failed(struct net_conn *c, void *arg) {
    (void)arg;
    FAIL("one of many failed: %s", conn_get_error_msg(c));
}

static void one_readable(struct net_conn *c, void *arg) {
    struct one *one = arg;
    char buf[64];
    ssize_t n = conn_try_read(c, buf, sizeof buf);
    if (n < 0) {
        CHECK_INT(errno, EAGAIN);
        return;
    }
    CHECK_CMP(n, >, 0);
    CHECK(one->got + (size_t)n <= strlen(one->text));
    CHECK_MEM(buf, one->text + one->got, (size_t)n);
    one->got += (size_t)n;
    if (one->got < strlen(one->text)) return;
    one->crowd->done++;
    conn_close(c);
    one->c = NULL;
}

static void one_ready(struct net_conn *c, void *arg) {
    struct one *one = arg;
    one->crowd->ready++;
    CHECK_INT(conn_try_write(c, one->text, strlen(one->text)), strlen(one->text));
    conn_set_readable_callback(c, one_readable, one);
}

ALL_TRANSPORTS(a_thousand_at_once) {
    TEST_LIMIT(120);
    int n = small(1000, 50);
    need_fds(2 * n + 100);
    struct peer *peer = peer_of(version, NULL, NULL);
    struct conn_options o = options_of(version);
    o.connect_timeout = o.tls_timeout = slow(60); /* a handshake of each on one processor takes its time */
    struct ev_loop *loop = test_loop();
    struct crowd crowd = {0};
    crowd.ones = alloc((size_t)n * sizeof *crowd.ones);
    run_rounds(loop);
    int fds = fd_count();
    for (int i = 0; i < n; i++) {
        struct one *one = &crowd.ones[i];
        one->crowd = &crowd;
        snprintf(one->text, sizeof one->text, "this is number %d", i);
        one->c = conn_new_with(loop, i % 2 ? "127.0.0.1" : "localhost", peer_port(peer), &o, one_ready, one_failed, one);
        CHECK_PTR_NOT_NULL(one->c);
    }
    evloop_run(loop); /* until the last is closed */
    CHECK_INT(crowd.ready, n);
    CHECK_INT(crowd.done, n);
    CHECK_INT(peer_accepted(peer), n);
    peer_join(peer);
    CHECK_CMP(fd_count(), <=, fds + 4); /* resolver threads may be at their files */
}

/* ---- And none of them is kept waiting by the others -------------------------------------------------------------------- */

static void flood(struct peer_conn *pc) {
    char buf[16384] = {0};
    while (peer_write(pc, buf, sizeof buf)) {}
}

static void swallow(struct net_conn *c, void *arg) {
    char buf[1000];
    ssize_t n = conn_try_read(c, buf, sizeof buf);
    if (n > 0) *(uint64_t *)arg += (uint64_t)n;
}

ALL_TRANSPORTS(a_flood_on_one_does_not_starve_another) {
    struct ev_loop *loop = test_loop();
    struct client *flooded = ready_client(loop, version, peer_of(version, flood, NULL));
    struct client *quiet = ready_client(loop, version, peer_of(version, NULL, NULL));
    uint64_t swallowed = 0;
    conn_set_readable_callback(flooded->c, swallow, &swallowed);
    for (int i = 0; i < 20; i++) client_echo(quiet, "ping");
    RUN_UNTIL(loop, swallowed > 10000);
    conn_abort(flooded->c);
    flooded->c = NULL;
}

/* ---- Timers and descriptors do not pile up ------------------------------------------------------------------------------- */

ALL_TRANSPORTS(one_after_another_leaves_nothing) {
    TEST_LIMIT(120);
    struct peer *peer = peer_of(version, NULL, NULL);
    struct ev_loop *loop = test_loop();
    struct conn_options o = options_of(version);
    int fds = 0;
    for (int i = 0; i < small(300, 20); i++) {
        struct client *client = client_open(loop, "127.0.0.1", peer_port(peer), &o);
        client_wait_ready(client);
        if (i % 3 == 0) client_echo(client, "hello");
        if (i % 3 == 1) CHECK_INT(conn_shutdown(client->c), 0);
        client_close(client);
        evloop_run(loop);
        if (i == 0) fds = fd_count();
    }
    peer_join(peer);
    CHECK_CMP(fd_count(), <=, fds);
}

TEST_MAIN

/* What a pool takes back, and what it does not. */
#include "pooled.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- Nothing unread, nothing unsent, both directions open ---------------------------------------------------------- */

static void serve_twice(struct peer_conn *pc) {
    char byte;
    no_delay(pc);
    if (!peer_read_exactly(pc, &byte, 1)) return;
    CHECK(peer_write(pc, "answer", 6));
    CHECK(peer_write(pc, "more than that", 14));
    gate_open(pc->arg);
    serve_echo(pc);
}

ALL_TRANSPORTS(unread_bytes_in_the_kernel_are_not_lent) {
    struct gate written = GATE;
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = peer_of(version, serve_twice, &written);
    struct client *client = acquire_ready(pool, loop, peer, version);
    char answer[6];
    client_write(client, "x", 1);
    client_read(client, answer, 6);
    CHECK_MEM(answer, "answer", 6);
    gate_wait(&written);
    give_back(pool, client);
    CHECK_COUNTS(pool, 0, 0);
}

/* The same inside the callback that has read exactly the answer. */
struct reader {
    struct pconn_pool *pool;
    struct gate written;
    bool done;
};

static void read_exactly(struct net_conn *c, void *arg) {
    struct reader *reader = arg;
    char answer[6];
    gate_wait(&reader->written);
    ssize_t n = conn_try_read(c, answer, 6);
    if (n < 0 && errno == EAGAIN) return;
    CHECK_INT(n, 6);
    pconn_release(reader->pool, c, true);
    reader->done = true;
    CHECK_COUNTS(reader->pool, 0, 0);
}

ALL_TRANSPORTS(unread_bytes_are_seen_in_a_callback_too) {
    struct ev_loop *loop = test_loop();
    struct reader reader = {.pool = test_pool(loop), .written = GATE};
    struct client *client = acquire_ready(reader.pool, loop, peer_of(version, serve_twice, &reader.written), version);
    client_write(client, "x", 1);
    conn_set_readable_callback(client->c, read_exactly, &reader);
    client->c = NULL;
    RUN_UNTIL(loop, reader.done);
}

static void serve_one_record(struct peer_conn *pc) {
    char byte;
    if (!peer_read_exactly(pc, &byte, 1)) return;
    CHECK(peer_write(pc, "answer and more", 15));
    serve_echo(pc);
}

BOTH_VERSIONS(unread_bytes_inside_tls_are_not_lent) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct client *client = acquire_ready(pool, loop, peer_of(version, serve_one_record, NULL), version);
    char answer[6];
    client_write(client, "x", 1);
    client_read(client, answer, 6);
    CHECK_INT(conn_pending(client->c), 9);
    give_back(pool, client);
    CHECK_COUNTS(pool, 0, 0);
}

ALL_TRANSPORTS(an_unread_end_is_not_lent) {
    struct script *script = new_script(act_close);
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct client *client = acquire_ready(pool, loop, peer_of(version, serve_script, script), version);
    client_echo(client, "x");
    let_it_act(script);
    give_back(pool, client);
    CHECK_COUNTS(pool, 0, 0);
}

ALL_TRANSPORTS(a_read_end_is_not_lent) {
    struct script *script = new_script(act_close);
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct client *client = acquire_ready(pool, loop, peer_of(version, serve_script, script), version);
    client_echo(client, "x");
    gate_open(&script->go);
    char byte;
    CHECK_INT(client_read_some(client, &byte, 1), 0);
    CHECK_INT(conn_get_state(client->c), CONN_READY);
    give_back(pool, client);
    CHECK_COUNTS(pool, 0, 0);
}

ALL_TRANSPORTS(a_shut_write_side_is_not_lent) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct client *client = acquire_ready(pool, loop, peer_of(version, serve_stall, NULL), version);
    CHECK_INT(conn_shutdown(client->c), 0);
    CHECK_INT(conn_get_state(client->c), CONN_READY);
    give_back(pool, client);
    CHECK_COUNTS(pool, 0, 0);
}

static void serve_check_later(struct peer_conn *pc) {
    gate_wait(pc->arg);
    serve_check(pc);
}

/* Bytes that TLS has taken and the kernel has not: the connection is closed, and they are sent all the same. */
BOTH_VERSIONS(unsent_bytes_are_not_lent_and_not_lost) {
    struct gate go = GATE;
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = PEER(.serve = serve_check_later, .arg = &go, .cert = CERT_GOOD, .key = CERT_GOOD_KEY,
                             .min_version = version, .max_version = version, .receive_buffer = 4096);
    struct client *client = acquire_ready(pool, loop, peer, version);
    enum { BLOCK = 65536 };
    static unsigned char block[BLOCK];
    uint64_t taken = 0;
    for (ssize_t n; fill_pattern(block, BLOCK, taken), (n = conn_try_write(client->c, block, BLOCK)) > 0;)
        taken += (uint64_t)n;
    CHECK_INT(errno, EAGAIN);
    give_back(pool, client);
    CHECK_COUNTS(pool, 0, 0);
    gate_open(&go);
    evloop_run(loop);
    peer_join(peer);
    CHECK_INT(peer_bytes(peer), taken);
}

TEST(without_the_programs_word_nothing_is_kept) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct client *client = acquire_ready(pool, loop, PEER(.serve = NULL), 0);
    struct net_conn *c = client->c;
    client->c = NULL;
    pconn_release(pool, c, false);
    CHECK_COUNTS(pool, 0, 0);
}

TEST(what_is_not_ready_is_closed) {
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = PEER(.serve = NULL);
    struct client *connecting = acquire(pool, loop, peer, 0);
    give_back(pool, connecting);
    struct client *resolving = acquire_from(pool, loop, "http", "localhost", peer_port(peer), false);
    give_back(pool, resolving);
    struct client *failed = acquire_from(pool, loop, "http", "127.0.0.1", refused_port(), false);
    client_wait_error(failed);
    give_back(pool, failed);
    CHECK_COUNTS(pool, 0, 0);
    run_rounds(loop);
    CHECK_INT(connecting->ready + connecting->errors + resolving->ready + resolving->errors, 0);
}

/* ---- In callbacks -------------------------------------------------------------------------------------------------- */

struct giver {
    struct pconn_pool *pool;
    int calls;
};

static void give_it(struct net_conn *c, void *arg) {
    struct giver *giver = arg;
    giver->calls++;
    pconn_release(giver->pool, c, true);
}

ALL_TRANSPORTS(released_in_on_ready) {
    struct ev_loop *loop = test_loop();
    struct giver giver = {.pool = test_pool(loop)};
    struct peer *peer = peer_of(version, NULL, NULL);
    for (int i = 1; i <= 3; i++) { /* new, then reused */
        CHECK_PTR_NOT_NULL(
            pconn_acquire(giver.pool, "x", "127.0.0.1", peer_port(peer), version != 0, give_it, fail_on_error, &giver));
        CHECK_COUNTS(giver.pool, 0, 1);
        RUN_UNTIL(loop, giver.calls == i);
        CHECK_COUNTS(giver.pool, 1, 1);
        run_rounds(loop);
        CHECK_INT(giver.calls, i);
    }
}

ALL_TRANSPORTS(released_in_readable_and_writable) {
    struct ev_loop *loop = test_loop();
    struct giver giver = {.pool = test_pool(loop)};
    struct peer *peer = peer_of(version, NULL, NULL);
    struct client *client = acquire_ready(giver.pool, loop, peer, version);
    conn_set_writable_callback(client->c, give_it, &giver);
    client->c = NULL;
    RUN_UNTIL(loop, giver.calls == 1);
    CHECK_COUNTS(giver.pool, 1, 1);
    run_rounds(loop);
    CHECK_INT(giver.calls, 1);
    client = acquire_ready(giver.pool, loop, peer, version);
    client_echo(client, "after this no ticket is on its way");
    client_write(client, "x", 1);
    conn_set_readable_callback(client->c, give_it, &giver); /* its answer is unread */
    client->c = NULL;
    RUN_UNTIL(loop, giver.calls == 2);
    CHECK_COUNTS(giver.pool, 0, 0);
}

TEST(released_in_on_error) {
    struct ev_loop *loop = test_loop();
    struct giver giver = {.pool = test_pool(loop)};
    CHECK_PTR_NOT_NULL(pconn_acquire(giver.pool, "x", "127.0.0.1", refused_port(), false, NULL, give_it, &giver));
    RUN_UNTIL(loop, giver.calls == 1);
    CHECK_COUNTS(giver.pool, 0, 0);
}

/* ---- Mistakes ------------------------------------------------------------------------------------------------------ */

ALL_TRANSPORTS(given_back_twice) {
    struct heard *heard = listen_to_the_log();
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop), *other = pconn_pool_new(loop);
    struct peer *peer = peer_of(version, NULL, NULL);
    struct client *client = acquire_ready(pool, loop, peer, version);
    client_echo(client, "x");
    struct net_conn *c = client->c;
    give_back(pool, client);
    errno = 0;
    pconn_release(pool, c, true);
    pconn_release(pool, c, false);
    pconn_release(other, c, true);
    CHECK_INT(errno, 0);
    CHECK_INT(heard->errors, 3);
    CHECK_CONTAINS(heard->last, "given to the pool before");
    CHECK_COUNTS(pool, 1, 1);
    CHECK_COUNTS(other, 0, 0);
    client = acquire_ready(pool, loop, peer, version);
    CHECK_PTR(client->c, c);
    client_echo(client, "as if nothing had been");
    CHECK_INT(peer_accepted(peer), 1);
}

/* The pool closed it the first time; its address is known again. */
TEST(given_back_twice_after_it_was_closed) {
    struct heard *heard = listen_to_the_log();
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = PEER(.serve = NULL);
    struct client *client = acquire_ready(pool, loop, peer, 0);
    struct net_conn *c = client->c;
    client->c = NULL;
    pconn_release(pool, c, false);
    CHECK_INT(heard->errors, 0);
    pconn_release(pool, c, true);
    CHECK_INT(heard->errors, 1);
    CHECK_CONTAINS(heard->last, "given to the pool before");
    CHECK_COUNTS(pool, 0, 0);
    /* No new connection has this address meanwhile. */
    CHECK(acquire(pool, loop, peer, 0)->c != c);
}

TEST(a_connection_of_another_loop_stays_the_callers) {
    struct heard *heard = listen_to_the_log();
    struct ev_loop *loop = test_loop(), *elsewhere = test_loop();
    struct pconn_pool *pool = test_pool(loop), *own = test_pool(elsewhere);
    struct peer *peer = PEER(.serve = NULL);
    struct client *client = acquire_ready(own, elsewhere, peer, 0);
    pconn_release(pool, client->c, true);
    CHECK_INT(heard->errors, 1);
    CHECK_CONTAINS(heard->last, "another loop");
    CHECK_COUNTS(pool, 0, 0);
    CHECK_COUNTS(own, 0, 1);
    client_echo(client, "as if nothing had been");
    give_back(own, client);
    CHECK_COUNTS(own, 1, 1);
}

TEST(null_is_refused_or_ignored) {
    struct heard *heard = listen_to_the_log();
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct peer *peer = PEER(.serve = NULL);
    struct client *client = acquire_ready(pool, loop, peer, 0);
    CHECK_NULL_ERRNO(pconn_acquire(NULL, "http", "localhost", "80", false, NULL, NULL, NULL), EINVAL);
    CHECK_CONTAINS(heard->last, "the pool is NULL");
    CHECK_NULL_ERRNO(pconn_acquire(pool, NULL, "localhost", "80", false, NULL, NULL, NULL), EINVAL);
    CHECK_CONTAINS(heard->last, "the scheme is NULL");
    CHECK_NULL_ERRNO(pconn_acquire(pool, "", "localhost", "80", false, NULL, NULL, NULL), EINVAL);
    CHECK_CONTAINS(heard->last, "the scheme is empty");
    CHECK_NULL_ERRNO(pconn_acquire(pool, "http", NULL, "80", false, NULL, NULL, NULL), EINVAL);
    CHECK_CONTAINS(heard->last, "the host is NULL");
    CHECK_NULL_ERRNO(pconn_acquire(pool, "http", "", "80", false, NULL, NULL, NULL), EINVAL);
    CHECK_CONTAINS(heard->last, "the host is empty");
    errno = 0;
    pconn_release(NULL, client->c, true);
    pconn_release(pool, NULL, true);
    pconn_release(NULL, NULL, true);
    pconn_flush_for_host(NULL, "localhost");
    pconn_flush_for_host(pool, NULL);
    pconn_shutdown_all(NULL);
    pconn_pool_set_limits(NULL, 0, 0, 0);
    pconn_pool_free(NULL);
    CHECK_INT(pconn_get_idle_count(NULL), 0);
    CHECK_INT(pconn_get_total_count(NULL), 0);
    CHECK_INT(errno, 0);
    CHECK_COUNTS(pool, 0, 1);
    client_echo(client, "still there");
    client_close(client);
    CHECK_COUNTS(pool, 0, 0);
    /* NULL callbacks, and a NULL loop. */
    CHECK_PTR_NOT_NULL(pconn_acquire(pool, "http", "127.0.0.1", peer_port(peer), false, NULL, NULL, NULL));
    run_rounds(loop);
    CHECK_COUNTS(pool, 0, 1);
    struct pconn_pool *at_default = pconn_pool_new(NULL);
    CHECK_PTR_NOT_NULL(at_default);
    pconn_pool_free(at_default);
}

TEST_MAIN

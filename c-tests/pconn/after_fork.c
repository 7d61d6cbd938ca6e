/* A child of fork() takes the loop of a pool over: what was idle leaves the pool, what was lent ends, and new ones are made. */
#include "pooled.h"

#include <signal.h>
#include <sys/wait.h>

/* A child that has passed its checks. It does not exit: what the threads of its parent had in hand would count as leaked. */
static void leave(void) { raise(SIGKILL); }

static void wait_for(pid_t child) {
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGKILL);
}

static void check_lost(struct client *client, int ready) {
    CHECK_INT(client->errors, 1);
    CHECK_INT(client->ready, ready);
    CHECK_INT(client->kind, CONN_ERR_IO);
    CHECK_INT(client->error, ECANCELED);
    CHECK_INT(client->c->fd, -1);
}

ALL_TRANSPORTS(each_process_goes_on_with_a_pool_of_its_own) {
    struct peer *peer = peer_of(version, NULL, NULL);
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct client *idle = acquire_ready(pool, loop, peer, version), *lent = acquire_ready(pool, loop, peer, version);
    struct client *handed = acquire_ready(pool, loop, peer, version);
    give_back(pool, idle);
    give_back(pool, handed);
    handed = acquire(pool, loop, peer, version);
    CHECK_COUNTS(pool, 1, 3);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_INT(evloop_after_fork(loop), 0);
        RUN_UNTIL(loop, lent->errors && handed->errors);
        check_lost(lent, 1);
        check_lost(handed, 0);
        CHECK_COUNTS(pool, 0, 2);
        pconn_release(pool, lent->c, true); /* is closed */
        conn_close(handed->c);
        CHECK_COUNTS(pool, 0, 0);
        leave();
    }
    wait_for(child);
    client_wait_ready(handed);
    client_echo(handed, "handed out");
    client_echo(lent, "lent");
    int accepted = peer_accepted(peer);
    struct client *again = acquire_ready(pool, loop, peer, version);
    client_echo(again, "idle");
    CHECK_INT(peer_accepted(peer), accepted);
    give_back(pool, handed);
    give_back(pool, lent);
    give_back(pool, again);
    pconn_shutdown_all(pool);
    evloop_run(loop);
    peer_join(peer);
}

/* The peer is another process: a thread of this one could hold a lock of OpenSSL's at the fork. */
ALL_TRANSPORTS(nothing_of_the_parents_is_lent_in_the_child) {
    const char *port = peer_process_of(version), *scheme = version ? "https" : "http";
    struct ev_loop *loop = test_loop();
    struct pconn_pool *pool = test_pool(loop);
    struct client *idle = acquire_from(pool, loop, scheme, "127.0.0.1", port, version != 0);
    client_wait_ready(idle);
    give_back(pool, idle);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_INT(evloop_after_fork(loop), 0);
        struct client *own = acquire_from(pool, loop, scheme, "127.0.0.1", port, version != 0);
        client_wait_ready(own);
        client_echo(own, "the child's own");
        give_back(pool, own);
        own = acquire_from(pool, loop, scheme, "127.0.0.1", port, version != 0);
        client_wait_ready(own);
        client_echo(own, "and again");
        CHECK_COUNTS(pool, 0, 1);
        leave();
    }
    wait_for(child);
    CHECK_COUNTS(pool, 1, 1);
    struct client *again = acquire_from(pool, loop, scheme, "127.0.0.1", port, version != 0);
    client_wait_ready(again);
    client_echo(again, "the parent's");
    client_close(again);
}

TEST_MAIN

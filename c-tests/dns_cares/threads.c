/* threads.c - lookups that are slow, the threads they run on, and loops on several threads. */
#include "lookup.h"
#include "name_server.h"

#define BOTH "[::1]:80 127.0.0.1:80"

TEST(a_slow_name_does_not_hold_up_others) {
    struct name_server *ns = name_server_start();
    struct ev_loop *loop = new_loop();
    struct lookup *slow[3] = {lookup_start(loop, "held1.test", "80"), lookup_start(loop, "held2.test", "80"),
                              lookup_start(loop, "silent.test", "80")};
    name_server_wait(ns, "held", 4);
    name_server_wait(ns, "silent", 2);
    for (int i = 0; i < 20; i++) {
        char host[32];
        snprintf(host, sizeof host, "fast%d.test", i);
        CHECK_LOOKUP(loop, host, "80", BOTH);
    }
    CHECK_INT(slow[0]->answers + slow[1]->answers, 0);
    name_server_release(ns);
    CHECK_STR(lookup_wait(slow[0])->text, BOTH);
    CHECK_STR(lookup_wait(slow[1])->text, BOTH);
    CHECK_INT(slow[2]->answers, 0);
}

TEST(literals_and_kept_answers_need_no_thread) {
    struct name_server *ns = name_server_start();
    struct ev_loop *loop = new_loop();
    CHECK_LOOKUP(loop, "a.test", "80", BOTH);
    for (int i = 0; i < 8; i++) {
        char host[32];
        snprintf(host, sizeof host, "silent%d.test", i);
        lookup_start(loop, host, "80");
    }
    name_server_wait(ns, "silent", 8); /* all threads are stuck */
    CHECK_LOOKUP(loop, "127.0.0.1", "80", "127.0.0.1:80");
    CHECK_LOOKUP(loop, "a.test", "80", BOTH);
    CHECK_LOOKUP(loop, "a..b", "80", "EAI_NONAME");
}

/* Many names at once: how many threads the process then has more. */
static int threads_for_many(struct name_server *ns, struct ev_loop *loop, int stuck) {
    int before = thread_count();
    for (int i = 0; i < 20; i++) {
        char host[32];
        snprintf(host, sizeof host, "held%d.test", i);
        lookup_start(loop, host, "80");
    }
    name_server_wait(ns, "held", 2 * stuck);
    return thread_count() - before;
}

TEST(there_are_at_most_four_threads) {
    struct name_server *ns = name_server_start();
    struct ev_loop *loop = new_loop();
    CHECK_INT(threads_for_many(ns, loop, 4), 4);
    CHECK_INT(name_server_count(ns, "held"), 8);
    name_server_release(ns);
    evloop_run(loop); /* until all are answered */
    CHECK_INT(name_server_count(ns, "held"), 40);
}

TEST(the_environment_says_how_many) {
    setenv("NETCONN_DNS_THREADS", "2", 1);
    struct name_server *ns = name_server_start();
    struct ev_loop *loop = new_loop();
    CHECK_INT(threads_for_many(ns, loop, 2), 2);
    name_server_release(ns);
    evloop_run(loop);
    CHECK_INT(name_server_count(ns, "held"), 40);
}

TEST(nonsense_in_the_environment_is_not_taken) {
    setenv("NETCONN_DNS_THREADS", "many", 1);
    struct name_server *ns = name_server_start();
    struct ev_loop *loop = new_loop();
    CHECK_INT(threads_for_many(ns, loop, 4), 4);
}

TEST(destroying_all_ends_the_threads) {
    struct name_server *ns = name_server_start();
    int before = thread_count(), fds = fd_count();
    for (int round = 0; round < 3; round++) {
        struct ev_loop *loop = evloop_new();
        for (int i = 0; i < 4; i++) {
            char host[32];
            snprintf(host, sizeof host, "fast%d.test", i);
            lookup_start(loop, host, "80");
        }
        evloop_run(loop);
        CHECK_CMP(thread_count(), >, before);
        evloop_destroy_all();
        CHECK_INT(thread_count(), before);
        CHECK_NO_NEW_FDS(fds);
        CHECK_INT(name_server_count(ns, "fast"), 8 * (round + 1)); /* nothing was kept */
    }
}

static void *own_loop(void *arg) {
    struct ev_loop *loop = evloop_new();
    CHECK_PTR_NOT_NULL(loop);
    int n = small(100, 20);
    for (int i = 0; i < n; i++) {
        char host[32];
        snprintf(host, sizeof host, "%s%d.test", i % 5 == 4 ? "missing" : "shared", i % 23);
        struct lookup *first = lookup_start(loop, host, "80"), *second = lookup_start(loop, host, "80");
        if (i % 3 == 0) {
            dns_cancel(first->request);
            first = NULL;
        }
        CHECK_INT(lookup_wait(second)->status, i % 5 == 4 ? EAI_NONAME : 0);
        if (first) CHECK_INT(lookup_wait(first)->status, second->status);
        if (i % 10 == 9) dns_set_cache_ttl(i % 20 == 9 ? 0 : 60);
    }
    lookup_start(loop, "held.test", "80");
    evloop_free(loop);
    return arg;
}

TEST(loops_on_several_threads_share_the_resolver) {
    struct name_server *ns = name_server_start();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) CHECK_INT(pthread_create(&threads[i], NULL, own_loop, ns), 0);
    for (int i = 0; i < 4; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
}

TEST_MAIN

/* cancel.c - lookups that end before, in and after their callback, and with their loop. */
#include "lookup.h"
#include "name_server.h"

TEST(cancelled_before_the_answer) {
    struct name_server *ns = name_server_start();
    struct ev_loop *loop = new_loop();
    struct lookup *literal = lookup_start(loop, "127.0.0.1", "80");
    struct lookup *wrong = lookup_start(loop, "127.0.0.1", "70000");
    struct lookup *name = lookup_start(loop, "held.test", "80");
    struct lookup *untaken = lookup_start(loop, "held-perhaps.test", "80");
    dns_cancel(untaken->request);
    name_server_wait(ns, "held.test", 2);
    dns_cancel(literal->request);
    dns_cancel(wrong->request);
    dns_cancel(name->request);
    evloop_run(loop); /* returns: nothing is active */
    name_server_release(ns);
    /* What is asked later is answered later: the other answers would have come by now. */
    CHECK_LOOKUP(loop, "held.test", "80", "[::1]:80 127.0.0.1:80");
    CHECK_INT(literal->answers + wrong->answers + name->answers + untaken->answers, 0);
}

TEST(cancelled_when_the_answer_is_on_its_way) {
    name_server_start();
    struct ev_loop *loop = new_loop();
    CHECK_LOOKUP(loop, "a.test", "80", "[::1]:80 127.0.0.1:80");
    struct lookup *cached = lookup_start(loop, "a.test", "80");
    dns_cancel(cached->request);
    CHECK_LOOKUP(loop, "a.test", "80", "[::1]:80 127.0.0.1:80");
    CHECK_INT(cached->answers, 0);
}

TEST(cancelled_while_its_thread_is_stuck) {
    struct name_server *ns = name_server_start();
    struct ev_loop *loop = new_loop();
    struct lookup *stuck = lookup_start(loop, "silent.test", "80");
    name_server_wait(ns, "silent.test", 2);
    dns_cancel(stuck->request);
    evloop_run(loop);
    /* Others have threads still. */
    CHECK_LOOKUP(loop, "a.test", "80", "[::1]:80 127.0.0.1:80");
    CHECK_INT(stuck->answers, 0);
}

static void cancel_itself(struct lookup *lookup) { dns_cancel(lookup->request); }

TEST(cancelled_in_its_own_callback) {
    name_server_start();
    struct ev_loop *loop = new_loop();
    static const char *const hosts[] = {"127.0.0.1", "a.test", "a.test" /* cached */, "missing.test"};
    for (int i = 0; i < 4; i++) {
        struct lookup *lookup = lookup_new(loop);
        lookup->then = cancel_itself;
        lookup_begin(lookup, hosts[i], "80", AF_UNSPEC, SOCK_STREAM);
        evloop_run(loop);
        CHECK_INT(lookup->answers, 1);
    }
}

static void cancel_the_other(struct lookup *lookup) {
    struct lookup *other = lookup->arg;
    if (other->answers == 0) dns_cancel(other->request);
}

TEST(cancelled_in_the_callback_of_another_that_is_as_far) {
    name_server_start();
    struct ev_loop *loop = new_loop();
    struct lookup *pair[2] = {lookup_new(loop), lookup_new(loop)};
    for (int i = 0; i < 2; i++) {
        pair[i]->then = cancel_the_other;
        pair[i]->arg = pair[1 - i];
    }
    lookup_begin(pair[0], "a.test", "80", AF_UNSPEC, SOCK_STREAM);
    lookup_begin(pair[1], "a.test", "80", AF_UNSPEC, SOCK_STREAM);
    evloop_run(loop);
    CHECK_INT(pair[0]->answers + pair[1]->answers, 1);
}

static void start_another(struct lookup *lookup) {
    struct lookup *next = lookup->arg;
    lookup_begin(next, "127.0.0.2", "80", AF_UNSPEC, SOCK_STREAM);
    CHECK_INT(next->answers, 0);
}

TEST(a_callback_starts_another_lookup) {
    struct ev_loop *loop = new_loop();
    struct lookup *first = lookup_new(loop), *next = lookup_new(loop);
    first->then = start_another;
    first->arg = next;
    lookup_begin(first, "127.0.0.1", "80", AF_UNSPEC, SOCK_STREAM);
    evloop_run(loop);
    CHECK_STR(next->text, "127.0.0.2:80");
}

TEST(the_loop_ends_with_lookups_pending) {
    struct name_server *ns = name_server_start();
    struct ev_loop *loop = evloop_new();
    struct lookup *pending[] = {lookup_start(loop, "127.0.0.1", "80"), lookup_start(loop, "held.test", "80"),
                                lookup_start(loop, "held.test", "80"), lookup_start(loop, "held.test", "81"),
                                lookup_start(loop, "silent.test", "80")};
    name_server_wait(ns, "held.test", 4);
    evloop_free(loop);
    name_server_release(ns);
    struct ev_loop *other = new_loop();
    CHECK_LOOKUP(other, "held.test", "80", "[::1]:80 127.0.0.1:80");
    CHECK_LOOKUP(other, "held.test", "81", "[::1]:81 127.0.0.1:81");
    for (int i = 0; i < 5; i++) CHECK_INT(pending[i]->answers, 0);
}

static void free_the_loop(struct lookup *lookup) { evloop_free(lookup->loop); }

TEST(the_loop_ends_in_the_callback) {
    struct name_server *ns = name_server_start();
    static const char *const hosts[] = {"127.0.0.1", "a.test", "127.0.0.1%"};
    for (int i = 0; i < 3; i++) {
        struct ev_loop *loop = evloop_new();
        struct lookup *lookup = lookup_new(loop);
        lookup->then = free_the_loop;
        lookup_begin(lookup, hosts[i], "80", AF_UNSPEC, SOCK_STREAM);
        struct lookup *behind = lookup_start(loop, "127.0.0.1", "80");
        struct lookup *stuck = lookup_start(loop, "held.test", "80");
        if (i == 1) dns_cancel(behind->request);
        evloop_run(loop);
        if (i != 1) CHECK_CMP(lookup->answers + behind->answers, <=, 2);
        CHECK_INT(lookup->answers, 1);
        CHECK_INT(stuck->answers, 0);
    }
    name_server_release(ns);
}

TEST(a_thousand_are_cancelled_at_once) {
    struct name_server *ns = name_server_start();
    struct ev_loop *loop = new_loop();
    int n = small(1000, 100);
    struct lookup **all = alloc((size_t)n * sizeof *all);
    for (int i = 0; i < n; i++) {
        char host[32];
        snprintf(host, sizeof host, "held%d.test", i);
        all[i] = lookup_start(loop, host, "80");
    }
    for (int i = 0; i < n; i++) dns_cancel(all[i]->request);
    evloop_run(loop);
    name_server_release(ns);
    CHECK_LOOKUP(loop, "a.test", "80", "[::1]:80 127.0.0.1:80");
    for (int i = 0; i < n; i++) CHECK_INT(all[i]->answers, 0);
    /* Only those that a thread had taken were asked about. */
    CHECK_CMP(name_server_count(ns, "held"), <=, 8);
}

TEST_MAIN

/* cache.c - lookups that are shared, and answers that are kept. A lookup makes two queries, A and AAAA. */
#include "lookup.h"
#include "name_server.h"

#include <math.h>

#define BOTH "[::1]:80 127.0.0.1:80"

TEST(equal_lookups_in_flight_are_one) {
    struct name_server *ns = name_server_start();
    struct ev_loop *loop = new_loop(), *other = new_loop();
    struct lookup *lookups[10];
    for (int i = 0; i < 10; i++)
        lookups[i] = lookup_start(i % 3 == 2 ? other : loop, i % 2 ? "held.test" : "HELD.Test", i % 4 ? "80" : "0080");
    name_server_wait(ns, "held.test", 2);
    dns_cancel(lookups[0]->request);
    dns_cancel(lookups[9]->request);
    name_server_release(ns);
    for (int i = 1; i < 9; i++) CHECK_STR(lookup_wait(lookups[i])->text, BOTH);
    CHECK_INT(lookups[0]->answers + lookups[9]->answers, 0);
    CHECK_INT(name_server_count(ns, "held.test"), 2);
}

TEST(another_question_about_the_name_is_another_lookup) {
    struct name_server *ns = name_server_start();
    struct ev_loop *loop = new_loop();
    CHECK_LOOKUP(loop, "a.test", "80", BOTH);
    CHECK_LOOKUP(loop, "a.test", "81", "[::1]:81 127.0.0.1:81");
    CHECK_STR(looked_up(loop, "a.test", "80", AF_INET), "127.0.0.1:80");
    CHECK_STR(looked_up(loop, "a.test", "80", AF_INET6), "[::1]:80");
    CHECK_INT(name_server_count(ns, "a.test"), 6);
}

TEST(answers_are_kept) {
    struct name_server *ns = name_server_start();
    struct ev_loop *loop = new_loop(), *other = new_loop();
    for (int i = 0; i < 5; i++) CHECK_LOOKUP(i % 2 ? loop : other, "a.test", "80", BOTH);
    CHECK_INT(name_server_count(ns, "a.test"), 2);
    CHECK_LOOKUP(loop, "missing.test", "80", "EAI_NONAME");
    int asked = name_server_count(ns, "missing.test");
    for (int i = 0; i < 5; i++) CHECK_LOOKUP(i % 2 ? loop : other, "missing.test", "80", "EAI_NONAME");
    CHECK_INT(name_server_count(ns, "missing.test"), asked);
    dns_shutdown();
    CHECK_LOOKUP(loop, "a.test", "80", BOTH);
    CHECK_INT(name_server_count(ns, "a.test"), 4);
}

TEST(answers_are_not_kept_when_told_so) {
    struct name_server *ns = name_server_start();
    struct ev_loop *loop = new_loop();
    CHECK_LOOKUP(loop, "a.test", "80", BOTH);
    dns_set_cache_ttl(0);
    CHECK_LOOKUP(loop, "a.test", "80", BOTH);
    CHECK_LOOKUP(loop, "a.test", "80", BOTH);
    CHECK_INT(name_server_count(ns, "a.test"), 6);
    dns_set_cache_ttl(NAN); /* changes nothing */
    dns_set_cache_ttl(-1);
    CHECK_LOOKUP(loop, "a.test", "80", BOTH);
    CHECK_INT(name_server_count(ns, "a.test"), 8);
    dns_set_cache_ttl(INFINITY);
    CHECK_LOOKUP(loop, "a.test", "80", BOTH);
    CHECK_LOOKUP(loop, "a.test", "80", BOTH);
    CHECK_INT(name_server_count(ns, "a.test"), 10);
}

static void scribble(int status, const struct addrinfo *ai, void *arg) {
    CHECK_INT(status, 0);
    for (; ai; ai = ai->ai_next) memset(ai->ai_addr, 0xff, ai->ai_addrlen);
    ++*(int *)arg;
}

TEST(what_a_callback_writes_stays_its_own) {
    name_server_start();
    struct ev_loop *loop = new_loop();
    CHECK_LOOKUP(loop, "a.test", "80", BOTH);
    int scribbled = 0;
    dns_resolve_async(loop, "a.test", "80", AF_UNSPEC, SOCK_STREAM, 0, scribble, &scribbled);
    CHECK_LOOKUP(loop, "a.test", "80", BOTH);
    CHECK_INT(scribbled, 1);
    CHECK_LOOKUP(loop, "a.test", "80", BOTH);
}

TEST_MAIN

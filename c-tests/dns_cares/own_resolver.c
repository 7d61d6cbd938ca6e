/* own_resolver.c - names are looked up by a function of the program's own, whose lists are not to be trusted. */
#include "lookup.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "netconn.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

/* ---- A resolver: what it does is in the name ("two.list.test" calls list_two) ------------------------------------------ */

/* What was asked, and which lists are out. Under the lock: it is called by several threads. */
static struct {
    pthread_mutex_t lock;
    int calls, lists, released, wrong_thread;
    char host[256], service[64];
    struct addrinfo hints;
} asked = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Lists that this thread has given and not got back. */
static __thread int mine;

static int calls(void) {
    pthread_mutex_lock(&asked.lock);
    int n = asked.calls;
    pthread_mutex_unlock(&asked.lock);
    return n;
}

struct entry {
    struct addrinfo ai;
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } addr;
};

/* Entries in one block: the first's address is the list's. */
static struct entry *entries(int n) {
    struct entry *all = calloc((size_t)n, sizeof *all);
    for (int i = 0; i < n; i++) {
        all[i].ai.ai_addr = &all[i].addr.any;
        if (i + 1 < n) all[i].ai.ai_next = &all[i + 1].ai;
    }
    return all;
}

static void set_ip(struct entry *entry, const char *ip, int port) {
    if (strchr(ip, ':')) {
        entry->ai.ai_family = entry->addr.in6.sin6_family = AF_INET6;
        entry->ai.ai_addrlen = sizeof entry->addr.in6;
        entry->addr.in6.sin6_port = htons((uint16_t)port);
        inet_pton(AF_INET6, ip, &entry->addr.in6.sin6_addr);
    } else {
        entry->ai.ai_family = entry->addr.in.sin_family = AF_INET;
        entry->ai.ai_addrlen = sizeof entry->addr.in;
        entry->addr.in.sin_port = htons((uint16_t)port);
        inet_pton(AF_INET, ip, &entry->addr.in.sin_addr);
    }
}

static void release(struct addrinfo *list) {
    pthread_mutex_lock(&asked.lock);
    asked.released++;
    if (mine-- <= 0) asked.wrong_thread++;
    pthread_mutex_unlock(&asked.lock);
    free(list);
}

static struct gate hold = GATE, held = GATE;

static int resolve(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out, void *arg) {
    pthread_mutex_lock(&asked.lock);
    asked.calls++;
    snprintf(asked.host, sizeof asked.host, "%s", host ? host : "(null)");
    snprintf(asked.service, sizeof asked.service, "%s", service ? service : "(null)");
    asked.hints = *hints;
    pthread_mutex_unlock(&asked.lock);
    CHECK_PTR_NULL(*out);
    struct entry *list = NULL;
    int port = service ? atoi(service) : 0;
    if (strcmp(host, "held.test") == 0) {
        gate_open(&held);
        gate_wait(&hold);
    }
    if (strcmp(host, "null.test") == 0) return 0;
    if (strcmp(host, "again.test") == 0) return EAI_AGAIN;
    if (strcmp(host, "none.test") == 0) return EAI_NONAME;
    if (strcmp(host, "strange.test") == 0) return 12345;
    if (strcmp(host, "system.test") == 0) {
        errno = ENETDOWN;
        return EAI_SYSTEM;
    }
    if (strcmp(host, "failed-with-a-list.test") == 0) {
        static char nonsense[8];
        *out = (struct addrinfo *)nonsense; /* counts with 0 alone */
        return EAI_FAIL;
    }
    pthread_mutex_lock(&asked.lock);
    asked.lists++;
    mine++;
    pthread_mutex_unlock(&asked.lock);
    if (strcmp(host, "odd.test") == 0) {
        list = entries(7);
        set_ip(&list[0], "127.0.0.9", port);
        list[0].ai.ai_family = AF_UNIX;
        set_ip(&list[1], "127.0.0.8", port);
        list[1].ai.ai_addrlen = sizeof(struct sockaddr_in) - 1;
        set_ip(&list[2], "::8", port);
        list[2].ai.ai_addrlen = sizeof(struct sockaddr_in);
        set_ip(&list[3], "127.0.0.7", port);
        list[3].ai.ai_addr = NULL;
        set_ip(&list[4], "127.0.0.6", port);
        list[4].ai.ai_addrlen = 0;
        set_ip(&list[5], "127.0.0.5", port);
        list[5].ai.ai_addrlen = 4096; /* more than is there: so many are not read */
        list[5].ai.ai_canonname = (char *)"a name";
        list[5].ai.ai_flags = -1;
        set_ip(&list[6], "::6", port);
    } else if (strcmp(host, "only-odd.test") == 0) {
        list = entries(1);
        list[0].ai.ai_family = 4711;
    } else if (strcmp(host, "circle.test") == 0) {
        list = entries(2);
        set_ip(&list[0], "127.0.0.1", port);
        set_ip(&list[1], "127.0.0.2", port);
        list[1].ai.ai_next = &list[0].ai;
    } else if (strcmp(host, "huge.test") == 0) {
        int n = 100000;
        list = entries(n);
        for (int i = 0; i < n; i++) set_ip(&list[i], "127.0.0.1", port), list[i].addr.in.sin_addr.s_addr = htonl(0x7f000001u + (uint32_t)i);
    } else if (strcmp(host, "portless.test") == 0) {
        list = entries(2);
        set_ip(&list[0], "127.0.0.1", 0);
        set_ip(&list[1], "127.0.0.2", 99);
    } else if (strcmp(host, "both.test") == 0) {
        list = entries(2);
        set_ip(&list[0], "127.0.0.1", port);
        set_ip(&list[1], "::1", port);
    } else {
        list = entries(1);
        set_ip(&list[0], arg ? arg : "127.0.0.1", port);
    }
    *out = &list->ai;
    return 0;
}

#define CHECK_RELEASED(n)                                                                                              \
    do {                                                                                                               \
        CHECK_INT(asked.lists, (n));                                                                                   \
        CHECK_INT(asked.released, (n));                                                                                \
        CHECK_INT(asked.wrong_thread, 0);                                                                              \
    } while (0)

/* ---- What it is asked, and what becomes of it ----------------------------------------------------------------------------- */

TEST(it_is_asked_in_place_of_the_systems) {
    dns_set_resolver(resolve, release, NULL);
    struct ev_loop *loop = new_loop();
    CHECK_LOOKUP(loop, "Some.Name.Test", "443", "127.0.0.1:443");
    CHECK_STR(asked.host, "some.name.test");
    CHECK_STR(asked.service, "443");
    CHECK_INT(asked.hints.ai_family, AF_UNSPEC);
    CHECK_INT(asked.hints.ai_socktype, SOCK_STREAM);
    CHECK_INT(asked.hints.ai_flags, AI_NUMERICSERV);
    CHECK_PTR_NULL(asked.hints.ai_addr);
    CHECK_PTR_NULL(asked.hints.ai_next);
    CHECK_LOOKUP(loop, "b\xc3\xbc" "cher.test", "80", "127.0.0.1:80");
    CHECK_STR(asked.host, "xn--bcher-kva.test");
    CHECK_LOOKUP(loop, "portless.test", NULL, "127.0.0.1:0 127.0.0.2:99");
    CHECK_STR(asked.service, "(null)");
    CHECK_INT(asked.hints.ai_flags, 0);
    CHECK_LOOKUP(loop, "by-service.test", "no-such-service", "127.0.0.1:0");
    CHECK_STR(asked.service, "no-such-service");
    CHECK_RELEASED(4);
    int before = calls();
    /* No names: they need no resolver. */
    CHECK_LOOKUP(loop, "192.0.2.1", "80", "192.0.2.1:80");
    CHECK_CONTAINS(looked_up(loop, NULL, "80", AF_INET), "127.0.0.1:80");
    CHECK_LOOKUP(loop, "some.name.test", "70000", "EAI_SERVICE");
    CHECK_INT(calls(), before);
    /* Answers are kept as the system's are. */
    CHECK_LOOKUP(loop, "some.name.test", "443", "127.0.0.1:443");
    CHECK_INT(calls(), before);
}

TEST(failures_pass_through) {
    dns_set_resolver(resolve, release, NULL);
    struct ev_loop *loop = new_loop();
    CHECK_LOOKUP(loop, "again.test", "80", "EAI_AGAIN");
    CHECK_LOOKUP(loop, "none.test", "80", "EAI_NONAME");
    CHECK_LOOKUP(loop, "null.test", "80", "EAI_NODATA");
    CHECK_LOOKUP(loop, "failed-with-a-list.test", "80", "EAI_FAIL");
    struct lookup *system = lookup_wait(lookup_start(loop, "system.test", "80"));
    CHECK_INT(system->status, EAI_SYSTEM);
    CHECK_INT(system->error, ENETDOWN);
    CHECK_INT(lookup_wait(lookup_start(loop, "strange.test", "80"))->status, 12345);
    CHECK_PTR_NOT_NULL(dns_strerror(12345));
    CHECK_RELEASED(0);
    /* A connection says the same. */
    struct conn_options o = options();
    struct client *client = client_open(test_loop(), "again.test", "80", &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_RESOLVE, EAI_AGAIN);
    client = client_open(client->loop, "system.test", "80", &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_RESOLVE, EAI_SYSTEM);
    CHECK_CONTAINS(client->message, strerror(ENETDOWN));
    client = client_open(client->loop, "null.test", "80", &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_RESOLVE, EAI_NODATA);
}

TEST(odd_lists) {
    dns_set_resolver(resolve, release, NULL);
    struct ev_loop *loop = new_loop();
    CHECK_LOOKUP(loop, "odd.test", "80", "127.0.0.5:80 [::6]:80");
    CHECK_LOOKUP(loop, "only-odd.test", "80", "EAI_NODATA");
    CHECK_LOOKUP(loop, "portless.test", "80", "127.0.0.1:80 127.0.0.2:99");
    CHECK_INT(lookup_wait(lookup_start(loop, "huge.test", "80"))->count, 256);
    struct lookup *circle = lookup_wait(lookup_start(loop, "circle.test", "80"));
    CHECK_INT(circle->status, 0);
    CHECK_CMP(circle->count, <=, 256);
    CHECK_STR(looked_up(loop, "both.test", "80", AF_INET), "127.0.0.1:80");
    CHECK_STR(looked_up(loop, "both.test", "80", AF_INET6), "[::1]:80");
    CHECK_STR(looked_up(loop, "some.test", "80", AF_INET6), "EAI_NODATA");
    CHECK_RELEASED(8);
}

static struct addrinfo *kept; /* of a resolver whose lists live on */
static int resolve_kept(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out, void *arg) {
    (void)host, (void)service, (void)hints, (void)arg;
    *out = kept;
    return 0;
}

TEST(without_a_release_the_list_is_the_programs) {
    struct entry *list = entries(1);
    set_ip(list, "127.0.0.77", 7);
    kept = &list->ai;
    dns_set_resolver(resolve_kept, NULL, NULL);
    struct ev_loop *loop = new_loop();
    for (int i = 0; i < 3; i++) {
        dns_set_cache_ttl(0);
        CHECK_LOOKUP(loop, "kept.test", "80", "127.0.0.77:7");
    }
    free(list);
}

static int resolve_with_signals(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out, void *arg) {
    sigset_t now;
    CHECK_INT(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
    for (int number = 1; number < 32; number++)
        if (number != SIGKILL && number != SIGSTOP) CHECK_INT(sigismember(&now, number), 1);
    return resolve(host, service, hints, out, arg);
}

TEST(its_threads_take_no_signals) {
    dns_set_resolver(resolve_with_signals, release, NULL);
    CHECK_LOOKUP(new_loop(), "some.test", "80", "127.0.0.1:80");
}

/* ---- Connections ---------------------------------------------------------------------------------------------------------- */

TEST(a_connection_reaches_its_server_by_it) {
    struct peer *peer = PEER(.address = "127.0.0.42");
    dns_set_resolver(resolve, release, (void *)"127.0.0.42");
    struct conn_options o = options();
    struct client *client = client_open(test_loop(), "no.such.host.invalid", peer_port(peer), &o);
    CHECK_INT(conn_get_state(client->c), CONN_RESOLVING);
    client_wait_ready(client);
    client_echo(client, "by way of our own");
    struct sockaddr_in addr;
    socklen_t len = sizeof addr;
    CHECK_INT(conn_peer_addr(client->c, (struct sockaddr *)&addr, &len), 0);
    CHECK_INT(ntohl(addr.sin_addr.s_addr), 0x7f00002a);
    client_close(client);
    peer_join(peer);
}

/* ---- Changes ----------------------------------------------------------------------------------------------------------------- */

TEST(answers_of_two_resolvers_are_not_mixed) {
    struct ev_loop *loop = new_loop();
    dns_set_resolver(resolve, release, (void *)"127.0.0.1");
    CHECK_LOOKUP(loop, "a.test", "80", "127.0.0.1:80");
    CHECK_LOOKUP(loop, "none.test", "80", "EAI_NONAME");
    dns_set_resolver(resolve, release, (void *)"127.0.0.2");
    CHECK_LOOKUP(loop, "a.test", "80", "127.0.0.2:80");
    int before = calls();
    CHECK_LOOKUP(loop, "none.test", "80", "EAI_NONAME");
    CHECK_INT(calls(), before + 1);
    dns_set_resolver(NULL, NULL, NULL);
    const char *local = looked_up(loop, "localhost", "80", AF_INET);
    CHECK_STR(local, "127.0.0.1:80");
    CHECK_INT(calls(), before + 1);
    dns_set_resolver(NULL, release, (void *)"x"); /* again */
    dns_set_resolver(resolve, release, (void *)"127.0.0.3");
    CHECK_STR(looked_up(loop, "localhost", "80", AF_INET), "127.0.0.3:80");
}

TEST(lookups_under_way_when_it_changes) {
    setenv("NETCONN_DNS_THREADS", "1", 1);
    struct ev_loop *loop = new_loop();
    dns_set_resolver(resolve, release, (void *)"127.0.0.1");
    struct lookup *begun = lookup_start(loop, "held.test", "80"), *shared = lookup_start(loop, "held.test", "80");
    struct lookup *cancelled = lookup_start(loop, "held.test", "80");
    gate_wait(&held);
    struct lookup *waiting = lookup_start(loop, "waiting.test", "80");
    dns_set_resolver(resolve, release, (void *)"127.0.0.2");
    struct lookup *later = lookup_start(loop, "held.test", "80"); /* does not join those before */
    dns_cancel(cancelled->request);
    gate_open(&hold);
    CHECK_STR(lookup_wait(begun)->text, "127.0.0.1:80");
    CHECK_STR(lookup_wait(shared)->text, "127.0.0.1:80");
    CHECK_STR(lookup_wait(waiting)->text, "127.0.0.2:80");
    CHECK_STR(lookup_wait(later)->text, "127.0.0.2:80");
    CHECK_INT(cancelled->answers, 0);
    /* The outdated answer was not kept. */
    CHECK_LOOKUP(loop, "held.test", "80", "127.0.0.2:80");
    CHECK_RELEASED(3);
}

static int change_inside(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out, void *arg) {
    dns_set_resolver(resolve, release, (void *)"127.0.0.5");
    return resolve(host, service, hints, out, arg);
}

TEST(it_changes_itself_while_it_is_asked) {
    struct ev_loop *loop = new_loop();
    dns_set_resolver(change_inside, release, (void *)"127.0.0.4");
    CHECK_LOOKUP(loop, "a.test", "80", "127.0.0.4:80");
    CHECK_LOOKUP(loop, "a.test", "80", "127.0.0.5:80");
}

/* ---- The end ------------------------------------------------------------------------------------------------------------------- */

TEST(a_shutdown_keeps_it_and_a_cleanup_takes_it_away) {
    dns_set_resolver(resolve, release, (void *)"127.0.0.6");
    struct ev_loop *loop = evloop_new();
    CHECK_LOOKUP(loop, "localhost", "80", "127.0.0.6:80");
    dns_shutdown();
    CHECK_LOOKUP(loop, "localhost", "80", "127.0.0.6:80");
    struct lookup *stuck = lookup_start(loop, "held.test", "80");
    gate_wait(&held);
    dns_shutdown(); /* does not wait for it */
    gate_open(&hold);
    CHECK_LOOKUP(loop, "localhost", "80", "127.0.0.6:80");
    CHECK_INT(stuck->answers, 0);
    netconn_cleanup();
    loop = new_loop();
    CHECK_STR(looked_up(loop, "localhost", "80", AF_INET), "127.0.0.1:80");
    /* Once for each list, also where nobody waited any more; that thread may still be about it. */
    while (__atomic_load_n(&asked.released, __ATOMIC_SEQ_CST) < asked.lists) sched_yield();
    CHECK_RELEASED(4);
}

TEST(a_child_has_it_too) {
    dns_set_resolver(resolve, release, (void *)"127.0.0.6");
    struct ev_loop *loop = new_loop();
    struct lookup *stuck = lookup_start(loop, "held.test", "80");
    gate_wait(&held);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(20);
        gate_open(&hold);
        struct ev_loop *own = evloop_new();
        CHECK_LOOKUP(own, "a.test", "80", "127.0.0.6:80");
        CHECK_INT(evloop_after_fork(loop), 0);
        CHECK_STR(lookup_wait(stuck)->text, "127.0.0.6:80");
        raise(SIGKILL);
    }
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    gate_open(&hold);
    CHECK_STR(lookup_wait(stuck)->text, "127.0.0.6:80");
}

/* At nearly every fork a thread holds something of the resolver's. */
static void ask_again(struct lookup *lookup) {
    static char host[32];
    int *left = lookup->arg;
    if (--*left <= 0) return;
    struct lookup *next = lookup_new(lookup->loop);
    next->then = ask_again;
    next->arg = left;
    snprintf(host, sizeof host, "n%d.test", *left);
    lookup_begin(next, host, "80", AF_UNSPEC, SOCK_STREAM);
}

TEST(children_of_a_busy_resolver) {
    dns_set_resolver(resolve, release, NULL);
    struct ev_loop *loop = new_loop();
    int left = small(400, 40);
    for (int i = 0; i < 4; i++) {
        struct lookup *lookup = lookup_new(loop);
        lookup->then = ask_again;
        lookup->arg = &left;
        lookup_begin(lookup, "first.test", "80", AF_UNSPEC, SOCK_STREAM);
    }
    for (int i = 0; left > 0; i++) {
        if (i % 10 == 0) {
            pid_t child = fork();
            CHECK(child >= 0);
            if (child == 0) {
                alarm(20); /* a lock that nobody opens */
                left = 0;
                pthread_mutex_init(&asked.lock, NULL);
                struct ev_loop *own = evloop_new();
                CHECK_LOOKUP(own, "a.test", "80", "127.0.0.1:80");
                dns_shutdown();
                raise(SIGKILL);
            }
            int status;
            CHECK_INT(waitpid(child, &status, 0), child);
            CHECK(WIFSIGNALED(status));
            CHECK_INT(WTERMSIG(status), SIGKILL);
        }
        CHECK(evloop_run_once(loop, -1) >= 0);
    }
}

TEST_MAIN

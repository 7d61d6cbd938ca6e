/*
 * What a host does for months, in seconds: loops, contexts, timers and lookups by the ten thousand, posts from many threads
 * while connections come and go. At the end the heap, the descriptors and the threads are those of the beginning.
 */
#include "../harness.h"
#include "../support/client.h"
#include "../support/heap.h"
#include "../support/server.h"
#include "../support/transports.h"
#include "../support/world.h"
#include "dns_cares.h"
#include "netconn.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What a process keeps for good comes with the first turns; then the same to the byte. */
enum { SLACK = 512 };
static void repeat(void (*turn)(int number, void *arg), void *arg, int count, long slack) {
    int first = count / 10, fds = fd_count();
    long heap = 0;
    for (int i = 0; i < count; i++) {
        if (i == first) heap = heap_in_use();
        turn(i, arg);
    }
    /* A resolver's thread may be at its files, and their buffers, a moment longer. */
    for (double until = now() + slow(10); (fd_count() > fds || heap_in_use() > heap + slack) && now() < until;) usleep(200);
    CHECK_NO_NEW_FDS(fds);
    CHECK_HEAP(heap, slack);
}

static void never(void *arg) {
    (void)arg;
    FAIL("a callback of what was freed ran");
}
static void never_io(int fd, int events, void *arg) {
    (void)fd, (void)events;
    never(arg);
}
static void never_conn(struct net_conn *c, void *arg) {
    (void)c;
    never(arg);
}
static void never_found(int status, const struct addrinfo *ai, void *arg) {
    (void)status, (void)ai;
    never(arg);
}

static void count_up(void *arg) { ++*(int *)arg; }

/* ---- Loops ------------------------------------------------------------------------------------------------------------- */

/* A loop with everything on it, freed in the middle of it all. */
static void one_loop(int number, void *arg) {
    struct ev_loop *loop = evloop_new();
    CHECK_PTR_NOT_NULL(loop);
    int ran = 0, fds[2];
    CHECK_INT(pipe(fds), 0);
    CHECK_PTR_NOT_NULL(evloop_io_start(loop, fds[0], EVLOOP_READ, never_io, NULL));
    CHECK_PTR_NOT_NULL(evloop_timer_start(loop, 24 * 3600, 24 * 3600, never, NULL));
    CHECK_INT(evloop_post(loop, count_up, &ran), 0);
    if (number % 2) CHECK_CMP(evloop_run_once(loop, 0), >=, 0);
    /* From here on nothing runs any more. */
    if (number % 4 == 1) CHECK_PTR_NOT_NULL(dns_resolve_start(loop, "localhost", NULL, 0, 0, 0, never_found, NULL));
    if (number % 4 == 2) CHECK_PTR_NOT_NULL(conn_new(loop, "127.0.0.1", arg, false, never_conn, never_conn, NULL));
    if (number % 4 == 3) CHECK(evloop_fd(loop) >= 0);
    CHECK_INT(evloop_post(loop, never, NULL), 0);
    evloop_free(loop);
    CHECK_INT(ran, number % 2);
    close(fds[0]);
    close(fds[1]);
}

TEST(ten_thousand_loops) {
    TEST_LIMIT(120);
    struct server *server = server_start(&(struct server_options){0});
    int threads = thread_count();
    dns_set_cache_ttl(0);
    /* How many threads the resolver has depends on how busy the machine is; less than a byte a loop all the same. */
    repeat(one_loop, (void *)(uintptr_t)server_port(server), load(10000, 2000, 200), load(8192, 1600, SLACK));
    CHECK_CMP(thread_count(), <=, threads + 4); /* the resolver's */
}

/* ---- Timers ------------------------------------------------------------------------------------------------------------ */

enum { TIMERS = 1000 };
struct clockwork {
    struct ev_loop *loop;
    struct evloop_timer *timers[TIMERS];
    int fired;
};

/* A thousand that are always there, each started anew or replaced before its time, which is from at once to a day. */
static void wind_up(int number, void *arg) {
    struct clockwork *clockwork = arg;
    static const double times[] = {24 * 3600, 0, 1, 60, 1e9, 0.001, 3600};
    double after = times[number % 7];
    struct evloop_timer **timer = &clockwork->timers[(unsigned)number * 7919u % TIMERS];
    if (*timer && number % 3) {
        evloop_timer_reschedule(*timer, after, number % 5 ? 0 : 24 * 3600);
    } else {
        evloop_timer_free(*timer);
        *timer = evloop_timer_start(clockwork->loop, after, number % 5 ? 0 : 24 * 3600, count_up, &clockwork->fired);
        CHECK_PTR_NOT_NULL(*timer);
    }
    if (number % 4 == 0) CHECK_CMP(evloop_run_once(clockwork->loop, 0), >=, 0);
}

TEST(a_hundred_thousand_timers) {
    struct clockwork clockwork = {.loop = test_loop()};
    int turns = load(100000, 50000, 5000);
    repeat(wind_up, &clockwork, turns, SLACK);
    CHECK_CMP(clockwork.fired, >=, turns / 16);
    CHECK_CMP(evloop_timeout_ms(clockwork.loop), >=, 0);
}

/* ---- Lookups ----------------------------------------------------------------------------------------------------------- */

struct lookup {
    struct ev_loop *loop;
    int answers, wanted;
};

static void found(int status, const struct addrinfo *ai, void *arg) {
    struct lookup *lookup = arg;
    CHECK_INT(status, lookup->wanted);
    CHECK_INT(ai != NULL, status == 0);
    lookup->answers++;
}

/* Known and unknown names and literals, through the threads and out of the cache; one in eight is cancelled. */
static void look_up(int number, void *arg) {
    static const char *const names[] = {"one.test", "nobody.test", "127.0.0.1", "many.test", "::1", "b\xc3\xbc\x63her.test", "one.test", "none.test"};
    struct lookup *lookup = arg;
    const char *name = names[number % 8];
    lookup->answers = 0;
    lookup->wanted = name[0] == 'n' ? EAI_NONAME : 0;
    if (number % 64 == 0) dns_set_cache_ttl(number % 128 ? 60 : 0);
    struct dns_request *request = dns_resolve_start(lookup->loop, name, "443", AF_UNSPEC, SOCK_STREAM, 0, found, lookup);
    CHECK_PTR_NOT_NULL(request);
    CHECK_INT(lookup->answers, 0);
    bool cancelled = number / 8 % 8 == 7;
    if (cancelled) dns_cancel(request);
    evloop_run(lookup->loop);
    CHECK_INT(lookup->answers, cancelled ? 0 : 1);
}

TEST(ten_thousand_lookups) {
    TEST_LIMIT(120);
    enter_world();
    set_hosts("127.0.0.1 one.test xn--bcher-kva.test\n127.0.0.1 many.test\n127.0.0.2 many.test\n::1 many.test\n");
    int threads = thread_count();
    struct lookup lookup = {.loop = test_loop()};
    /* Each of the four threads has glibc's resolver state, and may still have a file open for a lookup that was cancelled. */
    repeat(look_up, &lookup, load(10000, 5000, 500), 4 * 8192);
    CHECK_CMP(thread_count(), <=, threads + 4);
}

/* ---- Contexts ---------------------------------------------------------------------------------------------------------- */

struct life {
    struct ev_loop *loop;
    const char *port, *ca, *chain, *key;
    int number;
    SocketTLSContext_T context; /* one that the connection is to outlive */
    struct net_conn *c;
};

static void life_readable(struct net_conn *c, void *arg) {
    struct life *life = arg;
    char buf[8];
    ssize_t n = conn_try_read(c, buf, sizeof buf);
    if (n < 0) {
        CHECK_INT(errno, EAGAIN);
        return;
    }
    CHECK_INT(n, 4);
    if (life->number % 2) conn_close(c);
    else conn_abort(c);
    life->c = NULL;
}
static void life_ready(struct net_conn *c, void *arg) {
    struct life *life = arg;
    netconn_tls_free(&life->context);
    conn_set_readable_callback(c, life_readable, life);
    CHECK_INT(conn_try_write(c, "ping", 4), 4);
}
static void life_failed(struct net_conn *c, void *arg) {
    (void)arg;
    FAIL("%s", conn_get_error_msg(c));
}

/* Freed right after the connection took it, in the middle of the handshake, or in on_ready. */
static void one_context(int number, void *arg) {
    static const char *const protocols[] = {"echo"};
    struct life *life = arg;
    life->number = number;
    SocketTLSContext_T context = netconn_tls_client(life->ca);
    if (!context) FAIL("netconn_tls_client: %s", netconn_tls_error());
    if (number % 5 == 0) CHECK_INT(netconn_tls_set_alpn(context, protocols, 1), 0);
    if (number % 7 == 0) CHECK_INT(netconn_tls_load_certificate(context, life->chain, life->key), 0);
    struct conn_options o;
    conn_options_init(&o);
    o.use_tls = true;
    o.tls = context;
    o.tls_timeout = slow(20);
    life->c = conn_new_with(life->loop, "127.0.0.1", life->port, &o, life_ready, life_failed, life);
    CHECK_PTR_NOT_NULL(life->c);
    if (number % 3 == 1) CHECK_CMP(evloop_run_once(life->loop, 0), >=, 0);
    if (number % 3 == 2) life->context = context;
    else netconn_tls_free(&context);
    evloop_run(life->loop);
    CHECK_PTR_NULL(life->c);
    CHECK_PTR_NULL(life->context);
}

BOTH_VERSIONS(a_thousand_contexts_in_use) {
    TEST_LIMIT(120);
    struct server *server = server_start(&(struct server_options){.version = version});
    struct life life = {.loop = test_loop(), .port = server_port(server)};
    life.ca = cert(CERT_CA);
    life.chain = cert(CERT_CLIENT);
    life.key = cert(CERT_CLIENT_KEY);
    repeat(one_context, &life, load(1000, 400, 40), SLACK);
    CHECK_INT(server_wait_open(server, 0).open, 0);
}

/* ---- Posts ------------------------------------------------------------------------------------------------------------- */

enum { THREADS = 8 };

struct office {
    struct ev_loop *loop;
    int each;
    int delivered[THREADS];
    int total;
    /* The connections meanwhile. */
    struct conn_options o;
    const char *port;
    int open, done;
    size_t got;
};
struct letter {
    struct office *office;
    int thread, number;
};

static void deliver(void *arg) {
    struct letter *letter = arg;
    struct office *office = letter->office;
    CHECK_INT(letter->number, office->delivered[letter->thread]); /* in the order of each thread */
    office->delivered[letter->thread]++;
    office->total++;
    free(letter);
}

struct writer {
    struct office *office;
    int number;
    pthread_t thread;
};

static void *write_letters(void *arg) {
    struct writer *writer = arg;
    for (int i = 0; i < writer->office->each; i++) {
        struct letter *letter = malloc(sizeof *letter);
        CHECK(letter != NULL);
        *letter = (struct letter){writer->office, writer->number, i};
        CHECK_INT(evloop_post(writer->office->loop, deliver, letter), 0);
        if (i % 64 == 0) evloop_wakeup(writer->office->loop);
    }
    return NULL;
}

static void visit(struct office *office);

static void visitor_readable(struct net_conn *c, void *arg) {
    struct office *office = arg;
    char buf[8];
    ssize_t n = conn_try_read(c, buf, sizeof buf);
    if (n < 0) {
        CHECK_INT(errno, EAGAIN);
        return;
    }
    CHECK_INT(n, 5);
    conn_close(c);
    office->open--;
    office->done++;
    visit(office);
}
static void visitor_ready(struct net_conn *c, void *arg) {
    conn_set_readable_callback(c, visitor_readable, arg);
    CHECK_INT(conn_try_write(c, "visit", 5), 5);
}
/* As long as there are letters, eight at a time. */
static void visit(struct office *office) {
    while (office->open < 8 && office->total < office->each * THREADS) {
        office->open++;
        CHECK_PTR_NOT_NULL(conn_new_with(office->loop, "127.0.0.1", office->port, &office->o, visitor_ready, life_failed, office));
    }
}

static void no_answer(void *arg) { FAIL("%d of the posts were run", ((struct office *)arg)->total); }

static void post_office(int number, void *arg) {
    (void)number;
    struct office *office = arg;
    struct writer writers[THREADS];
    office->total = 0;
    memset(office->delivered, 0, sizeof office->delivered);
    struct evloop_timer *guard = evloop_timer_start(office->loop, slow(60), 0, no_answer, office);
    evloop_timer_unref(guard);
    visit(office);
    for (int i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){.office = office, .number = i};
        CHECK_INT(pthread_create(&writers[i].thread, NULL, write_letters, &writers[i]), 0);
    }
    while (office->total < office->each * THREADS) CHECK_CMP(evloop_run_once(office->loop, -1), >=, 0);
    for (int i = 0; i < THREADS; i++) pthread_join(writers[i].thread, NULL);
    evloop_run(office->loop); /* the last visitors */
    evloop_timer_free(guard);
    CHECK_INT(office->open, 0);
    for (int i = 0; i < THREADS; i++) CHECK_INT(office->delivered[i], office->each);
}

ALL_TRANSPORTS(posts_of_eight_threads_among_connections) {
    TEST_LIMIT(120);
    struct server *server = server_start(&(struct server_options){.version = version});
    struct office office = {.loop = test_loop(), .port = server_port(server), .o = options_of(version)};
    office.o.tls_timeout = slow(20);
    office.each = load(1000, 500, 50);
    int fds = 0;
    for (int turn = 0; turn < 10; turn++) { /* the heap's measure is of all threads, and of those that are just ending */
        post_office(turn, &office);
        if (turn == 0) fds = fd_count();
    }
    CHECK_NO_NEW_FDS(fds);
    CHECK_CMP(office.done, >, 0);
    CHECK_INT(server_wait_open(server, 0).accepted, office.done);
}

HEAP_TEST_MAIN

/*
 * Twenty thousand connections one after another, plain and TLS: at the end both processes, the client's and the server's,
 * have the descriptors open and the memory allocated that they had after the first few.
 *
 * Each goes to another address of 127.0.0.0/8, some from another one too: the pairs of address and port that wait out
 * their TIME_WAIT never run out.
 */
#include "../harness.h"
#include "../support/client.h"
#include "../support/heap.h"
#include "../support/server.h"
#include "../support/transports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * What a process keeps for good comes in the beginning: caches that fill, tables that grow. After that the count is the
 * same to the byte, but for kept sessions, which are not all of one size (by some ten bytes, up and down).
 */
enum { SLACK = 512 };

struct runner {
    struct ev_loop *loop;
    struct server *server;
    struct conn_options o;
    const char *port;
    int hosts; /* so many addresses in turn */
    int number, resumed;
    struct net_conn *c;
    size_t got;
};

static const char text[] = "there and back";

static void finish(struct runner *runner) {
    if (runner->number % 16 == 14) conn_abort(runner->c);
    else conn_close(runner->c);
    runner->c = NULL;
}

static void on_failed(struct net_conn *c, void *arg) {
    FAIL("connection %d failed: %s", ((struct runner *)arg)->number, conn_get_error_msg(c));
}

static void on_readable(struct net_conn *c, void *arg) {
    struct runner *runner = arg;
    char buf[64];
    ssize_t n = conn_try_read(c, buf, sizeof buf);
    if (n < 0) {
        CHECK_INT(errno, EAGAIN);
        return;
    }
    if (n == 0) { /* after the half-close */
        CHECK_INT(runner->got, strlen(text));
        finish(runner);
        return;
    }
    CHECK(runner->got + (size_t)n <= strlen(text));
    CHECK_MEM(buf, text + runner->got, (size_t)n);
    runner->got += (size_t)n;
    if (runner->got < strlen(text)) return;
    /* Every second one ends both directions in turn, the others close as they are. */
    if (runner->number % 2) CHECK_INT(conn_shutdown(c), 0);
    else finish(runner);
}

static void on_ready(struct net_conn *c, void *arg) {
    struct runner *runner = arg;
    runner->resumed += conn_session_reused(c);
    conn_set_readable_callback(c, on_readable, runner);
    CHECK_INT(conn_try_write(c, text, strlen(text)), strlen(text));
}

/* 127.x.y.z, never the net's own nor its broadcast address. */
static uint32_t address_of(int number) { return 0x7f000000u | ((uint32_t)number % 0xfffffdu + 1); }

static void run_one(struct runner *runner) {
    char host[INET_ADDRSTRLEN];
    struct in_addr to = {htonl(address_of(runner->number % runner->hosts * 251))};
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(address_of(runner->number * 7919));
    CHECK_PTR_NOT_NULL(inet_ntop(AF_INET, &to, host, sizeof host));
    bool bound = runner->number % 3 == 2;
    runner->o.local_addr = bound ? (struct sockaddr *)&from : NULL;
    runner->o.local_addr_len = bound ? sizeof from : 0;
    runner->got = 0;
    runner->c = conn_new_with(runner->loop, host, runner->port, &runner->o, on_ready, on_failed, runner);
    if (!runner->c) FAIL("connection %d: %s", runner->number, strerror(errno));
    evloop_run(runner->loop);
    CHECK_PTR_NULL(runner->c);
    runner->number++;
}

/* Both processes, when nothing is open. */
struct state {
    int fds;
    long heap;
    struct server_report there;
};

static struct state look(struct runner *runner) {
    struct state state = {.there = server_wait_open(runner->server, 0)};
    state.fds = fd_count();
    state.heap = heap_in_use();
    return state;
}

static void one_after_another(int version, bool resumed, int count) {
    TEST_LIMIT(300);
    struct server_options server = {.version = version, .no_sessions = !resumed};
    /* Sessions are kept by host and port: as many as there are hosts, all of them in the first turns. */
    struct runner runner = {.hosts = resumed ? 100 : 0xffffff, .server = server_start(&server)};
    runner.port = server_port(runner.server);
    runner.loop = test_loop();
    runner.o = options_of(version);
    if (version) {
        /* Neither all of the addresses nor a name is in the certificate: the name is given apart. */
        runner.o.server_name = "localhost";
        CHECK_INT(netconn_tls_set_session_reuse(runner.o.tls, resumed), 0);
    }
    runner.o.connect_timeout = runner.o.tls_timeout = slow(20);
    int first = resumed ? 8 * runner.hosts : 200; /* four sessions are kept of each */
    if (first > count / 2) first = count / 2;
    while (runner.number < first) run_one(&runner);
    struct state before = look(&runner);
    while (runner.number < count) run_one(&runner);
    struct state after = look(&runner);
    CHECK_INT(after.fds, before.fds);
    CHECK_INT(after.there.fds, before.there.fds);
    CHECK_HEAP(before.heap, SLACK);
    if (after.there.heap > before.there.heap + SLACK)
        FAIL("the server has %ld bytes more than after its first connections", after.there.heap - before.there.heap);
    CHECK_INT(after.there.accepted, count);
    CHECK_INT(after.there.failed, (count + 1) / 16); /* the resets */
    if (resumed) CHECK_CMP(runner.resumed, >=, count - runner.hosts - count / 8);
    else CHECK_INT(runner.resumed, 0);
}

TEST(plain) { one_after_another(0, false, load(20000, 4000, 300)); }
TEST(tls13_whole_handshakes) { one_after_another(TLS1_3_VERSION, false, load(10000, 1000, 100)); }
TEST(tls13_resumed) { one_after_another(TLS1_3_VERSION, true, load(10000, 2000, 300)); }
TEST(tls12_whole_handshakes) { one_after_another(TLS1_2_VERSION, false, load(5000, 500, 60)); }
TEST(tls12_resumed) { one_after_another(TLS1_2_VERSION, true, load(5000, 2000, 300)); }

HEAP_TEST_MAIN

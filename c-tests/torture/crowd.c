/*
 * Thousands of connections open at once on one loop, plain and TLS, to a server that holds as many on its one loop. Both
 * ends count; each connection echoes; then all are closed, from either side, or the loop is freed with all of them open.
 */
#include "../harness.h"
#include "../support/client.h"
#include "../support/heap.h"
#include "../support/server.h"
#include "../support/transports.h"

#include <stdio.h>
#include <stdlib.h>

struct crowd {
    struct ev_loop *loop;
    struct server *server;
    struct conn_options o;
    struct member *members;
    int size, opened, ready, echoed, ended;
};
struct member {
    struct crowd *crowd;
    struct net_conn *c;
    char text[32];
    size_t got;
};

/* So many are on their way at a time: more than the server's queue holds would wait for the kernel's retry. */
enum { AT_A_TIME = 500 };

static void open_more(struct crowd *crowd);

static void member_failed(struct net_conn *c, void *arg) {
    struct member *member = arg;
    FAIL("number %d of %d failed: %s", (int)(member - member->crowd->members), member->crowd->size, conn_get_error_msg(c));
}

static void member_readable(struct net_conn *c, void *arg) {
    struct member *member = arg;
    char buf[64];
    ssize_t n = conn_try_read(c, buf, sizeof buf);
    if (n < 0) {
        CHECK_INT(errno, EAGAIN);
        return;
    }
    if (n == 0) { /* the server ends it, once all have echoed */
        CHECK_INT(member->crowd->echoed % member->crowd->size, 0);
        conn_close(c);
        member->c = NULL;
        member->crowd->ended++;
        return;
    }
    CHECK(member->got + (size_t)n <= strlen(member->text));
    CHECK_MEM(buf, member->text + member->got, (size_t)n);
    member->got += (size_t)n;
    if (member->got == strlen(member->text)) member->crowd->echoed++;
}

static void member_ready(struct net_conn *c, void *arg) {
    struct member *member = arg;
    member->crowd->ready++;
    conn_set_readable_callback(c, member_readable, member);
    open_more(member->crowd);
}

static void open_more(struct crowd *crowd) {
    while (crowd->opened < crowd->size && crowd->opened - crowd->ready < AT_A_TIME) {
        int i = crowd->opened++;
        struct member *member = &crowd->members[i];
        char host[20];
        *member = (struct member){.crowd = crowd};
        snprintf(member->text, sizeof member->text, "this is number %d", i);
        snprintf(host, sizeof host, "127.0.%d.1", i % 250);
        member->c = conn_new_with(crowd->loop, host, server_port(crowd->server), &crowd->o, member_ready, member_failed, member);
        if (!member->c) FAIL("number %d: %s", i, strerror(errno));
    }
}

/* Each sends its text, and gets it back. */
static void all_echo(struct crowd *crowd) {
    crowd->echoed = 0;
    for (int i = 0; i < crowd->size; i++) {
        struct member *member = &crowd->members[i];
        member->got = 0;
        CHECK_INT(conn_try_write(member->c, member->text, strlen(member->text)), strlen(member->text));
    }
    RUN_UNTIL(crowd->loop, crowd->echoed == crowd->size);
}

static struct crowd gather(int version, int size) {
    struct server_options server = {.version = version, .no_sessions = true, .limit = size + 100};
    struct crowd crowd = {.size = size, .server = server_start(&server)};
    need_fds(size + 100);
    crowd.o = options_of(version);
    crowd.members = alloc((size_t)size * sizeof *crowd.members);
    crowd.o.connect_timeout = crowd.o.tls_timeout = slow(60);
    if (version) {
        crowd.o.server_name = "localhost";
        CHECK_INT(netconn_tls_set_session_reuse(crowd.o.tls, false), 0);
    }
    return crowd;
}

enum ending { CLIENT_CLOSES, CLIENT_ABORTS, SERVER_CLOSES, LOOP_IS_FREED };

/* One crowd comes and goes on a loop of its own; `before` is counted when the loop is made. */
static void come_and_go(struct crowd *crowd, enum ending ending) {
    int size = crowd->size, fds = fd_count();
    struct server_report before = server_report(crowd->server);
    crowd->loop = evloop_new();
    CHECK_PTR_NOT_NULL(crowd->loop);
    crowd->opened = crowd->ready = crowd->ended = 0;
    open_more(crowd);
    RUN_UNTIL(crowd->loop, crowd->ready == size);
    struct server_report at_most = server_wait_open(crowd->server, size);
    CHECK_INT(at_most.accepted - before.accepted, size);
    CHECK_CMP(fd_count(), >=, fds + size);
    CHECK_CMP(at_most.fds, >=, before.fds + size);
    all_echo(crowd);
    all_echo(crowd);
    if (ending == SERVER_CLOSES) {
        server_close_all(crowd->server);
        RUN_UNTIL(crowd->loop, crowd->ended == size);
    }
    for (int i = 0; i < size && ending != LOOP_IS_FREED; i++) {
        struct net_conn *c = crowd->members[i].c;
        if (ending == CLIENT_ABORTS) conn_abort(c);
        else conn_close(c);
    }
    if (ending != LOOP_IS_FREED) evloop_run(crowd->loop); /* nothing keeps it */
    evloop_free(crowd->loop);
    CHECK_NO_NEW_FDS(fds);
    struct server_report after = server_wait_open(crowd->server, 0);
    CHECK_INT(after.fds, before.fds);
    CHECK_INT(after.failed - before.failed, ending == CLIENT_ABORTS ? size : 0);
}

/*
 * The first two crowds leave what a process keeps for good: tables that grew with them. How many of a crowd the server's loop
 * meets in one round is chance, and a table of those may double once more. A connection that stayed would be far more; what
 * stays of one to the byte is marathon.c's affair.
 */
static void thousands(int version, int size, const enum ending *endings, int count) {
    TEST_LIMIT(120);
    struct crowd crowd = gather(version, size);
    for (int i = 0; i < 2; i++) come_and_go(&crowd, endings[i]);
    long heap = heap_in_use(), there = server_report(crowd.server).heap;
    for (int i = 2; i < count; i++) come_and_go(&crowd, endings[i]);
    CHECK_HEAP(heap, 512);
    CHECK_CMP(server_report(crowd.server).heap, <=, there + 64 * size);
}

static const enum ending all[] = {CLIENT_CLOSES, SERVER_CLOSES, LOOP_IS_FREED, CLIENT_ABORTS};

TEST(thousands_at_once_plain) { thousands(0, load(5000, 2000, 50), all, 4); }
TEST(thousands_at_once_tls12) { thousands(TLS1_2_VERSION, load(1000, 600, 20), all, 4); }
TEST(thousands_at_once_tls13) { thousands(TLS1_3_VERSION, load(1000, 600, 20), all, 4); }
/* Each handshake has its price: as many as plain ones once from either side. */
TEST(thousands_more_at_once_tls13) { thousands(TLS1_3_VERSION, load(5000, 600, 20), all + 1, 2); }

HEAP_TEST_MAIN

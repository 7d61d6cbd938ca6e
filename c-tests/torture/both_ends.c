/*
 * Each system call fails in turn while both ends are ours, client and server on one loop: the server's role meets what
 * syscalls.c lets the client meet. Whichever end it hits says so, or neither notices; the other one sees an end. With a
 * client certificate, and with early data on a resumed session, too.
 */
#include "calls.h"

#include "../support/certs.h"
#include "../support/client.h"
#include "../support/heap.h"
#include "../support/transports.h"
#include "netconn.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

static const char text[] = "from here to there and back again";
enum { LENGTH = sizeof text - 1 };

struct pair;
struct side {
    struct pair *pair;
    struct net_conn *c;
    bool is_server, closed, ended;
    int ready, errors, refused; /* errno of conn_from_fd */
    size_t got;
    enum conn_error kind;
    int error;
    char message[300];
};
struct pair {
    struct ev_loop *loop;
    int listener;
    struct sockaddr_in where;
    struct conn_options options[2];
    bool early;
    struct side sides[2];
    struct evloop_timer *patience;
};

static void finish(struct side *side) {
    CHECK(!side->closed);
    side->closed = true;
    conn_close(side->c);
    side->c = NULL;
    struct pair *pair = side->pair;
    if (pair->sides[0].closed && pair->sides[1].closed) {
        evloop_timer_free(pair->patience);
        pair->patience = NULL;
    }
}

static void on_failed(struct net_conn *c, void *arg) {
    struct side *side = arg;
    CHECK(!side->closed);
    CHECK_INT(++side->errors, 1);
    side->kind = conn_get_error(c);
    side->error = conn_get_errno(c);
    snprintf(side->message, sizeof side->message, "%s", conn_get_error_msg(c));
    CHECK(side->kind != CONN_ERR_NONE && side->error != 0 && side->message[0] != 0);
    check_members(c);
    finish(side);
}

static void on_writable(struct net_conn *c, void *arg) {
    struct side *side = arg;
    ssize_t n = conn_try_write(c, text, LENGTH);
    if (n < 0) {
        CHECK(errno == EAGAIN || conn_get_state(c) == CONN_ERROR);
        return;
    }
    CHECK_INT(n, LENGTH);
    CHECK(!side->closed);
    conn_set_writable_callback(c, NULL, NULL);
}

/* The server answers all of it at once, when it has it. */
static void on_readable(struct net_conn *c, void *arg) {
    struct side *side = arg;
    char buf[64];
    CHECK(!side->closed);
    ssize_t n = conn_try_read(c, buf, sizeof buf);
    if (n < 0) {
        CHECK(errno == EAGAIN || conn_get_state(c) == CONN_ERROR);
        return;
    }
    if (n == 0) {
        side->ended = true;
        finish(side);
        return;
    }
    CHECK(side->got + (size_t)n <= LENGTH);
    CHECK_MEM(buf, text + side->got, (size_t)n);
    side->got += (size_t)n;
    if (side->got < LENGTH) return;
    if (side->is_server) conn_set_writable_callback(c, on_writable, side);
    else CHECK(conn_shutdown(c) == 0 || errno == EAGAIN || conn_get_state(c) == CONN_ERROR);
}

static void on_ready(struct net_conn *c, void *arg) {
    struct side *side = arg;
    CHECK(!side->closed);
    CHECK_INT(++side->ready, 1);
    CHECK_INT(side->errors, 0);
    check_members(c);
    conn_set_readable_callback(c, on_readable, side);
    if (!side->is_server && !side->pair->early) conn_set_writable_callback(c, on_writable, side);
}

static void hangs(void *arg) {
    struct pair *pair = arg;
    FAIL("%s number %d failed with \"%s\": it hangs (client %d, server %d)", call_names[misfortune.call], misfortune.nth,
         strerror(misfortune.error), conn_get_state(pair->sides[0].c), conn_get_state(pair->sides[1].c));
}

/* A blocking connect and accept of our own, before anything fails. */
static void connect_them(struct pair *pair, int fds[2]) {
    fds[0] = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fds[0] >= 0);
    CHECK_INT(syscall(SYS_connect, fds[0], &pair->where, sizeof pair->where), 0);
    fds[1] = accept4(pair->listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(fds[1] >= 0);
}

static bool went_well(const struct side *side) { return side->ready == 1 && side->errors == 0 && side->ended && side->got == LENGTH; }

/* One life; true when both ends are content. */
static bool live(struct pair *pair, enum call call, int error, int nth, bool armed, bool *hit) {
    int fds[2];
    connect_them(pair, fds);
    pair->patience = evloop_timer_start(pair->loop, slow(10), 0, hangs, pair);
    CHECK_PTR_NOT_NULL(pair->patience);
    if (armed) arm(call, error, nth, false);
    for (int s = 0; s < 2; s++) pair->sides[s] = (struct side){.pair = pair, .is_server = s == 1};
    for (int s = 0; s < 2; s++) {
        struct side *side = &pair->sides[s];
        side->c = conn_from_fd(pair->loop, fds[s], &pair->options[s], on_ready, on_failed, side);
        if (side->c) continue;
        side->refused = errno;
        syscall(SYS_close, fds[s]); /* still ours */
        finish(side);
    }
    evloop_run(pair->loop); /* an EINVAL of epoll_wait ends a run; the timer keeps the next one */
    if (pair->patience) evloop_run(pair->loop);
    *hit = disarm();
    evloop_run(pair->loop);
    CHECK(pair->sides[0].closed && pair->sides[1].closed);
    return went_well(&pair->sides[0]) && went_well(&pair->sides[1]);
}

/* Of the two, one at least met it; the other met it, too, or an end that it did not ask for. */
static void judge(const struct pair *pair, bool good, bool hit, bool harmless) {
    bool told = false;
    for (int s = 0; s < 2; s++) {
        const struct side *side = &pair->sides[s];
        int error = side->refused ? side->refused : side->error;
        told |= error == misfortune.error || (misfortune.error == EPIPE && error == ECONNRESET);
        if (!side->refused) CHECK_CMP(side->ready + side->errors, >, 0);
    }
    if (good) return;
    const struct side *client = &pair->sides[0], *server = &pair->sides[1];
    /* In its close the server has nobody to tell. (It has sent everything by then.) */
    if (hit && server->ended && server->errors == 0 && client->got == LENGTH) told = true;
    /* Over TLS nobody takes the other one's failure for a good end. */
    bool deceived = pair->options[0].use_tls && client->ended && client->errors == 0 && client->got < LENGTH;
    if (!hit || harmless || !told || deceived)
        FAIL("%s number %d failed with \"%s\"%s: client: kind %d, errno %d, \"%s\"; server: kind %d, errno %d, \"%s\"",
             call_names[misfortune.call], misfortune.nth, strerror(misfortune.error), harmless ? ", which does no harm" : hit ? "" : ", but was not called",
             client->kind, client->refused | client->error, client->message, server->kind, server->refused | server->error, server->message);
}

/* ---- The settings ------------------------------------------------------------------------------------------------------ */

enum kind { PLAIN, TLS12, TLS13, CLIENT_CERTIFICATE, EARLY_DATA };

static void close_fd(void *fd) { close((int)(intptr_t)fd); }
static void free_context(void *context) { netconn_tls_free(&(SocketTLSContext_T){context}); }

static struct pair *make_pair(enum kind kind) {
    struct pair *pair = alloc(sizeof *pair);
    struct conn_options *client = &pair->options[0], *server = &pair->options[1];
    pair->loop = test_loop();
    pair->early = kind == EARLY_DATA;
    *client = *server = options();
    if (kind != PLAIN) {
        *client = tls_options();
        client->server_name = "localhost";
        server->use_tls = server->server_side = true;
        server->tls = netconn_tls_server(cert(CERT_GOOD), cert(CERT_GOOD_KEY), kind == CLIENT_CERTIFICATE ? cert(CERT_CA) : NULL);
        if (!server->tls) FAIL("netconn_tls_server: %s", netconn_tls_error());
        at_end(free_context, server->tls);
        int version = kind == TLS12 ? TLS1_2_VERSION : TLS1_3_VERSION;
        CHECK_INT(netconn_tls_set_versions(client->tls, version, version), 0);
        CHECK_INT(netconn_tls_set_session_reuse(client->tls, kind == EARLY_DATA), 0);
        client->tls_timeout = server->tls_timeout = 0;
    }
    if (kind == CLIENT_CERTIFICATE) CHECK_INT(netconn_tls_load_certificate(client->tls, cert(CERT_CLIENT), cert(CERT_CLIENT_KEY)), 0);
    if (kind == EARLY_DATA) {
        client->early_data = text;
        client->early_data_len = LENGTH;
        CHECK_INT(netconn_tls_enable_early_data(server->tls, 0), 0);
    }
    client->keepalive = server->keepalive = 60;
    socklen_t len = sizeof pair->where;
    pair->where = (struct sockaddr_in){.sin_family = AF_INET};
    pair->where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    pair->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(pair->listener, (struct sockaddr *)&pair->where, len), 0);
    CHECK_INT(listen(pair->listener, 4), 0);
    CHECK_INT(getsockname(pair->listener, (struct sockaddr *)&pair->where, &len), 0);
    at_end(close_fd, (void *)(intptr_t)pair->listener);
    return pair;
}

static const struct fault {
    enum call call;
    int error;
    bool harmless;
} faults[] = {
    {SETSOCKOPT, ENOBUFS, false},  {SETSOCKOPT, EINVAL, false},    {GETSOCKOPT, ENOBUFS, false},  {GETSOCKNAME, ENOBUFS, false},
    {GETPEERNAME, ENOBUFS, false}, {GETPEERNAME, ENOTCONN, false}, {FCNTL, ENOLCK, false},        {FCNTL, EPERM, false},
    {RECV, ECONNRESET, false},     {RECV, ENOMEM, false},          {RECV, EIO, false},            {RECV, ETIMEDOUT, false},
    {RECV, EHOSTUNREACH, false},   {RECV, EINTR, true},            {RECV, EAGAIN, true},          {SEND, EPIPE, false},
    {SEND, ECONNRESET, false},     {SEND, ENOBUFS, false},         {SEND, EIO, false},            {SEND, ETIMEDOUT, false},
    {SEND, EPERM, false},          {SEND, EINTR, true},            {SEND, EAGAIN, true},          {SHUTDOWN, ENOBUFS, false},
    {CLOSE, EIO, true},             {CLOSE, EINTR, true},          {EPOLL_CTL, ENOMEM, true},
{EPOLL_WAIT, EINTR, true},      {EPOLL_WAIT, EINVAL, true},
};

static void torture(enum kind kind) {
    TEST_LIMIT(120);
    if (kind != PLAIN) NEEDS_TLS();
    struct pair *pair = make_pair(kind);
    bool hit;
    for (int i = 0; i < 3; i++) CHECK(live(pair, 0, 0, 0, false, &hit));
    int fds = fd_count(), met = 0;
    long heap = heap_in_use();
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i += (size_t)small(1, 3)) {
        /* The loop tries again after a second: not in every setting. */
        if (faults[i].call == EPOLL_CTL && kind != TLS13) continue;
        hit = true;
        for (int n = 1; hit; n++, met++) {
            CHECK_CMP(n, <, 1000);
            if (kind == EARLY_DATA) CHECK(live(pair, 0, 0, 0, false, &hit)); /* leaves a session */
            bool good = live(pair, faults[i].call, faults[i].error, n, true, &hit);
            judge(pair, good, hit, faults[i].harmless);
            CHECK_NO_NEW_FDS(fds);
        }
    }
    CHECK_CMP(met, >, small(100, 30));
    /* A thread's list of at most 1,024 TLS streams drops those that are gone as others come. */
    CHECK_HEAP(heap, kind == PLAIN ? 2048 : 1024 * 48);
}

TEST(plain) { torture(PLAIN); }
TEST(tls12) { torture(TLS12); }
TEST(tls13) { torture(TLS13); }
TEST(with_a_client_certificate) { torture(CLIENT_CERTIFICATE); }
TEST(with_early_data) { torture(EARLY_DATA); }

HEAP_TEST_MAIN

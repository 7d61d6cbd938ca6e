/*
 * fetch.h - one HTTP request with a body and its answer, from the making of the loop and the TLS context to the end of both:
 * over TCP, over TLS, over a connection that becomes TLS in the middle (STARTTLS), on a loop inside another one, and twice over
 * a pool's connection.
 *
 * For tests in which anything may fail at any moment. Whatever fails, the rules hold, and fetch() fails the test where they
 * do not: what returns a failure sets errno, and not to EAGAIN where the connection is over; one outcome of each
 * establishing; on_error once, with a kind, an errno and a message of one line; no callback after the close; and an end in
 * bounded time.
 */
#ifndef NETCONN_TESTS_TORTURE_FETCH_H
#define NETCONN_TESTS_TORTURE_FETCH_H

#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/http_peer.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "pconn.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum { BODY_SENT = 90000, BODY_WRITTEN = 40000, BODY_GOT = 50000 };

enum way { PLAIN, TLS12, TLS13, STARTTLS, EMBEDDED, POOLED, POOLED_TLS };

static inline bool is_pooled(enum way way) { return way == POOLED || way == POOLED_TLS; }
static inline bool is_tls(enum way way) { return way == TLS12 || way == TLS13 || way == STARTTLS || way == POOLED_TLS; }

/* ---- The server -------------------------------------------------------------------------------------------------------- */

/* In a process of its own, and blocking: a client that gives up ends it early. */
static inline bool serve_request(struct peer_conn *pc) {
    struct request request;
    unsigned char buf[8192];
    if (!http_read_request(pc, &request)) return false;
    for (size_t at = 0; at < BODY_SENT;) {
        size_t n = BODY_SENT - at < sizeof buf ? BODY_SENT - at : sizeof buf;
        if (!peer_read_exactly(pc, buf, n)) return false;
        if (find_pattern_error(buf, n, at) >= 0) FAIL("the server got a wrong byte after %zu", at);
        at += n;
    }
    return http_say(pc, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BODY_GOT) && peer_write_pattern(pc, BODY_GOT);
}

/* As servers do that close first, and as those that keep alive. */
static inline void serve_http(struct peer_conn *pc) { serve_request(pc); }
static inline void serve_kept_alive(struct peer_conn *pc) {
    int on = 1; /* nobody is in the way of the answer's second piece */
    setsockopt(pc->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    while (serve_request(pc)) {}
}

static inline void serve_starttls(struct peer_conn *pc) {
    char letter = 0;
    while (letter != '\n')
        if (recv(pc->fd, &letter, 1, 0) != 1) return;
    if (send(pc->fd, "go\n", 3, MSG_NOSIGNAL) != 3 || SSL_accept(pc->ssl) != 1) return;
    serve_http(pc);
}

/* The body in a file; the descriptor. */
static inline int fetch_file(void) {
    static unsigned char body[BODY_SENT];
    int fd = fileno(tmpfile());
    CHECK(fd >= 0);
    fill_pattern(body, sizeof body, 0);
    CHECK_INT(write(fd, body, sizeof body), sizeof body);
    return fd;
}

/* Its port. */
static inline const char *fetch_server(enum way way) {
    struct peer_options options = {.serve = serve_http};
    if (way == STARTTLS) options.serve = serve_starttls, options.no_handshake = true;
    if (is_pooled(way)) options.serve = serve_kept_alive;
    if (is_tls(way)) {
        options.cert = CERT_GOOD;
        options.key = CERT_GOOD_KEY;
        options.min_version = options.max_version = way == TLS12 ? TLS1_2_VERSION : TLS1_3_VERSION;
    }
    return peer_process(&options);
}

/* ---- The client -------------------------------------------------------------------------------------------------------- */

struct fetch {
    enum way way;
    const char *port, *ca; /* given */
    int file;              /* given: the body; most of it is sent from there */
    struct ev_loop *loop;
    struct net_conn *c;
    SocketTLSContext_T tls;
    struct conn_options options;
    struct evloop_timer *patience;
    struct pconn_pool *pool;
    int rounds;  /* through the pool */
    bool secure; /* it has come to the point where bytes are TLS */
    bool closed, good;
    int ready, errors;
    size_t sent, got;
    char head[200];
    size_t head_size, head_sent;
    /* The failure: */
    const char *of; /* which function gave it, or "on_error" */
    enum conn_error kind;
    int error;
    char message[500];
};

static inline void fetch_close(struct fetch *fetch) {
    CHECK(!fetch->closed);
    fetch->closed = true;
    evloop_timer_free(fetch->patience);
    fetch->patience = NULL;
    conn_close(fetch->c);
    fetch->c = NULL;
}

static inline bool fetch_refused(struct fetch *fetch, const char *of) {
    CHECK(errno != 0);
    fetch->of = of;
    fetch->error = errno;
    return false;
}

/* What a call on a READY connection gave: the connection goes on, or on_error follows. */
static inline void fetch_stopped(struct fetch *fetch) {
    if (errno == EAGAIN) return;
    CHECK_INT(conn_get_state(fetch->c), CONN_ERROR);
    CHECK_INT(conn_get_errno(fetch->c), errno);
}

static inline void fetch_write(struct fetch *fetch) {
    static const char head[] = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n\r\n";
    static unsigned char body[20000];
    while (fetch->sent < BODY_SENT) {
        if (fetch->sent >= BODY_WRITTEN) {
            off_t at = (off_t)fetch->sent;
            ssize_t n = conn_try_sendfile(fetch->c, fetch->file, &at, BODY_SENT - fetch->sent);
            if (n < 0 && errno != EAGAIN && conn_get_state(fetch->c) == CONN_READY) { /* the file's failure, not its own */
                fetch_refused(fetch, "conn_try_sendfile");
                fetch_close(fetch);
                return;
            }
            if (n < 0) {
                fetch_stopped(fetch);
                return;
            }
            fetch->sent += (size_t)n;
            CHECK_INT(at, fetch->sent);
            continue;
        }
        size_t left = BODY_WRITTEN - fetch->sent, head_left = sizeof head - 1 - fetch->head_sent;
        size_t count = left < sizeof body ? left : sizeof body;
        fill_pattern(body, count, fetch->sent);
        struct iovec pieces[] = {{(char *)(uintptr_t)head + fetch->head_sent, head_left}, {body, count}};
        /* In two pieces the first time, in one later on. */
        ssize_t n = head_left > 0 ? conn_try_writev(fetch->c, pieces, 2) : conn_try_write(fetch->c, body, count);
        if (n < 0) {
            fetch_stopped(fetch);
            return;
        }
        CHECK(n > 0 && (size_t)n <= head_left + count);
        size_t of_head = (size_t)n < head_left ? (size_t)n : head_left;
        fetch->head_sent += of_head;
        fetch->sent += (size_t)n - of_head;
    }
    conn_set_writable_callback(fetch->c, NULL, NULL);
}

static inline void fetch_ask_for_tls(struct fetch *fetch) {
    static const char words[] = "STARTTLS\n";
    ssize_t n = conn_try_write(fetch->c, words + fetch->head_sent, sizeof words - 1 - fetch->head_sent);
    if (n < 0) {
        fetch_stopped(fetch);
        return;
    }
    fetch->head_sent += (size_t)n;
    if (fetch->head_sent == sizeof words - 1) conn_set_writable_callback(fetch->c, NULL, NULL);
}

/* The head, then the body. */
static inline void fetch_take(struct fetch *fetch, const unsigned char *bytes, size_t size) {
    for (; size > 0 && (fetch->head_size < 4 || memcmp(fetch->head + fetch->head_size - 4, "\r\n\r\n", 4) != 0); bytes++, size--) {
        CHECK(fetch->head_size < sizeof fetch->head);
        fetch->head[fetch->head_size++] = (char)*bytes;
    }
    CHECK(fetch->got + size <= BODY_GOT);
    CHECK_INT(find_pattern_error(bytes, size, fetch->got), -1);
    fetch->got += size;
}

static void fetch_ready(struct net_conn *c, void *arg);
static void fetch_failed(struct net_conn *c, void *arg);

static inline void fetch_start_tls(struct fetch *fetch) {
    fetch->secure = true;
    fetch->head_size = fetch->head_sent = 0;
    if (conn_start_tls(fetch->c, &fetch->options, fetch_ready, fetch_failed, fetch) != 0) {
        fetch_refused(fetch, "conn_start_tls");
        fetch_close(fetch);
    }
}

static inline bool fetch_acquire(struct fetch *fetch) {
    bool tls = is_tls(fetch->way);
    errno = 0;
    fetch->c = pconn_acquire(fetch->pool, tls ? "https" : "http", "localhost", fetch->port, tls, fetch_ready, fetch_failed, fetch);
    if (!fetch->c) return fetch_refused(fetch, "pconn_acquire");
    CHECK_INT(pconn_get_idle_count(fetch->pool), 0);
    CHECK_INT(pconn_get_total_count(fetch->pool), 1);
    return true;
}

/* The answer is here: the same again over what should be the same connection. */
static inline void fetch_release(struct fetch *fetch) {
    struct net_conn *c = fetch->c;
    fetch->c = NULL;
    pconn_release(fetch->pool, c, true);
    fetch->sent = fetch->got = fetch->head_size = fetch->head_sent = 0;
    fetch->ready = 0;
    if (++fetch->rounds < 2) {
        if (!fetch_acquire(fetch)) fetch_close(fetch);
        return;
    }
    fetch->good = true;
    fetch_close(fetch);
}

static inline void fetch_readable(struct net_conn *c, void *arg) {
    struct fetch *fetch = arg;
    CHECK(!fetch->closed);
    CHECK_PTR(c, fetch->c);
    unsigned char buf[8192];
    bool upgrading = fetch->way == STARTTLS && !fetch->secure;
    ssize_t n = conn_try_read(c, buf, upgrading ? 3 - fetch->head_size : sizeof buf);
    if (n < 0) {
        fetch_stopped(fetch);
    } else if (upgrading) {
        CHECK(n > 0);
        memcpy(fetch->head + fetch->head_size, buf, (size_t)n);
        fetch->head_size += (size_t)n;
        if (fetch->head_size == 3) fetch_start_tls(fetch);
    } else if (n > 0) {
        fetch_take(fetch, buf, (size_t)n);
        if (fetch->got < BODY_GOT) return;
        if (is_pooled(fetch->way)) fetch_release(fetch);
        else if (conn_shutdown(c) != 0) fetch_stopped(fetch);
    } else {
        CHECK_INT(fetch->got, BODY_GOT);
        fetch->good = true;
        fetch_close(fetch);
    }
}

static inline void fetch_writable(struct net_conn *c, void *arg) {
    struct fetch *fetch = arg;
    CHECK(!fetch->closed);
    CHECK_PTR(c, fetch->c);
    if (fetch->way == STARTTLS && !fetch->secure) fetch_ask_for_tls(fetch);
    else fetch_write(fetch);
}

static void fetch_ready(struct net_conn *c, void *arg) {
    struct fetch *fetch = arg;
    CHECK(!fetch->closed);
    CHECK_INT(fetch->errors, 0);
    CHECK_INT(++fetch->ready, fetch->way == STARTTLS && fetch->secure ? 2 : 1);
    check_members(c);
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    if (conn_local_addr(c, (struct sockaddr *)&address, &len) == 0) CHECK_INT(address.ss_family, AF_INET);
    else fetch_refused(fetch, "conn_local_addr");
    len = sizeof address;
    if (conn_peer_addr(c, (struct sockaddr *)&address, &len) == 0) CHECK_INT(address.ss_family, AF_INET);
    else fetch_refused(fetch, "conn_peer_addr");
    conn_set_readable_callback(c, fetch_readable, fetch);
    conn_set_writable_callback(c, fetch_writable, fetch);
}

static void fetch_failed(struct net_conn *c, void *arg) {
    struct fetch *fetch = arg;
    CHECK(!fetch->closed);
    CHECK_INT(++fetch->errors, 1);
    CHECK_INT(conn_get_state(c), CONN_ERROR);
    check_members(c);
    fetch->of = "on_error";
    fetch->kind = conn_get_error(c);
    fetch->error = conn_get_errno(c);
    snprintf(fetch->message, sizeof fetch->message, "%s", conn_get_error_msg(c));
    CHECK(fetch->message[0] != 0 && strchr(fetch->message, '\n') == NULL);
    fetch_close(fetch);
}

static void fetch_hangs(void *arg) {
    struct fetch *fetch = arg;
    FAIL("it hangs in state %d, after %zu bytes sent and %zu got", conn_get_state(fetch->c), fetch->sent, fetch->got);
}

/* The host that a loop inside another one has: it watches one descriptor. */
static inline bool fetch_embedded(struct fetch *fetch) {
    int fd = evloop_fd(fetch->loop);
    if (fd < 0) return fetch_refused(fetch, "evloop_fd");
    for (int failed = 0; !fetch->closed;) {
        struct pollfd work = {fd, POLLIN, 0};
        CHECK(poll(&work, 1, -1) >= 0 || errno == EINTR);
        if (evloop_run_once(fetch->loop, 0) < 0) CHECK_CMP(++failed, <, 3);
    }
    return true;
}

static inline bool fetch_begin(struct fetch *fetch) {
    static const struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = {0x0100007f}};
    bool tls = is_tls(fetch->way);
    conn_options_init(&fetch->options);
    if (tls) {
        fetch->tls = netconn_tls_client(fetch->ca);
        if (!fetch->tls) {
            CHECK(netconn_tls_error()[0] != 0);
            return fetch_refused(fetch, "netconn_tls_client");
        }
    }
    fetch->loop = evloop_new();
    if (!fetch->loop) return fetch_refused(fetch, "evloop_new");
    fetch->patience = evloop_timer_start(fetch->loop, slow(10), 0, fetch_hangs, fetch);
    CHECK_PTR_NOT_NULL(fetch->patience);
    struct conn_options o = fetch->options;
    o.family = AF_INET;
    o.keepalive = 60;
    o.local_addr = (const struct sockaddr *)&from;
    o.local_addr_len = sizeof from;
    o.resolve_timeout = o.connect_timeout = o.tls_timeout = 0; /* whoever waits in vain hangs */
    fetch->options.tls_timeout = 0;
    fetch->options.use_tls = tls;
    fetch->options.tls = fetch->tls;
    if (fetch->way != STARTTLS) o.use_tls = tls, o.tls = fetch->tls, fetch->secure = tls;
    if (is_pooled(fetch->way)) {
        o.tls = NULL; /* a pool's connections have the default context */
        CHECK_INT(conn_set_default_options(&o), 0);
        CHECK_INT(conn_set_default_tls(fetch->tls), 0);
        fetch->pool = pconn_pool_new(fetch->loop);
        return fetch->pool ? fetch_acquire(fetch) : fetch_refused(fetch, "pconn_pool_new");
    }
    errno = 0;
    fetch->c = conn_new_with(fetch->loop, "localhost", fetch->port, &o, fetch_ready, fetch_failed, fetch);
    if (!fetch->c) return fetch_refused(fetch, "conn_new_with");
    return true;
}

/* True when all went well. */
static inline bool fetch(struct fetch *fetch) {
    *fetch = (struct fetch){.way = fetch->way, .port = fetch->port, .ca = fetch->ca, .file = fetch->file};
    if (fetch_begin(fetch)) {
        bool runs = true;
        if (fetch->way == EMBEDDED) runs = fetch_embedded(fetch);
        /* A wait that failed ends a run: the next one goes on. */
        else
            for (int i = 0; !fetch->closed && i < 3; i++) evloop_run(fetch->loop);
        if (runs && !fetch->closed) FAIL("no outcome: the state is %d", conn_get_state(fetch->c));
        if (runs && !fetch->good && fetch->ready + fetch->errors == 0) CHECK_PTR_NOT_NULL(fetch->of);
        if (fetch->closed) evloop_run(fetch->loop); /* what lingers */
    }
    pconn_pool_free(fetch->pool);
    evloop_free(fetch->loop);
    CHECK_INT(conn_set_default_options(NULL), 0);
    CHECK_INT(conn_set_default_tls(NULL), 0);
    netconn_tls_free(&fetch->tls);
    return fetch->good;
}

#endif

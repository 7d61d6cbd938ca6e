/* client.c - see client.h. */
#include "client.h"

#include "../harness.h"
#include "certs.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Running a loop -------------------------------------------------------------------------------------------------- */

struct guard {
    struct evloop_timer *timer;
    const char *file, *condition;
    int line;
};
/* Nested guards are a stack of the test's single loop thread. */
static struct guard guards[8];
static int guard_depth;

static void nothing_came(void *arg) {
    struct guard *guard = arg;
    test_fail(guard->file, guard->line, "waited in vain for: %s", guard->condition);
}

struct evloop_timer *run_guard(struct ev_loop *loop, const char *file, int line, const char *condition) {
    test_at(file, line);
    CHECK(guard_depth < 8);
    struct guard *guard = &guards[guard_depth++];
    *guard = (struct guard){.file = file, .line = line, .condition = condition};
    guard->timer = evloop_timer_start(loop, slow(20), 0, nothing_came, guard);
    CHECK(guard->timer != NULL);
    return guard->timer;
}

void run_unguard(struct evloop_timer *timer) {
    guard_depth--;
    evloop_timer_free(timer);
}

static void mark(void *flag) { *(bool *)flag = true; }

void run_rounds(struct ev_loop *loop) {
    for (int i = 0; i < 3; i++) {
        bool passed = false;
        /* Posted work runs in the next round, after that round has seen all fds that were ready. */
        CHECK_INT(evloop_post(loop, mark, &passed), 0);
        RUN_UNTIL(loop, passed);
    }
}

static void free_loop(void *loop) { evloop_free(loop); }

struct ev_loop *test_loop(void) {
    struct ev_loop *loop = evloop_new();
    CHECK(loop != NULL);
    at_end(free_loop, loop);
    return loop;
}

/* ---- Options --------------------------------------------------------------------------------------------------------- */

struct conn_options options(void) {
    struct conn_options o;
    memset(&o, 0xa5, sizeof o); /* what the init leaves out shows */
    conn_options_init(&o);
    return o;
}

static void free_context(void *ctx) {
    SocketTLSContext_T context = ctx;
    netconn_tls_free(&context);
}

SocketTLSContext_T tls_client_context(void) {
    SocketTLSContext_T ctx = netconn_tls_client(cert(CERT_CA));
    if (!ctx) FAIL("netconn_tls_client: %s", netconn_tls_error());
    at_end(free_context, ctx);
    return ctx;
}

struct conn_options tls_options(void) {
    struct conn_options o = options();
    o.use_tls = true;
    o.tls = tls_client_context();
    return o;
}

/* ---- The truth of the members ---------------------------------------------------------------------------------------- */

void check_members(struct net_conn *c) {
    CHECK_INT(conn_get_state(c), c->state);
    CHECK_PTR(conn_get_host(c), c->host);
    CHECK_PTR(conn_get_port(c), c->port);
    CHECK_INT(conn_get_use_tls(c), c->use_tls);
    CHECK(c->host != NULL);
    if (c->fd >= 0) CHECK_INT(conn_get_fd(c), c->fd);
    else CHECK_INT(conn_get_fd(c), -1);
    bool armed = c->connect_timer != NULL;
    switch (c->state) {
    case CONN_INIT:
        FAIL("a program never sees the state INIT");
    case CONN_RESOLVING:
        CHECK_INT(c->fd, -1);
        CHECK(c->ssl == NULL);
        CHECK(c->io_watcher == NULL);
        CHECK_INT(armed, false);
        break;
    case CONN_CONNECTING:
        CHECK(c->ssl == NULL);
        break;
    case CONN_TLS_HANDSHAKE:
        CHECK(c->fd >= 0);
        CHECK(c->use_tls); /* an adopted socket gets its ssl from the loop */
        break;
    case CONN_READY:
        CHECK(c->fd >= 0);
        CHECK_INT(c->ssl != NULL, c->use_tls);
        CHECK_INT(armed, false);
        CHECK_PTR_NULL(conn_get_error_msg(c));
        CHECK_INT(conn_get_error(c), CONN_ERR_NONE);
        CHECK_INT(conn_get_errno(c), 0);
        break;
    case CONN_CLOSED:
        CHECK_INT(armed, false);
        CHECK_INT(conn_get_error(c), CONN_ERR_NONE);
        break;
    case CONN_ERROR:
        CHECK_INT(armed, false);
        CHECK_PTR_NOT_NULL(conn_get_error_msg(c));
        CHECK(conn_get_error(c) != CONN_ERR_NONE);
        CHECK(conn_get_errno(c) != 0);
        break;
    default:
        FAIL("the state is %d", c->state);
    }
}

/* ---- A client -------------------------------------------------------------------------------------------------------- */

void client_on_ready(struct net_conn *c, void *arg) {
    struct client *client = arg;
    CHECK(!client->calling); /* never inside the call */
    if (!client->c) client->c = c;
    CHECK_PTR(c, client->c);
    CHECK_INT(client->ready, 0);
    CHECK_INT(client->errors, 0);
    client->ready++;
    CHECK_INT(c->state, CONN_READY);
    check_members(c);
    if (client->then_ready) client->then_ready(client);
}

void client_on_error(struct net_conn *c, void *arg) {
    struct client *client = arg;
    CHECK(!client->calling);
    if (!client->c) client->c = c;
    CHECK_PTR(c, client->c);
    CHECK_INT(client->errors, 0);
    client->errors++;
    CHECK_INT(c->state, CONN_ERROR);
    client->kind = conn_get_error(c);
    client->error = conn_get_errno(c);
    client->verify = conn_get_verify_result(c);
    snprintf(client->message, sizeof client->message, "%s", conn_get_error_msg(c) ? conn_get_error_msg(c) : "");
    check_members(c);
    CHECK(strchr(client->message, '\n') == NULL);
    if (client->ready == 0) { /* establishing failed: the socket is gone before we are told */
        CHECK_INT(c->fd, -1);
        CHECK(c->ssl == NULL);
        CHECK(c->io_watcher == NULL);
        CHECK(c->connect_timer == NULL);
    }
    if (client->then_error) client->then_error(client);
}

static void close_client(void *client) { client_close(client); }

struct client *client_new(struct ev_loop *loop) {
    struct client *client = alloc(sizeof *client);
    client->loop = loop;
    at_end(close_client, client);
    return client;
}

struct client *client_open(struct ev_loop *loop, const char *host, const char *port, const struct conn_options *o) {
    struct client *client = client_new(loop);
    client->calling = true;
    client->c = conn_new_with(loop, host, port, o, client_on_ready, client_on_error, client);
    client->calling = false;
    if (!client->c) FAIL("conn_new_with(%s, %s): %s", host, port ? port : "NULL", strerror(errno));
    check_members(client->c);
    return client;
}

struct client *client_adopt(struct ev_loop *loop, int fd, const struct conn_options *o) {
    struct client *client = client_new(loop);
    client->calling = true;
    client->c = conn_from_fd(loop, fd, o, client_on_ready, client_on_error, client);
    client->calling = false;
    if (!client->c) FAIL("conn_from_fd: %s", strerror(errno));
    check_members(client->c);
    return client;
}

void client_wait_ready(struct client *client) {
    RUN_UNTIL(client->loop, client->ready || client->errors);
    if (client->errors) FAIL("the connection failed: %s", client->message);
}

void client_wait_error(struct client *client) {
    RUN_UNTIL(client->loop, client->ready || client->errors);
    if (client->ready) FAIL("the connection became ready, and should have failed");
}

void client_close(struct client *client) {
    if (!client->c) return;
    struct net_conn *c = client->c;
    client->c = NULL;
    client->calling = true;
    conn_close(c);
    client->calling = false;
}

void client_check_failed(const char *file, int line, struct client *client, enum conn_error kind, int error) {
    test_at(file, line);
    if (client->errors != 1) test_fail(file, line, "on_error ran %d times", client->errors);
    if (client->kind != kind || client->error != error)
        test_fail(file, line, "failed with kind %d and errno %d (%s), expected %d and %d (%s); message: %s", client->kind,
                  client->error, strerror(client->error), kind, error, strerror(error), client->message);
    if (!client->c) return;
    /* All of it stays until the close. */
    if (conn_get_error(client->c) != kind || conn_get_errno(client->c) != error || conn_get_state(client->c) != CONN_ERROR)
        test_fail(file, line, "the getters no longer say what on_error was told");
    test_check_str(file, line, "conn_get_error_msg", conn_get_error_msg(client->c), client->message);
}

/* ---- Bytes ----------------------------------------------------------------------------------------------------------- */

static void note_event(struct net_conn *c, void *flag) {
    (void)c;
    *(bool *)flag = true;
}

void client_write(struct client *client, const void *buf, size_t len) {
    for (size_t put = 0; put < len;) {
        ssize_t n = conn_try_write(client->c, (const char *)buf + put, len - put);
        if (n > 0) {
            CHECK_CMP(n, <=, len - put);
            put += (size_t)n;
            continue;
        }
        if (n == 0 || errno != EAGAIN) FAIL("conn_try_write gave %zd after %zu bytes: %s", n, put, strerror(errno));
        bool writable = false;
        conn_set_writable_callback(client->c, note_event, &writable);
        RUN_UNTIL(client->loop, writable);
        conn_set_writable_callback(client->c, NULL, NULL);
    }
}

ssize_t client_read_some(struct client *client, void *buf, size_t len) {
    for (;;) {
        ssize_t n = conn_try_read(client->c, buf, len);
        if (n >= 0 || errno != EAGAIN) return n;
        bool readable = false;
        conn_set_readable_callback(client->c, note_event, &readable);
        RUN_UNTIL(client->loop, readable);
        conn_set_readable_callback(client->c, NULL, NULL);
    }
}

void client_read(struct client *client, void *buf, size_t len) {
    for (size_t got = 0; got < len;) {
        ssize_t n = client_read_some(client, (char *)buf + got, len - got);
        if (n <= 0) FAIL("conn_try_read gave %zd after %zu of %zu bytes: %s", n, got, len, n ? strerror(errno) : "the end");
        CHECK_CMP(n, <=, len - got);
        got += (size_t)n;
    }
}

void client_echo(struct client *client, const char *text) {
    char back[1024];
    size_t len = strlen(text);
    CHECK(len <= sizeof back);
    client_write(client, text, len);
    client_read(client, back, len);
    CHECK_MEM(back, text, len);
}

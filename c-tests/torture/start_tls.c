/*
 * STARTTLS with each system call of it made to fail in turn, with each errno that it may have: the handshake goes through, or
 * there is one clear error; no crash, no hang, no descriptor left.
 */
#include "calls.h"

#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "../support/upgrade.h"

#include <openssl/err.h>

static const struct {
    enum call call;
    int errors[10];
} faults[] = {
    {RECV, {ECONNRESET, ENOMEM, ENOBUFS, EIO, ETIMEDOUT, EINTR, EAGAIN}},
    {SEND, {EPIPE, ECONNRESET, ENOBUFS, ENOMEM, EIO, ETIMEDOUT, EINTR, EAGAIN}},
    {EPOLL_CTL, {ENOMEM, ENOSPC}},
    {EPOLL_WAIT, {EINTR}},
    {SHUTDOWN, {ENOBUFS, ENOTCONN}},
    {CLOSE, {EIO, EINTR}},
};

static bool is_harmless(enum call call, int error) {
    return call == CLOSE || error == EINTR || error == EAGAIN;
}

static void agree_and_echo(struct peer_conn *pc) {
    char ask[4];
    if (recv(pc->fd, ask, sizeof ask, MSG_WAITALL) != sizeof ask) return;
    if (send(pc->fd, "go\r\n", 4, MSG_NOSIGNAL) != 4) return;
    if (SSL_accept(pc->ssl) == 1) serve_echo(pc);
    else pc->ended = true;
    ERR_clear_error();
}

/* From the agreement to an echo and the close, with the nth call failing; whether it came to that call. */
static bool misfortune_of(const char *port, const struct conn_options *t, enum call call, int error, int nth) {
    struct ev_loop *loop = evloop_new();
    struct conn_options o = options();
    struct client *plain = client_open(loop, "localhost", port, &o);
    client_wait_ready(plain);
    char back[5];
    client_write(plain, "ask\n", 4);
    client_read(plain, back, 4);

    arm(call, error, nth, false);
    struct client *client = start_tls(plain, t);
    RUN_UNTIL(loop, client->ready + client->errors > 0);
    if (client->ready) {
        size_t got = 0, put = 0;
        while (!client->errors && got < 5) {
            ssize_t n = put < 5 ? conn_try_write(client->c, "hello" + put, 5 - put) : 0;
            if (n > 0) put += (size_t)n;
            n = conn_try_read(client->c, back + got, 5 - got);
            if (n > 0) got += (size_t)n;
            if (n == 0) FAIL("an end that nobody sent");
            if (evloop_run_once(loop, 5) < 0) CHECK_INT(errno, error);
        }
        if (!client->errors) CHECK_MEM(back, "hello", 5);
    }
    if (client->errors && is_harmless(call, error)) FAIL("%s: %s", call_names[call], client->message);
    if (client->errors) {
        CHECK(client->message[0] != 0);
        CHECK(client->kind == CONN_ERR_IO || client->kind == CONN_ERR_TLS || client->kind == CONN_ERR_RESOURCE || client->kind == CONN_ERR_TIMEOUT);
    }
    client_close(client);
    evloop_run(loop);
    bool hit = disarm();
    evloop_free(loop);
    return hit;
}

BOTH_VERSIONS(each_system_call_fails) {
    TEST_LIMIT(slow(60));
    const char *port = peer_process(&(struct peer_options){.cert = CERT_GOOD, .key = CERT_GOOD_KEY, .min_version = version,
                                                           .max_version = version, .no_handshake = true, .serve = agree_and_echo});
    struct conn_options t = tls_options();
    CHECK_INT(netconn_tls_set_session_reuse(t.tls, false), 0);
    misfortune_of(port, &t, CALLS, 0, 0); /* opens what is kept */
    int fds = fd_count();
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        for (size_t j = 0; faults[i].errors[j]; j++) {
            int nth = 1;
            while (misfortune_of(port, &t, faults[i].call, faults[i].errors[j], nth) && nth < 30) nth++;
            if (faults[i].call == RECV || faults[i].call == SEND || faults[i].call == CLOSE) CHECK_CMP(nth, >, 1);
            CHECK_NO_NEW_FDS(fds);
        }
    }
}

TEST_MAIN

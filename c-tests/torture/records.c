/*
 * The bytes of a TLS connection cut off after each one of them, in both directions, with FIN and with RST, and each one
 * of them changed: there is exactly one outcome, of the right kind, and nothing is left behind.
 */
#include "echo.h"

#include "../support/certs.h"
#include "../support/peers.h"
#include "../support/transports.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- A man in the middle --------------------------------------------------------------------------------------------------- */

enum deed { PASS, CUT, RESET, CHANGE };

struct middle {
    struct peer *server;
    enum deed deed;
    int direction; /* 0: from the client; 1: from the server */
    size_t at;     /* the deed is done to the byte at this position */
    size_t passed[2];
};

static int connect_to(struct peer *peer) {
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)peer_port_number(peer))};
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_INT(connect(fd, (struct sockaddr *)&where, sizeof where), 0);
    CHECK_INT(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    return fd;
}

/* Passes on what is there; false: this direction is over. */
static bool pass(struct middle *middle, int direction, int from, int to) {
    unsigned char buf[4096];
    ssize_t n = recv(from, buf, sizeof buf, 0);
    if (n <= 0) {
        shutdown(to, SHUT_WR);
        return false;
    }
    size_t start = middle->passed[direction], count = (size_t)n;
    bool now = direction == middle->direction && middle->at >= start && middle->at < start + count;
    if (now && middle->deed == CHANGE) buf[middle->at - start] ^= 0x01;
    bool over = now && (middle->deed == CUT || middle->deed == RESET);
    if (over) count = middle->at - start;
    middle->passed[direction] += count;
    if (send(to, buf, count, MSG_NOSIGNAL) != (ssize_t)count) return false;
    if (over && middle->deed == CUT) shutdown(to, SHUT_WR);
    return !over;
}

static void serve_middle(struct peer_conn *pc) {
    struct middle *middle = pc->arg;
    middle->passed[0] = middle->passed[1] = 0;
    int server = connect_to(middle->server);
    struct pollfd both[2] = {{pc->fd, POLLIN, 0}, {server, POLLIN, 0}};
    bool reset = false;
    while ((both[0].fd >= 0 || both[1].fd >= 0) && !reset) {
        if (poll(both, 2, -1) < 0) continue;
        for (int d = 0; d < 2; d++) {
            if (both[d].revents && !pass(middle, d, d ? server : pc->fd, d ? pc->fd : server)) {
                both[d].fd = -1;
                reset |= middle->deed == RESET && d == middle->direction;
            }
            both[d].revents = 0;
        }
    }
    close(server);
    if (reset) peer_reset(pc);
}

/* ---- The torture --------------------------------------------------------------------------------------------------------- */

static bool is_possible(const struct echo_life *life, enum deed deed) {
    switch (life->kind) {
    case CONN_ERR_TLS:
        return life->error == EPROTO || life->error == ECONNRESET;
    case CONN_ERR_CERTIFICATE:
        return deed == CHANGE && life->error == EPROTO;
    case CONN_ERR_IO: /* once READY, a reset is the socket's own affair */
        return life->ready && deed != PASS && (life->error == ECONNRESET || life->error == EPIPE);
    case CONN_ERR_TIMEOUT: /* a changed length: both wait for bytes that nobody has */
        return deed == CHANGE && life->error == ETIMEDOUT;
    default:
        return false;
    }
}

static void torture(int version, enum deed deed, int step) {
    TEST_LIMIT(250);
    struct middle middle = {.server = TLS_PEER(version), .deed = PASS};
    struct peer *peer = PEER(.serve = serve_middle, .arg = &middle);
    struct conn_options o = tls_options();
    CHECK_INT(netconn_tls_set_session_reuse(o.tls, false), 0); /* each handshake is a whole one */
    int fds = fd_count();
    struct echo_life life = {.seconds = 0};
    CHECK(live_echo(peer_port(peer), &o, &life));
    wait_for_fds(fds);
    /* An ECDSA signature's length varies, and with it that of the whole. */
    size_t length[2] = {middle.passed[0], middle.passed[1]};
    /* Where both sides wait for what was promised by a changed length, and the peer would do so for ever. */
    if (deed == CHANGE) o.tls_timeout = life.seconds = slow(0.5);
    middle.deed = deed;
    for (middle.direction = 0; middle.direction < 2; middle.direction++) {
        for (middle.at = 0; middle.at + 8 < length[middle.direction]; middle.at += (size_t)step) {
            size_t at = middle.at;
            bool good = live_echo(peer_port(peer), &o, &life);
            if (!good && !(deed == CHANGE && life.gave_up) && !is_possible(&life, deed))
                FAIL("byte %zu from the %s: kind %d, errno \"%s\"%s", at, middle.direction ? "server" : "client", life.kind,
                     strerror(life.error), life.ready ? ", after READY" : "");
            /* What the client never got cannot have come back, nor be the end. */
            if (good && deed != CHANGE && middle.direction == 1) FAIL("all went well without the server's bytes from %zu on", at);
            wait_for_fds(fds);
        }
    }
}

BOTH_VERSIONS(cut_off_after_each_byte) { torture(version, CUT, small(1, 97)); }
BOTH_VERSIONS(reset_after_each_byte) { torture(version, RESET, small(3, 131)); }
BOTH_VERSIONS(each_byte_changed) { torture(version, CHANGE, small(7, 211)); }

TEST_MAIN

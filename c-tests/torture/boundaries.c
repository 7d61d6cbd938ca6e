/*
 * Every byte boundary of a TLS connection's life: the stream is cut there, with FIN or with RST, or what follows comes after
 * the receiver has looked at what was before. Both ends are ours, client and server on one loop, and what lies between them
 * is in this program, too; nothing is waited for but events.
 *
 * The lives: a whole handshake, one with a client certificate, one after a HelloRetryRequest, a resumed one with new tickets,
 * one with early data, one with key updates in both directions; each with a message there and back and close_notify from both sides. (records.c
 * does the like against OpenSSL's own server.)
 */
#include "../harness.h"
#include "../support/client.h"
#include "../support/heap.h"
#include "../support/transports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- What lies between ----------------------------------------------------------------------------------------------- */

enum deed { PASS, CUT, RESET, DELAY, TRICKLE };
enum direction { FROM_CLIENT, FROM_SERVER };

struct wire {
    struct ev_loop *loop;
    int fds[2]; /* by the direction that is read here; -1: closed */
    int far[2]; /* the other ends, which are the connections' own */
    struct evloop_io *watch[2];
    enum deed deed;
    enum direction direction;
    size_t at; /* the deed is done before this byte of the direction */
    size_t passed[2], rest_of_record[2];
    bool over[2];
    /* What became of it. */
    bool done, between_records;
    /* Of DELAY and TRICKLE: */
    unsigned char held[32 * 1024];
    size_t held_size, held_at;
    bool posted;
};

static void forward(struct wire *wire, int d, const unsigned char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) {
        /* Five bytes of header, of which the last two are the length of what follows. */
        size_t *rest = &wire->rest_of_record[d];
        static unsigned char high[2];
        if (*rest == 0) *rest = 1u << 20 | 5;
        --*rest;
        if (*rest == (1u << 20 | 1)) high[d] = bytes[i];
        if (*rest == 1u << 20) *rest = (size_t)high[d] << 8 | bytes[i];
    }
    wire->passed[d] += size;
    /* Whoever is gone does not get it. */
    if (size > 0 && send(wire->fds[!d], bytes, size, MSG_NOSIGNAL) < 0) CHECK(errno == EPIPE || errno == ECONNRESET);
}

/* With RST where it is TCP: no TIME_WAIT stays behind of thousands. */
static void close_wire(struct wire *wire) {
    struct linger linger = {1, 0};
    for (int d = 0; d < 2; d++) {
        if (wire->fds[d] >= 0) CHECK_INT(setsockopt(wire->fds[d], SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
        evloop_io_free(wire->watch[d]);
        wire->watch[d] = NULL;
        if (wire->fds[d] >= 0) close(wire->fds[d]);
        wire->fds[d] = -1;
    }
}

/* A round later: the receiver has had what was sent before. */
static void send_held(void *arg) {
    struct wire *wire = arg;
    wire->posted = false;
    if (wire->fds[0] < 0 || wire->held_size == 0) return;
    enum direction d = wire->direction;
    int unread = 0;
    if (wire->far[!d] >= 0) CHECK_INT(ioctl(wire->far[!d], FIONREAD, &unread), 0);
    if (unread > 0) { /* TCP may have let it wait for a moment */
        wire->posted = true;
        CHECK_INT(evloop_post(wire->loop, send_held, wire), 0);
        return;
    }
    size_t size = wire->deed == TRICKLE ? 1 : wire->held_size - wire->held_at;
    forward(wire, d, wire->held + wire->held_at, size);
    wire->held_at += size;
    if (wire->held_at < wire->held_size) {
        wire->posted = true;
        CHECK_INT(evloop_post(wire->loop, send_held, wire), 0);
        return;
    }
    wire->held_at = wire->held_size = 0;
    evloop_io_update(wire->watch[d], EVLOOP_READ);
}

static void do_deed(struct wire *wire, const unsigned char *bytes, size_t size, size_t before) {
    enum direction d = wire->direction;
    wire->done = true;
    if (wire->deed == TRICKLE) before = 1;
    forward(wire, d, bytes, before);
    wire->between_records = wire->rest_of_record[d] == 0;
    switch (wire->deed) {
    case CUT:
        CHECK(shutdown(wire->fds[!d], SHUT_WR) == 0 || errno == ENOTCONN);
        wire->over[d] = true;
        break;
    case RESET:
        close_wire(wire);
        break;
    default:
        if (before == size) return;
        memcpy(wire->held, bytes + before, size - before);
        wire->held_size = size - before;
        evloop_io_update(wire->watch[d], 0);
        wire->posted = true;
        CHECK_INT(evloop_post(wire->loop, send_held, wire), 0);
    }
}

static void on_wire(int fd, int events, void *arg) {
    (void)events;
    struct wire *wire = arg;
    enum direction d = fd == wire->fds[FROM_CLIENT] ? FROM_CLIENT : FROM_SERVER;
    unsigned char bytes[sizeof wire->held];
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        if (!wire->over[d]) shutdown(wire->fds[!d], SHUT_WR);
        wire->over[d] = true;
        evloop_io_stop(wire->watch[d]);
        return;
    }
    size_t size = (size_t)n, from = wire->passed[d];
    if (wire->over[d]) return; /* what comes after the cut */
    bool now = wire->deed != PASS && d == wire->direction;
    if (wire->deed == TRICKLE) now = now && size > 1;
    else now = now && !wire->done && wire->at >= from && wire->at < from + size;
    if (now) do_deed(wire, bytes, size, wire->at - from);
    else forward(wire, d, bytes, size);
}

/* ---- The two ends ------------------------------------------------------------------------------------------------------ */

static const char text[] = "from here to there and back again";
enum { LENGTH = sizeof text - 1 };

struct side {
    struct life *life;
    struct net_conn *c;
    bool is_server;
    int ready, errors;
    bool ended; /* the peer's close_notify was read */
    bool resumed;
    size_t got;
    enum conn_error kind;
    int error;
    char message[300];
};

struct life {
    struct wire wire;
    struct side sides[2]; /* by the direction of what they send */
    bool key_updates, early;
    size_t ready_at[2]; /* bytes of each direction when both sides were READY */
};

static void close_side(struct side *side) {
    conn_close(side->c);
    side->c = NULL;
    side->life->wire.far[side->is_server] = -1;
}

static void on_failed(struct net_conn *c, void *arg) {
    struct side *side = arg;
    CHECK_PTR(c, side->c);
    CHECK_INT(++side->errors, 1);
    side->kind = conn_get_error(c);
    side->error = conn_get_errno(c);
    snprintf(side->message, sizeof side->message, "%s", conn_get_error_msg(c));
    CHECK(side->message[0] != 0 && strchr(side->message, '\n') == NULL);
    check_members(c);
    close_side(side);
}

static void ask_for_new_keys(struct side *side) {
    if (side->life->key_updates) CHECK_INT(SSL_key_update((SSL *)side->c->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
}

static void on_readable(struct net_conn *c, void *arg) {
    struct side *side = arg;
    char buf[256];
    CHECK_PTR(c, side->c);
    ssize_t n = conn_try_read(c, buf, sizeof buf);
    if (n < 0) {
        CHECK(errno == EAGAIN || conn_get_state(c) == CONN_ERROR); /* of which on_error tells */
        return;
    }
    if (n == 0) {
        side->ended = true;
        close_side(side);
        return;
    }
    CHECK(side->got + (size_t)n <= LENGTH);
    CHECK_MEM(buf, text + side->got, (size_t)n);
    if (side->is_server) {
        if (side->got == 0) ask_for_new_keys(side);
        if (conn_try_write(c, buf, (size_t)n) != n) CHECK_INT(conn_get_state(c), CONN_ERROR);
    }
    side->got += (size_t)n;
    if (!side->is_server && side->got == LENGTH) CHECK(conn_shutdown(c) == 0 || conn_get_state(c) == CONN_ERROR);
}

static void on_ready(struct net_conn *c, void *arg) {
    struct side *side = arg;
    struct life *life = side->life;
    CHECK_PTR(c, side->c);
    CHECK_INT(++side->ready, 1);
    CHECK_INT(side->errors, 0);
    side->resumed = conn_session_reused(c);
    conn_set_readable_callback(c, on_readable, side);
    if (life->sides[!side->is_server].ready)
        for (int d = 0; d < 2; d++) life->ready_at[d] = life->wire.passed[d];
    if (side->is_server) return;
    if (life->early) { /* it has been sent, or will be */
        /* (What a life that was cut has left is no longer known to the server: the one after it begins anew.) */
        if (life->wire.deed != PASS) CHECK_INT(conn_early_data_accepted(c), true);
        return;
    }
    ask_for_new_keys(side);
    if (conn_try_write(c, text, LENGTH) != LENGTH) CHECK_INT(conn_get_state(c), CONN_ERROR);
}

/* ---- One life ---------------------------------------------------------------------------------------------------------- */

struct setting {
    struct ev_loop *loop;
    struct conn_options options[2];
    bool key_updates, resumes, early, tcp;
    int listener;
    struct sockaddr_in where;
};

/*
 * Unix sockets know no RST; else they are as good, and what was sent has arrived. A session is resumed where host and port
 * are those of before: for these, one listener.
 */
static void pair(const struct setting *setting, int fds[2], bool tcp) {
    if (!tcp) {
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        return;
    }
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fds[0] >= 0);
    CHECK_INT(connect(fds[0], (struct sockaddr *)&setting->where, sizeof setting->where), 0);
    fds[1] = accept4(setting->listener, NULL, NULL, SOCK_CLOEXEC);
    int on = 1; /* a second small piece would wait for the first one's acknowledgement */
    CHECK_INT(setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
}

static void close_fd(void *fd) { close((int)(intptr_t)fd); }

static void listen_for(struct setting *setting) {
    socklen_t len = sizeof setting->where;
    setting->where = (struct sockaddr_in){.sin_family = AF_INET};
    setting->where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setting->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(setting->listener >= 0);
    CHECK_INT(bind(setting->listener, (struct sockaddr *)&setting->where, len), 0);
    CHECK_INT(listen(setting->listener, 4), 0);
    CHECK_INT(getsockname(setting->listener, (struct sockaddr *)&setting->where, &len), 0);
    at_end(close_fd, (void *)(intptr_t)setting->listener);
}

static void live(const struct setting *setting, struct life *life, enum deed deed, enum direction direction, size_t at) {
    *life = (struct life){.wire = {.loop = setting->loop, .deed = deed, .direction = direction, .at = at},
                          .key_updates = setting->key_updates, .early = setting->early};
    for (int d = 0; d < 2; d++) {
        struct side *side = &life->sides[d];
        int fds[2];
        pair(setting, fds, deed == RESET || setting->tcp);
        life->wire.fds[d] = fds[1];
        life->wire.far[d] = fds[0];
        *side = (struct side){.life = life, .is_server = d == FROM_SERVER};
        life->wire.watch[d] = evloop_io_start(setting->loop, fds[1], EVLOOP_READ, on_wire, &life->wire);
        CHECK_PTR_NOT_NULL(life->wire.watch[d]);
        side->c = conn_from_fd(setting->loop, fds[0], &setting->options[d], on_ready, on_failed, side);
        CHECK_PTR_NOT_NULL(side->c);
    }
    RUN_UNTIL(setting->loop, !life->sides[0].c && !life->sides[1].c);
    close_wire(&life->wire);
    while (life->wire.posted) CHECK_CMP(evloop_run_once(setting->loop, 0), >=, 0);
    evloop_run(setting->loop); /* what lingers */
}

static bool went_well(const struct side *side) {
    return side->ready == 1 && side->errors == 0 && side->ended && side->got == LENGTH;
}

static const char *story(const struct life *life) {
    static char line[1200];
    const struct side *client = &life->sides[0], *server = &life->sides[1];
    static const char *const deeds[] = {"passed", "cut", "reset", "delayed", "trickled"};
    snprintf(line, sizeof line, "%s %s byte %zu from the %s; client: %s, kind %d, errno \"%s\", \"%s\"; server: %s, kind %d, errno \"%s\", \"%s\"",
             deeds[life->wire.deed], life->wire.done ? "before" : "without reaching", life->wire.at, life->wire.direction ? "server" : "client",
             client->ready ? client->ended ? "ended" : "READY" : "not READY", client->kind, strerror(client->error), client->message,
             server->ready ? server->ended ? "ended" : "READY" : "not READY", server->kind, strerror(server->error), server->message);
    return line;
}

/* What a side says of a stream that stopped in the middle. */
static bool says_so(const struct side *side, enum deed deed) {
    if (side->errors != 1 || side->ended) return false;
    if (!side->ready) return side->kind == CONN_ERR_TLS && side->error == ECONNRESET && strstr(side->message, "during the handshake");
    if (deed == RESET) return side->kind == CONN_ERR_IO && (side->error == ECONNRESET || side->error == EPIPE);
    return side->kind == CONN_ERR_TLS && side->error == ECONNRESET && strstr(side->message, "truncated");
}

/* The sender of what was cut: its socket may fail as it writes, or the receiver, having given up, has said goodbye to it. */
static bool gave_up_too(const struct side *side, enum deed deed) {
    if (went_well(side) || (side->ready && side->ended && side->errors == 0)) return true;
    return says_so(side, deed) || says_so(side, RESET);
}

static void judge(const struct setting *setting, const struct life *life, enum deed deed) {
    const struct side *receiver = &life->sides[!life->wire.direction], *sender = &life->sides[life->wire.direction];
    bool stops = (deed == CUT || deed == RESET) && life->wire.done;
    for (int d = 0; d < 2; d++) {
        const struct side *side = &life->sides[d];
        CHECK_CMP(side->ready + side->errors, >, 0);
        if (!stops && !went_well(side)) FAIL("not well: %s", story(life));
        if (side->ready && side->resumed != setting->resumes) FAIL("%s a session: %s", side->resumed ? "resumed" : "did not resume", story(life));
    }
    if (!stops) return;
    if (setting->options[!life->wire.direction].allow_truncation && receiver->ready && life->wire.between_records && deed == CUT) {
        if (receiver->errors || !receiver->ended) FAIL("no end where one was allowed: %s", story(life));
    } else if (!says_so(receiver, deed)) {
        FAIL("the receiver: %s", story(life));
    }
    if (!gave_up_too(sender, deed)) FAIL("the sender: %s", story(life));
}

/* ---- The torture ------------------------------------------------------------------------------------------------------- */

enum kind { WHOLE, CLIENT_CERTIFICATE, HELLO_RETRY, RESUMED, EARLY_DATA, KEY_UPDATES, TRUNCATION_ALLOWED };

static void free_context(void *context) { netconn_tls_free(&(SocketTLSContext_T){context}); }

static struct setting make_setting(int version, enum kind kind) {
    NEEDS_TLS();
    bool resumes = kind == RESUMED || kind == EARLY_DATA;
    struct setting setting = {.loop = test_loop(), .tcp = resumes, .resumes = resumes, .key_updates = kind == KEY_UPDATES};
    struct conn_options *client = &setting.options[FROM_CLIENT], *server = &setting.options[FROM_SERVER];
    *client = tls_options();
    client->server_name = "localhost";
    *server = options();
    server->use_tls = server->server_side = true;
    server->tls = netconn_tls_server(cert(CERT_GOOD), cert(CERT_GOOD_KEY), kind == CLIENT_CERTIFICATE ? cert(CERT_CA) : NULL);
    if (!server->tls) FAIL("netconn_tls_server: %s", netconn_tls_error());
    at_end(free_context, server->tls);
    if (kind == CLIENT_CERTIFICATE) CHECK_INT(netconn_tls_load_certificate(client->tls, cert(CERT_CLIENT), cert(CERT_CLIENT_KEY)), 0);
    for (int d = 0; d < 2; d++) {
        struct conn_options *o = &setting.options[d];
        CHECK_INT(netconn_tls_set_versions(o->tls, version, version), 0);
        CHECK_INT(netconn_tls_set_session_reuse(o->tls, resumes), 0);
        o->tls_timeout = 0; /* whoever waits in vain hangs, and fails the test */
        o->allow_truncation = kind == TRUNCATION_ALLOWED;
    }
    if (kind == EARLY_DATA) {
        CHECK_INT(netconn_tls_enable_early_data(server->tls, 0), 0);
        SSL_CTX_sess_set_cache_size((SSL_CTX *)netconn_tls_ssl_ctx(server->tls), 8); /* it would keep thousands for later */
    }
    listen_for(&setting);
    /* The client guesses X25519, and is told to think again. */
    if (kind == HELLO_RETRY) CHECK_INT(SSL_CTX_set1_groups_list((SSL_CTX *)netconn_tls_ssl_ctx(server->tls), "P-384"), 1);
    return setting;
}

/* `step` for each deed; 0: not this one. */
struct plan {
    int cut, reset, delay;
};

static void torture(int version, enum kind kind, struct plan plan) {
    TEST_LIMIT(250);
    struct setting setting = make_setting(version, kind);
    static struct life life;
    size_t length[2], ready_at[2];
    if (setting.resumes) { /* the first of all is not */
        live(&setting, &life, PASS, 0, 0);
        CHECK(!life.sides[0].resumed && went_well(&life.sides[0]) && went_well(&life.sides[1]));
    }
    if (kind == EARLY_DATA) {
        setting.early = true;
        setting.options[FROM_CLIENT].early_data = text;
        setting.options[FROM_CLIENT].early_data_len = LENGTH;
    }
    live(&setting, &life, PASS, 0, 0);
    judge(&setting, &life, PASS);
    /* A signature's length varies by a few bytes, and with it that of the whole. */
    for (int d = 0; d < 2; d++) length[d] = life.wire.passed[d], ready_at[d] = life.ready_at[d];
    for (int d = 0; d < 2; d++) {
        live(&setting, &life, TRICKLE, d, 0);
        judge(&setting, &life, TRICKLE);
        CHECK(life.wire.done);
    }
    int fds = fd_count(), lives = 0, deeds = 0;
    long heap = 0;
    const int steps[] = {0, plan.cut, plan.reset, plan.delay};
    bool only_after = kind == KEY_UPDATES || kind == TRUNCATION_ALLOWED;
    for (enum deed deed = CUT; deed <= DELAY; deed++) {
        for (int d = 0; d < 2 && steps[deed]; d++) {
            for (size_t at = only_after ? ready_at[d] - 100 : 0; at < length[d]; at += (size_t)steps[deed]) {
                if (setting.resumes) live(&setting, &life, PASS, 0, 0); /* leaves a session */
                live(&setting, &life, deed, d, at);
                judge(&setting, &life, deed);
                deeds += life.wire.done;
                lives++;
            }
        }
        if (deed == CUT) heap = heap_in_use(); /* what a process keeps for good has come */
    }
    CHECK_NO_NEW_FDS(fds);
    /* A thread's list of at most 1,024 TLS streams drops those that are gone as others come. */
    CHECK_HEAP(heap, 1024 * 48);
    CHECK_CMP(deeds, >=, lives - 40); /* but for a few at the very end */
}

static struct plan every_byte(void) { return (struct plan){load(1, 9, 151), load(1, 13, 211), load(1, 9, 151)}; }
/* What differs is in few of the bytes; a reset is a cut to all of OpenSSL. */
static struct plan most_bytes(void) { return (struct plan){load(1, 17, 211), load(5, 29, 307), load(1, 17, 211)}; }

BOTH_VERSIONS(whole) { torture(version, WHOLE, every_byte()); }
BOTH_VERSIONS(with_a_client_certificate) { torture(version, CLIENT_CERTIFICATE, most_bytes()); }
TEST(after_a_hello_retry_request) { torture(TLS1_3_VERSION, HELLO_RETRY, most_bytes()); }
BOTH_VERSIONS(resumed) { torture(version, RESUMED, most_bytes()); }
TEST(with_early_data) { torture(TLS1_3_VERSION, EARLY_DATA, most_bytes()); }
TEST(with_key_updates) { torture(TLS1_3_VERSION, KEY_UPDATES, (struct plan){load(1, 5, 23), load(1, 7, 31), load(1, 5, 23)}); }
/* There an end of the stream counts, between two records alone. */
BOTH_VERSIONS(truncation_allowed) { torture(version, TRUNCATION_ALLOWED, (struct plan){load(1, 1, 5), load(1, 3, 31), 0}); }

HEAP_TEST_MAIN

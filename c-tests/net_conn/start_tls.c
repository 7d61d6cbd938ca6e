/* conn_start_tls: TLS on a connection that talked in plain text, as SMTP and IMAP do it, on the client's and the server's side. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "../support/upgrade.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- A peer that agrees on TLS and then speaks it -------------------------------------------------------------------- */

enum { ASK = 10, ANSWER = 8 };
#define ASK_TEXT "STARTTLS\r\n"
#define ANSWER_TEXT "220 go\r\n"

static bool read_plain(int fd, char *buf, size_t len) {
    for (size_t got = 0; got < len;) {
        ssize_t n = recv(fd, buf + got, len - got, 0);
        if (n <= 0) return false;
        got += (size_t)n;
    }
    return true;
}

static void agree(struct peer_conn *pc) {
    char ask[ASK];
    if (!read_plain(pc->fd, ask, ASK)) return;
    CHECK_MEM(ask, ASK_TEXT, ASK);
    CHECK_INT(send(pc->fd, ANSWER_TEXT, ANSWER, MSG_NOSIGNAL), ANSWER);
}

static void serve_after_agreeing(struct peer_conn *pc) {
    agree(pc);
    if (SSL_accept(pc->ssl) == 1) {
        serve_echo(pc);
        return;
    }
    ERR_clear_error();
    pc->ended = true;
    shutdown(pc->fd, SHUT_WR);
    char buf[256];
    while (recv(pc->fd, buf, sizeof buf, 0) > 0) {}
}

#define AGREEING_PEER(version, ...) TLS_PEER(version, .no_handshake = true, .serve = serve_after_agreeing, __VA_ARGS__)

static void ask(struct client *client) {
    char answer[ANSWER];
    client_write(client, ASK_TEXT, ASK);
    client_read(client, answer, ANSWER);
    CHECK_MEM(answer, ANSWER_TEXT, ANSWER);
}

/* READY in plain text at a host that speaks, and the agreement made. */
static struct client *asked(struct ev_loop *loop, const char *host, struct peer *peer) {
    struct conn_options o = options();
    struct client *client = client_open(loop, host, peer_port(peer), &o);
    client_wait_ready(client);
    CHECK(!client->c->use_tls);
    ask(client);
    return client;
}

BOTH_VERSIONS(a_client_goes_to_tls) {
    struct conn_options o = tls_options();
    struct client *plain = asked(test_loop(), "localhost", AGREEING_PEER(version));
    uint64_t before = conn_get_timing(plain->c)->total, connect = conn_get_timing(plain->c)->connect;
    int fd = plain->c->fd;
    CHECK_INT(conn_get_timing(plain->c)->tls, 0);
    struct client *client = start_tls(plain, &o);
    client_wait_ready(client);
    CHECK_INT(client->c->fd, fd);
    CHECK_STR(conn_get_tls_version(client->c), version_name(version));
    CHECK_INT(conn_get_verify_result(client->c), X509_V_OK);
    CHECK(client->c->ssl != NULL);
    CHECK_INT(SSL_get_fd(client->c->ssl), fd);
    const struct conn_timing *timing = conn_get_timing(client->c);
    CHECK_CMP(timing->tls, >, 0);
    CHECK_INT(timing->connect, connect);
    CHECK_INT(timing->total, before + timing->tls);
    CHECK_INT(timing->attempts >= 1, true);
    client_echo(client, "now in secret");
    CHECK_ERRNO(conn_start_tls(client->c, &o, NULL, NULL, NULL), EISCONN); /* once is enough */
    client_echo(client, "and still");
    CHECK_INT(conn_shutdown(client->c), 0);
    char byte;
    CHECK_INT(client_read_some(client, &byte, 1), 0);
    RUN_UNTIL(client->loop, conn_get_state(client->c) == CONN_CLOSED);
}

/* The name to verify is the host, a literal too, where the options name none; NULL options are the default ones. */
BOTH_VERSIONS(the_host_is_verified) {
    CHECK_INT(conn_set_default_tls(tls_client_context()), 0);
    static const char *const hosts[] = {"localhost", "127.0.0.1", "[127.0.0.1]"};
    for (int i = 0; i < 2; i++) {
        struct client *client = start_tls(asked(test_loop(), hosts[i], AGREEING_PEER(version)), NULL);
        client_wait_ready(client);
        CHECK_INT(conn_get_verify_result(client->c), X509_V_OK);
        client_echo(client, "verified");
    }
    CHECK_INT(conn_set_default_tls(NULL), 0);
}

BOTH_VERSIONS(a_wrong_name_is_refused) {
    struct conn_options o = tls_options();
    o.server_name = "elsewhere.example";
    struct peer *peer = AGREEING_PEER(version);
    int fds = fd_count();
    struct ev_loop *loop = evloop_new();
    struct client *client = start_tls(asked(loop, "localhost", peer), &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_CERTIFICATE, EPROTO);
    CHECK_CONTAINS(client->message, "not for elsewhere.example");
    char byte;
    CHECK_ERRNO(conn_try_read(client->c, &byte, 1), ENOTCONN);
    CHECK_ERRNO(conn_start_tls(client->c, &o, NULL, NULL, NULL), ENOTCONN);
    CHECK_ERRNO(conn_detach(client->c), ENOTCONN);
    client_close(client);
    evloop_free(loop);
    peer_join(peer);
    CHECK_NO_NEW_FDS(fds);
}

TEST(the_certificate_of_another_host_is_refused_by_the_host_alone) {
    struct conn_options o = tls_options();
    struct peer *peer = PEER(.cert = "wrong-name.pem", .key = "wrong-name.key", .no_handshake = true, .serve = serve_after_agreeing);
    struct client *client = start_tls(asked(test_loop(), "localhost", peer), &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_CERTIFICATE, EPROTO);
    CHECK_CONTAINS(client->message, "not for localhost");
}

/* ---- What is in the kernel when TLS begins ------------------------------------------------------------------------------ */

/* A TLS client of OpenSSL's whose hello is sent together with the command that asks for TLS. */
struct eager {
    int fd;
    const char *before; /* plain text in front of the hello */
    bool done;
};

static void *eager_client(void *arg) {
    struct eager *eager = arg;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, out);
    char buf[8192];
    size_t n = strlen(eager->before);
    memcpy(buf, eager->before, n);
    CHECK_INT(SSL_connect(ssl), -1);
    for (;;) {
        int more = BIO_read(out, buf + n, (int)(sizeof buf - n));
        if (more > 0) n += (size_t)more;
        if (n && send(eager->fd, buf, n, MSG_NOSIGNAL) != (ssize_t)n) break;
        n = 0;
        if (eager->done) break;
        ssize_t got = recv(eager->fd, buf, sizeof buf, 0);
        if (got <= 0) break;
        CHECK_INT(BIO_write(in, buf, (int)got), (int)got);
        if (SSL_connect(ssl) == 1) {
            eager->done = true;
            CHECK_INT(SSL_write(ssl, "hello", 5), 5);
        }
        ERR_clear_error();
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return NULL;
}

/* A server that has read `read` bytes of what the eager client sent in front of its hello. */
static struct client *server_of(struct eager *eager, size_t read, struct conn_options *o, pthread_t *thread) {
    int fds[2];
    tcp_pair(fds);
    eager->fd = fds[1];
    CHECK_INT(pthread_create(thread, NULL, eager_client, eager), 0);
    struct client *plain = client_adopt(test_loop(), fds[0], NULL);
    client_wait_ready(plain);
    char buf[64];
    CHECK(read <= sizeof buf);
    client_read(plain, buf, read);
    CHECK_MEM(buf, eager->before, read);
    return start_tls(plain, o);
}

BOTH_VERSIONS(a_hello_that_came_with_the_command) {
    struct eager eager = {.before = ASK_TEXT};
    struct conn_options o = server_options(version);
    pthread_t thread;
    struct client *client = server_of(&eager, ASK, &o, &thread);
    client_wait_ready(client);
    char buf[5];
    client_read(client, buf, 5);
    CHECK_MEM(buf, "hello", 5);
    client_close(client);
    pthread_join(thread, NULL);
    CHECK(eager.done);
    close(eager.fd);
}

BOTH_VERSIONS(plain_bytes_that_nobody_read_are_no_tls) {
    struct eager eager = {.before = ASK_TEXT "MAIL FROM:<mallory@test.example>\r\n"};
    struct conn_options o = server_options(version);
    pthread_t thread;
    struct client *client = server_of(&eager, ASK, &o, &thread);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_TLS, EPROTO);
    CHECK_CONTAINS(client->message, "not TLS");
    CHECK_CONTAINS(client->message, "STARTTLS injection");
    pthread_join(thread, NULL);
    CHECK(!eager.done);
    close(eager.fd);
}

/* At the client: an answer slipped in behind the real one, which a careless program would take for one given under TLS. */
static void serve_with_injection(struct peer_conn *pc) {
    char ask[ASK];
    if (!peer_read_exactly(pc, ask, ASK)) return;
    static const char both[] = ANSWER_TEXT "250 8BITMIME\r\n";
    CHECK(peer_write(pc, both, sizeof both - 1));
    peer_drain(pc);
}

TEST(an_answer_slipped_in_is_no_tls) {
    struct peer *peer = PEER(.serve = serve_with_injection);
    int fds = fd_count();
    struct ev_loop *loop = evloop_new();
    struct conn_options o = tls_options();
    struct client *client = start_tls(asked(loop, "localhost", peer), &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_TLS, EPROTO);
    CHECK_CONTAINS(client->message, "STARTTLS injection");
    CHECK_INT(conn_get_verify_result(client->c), -1);
    client_close(client);
    evloop_free(loop);
    peer_join(peer);
    CHECK_NO_NEW_FDS(fds);
}

enum { MUCH = 300000 };

static void serve_after_much(struct peer_conn *pc) {
    char buf[4096];
    for (uint64_t at = 0; at < MUCH;) {
        size_t n = MUCH - at < sizeof buf ? (size_t)(MUCH - at) : sizeof buf;
        if (!read_plain(pc->fd, buf, n)) FAIL("the plain bytes ended early");
        CHECK_INT(find_pattern_error(buf, n, at), -1);
        at += n;
    }
    serve_after_agreeing(pc);
}

static void go_on_to_tls(struct peer_conn *pc) {
    gate_wait(pc->arg);
    serve_after_much(pc);
}

/* What the kernel still has to send goes first. */
BOTH_VERSIONS(plain_bytes_on_their_way_arrive_before_the_handshake) {
    struct gate gate = GATE;
    struct peer *peer = TLS_PEER(version, .no_handshake = true, .serve = go_on_to_tls, .arg = &gate, .receive_buffer = 4096);
    struct conn_options o = options(), t = tls_options();
    struct client *plain = client_open(test_loop(), "localhost", peer_port(peer), &o);
    client_wait_ready(plain);
    unsigned char *bytes = alloc(MUCH + ASK);
    fill_pattern(bytes, MUCH, 0);
    memcpy(bytes + MUCH, ASK_TEXT, ASK);
    size_t put = 0;
    for (ssize_t n; (n = conn_try_write(plain->c, bytes + put, MUCH + ASK - put)) > 0;) put += (size_t)n;
    gate_open(&gate);
    client_write(plain, bytes + put, MUCH + ASK - put);
    /* The answer is still to come: a handshake may not begin before it was read. */
    char answer[ANSWER];
    client_read(plain, answer, ANSWER);
    struct client *client = start_tls(plain, &t);
    client_wait_ready(client);
    client_echo(client, "after much");
}

/* ---- Failures -------------------------------------------------------------------------------------------------------- */

static void serve_agree_and_stall(struct peer_conn *pc) {
    agree(pc);
    serve_stall(pc);
}

TEST(a_handshake_takes_too_long) {
    struct peer *peer = PEER(.serve = serve_agree_and_stall);
    struct conn_options o = tls_options();
    o.tls_timeout = 0.05;
    struct client *client = start_tls(asked(test_loop(), "localhost", peer), &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_TIMEOUT, ETIMEDOUT);
    CHECK_CONTAINS(client->message, "the handshake timed out");
    o.tls_timeout = 0;
    o.deadline = 0.05; /* from the call on */
    client = start_tls(asked(test_loop(), "localhost", peer), &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_TIMEOUT, ETIMEDOUT);
}

static void serve_agree_and_end(struct peer_conn *pc) {
    agree(pc);
    shutdown(pc->fd, SHUT_WR);
}

static void serve_agree_and_reset(struct peer_conn *pc) {
    agree(pc);
    char byte;
    (void)!recv(pc->fd, &byte, 1, 0); /* the hello's first */
    peer_reset(pc);
}

static void serve_agree_and_cut(struct peer_conn *pc) {
    agree(pc);
    static const unsigned char half[] = {22, 3, 3, 0, 100, 2, 0, 0};
    CHECK(peer_write(pc, half, sizeof half));
    shutdown(pc->fd, SHUT_WR);
}

TEST(the_peer_goes_away_in_the_handshake) {
    static const peer_serve ways[] = {serve_agree_and_end, serve_agree_and_reset, serve_agree_and_cut};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct conn_options o = tls_options();
        struct client *client = start_tls(asked(test_loop(), "localhost", PEER(.serve = ways[i])), &o);
        client_wait_error(client);
        CHECK_FAILED_WITH(client, CONN_ERR_TLS, ECONNRESET);
    }
}

TEST(the_plain_stream_had_ended) {
    struct client *plain = asked(test_loop(), "localhost", PEER(.serve = serve_agree_and_end));
    char byte;
    CHECK_INT(client_read_some(plain, &byte, 1), 0);
    struct conn_options o = tls_options();
    struct client *client = start_tls(plain, &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_TLS, ECONNRESET);
}

static void serve_truncated(struct peer_conn *pc) {
    agree(pc);
    CHECK_INT(SSL_accept(pc->ssl), 1);
    CHECK(peer_write(pc, "half of it", 10));
    peer_truncate(pc);
}

BOTH_VERSIONS(an_end_without_close_notify_is_a_truncation) {
    struct conn_options o = tls_options();
    struct peer *peer = TLS_PEER(version, .no_handshake = true, .serve = serve_truncated);
    for (int allowed = 0; allowed < 2; allowed++) {
        o.allow_truncation = allowed;
        struct client *client = start_tls(asked(test_loop(), "localhost", peer), &o);
        client_wait_ready(client);
        char buf[10];
        client_read(client, buf, 10);
        ssize_t n = client_read_some(client, buf, 1);
        CHECK_INT(n, allowed ? 0 : -1);
        if (allowed) continue;
        CHECK_INT(errno, ECONNRESET);
        RUN_UNTIL(client->loop, client->errors == 1);
        CHECK_FAILED_WITH(client, CONN_ERR_TLS, ECONNRESET);
    }
}

TEST(what_cannot_be_is_refused_and_does_no_harm) {
    struct ev_loop *loop = test_loop();
    struct peer *peer = PEER(0);
    struct conn_options plain = options(), good = tls_options(), o;
    CHECK_ERRNO(conn_start_tls(NULL, &good, NULL, NULL, NULL), EINVAL);

    struct client *client = client_open(loop, "127.0.0.1", peer_port(peer), &plain);
    CHECK_ERRNO(conn_start_tls(client->c, &good, NULL, NULL, NULL), ENOTCONN);
    client_wait_ready(client);
    o = good;
    o.size = 0;
    CHECK_ERRNO(conn_start_tls(client->c, &o, NULL, NULL, NULL), EINVAL);
    o = good;
    o.tls_timeout = 0.0 / 0.0;
    CHECK_ERRNO(conn_start_tls(client->c, &o, NULL, NULL, NULL), EINVAL);
    o = good;
    o.server_side = true; /* with a client's context */
    CHECK_ERRNO(conn_start_tls(client->c, &o, NULL, NULL, NULL), EINVAL);
    o.tls = NULL;
    CHECK_ERRNO(conn_start_tls(client->c, &o, NULL, NULL, NULL), EINVAL);
    o = server_options(0);
    o.server_side = false; /* with a server's context */
    CHECK_ERRNO(conn_start_tls(client->c, &o, NULL, NULL, NULL), EINVAL);
    /* As it was: plain, with its own callbacks. */
    check_members(client->c);
    CHECK_INT(client->c->state, CONN_READY);
    CHECK(!client->c->use_tls);
    CHECK_PTR(client->c->cb_arg, client);
    client_echo(client, "still plain");
    CHECK_INT(conn_shutdown(client->c), 0);
    CHECK_ERRNO(conn_start_tls(client->c, &good, NULL, NULL, NULL), EPIPE);
    char byte;
    CHECK_INT(client_read_some(client, &byte, 1), 0);
    CHECK_INT(conn_get_state(client->c), CONN_CLOSED);
    CHECK_ERRNO(conn_start_tls(client->c, &good, NULL, NULL, NULL), ENOTCONN);

    struct client *refused = client_open(loop, "127.0.0.1", refused_port(), &plain);
    client_wait_error(refused);
    CHECK_ERRNO(conn_start_tls(refused->c, &good, NULL, NULL, NULL), ENOTCONN);

    struct client *tls = client_open(loop, "localhost", peer_port(TLS_PEER(TLS1_3_VERSION)), &good);
    CHECK_ERRNO(conn_start_tls(tls->c, &good, NULL, NULL, NULL), ENOTCONN);
    RUN_UNTIL(loop, tls->c->state >= CONN_TLS_HANDSHAKE);
    CHECK_ERRNO(conn_start_tls(tls->c, &good, NULL, NULL, NULL), EISCONN);
    client_wait_ready(tls);
    CHECK_ERRNO(conn_start_tls(tls->c, &good, NULL, NULL, NULL), EISCONN);
    client_echo(tls, "still TLS");
}

/* A reset that a write has met, before on_error told of it. */
TEST(a_failed_connection_is_not_upgraded) {
    struct ev_loop *loop = test_loop();
    struct client *client = ready_client(loop, 0, PEER(.serve = serve_reset));
    client_write(client, "x", 1);
    char byte;
    ssize_t n;
    while ((n = conn_try_read(client->c, &byte, 1)) < 0 && errno == EAGAIN) {}
    CHECK_INT(n, -1);
    CHECK_INT(client->errors, 0);
    struct conn_options o = tls_options();
    CHECK_ERRNO(conn_start_tls(client->c, &o, NULL, NULL, NULL), ENOTCONN);
    RUN_UNTIL(loop, client->errors == 1);
    CHECK_FAILED_WITH(client, CONN_ERR_IO, ECONNRESET);
}

/* A client has to know whom to expect. */
TEST(an_address_is_no_name) {
    int fds[2];
    tcp_pair(fds);
    struct ev_loop *loop = test_loop();
    struct conn_options o = tls_options(), server = server_options(0);
    struct client *one = client_adopt(loop, fds[0], NULL), *two = client_adopt(loop, fds[1], NULL);
    client_wait_ready(one);
    client_wait_ready(two);
    CHECK_ERRNO(conn_start_tls(one->c, &o, NULL, NULL, NULL), EINVAL);
    o.server_name = "localhost";
    one = start_tls(one, &o);
    two = start_tls(two, &server);
    client_wait_ready(one);
    client_wait_ready(two);
    CHECK_INT(conn_get_verify_result(one->c), X509_V_OK);
    CHECK_INT(conn_get_verify_result(two->c), -1);
    char buf[5];
    client_write(one, "hello", 5);
    client_read(two, buf, 5);
    CHECK_MEM(buf, "hello", 5);
}

TEST(a_path_is_no_name) {
    char path[300], host[310];
    snprintf(path, sizeof path, "%s/socket", temp_dir());
    snprintf(host, sizeof host, "unix:%s", path);
    struct peer *peer = TLS_PEER(TLS1_3_VERSION, .family = AF_UNIX, .address = path, .no_handshake = true, .serve = serve_after_agreeing);
    (void)peer;
    struct conn_options o = options(), t = tls_options();
    struct client *plain = client_open(test_loop(), host, NULL, &o);
    client_wait_ready(plain);
    ask(plain);
    CHECK_ERRNO(conn_start_tls(plain->c, &t, NULL, NULL, NULL), EINVAL);
    t.server_name = "localhost";
    struct client *client = start_tls(plain, &t);
    client_wait_ready(client);
    client_echo(client, "through the file system");
}

/* What keeps the loop running counts as before. */
TEST(an_unreferenced_connection_stays_so) {
    struct peer *peer = PEER(.serve = serve_agree_and_stall);
    struct conn_options o = tls_options();
    struct client *plain = asked(test_loop(), "localhost", peer);
    conn_unref(plain->c);
    struct client *client = start_tls(plain, &o);
    evloop_run(client->loop);
    CHECK_INT(client->c->state, CONN_TLS_HANDSHAKE);
    o.tls_timeout = 0.02;
    plain = asked(client->loop, "localhost", peer);
    client = start_tls(plain, &o);
    evloop_run(client->loop); /* until the time-out */
    CHECK_FAILED_WITH(client, CONN_ERR_TIMEOUT, ETIMEDOUT);
    evloop_run(client->loop);
}

/* ---- In callbacks ---------------------------------------------------------------------------------------------------- */

enum act { NOTHING, CLOSE, ABORT, FREE_LOOP };

struct scene {
    struct ev_loop *loop;
    struct conn_options o;
    enum act act;
    int calls, ready, errors; /* of what came after conn_start_tls */
    bool ended;
    bool nested; /* run a round before */
    bool at_once; /* the act follows conn_start_tls in the same callback */
};

static void act(struct scene *scene, struct net_conn *c) {
    if (scene->act == CLOSE) conn_close(c);
    else if (scene->act == ABORT) conn_abort(c);
    else if (scene->act == FREE_LOOP) {
        evloop_free(scene->loop);
        scene->loop = NULL;
    } else return;
    scene->ended = true;
}

static void scene_ready(struct net_conn *c, void *arg) {
    struct scene *scene = arg;
    CHECK(!scene->ended);
    CHECK_INT(scene->errors, 0);
    scene->ready++;
    act(scene, c);
}

static void scene_error(struct net_conn *c, void *arg) {
    struct scene *scene = arg;
    CHECK(!scene->ended);
    CHECK_INT(scene->ready, 0);
    CHECK_INT(c->fd, -1);
    CHECK(c->ssl == NULL);
    scene->errors++;
    act(scene, c);
}

static void scene_start(struct net_conn *c, struct scene *scene) {
    CHECK_INT(scene->calls++, 0);
    if (scene->nested) {
        conn_set_readable_callback(c, NULL, NULL);
        CHECK(evloop_run_once(scene->loop, 0) >= 0);
    }
    CHECK_INT(conn_start_tls(c, &scene->o, scene_ready, scene_error, scene), 0);
    CHECK_INT(scene->ready + scene->errors, 0);
    /* The act may free the loop, with any guard on it: the test's own limit ends a vain wait. */
    if (scene->nested)
        while (scene->ready + scene->errors == 0) CHECK(evloop_run_once(scene->loop, -1) >= 0);
    else if (scene->at_once) act(scene, c);
}

static void scene_on_plain_ready(struct net_conn *c, void *arg) { scene_start(c, arg); }

static void scene_readable(struct net_conn *c, void *arg) {
    struct scene *scene = arg;
    char buf[ANSWER];
    if (scene->calls) return;
    ssize_t n = conn_try_read(c, buf, ANSWER);
    if (n < 0) return;
    CHECK_INT(n, ANSWER); /* the peer sends it in one piece */
    scene_start(c, scene);
}

static void scene_writable(struct net_conn *c, void *arg) {
    struct scene *scene = arg;
    conn_set_writable_callback(c, NULL, NULL);
    scene_start(c, scene);
}

/* The server speaks TLS at once where the client starts it without asking. */
static void serve_echo_under_tls(struct peer_conn *pc) {
    if (SSL_accept(pc->ssl) == 1) serve_echo(pc);
    else pc->ended = true;
    ERR_clear_error();
}

static void plain_error(struct net_conn *c, void *arg) {
    (void)arg;
    FAIL("the first on_error was called: %s", conn_get_error_msg(c));
}

/* Where it is called, how it ends, what is done in the middle of it. */
TEST(in_each_callback_with_each_end) {
    struct peer *asking = AGREEING_PEER(TLS1_3_VERSION), *eager = TLS_PEER(TLS1_3_VERSION, .no_handshake = true, .serve = serve_echo_under_tls);
    struct conn_options good = tls_options(), bad = tls_options();
    bad.server_name = "elsewhere.example";
    for (int where = 0; where < 3; where++) { /* on_ready, readable, writable */
        for (int fails = 0; fails < 2; fails++) {
            for (int way = 0; way < 3; way++) { /* plain, in a nested run, ended at once */
                for (enum act end = NOTHING; end <= FREE_LOOP; end++) {
                    struct scene scene = {.loop = evloop_new(), .o = fails ? bad : good, .act = end, .nested = way == 1, .at_once = way == 2};
                    struct conn_options o = options();
                    struct net_conn *c = conn_new_with(scene.loop, "localhost", peer_port(where == 1 ? asking : eager), &o,
                                                       where == 0 ? scene_on_plain_ready : NULL, plain_error, &scene);
                    CHECK(c != NULL);
                    if (where == 2) conn_set_writable_callback(c, scene_writable, &scene);
                    if (where == 1) {
                        conn_set_readable_callback(c, scene_readable, &scene);
                        while (c->state < CONN_READY) CHECK(evloop_run_once(scene.loop, -1) >= 0);
                        CHECK_INT(conn_try_write(c, ASK_TEXT, ASK), ASK);
                    }
                    while (!scene.ended && scene.ready + scene.errors == 0) CHECK(evloop_run_once(scene.loop, -1) >= 0);
                    CHECK_INT(scene.calls, 1);
                    if (scene.at_once && end != NOTHING) CHECK_INT(scene.ready + scene.errors, 0);
                    else {
                        CHECK_INT(scene.errors, fails);
                        CHECK_INT(scene.ready, !fails);
                    }
                    if (end == NOTHING) conn_close(c);
                    if (scene.loop) evloop_free(scene.loop);
                }
            }
        }
    }
}

static int refuse_all(int preverified, int depth, const char *subject, long error, void *arg) {
    (void)preverified, (void)depth, (void)subject, (void)error;
    struct client *client = arg;
    if (client->c) {
        conn_close(client->c);
        client->c = NULL;
    }
    return 1;
}

/* The verify callback runs inside the handshake. */
BOTH_VERSIONS(closed_by_the_verify_callback) {
    struct conn_options o = tls_options();
    struct client *plain = asked(test_loop(), "localhost", AGREEING_PEER(version));
    struct client *client = client_new(plain->loop);
    CHECK_INT(netconn_tls_set_verify_callback(o.tls, refuse_all, client), 0);
    client->c = plain->c;
    plain->c = NULL;
    CHECK_INT(conn_start_tls(client->c, &o, client_on_ready, client_on_error, client), 0);
    RUN_UNTIL(client->loop, client->c == NULL);
    run_rounds(client->loop);
    CHECK_INT(client->ready + client->errors, 0);
}

TEST_MAIN

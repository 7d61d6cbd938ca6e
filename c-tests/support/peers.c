/* peers.c - see peers.h. */
#include "peers.h"

#include "../harness.h"
#include "certs.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/un.h>
#include <unistd.h>

struct peer {
    struct peer_options options;
    int listener;
    int wake[2]; /* a byte here ends the accepting */
    int port_number;
    char port[8];
    SSL_CTX *ctx;
    pthread_t thread;
    bool running;
    pthread_mutex_t mutex; /* over conns and each conn's fd */
    struct peer_conn *conns;
    int accepted, failed_handshakes;
    char handshake_error[256];
    uint64_t bytes;
};

/* ---- Gates ----------------------------------------------------------------------------------------------------------- */

void gate_open(struct gate *gate) {
    pthread_mutex_lock(&gate->mutex);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}

void gate_wait(struct gate *gate) {
    pthread_mutex_lock(&gate->mutex);
    while (!gate->open) pthread_cond_wait(&gate->changed, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
}

/* ---- Addresses ------------------------------------------------------------------------------------------------------- */

static socklen_t make_address(int family, const char *address, int port, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    if (family == AF_UNIX) {
        struct sockaddr_un *un = (struct sockaddr_un *)out;
        un->sun_family = AF_UNIX;
        size_t len = strlen(address);
        CHECK(len < sizeof un->sun_path);
        memcpy(un->sun_path, address, len);
        if (address[0] == '@') un->sun_path[0] = 0;
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (address[0] == '@' ? 0 : 1));
    }
    if (family == AF_INET6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        CHECK_INT(inet_pton(AF_INET6, address ? address : "::1", &in6->sin6_addr), 1);
        return sizeof *in6;
    }
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
    CHECK_INT(inet_pton(AF_INET, address ? address : "127.0.0.1", &in->sin_addr), 1);
    return sizeof *in;
}

static int port_of(int fd) {
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    if (address.ss_family == AF_INET) return ntohs(((struct sockaddr_in *)&address)->sin_port);
    if (address.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return 0;
}

static int bind_socket(int family, const char *address, int port) {
    struct sockaddr_storage where;
    socklen_t len = make_address(family, address, port, &where);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0 && family == AF_INET6) SKIP("this machine has no IPv6");
    CHECK(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&where, len) != 0) {
        if (family == AF_INET6 && errno == EADDRNOTAVAIL) SKIP("this machine has no ::1");
        FAIL("bind: %s", strerror(errno));
    }
    return fd;
}

static void close_fd(void *fd) { close((int)(intptr_t)fd); }

const char *refused_port(void) {
    int fd = bind_socket(AF_INET, NULL, 0); /* bound, never listening */
    at_end(close_fd, (void *)(intptr_t)fd);
    char *text = alloc(8);
    snprintf(text, 8, "%d", port_of(fd));
    return text;
}

int full_queue(int family, const char *address, int port) {
    int listener = bind_socket(family, address, port);
    CHECK_INT(listen(listener, 0), 0);
    at_end(close_fd, (void *)(intptr_t)listener);
    port = port_of(listener);
    struct sockaddr_storage where;
    socklen_t len = make_address(family, address, port, &where);
    /* The queue of a backlog of 0 holds one. The second connect meets it full, if the first is through: it stays unanswered. */
    for (int i = 0; i < 3; i++) {
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        CHECK(fd >= 0);
        at_end(close_fd, (void *)(intptr_t)fd);
        if (connect(fd, (struct sockaddr *)&where, len) == 0) continue;
        CHECK_INT(errno, EINPROGRESS);
        struct pollfd waiting = {fd, POLLOUT, 0};
        /* Loopback answers within the call; what has not come in a moment will not. */
        if (poll(&waiting, 1, 20) == 0) return port;
    }
    SKIP("this kernel's listen queue does not fill");
}

void tcp_pair(int fds[2]) {
    int listener = bind_socket(AF_INET, NULL, 0);
    CHECK_INT(listen(listener, 1), 0);
    struct sockaddr_storage where;
    socklen_t len = make_address(AF_INET, NULL, port_of(listener), &where);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(fds[0], (struct sockaddr *)&where, len), 0);
    fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(fds[1] >= 0);
    close(listener);
}

/* ---- TLS ------------------------------------------------------------------------------------------------------------- */

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned int in_len,
                       void *arg) {
    (void)ssl;
    const char *mine = arg;
    for (unsigned int i = 0; i < in_len; i += 1u + in[i]) {
        if (in[i] == strlen(mine) && memcmp(in + i + 1, mine, in[i]) == 0) {
            *out = in + i + 1;
            *out_len = in[i];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *make_context(const struct peer_options *options) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    CHECK(ctx != NULL);
    if ((options->min_version && options->min_version < TLS1_2_VERSION) || (options->max_version && options->max_version < TLS1_2_VERSION)) {
        SSL_CTX_set_security_level(ctx, 0);
        CHECK_INT(SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0"), 1);
    }
    CHECK_INT(SSL_CTX_set_min_proto_version(ctx, options->min_version), 1);
    CHECK_INT(SSL_CTX_set_max_proto_version(ctx, options->max_version), 1);
    CHECK_INT(SSL_CTX_use_certificate_chain_file(ctx, cert(options->cert)), 1);
    CHECK_INT(SSL_CTX_use_PrivateKey_file(ctx, cert(options->key), SSL_FILETYPE_PEM), 1);
    CHECK_INT(SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"peer", 4), 1);
    if (options->client_ca) {
        CHECK_INT(SSL_CTX_load_verify_locations(ctx, cert(options->client_ca), NULL), 1);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    if (options->alpn) SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, (void *)(uintptr_t)options->alpn);
    if (options->no_tickets) {
        SSL_CTX_set_num_tickets(ctx, 0);
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    }
    return ctx;
}

/* ---- Warm under a checker -------------------------------------------------------------------------------------------- */

static void shake_in_memory(int version) {
    SSL_CTX *server = make_context(&(struct peer_options){
        .cert = CERT_GOOD, .key = CERT_GOOD_KEY, .min_version = version, .max_version = version});
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    CHECK(client != NULL);
    CHECK_INT(SSL_CTX_load_verify_locations(client, cert(CERT_CA), NULL), 1);
    SSL_CTX_set_verify(client, SSL_VERIFY_PEER, NULL);
    SSL *ends[2] = {SSL_new(client), SSL_new(server)};
    BIO *bios[2];
    CHECK_INT(BIO_new_bio_pair(&bios[0], 0, &bios[1], 0), 1);
    for (int i = 0; i < 2; i++) {
        CHECK(ends[i] != NULL);
        SSL_set_bio(ends[i], bios[i], bios[i]);
    }
    SSL_set_connect_state(ends[0]);
    SSL_set_accept_state(ends[1]);
    for (int steps = 0, done = 0; done != 2; steps++) {
        CHECK_CMP(steps, <, 10);
        done = (SSL_do_handshake(ends[0]) == 1) + (SSL_do_handshake(ends[1]) == 1);
    }
    char byte = 'x';
    CHECK_INT(SSL_write(ends[1], &byte, 1), 1);
    CHECK_INT(SSL_read(ends[0], &byte, 1), 1);
    for (int i = 0; i < 2; i++) SSL_free(ends[i]);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    ERR_clear_error();
}

/*
 * Of the harness, before the first test: valgrind translates code when it runs first, and each test, a process of its own,
 * would have OpenSSL translated anew. What was translated before the fork is there in all of them.
 */
void warm_up(void) {
    const char *preload = getenv("LD_PRELOAD"), *tls = getenv("NETCONN_TEST_TLS");
    if (!preload || !strstr(preload, "vgpreload") || (tls && strcmp(tls, "0") == 0)) return;
    shake_in_memory(TLS1_2_VERSION);
    shake_in_memory(TLS1_3_VERSION);
}

/* ---- Pieces ---------------------------------------------------------------------------------------------------------- */

ssize_t peer_read(struct peer_conn *pc, void *buf, size_t len) {
    if (!pc->ssl) {
        ssize_t n;
        do n = recv(pc->fd, buf, len, 0);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -1 : n;
    }
    ERR_clear_error();
    int n = SSL_read(pc->ssl, buf, (int)len);
    if (n > 0) return n;
    int reason = SSL_get_error(pc->ssl, n);
    ERR_clear_error();
    return reason == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

bool peer_read_exactly(struct peer_conn *pc, void *buf, size_t len) {
    for (size_t got = 0; got < len;) {
        ssize_t n = peer_read(pc, (char *)buf + got, len - got);
        if (n <= 0) return false;
        got += (size_t)n;
    }
    return true;
}

bool peer_write(struct peer_conn *pc, const void *buf, size_t len) {
    for (size_t put = 0; put < len;) {
        ssize_t n;
        if (pc->ssl) {
            ERR_clear_error();
            n = SSL_write(pc->ssl, (const char *)buf + put, (int)(len - put > 16384 ? 16384 : len - put));
            ERR_clear_error();
        } else {
            n = send(pc->fd, (const char *)buf + put, len - put, MSG_NOSIGNAL);
            if (n < 0 && errno == EINTR) continue;
        }
        if (n <= 0) return false;
        put += (size_t)n;
    }
    return true;
}

bool peer_write_pattern(struct peer_conn *pc, uint64_t size) {
    unsigned char buf[16384];
    for (uint64_t at = 0; at < size;) {
        size_t n = size - at < sizeof buf ? (size_t)(size - at) : sizeof buf;
        fill_pattern(buf, n, at);
        if (!peer_write(pc, buf, n)) return false;
        at += n;
    }
    return true;
}

bool peer_drain(struct peer_conn *pc) {
    char buf[16384];
    ssize_t n;
    while ((n = peer_read(pc, buf, sizeof buf)) > 0) __atomic_add_fetch(&pc->peer->bytes, (uint64_t)n, __ATOMIC_SEQ_CST);
    return n == 0;
}

void peer_end_writing(struct peer_conn *pc) {
    if (pc->ssl) SSL_shutdown(pc->ssl);
    ERR_clear_error();
    shutdown(pc->fd, SHUT_WR);
}

void peer_truncate(struct peer_conn *pc) {
    if (pc->ssl) SSL_set_quiet_shutdown(pc->ssl, 1);
    shutdown(pc->fd, SHUT_WR);
    pc->ended = true;
}

/* Under the mutex: peer_stop() shuts fds that are still open, and must not meet a number that was used again. */
static void close_conn(struct peer_conn *pc) {
    pthread_mutex_lock(&pc->peer->mutex);
    if (pc->fd >= 0) close(pc->fd);
    pc->fd = -1;
    pthread_mutex_unlock(&pc->peer->mutex);
}

void peer_reset(struct peer_conn *pc) {
    struct linger linger = {1, 0};
    setsockopt(pc->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    pc->ended = true;
    close_conn(pc);
}

/* ---- What a peer does ------------------------------------------------------------------------------------------------ */

void serve_echo(struct peer_conn *pc) {
    char buf[16384];
    ssize_t n;
    while ((n = peer_read(pc, buf, sizeof buf)) > 0) {
        __atomic_add_fetch(&pc->peer->bytes, (uint64_t)n, __ATOMIC_SEQ_CST);
        if (!peer_write(pc, buf, (size_t)n)) return;
    }
}

void serve_sink(struct peer_conn *pc) { peer_drain(pc); }

void serve_check(struct peer_conn *pc) {
    char buf[16384];
    uint64_t at = 0;
    ssize_t n;
    while ((n = peer_read(pc, buf, sizeof buf)) > 0) {
        long wrong = find_pattern_error(buf, (size_t)n, at);
        if (wrong >= 0) FAIL("the peer got a wrong byte at %llu", (unsigned long long)at + (unsigned long long)wrong);
        at += (uint64_t)n;
        __atomic_add_fetch(&pc->peer->bytes, (uint64_t)n, __ATOMIC_SEQ_CST);
    }
    if (n != 0) FAIL("after %llu bytes the peer got no clean end", (unsigned long long)at);
}

void serve_close(struct peer_conn *pc) { (void)pc; }

void serve_reset(struct peer_conn *pc) {
    char byte;
    peer_read(pc, &byte, 1);
    peer_reset(pc);
}

void serve_stall(struct peer_conn *pc) {
    /* Without reading a byte: the window fills, too. */
    struct pollfd waiting = {pc->fd, POLLRDHUP, 0};
    while (poll(&waiting, 1, -1) < 0 && errno == EINTR) {}
    pc->ended = true;
}

static bool pass_on(int from, int to) {
    char buf[4096];
    ssize_t n = recv(from, buf, sizeof buf, 0);
    if (n <= 0) {
        shutdown(to, SHUT_WR);
        return false;
    }
    for (ssize_t i = 0; i < n; i++)
        if (send(to, buf + i, 1, MSG_NOSIGNAL) != 1) return false;
    return true;
}

void serve_trickle(struct peer_conn *pc) {
    struct sockaddr_storage where;
    socklen_t len = make_address(AF_INET, NULL, atoi(pc->arg), &where);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_INT(connect(fd, (struct sockaddr *)&where, len), 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(pc->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct pollfd both[2] = {{pc->fd, POLLIN, 0}, {fd, POLLIN, 0}};
    while (both[0].fd >= 0 || both[1].fd >= 0) {
        if (poll(both, 2, -1) < 0) continue;
        if (both[0].revents && !pass_on(pc->fd, fd)) both[0].fd = -1;
        if (both[1].revents && !pass_on(fd, pc->fd)) both[1].fd = -1;
        both[0].revents = both[1].revents = 0;
    }
    close(fd);
}

/* ---- The threads ----------------------------------------------------------------------------------------------------- */

/* A write to a dead client must not end the test's process; and the process's own signals are for its first thread. */
static void block_signals(void) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
}

static bool handshake(struct peer_conn *pc) {
    ERR_clear_error();
    if (SSL_accept(pc->ssl) == 1) return true;
    pthread_mutex_lock(&pc->peer->mutex);
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    snprintf(pc->peer->handshake_error, sizeof pc->peer->handshake_error, "%s", reason ? reason : "the client hung up");
    pc->peer->failed_handshakes++;
    pthread_mutex_unlock(&pc->peer->mutex);
    ERR_clear_error();
    /* Let the client read the alert before the socket goes: a close with bytes unread would be a reset. */
    shutdown(pc->fd, SHUT_WR);
    char buf[1024];
    while (recv(pc->fd, buf, sizeof buf, 0) > 0) {}
    pc->ended = true;
    return false;
}

static void *serve_thread(void *arg) {
    struct peer_conn *pc = arg;
    struct peer *peer = pc->peer;
    block_signals();
    if (peer->ctx) {
        pc->ssl = SSL_new(peer->ctx);
        CHECK(pc->ssl != NULL);
        CHECK_INT(SSL_set_fd(pc->ssl, pc->fd), 1);
        SSL_set_accept_state(pc->ssl);
    }
    if (!pc->ssl || peer->options.no_handshake || handshake(pc)) peer->options.serve(pc);
    if (!pc->ended && pc->ssl && SSL_is_init_finished(pc->ssl)) {
        SSL_shutdown(pc->ssl);
        ERR_clear_error();
    }
    if (!pc->ended) { /* the client's last bytes are read, else the kernel would send a reset in place of the end */
        shutdown(pc->fd, SHUT_WR);
        char buf[1024];
        while (recv(pc->fd, buf, sizeof buf, 0) > 0) {}
    }
    SSL_free(pc->ssl);
    pc->ssl = NULL;
    close_conn(pc);
    return NULL;
}

static void *accept_thread(void *arg) {
    struct peer *peer = arg;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 512 * 1024);
    block_signals();
    for (;;) {
        struct pollfd both[2] = {{peer->listener, POLLIN, 0}, {peer->wake[0], POLLIN, 0}};
        if (poll(both, 2, -1) < 0) continue;
        if (!both[0].revents) break; /* told to stop, and nobody is waiting to be accepted */
        struct peer_conn *pc = calloc(1, sizeof *pc);
        CHECK(pc != NULL);
        /* Accepted and counted in one: peer_accepted looks at both. */
        pthread_mutex_lock(&peer->mutex);
        int fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            *pc = (struct peer_conn){.fd = fd, .peer = peer, .arg = peer->options.arg, .number = peer->accepted++};
            pc->next = peer->conns;
            peer->conns = pc;
        }
        pthread_mutex_unlock(&peer->mutex);
        if (fd < 0) { /* the client was faster with its reset */
            free(pc);
            continue;
        }
        CHECK_INT(pthread_create(&pc->thread, &attributes, serve_thread, pc), 0);
    }
    pthread_attr_destroy(&attributes);
    return NULL;
}

static void free_peer(void *arg) {
    struct peer *peer = arg;
    peer_stop(peer);
    if (peer->listener >= 0) close(peer->listener);
    close(peer->wake[0]);
    close(peer->wake[1]);
    SSL_CTX_free(peer->ctx);
    pthread_mutex_destroy(&peer->mutex);
    free(peer);
}

struct peer *peer_start(const struct peer_options *options) {
    struct peer *peer = calloc(1, sizeof *peer);
    CHECK(peer != NULL);
    peer->options = *options;
    if (!peer->options.serve) peer->options.serve = serve_echo;
    if (!peer->options.family) peer->options.family = AF_INET;
    pthread_mutex_init(&peer->mutex, NULL);
    if (options->cert) peer->ctx = make_context(&peer->options);
    CHECK_INT(pipe2(peer->wake, O_CLOEXEC), 0);
    peer->listener = bind_socket(peer->options.family, options->address, options->port);
    if (options->receive_buffer) /* inherited by what is accepted */
        setsockopt(peer->listener, SOL_SOCKET, SO_RCVBUF, &options->receive_buffer, sizeof options->receive_buffer);
    CHECK_INT(listen(peer->listener, options->backlog ? options->backlog : 1024), 0);
    CHECK_INT(fcntl(peer->listener, F_SETFL, O_NONBLOCK), 0); /* a client may reset between poll and accept */
    peer->port_number = port_of(peer->listener);
    snprintf(peer->port, sizeof peer->port, "%d", peer->port_number);
    peer->running = true;
    CHECK_INT(pthread_create(&peer->thread, NULL, accept_thread, peer), 0);
    at_end(free_peer, peer);
    return peer;
}

static void stop_accepting(struct peer *peer) {
    if (!peer->running) return;
    peer->running = false;
    CHECK_INT(write(peer->wake[1], "x", 1), 1);
    pthread_join(peer->thread, NULL);
}

void peer_stop_listening(struct peer *peer) {
    stop_accepting(peer);
    if (peer->listener >= 0) close(peer->listener);
    peer->listener = -1;
}

static void join_conns(struct peer *peer) {
    while (peer->conns) {
        struct peer_conn *pc = peer->conns;
        peer->conns = pc->next;
        pthread_join(pc->thread, NULL);
        free(pc);
    }
}

void peer_join(struct peer *peer) {
    stop_accepting(peer);
    join_conns(peer);
}

void peer_stop(struct peer *peer) {
    stop_accepting(peer);
    pthread_mutex_lock(&peer->mutex);
    for (struct peer_conn *pc = peer->conns; pc; pc = pc->next)
        if (pc->fd >= 0) shutdown(pc->fd, SHUT_RDWR);
    pthread_mutex_unlock(&peer->mutex);
    join_conns(peer);
}

const char *peer_port(struct peer *peer) { return peer->port; }
int peer_port_number(struct peer *peer) { return peer->port_number; }
uint64_t peer_bytes(struct peer *peer) { return __atomic_load_n(&peer->bytes, __ATOMIC_SEQ_CST); }
const char *peer_handshake_error(struct peer *peer) { return peer->handshake_error; }

int peer_accepted(struct peer *peer) {
    /* A connection is ready for its client before the peer has accepted it. */
    for (;;) {
        struct pollfd waiting = {peer->listener, POLLIN, 0};
        pthread_mutex_lock(&peer->mutex);
        bool all = !peer->running || poll(&waiting, 1, 0) <= 0;
        int n = peer->accepted;
        pthread_mutex_unlock(&peer->mutex);
        if (all) return n;
        sched_yield();
    }
}

int peer_failed_handshakes(struct peer *peer) {
    pthread_mutex_lock(&peer->mutex);
    int n = peer->failed_handshakes;
    pthread_mutex_unlock(&peer->mutex);
    return n;
}

const char *peer_process(const struct peer_options *options) {
    char *port = alloc(8);
    int ends[2];
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        CHECK_INT(write(ends[1], peer_port(peer_start(options)), 8), 8);
        for (;;) pause();
    }
    close(ends[1]);
    if (read(ends[0], port, 8) != 8) FAIL("the peer's process ended");
    close(ends[0]);
    return port;
}

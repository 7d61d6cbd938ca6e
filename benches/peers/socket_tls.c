/*
 * TLS on blocking sockets: SocketTLS_* beside straight calls of OpenSSL on equal sockets, in turns, within one run. The
 * other end is a thread that is straight in both cases. Each line is the median of the rounds: CPU time of the client's
 * thread, which a busy machine disturbs less than time on the wall, and what was done per second on the wall.
 *
 *     socket_tls CA CERT KEY [ROUNDS]          everything, as a table
 *     socket_tls CA CERT KEY WHAT WHO COUNT    one of it, for counting instructions: e.g. full ours 100
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <core/Except.h>
#include <core/SocketError.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <socket/Socket.h>
#include <socket/SocketReconnect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tls/SocketTLS.h>
#include <tls/SocketTLSContext.h>
#include <unistd.h>

#define RECORD 16384
#define HOST "localhost"

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, Socket_GetLastError());
    ERR_print_errors_fp(stderr);
    exit(1);
}

/* ---- The peer ----------------------------------------------------------------------------------------------------- */

struct job {
    int fd;    /* -1: the next client of the listener */
    long pour; /* bytes to send; -1: take what comes */
};

static int jobs[2], done[2], listener;
static struct sockaddr_in address;
static SSL_CTX *server;
static char record[RECORD];

static void *serve(void *unused) {
    struct job job;
    (void)unused;
    while (read(jobs[0], &job, sizeof job) == (ssize_t)sizeof job) {
        char buf[RECORD];
        SSL *ssl = SSL_new(server);
        int accepted = job.fd < 0 ? accept(listener, NULL, NULL) : -1, on = 1;
        if (accepted >= 0) setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        SSL_set_fd(ssl, job.fd < 0 ? accepted : job.fd);
        if (SSL_accept(ssl) != 1) fail("accept");
        for (; job.pour > 0; job.pour -= RECORD)
            if (SSL_write(ssl, record, job.pour < RECORD ? (int)job.pour : RECORD) <= 0) break;
        /* The end of the stream counts as one here. */
        while (SSL_read(ssl, buf, sizeof buf) > 0) {
        }
        ERR_clear_error();
        SSL_free(ssl);
        if (accepted >= 0) close(accepted);
        if (write(done[1], &job, 1) != 1) fail("pipe");
    }
    return NULL;
}

/* ---- The two ways ------------------------------------------------------------------------------------------------- */

struct end {
    Socket_T socket, peer;
    SSL *ssl; /* of the straight one */
};

static SSL_CTX *straight_ctx;
static SocketTLSContext_T ours_ctx;
static unsigned char saved[16384]; /* a session, as bytes in both cases */
static size_t saved_len;

static void open_pair(struct end *end, long pour) {
    struct job job;
    SocketPair_new(SOCK_STREAM, &end->socket, &end->peer);
    memset(&job, 0, sizeof job);
    job.fd = Socket_fd(end->peer);
    job.pour = pour;
    if (write(jobs[1], &job, sizeof job) != (ssize_t)sizeof job) fail("pipe");
}

static void close_pair(struct end *end) {
    char byte;
    Socket_free(&end->socket);
    if (read(done[0], &byte, 1) != 1) fail("pipe");
    Socket_free(&end->peer);
}

static void ours_connect(struct end *end, int resume) {
    SocketTLS_enable(end->socket, ours_ctx);
    SocketTLS_set_hostname(end->socket, HOST);
    if (resume && SocketTLS_session_restore(end->socket, saved, saved_len) != 1) fail("restore");
    if (SocketTLS_handshake(end->socket) != TLS_HANDSHAKE_COMPLETE) fail("handshake");
}

static void straight_connect(struct end *end, int resume) {
    end->ssl = SSL_new(straight_ctx);
    SSL_set_fd(end->ssl, Socket_fd(end->socket));
    SSL_set_tlsext_host_name(end->ssl, HOST);
    SSL_set1_host(end->ssl, HOST);
    if (resume) {
        const unsigned char *from = saved;
        SSL_SESSION *session = d2i_SSL_SESSION(NULL, &from, (long)saved_len);
        SSL_set_session(end->ssl, session);
        SSL_SESSION_free(session);
    }
    if (SSL_connect(end->ssl) != 1) fail("connect");
}

static void shake(int ours, int resume) {
    struct end end;
    char byte;
    memset(&end, 0, sizeof end);
    open_pair(&end, 1);
    if (ours) {
        ours_connect(&end, resume);
        if (SocketTLS_recv(end.socket, &byte, 1) != 1) fail("recv");
        if (SocketTLS_is_session_reused(end.socket) != resume) fail("not as it was to be resumed");
        saved_len = sizeof saved;
        if (SocketTLS_session_save(end.socket, saved, &saved_len) != 1) fail("save");
    } else {
        straight_connect(&end, resume);
        if (SSL_read(end.ssl, &byte, 1) != 1) fail("read");
        if (SSL_session_reused(end.ssl) != resume) fail("not as it was to be resumed");
        unsigned char *to = saved;
        saved_len = (size_t)i2d_SSL_SESSION(SSL_get_session(end.ssl), &to);
        SSL_set_shutdown(end.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(end.ssl);
    }
    close_pair(&end);
}

static double now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct cost {
    double cpu, wall;
};

static struct cost begin(void) {
    struct cost c = {now(CLOCK_THREAD_CPUTIME_ID), now(CLOCK_MONOTONIC)};
    return c;
}

static struct cost since(struct cost start) {
    struct cost c = begin();
    c.cpu -= start.cpu;
    c.wall -= start.wall;
    return c;
}

static struct cost full(int ours, long count) {
    struct cost start = begin();
    while (count-- > 0) shake(ours, 0);
    return since(start);
}

static struct cost resumed(int ours, long count) {
    struct cost start;
    shake(ours, 0);
    start = begin();
    while (count-- > 0) shake(ours, 1);
    return since(start);
}

/* ---- The same over TCP, by a client that connects again and keeps its session as an object ------------------------- */

static SocketReconnect_T again;
static SSL_SESSION *kept;

static void await(int fd, int writing) {
    struct pollfd p;
    p.fd = fd;
    p.events = writing ? POLLOUT : POLLIN;
    if (poll(&p, 1, 10000) != 1) fail("poll");
}

static void ours_again(int resume) {
    char byte;
    SocketReconnect_connect(again);
    while (!SocketReconnect_isconnected(again)) {
        await(SocketReconnect_pollfd(again), SocketReconnect_tls_handshake_state(again) != TLS_HANDSHAKE_WANT_READ);
        SocketReconnect_process(again);
        if (SocketReconnect_state(again) == RECONNECT_BACKOFF) fail("reconnect");
    }
    while (SocketReconnect_recv(again, &byte, 1) != 1) await(SocketReconnect_pollfd(again), 0);
    if (SocketReconnect_is_session_reused(again) != resume) fail("not as it was to be resumed");
    SocketReconnect_disconnect(again);
}

static void straight_again(int resume) {
    int result, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
    socklen_t len = sizeof error;
    SSL *ssl = SSL_new(straight_ctx);
    char byte;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS) fail("connect");
    await(fd, 1);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) fail("connect");
    SSL_set_fd(ssl, fd);
    SSL_set_tlsext_host_name(ssl, HOST);
    SSL_set1_host(ssl, HOST);
    if (resume) SSL_set_session(ssl, kept);
    while ((result = SSL_connect(ssl)) != 1) {
        if (SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ) fail("handshake");
        await(fd, 0);
    }
    while ((result = SSL_read(ssl, &byte, 1)) != 1) {
        if (SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ) fail("read");
        await(fd, 0);
    }
    if (SSL_session_reused(ssl) != resume) fail("not as it was to be resumed");
    SSL_SESSION_free(kept);
    kept = SSL_get1_session(ssl);
    SSL_shutdown(ssl);
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
    close(fd);
}

static void connect_again(int ours, int resume) {
    struct job job;
    char byte;
    memset(&job, 0, sizeof job);
    job.fd = -1;
    job.pour = 1;
    if (write(jobs[1], &job, sizeof job) != (ssize_t)sizeof job) fail("pipe");
    if (ours) {
        ours_again(resume);
    } else {
        straight_again(resume);
    }
    if (read(done[0], &byte, 1) != 1) fail("pipe");
}

static struct cost reconnects(int ours, long count) {
    struct cost start;
    if (ours) {
        again = SocketReconnect_new("127.0.0.1", ntohs(address.sin_port), NULL, NULL, NULL);
        SocketReconnect_set_tls(again, ours_ctx, HOST);
    }
    connect_again(ours, 0);
    start = begin();
    while (count-- > 0) connect_again(ours, 1);
    start = since(start);
    if (ours) SocketReconnect_free(&again);
    return start;
}

static struct cost writes(int ours, long count) {
    struct end end;
    struct cost cost, start;
    memset(&end, 0, sizeof end);
    open_pair(&end, -1);
    if (ours) {
        ours_connect(&end, 0);
        start = begin();
        while (count-- > 0)
            if (SocketTLS_send(end.socket, record, RECORD) != RECORD) fail("send");
    } else {
        straight_connect(&end, 0);
        start = begin();
        while (count-- > 0)
            if (SSL_write(end.ssl, record, RECORD) != RECORD) fail("write");
    }
    cost = since(start);
    if (!ours) SSL_free(end.ssl);
    close_pair(&end);
    return cost;
}

static struct cost reads(int ours, long count) {
    struct end end;
    struct cost cost, start;
    static char buf[RECORD];
    long left = count * RECORD;
    memset(&end, 0, sizeof end);
    open_pair(&end, left);
    if (ours) {
        ours_connect(&end, 0);
        start = begin();
        while (left > 0) left -= SocketTLS_recv(end.socket, buf, sizeof buf);
    } else {
        straight_connect(&end, 0);
        start = begin();
        while (left > 0) left -= SSL_read(end.ssl, buf, sizeof buf);
    }
    cost = since(start);
    if (!ours) SSL_free(end.ssl);
    close_pair(&end);
    return cost;
}

/* ---- A frame without a raise -------------------------------------------------------------------------------------- */

struct frame {
    struct frame *prev;
    jmp_buf env;
};

static __thread struct frame *frames;
static volatile long sink;

static void ours_try(long i) {
    TRY {
        sink += i;
    }
    END_TRY;
}

/* What no implementation can do without: a setjmp, the frame linked, the frame unlinked. */
static void straight_try(long i) {
    struct frame frame;
    frame.prev = frames;
    frames = &frame;
    if (setjmp(frame.env) == 0) sink += i;
    frames = frame.prev;
}

static struct cost frames_of(int ours, long count) {
    struct cost start = begin();
    long i;
    for (i = 0; i < count; i++) {
        if (ours) {
            ours_try(i);
        } else {
            straight_try(i);
        }
    }
    return since(start);
}

/* ---- The table ---------------------------------------------------------------------------------------------------- */

static const struct what {
    const char *name, *unit;
    struct cost (*run)(int ours, long count);
    long count;
    double target; /* of the ratio of CPU times */
} table[] = {
    {"writes", "16 KiB writes", writes, 4000, 1.05},
    {"reads", "16 KiB reads", reads, 4000, 1.05},
    {"full", "full handshakes", full, 100, 1.05},
    {"resumed", "resumed handshakes", resumed, 200, 1.0},
    {"again", "the same, in memory", reconnects, 200, 1.0},
    {"try", "TRY without a raise", frames_of, 5000000, 1.0},
};

#define MOST 101

static int smaller(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, smaller);
    return values[count / 2];
}

static void compare(const struct what *what, int rounds) {
    double cpu[2][MOST], wall[2][MOST], ratio[MOST];
    double mine, other;
    int i, who;
    for (who = 0; who < 2; who++) what->run(who, what->count / 10 + 1); /* warms up */
    for (i = 0; i < rounds; i++) {
        for (who = 0; who < 2; who++) {
            int ours = who ^ (i & 1); /* neither is always first */
            struct cost cost = what->run(ours, what->count);
            cpu[ours][i] = cost.cpu;
            wall[ours][i] = cost.wall;
        }
        ratio[i] = cpu[1][i] / cpu[0][i];
    }
    mine = median(cpu[1], rounds) / (double)what->count;
    other = median(cpu[0], rounds) / (double)what->count;
    printf("%-20s %12.3f %12.3f %8.3f %8.2f %12.0f %12.0f\n", what->unit, mine * 1e6, other * 1e6,
           median(ratio, rounds), what->target, (double)what->count / median(wall[1], rounds),
           (double)what->count / median(wall[0], rounds));
    fflush(stdout);
}

static SSL_CTX *straight_context(const char *ca) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1) fail(ca);
    return ctx;
}

int main(int argc, char **argv) {
    pthread_t thread;
    size_t i;
    int rounds = 11;
    socklen_t len = sizeof address;
    if (argc != 4 && argc != 5 && argc != 7) {
        fprintf(stderr, "usage: %s CA CERT KEY [ROUNDS | WHAT WHO COUNT]\n", argv[0]);
        return 2;
    }
    if (argc == 5) rounds = atoi(argv[4]);
    signal(SIGPIPE, SIG_IGN); /* the peer is straight */
    if (rounds < 1 || rounds > MOST || pipe(jobs) || pipe(done)) return 2;
    server = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(server, argv[2]) != 1 ||
        SSL_CTX_use_PrivateKey_file(server, argv[3], SSL_FILETYPE_PEM) != 1)
        fail(argv[2]);
    straight_ctx = straight_context(argv[1]);
    ours_ctx = SocketTLSContext_new_client(argv[1]);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, len) || listen(listener, 8) ||
        getsockname(listener, (struct sockaddr *)&address, &len))
        fail("listen");
    if (pthread_create(&thread, NULL, serve, NULL) != 0) fail("thread");

    if (argc == 7) {
        for (i = 0; i < sizeof table / sizeof *table; i++)
            if (strcmp(argv[4], table[i].name) == 0) table[i].run(strcmp(argv[5], "ours") == 0, atol(argv[6]));
    } else {
        printf("%-20s %12s %12s %8s %8s %12s %12s\n", "", "ours, us", "straight", "ratio", "target", "ours, 1/s",
               "straight");
        for (i = 0; i < sizeof table / sizeof *table; i++) compare(&table[i], rounds);
    }
    close(jobs[1]);
    pthread_join(thread, NULL);
    SSL_SESSION_free(kept);
    SSL_CTX_free(straight_ctx);
    SSL_CTX_free(server);
    SocketTLSContext_free(&ours_ctx);
    return 0;
}

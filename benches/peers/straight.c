/*
 * The reference: an echo server and an echo client written straight on epoll and OpenSSL, as well as we can.
 *
 * Level-triggered; interest is set once and changed only when a write blocks. A message costs one epoll_wait (shared by
 * all that are ready), one recv and one send: nobody reads until EAGAIN where the whole message is there. TLS reads
 * ahead, so that a record is one recv, not a header and a body. SIGPIPE is ignored, which is cheaper than any other way
 * around it and which only a program may do.
 */
#define _GNU_SOURCE
#include "common.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { EVENTS = 256, BUFFER = 16 * 1024 };
enum phase { CONNECTING, HANDSHAKE, OPEN };

struct peer {
    int fd;
    enum phase phase;
    uint32_t interest;
    SSL *ssl;
    long left;         /* client: messages still to echo */
    size_t got;        /* client: bytes of the current echo */
    size_t sent;       /* bytes of `out` (server) or of the message (client) that the kernel took */
    size_t queued;     /* server: bytes of `out` */
    char *out;         /* server: what the kernel did not take */
};

static struct options options;
static SSL_CTX *context;
static int epoll_fd;
static char *message;
static char buffer[BUFFER];
static int open_count, done_count;

static void die_tls(const char *what)
{
    fprintf(stderr, "%s: ", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static void watch(struct peer *p, uint32_t interest)
{
    if (p->interest == interest)
        return;
    struct epoll_event event = {.events = interest, .data.ptr = p};
    if (epoll_ctl(epoll_fd, p->interest ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, p->fd, &event) != 0)
        die("epoll_ctl");
    p->interest = interest;
}

/* Bytes, 0 at the end, -1 when nothing can be done now (the interest is set). */
static ssize_t receive(struct peer *p, void *data, size_t size)
{
    if (p->ssl) {
        size_t count;
        int result = SSL_read_ex(p->ssl, data, size, &count);
        if (result == 1)
            return (ssize_t)count;
        switch (SSL_get_error(p->ssl, result)) {
        case SSL_ERROR_WANT_READ:
            return -1;
        case SSL_ERROR_WANT_WRITE:
            watch(p, EPOLLIN | EPOLLOUT);
            return -1;
        default:
            ERR_clear_error();
            return 0;
        }
    }
    ssize_t count = recv(p->fd, data, size, 0);
    return count >= 0 ? count : errno == EAGAIN ? -1 : 0;
}

/* Bytes taken, 0 when the kernel is full, -1 when the peer is gone. */
static ssize_t transmit(struct peer *p, const void *data, size_t size)
{
    if (p->ssl) {
        size_t count;
        int result = SSL_write_ex(p->ssl, data, size, &count);
        if (result == 1)
            return (ssize_t)count;
        int error = SSL_get_error(p->ssl, result);
        if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ)
            return 0;
        ERR_clear_error();
        return -1;
    }
    ssize_t count = send(p->fd, data, size, MSG_NOSIGNAL);
    return count >= 0 ? count : errno == EAGAIN ? 0 : -1;
}

static void finish(struct peer *p)
{
    if (p->ssl) {
        SSL_shutdown(p->ssl);
        ERR_clear_error();
        SSL_free(p->ssl);
    }
    close(p->fd);
    free(p->out);
    free(p);
    open_count--;
}

static void set_nodelay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void start_tls(struct peer *p)
{
    p->ssl = SSL_new(context);
    if (!p->ssl || SSL_set_fd(p->ssl, p->fd) != 1)
        die_tls("SSL_new");
    if (options.mode == MODE_SERVER) {
        SSL_set_accept_state(p->ssl);
    } else {
        SSL_set_connect_state(p->ssl);
        SSL_set_hostflags(p->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        if (SSL_set_tlsext_host_name(p->ssl, "localhost") != 1 || SSL_set1_host(p->ssl, "localhost") != 1)
            die_tls("host name");
    }
    p->phase = HANDSHAKE;
}

/* True once the connection is open. */
static bool handshake(struct peer *p)
{
    int result = SSL_do_handshake(p->ssl);
    if (result == 1) {
        p->phase = OPEN;
        watch(p, EPOLLIN);
        if (options.release)
            SSL_free_buffers(p->ssl);
        return true;
    }
    switch (SSL_get_error(p->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        watch(p, EPOLLIN);
        return false;
    case SSL_ERROR_WANT_WRITE:
        watch(p, EPOLLOUT);
        return false;
    default:
        die_tls("handshake");
        return false;
    }
}

/* ---- server ---- */

static void server_flush(struct peer *p)
{
    while (p->sent < p->queued) {
        ssize_t count = transmit(p, p->out + p->sent, p->queued - p->sent);
        if (count < 0) {
            finish(p);
            return;
        }
        if (count == 0)
            return;
        p->sent += (size_t)count;
    }
    free(p->out);
    p->out = NULL;
    p->sent = p->queued = 0;
    watch(p, EPOLLIN);
}

static void server_event(struct peer *p)
{
    if (p->phase == HANDSHAKE && !handshake(p))
        return;
    if (p->queued) {
        server_flush(p);
        return;
    }
    /* What TLS has read ahead is not seen by epoll: go on while it holds something. */
    do {
        ssize_t count = receive(p, buffer, sizeof buffer);
        if (count < 0)
            return;
        if (count == 0) {
            finish(p);
            return;
        }
        ssize_t taken = transmit(p, buffer, (size_t)count);
        if (taken < 0) {
            finish(p);
            return;
        }
        if (taken < count) {
            p->queued = (size_t)(count - taken);
            p->out = malloc(p->queued);
            if (!p->out)
                die("malloc");
            memcpy(p->out, buffer + taken, p->queued);
            watch(p, EPOLLOUT);
            return;
        }
    } while (p->ssl && SSL_has_pending(p->ssl));
}

static int listener;

static void server_accept(void)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct peer *p = calloc(1, sizeof *p);
    if (!p)
        die("calloc");
    p->fd = fd;
    p->phase = OPEN;
    open_count++;
    set_nodelay(fd);
    if (options.tls)
        start_tls(p);
    watch(p, EPOLLIN);
}

static void serve(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(options.port))};
    socklen_t length = sizeof address;
    int on = 1;
    inet_pton(AF_INET, options.host, &address.sin_addr);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 4096) != 0)
        die("listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                server_event(events[i].data.ptr);
            else
                server_accept();
        }
    }
}

/* ---- client ---- */

static void client_send(struct peer *p)
{
    ssize_t count = transmit(p, message + p->sent, options.size - p->sent);
    if (count < 0)
        die("send");
    p->sent += (size_t)count;
    if (p->sent < options.size)
        watch(p, EPOLLIN | EPOLLOUT);
    else if (p->interest != EPOLLIN)
        watch(p, EPOLLIN);
}

static void client_open(struct peer *p)
{
    p->left = options.messages;
    if (options.idle || p->left == 0) {
        done_count++;
        return;
    }
    client_send(p);
}

static void client_receive(struct peer *p)
{
    do {
        ssize_t count = receive(p, buffer, sizeof buffer);
        if (count < 0) {
            /* Session tickets have come. */
            if (p->ssl && options.release)
                SSL_free_buffers(p->ssl);
            return;
        }
        if (count == 0)
            die("the server closed");
        p->got += (size_t)count;
        if (p->got < options.size)
            continue;
        p->got = p->sent = 0;
        if (--p->left == 0) {
            done_count++;
            return;
        }
        client_send(p);
    } while (p->ssl && SSL_has_pending(p->ssl));
}

static void client_event(struct peer *p, uint32_t events)
{
    switch (p->phase) {
    case CONNECTING: {
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &length);
        if (error) {
            errno = error;
            die("connect");
        }
        if (options.tls) {
            start_tls(p);
            if (handshake(p))
                client_open(p);
        } else {
            p->phase = OPEN;
            watch(p, EPOLLIN);
            client_open(p);
        }
        return;
    }
    case HANDSHAKE:
        if (handshake(p))
            client_open(p);
        return;
    case OPEN:
        if ((events & EPOLLOUT) && p->sent < options.size)
            client_send(p);
        if (events & EPOLLIN)
            client_receive(p);
        return;
    }
}

static void run_client(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(options.port))};
    inet_pton(AF_INET, options.host, &address.sin_addr);
    struct peer **peers = calloc((size_t)options.connections, sizeof *peers);
    message = malloc(options.size);
    if (!peers || !message)
        die("malloc");
    memset(message, 'x', options.size);
    size_t before = heap_in_use();
    double start = seconds_now();
    for (int i = 0; i < options.connections; i++) {
        struct peer *p = peers[i] = calloc(1, sizeof *p);
        if (!p)
            die("calloc");
        p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (p->fd < 0)
            die("socket");
        set_nodelay(p->fd);
        if (connect(p->fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS)
            die("connect");
        open_count++;
        watch(p, EPOLLOUT);
    }
    /* Idle connections: let the session tickets arrive, they are part of one. */
    double until = 0;
    for (int timeout = -1; done_count < options.connections || seconds_now() < until;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll_fd, events, EVENTS, timeout);
        for (int i = 0; i < count; i++)
            client_event(events[i].data.ptr, events[i].events);
        if (options.idle && !until && done_count == options.connections) {
            until = seconds_now() + 0.5;
            timeout = 100;
        }
    }
    if (options.idle)
        print_idle("straight", &options, before, heap_in_use());
    else
        print_round_trips("straight", &options, seconds_now() - start);
    for (int i = 0; i < options.connections; i++)
        finish(peers[i]);
    free(peers);
    free(message);
}

static void set_up_tls(void)
{
    bool server = options.mode == MODE_SERVER;
    context = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (!context)
        die_tls("SSL_CTX_new");
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_read_ahead(context, 1);
    if (SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1 ||
        SSL_CTX_set1_groups_list(context, "P-256") != 1)
        die_tls("parameters");
    if (server) {
        if (SSL_CTX_use_certificate_chain_file(context, options.cert) != 1 ||
            SSL_CTX_use_PrivateKey_file(context, options.key, SSL_FILETYPE_PEM) != 1)
            die_tls("certificate");
    } else {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        if (options.ca && SSL_CTX_load_verify_locations(context, options.ca, NULL) != 1)
            die_tls("CA");
    }
}

int main(int argc, char **argv)
{
    options = parse_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    if (options.tls)
        set_up_tls();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        die("epoll_create1");
    if (options.mode == MODE_SERVER)
        serve();
    run_client();
    SSL_CTX_free(context);
    close(epoll_fd);
    return 0;
}

/*
 * A small HTTPS server on 127.0.0.1: the server side of net_conn.h. Prints the port it got; SIGTERM ends it.
 *
 *     server CERTIFICATE KEY
 */
#define _POSIX_C_SOURCE 200809L

#include <net_conn.h>
#include <netconn.h>
#include <netconn_tls.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
                             "Hello from a server made of netconn.\n";

struct guest {
    size_t len;
    char request[4096];
};

static void leave(struct net_conn *c) {
    free(conn_get_data(c));
    conn_close(c); /* sends what is still to be sent, then close_notify */
}

static void on_readable(struct net_conn *c, void *arg) {
    struct guest *guest = arg;
    ssize_t n = conn_try_read(c, guest->request + guest->len, sizeof guest->request - 1 - guest->len);
    if (n < 0) return; /* nothing yet (EAGAIN), or on_error is about to be called */
    guest->len += (size_t)n;
    guest->request[guest->len] = '\0';
    bool complete = strstr(guest->request, "\r\n\r\n") != NULL;
    /* A new connection takes so few bytes at once: -1 means that on_error is about to be called. */
    if (complete && conn_try_write(c, answer, strlen(answer)) < 0) return;
    /* Answered; or the guest left, or talks too much (a read into no room gives 0). */
    if (complete || n == 0) leave(c);
}

static void on_ready(struct net_conn *c, void *arg) {
    (void)arg;
    struct guest *guest = calloc(1, sizeof *guest);
    if (!guest) {
        conn_close(c);
        return;
    }
    conn_set_data(c, guest);
    conn_set_readable_callback(c, on_readable, guest);
}

static void on_error(struct net_conn *c, void *arg) {
    (void)arg;
    fprintf(stderr, "%s\n", conn_get_error_msg(c));
    leave(c);
}

/* The listening socket is readable: somebody came. */
static void on_guest(int listener, int revents, void *options) {
    (void)revents;
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) return; /* gone again; a server of many guests would pause for EMFILE, which does not go by itself */
    if (!conn_from_fd(NULL, fd, options, on_ready, on_error, NULL)) {
        perror("conn_from_fd");
        close(fd); /* still ours */
    }
}

static void on_sigterm(int signum, void *loop) {
    (void)signum;
    evloop_break(loop);
}

static int listen_anywhere(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, 16) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
        perror("listen");
        exit(1);
    }
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s CERTIFICATE KEY\n", argv[0]);
        return 2;
    }
    const char *protocols[] = {"http/1.1"};
    SocketTLSContext_T tls = netconn_tls_server(argv[1], argv[2], NULL);
    if (!tls || netconn_tls_set_alpn(tls, protocols, 1) != 0) {
        fprintf(stderr, "%s\n", netconn_tls_error());
        return 1;
    }
    struct conn_options options;
    conn_options_init(&options);
    options.use_tls = true;
    options.server_side = true;
    options.tls = tls;

    struct ev_loop *loop = evloop_get_default();
    int listener = listen_anywhere();
    if (!evloop_io_start(loop, listener, EVLOOP_READ, on_guest, &options) ||
        !evloop_signal_start(loop, SIGTERM, on_sigterm, loop)) {
        perror("evloop");
        return 1;
    }
    evloop_run(loop);

    netconn_tls_free(&tls);
    netconn_cleanup(); /* the loop, and all that is still attached to it */
    close(listener);
    return 0;
}

/*
 * Visits a TLS server twice and tells how long each step took, and what was agreed on. The second visit resumes the TLS
 * session of the first.
 *
 *     cc demo_client.c -o demo_client -I/usr/local/include/netconn -L/usr/local/lib -lnetconn -Wl,-rpath,/usr/local/lib
 *     ./demo_client HOST PORT CA [NAME]
 *
 * CA: a PEM file with the authority to trust. NAME: whom the server must prove to be, when it is not HOST.
 */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */

#include <net_conn.h>
#include <netconn.h>
#include <netconn_tls.h>

#include <stdio.h>
#include <time.h>

struct visitor {
    const char *host, *port;
    struct conn_options options;
    int visits;        /* how many are still to come, the present one included */
    double asked_at;   /* when the request was written, in milliseconds */
    bool answered;     /* whether the first byte came */
    int status;        /* what main returns */
};

static void visit(struct visitor *v);

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static const char *or_none(const char *text) {
    return text ? text : "none";
}

static void on_readable(struct net_conn *c, void *arg) {
    struct visitor *v = arg;
    char buf[4096];
    ssize_t n = conn_try_read(c, buf, sizeof buf);
    if (n < 0) return; /* nothing yet (EAGAIN), or on_error is about to be called */
    if (n > 0) {
        if (!v->answered) printf("  first byte %8.2f ms\n\n", now_ms() - v->asked_at);
        v->answered = true;
        fwrite(buf, 1, (size_t)n, stdout);
        return;
    }
    conn_close(c);
    printf("\n");
    if (--v->visits > 0) visit(v);
    else v->status = 0;
}

static void on_ready(struct net_conn *c, void *arg) {
    struct visitor *v = arg;
    const struct conn_timing *t = conn_get_timing(c);
    printf("  resolve    %8.2f ms\n", (double)t->resolve / 1e6);
    printf("  connect    %8.2f ms   %u address%s tried\n", (double)t->connect / 1e6, t->attempts,
           t->attempts == 1 ? "" : "es");
    printf("  TLS        %8.2f ms   %s, %s, ALPN %s, %s\n", (double)t->tls / 1e6, conn_get_tls_version(c),
           conn_get_cipher(c), or_none(conn_get_alpn(c)), conn_session_reused(c) ? "resumed" : "not resumed");

    char request[1024];
    int len = snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
                       conn_get_host(c));
    v->asked_at = now_ms();
    if (len < 0 || len >= (int)sizeof request || conn_try_write(c, request, (size_t)len) != len) {
        fprintf(stderr, "  the request could not be written\n");
        conn_close(c);
        return;
    }
    conn_set_readable_callback(c, on_readable, v);
}

static void on_error(struct net_conn *c, void *arg) {
    (void)arg;
    printf("  %s\n\n", conn_get_error_msg(c));
    conn_close(c);
}

static void visit(struct visitor *v) {
    v->answered = false;
    printf("%s:%s", v->host, v->port);
    if (v->options.server_name) printf(", which has to be %s", v->options.server_name);
    printf("\n");
    if (!conn_new_with(NULL, v->host, v->port, &v->options, on_ready, on_error, v)) perror("conn_new_with");
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: %s HOST PORT CA [NAME]\n", argv[0]);
        return 2;
    }
    struct visitor v = {.host = argv[1], .port = argv[2], .visits = 2, .status = 1};

    /* Both visits share the context: it holds whom to trust and the sessions to resume. */
    SocketTLSContext_T tls = netconn_tls_client(argv[3]);
    const char *protocols[] = {"http/1.1"};
    if (!tls || netconn_tls_set_alpn(tls, protocols, 1) != 0) {
        fprintf(stderr, "%s\n", netconn_tls_error());
        return 2;
    }
    conn_options_init(&v.options);
    v.options.use_tls = true;
    v.options.tls = tls;
    v.options.server_name = argc > 4 ? argv[4] : NULL;
    v.options.deadline = 10;

    visit(&v);
    evloop_run(evloop_get_default()); /* until nothing is open any more */
    netconn_tls_free(&tls);
    netconn_cleanup(); /* the loop and the resolver: for leak checkers; an exit releases them too */
    return v.status;
}

/*
 * Fetches several files of a web server, one after the other, over a pool of connections, and tells which connection each
 * came over.
 *
 *     cc pool.c -o pool $(pkg-config --cflags --libs netconn)
 *     ./pool https example.org 443 / /robots.txt /
 */
#define _POSIX_C_SOURCE 200809L
#include <netconn.h>
#include <pconn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static struct {
    struct pconn_pool *pool;
    const char *scheme, *host, *port;
    char **paths; /* those left, ended by NULL */
    int status;   /* of this program */

    /* The request that is under way. */
    bool reused, repeated, in_body, keep_alive;
    char head[16384];
    size_t head_len;
    long long length, got; /* of the body; a length of -1 means: until the end of the stream */
} fetch;

static void begin(void);

static void end(struct net_conn *c, const char *error) {
    if (error) {
        fprintf(stderr, "%s: %s\n", *fetch.paths, error);
        fetch.status = 1;
    } else {
        /* "HTTP/1.1 200 OK": the number stands at 9. */
        printf("%s: %.3s, %lld bytes over %s\n", *fetch.paths, fetch.head + 9, fetch.got,
               fetch.reused ? "the same connection" : "a new connection");
    }
    fetch.paths++;
    fetch.repeated = false;
    /* The pool keeps what can be used again and closes what cannot; the program has no connection any more. */
    pconn_release(fetch.pool, c, !error && fetch.keep_alive);
    if (*fetch.paths) begin();
}

/*
 * A server may close a connection that it has kept for long just when it is used again. A request that may be repeated is
 * then repeated, once, provided that nothing of its answer has come.
 */
static void lost(struct net_conn *c, const char *error) {
    if (fetch.reused && !fetch.repeated && fetch.head_len == 0) {
        fetch.repeated = true;
        pconn_release(fetch.pool, c, false);
        pconn_flush_for_host(fetch.pool, fetch.host);
        begin();
        return;
    }
    end(c, error);
}

/* The lines that say how long the body is, and whether the connection may be used again. */
static void read_head(void) {
    fetch.length = -1;
    fetch.keep_alive = strncmp(fetch.head, "HTTP/1.0", 8) != 0;
    for (char *line = strstr(fetch.head, "\r\n") + 2; *line != '\r'; line = strstr(line, "\r\n") + 2) {
        if (strncasecmp(line, "Content-Length:", 15) == 0) fetch.length = strtoll(line + 15, NULL, 10);
        if (strncasecmp(line, "Connection: close", 17) == 0) fetch.keep_alive = false;
        if (strncasecmp(line, "Connection: keep-alive", 22) == 0) fetch.keep_alive = true;
    }
}

/* The answer, piece by piece: true when it is complete. */
static bool take(const char *bytes, size_t len) {
    if (!fetch.in_body) {
        size_t room = sizeof fetch.head - 1 - fetch.head_len, part = len < room ? len : room;
        memcpy(fetch.head + fetch.head_len, bytes, part);
        fetch.head_len += part;
        fetch.head[fetch.head_len] = 0;
        char *body = strstr(fetch.head, "\r\n\r\n");
        if (!body) return false;
        fetch.in_body = true;
        read_head();
        size_t before = fetch.head_len - part; /* of the head, from earlier pieces */
        size_t used = (size_t)(body + 4 - fetch.head) - before;
        bytes += used, len -= used;
    }
    fetch.got += (long long)len; /* here a program would do something with them */
    return fetch.length >= 0 && fetch.got >= fetch.length;
}

static void on_readable(struct net_conn *c, void *arg) {
    char buf[16384];
    ssize_t n = conn_try_read(c, buf, sizeof buf);
    (void)arg;
    if (n > 0) {
        if (take(buf, (size_t)n)) end(c, NULL);
        else if (!fetch.in_body && fetch.head_len == sizeof fetch.head - 1) end(c, "the answer's head is too long");
    } else if (n == 0) {
        fetch.keep_alive = false;
        if (fetch.in_body && fetch.length < 0) end(c, NULL);
        else lost(c, "the server closed the connection too early");
    } /* -1: nothing yet, or on_error follows */
}

static void on_ready(struct net_conn *c, void *arg) {
    char request[2048];
    /* HTTP/1.0, so that the answer comes in one piece. */
    int len = snprintf(request, sizeof request, "GET %s HTTP/1.0\r\nHost: %s\r\nConnection: keep-alive\r\n\r\n", *fetch.paths,
                       fetch.host);
    (void)arg;
    if (len >= (int)sizeof request) {
        end(c, "the path is too long");
        return;
    }
    /* A connection that has just become ready takes so few bytes at once; where it has died since, on_error follows. */
    if (conn_try_write(c, request, (size_t)len) == len) conn_set_readable_callback(c, on_readable, NULL);
}

static void on_error(struct net_conn *c, void *arg) {
    (void)arg;
    lost(c, conn_get_error_msg(c));
}

static void begin(void) {
    size_t idle = pconn_get_idle_count(fetch.pool);
    fetch.head_len = 0;
    fetch.head[0] = 0;
    fetch.in_body = fetch.keep_alive = false;
    fetch.got = 0;
    if (!pconn_acquire(fetch.pool, fetch.scheme, fetch.host, fetch.port, strcmp(fetch.scheme, "https") == 0, on_ready, on_error,
                       NULL)) {
        perror("pconn_acquire");
        fetch.status = 1;
        return;
    }
    fetch.reused = pconn_get_idle_count(fetch.pool) < idle;
}

int main(int argc, char **argv) {
    if (argc < 5 || (strcmp(argv[1], "http") != 0 && strcmp(argv[1], "https") != 0)) {
        fprintf(stderr, "usage: %s http|https HOST PORT PATH...\n", argv[0]);
        return 2;
    }
    fetch.scheme = argv[1], fetch.host = argv[2], fetch.port = argv[3], fetch.paths = argv + 4;
    fetch.pool = pconn_pool_new(NULL);
    if (!fetch.pool) {
        perror("pconn_pool_new");
        return 1;
    }
    begin();
    evloop_run(evloop_get_default()); /* idle connections do not keep it running */
    pconn_pool_free(fetch.pool);
    netconn_cleanup(); /* what is kept for the process: for leak checkers */
    return fetch.status;
}

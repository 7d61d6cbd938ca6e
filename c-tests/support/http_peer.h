/* http_peer.h - what a peer needs to speak a little HTTP, well or badly. */
#ifndef NETCONN_TESTS_HTTP_PEER_H
#define NETCONN_TESTS_HTTP_PEER_H

#include "../harness.h"
#include "peers.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct request {
    char head[4096]; /* the whole of it, terminated */
    char method[16], path[1024];
};

/* Reads a request's head, not a byte more; false at the end of the stream before its last byte. */
static inline bool http_read_request(struct peer_conn *pc, struct request *request) {
    size_t len = 0;
    while (len < 4 || memcmp(request->head + len - 4, "\r\n\r\n", 4) != 0) {
        if (len == sizeof request->head - 1) FAIL("a request's head of more than %zu bytes", len);
        if (!peer_read_exactly(pc, request->head + len, 1)) return false;
        len++;
    }
    request->head[len] = 0;
    if (sscanf(request->head, "%15s %1023s HTTP/1.1\r\n", request->method, request->path) != 2)
        FAIL("no request of HTTP/1.1: %s", request->head);
    return true;
}

static inline bool http_is_for(const struct request *request, const char *path) { return strcmp(request->path, path) == 0; }

__attribute__((format(printf, 2, 3))) static inline bool http_say(struct peer_conn *pc, const char *format, ...) {
    char text[4096];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    CHECK(len >= 0 && len < (int)sizeof text);
    return peer_write(pc, text, (size_t)len);
}

/* A good answer with a short body. */
static inline bool http_answer(struct peer_conn *pc, const char *body) {
    return http_say(pc, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
}

#endif

/* What the echo programs share: the command line, the clock, the heap, and the line of results. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum mode { MODE_CLIENT, MODE_SERVER };

struct options {
    enum mode mode;
    bool tls;
    bool idle;             /* connect, let everything settle, report the heap, leave */
    bool release;          /* straight: give OpenSSL's buffers back after the handshake */
    const char *host;      /* a literal; with TLS "localhost" is verified */
    const char *port;      /* server: "0" lets the kernel choose; it is printed */
    int connections;
    long messages;         /* round trips of each connection */
    size_t size;           /* bytes of a message */
    const char *cert, *key, *ca;
};

static inline void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static inline void usage(const char *program)
{
    fprintf(stderr,
            "usage: %s --mode client|server [--host ADDRESS] --port PORT [--tls]\n"
            "  [--connections N] [--messages M] [--size BYTES] [--idle] [--release]\n"
            "  [--cert FILE --key FILE] [--ca FILE]\n",
            program);
    exit(2);
}

static inline struct options parse_options(int argc, char **argv)
{
    struct options o = {
        .mode = MODE_CLIENT, .host = "127.0.0.1", .port = "0", .connections = 1, .messages = 1000, .size = 64,
    };
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (!strcmp(name, "--tls")) {
            o.tls = true;
            continue;
        }
        if (!strcmp(name, "--idle")) {
            o.idle = true;
            continue;
        }
        if (!strcmp(name, "--release")) {
            o.release = true;
            continue;
        }
        if (++i == argc)
            usage(argv[0]);
        const char *value = argv[i];
        if (!strcmp(name, "--mode"))
            o.mode = !strcmp(value, "server") ? MODE_SERVER : MODE_CLIENT;
        else if (!strcmp(name, "--host"))
            o.host = value;
        else if (!strcmp(name, "--port"))
            o.port = value;
        else if (!strcmp(name, "--connections"))
            o.connections = atoi(value);
        else if (!strcmp(name, "--messages"))
            o.messages = atol(value);
        else if (!strcmp(name, "--size"))
            o.size = (size_t)atol(value);
        else if (!strcmp(name, "--cert"))
            o.cert = value;
        else if (!strcmp(name, "--key"))
            o.key = value;
        else if (!strcmp(name, "--ca"))
            o.ca = value;
        else
            usage(argv[0]);
    }
    if (o.connections < 1 || o.size < 1 || o.size > 1 << 20)
        usage(argv[0]);
    return o;
}

static inline double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Bytes that malloc has handed out. */
static inline size_t heap_in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static inline void print_round_trips(const char *program, const struct options *o, double seconds)
{
    double trips = (double)o->messages * o->connections;
    printf("{\"program\":\"%s\",\"tls\":%s,\"connections\":%d,\"messages\":%ld,\"size\":%zu,"
           "\"seconds\":%.6f,\"round_trips_per_second\":%.0f}\n",
           program, o->tls ? "true" : "false", o->connections, o->messages, o->size, seconds,
           seconds > 0 ? trips / seconds : 0.0);
}

static inline void print_idle(const char *program, const struct options *o, size_t before, size_t after)
{
    printf("{\"program\":\"%s\",\"tls\":%s,\"connections\":%d,\"heap_per_connection\":%.0f}\n", program,
           o->tls ? "true" : "false", o->connections, ((double)after - (double)before) / o->connections);
}

#endif

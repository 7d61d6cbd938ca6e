/*
 * lookup.h - a lookup under observation: what the callback was told is kept, and what must never happen fails the test at
 * once (a callback inside the call, a second one, a list that contradicts its status).
 */
#ifndef NETCONN_TESTS_LOOKUP_H
#define NETCONN_TESTS_LOOKUP_H

#include "../harness.h"
#include "dns_cares.h"
#include "evloop.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct lookup {
    struct ev_loop *loop;
    struct dns_request *request;
    int answers; /* how often the callback ran */
    int status;  /* as it was told */
    int error;   /* errno in it */
    int count;   /* entries of the list */
    int socktype, protocol; /* of the first entry */
    char text[2048]; /* "127.0.0.1:80 [::1]:80" */
    void (*then)(struct lookup *lookup); /* runs in the callback; may be NULL */
    void *arg;
};

/* How many calls of the library that must not call back are on the stack. */
static __thread int calling;

static inline void append_address(char *text, size_t size, const struct addrinfo *ai) {
    size_t used = strlen(text);
    char ip[INET6_ADDRSTRLEN];
    if (used > 0) used += (size_t)snprintf(text + used, size - used, " ");
    if (ai->ai_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)ai->ai_addr;
        CHECK_INT(ai->ai_addrlen, sizeof *in);
        CHECK_INT(in->sin_family, AF_INET);
        CHECK(inet_ntop(AF_INET, &in->sin_addr, ip, sizeof ip));
        snprintf(text + used, size - used, "%s:%d", ip, ntohs(in->sin_port));
    } else {
        const struct sockaddr_in6 *in6 = (const void *)ai->ai_addr;
        CHECK_INT(ai->ai_family, AF_INET6);
        CHECK_INT(ai->ai_addrlen, sizeof *in6);
        CHECK_INT(in6->sin6_family, AF_INET6);
        CHECK(inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof ip));
        if (in6->sin6_scope_id)
            snprintf(text + used, size - used, "[%s%%%u]:%d", ip, in6->sin6_scope_id, ntohs(in6->sin6_port));
        else
            snprintf(text + used, size - used, "[%s]:%d", ip, ntohs(in6->sin6_port));
    }
}

static inline void lookup_done(int status, const struct addrinfo *ai, void *arg) {
    struct lookup *lookup = arg;
    lookup->error = errno;
    CHECK_INT(calling, 0);
    CHECK_INT(lookup->answers++, 0);
    lookup->status = status;
    CHECK((status == 0) == (ai != NULL));
    if (ai) lookup->socktype = ai->ai_socktype, lookup->protocol = ai->ai_protocol;
    for (; ai; ai = ai->ai_next) {
        CHECK_INT(ai->ai_flags, 0);
        CHECK_PTR_NULL(ai->ai_canonname);
        append_address(lookup->text, sizeof lookup->text, ai);
        lookup->count++;
    }
    if (lookup->then) lookup->then(lookup);
}

/* One that lives until the end of the test, and is not started. */
static inline struct lookup *lookup_new(struct ev_loop *loop) {
    struct lookup *lookup = alloc(sizeof *lookup);
    memset(lookup, 0, sizeof *lookup);
    lookup->loop = loop;
    return lookup;
}

static inline void lookup_begin(struct lookup *lookup, const char *host, const char *service, int family, int socktype) {
    calling++;
    lookup->request = dns_resolve_start(lookup->loop, host, service, family, socktype, 0, lookup_done, lookup);
    calling--;
    CHECK_PTR_NOT_NULL(lookup->request);
}

/* A stream address of any family. */
static inline struct lookup *lookup_start(struct ev_loop *loop, const char *host, const char *service) {
    struct lookup *lookup = lookup_new(loop);
    lookup_begin(lookup, host, service, AF_UNSPEC, SOCK_STREAM);
    return lookup;
}

/* Runs the loop until the answer. */
static inline struct lookup *lookup_wait(struct lookup *lookup) {
    while (lookup->answers == 0) CHECK_CMP(evloop_run_once(lookup->loop, -1), >=, 0);
    return lookup;
}

/* Statuses as their names, so that a failure can be read. */
static inline const char *status_name(int status) {
    switch (status) {
    case 0: return "0";
    case EAI_AGAIN: return "EAI_AGAIN";
    case EAI_FAIL: return "EAI_FAIL";
    case EAI_FAMILY: return "EAI_FAMILY";
    case EAI_NONAME: return "EAI_NONAME";
    case EAI_SERVICE: return "EAI_SERVICE";
    case EAI_SOCKTYPE: return "EAI_SOCKTYPE";
    case EAI_SYSTEM: return "EAI_SYSTEM";
#ifdef EAI_NODATA
    case EAI_NODATA: return "EAI_NODATA";
#endif
#ifdef EAI_ADDRFAMILY
    case EAI_ADDRFAMILY: return "EAI_ADDRFAMILY";
#endif
    default: return "another status";
    }
}

/* Looks it up, and wants these addresses, or this status ("EAI_NONAME"). */
#define CHECK_LOOKUP(loop, host, service, expected) CHECK_STR(looked_up((loop), (host), (service), AF_UNSPEC), (expected))

static inline const char *looked_up(struct ev_loop *loop, const char *host, const char *service, int family) {
    struct lookup *lookup = lookup_new(loop);
    lookup_begin(lookup, host, service, family, SOCK_STREAM);
    lookup_wait(lookup);
    return lookup->status ? status_name(lookup->status) : lookup->text;
}

static inline void free_loop(void *loop) { evloop_free(loop); }

/* A loop, freed when the test has passed. */
static inline struct ev_loop *new_loop(void) {
    struct ev_loop *loop = evloop_new();
    CHECK_PTR_NOT_NULL(loop);
    at_end(free_loop, loop);
    return loop;
}

#endif

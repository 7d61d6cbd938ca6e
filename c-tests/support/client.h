/*
 * client.h - a connection under observation: each callback that net_conn.h promises is counted, and what must never
 * happen fails the test at once (a callback inside the call that caused it, an outcome reported twice, members that lie).
 */
#ifndef NETCONN_TESTS_CLIENT_H
#define NETCONN_TESTS_CLIENT_H

#include "evloop.h"
#include "net_conn.h"
#include "netconn_tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client {
    struct ev_loop *loop;
    struct net_conn *c; /* NULL once closed with client_close() */
    int ready, errors;  /* how often on_ready and on_error ran */
    bool calling;       /* a call of the library is on the stack: no callback may run */
    /* As they were in on_error: */
    enum conn_error kind;
    int error;
    long verify;
    char message[1024];
    /* What runs in on_ready and on_error after the checks; may be NULL. `arg` is for the test. */
    void (*then_ready)(struct client *client);
    void (*then_error)(struct client *client);
    void *arg;
};

/* A loop, freed at the end of the test. */
struct ev_loop *test_loop(void);

/* Options with their defaults, to be changed. */
struct conn_options options(void);
/* Options of a TLS client that trusts the test CA. The context lives until the end of the test. */
struct conn_options tls_options(void);
/* A client context that trusts the test CA, freed at the end. */
SocketTLSContext_T tls_client_context(void);

/* conn_new_with() under observation; the object lives until the end of the test. Fails the test where it gives NULL. */
struct client *client_open(struct ev_loop *loop, const char *host, const char *port, const struct conn_options *o);
struct client *client_adopt(struct ev_loop *loop, int fd, const struct conn_options *o);
/* For what opens in its own way: the callbacks, and the argument to give with them. */
struct client *client_new(struct ev_loop *loop);
void client_on_ready(struct net_conn *c, void *client);
void client_on_error(struct net_conn *c, void *client);

/* Runs the loop until the outcome; another one than this fails the test and says what happened. */
void client_wait_ready(struct client *client);
void client_wait_error(struct client *client);
void client_close(struct client *client);

/* The outcome is an error of this kind and errno; the state, the members and the getters say so too. */
#define CHECK_FAILED_WITH(client, kind, error) client_check_failed(__FILE__, __LINE__, (client), (kind), (error))
void client_check_failed(const char *file, int line, struct client *client, enum conn_error kind, int error);

/* The members agree with the getters and with what the header says of each state. */
void check_members(struct net_conn *c);

/* Writes all, running the loop while the connection takes no more. */
void client_write(struct client *client, const void *buf, size_t len);
/* Reads exactly `len` bytes, running the loop while there are none. */
void client_read(struct client *client, void *buf, size_t len);
/* Runs the loop until a read gives something else than EAGAIN: what it gave (errno as the read left it). */
ssize_t client_read_some(struct client *client, void *buf, size_t len);
/* Sends `len` bytes of `text` and wants them back. */
void client_echo(struct client *client, const char *text);

/* Runs the loop until the condition holds; fails the test when nothing comes of it for long. */
#define RUN_UNTIL(loop, condition)                                                                                     \
    do {                                                                                                               \
        struct evloop_timer *guard_ = run_guard((loop), __FILE__, __LINE__, #condition);                               \
        while (!(condition)) CHECK(evloop_run_once((loop), -1) >= 0);                                                  \
        run_unguard(guard_);                                                                                           \
    } while (0)
struct evloop_timer *run_guard(struct ev_loop *loop, const char *file, int line, const char *condition);
void run_unguard(struct evloop_timer *guard);

/* Runs rounds of the loop until all that is ready now has been dispatched twice over: for "and nothing more happens". */
void run_rounds(struct ev_loop *loop);

#endif

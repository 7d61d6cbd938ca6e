/*
 * server.h - an echo server that is itself a netconn program: one loop, conn_from_fd for each connection. It lives in a
 * process of its own and tells what it has open and allocated, so that a test sees whether the server's side of a long
 * life leaves anything behind, too.
 */
#ifndef NETCONN_TESTS_SERVER_H
#define NETCONN_TESTS_SERVER_H

#include <stdbool.h>

struct server_options {
    int version;      /* 0: plain; TLS1_2_VERSION, TLS1_3_VERSION: that one alone */
    bool no_sessions; /* each handshake is a whole one */
    int limit;        /* open descriptors it needs room for; 0: the system's limit will do */
};

struct server;

/*
 * Listens on all addresses of the machine. Ended with the test, and must then end well: a memory checker's word counts. To
 * be started first, before the test has anything of the library's that the server's process would have, too.
 */
struct server *server_start(const struct server_options *options);
const char *server_port(struct server *server);

struct server_report {
    int open;             /* connections now */
    int accepted, failed; /* so far; failed ones are those that had an error, at whatever time */
    int fds;              /* descriptors that are open */
    long heap;            /* heap_in_use() */
};
/* How it is, after it has seen all that happened before. */
struct server_report server_report(struct server *server);
/* The report once `open` connections are left. */
struct server_report server_wait_open(struct server *server, int open);
/* It closes all its connections. */
void server_close_all(struct server *server);

/* Room for `n` descriptors in this process, or the test is skipped. */
void need_fds(int n);

#endif

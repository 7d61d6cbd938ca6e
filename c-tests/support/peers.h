/*
 * peers.h - servers to test against, in threads of the test's own process: plain sockets and OpenSSL's libssl, used
 * directly and blocking. They know nothing of netconn.
 *
 *     static void greet(struct peer_conn *pc) { peer_write(pc, "hello", 5); }
 *     struct peer *peer = PEER(.serve = greet);
 *     ... connect to 127.0.0.1, peer_port(peer) ...
 *
 * Each accepted connection is served in a thread of its own, which ends when its function returns: the connection is then
 * closed in good manners (close_notify, FIN), unless the function ended it otherwise. Checks may be used in it. When a
 * test has passed, all peers are stopped: connections still open are shut, and the threads are waited for.
 */
#ifndef NETCONN_TESTS_PEERS_H
#define NETCONN_TESTS_PEERS_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

struct peer;

struct peer_conn {
    int fd;
    SSL *ssl; /* NULL: plain */
    struct peer *peer;
    void *arg;  /* peer_options.arg */
    int number; /* 0 for the first connection of this peer */
    bool ended; /* the serve function has ended it in its own way */
    pthread_t thread;
    struct peer_conn *next;
};

typedef void (*peer_serve)(struct peer_conn *pc);

struct peer_options {
    peer_serve serve; /* serve_echo when NULL */
    void *arg;
    int family;          /* AF_INET (the default), AF_INET6, AF_UNIX */
    const char *address; /* 127.0.0.1 or ::1 when NULL; for AF_UNIX the path, with @ in front an abstract name */
    int port;            /* 0: any free one */
    int receive_buffer;  /* SO_RCVBUF; 0: the system's */
    int backlog;         /* of listen; 1024 when 0 */
    /* TLS when a certificate is named: files of the test certificates. */
    const char *cert, *key;
    int min_version, max_version; /* TLS1_2_VERSION, ...; 0: what OpenSSL offers */
    const char *client_ca;        /* ask for a client certificate of this CA, and refuse without */
    const char *alpn;             /* the one protocol this server speaks; NULL: it ignores ALPN */
    bool no_handshake;            /* the serve function does it itself, or not at all */
    bool no_tickets;              /* no session tickets after a TLS 1.3 handshake */
};

struct peer *peer_start(const struct peer_options *options);
/*
 * The same in a process of its own, which is killed with the test: its port. For tests of what this process has open, locked
 * or broken, of which the threads of a peer would be a part.
 */
const char *peer_process(const struct peer_options *options);
#define PEER(...) peer_start(&(struct peer_options){__VA_ARGS__})
/* A TLS server with the good certificate, of one version only. */
#define TLS_PEER(version, ...)                                                                                         \
    PEER(.cert = CERT_GOOD, .key = CERT_GOOD_KEY, .min_version = (version), .max_version = (version), __VA_ARGS__)

/* The port as a string, valid until the end of the test. */
const char *peer_port(struct peer *peer);
int peer_port_number(struct peer *peer);
/* How many connections were accepted so far; how many handshakes failed. */
int peer_accepted(struct peer *peer);
int peer_failed_handshakes(struct peer *peer);
/* What failed in the last failed handshake, as OpenSSL says it ("" when none did). Ask after peer_stop(). */
const char *peer_handshake_error(struct peer *peer);
/* Bytes read by serve_echo and serve_sink. */
uint64_t peer_bytes(struct peer *peer);
/* Stops accepting and waits until each connection has come to its own end. */
void peer_join(struct peer *peer);
/* Stops accepting, ends what is open and waits for the threads; again is fine. */
void peer_stop(struct peer *peer);
/* Closes the listening socket only: from now on connects are refused. */
void peer_stop_listening(struct peer *peer);

/* ---- What a peer does ------------------------------------------------------------------------------------------------ */

void serve_echo(struct peer_conn *pc);  /* sends back what it reads, until the end */
void serve_sink(struct peer_conn *pc);  /* reads until the end, counting */
void serve_check(struct peer_conn *pc); /* reads until the end, which must be clean; the bytes are the pattern */
void serve_close(struct peer_conn *pc); /* closes at once, cleanly */
void serve_reset(struct peer_conn *pc); /* reads a byte, then resets */
void serve_stall(struct peer_conn *pc); /* reads and writes nothing until the client ends or the peer is stopped */
/* Passes bytes one by one between the client and 127.0.0.1, port `arg` (a string), both ways. */
void serve_trickle(struct peer_conn *pc);

/* ---- Pieces of serve functions --------------------------------------------------------------------------------------- */

/* >0 bytes, 0 at a clean end, -1 at any other. */
ssize_t peer_read(struct peer_conn *pc, void *buf, size_t len);
/* Exactly so many bytes; false at an end before. */
bool peer_read_exactly(struct peer_conn *pc, void *buf, size_t len);
/* All of it, or false. Under TLS one record for each 16 KiB. */
bool peer_write(struct peer_conn *pc, const void *buf, size_t len);
/* `size` bytes of the pattern, from offset 0. */
bool peer_write_pattern(struct peer_conn *pc, uint64_t size);
/* Reads and drops until the end; whether it was a clean one. */
bool peer_drain(struct peer_conn *pc);
/* close_notify under TLS, then FIN: no more is written, reading goes on. */
void peer_end_writing(struct peer_conn *pc);
/* FIN without close_notify. */
void peer_truncate(struct peer_conn *pc);
/* RST. The connection is closed then. */
void peer_reset(struct peer_conn *pc);

/* ---- Waiting for each other ------------------------------------------------------------------------------------------ */

/* A gate between threads: closed until opened, once. Initialise with GATE. */
struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool open;
};
#define GATE {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false}
void gate_open(struct gate *gate);
void gate_wait(struct gate *gate);

/* ---- Addresses without a server -------------------------------------------------------------------------------------- */

/* A port of 127.0.0.1 on which nobody listens: connects are refused. Reserved by a bound socket until the test ends. */
const char *refused_port(void);
/* A listening socket whose queue is full: the kernel drops each further SYN in silence. port 0: any; returns the port. */
int full_queue(int family, const char *address, int port);
/* A connected pair of TCP sockets on 127.0.0.1, blocking; both the caller's. */
void tcp_pair(int fds[2]);

#endif

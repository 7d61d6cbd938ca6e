/**
 * socket/SocketReconnect.h - a client that stays connected: it tries again, later each time, and stops for a while where
 * nothing helps. One thread drives it: process on events of its descriptor, tick at its next time-out.
 */

#ifndef NETCONN_SOCKET_SOCKETRECONNECT_H
#define NETCONN_SOCKET_SOCKETRECONNECT_H

#include "core/Except.h"
#include "core/SocketHandles.h"
#include "socket/Socket.h"
#if SOCKET_HAS_TLS
#include "tls/SocketTLS.h"
#endif

#include <stddef.h>
#include <sys/types.h>

/* A policy's members where it names none, or none that will do. */
#ifndef SOCKET_RECONNECT_DEFAULT_INITIAL_DELAY_MS
#define SOCKET_RECONNECT_DEFAULT_INITIAL_DELAY_MS 100
#endif
#ifndef SOCKET_RECONNECT_DEFAULT_MAX_DELAY_MS
#define SOCKET_RECONNECT_DEFAULT_MAX_DELAY_MS 30000
#endif
#ifndef SOCKET_RECONNECT_DEFAULT_MULTIPLIER
#define SOCKET_RECONNECT_DEFAULT_MULTIPLIER 2.0
#endif
#ifndef SOCKET_RECONNECT_DEFAULT_JITTER
#define SOCKET_RECONNECT_DEFAULT_JITTER 0.25
#endif
#ifndef SOCKET_RECONNECT_DEFAULT_MAX_ATTEMPTS
#define SOCKET_RECONNECT_DEFAULT_MAX_ATTEMPTS 10
#endif
#ifndef SOCKET_RECONNECT_DEFAULT_CIRCUIT_THRESHOLD
#define SOCKET_RECONNECT_DEFAULT_CIRCUIT_THRESHOLD 5
#endif
#ifndef SOCKET_RECONNECT_DEFAULT_CIRCUIT_RESET_MS
#define SOCKET_RECONNECT_DEFAULT_CIRCUIT_RESET_MS 60000
#endif
#ifndef SOCKET_RECONNECT_MIN_CIRCUIT_RESET_MS
#define SOCKET_RECONNECT_MIN_CIRCUIT_RESET_MS 1000
#endif
#ifndef SOCKET_RECONNECT_DEFAULT_HEALTH_INTERVAL_MS
#define SOCKET_RECONNECT_DEFAULT_HEALTH_INTERVAL_MS 30000
#endif
#ifndef SOCKET_RECONNECT_DEFAULT_HEALTH_TIMEOUT_MS
#define SOCKET_RECONNECT_DEFAULT_HEALTH_TIMEOUT_MS 5000
#endif
#ifndef SOCKET_RECONNECT_MIN_HEALTH_TIMEOUT_MS
#define SOCKET_RECONNECT_MIN_HEALTH_TIMEOUT_MS 100
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** A client that stays connected could not be made or changed. */
extern const Except_T SocketReconnect_Failed;

#ifdef __cplusplus
}
#endif

/** Where a connection is. */
typedef enum SocketReconnect_State {
    /** Nothing is tried. */
    RECONNECT_DISCONNECTED = 0,
    /** An attempt is under way. */
    RECONNECT_CONNECTING = 1,
    /** There is a connection; with TLS, the handshake is complete. */
    RECONNECT_CONNECTED = 2,
    /** The next attempt waits for its time. */
    RECONNECT_BACKOFF = 3,
    /** So many attempts have failed that the next one waits long. */
    RECONNECT_CIRCUIT_OPEN = 4
} SocketReconnect_State;

/** When and how often a connection is tried again. A member that is out of range is replaced by the default. */
typedef struct SocketReconnect_Policy_T {
    /** The wait that grows, in milliseconds; from 1. */
    int initial_delay_ms;
    /** No wait is longer, in milliseconds; from the initial one. */
    int max_delay_ms;
    /** Each wait is so many times the one before; from 1. */
    double multiplier;
    /** The share of a wait that chance adds or takes; 0 to 1. */
    double jitter;
    /** After so many attempts without success nothing is tried any more; 0: any number. */
    int max_attempts;
    /** After so many failures in a row the circuit opens; from 1. */
    int circuit_failure_threshold;
    /** The wait of an open circuit, in milliseconds; from 1000. */
    int circuit_reset_timeout_ms;
    /** How often a connection is examined, in milliseconds; 0: never. */
    int health_check_interval_ms;
    /** How long an examination may take, in milliseconds; from 100. */
    int health_check_timeout_ms;
} SocketReconnect_Policy_T;

/**
 * Called on every change of state, inside the call that brought it about, after that change is complete: `conn` may be
 * asked, ended, told to connect, and freed (nothing touches it afterwards). What the callback asks for is done when it
 * has returned; calls of it never nest. What it raises is raised by the function that the program called, when that is
 * done.
 */
typedef void (*SocketReconnect_Callback)(SocketReconnect_T conn,
                                         SocketReconnect_State old_state,
                                         SocketReconnect_State new_state,
                                         void *userdata);

/**
 * Examines a connection: 1 when it is well, 0 when it is to be made anew. It may take `timeout_ms`, and may do
 * everything that a SocketReconnect_Callback may; when it raises, the connection counts as well. `userdata` is that of
 * SocketReconnect_new.
 */
typedef int (*SocketReconnect_HealthCheck)(SocketReconnect_T conn, Socket_T socket, int timeout_ms, void *userdata);

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Makes a client for streams over IPv4, in RECONNECT_DISCONNECTED. `host` is a name or an address; it is copied, and so
 * is `policy` (NULL: the defaults). `callback` (may be NULL) hears of every change of state. To be ended with
 * SocketReconnect_free. Why an attempt failed or the connection broke, Socket_GetLastError tells: in the callback, and
 * after the call that found it.
 *
 * One thread at a time uses it. It waits for SocketReconnect_pollfd, readable and writable, and calls
 * SocketReconnect_process when that is ready; after SocketReconnect_next_timeout_ms it calls SocketReconnect_tick. The
 * descriptor changes with the state. No call waits: names are looked up meanwhile, for 5 seconds at most. An attempt
 * has failed when there is no TCP connection after 30 seconds, or when the TLS handshake takes longer than its context
 * says; of the latter no descriptor tells, but SocketReconnect_process and SocketReconnect_tick do, so a program that
 * uses TLS calls one of them now and then.
 *
 * Raises SocketReconnect_Failed (EINVAL): `host` NULL or of more than 255 bytes, a port out of 1..65535.
 */
SocketReconnect_T SocketReconnect_new(const char *host, int port, const SocketReconnect_Policy_T *policy,
                                      SocketReconnect_Callback callback, void *userdata);

/**
 * Ends a client, closes its socket (with a close_notify where there is TLS), stores NULL; the callback hears nothing of
 * it. From its own callback, too. In a forked child the parent's connection is not touched. Nothing happens for NULL.
 */
void SocketReconnect_free(SocketReconnect_T *conn);

/**
 * Begins to connect, in RECONNECT_DISCONNECTED; else nothing happens. An attempt that fails at once is a failure like
 * any other. Never raises by itself.
 */
void SocketReconnect_connect(SocketReconnect_T conn);

/**
 * Closes the connection, or gives up what leads to one: RECONNECT_DISCONNECTED, and no attempts are counted. What was
 * set for TLS stays.
 */
void SocketReconnect_disconnect(SocketReconnect_T conn);

/**
 * Forgets attempts and failures, and closes the circuit: one that was open is tried at the next tick. State and TLS
 * stay.
 */
void SocketReconnect_reset(SocketReconnect_T conn);

/** The socket in RECONNECT_CONNECTED, else NULL. It stays the client's, and ends with the connection. */
Socket_T SocketReconnect_socket(SocketReconnect_T conn);

/** The state; RECONNECT_DISCONNECTED for NULL. */
SocketReconnect_State SocketReconnect_state(SocketReconnect_T conn);

/** 1 in RECONNECT_CONNECTED, else 0. */
int SocketReconnect_isconnected(SocketReconnect_T conn);

/**
 * Attempts since the last success, the one under way included. Where a server under TLS 1.3 has asked for a
 * certificate, a connection is a success only when the first bytes come: until then the server may refuse the client.
 */
int SocketReconnect_attempts(SocketReconnect_T conn);

/** Failures one after the other, since the last success. */
int SocketReconnect_failures(SocketReconnect_T conn);

/**
 * What to wait for, readable and writable while connecting; -1 when there is nothing. While a name is looked up it is
 * no socket. Ask again after each call.
 */
int SocketReconnect_pollfd(SocketReconnect_T conn);

/** Goes on with an attempt as far as that can be done without waiting: connects, then the TLS handshake. */
void SocketReconnect_process(SocketReconnect_T conn);

/** Does what is due: the next attempt, the attempt that decides on an open circuit, the examination of a connection. */
void SocketReconnect_tick(SocketReconnect_T conn);

/**
 * Milliseconds until SocketReconnect_tick has something to do, 0 for now; -1 when only the descriptor or the program
 * moves things on.
 */
int SocketReconnect_next_timeout_ms(SocketReconnect_T conn);

/**
 * How a connection is examined. NULL: whether the peer has ended it, as far as the kernel knows; what is to be read
 * stays.
 */
void SocketReconnect_set_health_check(SocketReconnect_T conn, SocketReconnect_HealthCheck check);

/** The defaults. */
void SocketReconnect_policy_defaults(SocketReconnect_Policy_T *policy);

/** "DISCONNECTED", "CONNECTING", "CONNECTED", "BACKOFF", "CIRCUIT_OPEN"; "UNKNOWN" for anything else. */
const char *SocketReconnect_state_name(SocketReconnect_State state);

/**
 * Sends: how many bytes were taken, 0 when none can be now (repeat with the same bytes). -1 with ENOTCONN: there is no
 * connection, or it has broken, and what follows a failure has happened. EINVAL for NULL with a length.
 */
ssize_t SocketReconnect_send(SocketReconnect_T conn, const void *buf, size_t len);

/**
 * Receives at least one byte. 0: the peer has closed, or the connection has broken, and what follows a failure has
 * happened. -1 with ENOTCONN: there is no connection; EAGAIN: nothing is there; EINVAL: no room.
 */
ssize_t SocketReconnect_recv(SocketReconnect_T conn, void *buf, size_t len);

#ifdef __cplusplus
}
#endif

#if SOCKET_HAS_TLS

#ifdef __cplusplus
extern "C" {
#endif

/**
 * TLS from the next attempt on (one under way without a TCP connection has it, too). `hostname` is sent to the server
 * (a name), and the certificate must be for it, whatever the mode of the context; it is copied. Sessions are kept for
 * the next attempt. What was set before is replaced, its session forgotten.
 *
 * Raises SocketReconnect_Failed (EINVAL): no client, `ctx` NULL, `hostname` NULL, empty or of more than 255 bytes; what
 * was set before holds then.
 */
void SocketReconnect_set_tls(SocketReconnect_T conn, SocketTLSContext_T ctx, const char *hostname);

/** No TLS from the next attempt on; what was set is forgotten, the session too. */
void SocketReconnect_disable_tls(SocketReconnect_T conn);

/** Whether the next attempt will use TLS: 1 or 0. */
int SocketReconnect_tls_enabled(SocketReconnect_T conn);

/**
 * The name that was set for TLS; NULL without TLS. Valid until TLS is set or disabled, and as long as the client lives.
 */
const char *SocketReconnect_get_tls_hostname(SocketReconnect_T conn);

/**
 * How far the handshake of the last attempt is; TLS_HANDSHAKE_NOT_STARTED without TLS, before an attempt and after a
 * connection.
 */
TLSHandshakeState SocketReconnect_tls_handshake_state(SocketReconnect_T conn);

/**
 * Whether a session is kept for the next attempt, which may then skip the certificates (they were seen before, and
 * under the same conditions). On since SocketReconnect_set_tls; 0 forgets the one that is kept. Nothing happens without
 * TLS.
 */
void SocketReconnect_set_session_resumption(SocketReconnect_T conn, int enable);

/** Whether this connection has resumed a session: 1 or 0; -1 unless connected with TLS. */
int SocketReconnect_is_session_reused(SocketReconnect_T conn);

#ifdef __cplusplus
}
#endif

#endif

#endif /* NETCONN_SOCKET_SOCKETRECONNECT_H */

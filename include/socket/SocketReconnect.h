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

#if SOCKET_HAS_TLS

#endif

#endif /* NETCONN_SOCKET_SOCKETRECONNECT_H */

/**
 * socket/Socket.h - sockets that tell failures by exceptions.
 *
 * One thread uses a socket at a time, but for two that send and receive on a plain one. Freeing a socket twice, and using
 * its handle in Socket_free and SocketPool_remove afterwards, does nothing.
 */

#ifndef NETCONN_SOCKET_SOCKET_H
#define NETCONN_SOCKET_SOCKET_H

#include "core/Except.h"
#include "core/SocketConfig.h"
#include "core/SocketHandles.h"
#include "dns/SocketDNS.h"
#include "socket/SocketCommon.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A socket call failed. */
extern const Except_T Socket_Failed;

/** The connection is over: the peer ended or reset it. */
extern const Except_T Socket_Closed;

/** A call on a Unix domain socket failed. */
extern const Except_T SocketUnix_Failed;

/**
 * Makes a socket: close-on-exec and blocking.
 *
 * `domain`: AF_INET, AF_INET6 or AF_UNIX; `type`: SOCK_STREAM or SOCK_DGRAM; `protocol`: 0, IPPROTO_TCP or IPPROTO_UDP.
 * Its time-outs are the process's defaults. To be ended with Socket_free.
 *
 * Raises Socket_Failed: another domain, type or protocol (EINVAL), and what socket(2) fails with.
 */
Socket_T Socket_new(int domain, int type, int protocol);

/**
 * Makes a connected pair of Unix sockets: close-on-exec and blocking. `type`: SOCK_STREAM or SOCK_DGRAM.
 *
 * Raises Socket_Failed: another type, NULL (EINVAL), and what socketpair(2) fails with.
 */
void SocketPair_new(int type, Socket_T *a, Socket_T *b);

/**
 * Takes a socket's descriptor over and makes it non-blocking; what it is, is asked of the kernel.
 *
 * Raises Socket_Failed when it is no socket; the descriptor is then still the caller's. A negative `fd` aborts.
 */
Socket_T Socket_new_from_fd(int fd);

/**
 * Ends a socket: drops its TLS without a close_notify, closes the descriptor, stores NULL. Nothing happens for NULL and
 * for a handle that was freed before.
 */
void Socket_free(Socket_T *socket);

/** How many sockets of this process are live. */
int Socket_debug_live_count(void);

/** The descriptor, which stays the socket's. A NULL or freed `socket` aborts. */
int Socket_fd(Socket_T socket);

#ifdef __cplusplus
}
#endif

#endif /* NETCONN_SOCKET_SOCKET_H */

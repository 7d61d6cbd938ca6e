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

/**
 * Binds to an address or a name of this host.
 *
 * `host`: NULL, "0.0.0.0" and "::" are all addresses; `port`: 0 to 65535, 0 for one that the system chooses (see
 * Socket_getlocalport). Turns SO_REUSEADDR on. errno is 0 afterwards.
 *
 * Returns with errno set and the socket unbound, and does not raise, for EADDRINUSE, EADDRNOTAVAIL, EACCES,
 * EAFNOSUPPORT (an address of another family than the socket's), and with EAI_FAIL for a name without an address.
 * Raises Socket_Failed: a port out of range (EINVAL), and all else. Waits for a name server as long as the socket's
 * dns_timeout_ms says.
 */
void Socket_bind(Socket_T socket, const char *host, int port);

/**
 * Lets connections come in; at most `backlog` (and never more than 1024) wait to be accepted.
 *
 * Raises Socket_Failed: a backlog below 1 (EINVAL), and what listen(2) fails with.
 */
void Socket_listen(Socket_T socket, int backlog);

/**
 * Accepts a connection: a new socket, close-on-exec and blocking, which knows both its addresses. Emits
 * SOCKET_EVENT_ACCEPTED. NULL with errno EAGAIN where none is waiting and `socket` does not block.
 *
 * Raises Socket_Failed: what accept(2) fails with; a connection that is gone before it is accepted is passed over.
 */
Socket_T Socket_accept(Socket_T socket);

/**
 * As Socket_accept, waiting for `timeout_ms` milliseconds at most, whatever the socket's mode, which is as before
 * afterwards; 0: without waiting, -1: as the socket's mode says. NULL with errno EAGAIN when no connection came.
 *
 * Raises Socket_Failed as Socket_accept.
 */
Socket_T Socket_accept_timeout(Socket_T socket, int timeout_ms);

/**
 * Connects to a name or address: each address of the socket's family is tried, in the order of RFC 6724.
 *
 * With a connect_timeout_ms above 0 it waits that long at most, whatever the socket's mode, which is as before
 * afterwards. With 0 the mode decides, and a connection that is on its way counts as a success with errno EINPROGRESS:
 * the socket becomes writable. Otherwise errno is 0 after a success. Emits SOCKET_EVENT_CONNECTED.
 *
 * Returns with errno set, and does not raise, for what may pass (ECONNREFUSED, ETIMEDOUT, ENETUNREACH and all others
 * that Socket_error_is_retryable knows), and with EAI_FAIL for a name without an address; Socket_isconnected is 0 then,
 * and the socket can connect again. Raises Socket_Failed: `host` is NULL or `port` out of range (EINVAL), and all else.
 */
void Socket_connect(Socket_T socket, const char *host, int port);

/** 1 when the socket has a peer, else 0; 0 for NULL. */
int Socket_isconnected(Socket_T socket);

/** 1 when the socket has a port or is a Unix one, else 0; 0 for NULL. */
int Socket_isbound(Socket_T socket);

/** 1 when connections can be accepted from the socket, else 0; 0 for NULL. */
int Socket_islistening(Socket_T socket);

/**
 * The peer's address in numbers, the path of a Unix socket, or "(unknown)" where there is none. Valid until the socket
 * is freed.
 */
const char *Socket_getpeeraddr(Socket_T socket);

/** The peer's port; 0 where there is none. */
int Socket_getpeerport(Socket_T socket);

/** The socket's own address, as Socket_getpeeraddr. */
const char *Socket_getlocaladdr(Socket_T socket);

/** The socket's own port; 0 where it has none. */
int Socket_getlocalport(Socket_T socket);

#ifdef __cplusplus
}
#endif

#endif /* NETCONN_SOCKET_SOCKET_H */

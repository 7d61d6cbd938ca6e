/**
 * socket/SocketIO.h - bytes of a socket, over TLS where that is enabled on it.
 */

#ifndef NETCONN_SOCKET_SOCKETIO_H
#define NETCONN_SOCKET_SOCKETIO_H

#include "socket/Socket.h"

#include <errno.h>
#include <stddef.h>
#include <sys/uio.h>
#if SOCKET_HAS_TLS && !defined(NETCONN_OPENSSL_HIDDEN)
#include <openssl/ssl.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** 1 from SocketTLS_enable until SocketTLS_disable or SocketTLS_shutdown, else 0; 0 for NULL. */
int socket_is_tls_enabled(Socket_T socket);

/**
 * 1 where TLS wants the socket to be read: the last step of an unfinished handshake waits for that; after it, there are
 * bytes to receive that the kernel knows nothing of (decrypted, or a complete record). Else 0, and without TLS, and for
 * NULL.
 */
int socket_tls_want_read(Socket_T socket);

/** 1 where the last step of an unfinished handshake waits until the socket can be written, else 0. */
int socket_tls_want_write(Socket_T socket);

#ifdef __cplusplus
}
#endif

/** Whether errno says that the call would have to wait. */
static inline int socketio_is_wouldblock(void) { return errno == EAGAIN || errno == EWOULDBLOCK; }

/** Whether errno says, after sending, that the connection is over. */
static inline int socketio_is_connection_closed_send(void) { return errno == EPIPE || errno == ECONNRESET; }

/** Whether errno says, after receiving, that the connection is over. */
static inline int socketio_is_connection_closed_recv(void) { return errno == ECONNRESET; }

#endif /* NETCONN_SOCKET_SOCKETIO_H */

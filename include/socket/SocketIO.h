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

/** Whether errno says that the call would have to wait. */
static inline int socketio_is_wouldblock(void) { return errno == EAGAIN || errno == EWOULDBLOCK; }

/** Whether errno says, after sending, that the connection is over. */
static inline int socketio_is_connection_closed_send(void) { return errno == EPIPE || errno == ECONNRESET; }

/** Whether errno says, after receiving, that the connection is over. */
static inline int socketio_is_connection_closed_recv(void) { return errno == ECONNRESET; }

#endif /* NETCONN_SOCKET_SOCKETIO_H */

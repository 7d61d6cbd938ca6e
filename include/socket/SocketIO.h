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

/** Socket_send with flags of send(2), which a socket with TLS does not know. */
ssize_t socket_send_internal(Socket_T socket, const void *buf, size_t len, int flags);

/** Socket_recv with flags of recv(2), which a socket with TLS does not know. */
ssize_t socket_recv_internal(Socket_T socket, void *buf, size_t len, int flags);

/** Socket_sendv with flags of send(2), which a socket with TLS does not know. */
ssize_t socket_sendv_internal(Socket_T socket, const struct iovec *iov, int iovcnt, int flags);

/** Socket_recvv with flags of recv(2), which a socket with TLS does not know. */
ssize_t socket_recvv_internal(Socket_T socket, struct iovec *iov, int iovcnt, int flags);

/** 1 from SocketTLS_enable until disable or shutdown, else 0; 0 for NULL. */
int socket_is_tls_enabled(Socket_T socket);

/**
 * Whether there is something to read without waiting for the descriptor: before the handshake is complete, whether its
 * last step waits for bytes from the peer; after it, whether decrypted bytes or a complete record are here. 0 without
 * TLS.
 */
int socket_tls_want_read(Socket_T socket);

/** Whether the last step of a handshake that is not complete waits until it can send. 0 without TLS. */
int socket_tls_want_write(Socket_T socket);

#ifdef __cplusplus
}
#endif

#if SOCKET_HAS_TLS && !defined(NETCONN_OPENSSL_HIDDEN)
#ifdef __cplusplus
extern "C" {
#endif

/**
 * OpenSSL's object of a socket with TLS, which stays the socket's and lives as long as its TLS; NULL without TLS, and
 * for NULL. Bytes that are sent and received through it are not counted, and after a write that would block the same
 * function has to go on.
 */
SSL *socket_get_ssl(Socket_T socket);

/**
 * As socket_get_ssl, for a socket whose handshake is complete.
 *
 * Raises Socket_Failed without TLS and for NULL (EINVAL), SocketTLS_HandshakeFailed before (ENOTCONN).
 */
SSL *socket_validate_tls_ready(Socket_T socket);

/**
 * What `ret`, which a call of OpenSSL with `ssl` has just returned on this thread, means as errno: 0 for a success, and
 * with errno EAGAIN for a call that waits for the socket; -1 with errno EPROTO (TLS failed), ECONNRESET (the peer ended
 * TLS or the connection), EINVAL (`ssl` is NULL), or the system's number. `socket` is not looked at.
 */
int socket_handle_ssl_error(Socket_T socket, SSL *ssl, int ret);

#ifdef __cplusplus
}
#endif
#endif

/** Whether errno says that the call would have to wait. */
static inline int socketio_is_wouldblock(void) { return errno == EAGAIN || errno == EWOULDBLOCK; }

/** Whether errno says, after sending, that the connection is over. */
static inline int socketio_is_connection_closed_send(void) { return errno == EPIPE || errno == ECONNRESET; }

/** Whether errno says, after receiving, that the connection is over. */
static inline int socketio_is_connection_closed_recv(void) { return errno == ECONNRESET; }

#endif /* NETCONN_SOCKET_SOCKETIO_H */

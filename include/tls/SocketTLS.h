/**
 * tls/SocketTLS.h - TLS on a socket.
 */

#ifndef NETCONN_TLS_SOCKETTLS_H
#define NETCONN_TLS_SOCKETTLS_H

#include "core/SocketFeatures.h"

#if defined(NETCONN_OPENSSL_HIDDEN) && (!defined(SOCKET_HAS_TLS) || SOCKET_HAS_TLS)
#error "this build of netconn has an OpenSSL of its own, hidden inside, whose objects cannot be shared with a program: use netconn_tls.h, or a build with the system's OpenSSL"
#endif

#if SOCKET_HAS_TLS

#include "core/Except.h"
#include "core/SocketHandles.h"
#include "netconn_types.h"
#include "socket/Socket.h"

#include <openssl/err.h>
#include <openssl/opensslv.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/** TLS failed, or was asked of a socket that has none. */
extern const Except_T SocketTLS_Failed;

/** The handshake failed, or has not been done. */
extern const Except_T SocketTLS_HandshakeFailed;

/** A certificate was refused. */
extern const Except_T SocketTLS_VerifyFailed;

/** The TLS protocol was violated. */
extern const Except_T SocketTLS_ProtocolError;

/** TLS could not be ended in good order. */
extern const Except_T SocketTLS_ShutdownFailed;

/** What Socket_GetLastError gave when an exception of TLS was raised last on this thread. To be read. */
extern __thread char tls_error_buf[512];

#ifdef __cplusplus
}
#endif

/**
 * What of a peer's certificate is verified. The values are bits: TLS_VERIFY_FAIL_IF_NO_PEER_CERT and
 * TLS_VERIFY_CLIENT_ONCE imply TLS_VERIFY_PEER.
 */
typedef enum TLSVerifyMode {
    /** Nothing: the peer may be anybody. A server asks for no certificate. */
    TLS_VERIFY_NONE = 0,
    /** A client: chain and hostname. A server: what a client shows; it may show nothing. */
    TLS_VERIFY_PEER = 1,
    /** A server: a client must show a certificate, too. */
    TLS_VERIFY_FAIL_IF_NO_PEER_CERT = 2,
    /** A server: a client that renegotiates is not asked again. */
    TLS_VERIFY_CLIENT_ONCE = 4
} TLSVerifyMode;

#endif

#endif /* NETCONN_TLS_SOCKETTLS_H */

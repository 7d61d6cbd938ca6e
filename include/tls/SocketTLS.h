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

/** How far a handshake is. */
typedef enum TLSHandshakeState {
    /** No step was made. */
    TLS_HANDSHAKE_NOT_STARTED = 0,
    /** It is under way. */
    TLS_HANDSHAKE_IN_PROGRESS = 1,
    /** It waits for the peer: make the next step when the socket can be read. */
    TLS_HANDSHAKE_WANT_READ = 2,
    /** It waits for the kernel: make the next step when the socket can be written. */
    TLS_HANDSHAKE_WANT_WRITE = 3,
    /** It is complete. */
    TLS_HANDSHAKE_COMPLETE = 4,
    /** It failed, or a loop's time was over. */
    TLS_HANDSHAKE_ERROR = 5
} TLSHandshakeState;

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Puts TLS on a socket, in the role of the context; the handshake is still to do. The socket may be connected later,
 * before that. Blocking or not stays as it is. From now on Socket_send, Socket_recv and all that stands on them go
 * through TLS. The context may be freed while the socket uses it.
 *
 * Raises SocketTLS_Failed: `socket` or `ctx` NULL, TLS is enabled already (EALREADY), a socket without a descriptor
 * (EBADF) or of type SOCK_DGRAM (EOPNOTSUPP), no memory.
 */
void SocketTLS_enable(Socket_T socket, SocketTLSContext_T ctx);

/**
 * Takes TLS off: the socket is plain again. Sends close_notify if the kernel takes it, and waits for the peer's for
 * 1.25 seconds at most; what the peer has sent before is dropped, what follows is received as plain bytes. Never raises
 * for what happens to the connection.
 *
 * Returns 1 when both sides have ended TLS, else 0; 0 also where TLS was not enabled. Raises SocketTLS_Failed for NULL.
 */
int SocketTLS_disable(Socket_T socket);

/**
 * Whom a client expects: announced to the server (SNI), and its certificate must be for this name, which turns
 * verification on for this socket whatever the context says. After SocketTLS_enable, before the handshake. An IPv4 or
 * IPv6 address is looked for as an address, and not announced.
 *
 * Raises SocketTLS_Failed: NULL, empty, more than 255 bytes; a label that is not 1 to 63 letters, digits and inner
 * hyphens (no trailing dot, no port, no underscore); TLS is not enabled; a server's context; the handshake has begun.
 */
void SocketTLS_set_hostname(Socket_T socket, const char *hostname);

/**
 * One step of the handshake, or all of it on a blocking socket.
 *
 * Returns TLS_HANDSHAKE_COMPLETE, also when it was complete before; TLS_HANDSHAKE_WANT_READ or TLS_HANDSHAKE_WANT_WRITE
 * with errno EAGAIN: wait for that and call again.
 *
 * Raises SocketTLS_HandshakeFailed: NULL, TLS is not enabled, the protocol or the certificate failed (EPROTO), the
 * connection was lost, a client that verifies has no hostname (EINVAL: set one and call again). All but the last are
 * final: a later step raises it again. What a callback of the context's raises is raised again here.
 */
TLSHandshakeState SocketTLS_handshake(Socket_T socket);

/**
 * Shakes hands until that is complete or has failed, waiting in between, also on a non-blocking socket. `timeout_ms`
 * above 0: at most so long; 0: one step, without waiting; below 0: without an end.
 *
 * Returns TLS_HANDSHAKE_COMPLETE; TLS_HANDSHAKE_ERROR when it failed or the time was over (errno ETIMEDOUT: it may go
 * on with another call), the message in Socket_GetLastError; with `timeout_ms` 0 also TLS_HANDSHAKE_WANT_READ or
 * TLS_HANDSHAKE_WANT_WRITE.
 *
 * Raises SocketTLS_HandshakeFailed only where TLS is not enabled, or the descriptor is none; and again what a callback
 * of the context's raises.
 */
TLSHandshakeState SocketTLS_handshake_loop(Socket_T socket, int timeout_ms);

/**
 * As SocketTLS_handshake_loop. It goes on as soon as the socket can be read or written, whatever `poll_interval_ms`
 * says.
 */
TLSHandshakeState SocketTLS_handshake_loop_ex(Socket_T socket, int timeout_ms, int poll_interval_ms);

/**
 * As SocketTLS_handshake_loop, with the socket's operation time-out (Socket_timeouts_set); where that is 0, the
 * context's time-out of handshakes, 30000 ms if nothing else was said.
 */
TLSHandshakeState SocketTLS_handshake_auto(Socket_T socket);

/**
 * Ends TLS in both directions: sends close_notify, drops what still comes, and waits for the peer's, also on a
 * non-blocking socket, as long as the socket's operation time-out says (0: the context's time-out of shutdowns, 5000 ms
 * if nothing else was said). Then TLS is off, and the socket is plain. The end of the connection counts as the peer's
 * close_notify. An unfinished handshake is dropped without a word.
 *
 * Raises SocketTLS_ShutdownFailed: TLS is not enabled (EINVAL), the time was over (ETIMEDOUT), the protocol failed. TLS
 * is off after these, too.
 */
void SocketTLS_shutdown(Socket_T socket);

/**
 * Sends close_notify without waiting, once: nothing can be sent after it, and receiving may go on.
 *
 * Returns 1 when it was sent, now or before; 0 with errno EAGAIN when the kernel cannot take it now: call again; -1
 * where TLS is not enabled. Raises SocketTLS_ShutdownFailed: the protocol or the connection failed, the handshake is
 * not complete.
 */
int SocketTLS_shutdown_send(Socket_T socket);

/**
 * Sends bytes through TLS: how many were taken, which may be fewer than `len` (of more than INT_MAX only those count).
 * 0 with errno EAGAIN when it would block: the same bytes have to be offered again, wherever they are then. A `len` of
 * 0 does nothing.
 *
 * Raises SocketTLS_Failed: NULL, TLS is not enabled (EINVAL), the handshake is not complete (ENOTCONN), the protocol
 * (EPROTO) or the connection failed; Socket_Closed (EPIPE) after SocketTLS_shutdown_send.
 */
ssize_t SocketTLS_send(Socket_T socket, const void *buf, size_t len);

/**
 * Receives bytes through TLS: how many came. 0 with errno EAGAIN when it would block. A `len` of 0 does nothing.
 *
 * Raises Socket_Closed with errno 0 when the peer has ended TLS (close_notify); SocketTLS_Failed: NULL, TLS is not
 * enabled (EINVAL), the handshake is not complete (ENOTCONN), the protocol failed (EPROTO), the connection ended
 * without close_notify (EPROTO: what was received may not be all) or was reset (ECONNRESET).
 */
ssize_t SocketTLS_recv(Socket_T socket, void *buf, size_t len);

/**
 * Sends `size` bytes of a file through TLS, from `offset` on; the file's position is neither used nor moved.
 *
 * Returns how many were sent: fewer at the end of the file, and where it would block (0 with errno EAGAIN where nothing
 * was sent). -1 when `file_fd` is negative (EBADF), or the file cannot be read there and nothing was sent. A `size` of
 * 0 does nothing. Raises as SocketTLS_send.
 */
ssize_t SocketTLS_sendfile(Socket_T socket, int file_fd, off_t offset, size_t size);

#ifdef __cplusplus
}
#endif

/** A peer's certificate. Texts are terminated, and cut where they are too long. */
typedef struct SocketTLS_CertInfo {
    /** In one line: "/O=Shop/CN=shop.example". */
    char subject[256];
    /** In one line. */
    char issuer[256];
    /** Seconds since 1970. */
    time_t not_before;
    /** Seconds since 1970. */
    time_t not_after;
    /** Of X.509: 1 to 3. */
    int version;
    /** Upper-case hexadecimal. */
    char serial[64];
    /** SHA-256 of the certificate, lower-case hexadecimal. */
    char fingerprint[65];
} SocketTLS_CertInfo;

#ifdef __cplusplus
extern "C" {
#endif

/**
 * OpenSSL's name of the cipher, e.g. "TLS_AES_256_GCM_SHA384"; NULL before the handshake has chosen one and without
 * TLS. Static.
 */
const char *SocketTLS_get_cipher(Socket_T socket);

/**
 * The protocol's version, "TLSv1.2" or "TLSv1.3"; before the handshake the highest that is offered, NULL without TLS.
 * Static.
 */
const char *SocketTLS_get_version(Socket_T socket);

/**
 * The protocol's version as OpenSSL's constant, e.g. TLS1_3_VERSION; 0 before the handshake is complete and without
 * TLS.
 */
int SocketTLS_get_protocol_version(Socket_T socket);

/**
 * What the verification of the peer gave: X509_V_OK, or why its certificate is not in order (X509_V_ERR_...). With
 * TLS_VERIFY_NONE a handshake succeeds whatever this says. X509_V_ERR_INVALID_CALL for NULL, without TLS, and before
 * the handshake is complete; of a handshake that failed over a certificate, that certificate's fault.
 */
long SocketTLS_get_verify_result(Socket_T socket);

/**
 * Writes OpenSSL's words for SocketTLS_get_verify_result to `buf`, cut to `size` bytes and terminated: returns `buf`.
 * NULL when the result is X509_V_OK, for a NULL `socket` or `buf`, and for a `size` of 0.
 */
const char *SocketTLS_get_verify_error_string(Socket_T socket, char *buf, size_t size);

/** Whether the handshake resumed an earlier session: 1 or 0; -1 before it is complete and without TLS. */
int SocketTLS_is_session_reused(Socket_T socket);

/** The application protocol that was agreed on (ALPN), NULL where there is none. Valid as long as the socket. */
const char *SocketTLS_get_alpn_selected(Socket_T socket);

/**
 * Writes a client's session to `buf`, for SocketTLS_session_restore on a later connection to the same peer, and its
 * length to `*len`, which says how much room there is. Under TLS 1.3 a session comes after the handshake: save it when
 * something was received. It holds keys: keep it as you keep those.
 *
 * Returns 1; 0 when `buf` is NULL or too small, with the length that is needed in `*len`; -1 when there is nothing to
 * save: without TLS, before the handshake is complete, at a server, no session, one that has expired, one of a peer
 * that only the verify callback accepted; and for a NULL `len`.
 */
int SocketTLS_session_save(Socket_T socket, unsigned char *buf, size_t *len);

/**
 * Lets a client's handshake resume a session that SocketTLS_session_save wrote: between SocketTLS_enable and the
 * handshake. Returns 1 when it was accepted, 0 when it was not (damaged, too large, expired, `len` 0, of another peer,
 * made under other settings of a context: whatever decides whom a handshake believes must be equal), -1 without TLS and
 * when the handshake has begun.
 *
 * After 0, and where the handshake finds that the session does not fit, a full handshake follows, as it does when the
 * server does not want it; SocketTLS_is_session_reused tells. With TLS 1.3 a session is for one connection; one that is
 * restored again shows an observer that both connections are yours.
 */
int SocketTLS_session_restore(Socket_T socket, const unsigned char *buf, size_t len);

/**
 * Tells of the peer's certificate. Returns 1 when `info` was filled; 0 when the peer showed none, before the handshake
 * is complete, and for a NULL `info`; -1 without TLS. What is not filled is zeroed.
 */
int SocketTLS_get_peer_cert_info(Socket_T socket, SocketTLS_CertInfo *info);

/**
 * When the peer's certificate expires, in seconds since 1970; (time_t)-1 without TLS, before the handshake is complete,
 * and where the peer showed none.
 */
time_t SocketTLS_get_cert_expiry(Socket_T socket);

/**
 * Writes the subject of the peer's certificate in one line to `buf`, cut to `size` bytes and terminated. Returns how
 * long the text is that was written; 0 when the peer showed no certificate and before the handshake is complete (`buf`
 * is then the empty string), and where there is no room; -1 without TLS (the empty string, too).
 */
int SocketTLS_get_cert_subject(Socket_T socket, char *buf, size_t size);

/**
 * The certificates that the peer showed, its own first; after a resumption perhaps that one alone. Returns 1 with the
 * array in `*chain` and their number in `*count`: array and certificates stay the socket's, and live as long as it. 0
 * when the peer showed none and before the handshake is complete, -1 without TLS and for NULL; `*chain` is then NULL
 * and `*count` 0.
 */
int SocketTLS_get_peer_cert_chain(Socket_T socket, X509 ***chain, int *count);

/**
 * What the peer's OCSP staple says of its certificate: 1 good, 0 revoked, -1 without TLS, where nothing was stapled,
 * and where the status is unknown, -2 for a staple that cannot be read or was not signed by whom it should be. This
 * version asks for no staples: -1 always.
 */
int SocketTLS_get_ocsp_response_status(Socket_T _socket);

/**
 * Until when the peer's OCSP staple is good: returns 1 and writes seconds since 1970; -1 where there is none, and
 * writes (time_t)-1. This version asks for no staples.
 */
int SocketTLS_get_ocsp_next_update(Socket_T _socket, time_t *next_update);

/**
 * Goes on with a renegotiation (TLS 1.2) that waits. No socket of this library renegotiates unless the program clears
 * SSL_OP_NO_RENEGOTIATION on its `SSL`. Returns 0 when there is nothing to do (with TLS 1.3 always, and when the peer
 * has to answer first), 1 when one was done, -1 without TLS and before the handshake is complete.
 *
 * Raises SocketTLS_ProtocolError when it fails, and for a fourth one.
 */
int SocketTLS_check_renegotiation(Socket_T socket);

/** Refuses renegotiations from now on. Returns 0, -1 without TLS. */
int SocketTLS_disable_renegotiation(Socket_T socket);

/** How many renegotiations there were on this connection; -1 without TLS. */
int SocketTLS_get_renegotiation_count(Socket_T socket);

#ifdef __cplusplus
}
#endif

#endif

#endif /* NETCONN_TLS_SOCKETTLS_H */

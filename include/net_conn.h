/**
 * net_conn.h - one non-blocking connection, TCP or Unix, plain or TLS, on an event loop.
 *
 * A connection belongs to its loop's thread: every function here is called there, unless it says otherwise, and may be
 * called from every callback. Exactly one of on_ready and on_error tells how establishing ended, from the loop, never
 * from inside the call that began it. A callback may close any connection, its own too, and must not throw or longjmp
 * through the library.
 */
#ifndef NETCONN_NET_CONN_H
#define NETCONN_NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "evloop.h"
#include "netconn_types.h"

struct net_conn;

/** What kind of failure it was. */
enum conn_error {
    /** No error. */
    CONN_ERR_NONE,
    /** The name could not be resolved; conn_get_errno is the resolver's status. */
    CONN_ERR_RESOLVE,
    /** No address could be connected. */
    CONN_ERR_CONNECT,
    /** A time-out, in any phase; conn_get_errno is ETIMEDOUT. */
    CONN_ERR_TIMEOUT,
    /** The TLS protocol failed, or the stream was truncated. */
    CONN_ERR_TLS,
    /** The peer's certificate was refused. */
    CONN_ERR_CERTIFICATE,
    /** Reading or writing failed. */
    CONN_ERR_IO,
    /** This process or machine ran out of descriptors, memory or ports. */
    CONN_ERR_RESOURCE,
    /** What was asked for is impossible (a port of 70000). */
    CONN_ERR_INVALID
};

/**
 * The state of a connection: INIT, RESOLVING, CONNECTING, TLS_HANDSHAKE, READY, CLOSED in this order (phases that are
 * not needed are left out), ERROR from any of them.
 */
enum conn_state {
    /** Made, not started. */
    CONN_INIT,
    /** The name is being looked up. */
    CONN_RESOLVING,
    /** Addresses are being tried. */
    CONN_CONNECTING,
    /** Connected; TLS is being set up. */
    CONN_TLS_HANDSHAKE,
    /** Bytes can flow. Stays so until both directions have ended cleanly. */
    CONN_READY,
    /** Both directions have ended cleanly. */
    CONN_CLOSED,
    /** It failed; see conn_get_error_msg. */
    CONN_ERROR
};

/**
 * Called with each new socket before it connects; another value than 0 refuses its address, the others are still
 * tried. Runs inside the call that starts the attempt; may close the connection, which is then freed after that call.
 */
typedef int (*conn_socket_cb)(int fd, void *arg);

/**
 * How a connection is made. Set by conn_options_init, then changed; read and copied by the call it is given to.
 * Times are in seconds; a time-out of 0 or less means none; NaN is EINVAL.
 */
struct conn_options {
    /** sizeof(struct conn_options), set by conn_options_init. A smaller one takes defaults for the rest. */
    size_t size;
    /** For looking up the name. Default: 10. */
    double resolve_timeout;
    /** For connecting, all attempts together. Default: 10. */
    double connect_timeout;
    /** For the TLS handshake. Default: 10. */
    double tls_timeout;
    /** For everything until CONN_READY together. Default: 0, none. */
    double deadline;
    /**
     * How long one address is tried before the next one is too (RFC 8305, Connection Attempt Delay); at least 0.01.
     * Default: 0.25.
     */
    double attempt_delay;
    /** Which addresses are used: AF_UNSPEC (all), AF_INET or AF_INET6. Default: AF_UNSPEC. */
    int family;
    /** What sockets of its family are bound to, see bind(2); copied. Default: NULL, the kernel chooses. */
    const struct sockaddr *local_addr;
    /** The length of local_addr in bytes. */
    socklen_t local_addr_len;
    /** Whether small writes are sent at once (TCP_NODELAY, see tcp(7)). Default: true. */
    bool nodelay;
    /** Idle seconds before the first TCP keep-alive probe. Default: 0, no probes. */
    double keepalive;
    /** Whether TLS is set up. Default: false. */
    bool use_tls;
    /** Whether we are the server of the TLS handshake; conn_from_fd and conn_start_tls alone. Default: false. */
    bool server_side;
    /**
     * Whom to trust and what to show. The connection takes a reference: the caller may free its own. A server side
     * needs one. Default: NULL, the default client context (conn_set_default_tls).
     */
    SocketTLSContext_T tls;
    /** The name to send (SNI, RFC 6066) and to find in the certificate; copied. Default: NULL, the host. */
    const char *server_name;
    /**
     * Whether an end of the TCP stream without close_notify counts as the end of the TLS stream. Only for protocols
     * that tell by themselves where a message ends. Default: false.
     */
    bool allow_truncation;
    /** See conn_socket_cb. Default: NULL. */
    conn_socket_cb on_socket;
    /** The argument of on_socket. */
    void *socket_arg;
    /**
     * A client's first bytes; copied. Over TLS 1.3 they go out with the first flight (0-RTT, RFC 8446 section 2.3),
     * where a resumed session allows all of them and the context does (netconn_tls_enable_early_data); otherwise, and
     * when the server turns them down, they are sent after the handshake, before on_ready runs. A plain connection
     * sends them once it is connected. Each byte goes out once; what the kernel does not take at once is sent as
     * conn_try_write's bytes are.
     *
     * Early data can be recorded on the way and sent again by anybody, to any server that shares the session: only what
     * may arrive twice without harm belongs here (RFC 8446, appendix E.5). Default: NULL. With server_side: EINVAL.
     */
    const void *early_data;
    /** The length of early_data in bytes. */
    size_t early_data_len;
};

/** Called from the loop. It may do anything: close this connection or another, open one, free the loop. */
typedef void (*conn_event_cb)(struct net_conn *c, void *arg);

/**
 * A connection. The members are true at all times and for reading only. Only this library allocates one: what follows
 * the members is private.
 */
struct net_conn {
    /** See enum conn_state. */
    enum conn_state state;
    /** As given; valid until conn_close. */
    char *host;
    /** As given; valid until conn_close. */
    char *port;
    /** Whether TLS was asked for. */
    bool use_tls;
    /** The socket; -1 when there is none. While attempts race, the newest one's. */
    int fd;
    /** The TLS session; NULL when there is none. SSL_get_fd gives the socket. */
    SSL *ssl;
    /** NULL while the socket is not watched. */
    struct evloop_io *io_watcher;
    /** Not NULL exactly while it is armed, in CONN_CONNECTING and CONN_TLS_HANDSHAKE. */
    struct evloop_timer *connect_timer;
    /** As given. */
    conn_event_cb on_ready;
    /** As given. */
    conn_event_cb on_error;
    /** The argument of both. */
    void *cb_arg;
    /** As set last. */
    conn_event_cb readable_cb;
    /** As set last. */
    conn_event_cb writable_cb;
    /** The argument that was set last, of either. */
    void *rw_arg;
};

/** How long the phases took, in nanoseconds. Filled as phases end; 0 until then. */
struct conn_timing {
    /** Looking up the name. */
    uint64_t resolve;
    /** From the first attempt to the one that won. */
    uint64_t connect;
    /** The TLS handshake, the one of conn_start_tls too. */
    uint64_t tls;
    /** From the beginning to the outcome; conn_start_tls adds its handshake, not what was talked before it. */
    uint64_t total;
    /** Addresses tried. */
    unsigned int attempts;
};

#ifdef __cplusplus
extern "C" {
#endif

/** Sets every member to its default, and `size`. NULL is a no-op. */
void conn_options_init(struct conn_options *options);

/**
 * Starts a connection.
 *
 * Returns at once, in CONN_RESOLVING (host is a name, cached or not) or CONN_CONNECTING (host is an IPv4 or IPv6
 * literal, `unix:/path` or `unix:@abstract`). Exactly one of `on_ready` and `on_error` is then called, from the loop,
 * unless conn_close comes first; either may be NULL. Everything that is wrong with host or port is reported that way
 * too (CONN_ERR_INVALID).
 *
 * lp: NULL for the default loop. port: a number or a service name; NULL for "443" with TLS, else "80".
 *
 * Several addresses are tried as RFC 8305 says. With TLS the certificate's chain and name are verified.
 *
 * Returns the connection, to be ended by conn_close; NULL with errno EINVAL (no host; `unix:` with TLS; the log has the
 * reason), ECANCELED (closed by a callback that ran inside the call), ENOMEM, EPERM (a forked child uses its parent's
 * loop).
 */
struct net_conn *conn_new(struct ev_loop *lp, const char *host, const char *port, bool use_tls, conn_event_cb on_ready,
                          conn_event_cb on_error, void *arg);

/**
 * As conn_new, with options. NULL for the default options (conn_set_default_options).
 *
 * The options are read during the call and copied. EINVAL, besides the reasons of conn_new: a `size` of 0 or larger
 * than this library knows, a time that is NaN, another family than the three, an empty server_name, a local_addr that
 * is no address, server_side, a server's TLS context. `unix:` with TLS needs server_name. The log has the reason.
 */
struct net_conn *conn_new_with(struct ev_loop *lp, const char *host, const char *port,
                               const struct conn_options *options, conn_event_cb on_ready, conn_event_cb on_error,
                               void *arg);

/**
 * Takes over a connected stream socket (TCP or Unix), as its client or server side. The socket is made non-blocking and
 * close-on-exec. The connection starts in CONN_TLS_HANDSHAKE or, plain, in CONN_CONNECTING until CONN_READY is reported
 * from the loop. Its host and port are the peer's address.
 *
 * A TLS client needs `server_name`, a TLS server `server_side` and a server's context in `tls` (EINVAL).
 *
 * Returns the connection, which owns fd from now on; NULL with errno EBADF, ENOTSOCK, ENOTCONN, EINVAL, ENOMEM: fd
 * stays the caller's.
 */
struct net_conn *conn_from_fd(struct ev_loop *lp, int fd, const struct conn_options *options, conn_event_cb on_ready,
                              conn_event_cb on_error, void *arg);

/**
 * Ends a connection, in any state and from any callback: cancels what is under way, closes the socket, frees c, which
 * is dead on return. No callback of it runs afterwards. Over TLS close_notify is sent, but for a connection that
 * failed: its peer must not take what it got for everything. What the kernel does not take at once of bytes that were
 * written, and of close_notify, is sent by the loop afterwards, for at most 5 seconds, and keeps it running so long.
 * NULL is a no-op. Never blocks.
 *
 * A socket that is closed while the peer still sends (over TLS 1.3 also a server's tickets right after the handshake)
 * makes the kernel answer with a reset, which can destroy what the peer has not read yet. Where every byte has to
 * arrive, call conn_shutdown and read to the end before this.
 */
void conn_close(struct net_conn *c);

/** As conn_close, but the peer gets a reset (RST) and nothing is sent any more. NULL is a no-op. */
void conn_abort(struct net_conn *c);

/**
 * What conn_new, and options of NULL, use from now on in this process (conn_new's own use_tls wins). NULL: the built-in
 * defaults. The options are copied. Any thread.
 *
 * Returns 0; -1 with errno EINVAL as conn_new_with, which is what tells of server_side and of a server's TLS context:
 * as defaults they are for conn_from_fd and conn_start_tls.
 */
int conn_set_default_options(const struct conn_options *options);

/**
 * Replaces the TLS context that connections without one of their own use, in this process; holds a reference to it.
 * NULL brings the default back: the system's trust store, chain and name verified, TLS 1.2 and up. Any thread.
 *
 * Returns 0; -1 with errno EINVAL for a server's context.
 */
int conn_set_default_tls(SocketTLSContext_T context);

/** Lets the connection keep evloop_run running (the default). Idempotent; NULL is a no-op. */
void conn_ref(struct net_conn *c);

/** The connection does not keep evloop_run running. Idempotent; NULL is a no-op. */
void conn_unref(struct net_conn *c);

/** Keeps a pointer of the program's with the connection, for conn_get_data alone. NULL for `c` is a no-op. */
void conn_set_data(struct net_conn *c, void *data);

/** What conn_set_data kept; NULL before, and for NULL. */
void *conn_get_data(struct net_conn *c);

/**
 * Reads at most len bytes into buf.
 *
 * Returns the number of bytes; 0 at the end of the stream (over TLS: close_notify was received), and again at each
 * later call; 0 for a len of 0. -1 with errno EAGAIN: nothing can be read now; ENOTCONN: not CONN_READY yet, or
 * establishing failed; EINVAL: c is NULL, or buf is with a len above 0; EPERM: the connection is a parent process's;
 * ECONNRESET with CONN_ERR_TLS: the TCP stream ended without close_notify (truncation; see allow_truncation); else the
 * errno of the failure, after the bytes that had arrived before it were read.
 */
ssize_t conn_try_read(struct net_conn *c, void *buf, size_t len);

/**
 * Writes at most len bytes of buf.
 *
 * Returns the number of bytes taken, which may be smaller than len; 0 for a len of 0. -1 with errno EAGAIN: nothing
 * can be taken now (try again later with the same or another buffer, or not at all); ENOTCONN: not CONN_READY yet, or
 * establishing failed; EPIPE: the write side was shut; EINVAL: c is NULL, or buf is with a len above 0; EPERM: the
 * connection is a parent process's; else the errno of the failure. Never raises SIGPIPE.
 */
ssize_t conn_try_write(struct net_conn *c, const void *buf, size_t len);

/**
 * As conn_try_write, for n pieces, with one system call on a plain connection. EINVAL also for n below 0. At most
 * IOV_MAX (1024) pieces are looked at, from the first on that is not empty.
 */
ssize_t conn_try_writev(struct net_conn *c, const struct iovec *iov, int n);

/**
 * As conn_try_write, for at most count bytes of a file: on a plain connection with sendfile(2), where the kernel can do
 * so with this file, else (over TLS; procfs; a pipe) by copying, with the same result. The file may be a pipe too, as
 * long as offset is NULL.
 *
 * offset: where to begin, moved by what was taken; NULL: the file's own position, which is moved instead. The
 * connection never takes more than it says: what it does not take is not lost.
 *
 * Returns the number of bytes taken, at most 4 MiB; 0 at the end of the file, and for a count of 0. -1 with the errnos
 * of conn_try_write (EAGAIN also where a pipe has nothing now), or for what is wrong with the file, which does the
 * connection no harm: EBADF (not open for reading), EINVAL (an offset below 0; a socket or a terminal), ESPIPE (an
 * offset into a pipe), or what reading it gives (EISDIR, EIO, ...). Reading a file may wait for its disk; see pread(2).
 * Never raises SIGPIPE.
 */
ssize_t conn_try_sendfile(struct net_conn *c, int fd, off_t *offset, size_t count);

/**
 * Shuts the write side: what was written, close_notify (over TLS), then FIN. Reading goes on. The connection is
 * CONN_CLOSED when the peer's end of the stream was read too.
 *
 * Returns 0, also when it was shut already; -1 with errno EINVAL (c is NULL), ENOTCONN (not CONN_READY yet, or
 * establishing failed), else the failure's.
 */
int conn_shutdown(struct net_conn *c);

/**
 * Sets the callback for "a read may give something": bytes, the end of the stream or a failure. May be set in any
 * state, takes effect once on_ready has run. It fires in each round of the loop while the condition holds, also for
 * bytes that wait inside TLS; it may be spurious (the read then gives EAGAIN). The end and a failure count until a read
 * has returned them. NULL removes it.
 */
void conn_set_readable_callback(struct net_conn *c, conn_event_cb cb, void *arg);

/**
 * Sets the callback for "a write may take something", in the manner of conn_set_readable_callback. It fires in each
 * round while bytes can be taken: remove it when there is nothing to write.
 */
void conn_set_writable_callback(struct net_conn *c, conn_event_cb cb, void *arg);

/** Bytes that a read gives without asking the kernel (decrypted already); 0 for NULL. */
size_t conn_pending(struct net_conn *c);

/**
 * Puts TLS on a CONN_READY plain connection, as STARTTLS asks for (RFC 3207, RFC 9051 section 6.2.1): the connection
 * goes back to CONN_TLS_HANDSHAKE with these callbacks, of which exactly one is called from the loop, as after
 * conn_new. May be called in any callback of the connection.
 *
 * options: NULL for the default options; TLS is implied. They count for the handshake: tls_timeout, deadline (from this
 * call on), server_side, tls, server_name, allow_truncation, early_data. A client verifies server_name, else the host
 * that conn_new was given. on_ready, on_error: either may be NULL; they take the place of the earlier ones, and arg
 * that of the earlier argument. Readable and writable callbacks stay, and fire again after the new on_ready.
 *
 * What was written before is sent before. Bytes that the peer has sent and conn_try_read has not returned go to TLS:
 * read the peer's whole answer first. Where they are not TLS the handshake fails with CONN_ERR_TLS, EPROTO. As with
 * every establishing that fails, the socket is closed before on_error runs.
 *
 * Of conn_get_timing, tls is the length of this handshake, and total grows by it.
 *
 * Returns 0; -1 with errno EINVAL (c is NULL; wrong options; a server side without a server's context; a client without
 * server_name on a connection of conn_from_fd or a Unix socket: nothing says whom to expect), EISCONN (TLS already, or
 * in its handshake), ENOTCONN (not CONN_READY), EAGAIN (on_ready of pconn_acquire has not run yet), EPIPE (the write
 * side was shut), EBUSY (the kernel has not yet taken all of the plain connection's early_data: try again later), EPERM
 * (the connection is a parent process's): everything is as it was. The log has the reason of an EINVAL.
 */
int conn_start_tls(struct net_conn *c, const struct conn_options *options, conn_event_cb on_ready,
                   conn_event_cb on_error, void *arg);

/**
 * Gives the socket of a CONN_READY plain connection back to the program and frees the connection: c is dead, no
 * callback of it runs any more, and nothing is sent or lost: what the peer has sent and conn_try_read has not returned
 * is still to be read from the socket. May be called in any callback.
 *
 * Returns the socket, which is the caller's to close: non-blocking, close-on-exec, watched by nobody. -1 with errno
 * EINVAL (c is NULL), ENOTCONN (not CONN_READY), EAGAIN (on_ready of pconn_acquire has not run yet), ENOTSUP (over TLS,
 * or in its handshake: the bytes on the socket are OpenSSL's), EBUSY (the connection has still to send bytes there: the
 * rest of its early_data), EPERM (the connection is a parent process's): the connection is as it was.
 */
int conn_detach(struct net_conn *c);

/**
 * Lets the connection fail when for so many seconds no byte of the program's moves in either direction: CONN_ERROR,
 * CONN_ERR_TIMEOUT, ETIMEDOUT, on_error once from the loop. 0 or less: never (the default). Counts from this call, from
 * CONN_READY (again after conn_start_tls) or from the last byte, what comes last; may be set in any state and callback.
 *
 * What counts is what conn_try_read and conn_try_write (and their kin) move, and what the loop sends of it later; bytes
 * that arrive and nobody reads do not. Never early, and at most a sixteenth of the time late (and a millisecond, and
 * what the loop is busy with). Costs no system call and no look at the clock where bytes move, and sixteen wake-ups of
 * the loop in the given time.
 *
 * Returns 0, also for NULL; -1 with errno EINVAL (seconds is NaN), EPERM (the connection is a parent process's).
 */
int conn_set_idle_timeout(struct net_conn *c, double seconds);

/** The state; CONN_CLOSED for NULL. */
enum conn_state conn_get_state(struct net_conn *c);

/**
 * Why the connection failed, one line that names what was tried: `connect to example.org:443 failed: [2001:db8::1]:443
 * Network is unreachable; 192.0.2.7:443 Connection refused`. NULL while there is no error. Valid until conn_close.
 */
const char *conn_get_error_msg(struct net_conn *c);

/** The host as given, valid until conn_close; NULL for NULL. */
const char *conn_get_host(struct net_conn *c);

/** The port as given (or its default), valid until conn_close; NULL for NULL. */
const char *conn_get_port(struct net_conn *c);

/** Whether TLS was asked for; false for NULL. */
bool conn_get_use_tls(struct net_conn *c);

/** The kind of the failure; CONN_ERR_NONE while there is none, and for NULL. */
enum conn_error conn_get_error(struct net_conn *c);

/**
 * The errno of the failure, or with CONN_ERR_RESOLVE the resolver's status (EAI_*): see netconn_strerror. EPROTO for
 * TLS and certificates, ECONNRESET for truncation, ETIMEDOUT for every time-out, ECANCELED where on_socket refused or
 * dns_shutdown came. 0 while there is none, and for NULL.
 */
int conn_get_errno(struct net_conn *c);

/**
 * OpenSSL's verify code of the peer's certificate (0 is X509_V_OK); -1 when none was verified, and for NULL. Stays
 * after a failure.
 */
long conn_get_verify_result(struct net_conn *c);

/**
 * Whether early data (0-RTT) was accepted: the client's early_data by the server, or as a server the client's. False
 * before CONN_READY, when it was sent after the handshake instead, and for NULL.
 */
bool conn_early_data_accepted(struct net_conn *c);

/**
 * How many bytes came as early data from a client (see netconn_tls_enable_early_data): the first that conn_try_read
 * gives, whether they were read already or not. 0 before CONN_READY, on a client, and for NULL.
 */
size_t conn_early_data_len(struct net_conn *c);

/** The socket, owned by the connection; -1 with errno ENOTCONN when there is none, and for NULL (EINVAL). */
int conn_get_fd(struct net_conn *c);

/**
 * Writes our end's address to addr and its length to len, which holds the room at addr before (a longer address is
 * cut, as getsockname(2) does).
 *
 * Returns 0; -1 with errno ENOTCONN when there is no socket, EINVAL for NULL.
 */
int conn_local_addr(struct net_conn *c, struct sockaddr *addr, socklen_t *len);

/** As conn_local_addr, for the peer's address. ENOTCONN also before CONN_READY. */
int conn_peer_addr(struct net_conn *c, struct sockaddr *addr, socklen_t *len);

/** The protocol agreed on by ALPN (RFC 7301), valid until conn_close; NULL while there is none. */
const char *conn_get_alpn(struct net_conn *c);

/**
 * "TLSv1.2" or "TLSv1.3" (an older one only where the `SSL_CTX` was made to allow it), valid for ever; NULL while there
 * is none.
 */
const char *conn_get_tls_version(struct net_conn *c);

/** OpenSSL's name of the cipher suite, valid until conn_close; NULL while there is none. */
const char *conn_get_cipher(struct net_conn *c);

/** Whether an earlier TLS session was resumed; false for NULL. */
bool conn_session_reused(struct net_conn *c);

/** How long the phases took; valid until conn_close, changing as phases end. NULL for NULL. */
const struct conn_timing *conn_get_timing(struct net_conn *c);

/**
 * The peer's certificate. The caller sets certificate->size to sizeof(struct conn_certificate) before.
 *
 * Returns 0; -1 with errno ENOENT (there is none), EINVAL (NULL, or a size of 0 or larger than this library knows).
 */
int conn_get_peer_certificate(struct net_conn *c, struct conn_certificate *certificate);

/** What the peer's OCSP staple said: NETCONN_TLS_OCSP_NONE, since staples are not asked for. */
enum netconn_tls_ocsp conn_get_ocsp_status(struct net_conn *c);

#ifdef __cplusplus
}
#endif

#endif  /* NETCONN_NET_CONN_H */

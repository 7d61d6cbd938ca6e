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
#include "core/SocketError.h"
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
 * Raises Socket_Failed: a backlog below 1 (EINVAL), a socket whose last Socket_bind came to nothing without raising
 * (its errno: the kernel would have chosen another port), and what listen(2) fails with.
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

/**
 * As Socket_bind, to the first address of a list (of getaddrinfo, or of this library) that can be bound to; those of
 * another family than the socket's are passed over. The list stays the caller's.
 *
 * Raises Socket_Failed for all failures: EADDRINUSE and its like too, EINVAL for NULL.
 */
void Socket_bind_with_addrinfo(Socket_T socket, struct addrinfo *list);

/**
 * As Socket_connect, to the first address of a list (of getaddrinfo, or of this library) that can be reached; those of
 * another family than the socket's are passed over. The list stays the caller's.
 *
 * Raises Socket_Failed for all failures: ECONNREFUSED and its like too, EINVAL for NULL. errno is EINPROGRESS where the
 * connection is on its way.
 */
void Socket_connect_with_addrinfo(Socket_T socket, struct addrinfo *list);

/**
 * A new TCP socket of IPv4 that listens, as Socket_new, Socket_bind and Socket_listen; to be ended with Socket_free.
 *
 * Raises Socket_Failed for all failures, EADDRINUSE and its like too.
 */
Socket_T Socket_listen_tcp(const char *host, int port, int backlog);

/**
 * A new TCP socket of IPv4 that connects, as Socket_new and Socket_connect with `timeout_ms` as its connect_timeout_ms
 * (0: as long as the system tries); to be ended with Socket_free. As there, what may pass does not raise: errno tells,
 * and Socket_isconnected is 0.
 *
 * Raises Socket_Failed as Socket_connect.
 */
Socket_T Socket_connect_tcp(const char *host, int port, int timeout_ms);

/**
 * Makes the socket non-blocking and starts to connect it to an IP address, without waiting: 0 when it is connected at
 * once, 1 when that is on its way (the socket becomes writable).
 *
 * Raises Socket_Failed: `ip_address` is NULL or no address (EINVAL), `port` out of range, and what connect(2) fails
 * with.
 */
int Socket_connect_nonblocking(Socket_T socket, const char *ip_address, int port);

/**
 * A new handle on a copy of the descriptor, close-on-exec; TLS is not copied. To be ended with Socket_free.
 *
 * Raises Socket_Failed: what fcntl(2) fails with.
 */
Socket_T Socket_dup(Socket_T socket);

/**
 * As Socket_dup, with this number for the descriptor: what was open under it is closed.
 *
 * Raises Socket_Failed: a number that is negative or the socket's own (EINVAL), what dup3(2) fails with.
 */
Socket_T Socket_dup2(Socket_T socket, int target_fd);

/**
 * Sends bytes, through TLS where it is enabled: how many were taken, which may be fewer than `len`. 0 with errno EAGAIN
 * when it would block (a non-blocking socket, or the time of Socket_settimeout is over).
 *
 * Raises Socket_Closed when the peer is gone (EPIPE, ECONNRESET), Socket_Failed for the rest, EINTR too; on a socket
 * with TLS SocketTLS_HandshakeFailed before the handshake is complete, and SocketTLS_Failed. A NULL `buf` or a `len` of
 * 0 aborts. Never raises SIGPIPE. One thread may send while another receives, without TLS.
 */
ssize_t Socket_send(Socket_T socket, const void *buf, size_t len);

/**
 * Receives bytes, through TLS where it is enabled: how many came. 0 with errno EAGAIN when it would block; on a socket
 * of type SOCK_DGRAM 0 with errno 0 is a datagram without bytes. 0 is never the end of the stream.
 *
 * Raises Socket_Closed at the end of the stream (errno 0) and for ECONNRESET, Socket_Failed for the rest, EINTR too; on
 * a socket with TLS SocketTLS_HandshakeFailed before the handshake is complete, and SocketTLS_Failed. A NULL `buf` or a
 * `len` of 0 aborts.
 */
ssize_t Socket_recv(Socket_T socket, void *buf, size_t len);

/**
 * As Socket_send, from `iovcnt` (1 to IOV_MAX) pieces of memory in their order.
 *
 * Raises SocketCommon_Failed too: an entry with a length and no memory, lengths that are together more than SSIZE_MAX
 * (EINVAL).
 */
ssize_t Socket_sendv(Socket_T socket, const struct iovec *iov, int iovcnt);

/**
 * As Socket_recv, into `iovcnt` (1 to IOV_MAX) pieces of memory in their order. Raises SocketCommon_Failed as
 * Socket_sendv.
 */
ssize_t Socket_recvv(Socket_T socket, struct iovec *iov, int iovcnt);

/**
 * Sends all: goes on until every byte is taken or, on a non-blocking socket (or after the time of Socket_settimeout),
 * it would block: how many bytes were taken, with errno EAGAIN when they are fewer than `len`. Signals do not end it.
 *
 * Raises as Socket_send.
 */
ssize_t Socket_sendall(Socket_T socket, const void *buf, size_t len);

/**
 * Receives until `len` bytes are there or, on a non-blocking socket (or after the time of Socket_settimeout), it would
 * block: how many came, with errno EAGAIN when they are fewer than `len`. Signals do not end it.
 *
 * Raises as Socket_recv: Socket_Closed when the peer ends the stream before; what came until then is in `buf`.
 */
ssize_t Socket_recvall(Socket_T socket, void *buf, size_t len);

/**
 * As Socket_sendall, from `iovcnt` (1 to IOV_MAX) pieces of memory; the entries stay as they are. Raises as
 * Socket_sendv.
 */
ssize_t Socket_sendvall(Socket_T socket, const struct iovec *iov, int iovcnt);

/**
 * As Socket_recvall, into `iovcnt` (1 to IOV_MAX) pieces of memory; the entries stay as they are. Raises as
 * Socket_recvv.
 */
ssize_t Socket_recvvall(Socket_T socket, struct iovec *iov, int iovcnt);

/**
 * As Socket_sendall, waiting for `timeout_ms` milliseconds in all, whatever the socket's mode; 0: one attempt without
 * waiting, below 0: no limit. How many bytes were taken, with errno EAGAIN when the time was over before.
 */
ssize_t Socket_sendall_timeout(Socket_T socket, const void *buf, size_t len, int timeout_ms);

/**
 * As Socket_recvall, waiting for `timeout_ms` milliseconds in all, whatever the socket's mode; 0: one attempt without
 * waiting, below 0: no limit. How many bytes came, with errno EAGAIN when the time was over before.
 */
ssize_t Socket_recvall_timeout(Socket_T socket, void *buf, size_t len, int timeout_ms);

/**
 * As Socket_sendall_timeout, from `iovcnt` (1 to IOV_MAX) pieces of memory; the entries stay as they are. Raises as
 * Socket_sendv.
 */
ssize_t Socket_sendv_timeout(Socket_T socket, const struct iovec *iov, int iovcnt, int timeout_ms);

/**
 * As Socket_recvall_timeout, into `iovcnt` (1 to IOV_MAX) pieces of memory; the entries stay as they are. Raises as
 * Socket_recvv.
 */
ssize_t Socket_recvv_timeout(Socket_T socket, struct iovec *iov, int iovcnt, int timeout_ms);

/**
 * Sends up to `count` bytes of a file: how many, which may be fewer. From `*offset`, which moves on by what was sent,
 * or, with NULL, from the file's own position, which then does. 0 with errno 0 at the end of the file (and for a
 * `count` of 0), 0 with errno EAGAIN when it would block. The kernel moves the bytes itself where it can (not with
 * TLS).
 *
 * `file_fd` may be a pipe when there is no offset and no TLS. Raises as Socket_send; Socket_Failed also for what is
 * wrong with the file: EBADF, EINVAL (an offset below 0), ESPIPE, or what reading it gave.
 */
ssize_t Socket_sendfile(Socket_T socket, int file_fd, off_t *offset, size_t count);

/**
 * As Socket_sendfile, until `count` bytes are sent, the file ends or it would block: how many were sent. When they are
 * fewer than `count`, errno tells why: EAGAIN, or 0 for the end of the file. `*offset` moves on by what was sent.
 */
ssize_t Socket_sendfileall(Socket_T socket, int file_fd, off_t *offset, size_t count);

/**
 * sendmsg(2) on a plain socket: how many bytes; 0 with errno EAGAIN when it would block. Never raises SIGPIPE.
 *
 * Raises Socket_Closed (EPIPE, ECONNRESET), Socket_Failed for the rest: EOPNOTSUPP on a socket with TLS. A NULL
 * `message` aborts.
 */
ssize_t Socket_sendmsg(Socket_T socket, const struct msghdr *message, int flags);

/**
 * recvmsg(2) on a plain socket: how many bytes; 0 with errno EAGAIN when it would block.
 *
 * Raises Socket_Closed at the end of the stream and for ECONNRESET, Socket_Failed for the rest: EOPNOTSUPP on a socket
 * with TLS. A NULL `message` aborts.
 */
ssize_t Socket_recvmsg(Socket_T socket, struct msghdr *message, int flags);

/**
 * Looks at bytes that have come, without taking them and without waiting: how many. 0 with errno EAGAIN when there are
 * none, 0 with errno 0 at the end of the stream.
 *
 * Raises Socket_Closed for ECONNRESET, Socket_Failed for the rest: EOPNOTSUPP on a socket with TLS. A NULL `buf` or a
 * `len` of 0 aborts.
 */
ssize_t Socket_peek(Socket_T socket, void *buf, size_t len);

/**
 * Moves up to `len` bytes from one plain socket to another inside the kernel: how many; 0 with errno EAGAIN when none
 * are there. What was taken from `in` is sent, however long that takes.
 *
 * Raises Socket_Closed at the end of `in`'s stream, or when `out`'s peer is gone; Socket_Failed for the rest:
 * EOPNOTSUPP where one has TLS. A `len` of 0 aborts.
 */
ssize_t Socket_splice(Socket_T in, Socket_T out, size_t len);

/**
 * Sends a copy of a descriptor over a Unix socket, with one byte: 1, or 0 with errno EAGAIN when it would block. `fd`
 * stays the caller's.
 *
 * Raises Socket_Closed (EPIPE, ECONNRESET, ENOTCONN), Socket_Failed for the rest: no Unix socket or one with TLS
 * (EOPNOTSUPP), a descriptor that is not open (EBADF).
 */
int Socket_sendfd(Socket_T socket, int fd);

/**
 * As Socket_sendfd, for `count` (1 to 253) descriptors with one byte.
 *
 * Raises Socket_Failed also for NULL and another count (EINVAL).
 */
int Socket_sendfds(Socket_T socket, const int *fds, size_t count);

/**
 * Receives a descriptor with its byte over a Unix socket, close-on-exec and the caller's: 1; 0 with errno EAGAIN when
 * it would block. `*fd` is -1 where none was received.
 *
 * Raises Socket_Closed at the end of the stream (and ECONNRESET, ENOTCONN), Socket_Failed for the rest: NULL (EINVAL),
 * no Unix socket or one with TLS (EOPNOTSUPP), a byte without a descriptor (ENOMSG), more than one or some that were
 * lost (EMSGSIZE; those that came are closed).
 */
int Socket_recvfd(Socket_T socket, int *fd);

/**
 * As Socket_recvfd, for all that came with a byte, up to `max` (1 to 253): their number is put into `*received`, which
 * may be 0. All entries of `fds` that were not received are -1.
 *
 * Raises Socket_Failed also when more came than there is room for (EMSGSIZE); then all of them are closed.
 */
int Socket_recvfds(Socket_T socket, int *fds, size_t max, size_t *received);

/**
 * The rate of the limited calls in bytes a second, which is also the most they move at once; 0: no limit. Both
 * directions share it. The allowance is full afterwards.
 */
void Socket_setbandwidth(Socket_T socket, size_t bytes_per_second);

/** The rate of the limited calls in bytes a second; 0: no limit. */
size_t Socket_getbandwidth(Socket_T socket);

/** As Socket_send, of at most as many bytes as the rate allows now; 0 with errno EAGAIN when that is none. */
ssize_t Socket_send_limited(Socket_T socket, const void *buf, size_t len);

/** As Socket_recv, of at most as many bytes as the rate allows now; 0 with errno EAGAIN when that is none. */
ssize_t Socket_recv_limited(Socket_T socket, void *buf, size_t len);

/** How many milliseconds until the rate allows this many bytes: 0 for now, -1 for never (more than the rate). */
int64_t Socket_bandwidth_wait_ms(Socket_T socket, size_t bytes);

/**
 * Makes the socket non-blocking; there is no way back.
 *
 * Raises Socket_Failed.
 */
void Socket_setnonblocking(Socket_T socket);

/**
 * SO_REUSEADDR, which Socket_bind turns on by itself.
 *
 * Raises Socket_Failed.
 */
void Socket_setreuseaddr(Socket_T socket);

/**
 * SO_REUSEPORT: several sockets may bind to one port.
 *
 * Raises Socket_Failed.
 */
void Socket_setreuseport(Socket_T socket);

/**
 * Whether the descriptor is closed when the process executes another program; it is, unless turned off here.
 *
 * Raises Socket_Failed.
 */
void Socket_setcloexec(Socket_T socket, int enable);

/**
 * How long a call on a blocking socket waits, in seconds, before it says that it would block (SO_RCVTIMEO and
 * SO_SNDTIMEO); 0: for ever.
 *
 * Raises Socket_Failed: a negative time (EINVAL).
 */
void Socket_settimeout(Socket_T socket, int timeout_sec);

/** What Socket_settimeout has set, in seconds; 0: none. Raises Socket_Failed. */
int Socket_gettimeout(Socket_T socket);

/**
 * TCP keepalive on: after `idle` seconds (1 to 31536000; Linux takes up to 32767) without traffic the peer is probed,
 * every `interval` seconds (1 to 3600), and given up after `count` probes (1 to 32).
 *
 * Raises Socket_Failed: a value out of range (EINVAL), a socket that is not TCP.
 */
void Socket_setkeepalive(Socket_T socket, int idle, int interval, int count);

/** What Socket_setkeepalive has set; zeros while keepalive is off. A NULL pointer is left out. Raises Socket_Failed. */
void Socket_getkeepalive(Socket_T socket, int *idle, int *interval, int *count);

/** TCP_NODELAY: small pieces are sent at once. Raises Socket_Failed. */
void Socket_setnodelay(Socket_T socket, int enable);

/** TCP_NODELAY: 1 or 0. Raises Socket_Failed. */
int Socket_getnodelay(Socket_T socket);

/** TCP_CORK: 1 holds segments that are not full back, 0 sends them. 0, or -1 with errno. */
int Socket_cork(Socket_T socket, int enable);

/**
 * The size of the kernel's buffer for what was received, 512 to 1048576 bytes; Linux doubles it for its own needs.
 *
 * Raises Socket_Failed: a size out of range (EINVAL).
 */
void Socket_setrcvbuf(Socket_T socket, int size);

/** The size of the kernel's buffer for what is to be sent, as Socket_setrcvbuf. */
void Socket_setsndbuf(Socket_T socket, int size);

/** The size of the kernel's buffer for what was received, as the kernel tells it. Raises Socket_Failed. */
int Socket_getrcvbuf(Socket_T socket);

/** The size of the kernel's buffer for what is to be sent, as the kernel tells it. Raises Socket_Failed. */
int Socket_getsndbuf(Socket_T socket);

/**
 * The congestion control of a TCP socket, by its name in Linux ("cubic", "reno").
 *
 * Raises Socket_Failed: a name that is NULL, empty or longer than 63 bytes (EINVAL), one that this system does not
 * have.
 */
void Socket_setcongestion(Socket_T socket, const char *algorithm);

/**
 * The name of the congestion control into `algorithm`, which has room for `len` bytes, cut where that is too little: 0,
 * or -1 with errno.
 */
int Socket_getcongestion(Socket_T socket, char *algorithm, size_t len);

/** TCP Fast Open: a listener takes data with the first packet. Raises Socket_Failed. */
void Socket_setfastopen(Socket_T socket, int enable);

/** TCP Fast Open: 1 or 0; -1 where there is none, as on a socket that is not TCP. */
int Socket_getfastopen(Socket_T socket);

/**
 * How long bytes may stay without the peer's acknowledgement, in milliseconds (TCP_USER_TIMEOUT). 0 aborts.
 *
 * Raises Socket_Failed: more than INT_MAX (EINVAL), a socket that is not TCP.
 */
void Socket_setusertimeout(Socket_T socket, unsigned int timeout_ms);

/** What Socket_setusertimeout has set; 0 where there is none. */
unsigned int Socket_getusertimeout(Socket_T socket);

/**
 * A listener hears of a connection when its first bytes are there, or after this many seconds (0 to 3600; 0: off).
 * Linux rounds it up. Raises Socket_Failed: a time out of range (EINVAL).
 */
void Socket_setdeferaccept(Socket_T socket, int timeout_sec);

/** What Socket_setdeferaccept has set, as the kernel tells it. Raises Socket_Failed. */
int Socket_getdeferaccept(Socket_T socket);

/**
 * Ends one direction of the connection, or both: SHUT_RD, SHUT_WR, SHUT_RDWR. Of the transport: TLS says no goodbye.
 *
 * Raises Socket_Failed: another `how` (EINVAL), a socket that is not connected (ENOTCONN).
 */
void Socket_shutdown(Socket_T socket, int how);

/** How long the socket waits; nothing happens for a NULL `timeouts`. */
void Socket_timeouts_get(Socket_T socket, SocketTimeouts_T *timeouts);

/** Changes how long the socket waits; a negative time is 0. NULL: as the process's defaults are now. */
void Socket_timeouts_set(Socket_T socket, const SocketTimeouts_T *timeouts);

/**
 * What new sockets begin with: 30000 ms to connect, 5000 ms for a name, no limit for the rest, until changed. Any
 * thread.
 */
void Socket_timeouts_getdefaults(SocketTimeouts_T *timeouts);

/** Changes what new sockets of the process begin with; a negative time is 0, NULL is ignored. Any thread. */
void Socket_timeouts_setdefaults(const SocketTimeouts_T *timeouts);

/**
 * Changes how long the socket waits: a member that is 0 leaves what is set, a negative one sets 0. tls_timeout_ms is
 * the time for operations where that member is 0; request_timeout_ms has no effect on a socket.
 */
void Socket_timeouts_set_extended(Socket_T socket, const SocketTimeouts_Extended_T *timeouts);

/**
 * How long the socket waits; tls_timeout_ms is the time for operations, request_timeout_ms is 0. Nothing happens for a
 * NULL `timeouts`.
 */
void Socket_timeouts_get_extended(Socket_T socket, SocketTimeouts_Extended_T *timeouts);

/**
 * 1 when what failed with this error number may succeed when tried again: trouble of the network, and time-outs; else
 * 0.
 */
int Socket_error_is_retryable(int error);

/** Makes this process ignore SIGPIPE; this library never raises it. 0, or -1 with errno. */
int Socket_ignore_sigpipe(void);

#ifdef __cplusplus
}
#endif

/**
 * What a socket has moved. Times are in milliseconds of the clock of Socket_get_monotonic_ms, 0 for "not yet"; a packet
 * is a call that moved bytes.
 */
typedef struct SocketStats_T {
    /** Bytes sent; with TLS the program's. */
    uint64_t bytes_sent;
    /** Bytes received; with TLS the program's. */
    uint64_t bytes_received;
    /** Calls that sent. */
    uint64_t packets_sent;
    /** Calls that received. */
    uint64_t packets_received;
    /** Calls that failed to send. */
    uint64_t send_errors;
    /** Calls that failed to receive. */
    uint64_t recv_errors;
    /** When the socket was made. */
    int64_t create_time_ms;
    /** When it was connected. */
    int64_t connect_time_ms;
    /** When it sent last. */
    int64_t last_send_time_ms;
    /** When it received last. */
    int64_t last_recv_time_ms;
    /** The round trip in microseconds; -1 where it is not known. */
    int32_t rtt_us;
    /** How much that varies; -1 where it is not known. */
    int32_t rtt_var_us;
} SocketStats_T;

/** TCP_INFO of Linux: counters and estimates of a TCP connection. */
typedef struct SocketTCPInfo {
    uint8_t state;
    uint8_t ca_state;
    uint8_t retransmits;
    uint8_t probes;
    uint8_t backoff;
    uint8_t options;
    uint8_t snd_wscale;
    uint8_t rcv_wscale;
    uint32_t rto_us;
    uint32_t ato_us;
    uint32_t snd_mss;
    uint32_t rcv_mss;
    uint32_t unacked;
    uint32_t sacked;
    uint32_t lost;
    uint32_t retrans;
    uint32_t fackets;
    uint32_t last_data_sent_ms;
    uint32_t last_ack_sent_ms;
    uint32_t last_data_recv_ms;
    uint32_t last_ack_recv_ms;
    uint32_t pmtu;
    uint32_t rcv_ssthresh;
    uint32_t rtt_us;
    uint32_t rttvar_us;
    uint32_t snd_ssthresh;
    uint32_t snd_cwnd;
    uint32_t advmss;
    uint32_t reordering;
    uint32_t rcv_rtt_us;
    uint32_t rcv_space;
    uint32_t total_retrans;
    uint64_t pacing_rate;
    uint64_t max_pacing_rate;
    uint64_t bytes_acked;
    uint64_t bytes_received;
    uint32_t segs_out;
    uint32_t segs_in;
    uint32_t notsent_bytes;
    uint32_t min_rtt_us;
    uint32_t data_segs_in;
    uint32_t data_segs_out;
    uint64_t delivery_rate;
} SocketTCPInfo;

#ifdef __cplusplus
extern "C" {
#endif

/** What the socket has moved so far. Nothing happens for a NULL `stats`. */
void Socket_getstats(Socket_T socket, SocketStats_T *stats);

/** Forgets what the socket has moved; create_time_ms stays. */
void Socket_resetstats(Socket_T socket);

/**
 * Whether the connection is still there, as far as can be seen in `timeout_ms` milliseconds (0: now): 1, or 0 when the
 * peer has ended or reset it, or there is none. Bytes stay to be received.
 */
int Socket_probe(Socket_T socket, int timeout_ms);

/** The socket's pending error (SO_ERROR), which asking clears; 0: none. */
int Socket_get_error(Socket_T socket);

/** Whether Socket_recv would not wait: 1 or 0; -1 with errno when that cannot be known. Bytes that TLS holds count. */
int Socket_is_readable(Socket_T socket);

/** Whether Socket_send would not wait: 1 or 0; -1 with errno when that cannot be known. */
int Socket_is_writable(Socket_T socket);

/** The round trip of a TCP connection in microseconds; -1 where it is not known. */
int32_t Socket_get_rtt(Socket_T socket);

/** The congestion window of a TCP connection in segments; -1 where it is not known. */
int32_t Socket_get_cwnd(Socket_T socket);

/** TCP_INFO of a TCP socket into `info`: 0, or -1 where there is none, or `info` is NULL. */
int Socket_get_tcp_info(Socket_T socket, SocketTCPInfo *info);

/**
 * Binds a Unix socket to a path, or with "@name" to a name of Linux's abstract namespace. The file of a socket that is
 * in the way is removed first, any other file is not.
 *
 * Raises Socket_Failed: a path that is NULL, empty or has a component `..` (EINVAL), one of more than 107 bytes
 * (ENAMETOOLONG), and what bind(2) fails with, EADDRINUSE too.
 */
void Socket_bind_unix(Socket_T socket, const char *path);

/**
 * Connects a Unix socket to a path, or with "@name" to a name of the abstract namespace; waits as the socket's mode
 * says.
 *
 * Raises Socket_Failed as Socket_bind_unix for the path, and, unlike Socket_connect, for all that connect(2) fails
 * with: ENOENT, ECONNREFUSED, EAGAIN when a socket that does not block meets a full queue.
 */
void Socket_connect_unix(Socket_T socket, const char *path);

/**
 * As Socket_connect_unix, waiting for a listener whose queue is full for `timeout_ms` milliseconds at most (ETIMEDOUT),
 * whatever the socket's mode, which is as before afterwards; below 0: no limit.
 */
void Socket_connect_unix_timeout(Socket_T socket, const char *path, int timeout_ms);

/**
 * A new Unix socket that listens on a path, as Socket_new, Socket_bind_unix and Socket_listen; to be ended with
 * Socket_free.
 *
 * Raises Socket_Failed as these.
 */
Socket_T Socket_listen_unix(const char *path, int backlog);

/** The process at the other end of a Unix socket, as it was when it connected; -1 where that cannot be known. */
int Socket_getpeerpid(Socket_T socket);

/** The user at the other end of a Unix socket, as it was when it connected; -1 where that cannot be known. */
int Socket_getpeeruid(Socket_T socket);

/** The group at the other end of a Unix socket, as it was when it connected; -1 where that cannot be known. */
int Socket_getpeergid(Socket_T socket);

/** As Socket_bind_unix, for the record under a socket of another kind. Raises `x`; a NULL `base` aborts. */
void SocketUnix_bind(SocketBase_T base, const char *path, Except_T x);

/** As Socket_connect_unix, for the record under a socket of another kind. Raises `x`; a NULL `base` aborts. */
void SocketUnix_connect(SocketBase_T base, const char *path, Except_T x);

/** Whether the `len` bytes of a path can be that of a Unix socket, as Socket_bind_unix sees it: 0, or -1 with errno. */
int SocketUnix_validate_unix_path(const char *path, size_t len);

/**
 * Starts the lookup of an address to bind the socket to, on a resolver; never waits. When SocketDNS_getresult gives a
 * list, that is for Socket_bind_with_addrinfo (and ended with SocketCommon_free_addrinfo). `host` NULL, "0.0.0.0" and
 * "::" are all addresses: the request is complete at once. To be ended with SocketDNS_getresult or
 * Socket_bind_async_cancel.
 *
 * Raises Socket_Failed: a port out of range (EINVAL); SocketDNS_Failed: no resolver, a host that is empty or longer
 * than 255 bytes (EINVAL), no thread.
 */
Request_T Socket_bind_async(SocketDNS_T dns, Socket_T socket, const char *host, int port);

/**
 * Ends a request of Socket_bind_async whose answer is not wanted any more. Nothing happens for NULL and for one that is
 * over.
 */
void Socket_bind_async_cancel(SocketDNS_T dns, Request_T request);

/**
 * Starts the lookup of an address to connect the socket to, as Socket_bind_async; its list is for
 * Socket_connect_with_addrinfo.
 *
 * Raises Socket_Failed: `host` is NULL, a port out of range (EINVAL); SocketDNS_Failed as Socket_bind_async.
 */
Request_T Socket_connect_async(SocketDNS_T dns, Socket_T socket, const char *host, int port);

/**
 * Ends a request of Socket_connect_async whose answer is not wanted any more. Nothing happens for NULL and for one that
 * is over.
 */
void Socket_connect_async_cancel(SocketDNS_T dns, Request_T request);

#ifdef __cplusplus
}
#endif

#endif /* NETCONN_SOCKET_SOCKET_H */

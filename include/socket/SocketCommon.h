/**
 * socket/SocketCommon.h - what sockets of every kind share: names and addresses, options of descriptors, I/O vectors.
 *
 * Where a function ends with an exception object, it raises that one.
 */

#ifndef NETCONN_SOCKET_SOCKETCOMMON_H
#define NETCONN_SOCKET_SOCKETCOMMON_H

#include "core/Arena.h"
#include "core/Except.h"
#include "core/SocketConfig.h"
#include "core/SocketHandles.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/un.h>

/* Strict C hides the struct in <netdb.h>; a pointer to it must still name the same type. */
struct addrinfo;

#ifdef __cplusplus
extern "C" {
#endif

/** A helper of `socket/SocketCommon.h` failed. */
extern const Except_T SocketCommon_Failed;

/** A datagram call failed. */
extern const Except_T SocketDgram_Failed;

/** Fills in hints: all zero, any family, this type and these flags. A NULL `hints` aborts. */
void SocketCommon_setup_hints(struct addrinfo *hints, int socktype, int flags);

/**
 * The addresses of a host: 0, and `*res`, to be freed with SocketCommon_free_addrinfo.
 *
 * `host`: a name or an address, which needs no lookup; NULL stands for this machine, for all its addresses where the
 * hints have AI_PASSIVE. `hints`: family, type, protocol, AI_PASSIVE and AI_NUMERICHOST are heard; NULL for none.
 * `family`: the answer counts only if an entry is of this one; AF_UNSPEC for any. A lookup takes as long as
 * SocketCommon_get_dns_timeout says.
 *
 * Where nothing is found (errno EAI_FAIL), or host or port are none (EINVAL): raises `x` if `use_exceptions`, else
 * returns -1.
 */
int SocketCommon_resolve_address(const char *host, int port, const struct addrinfo *hints, struct addrinfo **res,
                                 Except_T x, int family, int use_exceptions);

/** Frees a list of addresses that this library has given, or getaddrinfo(3). NULL is a no-op. */
void SocketCommon_free_addrinfo(struct addrinfo *list);

/**
 * A copy of a list with all that it points to, to be freed with SocketCommon_free_addrinfo. NULL for NULL, and for lack
 * of memory.
 */
struct addrinfo *SocketCommon_copy_addrinfo(const struct addrinfo *list);

/** Raises `x` (EINVAL) where a port is not within 0 to 65535. */
void SocketCommon_validate_port(int port, Except_T x);

/**
 * Raises `x` (EINVAL) unless a host is an address, or labels of 1 to 63 letters, digits and hyphens (not at the
 * beginning), 255 characters together at most.
 */
void SocketCommon_validate_hostname(const char *host, Except_T x);

/** Raises `x` (EINVAL) for NULL. */
void SocketCommon_validate_host_not_null(const char *host, Except_T x);

/** NULL for NULL, "0.0.0.0" and "::", which stand for all addresses of this machine; else `host`. */
const char *SocketCommon_normalize_wildcard_host(const char *host);

/**
 * The numeric text of an address, in memory of the arena, and its port: 0. -1 for what is no IPv4 or IPv6 address, for
 * NULL (EINVAL), and where the arena has no memory (ENOMEM).
 */
int SocketCommon_cache_endpoint(Arena_T arena, const struct sockaddr *addr, socklen_t len, char **addr_out,
                                int *port_out);

/**
 * The name of an address and that of its port, by getnameinfo(3) and with its flags: 0. A NULL or empty buffer is left
 * out, but not both.
 *
 * Raises `x`: no address, no room (EINVAL), and what getnameinfo fails with.
 */
int SocketCommon_reverse_lookup(const struct sockaddr *addr, socklen_t addrlen, char *host, socklen_t hostlen,
                                char *serv, socklen_t servlen, int flags, Except_T x);

/** Whether a text is an address: 1, and AF_INET or AF_INET6; else 0, and AF_UNSPEC. `family` may be NULL. */
int SocketCommon_parse_ip(const char *s, int *family);

/**
 * Whether an address is in a network such as "10.0.0.0/8": 1; 0 if not, also where they are of two families; -1 where
 * one of them is malformed.
 */
int SocketCommon_cidr_match(const char *ip, const char *cidr);

/** Has a descriptor closed, or not, in a program that is executed: 0, or -1 with errno. */
int SocketCommon_setcloexec(int fd, int on);

/** Whether a descriptor is closed in a program that is executed: 1 or 0; -1 with errno. */
int SocketCommon_has_cloexec(int fd);

/** As SocketCommon_setcloexec; raises `x` where that fails. */
void SocketCommon_set_cloexec_fd(int fd, bool on, Except_T x);

/** Asks for an option whose value is a number: 0. Raises `x`: NULL (EINVAL), and what getsockopt(2) fails with. */
int SocketCommon_getoption_int(int fd, int level, int optname, int *value, Except_T x);

/** Asks for an option whose value is a length of time: 0. Raises as SocketCommon_getoption_int. */
int SocketCommon_getoption_timeval(int fd, int level, int optname, struct timeval *tv, Except_T x);

/**
 * Waits for events of poll(2) on a descriptor: 1 when they are there, and at once where `timeout_ms` is 0; 0 when the
 * time is up. Below 0 waits for as long as it takes; SOCKET_POLL_TIMEOUT_MAX is the longest. -1 with errno: a failure,
 * an error at the descriptor (EIO), its other end is gone (EPIPE), it is none (EBADF).
 */
int SocketCommon_wait_for_fd(int fd, short events, int timeout_ms);

/**
 * Makes a socket's record, with a new descriptor: close-on-exec and blocking. `domain`: AF_INET, AF_INET6 or AF_UNIX;
 * `type`: SOCK_STREAM or SOCK_DGRAM; `protocol`: 0, IPPROTO_TCP or IPPROTO_UDP. To be ended with
 * SocketCommon_free_base.
 *
 * Raises Socket_Failed: another domain, type or protocol (EINVAL), and what socket(2) fails with.
 */
SocketBase_T SocketCommon_new_base(int domain, int type, int protocol);

/** Closes the descriptor and stores NULL. Nothing happens for NULL. */
void SocketCommon_free_base(SocketBase_T *base_ptr);

/**
 * Sets an option whose value is a number. Raises `x` with what setsockopt(2) fails with. A NULL `base` aborts, here and
 * below.
 */
void SocketCommon_set_option_int(SocketBase_T base, int level, int optname, int value, Except_T x);

/**
 * Sets how many routers what is sent may pass. `family`: AF_INET or AF_INET6. Raises `x`: another family
 * (EAFNOSUPPORT), a number that the system refuses (EINVAL).
 */
void SocketCommon_set_ttl(SocketBase_T base, int family, int ttl, Except_T x);

/** Has calls on the descriptor return at once where they would wait, or wait. Raises `x` where fcntl(2) fails. */
void SocketCommon_set_nonblock(SocketBase_T base, bool enable, Except_T x);

/**
 * Enters a multicast group, named by its address. `interface`: the address or the name of one, NULL for any; an IPv6
 * group is entered on any.
 *
 * Raises `x`: what is no address (EINVAL), and what setsockopt(2) fails with.
 */
void SocketCommon_join_multicast(SocketBase_T base, const char *group, const char *interface, Except_T x);

/** Leaves a multicast group; else as SocketCommon_join_multicast. */
void SocketCommon_leave_multicast(SocketBase_T base, const char *group, const char *interface, Except_T x);

/** Asks the kernel for the record's own address, after a bind or connect that was done on its descriptor. */
void SocketCommon_update_local_endpoint(SocketBase_T base);

/** AF_INET, AF_INET6 or AF_UNIX; AF_UNSPEC for NULL. */
int SocketCommon_get_socket_family(SocketBase_T base);

/**
 * Binds to an address: 0; -1 with errno where it cannot be had (EADDRINUSE, EADDRNOTAVAIL). Raises `x` with what else
 * bind(2) fails with, and for NULL (EINVAL).
 */
int SocketCommon_try_bind_address(SocketBase_T base, const struct sockaddr *addr, socklen_t addrlen, Except_T x);

/**
 * Sets SO_REUSEADDR and binds to the first address of a list that is of `family` (AF_UNSPEC: any) and can be had: 0.
 * Raises `x` where there is none, with the last one's errno (EAFNOSUPPORT: none is of that family).
 */
int SocketCommon_try_bind_resolved_addresses(SocketBase_T base, struct addrinfo *res, int family, Except_T x);

/**
 * What becomes of a bind that failed with `err`: -1 with errno where the address `addr` (a text) cannot be had
 * (EADDRINUSE, EADDRNOTAVAIL); else raises `x`.
 */
int SocketCommon_handle_bind_error(int err, const char *addr, Except_T x);

/** Makes the thread's message of errno, for a bind to this host ("any" for NULL) and port that has failed. */
void SocketCommon_format_bind_error(const char *host, int port);

/**
 * The bytes of all entries. Raises SocketCommon_Failed (EINVAL): NULL, a count that is not within 1 to IOV_MAX, a sum
 * that overflows.
 */
size_t SocketCommon_calculate_total_iov_len(const struct iovec *iov, int iovcnt);

/**
 * Raises SocketCommon_Failed (EINVAL) where an entry that has bytes is NULL, and as
 * SocketCommon_calculate_total_iov_len.
 */
void SocketCommon_validate_iov_bases(const struct iovec *iov, int iovcnt);

/**
 * Uses up bytes: entries that are finished become NULL and 0, the one that is not begins later. Raises
 * SocketCommon_Failed (EINVAL): more bytes than there are, and as SocketCommon_calculate_total_iov_len.
 */
void SocketCommon_advance_iov(struct iovec *iov, int iovcnt, size_t bytes);

/**
 * The first entry that has bytes, and how many entries there are from it on; NULL and 0 if there is none. NULL and a
 * negative count abort.
 */
struct iovec *SocketCommon_find_active_iov(struct iovec *iov, int iovcnt, int *active_iovcnt);

/**
 * Has the entries of `original` begin where those of `copy`, of which bytes were used up, do now. NULL and a negative
 * count abort.
 */
void SocketCommon_sync_iov_progress(struct iovec *original, const struct iovec *copy, int iovcnt);

/** A copy of the entries, to be freed with free(3). Raises `x`: as SocketCommon_calculate_total_iov_len, and ENOMEM. */
struct iovec *SocketCommon_alloc_iov_copy(const struct iovec *iov, int iovcnt, Except_T x);

/** What new sockets begin with, as Socket_timeouts_getdefaults. NULL is ignored. Any thread. */
void SocketCommon_timeouts_getdefaults(SocketTimeouts_T *timeouts);

/**
 * Changes what new sockets begin with, as Socket_timeouts_setdefaults: a negative time is 0, NULL is ignored. Any
 * thread.
 */
void SocketCommon_timeouts_setdefaults(const SocketTimeouts_T *timeouts);

/**
 * The process's own resolver, made when it is first asked for. It is everybody's: end it by
 * SocketCommon_shutdown_globals alone. Any thread.
 *
 * Raises SocketDNS_Failed: no descriptors left.
 */
SocketDNS_T SocketCommon_get_dns_resolver(void);

/**
 * How long names may take for SocketCommon_resolve_address and for later requests to the process's resolver, in
 * milliseconds; 0: no limit. -1: as new sockets begin with, 5000 unless that was changed. Any thread.
 */
void SocketCommon_set_dns_timeout(int timeout_ms);

/** How long they may take now. Any thread. */
int SocketCommon_get_dns_timeout(void);

/**
 * Ends the process's resolver and its requests; nothing happens where there is none. Whoever asks for it afterwards
 * gets another.
 */
void SocketCommon_shutdown_globals(void);

#ifdef __cplusplus
}
#endif

#endif /* NETCONN_SOCKET_SOCKETCOMMON_H */

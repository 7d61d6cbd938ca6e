/**
 * core/SocketConfig.h - limits, defaults, and what the platform has.
 *
 * A program may define the limits and defaults before it includes this; the library keeps to its own.
 */

#ifndef NETCONN_CORE_SOCKETCONFIG_H
#define NETCONN_CORE_SOCKETCONFIG_H

#include "core/SocketFeatures.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- Limits ---- */

#ifndef SOCKET_MAX_CONNECTIONS
#define SOCKET_MAX_CONNECTIONS 10000UL
#endif
#ifndef SOCKET_MAX_BUFFER_SIZE
#define SOCKET_MAX_BUFFER_SIZE 1048576
#endif
#ifndef SOCKET_MIN_BUFFER_SIZE
#define SOCKET_MIN_BUFFER_SIZE 512
#endif
#ifndef SOCKET_MAX_PORT
#define SOCKET_MAX_PORT 65535
#endif
#ifndef SOCKET_MAX_POLL_EVENTS
#define SOCKET_MAX_POLL_EVENTS 10000
#endif
#ifndef SOCKET_MAX_LISTEN_BACKLOG
#define SOCKET_MAX_LISTEN_BACKLOG 1024
#endif
#ifndef SOCKET_DEFAULT_LISTEN_BACKLOG
#define SOCKET_DEFAULT_LISTEN_BACKLOG 128
#endif
#ifndef SOCKET_MAX_FDS_PER_MSG
#define SOCKET_MAX_FDS_PER_MSG 253
#endif
#ifndef SOCKET_MAX_TTL
#define SOCKET_MAX_TTL 255
#endif
#ifndef SOCKET_ERROR_BUFSIZE
#define SOCKET_ERROR_BUFSIZE 1024
#endif
#ifndef SOCKET_ERROR_MAX_HOSTNAME
#define SOCKET_ERROR_MAX_HOSTNAME 255
#endif
#ifndef SOCKET_SENDFILE_FALLBACK_BUFFER_SIZE
#define SOCKET_SENDFILE_FALLBACK_BUFFER_SIZE 8192
#endif
#ifndef SOCKET_KEEPALIVE_MAX_IDLE
#define SOCKET_KEEPALIVE_MAX_IDLE 31536000
#endif
#ifndef SOCKET_KEEPALIVE_MAX_INTERVAL
#define SOCKET_KEEPALIVE_MAX_INTERVAL 3600
#endif
#ifndef SOCKET_KEEPALIVE_MAX_COUNT
#define SOCKET_KEEPALIVE_MAX_COUNT 32
#endif
#ifndef SOCKET_MAX_DEFER_ACCEPT_SEC
#define SOCKET_MAX_DEFER_ACCEPT_SEC 3600
#endif
#ifndef SOCKET_MAX_CONGESTION_ALGO_LEN
#define SOCKET_MAX_CONGESTION_ALGO_LEN 63
#endif
#ifndef SOCKET_MAX_TIMER_DELAY_MS
#define SOCKET_MAX_TIMER_DELAY_MS INT64_C(31536000000)
#endif
#ifndef SOCKET_MAX_TIMERS_PER_HEAP
#define SOCKET_MAX_TIMERS_PER_HEAP 100000
#endif
#ifndef IOV_MAX
#define IOV_MAX 1024
#endif

/* ---- Times ---- */

#ifndef SOCKET_DEFAULT_CONNECT_TIMEOUT_MS
#define SOCKET_DEFAULT_CONNECT_TIMEOUT_MS 30000
#endif
#ifndef SOCKET_DEFAULT_DNS_TIMEOUT_MS
#define SOCKET_DEFAULT_DNS_TIMEOUT_MS 5000
#endif
#ifndef SOCKET_DEFAULT_OPERATION_TIMEOUT_MS
#define SOCKET_DEFAULT_OPERATION_TIMEOUT_MS 0
#endif
#ifndef SOCKET_DEFAULT_TLS_TIMEOUT_MS
#define SOCKET_DEFAULT_TLS_TIMEOUT_MS 30000
#endif
#ifndef SOCKET_DEFAULT_REQUEST_TIMEOUT_MS
#define SOCKET_DEFAULT_REQUEST_TIMEOUT_MS 60000
#endif
#ifndef SOCKET_DEFAULT_POLL_TIMEOUT
#define SOCKET_DEFAULT_POLL_TIMEOUT 1000
#endif
#ifndef SOCKET_POLL_TIMEOUT_MAX
#define SOCKET_POLL_TIMEOUT_MAX (INT_MAX / 2)
#endif
#ifndef SOCKET_TLS_MIN_SHUTDOWN_TIMEOUT_MS
#define SOCKET_TLS_MIN_SHUTDOWN_TIMEOUT_MS 1000
#endif
#ifndef SOCKET_TLS_SHUTDOWN_POLL_INTERVAL_MS
#define SOCKET_TLS_SHUTDOWN_POLL_INTERVAL_MS 100
#endif
#ifndef SOCKET_MS_PER_SECOND
#define SOCKET_MS_PER_SECOND 1000
#endif
#ifndef SOCKET_NS_PER_MS
#define SOCKET_NS_PER_MS 1000000LL
#endif
#ifndef SOCKET_NS_PER_SECOND
#define SOCKET_NS_PER_SECOND 1000000000LL
#endif

/* ---- Pools ---- */

#ifndef SOCKET_DEFAULT_IDLE_TIMEOUT
#define SOCKET_DEFAULT_IDLE_TIMEOUT 300
#endif
#ifndef SOCKET_DEFAULT_POOL_SIZE
#define SOCKET_DEFAULT_POOL_SIZE 1000
#endif
#ifndef SOCKET_DEFAULT_POOL_BUFSIZE
#define SOCKET_DEFAULT_POOL_BUFSIZE 8192
#endif
#ifndef SOCKET_POOL_MAX_BATCH_ACCEPTS
#define SOCKET_POOL_MAX_BATCH_ACCEPTS 1000
#endif
#ifndef SOCKET_POOL_DEFAULT_IDLE_TIMEOUT
#define SOCKET_POOL_DEFAULT_IDLE_TIMEOUT 300
#endif
#ifndef SOCKET_POOL_DEFAULT_PREWARM_PCT
#define SOCKET_POOL_DEFAULT_PREWARM_PCT 20
#endif
#ifndef SOCKET_POOL_DEFAULT_CLEANUP_INTERVAL_MS
#define SOCKET_POOL_DEFAULT_CLEANUP_INTERVAL_MS 60000
#endif

/* ---- What the platform has ---- */

#ifdef __APPLE__
#define SOCKET_PLATFORM_MACOS 1
#else
#define SOCKET_PLATFORM_MACOS 0
#endif
#if defined(TCP_USER_TIMEOUT)
#define SOCKET_HAS_TCP_USER_TIMEOUT 1
#else
#define SOCKET_HAS_TCP_USER_TIMEOUT 0
#endif
#if defined(TCP_FASTOPEN)
#define SOCKET_HAS_TCP_FASTOPEN 1
#else
#define SOCKET_HAS_TCP_FASTOPEN 0
#endif
#if defined(TCP_CONGESTION)
#define SOCKET_HAS_TCP_CONGESTION 1
#else
#define SOCKET_HAS_TCP_CONGESTION 0
#endif
#if defined(TCP_DEFER_ACCEPT)
#define SOCKET_HAS_TCP_DEFER_ACCEPT 1
#else
#define SOCKET_HAS_TCP_DEFER_ACCEPT 0
#endif
#if defined(SO_REUSEPORT)
#define SOCKET_HAS_SO_REUSEPORT 1
#else
#define SOCKET_HAS_SO_REUSEPORT 0
#endif
#if defined(SO_DOMAIN)
#define SOCKET_HAS_SO_DOMAIN 1
#else
#define SOCKET_HAS_SO_DOMAIN 0
#endif
#if defined(__linux__) || defined(__FreeBSD__)
#define SOCKET_HAS_ACCEPT4 1
#else
#define SOCKET_HAS_ACCEPT4 0
#endif
#if defined(SOCK_CLOEXEC) || defined(__linux__)
#define SOCKET_HAS_SOCK_CLOEXEC 1
#else
#define SOCKET_HAS_SOCK_CLOEXEC 0
#endif

/* ---- Other names ---- */

#define SOCKET_SHUT_RD SHUT_RD
#define SOCKET_SHUT_WR SHUT_WR
#define SOCKET_SHUT_RDWR SHUT_RDWR
#define SOCKET_AF_UNSPEC AF_UNSPEC
#define SOCKET_AF_INET AF_INET
#define SOCKET_AF_INET6 AF_INET6
#define SOCKET_AF_UNIX AF_UNIX
#define SOCKET_SOL_SOCKET SOL_SOCKET
#define SOCKET_SO_BROADCAST SO_BROADCAST
#define SOCKET_SO_ERROR SO_ERROR
#define SOCKET_SO_KEEPALIVE SO_KEEPALIVE
#define SOCKET_SO_LINGER SO_LINGER
#define SOCKET_SO_RCVBUF SO_RCVBUF
#define SOCKET_SO_RCVTIMEO SO_RCVTIMEO
#define SOCKET_SO_REUSEADDR SO_REUSEADDR
#define SOCKET_SO_SNDBUF SO_SNDBUF
#define SOCKET_SO_SNDTIMEO SO_SNDTIMEO
#define SOCKET_SO_TYPE SO_TYPE
#define SOCKET_IPPROTO_TCP IPPROTO_TCP
#define SOCKET_IPPROTO_UDP IPPROTO_UDP
#define SOCKET_IPPROTO_IP IPPROTO_IP
#define SOCKET_IPPROTO_IPV6 IPPROTO_IPV6
#define SOCKET_TCP_NODELAY TCP_NODELAY
#define SOCKET_IPV6_V6ONLY IPV6_V6ONLY
#define SOCKET_STREAM_TYPE SOCK_STREAM
#define SOCKET_DGRAM_TYPE SOCK_DGRAM
#ifdef SO_REUSEPORT
#define SOCKET_SO_REUSEPORT SO_REUSEPORT
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif
#define SOCKET_MSG_NOSIGNAL MSG_NOSIGNAL

/* ---- In range? ---- */

#define SOCKET_VALID_PORT(p) ((int)(p) >= 0 && (int)(p) <= SOCKET_MAX_PORT)
#define SOCKET_VALID_BUFFER_SIZE(s) ((size_t)(s) >= SOCKET_MIN_BUFFER_SIZE && (size_t)(s) <= SOCKET_MAX_BUFFER_SIZE)
#define SOCKET_VALID_CONNECTION_COUNT(c) ((size_t)(c) > 0 && (size_t)(c) <= SOCKET_MAX_CONNECTIONS)
#define SOCKET_VALID_POLL_EVENTS(e) ((int)(e) > 0 && (int)(e) <= SOCKET_MAX_POLL_EVENTS)

/** Closes a descriptor that is not negative. Not tried again after EINTR: it is closed by then. */
#define SAFE_CLOSE(fd) \
    do { \
        int socket_close_fd = (fd); \
        if (socket_close_fd >= 0 && close(socket_close_fd) < 0 && errno != EINTR) \
            fprintf(stderr, "close(%d): %s\n", socket_close_fd, Socket_safe_strerror(errno)); \
    } while (0)

/** How long a socket's calls may take, in milliseconds; 0: no limit. */
typedef struct SocketTimeouts_T {
    /** To connect. */
    int connect_timeout_ms;
    /** To look a name up. */
    int dns_timeout_ms;
    /** Everything else. */
    int operation_timeout_ms;
} SocketTimeouts_T;

/** The same, for each step by itself. Given to the library, 0 leaves what is set. */
typedef struct SocketTimeouts_Extended_T {
    /** To look a name up. */
    int dns_timeout_ms;
    /** To connect. */
    int connect_timeout_ms;
    /** For a TLS handshake. */
    int tls_timeout_ms;
    /** For a whole request. */
    int request_timeout_ms;
    /** Everything else. */
    int operation_timeout_ms;
} SocketTimeouts_Extended_T;

#ifdef __cplusplus
extern "C" {
#endif

/** The text of an error number, "Connection refused"; "No error" for 0. Never NULL; valid for ever, from any thread. */
const char *Socket_safe_strerror(int errnum);

/**
 * Limits what all arenas of the process may take together, in bytes; 0: no limit. Those that have more already keep it.
 * Any thread.
 */
void SocketConfig_set_max_memory(size_t max_bytes);

/** What SocketConfig_set_max_memory has set; 0: no limit. */
size_t SocketConfig_get_max_memory(void);

/** The bytes that all arenas of the process have taken. */
size_t SocketConfig_get_memory_used(void);

#ifdef __cplusplus
}
#endif

#endif /* NETCONN_CORE_SOCKETCONFIG_H */

/**
 * core/SocketError.h - what went wrong last on this thread, and what an error number means.
 */

#ifndef NETCONN_CORE_SOCKETERROR_H
#define NETCONN_CORE_SOCKETERROR_H

#include "core/SocketConfig.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What Socket_GetLastError and Socket_geterrno give: one for each thread. To be read. */
extern __thread char socket_error_buf[1024];
extern __thread int socket_last_errno;

#ifdef __cplusplus
}
#endif

/** What kind of trouble an error number is. */
typedef enum SocketErrorCategory {
    /** The network, or the other end: it may pass. */
    SOCKET_ERROR_CATEGORY_NETWORK = 0,
    /** The call was wrong. */
    SOCKET_ERROR_CATEGORY_PROTOCOL,
    /** The program may not do this, here. */
    SOCKET_ERROR_CATEGORY_APPLICATION,
    /** It took too long. */
    SOCKET_ERROR_CATEGORY_TIMEOUT,
    /** Something is used up. */
    SOCKET_ERROR_CATEGORY_RESOURCE,
    /** None of these. */
    SOCKET_ERROR_CATEGORY_UNKNOWN,
    /** How many there are. */
    SOCKET_ERROR_CATEGORY_COUNT
} SocketErrorCategory;

/** An error number of those that programs ask for most. */
typedef enum SocketErrorCode {
    /** None. */
    SOCKET_ERROR_NONE = 0,
    /** EINVAL. */
    SOCKET_ERROR_EINVAL,
    /** EACCES. */
    SOCKET_ERROR_EACCES,
    /** EADDRINUSE. */
    SOCKET_ERROR_EADDRINUSE,
    /** EADDRNOTAVAIL. */
    SOCKET_ERROR_EADDRNOTAVAIL,
    /** EAFNOSUPPORT. */
    SOCKET_ERROR_EAFNOSUPPORT,
    /** EAGAIN. */
    SOCKET_ERROR_EAGAIN,
    /** EALREADY. */
    SOCKET_ERROR_EALREADY,
    /** EBADF. */
    SOCKET_ERROR_EBADF,
    /** ECONNREFUSED. */
    SOCKET_ERROR_ECONNREFUSED,
    /** ECONNRESET. */
    SOCKET_ERROR_ECONNRESET,
    /** EFAULT. */
    SOCKET_ERROR_EFAULT,
    /** EHOSTUNREACH. */
    SOCKET_ERROR_EHOSTUNREACH,
    /** EINPROGRESS. */
    SOCKET_ERROR_EINPROGRESS,
    /** EINTR. */
    SOCKET_ERROR_EINTR,
    /** EISCONN. */
    SOCKET_ERROR_EISCONN,
    /** EMFILE. */
    SOCKET_ERROR_EMFILE,
    /** ENETUNREACH. */
    SOCKET_ERROR_ENETUNREACH,
    /** ENOBUFS. */
    SOCKET_ERROR_ENOBUFS,
    /** ENOMEM. */
    SOCKET_ERROR_ENOMEM,
    /** ENOTCONN. */
    SOCKET_ERROR_ENOTCONN,
    /** ENOTSOCK. */
    SOCKET_ERROR_ENOTSOCK,
    /** EOPNOTSUPP. */
    SOCKET_ERROR_EOPNOTSUPP,
    /** EPIPE. */
    SOCKET_ERROR_EPIPE,
    /** EPROTONOSUPPORT. */
    SOCKET_ERROR_EPROTONOSUPPORT,
    /** ETIMEDOUT. */
    SOCKET_ERROR_ETIMEDOUT,
    /** EWOULDBLOCK, where it is not EAGAIN. */
    SOCKET_ERROR_EWOULDBLOCK,
    /** Another number. */
    SOCKET_ERROR_UNKNOWN
} SocketErrorCode;

#ifdef __cplusplus
extern "C" {
#endif

/**
 * What went wrong last on this thread, as one line: the reason of the exception that told it, too. Never NULL; empty
 * before the first error. Valid until the thread's next error.
 */
const char *Socket_GetLastError(void);

/** The error number that came with that message; 0 where there was none. */
int Socket_geterrno(void);

/** That number as one of the codes above. */
SocketErrorCode Socket_geterrorcode(void);

/** What kind of trouble an error number is; UNKNOWN for 0, too. */
SocketErrorCategory SocketError_categorize_errno(int err);

/** "NETWORK", "PROTOCOL", "APPLICATION", "TIMEOUT", "RESOURCE" or "UNKNOWN", which is that of any other number, too. */
const char *SocketError_category_name(SocketErrorCategory category);

/** 1 when trying again may help after this error number, else 0. */
int SocketError_is_retryable_errno(int err);

#ifdef __cplusplus
}
#endif

/* Short texts of error numbers. */
#define SOCKET_EINVAL "Invalid argument"
#define SOCKET_EACCES "Permission denied"
#define SOCKET_EADDRINUSE "Address already in use"
#define SOCKET_EADDRNOTAVAIL "Address not available"
#define SOCKET_EAFNOSUPPORT "Address family not supported"
#define SOCKET_EAGAIN "Resource temporarily unavailable"
#define SOCKET_EALREADY "Operation already in progress"
#define SOCKET_EBADF "Bad file descriptor"
#define SOCKET_ECONNREFUSED "Connection refused"
#define SOCKET_ECONNRESET "Connection reset by peer"
#define SOCKET_EFAULT "Bad address"
#define SOCKET_EHOSTUNREACH "No route to host"
#define SOCKET_EINPROGRESS "Operation in progress"
#define SOCKET_EINTR "Interrupted system call"
#define SOCKET_EISCONN "Socket is already connected"
#define SOCKET_EMFILE "Too many open files"
#define SOCKET_ENETUNREACH "Network is unreachable"
#define SOCKET_ENOBUFS "No buffer space available"
#define SOCKET_ENOMEM "Out of memory"
#define SOCKET_ENOTCONN "Socket is not connected"
#define SOCKET_ENOTSOCK "Not a socket"
#define SOCKET_EOPNOTSUPP "Operation not supported"
#define SOCKET_EPIPE "Broken pipe"
#define SOCKET_EPROTONOSUPPORT "Protocol not supported"
#define SOCKET_ETIMEDOUT "Connection timed out"
#define SOCKET_EWOULDBLOCK "Operation would block"
#define SOCKET_ECONNABORTED "Connection aborted"
#define SOCKET_ENETDOWN "Network is down"
#define SOCKET_ENETRESET "Connection reset by network"
#define SOCKET_ENFILE "Too many open files in system"
#define SOCKET_ENOSPC "No space left on device"
#define SOCKET_EPERM "Operation not permitted"
#define SOCKET_EPROTO "Protocol error"

#endif /* NETCONN_CORE_SOCKETERROR_H */

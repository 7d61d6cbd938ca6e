/**
 * core/SocketUtil/Time.h - the monotonic clock, and times from one form into another.
 */

#ifndef NETCONN_CORE_SOCKETUTIL_TIME_H
#define NETCONN_CORE_SOCKETUTIL_TIME_H

#include "core/SocketConfig.h"

#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The monotonic clock, in milliseconds. */
int64_t Socket_get_monotonic_ms(void);

/** The monotonic clock, in microseconds. */
uint64_t Socket_get_monotonic_us(void);

/** The monotonic clock, in nanoseconds. */
uint64_t Socket_get_monotonic_ns(void);

#ifdef __cplusplus
}
#endif

/* Strict C99 has no struct timespec. */
#if defined(__cplusplus) || !defined(__STRICT_ANSI__) || defined(_POSIX_C_SOURCE) || __STDC_VERSION__ >= 201112L

/** Milliseconds as seconds and nanoseconds. */
static inline struct timespec socket_util_ms_to_timespec(unsigned long ms) {
    struct timespec ts;
    ts.tv_sec = (time_t)(ms / SOCKET_MS_PER_SECOND);
    ts.tv_nsec = (long)(ms % SOCKET_MS_PER_SECOND * SOCKET_NS_PER_MS);
    return ts;
}

/** Seconds and nanoseconds as whole milliseconds. */
static inline unsigned long socket_util_timespec_to_ms(struct timespec ts) {
    return (unsigned long)ts.tv_sec * SOCKET_MS_PER_SECOND + (unsigned long)(ts.tv_nsec / SOCKET_NS_PER_MS);
}

/** The sum of two times. */
static inline struct timespec socket_util_timespec_add(struct timespec a, struct timespec b) {
    struct timespec sum;
    sum.tv_sec = a.tv_sec + b.tv_sec;
    sum.tv_nsec = a.tv_nsec + b.tv_nsec;
    if (sum.tv_nsec >= SOCKET_NS_PER_SECOND) {
        sum.tv_sec++;
        sum.tv_nsec -= (long)SOCKET_NS_PER_SECOND;
    }
    return sum;
}

#endif

#endif /* NETCONN_CORE_SOCKETUTIL_TIME_H */

/**
 * core/SocketUtil/Timeout.h - deadlines: a time of the monotonic clock in milliseconds; 0 stands for none.
 */

#ifndef NETCONN_CORE_SOCKETUTIL_TIMEOUT_H
#define NETCONN_CORE_SOCKETUTIL_TIMEOUT_H

#include "core/SocketUtil/Time.h"

#include <limits.h>
#include <stdint.h>

/** The monotonic clock. */
static inline int64_t SocketTimeout_now_ms(void) { return Socket_get_monotonic_ms(); }

/** The deadline that is `timeout_ms` from now; 0, which is none, for 0 and below. */
static inline int64_t SocketTimeout_deadline_ms(int timeout_ms) {
    return timeout_ms <= 0 ? 0 : SocketTimeout_now_ms() + timeout_ms;
}

/** Milliseconds until the deadline: 0 when it has passed, -1 when there is none. */
static inline int64_t SocketTimeout_remaining_ms(int64_t deadline_ms) {
    int64_t left;
    if (deadline_ms == 0) return -1;
    left = deadline_ms - SocketTimeout_now_ms();
    return left > 0 ? left : 0;
}

/** 1 when the deadline has passed; 0 when there is none. */
static inline int SocketTimeout_expired(int64_t deadline_ms) {
    return deadline_ms != 0 && SocketTimeout_remaining_ms(deadline_ms) == 0;
}

/** How long to wait in poll(2): `current_ms` (below 0: for ever), but not beyond the deadline. */
static inline int SocketTimeout_poll_timeout(int current_ms, int64_t deadline_ms) {
    int64_t left;
    if (deadline_ms == 0) return current_ms;
    left = SocketTimeout_remaining_ms(deadline_ms);
    if (left > INT_MAX) left = INT_MAX;
    return current_ms < 0 || left < current_ms ? (int)left : current_ms;
}

/** Milliseconds since a time of this clock. */
static inline int64_t SocketTimeout_elapsed_ms(int64_t start_ms) { return SocketTimeout_now_ms() - start_ms; }

#endif /* NETCONN_CORE_SOCKETUTIL_TIMEOUT_H */

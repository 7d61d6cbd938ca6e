/**
 * core/SocketUtil/Arithmetic.h - sums and products that tell of an overflow.
 */

#ifndef NETCONN_CORE_SOCKETUTIL_ARITHMETIC_H
#define NETCONN_CORE_SOCKETUTIL_ARITHMETIC_H

#include <stddef.h>
#include <stdint.h>

/** a + b: 1 and `*result`, or 0 when it does not fit. */
static inline int socket_util_safe_add_u64(uint64_t a, uint64_t b, uint64_t *result) {
    if (a > UINT64_MAX - b) return 0;
    *result = a + b;
    return 1;
}

/** a * b: 1 and `*result`, or 0 when it does not fit. */
static inline int socket_util_safe_mul_u64(uint64_t a, uint64_t b, uint64_t *result) {
    if (b != 0 && a > UINT64_MAX / b) return 0;
    *result = a * b;
    return 1;
}

/** a * b: 1 and `*result`, or 0 when it does not fit. */
static inline int socket_util_safe_mul_size(size_t a, size_t b, size_t *result) {
    if (b != 0 && a > SIZE_MAX / b) return 0;
    *result = a * b;
    return 1;
}

#endif /* NETCONN_CORE_SOCKETUTIL_ARITHMETIC_H */

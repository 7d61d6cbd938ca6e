/**
 * socket/SocketBuf.h - a ring buffer in an arena.
 */

#ifndef NETCONN_SOCKET_SOCKETBUF_H
#define NETCONN_SOCKET_SOCKETBUF_H

#include "core/Arena.h"
#include "core/Except.h"
#include "core/SocketConfig.h"
#include "core/SocketHandles.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A call on a ring buffer failed. */
extern const Except_T SocketBuf_Failed;

#ifdef __cplusplus
}
#endif

#endif /* NETCONN_SOCKET_SOCKETBUF_H */

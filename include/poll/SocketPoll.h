/**
 * poll/SocketPoll.h - waits for many sockets, by edges: read until the call would block.
 */

#ifndef NETCONN_POLL_SOCKETPOLL_H
#define NETCONN_POLL_SOCKETPOLL_H

#include "core/Except.h"
#include "core/SocketConfig.h"
#include "core/SocketHandles.h"
#include "core/SocketTimer.h"
#include "socket/Socket.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A call on a poll set failed. */
extern const Except_T SocketPoll_Failed;

#ifdef __cplusplus
}
#endif

#endif /* NETCONN_POLL_SOCKETPOLL_H */

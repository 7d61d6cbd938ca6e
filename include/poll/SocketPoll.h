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

#endif /* NETCONN_POLL_SOCKETPOLL_H */

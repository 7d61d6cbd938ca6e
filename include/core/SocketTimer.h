/**
 * core/SocketTimer.h - timers of a poll set: they run inside SocketPoll_wait.
 */

#ifndef NETCONN_CORE_SOCKETTIMER_H
#define NETCONN_CORE_SOCKETTIMER_H

#include "core/Except.h"
#include "core/SocketConfig.h"
#include "core/SocketHandles.h"

#include <stdint.h>

#endif /* NETCONN_CORE_SOCKETTIMER_H */

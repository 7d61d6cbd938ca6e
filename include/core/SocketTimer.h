/**
 * core/SocketTimer.h - timers of a poll set: they run inside SocketPoll_wait.
 */

#ifndef NETCONN_CORE_SOCKETTIMER_H
#define NETCONN_CORE_SOCKETTIMER_H

#include "core/Except.h"
#include "core/SocketConfig.h"
#include "core/SocketHandles.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A timer could not be made. */
extern const Except_T SocketTimer_Failed;

#ifdef __cplusplus
}
#endif

#endif /* NETCONN_CORE_SOCKETTIMER_H */

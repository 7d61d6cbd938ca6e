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

/**
 * Called inside SocketPoll_wait, by the thread that waits. It may do anything with the poll set, end it too, and it may
 * raise.
 */
typedef void (*SocketTimerCallback)(void *userdata);

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Has `callback` called once, `ms` milliseconds from now, by SocketPoll_wait. `ms`: 0 to SOCKET_MAX_TIMER_DELAY_MS.
 *
 * The handle stays comparable until the poll set is freed, also when the timer has fired.
 *
 * Raises SocketTimer_Failed: another `ms` (EINVAL), a NULL `callback` (EINVAL), 100000 timers already (ENOMEM). A NULL
 * `poll` aborts.
 */
SocketTimer_T SocketTimer_add(SocketPoll_T poll, int64_t ms, SocketTimerCallback callback, void *userdata);

/**
 * Has `callback` called every `ms` milliseconds by SocketPoll_wait. `ms`: 1 to SOCKET_MAX_TIMER_DELAY_MS. Each time is
 * due a period after the last one was due; those that were missed are made up for, one in each wait.
 *
 * Raises as SocketTimer_add.
 */
SocketTimer_T SocketTimer_add_repeating(SocketPoll_T poll, int64_t ms, SocketTimerCallback callback, void *userdata);

/**
 * Ends a timer. 0; -1 if it has fired or was cancelled, for NULL, and for a timer of another poll set. One that repeats
 * may be cancelled by its own callback.
 */
int SocketTimer_cancel(SocketPoll_T poll, SocketTimer_T timer);

/** How many milliseconds are left, rounded up; 0 when it is due. -1 if it has fired or was cancelled. */
int64_t SocketTimer_remaining(SocketPoll_T poll, SocketTimer_T timer);

/**
 * Has a timer due `ms` milliseconds from now (0 to SOCKET_MAX_TIMER_DELAY_MS), and go on from there if it repeats; one
 * that was paused runs again. 0; -1 if it has fired or was cancelled, and for another `ms`.
 */
int SocketTimer_reschedule(SocketPoll_T poll, SocketTimer_T timer, int64_t ms);

/**
 * Stops a timer's time: what is left stays left until SocketTimer_resume. 0; -1 if it is paused already, has fired or
 * was cancelled.
 */
int SocketTimer_pause(SocketPoll_T poll, SocketTimer_T timer);

/** Has a paused timer's time go on. 0; -1 if it is not paused. */
int SocketTimer_resume(SocketPoll_T poll, SocketTimer_T timer);

#ifdef __cplusplus
}
#endif

#endif /* NETCONN_CORE_SOCKETTIMER_H */

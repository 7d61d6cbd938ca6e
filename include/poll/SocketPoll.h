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

/** The timeout that stands for the poll set's default. */
#define SOCKET_POLL_TIMEOUT_USE_DEFAULT -2

/**
 * What a socket is waited for, and what there is. POLL_ERROR and POLL_HANGUP are told whether asked for or not; where
 * the connection is over POLL_READ is told with POLL_HANGUP, so that who reads learns of it.
 */
typedef enum SocketPoll_Events {
    /** Bytes or the end of the stream can be read, a connection can be accepted. */
    POLL_READ = 1,
    /** Bytes can be written, a connection attempt has ended. */
    POLL_WRITE = 2,
    /** An error is pending. */
    POLL_ERROR = 4,
    /** Both directions have ended. */
    POLL_HANGUP = 8
} SocketPoll_Events;

/** One socket with something to tell. */
typedef struct SocketEvent_T {
    /** Which. */
    Socket_T socket;
    /** What was given with it. */
    void *data;
    /** Of SocketPoll_Events. */
    unsigned int events;
} SocketEvent_T;

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Makes a poll set whose waits give at most `maxevents` events: 1 to 10000, anything else aborts. Any number of sockets
 * can be in it. To be ended with SocketPoll_free.
 *
 * Sockets may be added, changed and removed, and timers added, from any thread while one waits. A set may be used in a
 * child of fork, too: it is then another set, with the same sockets.
 *
 * Raises SocketPoll_Failed: no descriptor or no memory.
 */
SocketPoll_T SocketPoll_new(int maxevents);

/**
 * Ends a set and its timers, and stores NULL; its sockets live on. Nothing happens for NULL. A timer's callback may do
 * it, a handler of events, and another thread while one waits: that wait is over then, without events.
 */
void SocketPoll_free(SocketPoll_T *poll);

/**
 * Registers a socket, which becomes non-blocking. `events`: POLL_READ, POLL_WRITE, both or 0; `data` comes back with
 * each event. Events tell of edges: what was told once is told again only after more has come, so read (write) until
 * the call would block.
 *
 * A socket that is freed leaves the set by itself. While a TLS handshake on it is unfinished, the set waits after each
 * event for what the handshake's last step wanted; when it is complete, again for `events`.
 *
 * Raises SocketPoll_Failed: "Socket already in poll set" (EEXIST), as many as SocketPoll_setmaxregistered allows
 * (ENOSPC), freed (EBADF), and what the system fails with. A NULL `socket` aborts.
 */
void SocketPoll_add(SocketPoll_T poll, Socket_T socket, unsigned int events, void *data);

/**
 * New events and new data. The edge is armed again, by equal ones, too: what is ready now is told once more.
 *
 * Raises SocketPoll_Failed: "Socket not in poll set" (ENOENT), and what the system fails with. A NULL `socket` aborts.
 */
void SocketPoll_mod(SocketPoll_T poll, Socket_T socket, unsigned int events, void *data);

/**
 * Asks for more events and for fewer: those that are asked for, and `add`, without `remove`. The data stays; the edge
 * is armed again.
 *
 * Raises as SocketPoll_mod.
 */
void SocketPoll_modify_events(SocketPoll_T poll, Socket_T socket, unsigned int add, unsigned int remove);

/**
 * Takes a socket out. Nothing happens for one that is not in the set, that was freed, and for NULL.
 *
 * Raises SocketPoll_Failed: what the system fails with.
 */
void SocketPoll_del(SocketPoll_T poll, Socket_T socket);

/**
 * Waits for events, and runs the timers that are due.
 *
 * `timeout_ms`: -1 (or less than -2) waits for as long as it takes, SOCKET_POLL_TIMEOUT_USE_DEFAULT for as long as
 * SocketPoll_setdefaulttimeout says. The wait is over when there are events, when a timer has run, or when the time is
 * up; signals do not end it. One thread waits at a time.
 *
 * Returns how many events there are, 0 where there are none, and stores where they are (never NULL): valid until the
 * next wait or SocketPoll_free. A socket over TLS with bytes that can be read without the kernel (decrypted, or a
 * complete record) counts as readable for as long as it has them, if it was asked for POLL_READ.
 *
 * Raises SocketPoll_Failed: another thread waits (EBUSY), and what the system fails with; and what a timer's callback
 * raises: the events are kept for the next wait then, and other timers stay due. A NULL `events` aborts.
 */
int SocketPoll_wait(SocketPoll_T poll, SocketEvent_T **events, int timeout_ms);

/** How long a wait is that asks for the default, in milliseconds; -1: as long as it takes. At first 1000. */
int SocketPoll_getdefaulttimeout(SocketPoll_T poll);

/** Sets how long a wait is that asks for the default. Below -1 counts as 0. */
void SocketPoll_setdefaulttimeout(SocketPoll_T poll, int timeout_ms);

/** The most sockets that may be in the set; 0: any number, as at first. */
int SocketPoll_getmaxregistered(SocketPoll_T poll);

/**
 * Sets the most sockets that may be in the set; 0 or less: any number.
 *
 * Raises SocketPoll_Failed: there are more in it (EINVAL).
 */
void SocketPoll_setmaxregistered(SocketPoll_T poll, int maxregistered);

/** How many sockets are in the set. */
int SocketPoll_getregisteredcount(SocketPoll_T poll);

/** Stores the sockets that are in the set, as far as `max` goes; how many were stored. 0 for NULL. */
int SocketPoll_get_registered_sockets(SocketPoll_T poll, Socket_T *sockets, int max);

/** What the set stands on: "epoll", or "polling" for the poller of other systems. Static. */
const char *SocketPoll_get_backend_name(SocketPoll_T poll);

#ifdef __cplusplus
}
#endif

#endif /* NETCONN_POLL_SOCKETPOLL_H */

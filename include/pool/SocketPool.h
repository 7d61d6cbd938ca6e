/**
 * pool/SocketPool.h - connections of a server or client, each in a slot with its buffers.
 *
 * Every function here may be called from any thread.
 */

#ifndef NETCONN_POOL_SOCKETPOOL_H
#define NETCONN_POOL_SOCKETPOOL_H

#include "core/Arena.h"
#include "core/Except.h"
#include "core/SocketHandles.h"
#include "core/SocketSYNProtect.h"
#include "dns/SocketDNS.h"
#include "pool/SocketPoolHealth.h"
#include "socket/Socket.h"
#include "socket/SocketBuf.h"
#include "socket/SocketReconnect.h"

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A call on a pool failed. */
extern const Except_T SocketPool_Failed;

#ifdef __cplusplus
}
#endif

/** Whether a connection is wanted. */
typedef int (*SocketPool_Predicate)(Connection_T connection, void *data);

/** Whether a connection will do: 0 removes it. */
typedef int (*SocketPool_ValidationCallback)(Connection_T connection, void *data);

/** The pool has another size, or is about to get it. */
typedef void (*SocketPool_ResizeCallback)(SocketPool_T pool, size_t old_size, size_t new_size, void *data);

/** The same, before. */
typedef void (*SocketPool_PreResizeCallback)(SocketPool_T pool, size_t old_size, size_t new_size, void *data);

/** A connection is about to be removed as idle, and its socket freed. */
typedef void (*SocketPool_IdleCallback)(Connection_T connection, void *data);

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Makes a pool of up to `maxconns` connections (1 to 10000), each with two buffers of `bufsize` bytes (512 to 1 MiB).
 *
 * All buffers are the arena's, which must outlive the pool; one slot in five gets its own now.
 *
 * Raises SocketPool_Failed: a NULL arena, a number out of range (EINVAL), an arena that gives no more (ENOMEM).
 */
SocketPool_T SocketPool_new(Arena_T arena, size_t maxconns, size_t bufsize);

/**
 * Ends a pool and stores NULL; nothing happens for NULL. Its sockets stay open, and the program's; the TLS sessions
 * that it kept are gone, and so are its Connection_T.
 *
 * Connections that SocketPool_connect_async has not made yet are told to be cancelled, in this call; a callback of
 * theirs that is running on another thread has returned when this returns: the caller holds no lock that it takes.
 */
void SocketPool_free(SocketPool_T *pool);

/**
 * Takes a socket in, which stays the program's; its connection. NULL when the pool is full, and when it drains or has
 * stopped.
 *
 * The slot that became free last is taken first; its buffers are empty, its data is NULL. A socket that is in already
 * keeps its connection, and finds empty buffers. A TLS client before its handshake is offered a session that an earlier
 * connection to the same address and port left when it was removed, if it may be resumed under the settings of this
 * one.
 *
 * Raises SocketPool_Failed: NULL, a freed socket, an arena that gives no buffers any more.
 */
Connection_T SocketPool_add(SocketPool_T pool, Socket_T socket);

/**
 * The connection of a socket, which is not idle from now on; NULL when the socket is not in the pool, and when the
 * validation callback is not content with it, which removes it.
 *
 * Raises SocketPool_Failed for NULL, and what the callback raises; the connection then stays.
 */
Connection_T SocketPool_get(SocketPool_T pool, Socket_T socket);

/**
 * Takes a socket out, which stays open and the program's; nothing happens when it is not in the pool, and when it was
 * freed.
 *
 * Its buffers are overwritten, and its slot is free. TLS whose handshake is complete ends with a close_notify, if the
 * peer takes it within a second or the socket's operation time-out; the socket's TLS stays, and can be read to its end.
 * A SocketReconnect_T of the connection ends, and a socket that it has made ends with it.
 *
 * Raises SocketPool_Failed for NULL.
 */
void SocketPool_remove(SocketPool_T pool, Socket_T socket);

/**
 * Takes out, as SocketPool_remove does, and frees all sockets that have been idle for `idle_time` seconds or longer (0
 * and below: all). Handles that the program has are out of date then: SocketPool_remove and Socket_free do nothing for
 * them. NULL is no pool, and nothing happens.
 */
void SocketPool_cleanup(SocketPool_T pool, time_t idle_time);

/** How many connections there are. */
size_t SocketPool_count(SocketPool_T pool);

/**
 * Calls `func` with each connection, in the order in which they were added. `func` should not call the pool;
 * connections that are removed meanwhile are passed over, and those that are added are not shown.
 *
 * Raises SocketPool_Failed for NULL, and what `func` raises.
 */
void SocketPool_foreach(SocketPool_T pool, void (*func)(Connection_T connection, void *arg), void *arg);

/**
 * The first connection for which `predicate` does not give 0; NULL when there is none.
 *
 * Raises SocketPool_Failed for NULL, and what `predicate` raises.
 */
Connection_T SocketPool_find(SocketPool_T pool, SocketPool_Predicate predicate, void *userdata);

/**
 * Stores the first `max` connections for which `predicate` does not give 0; how many those are.
 *
 * Raises SocketPool_Failed for NULL, and what `predicate` raises.
 */
size_t SocketPool_filter(SocketPool_T pool, SocketPool_Predicate predicate, void *userdata, Connection_T *out,
                         size_t max);

/**
 * Takes up to `new_maxconns` connections (clamped to 1 to 10000) from now on. Where there are more, those that have
 * been idle longest are removed as by SocketPool_cleanup. The callbacks run only if the number changes.
 *
 * Raises SocketPool_Failed for NULL, and what the callbacks raise: the one before keeps the size as it was.
 */
void SocketPool_resize(SocketPool_T pool, size_t new_maxconns);

/**
 * Sees to it that `percentage` of the slots have their buffers now. Another number than 0 to 100 aborts.
 *
 * Raises SocketPool_Failed: NULL, an arena that gives no more.
 */
void SocketPool_prewarm(SocketPool_T pool, int percentage);

/** The size of the buffers of slots that have none yet, clamped to 512 to 1 MiB. */
void SocketPool_set_bufsize(SocketPool_T pool, size_t new_bufsize);

/** Whom SocketPool_get asks whether a connection will do; NULL: nobody. It may call the pool, and may raise. */
void SocketPool_set_validation_callback(SocketPool_T pool, SocketPool_ValidationCallback cb, void *data);

/** Whom to tell when the size has changed; NULL: nobody. It may call the pool, and may raise. */
void SocketPool_set_resize_callback(SocketPool_T pool, SocketPool_ResizeCallback cb, void *data);

/** Whom to tell before the size changes; NULL: nobody. It may call the pool, and may raise: the size then stays. */
void SocketPool_set_pre_resize_callback(SocketPool_T pool, SocketPool_PreResizeCallback cb, void *data);

/**
 * Whom to tell of each connection that is about to be removed as idle, by SocketPool_cleanup and
 * SocketPool_run_idle_cleanup; NULL: nobody. It may call the pool: one that it uses (SocketPool_get) stays, unless all
 * go. It may raise: nothing is removed then.
 */
void SocketPool_set_idle_callback(SocketPool_T pool, SocketPool_IdleCallback cb, void *data);

/** The socket; NULL after it was removed. */
Socket_T Connection_socket(Connection_T conn);

/** A buffer for bytes that came: the program's to use until the socket is removed. */
SocketBuf_T Connection_inbuf(Connection_T conn);

/** A buffer for bytes that are to go: the program's to use until the socket is removed. */
SocketBuf_T Connection_outbuf(Connection_T conn);

/** What Connection_setdata kept; NULL at first. */
void *Connection_data(Connection_T conn);

/** Keeps a pointer of the program's with the connection, until the socket is removed. */
void Connection_setdata(Connection_T conn, void *data);

/** When it was added or last asked for with SocketPool_get: seconds since 1970. */
time_t Connection_lastactivity(Connection_T conn);

/** When it was added: seconds since 1970. */
time_t Connection_created_at(Connection_T conn);

/** 1 while a socket is in it, 0 after that was removed. */
int Connection_isactive(Connection_T conn);

#ifdef __cplusplus
}
#endif

/**
 * A connection was made, and `error` is 0; or there is none (NULL), and `error` is an error number (positive) or an
 * `EAI_*` code (negative): ENOSPC when the pool is full, ECANCELED when it was freed before.
 *
 * Called once, on a thread of the library's or in SocketPool_free. May call every function of the library. What it
 * raises ends here, with a line in the log.
 */
typedef void (*SocketPool_ConnectCallback)(Connection_T connection, int error, void *data);

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Makes a socket that does not block, for `host` (IPv4, unless it is an IPv6 address), and starts a lookup of its
 * addresses: both are the program's. 0. When the lookup is complete: SocketDNS_getresult, Socket_connect_with_addrinfo,
 * SocketPool_add.
 *
 * Raises SocketPool_Failed: NULL, another port than 1 to 65535 (EINVAL); Socket_Failed: no socket can be made;
 * SocketDNS_Failed: `dns` was freed.
 */
int SocketPool_prepare_connection(SocketPool_T pool, SocketDNS_T dns, const char *host, int port, Socket_T *out_socket,
                                  Request_T *out_req);

/**
 * Resolves `host`, connects and adds the connection, without waiting. The callback hears of it once, whatever the
 * program does meanwhile; the socket, which does not block, is the program's when there is a connection. Names and
 * connecting may take as long as the process's default time-outs say (Socket_timeouts_setdefaults; 30 s where they do
 * not limit connecting).
 *
 * Never NULL: something that stands for the request, and that no SocketDNS_T knows.
 *
 * Raises SocketPool_Failed: NULL, another port than 1 to 65535 (EINVAL); 1000 are on their way (EAGAIN); no thread can
 * be started.
 */
Request_T SocketPool_connect_async(SocketPool_T pool, const char *host, int port, SocketPool_ConnectCallback callback,
                                   void *data);

#ifdef __cplusplus
}
#endif

/** The same, for those who spread load. */
typedef enum SocketPool_Health {
    /** Send connections. */
    POOL_HEALTH_HEALTHY = 0,
    /** Send no more. */
    POOL_HEALTH_DRAINING = 1,
    /** There is nobody. */
    POOL_HEALTH_STOPPED = 2
} SocketPool_Health;

/** What a pool does. */
typedef enum SocketPool_State {
    /** Takes connections. */
    POOL_STATE_RUNNING = 0,
    /** Takes none any more, and waits for those it has. */
    POOL_STATE_DRAINING = 1,
    /** Takes none, and has none. */
    POOL_STATE_STOPPED = 2
} SocketPool_State;

/** Draining has ended: `timed_out` is 1 when connections were ended by force. */
typedef void (*SocketPool_DrainCallback)(SocketPool_T pool, int timed_out, void *data);

#ifdef __cplusplus
extern "C" {
#endif

/** What the pool does. */
SocketPool_State SocketPool_state(SocketPool_T pool);

/** The same, for those who spread load. */
SocketPool_Health SocketPool_health(SocketPool_T pool);

/** 1 while the pool drains, else 0. */
int SocketPool_is_draining(SocketPool_T pool);

/** 1 when the pool has stopped, else 0. */
int SocketPool_is_stopped(SocketPool_T pool);

/**
 * Takes no more connections, and gives those there are `timeout_ms` to be removed (-1: any time, 0: none, as
 * SocketPool_drain_force). A pool that is empty stops at once. Nothing happens unless the pool is running.
 *
 * Raises SocketPool_Failed for NULL, and what the callback raises.
 */
void SocketPool_drain(SocketPool_T pool, int timeout_ms);

/**
 * How many connections are left. 0, and the pool has stopped, when none are and it drained; -1 when their time was up:
 * then this call has ended them. While the pool is running just the number.
 *
 * Raises SocketPool_Failed for NULL, and what the callback raises.
 */
int SocketPool_drain_poll(SocketPool_T pool);

/** How many milliseconds the connections still have; INT64_MAX without a limit, -1 unless the pool drains. */
int64_t SocketPool_drain_remaining_ms(SocketPool_T pool);

/**
 * Ends all connections: takes leave of TLS, shuts the sockets down, removes and frees them. The pool has stopped then.
 * Nothing happens when it had before.
 *
 * Raises SocketPool_Failed for NULL, and what the callback raises.
 */
void SocketPool_drain_force(SocketPool_T pool);

/**
 * Drains and waits until the pool has stopped: 0 when all connections were removed by others, -1 when `timeout_ms` (-1:
 * any time) had passed before, and they were ended. A pool that drains already has the shorter of the two times.
 *
 * Raises SocketPool_Failed for NULL, and what the callback raises.
 */
int SocketPool_drain_wait(SocketPool_T pool, int timeout_ms);

/** Whom to tell, once, that draining has ended; NULL: nobody. It may call the pool, and may raise. */
void SocketPool_set_drain_callback(SocketPool_T pool, SocketPool_DrainCallback cb, void *data);

/**
 * When and how often connections are tried again for which SocketPool_enable_reconnect is called later; NULL: the
 * defaults.
 */
void SocketPool_set_reconnect_policy(SocketPool_T pool, const SocketReconnect_Policy_T *policy);

/**
 * Gives a connection a SocketReconnect_T for this host and port, in place of one that it may have
 * (Connection_reconnect). It does nothing by itself: when the connection breaks, call SocketReconnect_connect, and
 * SocketPool_process_reconnects from then on. When it is connected, its socket is the connection's (Connection_socket,
 * SocketPool_get), and belongs to it: it ends with it. The socket of before stays the program's; the buffers and the
 * data stay as they are.
 *
 * Raises SocketReconnect_Failed: NULL, a host of more than 255 bytes, another port than 1 to 65535; SocketPool_Failed:
 * a connection that is not in the pool.
 */
void SocketPool_enable_reconnect(SocketPool_T pool, Connection_T conn, const char *host, int port);

/**
 * Frees the SocketReconnect_T of a connection, and a socket that it has made; nothing happens where there is none.
 *
 * Raises SocketReconnect_Failed for NULL.
 */
void SocketPool_disable_reconnect(SocketPool_T pool, Connection_T conn);

/**
 * Calls SocketReconnect_process and SocketReconnect_tick for each SocketReconnect_T of the pool that no other thread is
 * at. To be called when one of their descriptors is ready, and when SocketPool_reconnect_timeout_ms have passed.
 *
 * Raises SocketPool_Failed for NULL.
 */
void SocketPool_process_reconnects(SocketPool_T pool);

/** The shortest SocketReconnect_next_timeout_ms of the pool; -1 when there is none. */
int SocketPool_reconnect_timeout_ms(SocketPool_T pool);

/** What makes the connection again; it is the pool's to free. NULL where there is none, and for NULL. */
SocketReconnect_T Connection_reconnect(Connection_T conn);

/** 1 when Connection_reconnect gives one, else 0. */
int Connection_has_reconnect(Connection_T conn);

/**
 * Accepts connections that are waiting at `server`, up to `max` (1 to 1000) and as far as there is room, without
 * waiting, and adds them; how many. They are non-blocking, and the program's to free: `accepted` gets their handles. 0
 * when none are waiting, when the pool is full or does not run, when something is NULL, `max` is out of range or above
 * `capacity`. Raises nothing.
 */
int SocketPool_accept_batch(SocketPool_T pool, Socket_T server, int max, size_t capacity, Socket_T *accepted);

/**
 * Accepts one connection from `server`, as its mode says, which is not added. NULL when none is waiting, when the pool
 * does not run, and when the rate or the number of connections from its address is used up: then it is closed, or left
 * waiting. It counts for its address until it is removed from the pool, or SocketPool_release_ip takes it back.
 *
 * Raises SocketPool_Failed for NULL, and Socket_Failed as Socket_accept does.
 */
Socket_T SocketPool_accept_limited(SocketPool_T pool, Socket_T server);

/**
 * 1 when the pool is running and a connection from `client_ip` (NULL: from anywhere) would be let in now, by the rate
 * and the number for its address; else 0. Nothing is counted.
 */
int SocketPool_accept_allowed(SocketPool_T pool, const char *client_ip);

/**
 * Lets in `conns_per_sec` connections a second, after a burst of `burst` (0 and below: as many as in a second). 0 and
 * below: any number.
 *
 * Raises SocketPool_Failed for numbers above 1000000.
 */
void SocketPool_setconnrate(SocketPool_T pool, int conns_per_sec, int burst);

/** How many connections a second are let in; 0: any number. */
int SocketPool_getconnrate(SocketPool_T pool);

/**
 * Lets in `max_conns` connections of one address at a time. 0 and below: any number.
 *
 * Raises SocketPool_Failed for numbers above 10000.
 */
void SocketPool_setmaxperip(SocketPool_T pool, int max_conns);

/** How many connections of one address are let in at a time; 0: any number. */
int SocketPool_getmaxperip(SocketPool_T pool);

/**
 * Counts a connection from this address: 1; 0, and it is not counted, when there are as many as are let in. 1 for NULL.
 * To be taken back with SocketPool_release_ip.
 */
int SocketPool_track_ip(SocketPool_T pool, const char *ip);

/** Takes back one that SocketPool_track_ip counted. */
void SocketPool_release_ip(SocketPool_T pool, const char *ip);

/** How many connections of this address are counted; 0 for NULL. */
int SocketPool_ip_count(SocketPool_T pool, const char *ip);

#ifdef __cplusplus
}
#endif

/** How a connection is. */
typedef enum SocketPool_ConnHealth {
    /** Nothing speaks against it. */
    POOL_CONN_HEALTHY = 0,
    /** The peer has ended it. */
    POOL_CONN_DISCONNECTED = 1,
    /** It failed, or is not in the pool. */
    POOL_CONN_ERROR = 2,
    /** It has been idle for longer than the idle time-out. */
    POOL_CONN_STALE = 3
} SocketPool_ConnHealth;

/** What happened in a pool since it was made, or since SocketPool_reset_stats, and how it is now. */
typedef struct SocketPool_Stats {
    /** Connections that were added. */
    uint64_t total_added;
    /** Connections that were removed. */
    uint64_t total_removed;
    /** How often SocketPool_get found one. */
    uint64_t total_reused;
    /** How often SocketPool_check_connection looked at one. */
    uint64_t total_health_checks;
    /** How often it found something wrong. */
    uint64_t total_health_failures;
    /** How often the validation callback was not content. */
    uint64_t total_validation_failures;
    /** How often SocketPool_run_idle_cleanup looked for idle ones. */
    uint64_t total_idle_cleanups;
    /** Connections now. */
    size_t current_active;
    /** Those of them that have been idle for longer than the idle time-out. */
    size_t current_idle;
    /** How many there may be. */
    size_t max_connections;
    /** Reused ones as a share of reused and added ones: 0 to 1. */
    double reuse_rate;
    /** Seconds since the connections of now were added, on average. */
    double avg_connection_age_sec;
    /** Connections added and removed in a second. */
    double churn_rate_per_sec;
} SocketPool_Stats;

#ifdef __cplusplus
extern "C" {
#endif

/** Looks at a connection's socket, without waiting and without taking a byte. */
SocketPool_ConnHealth SocketPool_check_connection(SocketPool_T pool, Connection_T conn);

/**
 * What happened so far, and how it is now.
 *
 * Raises SocketPool_Failed for NULL.
 */
void SocketPool_get_stats(SocketPool_T pool, SocketPool_Stats *stats);

/** Counts from 0 again. */
void SocketPool_reset_stats(SocketPool_T pool);

/** How many connections have been idle for longer than the idle time-out. */
size_t SocketPool_get_idle_count(SocketPool_T pool);

/** How many connections there are, as SocketPool_count. */
size_t SocketPool_get_active_count(SocketPool_T pool);

/** How often SocketPool_get found what it was asked for: 0 to 1, and 0 before it was asked. */
double SocketPool_get_hit_rate(SocketPool_T pool);

/** How long a connection may be idle, in seconds: 300 at first; 0 and below: for ever. */
void SocketPool_set_idle_timeout(SocketPool_T pool, time_t sec);

/** How long a connection may be idle, in seconds; 0: for ever. */
time_t SocketPool_get_idle_timeout(SocketPool_T pool);

/**
 * In how many milliseconds SocketPool_run_idle_cleanup should be called, a minute after the last time; -1 when
 * connections may be idle for ever.
 */
int64_t SocketPool_idle_cleanup_due_ms(SocketPool_T pool);

/** As SocketPool_cleanup with the idle time-out; how many connections it removed. */
size_t SocketPool_run_idle_cleanup(SocketPool_T pool);

#ifdef __cplusplus
}
#endif

#endif /* NETCONN_POOL_SOCKETPOOL_H */

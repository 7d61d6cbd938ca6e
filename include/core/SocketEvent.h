/**
 * core/SocketEvent.h - what happens to sockets, told to whoever registered for it.
 */

#ifndef NETCONN_CORE_SOCKETEVENT_H
#define NETCONN_CORE_SOCKETEVENT_H

/** What has happened. */
typedef enum SocketEventType {
    /** A connection was accepted. */
    SOCKET_EVENT_ACCEPTED = 0,
    /** A connection was made. */
    SOCKET_EVENT_CONNECTED = 1,
    /** A lookup took too long. */
    SOCKET_EVENT_DNS_TIMEOUT = 2,
    /** A poll set has events. */
    SOCKET_EVENT_POLL_WAKEUP = 3
} SocketEventType;

/** Something that has happened. Texts are valid during the callback, and empty where nothing is known. */
typedef struct SocketEventRecord {
    SocketEventType type;
    /** "Socket", "SocketDNS" or "SocketPoll". */
    const char *component;
    union {
        /** Of ACCEPTED and CONNECTED. */
        struct {
            int fd;
            const char *peer_addr;
            int peer_port;
            const char *local_addr;
            int local_port;
        } connection;
        /** Of DNS_TIMEOUT. */
        struct {
            const char *host;
            int port;
        } dns;
        /** Of POLL_WAKEUP. */
        struct {
            int nfds;
            int timeout_ms;
        } poll;
    } data;
} SocketEventRecord;

/** Called with each event. */
typedef void (*SocketEventCallback)(void *userdata, const SocketEventRecord *event);

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Registers a handler: from now on it is called with each event, in the thread where it happens. It may raise, register
 * and unregister; what it raises leaves the call that caused the event, which is done all the same.
 *
 * 0; or -1 when `cb` is NULL, is registered with this `userdata` already, or when 8 are registered. Any thread.
 */
int SocketEvent_register(SocketEventCallback cb, void *userdata);

/**
 * Takes a handler away. One that another thread has begun to call may still run after this returned.
 *
 * 0; or -1 when there is none with this `cb` and `userdata`. Any thread.
 */
int SocketEvent_unregister(SocketEventCallback cb, const void *userdata);

/** Tells all handlers of an accepted connection; the library does, too. NULL is an empty text. */
void SocketEvent_emit_accept(int fd, const char *peer_addr, int peer_port, const char *local_addr, int local_port);

/** Tells all handlers of a connection that was made; the library does, too. NULL is an empty text. */
void SocketEvent_emit_connect(int fd, const char *peer_addr, int peer_port, const char *local_addr, int local_port);

/** Tells all handlers of a lookup that took too long; the library does, too. NULL is an empty text. */
void SocketEvent_emit_dns_timeout(const char *host, int port);

/** Tells all handlers that a poll set has `nfds` events; the library does, too. */
void SocketEvent_emit_poll_wakeup(int nfds, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif /* NETCONN_CORE_SOCKETEVENT_H */

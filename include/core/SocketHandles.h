/**
 * core/SocketHandles.h - the handles, each in one place. Include the headers whose they are, not this.
 *
 * A handle is compared and handed on, never looked into.
 */

#ifndef NETCONN_CORE_SOCKETHANDLES_H
#define NETCONN_CORE_SOCKETHANDLES_H

/** A region of memory; see core/Arena.h. */
#ifdef __cplusplus
typedef struct Arena_T_ *Arena_T;
#else
typedef struct Arena_T *Arena_T;
#endif

/** A socket; see socket/Socket.h. */
#ifdef __cplusplus
typedef struct Socket_T_ *Socket_T;
#else
typedef struct Socket_T *Socket_T;
#endif

/** What is under every socket; see socket/SocketCommon.h. */
#ifdef __cplusplus
typedef struct SocketBase_T_ *SocketBase_T;
#else
typedef struct SocketBase_T *SocketBase_T;
#endif

/** A set of sockets that are waited for; see poll/SocketPoll.h. */
#ifdef __cplusplus
typedef struct SocketPoll_T_ *SocketPoll_T;
#else
typedef struct SocketPoll_T *SocketPoll_T;
#endif

/** A timer of a poll set; see core/SocketTimer.h. */
#ifdef __cplusplus
typedef struct SocketTimer_T_ *SocketTimer_T;
#else
typedef struct SocketTimer_T *SocketTimer_T;
#endif

/** Requests that complete later; see socket/SocketAsync.h. */
#ifdef __cplusplus
typedef struct SocketAsync_T_ *SocketAsync_T;
#else
typedef struct SocketAsync_T *SocketAsync_T;
#endif

/** A resolver; see dns/SocketDNS.h. */
#ifdef __cplusplus
typedef struct SocketDNS_T_ *SocketDNS_T;
#else
typedef struct SocketDNS_T *SocketDNS_T;
#endif

/** One of its requests. */
typedef struct SocketDNS_Request_T SocketDNS_Request_T;
typedef SocketDNS_Request_T *Request_T;

/** A ring buffer; see socket/SocketBuf.h. */
#ifdef __cplusplus
typedef struct SocketBuf_T_ *SocketBuf_T;
#else
typedef struct SocketBuf_T *SocketBuf_T;
#endif

/** A pool of connections; see pool/SocketPool.h. */
#ifdef __cplusplus
typedef struct SocketPool_T_ *SocketPool_T;
#else
typedef struct SocketPool_T *SocketPool_T;
#endif

/** A connection in a pool. */
#ifdef __cplusplus
typedef struct Connection_ *Connection_T;
#else
typedef struct Connection *Connection_T;
#endif

/** A client that stays connected; see socket/SocketReconnect.h. */
#ifdef __cplusplus
typedef struct SocketReconnect_T_ *SocketReconnect_T;
#else
typedef struct SocketReconnect_T *SocketReconnect_T;
#endif

/** A guard against floods of connections; see core/SocketSYNProtect.h. */
#ifdef __cplusplus
typedef struct SocketSYNProtect_T_ *SocketSYNProtect_T;
#else
typedef struct SocketSYNProtect_T *SocketSYNProtect_T;
#endif

#endif /* NETCONN_CORE_SOCKETHANDLES_H */

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

#endif /* NETCONN_POOL_SOCKETPOOL_H */

/**
 * core/SocketSYNProtect.h - types that pool/SocketPool.h needs.
 */

#ifndef NETCONN_CORE_SOCKETSYNPROTECT_H
#define NETCONN_CORE_SOCKETSYNPROTECT_H

#include "core/SocketHandles.h"

/** What to do with a connection. */
typedef enum SocketSYN_Action {
    SYN_ACTION_ALLOW = 0,
    SYN_ACTION_THROTTLE,
    SYN_ACTION_CHALLENGE,
    SYN_ACTION_BLOCK
} SocketSYN_Action;

#endif /* NETCONN_CORE_SOCKETSYNPROTECT_H */

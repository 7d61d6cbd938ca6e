/**
 * pool/SocketPoolHealth.h - which hosts of a pool answer: of this, pools of this library keep no record yet. Here for programs
 * that include it.
 */

#ifndef NETCONN_POOL_SOCKETPOOLHEALTH_H
#define NETCONN_POOL_SOCKETPOOLHEALTH_H

#include "core/SocketHandles.h"

#endif /* NETCONN_POOL_SOCKETPOOLHEALTH_H */

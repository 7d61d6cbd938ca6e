/**
 * pool/SocketPoolHealth.h - which hosts of a pool answer, and which are left alone for a while.
 */

#ifndef NETCONN_POOL_SOCKETPOOLHEALTH_H
#define NETCONN_POOL_SOCKETPOOLHEALTH_H

#include "core/SocketHandles.h"

#include <stdint.h>

#endif /* NETCONN_POOL_SOCKETPOOLHEALTH_H */

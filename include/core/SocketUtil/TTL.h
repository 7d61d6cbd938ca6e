/**
 * core/SocketUtil/TTL.h - the limit of hops, SOCKET_MAX_TTL in core/SocketConfig.h.
 */

#ifndef NETCONN_CORE_SOCKETUTIL_TTL_H
#define NETCONN_CORE_SOCKETUTIL_TTL_H

#include "core/SocketConfig.h"

#endif /* NETCONN_CORE_SOCKETUTIL_TTL_H */

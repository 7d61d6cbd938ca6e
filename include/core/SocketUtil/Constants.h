/**
 * core/SocketUtil/Constants.h - the limits and units of core/SocketConfig.h.
 */

#ifndef NETCONN_CORE_SOCKETUTIL_CONSTANTS_H
#define NETCONN_CORE_SOCKETUTIL_CONSTANTS_H

#include "core/SocketConfig.h"

#endif /* NETCONN_CORE_SOCKETUTIL_CONSTANTS_H */

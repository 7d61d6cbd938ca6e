/**
 * core/SocketUtil/Core.h - what all helpers need: exceptions, limits and their headers.
 */

#ifndef NETCONN_CORE_SOCKETUTIL_CORE_H
#define NETCONN_CORE_SOCKETUTIL_CORE_H

#include "core/Except.h"
#include "core/SocketConfig.h"

#endif /* NETCONN_CORE_SOCKETUTIL_CORE_H */

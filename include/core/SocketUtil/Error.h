/**
 * core/SocketUtil/Error.h - core/SocketError.h, by its other name.
 */

#ifndef NETCONN_CORE_SOCKETUTIL_ERROR_H
#define NETCONN_CORE_SOCKETUTIL_ERROR_H

#include "core/SocketError.h"

#endif /* NETCONN_CORE_SOCKETUTIL_ERROR_H */

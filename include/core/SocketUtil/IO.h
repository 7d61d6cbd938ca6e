/**
 * core/SocketUtil/IO.h - SAFE_CLOSE and the headers of reading and writing, in core/SocketConfig.h.
 */

#ifndef NETCONN_CORE_SOCKETUTIL_IO_H
#define NETCONN_CORE_SOCKETUTIL_IO_H

#include "core/SocketConfig.h"

#endif /* NETCONN_CORE_SOCKETUTIL_IO_H */

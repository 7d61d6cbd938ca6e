/**
 * core/SocketUtil/Exception.h - core/Except.h, by its other name.
 */

#ifndef NETCONN_CORE_SOCKETUTIL_EXCEPTION_H
#define NETCONN_CORE_SOCKETUTIL_EXCEPTION_H

#include "core/Except.h"

#endif /* NETCONN_CORE_SOCKETUTIL_EXCEPTION_H */

/**
 * core/SocketUtil.h - all helpers: errors, events, log, and those in core/SocketUtil/.
 */

#ifndef NETCONN_CORE_SOCKETUTIL_H
#define NETCONN_CORE_SOCKETUTIL_H

#include "core/SocketError.h"
#include "core/SocketEvent.h"
#include "core/SocketLog.h"
#include "core/SocketUtil/Arithmetic.h"
#include "core/SocketUtil/ByteOrder.h"
#include "core/SocketUtil/Constants.h"
#include "core/SocketUtil/Core.h"
#include "core/SocketUtil/Error.h"
#include "core/SocketUtil/Exception.h"
#include "core/SocketUtil/Hash.h"
#include "core/SocketUtil/IO.h"
#include "core/SocketUtil/MutexArena.h"
#include "core/SocketUtil/StringUtils.h"
#include "core/SocketUtil/TTL.h"
#include "core/SocketUtil/Time.h"
#include "core/SocketUtil/Timeout.h"
#include "core/SocketUtil/URL.h"

#endif /* NETCONN_CORE_SOCKETUTIL_H */

/**
 * socket/Socket.h - sockets that tell failures by exceptions.
 *
 * One thread uses a socket at a time, but for two that send and receive on a plain one. Freeing a socket twice, and using
 * its handle in Socket_free and SocketPool_remove afterwards, does nothing.
 */

#ifndef NETCONN_SOCKET_SOCKET_H
#define NETCONN_SOCKET_SOCKET_H

#include "core/Except.h"
#include "core/SocketConfig.h"
#include "core/SocketHandles.h"
#include "dns/SocketDNS.h"
#include "socket/SocketCommon.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#endif /* NETCONN_SOCKET_SOCKET_H */

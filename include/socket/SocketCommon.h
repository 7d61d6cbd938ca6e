/**
 * socket/SocketCommon.h - what sockets of every kind share: names and addresses, options of descriptors, I/O vectors.
 *
 * Where a function ends with an exception object, it raises that one.
 */

#ifndef NETCONN_SOCKET_SOCKETCOMMON_H
#define NETCONN_SOCKET_SOCKETCOMMON_H

#include "core/Arena.h"
#include "core/Except.h"
#include "core/SocketConfig.h"
#include "core/SocketHandles.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/un.h>

/* Strict C hides the struct in <netdb.h>; a pointer to it must still name the same type. */
struct addrinfo;

#ifdef __cplusplus
extern "C" {
#endif

/** A helper of `socket/SocketCommon.h` failed. */
extern const Except_T SocketCommon_Failed;

/** A datagram call failed. */
extern const Except_T SocketDgram_Failed;

#ifdef __cplusplus
}
#endif

#endif /* NETCONN_SOCKET_SOCKETCOMMON_H */

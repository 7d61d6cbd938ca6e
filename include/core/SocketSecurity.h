/**
 * core/SocketSecurity.h - the limit of a single allocation.
 */

#ifndef NETCONN_CORE_SOCKETSECURITY_H
#define NETCONN_CORE_SOCKETSECURITY_H

/** The largest block that an arena gives. */
#ifndef SOCKET_SECURITY_MAX_ALLOCATION
#define SOCKET_SECURITY_MAX_ALLOCATION (256UL * 1024 * 1024)
#endif

#endif /* NETCONN_CORE_SOCKETSECURITY_H */

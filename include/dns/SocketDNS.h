/**
 * dns/SocketDNS.h - names to addresses without waiting.
 */

#ifndef NETCONN_DNS_SOCKETDNS_H
#define NETCONN_DNS_SOCKETDNS_H

#include "core/Except.h"
#include "core/SocketHandles.h"

#include <netdb.h>
#include <sys/socket.h>

/* Strict C hides the struct in <netdb.h>; a pointer to it must still name the same type. */
struct addrinfo;

#ifdef __cplusplus
extern "C" {
#endif

/** A lookup could not be made. */
extern const Except_T SocketDNS_Failed;

#ifdef __cplusplus
}
#endif

#endif /* NETCONN_DNS_SOCKETDNS_H */

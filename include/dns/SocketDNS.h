/**
 * dns/SocketDNS.h - names to addresses without waiting, in threads of the library's. Several threads may use a resolver.
 * A request is asked for its result (SocketDNS_pollfd tells when), or has a callback, which runs on a thread of the library's
 * without the program's doing anything.
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

/**
 * Called once with the outcome of a request, on a thread of the library's, one call after the other in the whole
 * process. `error` 0: the list is the program's, to be ended with SocketCommon_free_addrinfo. Else an `EAI_*` code
 * (EAI_AGAIN when the time was up), and the list is NULL. May call every function of the library, SocketDNS_cancel and
 * SocketDNS_free too. What it raises ends here, with a line in the log.
 */
typedef void (*SocketDNS_Callback)(Request_T request, struct addrinfo *result, int error, void *data);

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Makes a resolver. Its time-out is 5000 ms. Resolvers share the process's threads, cache and own resolver
 * (dns_set_resolver). To be ended with SocketDNS_free. In a forked child what the parent asked fails with EAI_CANCELED,
 * and its callbacks are the parent's; new requests work.
 *
 * Raises SocketDNS_Failed: no descriptors left.
 */
SocketDNS_T SocketDNS_new(void);

/**
 * Ends a resolver and its requests, and stores NULL. No callback of theirs is called any more, and one that is running
 * on another thread has returned: the caller holds no lock that the callback takes. Nothing happens for NULL.
 */
void SocketDNS_free(SocketDNS_T *dns);

/**
 * Starts a lookup, of both families, for streams. `host` is a name, an address, or NULL for the addresses to bind to;
 * `port` 0..65535. With a callback that is called with the outcome, from a thread of the library's and never inside
 * this call; without one the program asks with SocketDNS_getresult. Never waits.
 *
 * Raises SocketDNS_Failed: no resolver, an empty host or one of more than 255 bytes, a port out of range (EINVAL), no
 * thread.
 */
Request_T SocketDNS_resolve(SocketDNS_T dns, const char *host, int port, SocketDNS_Callback callback, void *data);

/**
 * Drops a request: its callback is not called afterwards, and one that is running on another thread has returned
 * (inside the callback itself nothing is waited for). The caller holds no lock that the callback takes. Nothing happens
 * for NULL and for a request that is over.
 */
void SocketDNS_cancel(SocketDNS_T dns, Request_T request);

/**
 * The addresses of a request without a callback, once: the list is the program's, to be ended with
 * SocketCommon_free_addrinfo. NULL while the lookup is under way, when it failed (see SocketDNS_geterror), and
 * afterwards.
 */
struct addrinfo *SocketDNS_getresult(SocketDNS_T dns, Request_T request);

/**
 * Why a request has no addresses: an `EAI_*` code, EAI_AGAIN when its time was up, EAI_CANCELED when it was cancelled.
 * 0 while it is under way and when it succeeded.
 */
int SocketDNS_geterror(SocketDNS_T dns, Request_T request);

/**
 * A request that is answered already, with this list, which is the library's from now on. `port`, where it is above 0,
 * becomes that of each address.
 *
 * Raises SocketDNS_Failed: no resolver, NULL, a port out of range (EINVAL); the list is then still the program's.
 */
Request_T SocketDNS_create_completed_request(SocketDNS_T dns, struct addrinfo *list, int port);

/**
 * Looks a name up and waits, `timeout_ms` at most: 0 is the resolver's time-out, less is for ever. Of `hints` (NULL:
 * streams of any family) count the family, the type, the protocol and AI_NUMERICHOST; `host` NULL gives the addresses
 * to bind to. The list is to be ended with SocketCommon_free_addrinfo. An address needs no network.
 *
 * Raises SocketDNS_Failed: no resolver, an unusable host or port (EINVAL), a name without addresses, the time is up
 * (ETIMEDOUT).
 */
struct addrinfo *SocketDNS_resolve_sync(SocketDNS_T dns, const char *host, int port, const struct addrinfo *hints,
                                        int timeout_ms);

/**
 * A descriptor to wait for (readable) together with others; the resolver's own, and valid as long as it is. It stays
 * readable until SocketDNS_check.
 *
 * Raises SocketDNS_Failed: no resolver.
 */
int SocketDNS_pollfd(SocketDNS_T dns);

/**
 * How many requests have completed since the last call: those without a callback, and those whose callback has
 * returned. Never waits, and calls nothing.
 *
 * Raises SocketDNS_Failed: no resolver.
 */
int SocketDNS_check(SocketDNS_T dns);

/**
 * The time-out, in milliseconds, of requests that are made from now on; 0 or less: none.
 *
 * Raises SocketDNS_Failed: no resolver.
 */
void SocketDNS_settimeout(SocketDNS_T dns, int timeout_ms);

/**
 * The time-out of one request, in milliseconds from its start; 0 or less: none. Nothing happens for one that is over.
 *
 * Raises SocketDNS_Failed: no resolver.
 */
void SocketDNS_request_settimeout(SocketDNS_T dns, Request_T request, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif /* NETCONN_DNS_SOCKETDNS_H */

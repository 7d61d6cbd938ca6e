/**
 * dns_cares.h - names to addresses without blocking.
 *
 * Call on the thread of the loop that the answer is for; dns_shutdown, dns_set_cache_ttl and dns_strerror on any
 * thread.
 */
#ifndef NETCONN_DNS_CARES_H
#define NETCONN_DNS_CARES_H

#include <netdb.h>
#include "evloop.h"

struct addrinfo;

/**
 * A lookup under way. It is dead once its callback has returned, after `dns_cancel` and `dns_shutdown`, and with its
 * loop.
 */
struct dns_request;

/**
 * Called once with the answer, from the loop. `status` 0: `ai` is a list of at least one address, in the order to try
 * them, valid until the callback returns. Else `status` is an `EAI_*` code (`dns_strerror` has its text; `errno` says
 * more for `EAI_SYSTEM`) and `ai` is NULL. May call every function of this library.
 */
typedef void (*dns_result_cb)(int status, const struct addrinfo *ai, void *arg);

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Makes the resolver ready. Optional: the first lookup does so too. `loop` NULL: the default loop. Returns 0, or -1
 * with `errno`: EMFILE, ENFILE, ENOMEM (the default loop cannot be made), EPERM in a forked child.
 */
int dns_init(struct ev_loop *loop);

/**
 * Ends the resolver, from any thread: pending lookups are dropped without calling back (their requests are dead), and a
 * connection that was resolving fails from its loop with `CONN_ERR_RESOLVE` and ECANCELED. The cache is emptied.
 * Never waits for a name server. A later lookup starts the resolver afresh.
 */
void dns_shutdown(void);

/**
 * Looks a name up.
 *
 * `hostname` is a name, an address (IPv6 also in brackets or with `%scope`), or NULL for loopback; names that are not
 * ASCII are looked up in their IDNA form (UTS-46). `service` is a port number, the name of a service, or NULL for port
 * 0. `family`, `socktype` and `protocol` are as for `getaddrinfo`; 0 is any. `cb` is called from the loop, never inside
 * this call. Without it nothing is done. `loop` NULL: the default loop. The strings are copied. From any callback.
 */
void dns_resolve_async(struct ev_loop *loop, const char *hostname, const char *service, int family, int socktype,
                       int protocol, dns_result_cb cb, void *arg);

/**
 * As `dns_resolve_async`, and returns the lookup, so that it can be cancelled. NULL with `errno`: EINVAL for a `cb` of
 * NULL, EPERM for a loop of the parent in a forked process.
 */
struct dns_request *dns_resolve_start(struct ev_loop *loop, const char *hostname, const char *service, int family,
                                      int socktype, int protocol, dns_result_cb cb, void *arg);

/**
 * Forgets a lookup at once: its callback will not run, and `request` is dead. A no-op for NULL and inside the lookup's
 * own callback. From any callback.
 */
void dns_cancel(struct dns_request *request);

/** The text of a `status` that a callback was given. Valid for ever. */
const char *dns_strerror(int status);

/**
 * Answers are kept for so many seconds (60 by default; infinity: for ever; 0 or less: not at all), names that do not
 * exist for a tenth of it. NaN changes nothing. For the whole process, and for answers that are kept already. From any
 * thread.
 */
void dns_set_cache_ttl(double seconds);

/**
 * Looks names up by a blocking function of the program's own, in the resolver's threads, in place of `getaddrinfo`;
 * `fn` NULL restores that.
 *
 * `fn` is called as `getaddrinfo` is, by up to four threads at a time (`NETCONN_DNS_THREADS`), with all signals
 * blocked; `arg` is what was given here. `host` is never NULL, and never an address; a name that is not ASCII comes in
 * its IDNA form. `service` is a decimal port (`hints->ai_flags` then has AI_NUMERICSERV), the name of a service, or
 * NULL; a port of 0 in the answer stands for the one that was asked for. It returns 0 and the addresses in `*out`, in
 * the order to try them, or an `EAI_*` status, which is passed on as it is (with `errno` for EAI_SYSTEM); `*out` counts
 * with 0 alone. 0 without an address of the family in `hints` is EAI_NODATA; entries that are no Internet addresses are
 * passed over, and at most 256 of the rest are used. `release`, unless it is NULL, is called once with each list, on
 * the thread that got it, as soon as the list was copied.
 *
 * What the cache holds is forgotten. Lookups that a thread is at go on for those who have asked, so the previous
 * functions and their `arg` have to stay usable until those have returned; all others ask the new function. It stays
 * through `dns_shutdown` and in a forked child; `netconn_cleanup` takes it away. For the whole process, from any
 * thread.
 */
void dns_set_resolver(int (*fn)(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out, void *arg),
                      void (*release)(struct addrinfo *list), void *arg);

#ifdef __cplusplus
}
#endif

#endif  /* NETCONN_DNS_CARES_H */

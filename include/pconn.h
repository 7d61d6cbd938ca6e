/**
 * pconn.h - a pool: connections that are kept to be used again.
 *
 * A pool belongs to its loop's thread: every function here is called there, and may be called from every callback.
 */
#ifndef NETCONN_PCONN_H
#define NETCONN_PCONN_H

#include <stdbool.h>
#include <stddef.h>
#include "net_conn.h"

/** A pool of idle connections. The loop owns it until `pconn_pool_free`. */
struct pconn_pool;

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Makes an empty pool on a loop; NULL for the default loop. A loop may have several.
 *
 * Returns the pool, to be ended by pconn_pool_free, or with its loop; NULL with errno ENOMEM, EMFILE (there was no
 * default loop yet), EPERM (a forked child uses its parent's loop).
 */
struct pconn_pool *pconn_pool_new(struct ev_loop *lp);

/**
 * Closes the idle connections and frees the pool, from any callback. Connections that are lent live on, with their
 * callbacks, and are closed with conn_close. NULL is a no-op.
 */
void pconn_pool_free(struct pconn_pool *pool);

/**
 * Lends a connection: the most recently released idle one to the same place, else a new one, as conn_new makes it with
 * the default options.
 *
 * The same place is: the same scheme and host (names without case, `unix:` paths as they are), the same port (NULL is
 * "443" with TLS, else "80"), with or without TLS; over TLS also the default TLS context, with the settings that it has
 * now, and the name that was verified. What scheme says is the program's business: it tells apart what must not be
 * mixed.
 *
 * Exactly one of `on_ready` and `on_error` is then called, from the loop, unless conn_close or pconn_release comes
 * first; either may be NULL. This holds for an idle connection too: it is CONN_READY as before, but until then reads
 * and writes give EAGAIN, so that bytes which came while it was idle are never taken for an answer. Where the kernel
 * tells of its end meanwhile, `on_error` is called alone (CONN_ERR_IO, ECONNRESET; or what TLS had to say), and another
 * pconn_acquire is the answer. Between `on_ready` and the first answer a server may still close a connection that it
 * had kept idle: a request that may be repeated should be, on a new one.
 *
 * An idle connection comes as if it were new: without callbacks, without the pointer of conn_set_data, keeping
 * evloop_run running, whatever its last user did. Its host and port are spelled as its first user spelled them;
 * conn_get_timing is that of its establishing, and so are what TLS negotiated and conn_session_reused.
 *
 * What the default options say counts for a new connection; early data goes with a new one alone.
 *
 * Ended by pconn_release or conn_close. Returns NULL with errno EINVAL (pool, scheme or host is NULL or empty; the log
 * has the reason), else as conn_new.
 */
struct net_conn *pconn_acquire(struct pconn_pool *pool, const char *scheme, const char *host, const char *port,
                               bool use_tls, conn_event_cb on_ready, conn_event_cb on_error, void *arg);

/**
 * Gives a connection back; c is the caller's no more. It is kept where keep_alive_ok is true, the limits allow it, it
 * is CONN_READY, its write side is open, and nothing is unsent or unread, in the kernel either; else it is closed as by
 * conn_close. TLS records without data (tickets, key updates) are not unread. Legal in any callback, the connection's
 * own too.
 *
 * No callback of the connection runs afterwards. While it is idle it does not keep evloop_run running, and it is closed
 * at once when its peer closes it or sends something. One that was lent and has not been reported yet goes back as it
 * came.
 *
 * A connection that did not come from this pool is adopted, to be lent for the scheme "https" (over TLS) or "http" and
 * its host and port. NULL for either is a no-op. A connection of another loop stays the caller's, and one that was
 * given back before is left alone: the log has an error. (The pool knows an address again that it has closed while that
 * is among the last 16.)
 */
void pconn_release(struct pconn_pool *pool, struct net_conn *c, bool keep_alive_ok);

/** Closes the idle connections to a host, whatever their scheme and port. NULL for either is a no-op. */
void pconn_flush_for_host(struct pconn_pool *pool, const char *host);

/** Closes all idle connections; the pool can be used on. NULL is a no-op. */
void pconn_shutdown_all(struct pconn_pool *pool);

/** How many connections are idle; 0 for NULL. */
size_t pconn_get_idle_count(struct pconn_pool *pool);

/**
 * How many connections are idle or lent; 0 for NULL. A lent one counts until pconn_release or conn_close, also where it
 * failed.
 */
size_t pconn_get_total_count(struct pconn_pool *pool);

/**
 * How many idle connections are kept: to one place (see pconn_acquire; 5 until this is called), in all (256), and for
 * how many seconds each (300; infinity is no limit). Where any of them is 0 (or the time is below), none are. What is
 * too much is closed at once, the longest idle first. NULL is a no-op, and so is a time that is NaN (the log has an
 * error).
 */
void pconn_pool_set_limits(struct pconn_pool *pool, size_t max_idle_per_host, size_t max_idle, double max_idle_seconds);

#ifdef __cplusplus
}
#endif

#endif  /* NETCONN_PCONN_H */

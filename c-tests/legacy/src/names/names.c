/* Names that programs have had for themselves for decades. The library has functions that do the like; none of these must
   ever be called by it, nor meet one of its own. The program is linked with -rdynamic, so that each of these comes first
   wherever a shared library asks for the name. */

#include <stdio.h>
#include <stdlib.h>
#include "net_conn.h"
#include "netconn.h"
#include "netconn_tls.h"

static int
not_yours (const char *name)
{
  fprintf (stderr, "the library called %s\n", name);
  abort ();
  return 0;
}

#define MINE(name) int name (); int name () { return not_yours (#name); }
MINE (connect_to_host)
MINE (connect_to_ip)
MINE (fd_read)
MINE (fd_peek)
MINE (fd_write)
MINE (fd_close)
MINE (fd_errstr)
MINE (select_fd)
MINE (ssl_init)
MINE (ssl_connect)
MINE (ssl_read)
MINE (ssl_write)
MINE (ssl_close)
MINE (ssl_cleanup)
MINE (ssl_check_certificate)
MINE (ssl_new)
MINE (ssl_free)
MINE (ssl_error)
MINE (ev_run)
MINE (ev_break)
MINE (ev_loop_new)
MINE (ev_loop_destroy)
MINE (ev_io_start)
MINE (ev_io_stop)
MINE (ev_timer_start)
MINE (ev_timer_stop)
MINE (ev_now)
MINE (ev_time)
MINE (ev_sleep)
MINE (ev_default_loop)
MINE (ev_feed_event)
MINE (event_init)
MINE (event_dispatch)
MINE (event_add)
MINE (event_del)
MINE (loop_init)
MINE (loop_run)
MINE (loop_free)
MINE (poll_init)
MINE (epoll_init)
MINE (timer_init)
MINE (timer_start)
MINE (timer_stop)
MINE (timer_add)
MINE (timer_del)
MINE (timer_new)
MINE (timer_free)
MINE (xmalloc)
MINE (xcalloc)
MINE (xrealloc)
MINE (xstrdup)
MINE (xstrndup)
MINE (xfree)
MINE (xzalloc)
MINE (pconn_new)
MINE (pconn_get)
MINE (pconn_put)
MINE (pconn_close)
MINE (persistent_available_p)
MINE (register_persistent)
MINE (resolve)
MINE (lookup_host)
MINE (lookup)
MINE (host_lookup)
MINE (dns_lookup)
MINE (dns_query)
MINE (resolver_init)
MINE (ares_init)
MINE (ares_destroy)
MINE (ares_gethostbyname)
MINE (conn_open)
MINE (conn_read)
MINE (conn_write)
MINE (conn_free)
MINE (conn_init)
MINE (conn_lookup)
MINE (conn_accept)
MINE (connection_new)
MINE (connection_free)
MINE (socket_new)
MINE (socket_connect)
MINE (socket_read)
MINE (socket_write)
MINE (socket_close)
MINE (sock_read)
MINE (sock_write)
MINE (sock_close)
MINE (sock_init)
MINE (set_nonblocking)
MINE (set_nonblock)
MINE (setnonblock)
MINE (set_cloexec)
MINE (tcp_connect)
MINE (tcp_nodelay)
MINE (do_connect)
MINE (do_read)
MINE (do_write)
MINE (die)
MINE (fatal)
MINE (warn_user)
MINE (debug_printf)
MINE (log_init)
MINE (log_write)
MINE (log_msg)
MINE (log_error)
MINE (buf_init)
MINE (buf_new)
MINE (buf_free)
MINE (buf_append)
MINE (buffer_new)
MINE (buffer_free)
MINE (list_add)
MINE (list_del)
MINE (hash_init)
MINE (hash_get)
MINE (hash_put)
MINE (hash_table_new)
MINE (queue_init)
MINE (queue_push)
MINE (queue_pop)
MINE (heap_init)
MINE (heap_push)
MINE (heap_pop)
MINE (pool_new)
MINE (pool_free)
MINE (pool_get)
MINE (now)
MINE (get_time)
MINE (current_time_ms)
MINE (init)
MINE (cleanup)
MINE (shutdown_all)
MINE (handle_signal)
MINE (signal_init)
MINE (race)
MINE (machine)
MINE (driver)
MINE (transport)
MINE (certs_load)
MINE (verify_cert)
MINE (verify_host)
MINE (verify_callback)
MINE (tls_init)
MINE (tls_read)
MINE (tls_write)
MINE (tls_config_new)
MINE (tls_free)

/* And things.  */
int pconn = 1, timer = 2, opt = 3, ares = 4, loop = 5, pool = 6, conn = 7, dns = 8, tls = 9, ctx = 10, ssl = 11;
int backend = 12, evloop = 13, resolver = 14, cache = 15, errors = 16, debug = 17, verbose = 18, progname = 19;
int default_loop = 20, default_context = 21, threads = 22, clock_offset = 23, poller = 24, transport_map = 25;

static int got;

static void
readable (struct net_conn *c, void *arg)
{
  char buf[1024];
  ssize_t n = conn_try_read (c, buf, sizeof buf);
  (void) arg;
  if (n > 0)
    {
      fwrite (buf, 1, n, stdout);
      got += n;
    }
  if (n == 0)
    conn_close (c);
}

static void
ready (struct net_conn *c, void *arg)
{
  (void) arg;
  conn_try_write (c, "GET / HTTP/1.0\r\n\r\n", 18);
  conn_set_readable_callback (c, readable, NULL);
}

static void
failed (struct net_conn *c, void *arg)
{
  (void) arg;
  fprintf (stderr, "%s\n", conn_get_error_msg (c));
  conn_close (c);
}

int
main (int argc, char **argv)
{
  int sum;
  if (argc < 3)
    return 2;
  if (!conn_new (NULL, argv[1], argv[2], argc > 3, ready, failed, NULL))
    return 2;
  evloop_run (evloop_get_default ());
  netconn_cleanup ();
  sum = pconn + timer + opt + ares + loop + pool + conn + dns + tls + ctx + ssl + backend + evloop + resolver + cache
    + errors + debug + verbose + progname + default_loop + default_context + threads + clock_offset + poller + transport_map;
  if (sum != 325)
    {
      fprintf (stderr, "somebody wrote to a variable of ours\n");
      return 3;
    }
  return got ? 0 : 1;
}

/* SSL, as it was called.  */

#include "wget.h"
#include "connect.h"
#include "netconn_tls.h"

SocketTLSContext_T ssl_ctx;

/* Again is fine, as it is called before each connection.  */
int
ssl_init (void)
{
  if (ssl_ctx)
    return 1;
  ssl_ctx = netconn_tls_client (opt.ca_certificate);
  if (!ssl_ctx)
    {
      logprintf ("Could not initialise SSL: %s\n", netconn_tls_error ());
      return 0;
    }
  return 1;
}

/* 0, or -1 with errno, and FD is closed.  */
int
ssl_connect (int fd, const char *hostname)
{
  return fd_secure (fd, hostname, ssl_ctx);
}

void
ssl_cleanup (void)
{
  netconn_tls_free (&ssl_ctx);
}

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

int
ssl_connect_to_host (const char *host, int port)
{
  int sock;
  const char *outer = ssl_hostname;     /* a fetch within a fetch */
  if (!ssl_init ())
    {
      errno = EPROTO;
      return -1;
    }
  ssl_hostname = host;
  sock = connect_to_host (host, port);
  ssl_hostname = outer;
  return sock;
}

void
ssl_cleanup (void)
{
  netconn_tls_free (&ssl_ctx);
}

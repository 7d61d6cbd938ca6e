/* HTTP/1.1, as much of it as one needs.  */

#include "wget.h"
#include "connect.h"
#include <ctype.h>
#include <strings.h>
#include <unistd.h>

struct url
{
  boolean ssl;
  char *host;
  int port;
  char *path;
};

struct http_stat
{
  int statcode;
  wgint contlen;                /* -1 when it was not told */
  wgint len;                    /* bytes of the body so far */
  boolean chunked, keep_alive;
  char *newloc;
  char *error;
};

/* The connection that is kept, if any.  */
struct
{
  boolean active;
  int socket;
  char *host;
  int port;
  boolean ssl;
} pconn;

int fetch_depth, deepest_fetch;

/* ---- URLs ----------------------------------------------------------- */

static void
url_free (struct url *u)
{
  if (!u)
    return;
  xfree (u->host);
  xfree (u->path);
  xfree (u);
}

static struct url *
url_parse (const char *text)
{
  struct url *u;
  const char *p, *slash, *colon;
  boolean ssl;

  if (strncasecmp (text, "http://", 7) == 0)
    ssl = 0, p = text + 7;
  else if (strncasecmp (text, "https://", 8) == 0)
    ssl = 1, p = text + 8;
  else
    return NULL;
  slash = strchr (p, '/');
  if (!slash)
    slash = p + strlen (p);
  colon = memchr (p, ':', slash - p);
  u = xnew0 (struct url);
  u->ssl = ssl;
  u->port = colon ? atoi (colon + 1) : ssl ? 443 : 80;
  u->host = aprintf ("%.*s", (int) ((colon ? colon : slash) - p), p);
  u->path = xstrdup (*slash ? slash : "/");
  return u;
}

/* ---- The connection that is kept ------------------------------------ */

static void
invalidate_persistent (void)
{
  if (!pconn.active)
    return;
  pconn.active = 0;
  fd_close (pconn.socket);
  xfree (pconn.host);
  pconn.host = NULL;
}

static void
register_persistent (struct url *u, int sock)
{
  if (pconn.active)
    invalidate_persistent ();
  pconn.active = 1;
  pconn.socket = sock;
  pconn.host = xstrdup (u->host);
  pconn.port = u->port;
  pconn.ssl = u->ssl;
}

/* Takes it out, so that a fetch within a fetch does not take it too.  */
static int
take_persistent (struct url *u)
{
  if (!pconn.active || strcasecmp (pconn.host, u->host) != 0 || pconn.port != u->port || pconn.ssl != u->ssl)
    return -1;
  if (!test_socket_open (pconn.socket))
    {
      invalidate_persistent ();
      return -1;
    }
  pconn.active = 0;
  xfree (pconn.host);
  pconn.host = NULL;
  logprintf ("Reusing existing connection to %s:%d.\n", u->host, u->port);
  return pconn.socket;
}

void
http_cleanup (void)
{
  invalidate_persistent ();
}

/* ---- A request ------------------------------------------------------ */

static const char *
response_head_terminator (const char *start, int tail, int len)
{
  const char *p, *end = start + tail + len;
  for (p = start + (tail > 3 ? tail - 3 : 0); p < end; p++)
    if (*p == '\n')
      {
        if (p + 1 < end && p[1] == '\n')
          return p + 2;
        if (p + 2 < end && p[1] == '\r' && p[2] == '\n')
          return p + 3;
      }
  return NULL;
}

static char *
header_strdup (const char *head, const char *name)
{
  const char *p = head;
  int len = strlen (name);
  while ((p = strchr (p, '\n')) != NULL)
    {
      ++p;
      if (strncasecmp (p, name, len) == 0 && p[len] == ':')
        {
          for (p += len + 1; *p == ' ' || *p == '\t'; p++)
            ;
          return aprintf ("%.*s", (int) strcspn (p, "\r\n"), p);
        }
    }
  return NULL;
}

/* Reads TOREAD bytes (-1: until the end) into OUT: 0, -1 for a read
   error, -2 for a write error, -3 for an end that came too early.  */
static int
fd_read_body (int fd, FILE *out, wgint toread, struct http_stat *hs, void *progress)
{
  char dlbuf[8192];
  while (toread != 0)
    {
      int n = fd_read (fd, dlbuf, toread > 0 ? MIN (toread, (wgint) sizeof dlbuf) : (wgint) sizeof dlbuf, -1);
      if (n < 0)
        return -1;
      if (n == 0)
        return toread > 0 ? -3 : 0;
      if (out && fwrite (dlbuf, 1, n, out) != (size_t) n)
        return -2;
      hs->len += n;
      progress_update (progress, n);
      if (toread > 0)
        toread -= n;
    }
  return 0;
}

static int
fd_read_chunks (int fd, FILE *out, struct http_stat *hs, void *progress)
{
  while (1)
    {
      char *line = fd_read_line (fd), *end;
      long size;
      int res;
      if (!line)
        return errno ? -1 : -3;
      size = strtol (line, &end, 16);
      res = end == line || size < 0;
      xfree (line);
      if (res)
        {
          errno = EPROTO;
          return -1;
        }
      if (size > 0 && (res = fd_read_body (fd, out, size, hs, progress)) != 0)
        return res;
      do
        {
          line = fd_read_line (fd);
          if (!line)
            return errno ? -1 : -3;
          res = line[0] == '\r' || line[0] == '\n';
          xfree (line);
        }
      while (size == 0 && !res);        /* trailers */
      if (size == 0)
        return 0;
    }
}

static int
send_file (int sock, const char *name)
{
  char buf[4096];
  size_t n;
  FILE *fp = fopen (name, "rb");
  if (!fp)
    return -1;
  while ((n = fread (buf, 1, sizeof buf, fp)) > 0)
    if (fd_write (sock, buf, n, -1) < 0)
      {
        int save = errno;
        fclose (fp);
        errno = save;
        return -1;
      }
  fclose (fp);
  return 0;
}

static wgint
file_size (const char *name)
{
  FILE *fp = fopen (name, "rb");
  wgint size;
  if (!fp)
    return -1;
  fseek (fp, 0, SEEK_END);
  size = ftell (fp);
  fclose (fp);
  return size;
}

static uerr_t
http_failed (int sock, struct http_stat *hs, uerr_t err, const char *what)
{
  hs->error = aprintf ("%s (%s)", what, errno ? fd_errstr (sock) : "no data received");
  fd_close (sock);
  return err;
}

static uerr_t
gethttp (struct url *u, const char *file, struct http_stat *hs)
{
  int sock, res;
  char *request, *head, *hdr, *extra;
  boolean reused = 0, has_body;
  FILE *fp = NULL;
  void *progress;

  sock = opt.post_file && file ? -1 : take_persistent (u);
  if (sock >= 0)
    reused = 1;
  else if (u->ssl && !ssl_init ())
    return CONSSLERR;
  else
    sock = connect_to_host (u->host, u->port);
  if (sock == E_HOST)
    return HOSTERR;
  if (sock >= 0 && u->ssl && !reused && ssl_connect (sock, u->host) < 0)
    {
      hs->error = xstrdup (strerror (errno));
      return CONSSLERR;
    }
  if (sock < 0)
    {
      hs->error = xstrdup (strerror (errno));
      return CONERROR;
    }

  extra = opt.post_file && file ? aprintf ("Content-Length: %lld\r\n", file_size (opt.post_file)) : xstrdup ("");
  request = aprintf ("%s %s HTTP/1.1\r\nHost: %s:%d\r\nUser-Agent: geturl/1.10\r\n%sConnection: Keep-Alive\r\n\r\n",
                     *extra ? "POST" : "GET", u->path, u->host, u->port, extra);
  res = fd_write (sock, request, strlen (request), -1);
  if (res >= 0 && *extra)
    res = send_file (sock, opt.post_file);
  xfree (extra);
  xfree (request);
  if (res < 0)
    return http_failed (sock, hs, WRITEFAILED, "Failed writing HTTP request");

  head = fd_read_hunk (sock, response_head_terminator, 512, 65536);
  if (!head)
    return http_failed (sock, hs, reused ? HERR : READERR, "Read error in headers");
  if (sscanf (head, "HTTP/%*d.%*d %d", &hs->statcode) != 1)
    {
      xfree (head);
      errno = EPROTO;
      return http_failed (sock, hs, HERR, "Malformed status line");
    }
  hs->contlen = -1;
  hs->keep_alive = strncmp (head, "HTTP/1.1", 8) == 0;
  if ((hdr = header_strdup (head, "Content-Length")) != NULL)
    {
      hs->contlen = strtoll (hdr, NULL, 10);
      xfree (hdr);
    }
  if ((hdr = header_strdup (head, "Transfer-Encoding")) != NULL)
    {
      hs->chunked = strcasecmp (hdr, "chunked") == 0;
      xfree (hdr);
    }
  if ((hdr = header_strdup (head, "Connection")) != NULL)
    {
      hs->keep_alive = strcasecmp (hdr, "close") != 0;
      xfree (hdr);
    }
  hs->newloc = header_strdup (head, "Location");
  xfree (head);
  logprintf ("HTTP request sent, awaiting response... %d\n", hs->statcode);

  has_body = hs->statcode != 204 && hs->statcode != 304;
  if (file && hs->statcode / 100 == 2)
    {
      fp = strcmp (file, "-") == 0 ? stdout : fopen (file, "wb");
      if (!fp)
        return http_failed (sock, hs, FWRITEERR, file);
    }
  progress = progress_create (0, hs->contlen);
  res = !has_body ? 0 : hs->chunked ? fd_read_chunks (sock, fp, hs, progress)
    : fd_read_body (sock, fp, hs->contlen, hs, progress);
  {
    int save = errno;
    progress_finish (progress);
    if (fp && fp != stdout ? fclose (fp) != 0 : fp && fflush (fp) != 0)
      res = -2;
    errno = save;
  }
  if (res == -3)
    errno = 0;
  if (res == -2)
    return http_failed (sock, hs, FWRITEERR, "Cannot write");
  if (res < 0)
    return http_failed (sock, hs, READERR, res == -3 ? "Connection closed in the middle" : "Read error");

  if (hs->keep_alive && (hs->chunked || hs->contlen >= 0 || !has_body))
    register_persistent (u, sock);
  else
    fd_close (sock);
  if (hs->statcode / 100 == 3 && hs->newloc)
    return NEWLOCATION;
  return hs->statcode / 100 == 2 ? RETROK : HERR;
}

/* ---- Until it is done ----------------------------------------------- */

static void
free_hstat (struct http_stat *hs)
{
  xfree (hs->newloc);
  xfree (hs->error);
  memset (hs, 0, sizeof *hs);
}

uerr_t
retrieve_url (const char *origurl, const char *file, int *statcode)
{
  struct http_stat hs;
  char *url = xstrdup (origurl);
  int redirections = 0, tries = 0;
  uerr_t err = URLERROR;

  memset (&hs, 0, sizeof hs);
  if (++fetch_depth > deepest_fetch)
    deepest_fetch = fetch_depth;
  while (1)
    {
      struct url *u = url_parse (url);
      if (!u)
        {
          logprintf ("%s: Unsupported scheme.\n", url);
          err = URLERROR;
          break;
        }
      free_hstat (&hs);
      logprintf ("--  %s\n", url);
      err = gethttp (u, file, &hs);
      url_free (u);
      *statcode = hs.statcode;
      if (hs.error)
        logprintf ("%s.\n", hs.error);
      if (err == NEWLOCATION)
        {
          if (++redirections > opt.max_redirect)
            {
              logprintf ("%d redirections exceeded.\n", opt.max_redirect);
              err = TOOMANYREDIR;
              break;
            }
          logprintf ("Location: %s [following]\n", hs.newloc);
          xfree (url);
          url = xstrdup (hs.newloc);
          continue;
        }
      if ((err == READERR || err == WRITEFAILED || (err == HERR && !hs.statcode)) && ++tries < opt.ntry)
        {
          logprintf ("Retrying.\n");
          continue;
        }
      break;
    }
  free_hstat (&hs);
  xfree (url);
  --fetch_depth;
  return err;
}

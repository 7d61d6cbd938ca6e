/* Establishing and handling network connections.  Everything above
   this file believes in descriptors that block.  */

#include "wget.h"
#include "connect.h"
#include "net_conn.h"
#include "netconn_tls.h"
#include <sys/time.h>
#include <sys/select.h>
#include <unistd.h>

struct ev_loop *loop;

/* What we know of a descriptor.  The map is keyed by fd.  */
struct transport_info
{
  struct net_conn *c;
  int fd;                       /* -1 while nobody has it */
  int ready, failed;
  int error;                    /* errno of the failure */
  char *errstr;
  char peekbuf[512];            /* read, but only looked at so far */
  int peekpos, peeklen;
  int wait_done;                /* something to do for who waits */
};

static struct transport_info **transport_map;
static int transport_map_size;

/* ---- Waiting -------------------------------------------------------- */

struct wtimer
{
  int *flag;
  int fired;
};

/* How often somebody broke the loop.  */
static int breaks;

static void
wake_up (void)
{
  ++breaks;
  evloop_break (loop);
}

static void
timer_callback (void *arg)
{
  struct wtimer *wt = (struct wtimer *) arg;
  wt->fired = 1;
  wake_up ();
}

/* Runs the loop until *FLAG is set: 0, or -1 with errno.  A break ends
   all runs that are on the stack, so each one has to look whether it
   was meant.  */
int
run_until (int *flag, double timeout)
{
  struct wtimer wt;
  struct evloop_timer *timer = NULL;
  int idle = 0;

  wt.fired = 0;
  if (timeout > 0)
    timer = evloop_timer_start (loop, timeout, 0, timer_callback, &wt);
  while (!*flag && !wt.fired && idle < 3)
    {
      int before = breaks;
      evloop_run (loop);
      idle = breaks == before && !*flag ? idle + 1 : 0;
    }
  evloop_timer_free (timer);
  if (*flag)
    return 0;
  errno = wt.fired ? ETIMEDOUT : EDEADLK;
  return -1;
}

/* ---- The map -------------------------------------------------------- */

void
fd_register_transport (int fd, void *ctx)
{
  if (fd >= transport_map_size)
    {
      int n = MAX (fd + 1, 2 * transport_map_size);
      transport_map = xrealloc (transport_map, n * sizeof *transport_map);
      memset (transport_map + transport_map_size, 0, (n - transport_map_size) * sizeof *transport_map);
      transport_map_size = n;
    }
  if (transport_map[fd])
    {
      fprintf (stderr, "geturl: descriptor %d is in the map already\n", fd);
      abort ();
    }
  transport_map[fd] = (struct transport_info *) ctx;
}

void *
fd_transport_context (int fd)
{
  return fd >= 0 && fd < transport_map_size ? transport_map[fd] : NULL;
}

void
connect_cleanup (void)
{
  int fd;
  for (fd = 0; fd < transport_map_size; fd++)
    if (transport_map[fd])
      fd_close (fd);
  xfree (transport_map);
  transport_map = NULL;
  transport_map_size = 0;
}

static void
free_info (struct transport_info *info)
{
  conn_close (info->c);
  xfree (info->errstr);
  xfree (info);
}

/* ---- Connecting ----------------------------------------------------- */

static void
connected (struct net_conn *c, void *arg)
{
  struct transport_info *info = (struct transport_info *) arg;
  if (c->state != CONN_READY || c != info->c)
    abort ();
  info->ready = 1;
  info->wait_done = 1;
  wake_up ();
}

/* Before the connection is there, and ever after.  */
static void
failed (struct net_conn *c, void *arg)
{
  struct transport_info *info = (struct transport_info *) arg;
  info->failed = 1;
  info->error = conn_get_errno (c);
  info->errstr = xstrdup (conn_get_error_msg (c));
  info->wait_done = 1;
  if (!info->ready)
    {
      /* The descriptor is closed already, and may be somebody else's
         the next moment.  */
      if (c->fd != -1)
        abort ();
      if (info->fd >= 0)
        transport_map[info->fd] = NULL;
      info->fd = -1;
      conn_close (c);
      info->c = NULL;
    }
  else if (c->fd != info->fd && info->fd >= 0)
    abort ();                   /* the map would lie */
  wake_up ();
}

/* Connects to an address: a descriptor, or -1 with errno.  PRINT is
   the name for the messages.  */
int
connect_to_ip (const ip_address *ip, int port, const char *print)
{
  struct transport_info *info = xnew0 (struct transport_info);
  struct conn_options o;
  char service[16];
  int fd, save;

  if (print && strcmp (print, ip->text) != 0)
    logprintf ("Connecting to %s|%s|:%d... ", print, ip->text, port);
  else
    logprintf ("Connecting to %s:%d... ", ip->text, port);
  sprintf (service, "%d", port);
  conn_options_init (&o);
  o.connect_timeout = 0;        /* we have our own */
  info->fd = -1;
  info->c = conn_new_with (loop, ip->text, service, &o, connected, failed, info);
  if (!info->c)
    {
      save = errno;
      free_info (info);
      errno = save;
      return -1;
    }
  if (run_until (&info->wait_done, opt.connect_timeout) != 0)
    info->error = errno;
  else if (info->ready && info->failed)
    info->ready = 0;
  if (!info->ready)
    {
      save = info->error;
      logprintf ("failed: %s.\n", info->errstr ? info->errstr : strerror (save));
      free_info (info);
      errno = save;
      return -1;
    }
  fd = info->fd = conn_get_fd (info->c);
  fd_register_transport (fd, info);
  logprintf ("connected.\n");
  return fd;
}

/* Puts TLS on a connection: 0, or -1 with errno, and FD is closed.  */
int
fd_secure (int fd, const char *hostname, void *ctx)
{
  struct transport_info *info = fd_transport_context (fd);
  struct conn_options o;
  int save;

  conn_options_init (&o);
  o.tls = (SocketTLSContext_T) ctx;
  o.tls_timeout = 0;
  o.server_name = hostname;
  info->ready = info->failed = info->wait_done = 0;
  if (conn_start_tls (info->c, &o, connected, failed, info) != 0)
    info->error = errno;
  else if (run_until (&info->wait_done, opt.connect_timeout) != 0)
    info->error = errno;
  else if (info->ready && !info->failed)
    {
      logprintf ("Secured by %s, %s.\n", conn_get_tls_version (info->c), conn_get_cipher (info->c));
      return 0;
    }
  save = info->error;
  logprintf ("Unable to establish SSL connection: %s.\n", info->errstr ? info->errstr : strerror (save));
  if (info->fd >= 0)
    transport_map[info->fd] = NULL;
  free_info (info);
  errno = save;
  return -1;
}

/* Tries each address of the host in turn.  */
int
connect_to_host (const char *host, int port)
{
  struct address_list *al = lookup_host (host);
  int i, sock = -1, save;

  if (!al)
    return E_HOST;
  for (i = 0; i < al->count && sock < 0; i++)
    sock = connect_to_ip (al->addresses + i, port, host);
  save = errno;
  address_list_delete (al);
  errno = save;
  return sock;
}

/* ---- Reading and writing -------------------------------------------- */

static void
io_callback (struct net_conn *c, void *arg)
{
  struct transport_info *info = (struct transport_info *) arg;
  conn_set_readable_callback (c, NULL, NULL);
  conn_set_writable_callback (c, NULL, NULL);
  info->wait_done = 1;
  wake_up ();
}

/* Waits until FD can be read or written: 1, 0 when it takes too long,
   -1 with errno.  */
int
select_fd (int fd, double maxtime, int wait_for)
{
  struct transport_info *info = fd_transport_context (fd);
  info->wait_done = 0;
  if (wait_for & WAIT_FOR_READ)
    conn_set_readable_callback (info->c, io_callback, info);
  if (wait_for & WAIT_FOR_WRITE)
    conn_set_writable_callback (info->c, io_callback, info);
  if (run_until (&info->wait_done, maxtime) == 0)
    return 1;
  conn_set_readable_callback (info->c, NULL, NULL);
  conn_set_writable_callback (info->c, NULL, NULL);
  return errno == ETIMEDOUT ? 0 : -1;
}

/* Whether the peer has left an idle connection alone.  Straight from
   the kernel, as it always was.  */
boolean
test_socket_open (int sock)
{
  fd_set check_set;
  struct timeval to;
  struct transport_info *info = fd_transport_context (sock);

  if (!info || info->failed || info->peekpos < info->peeklen)
    return 0;
  FD_ZERO (&check_set);
  FD_SET (sock, &check_set);
  to.tv_sec = 0;
  to.tv_usec = 1;
  if (select (sock + 1, &check_set, NULL, NULL, &to) == 0)
    return 1;
  return 0;
}

/* As fd_read below, when nothing is in the peek buffer.  */
static int
netconn_read (int fd, char *buf, int bufsize, double timeout)
{
  struct transport_info *info = fd_transport_context (fd);
  if (timeout < 0)
    timeout = opt.read_timeout;
  while (1)
    {
      int ready;
      ssize_t n = conn_try_read (info->c, buf, bufsize);
      if (n >= 0 || errno != EAGAIN)
        return n;
      ready = select_fd (fd, timeout, WAIT_FOR_READ);
      if (ready == 0)
        errno = ETIMEDOUT;
      if (ready <= 0)
        return -1;
    }
}

/* As read(2), but waits, at most TIMEOUT seconds.  */
int
fd_read (int fd, char *buf, int bufsize, double timeout)
{
  struct transport_info *info = fd_transport_context (fd);
  if (info->peekpos < info->peeklen)
    {
      int n = MIN (bufsize, info->peeklen - info->peekpos);
      memcpy (buf, info->peekbuf + info->peekpos, n);
      info->peekpos += n;
      return n;
    }
  return netconn_read (fd, buf, bufsize, timeout);
}

/* As fd_read, and the bytes stay.  */
int
fd_peek (int fd, char *buf, int bufsize, double timeout)
{
  struct transport_info *info = fd_transport_context (fd);
  if (info->peekpos == info->peeklen)
    {
      int n = netconn_read (fd, info->peekbuf, sizeof info->peekbuf, timeout);
      if (n <= 0)
        return n;
      info->peekpos = 0;
      info->peeklen = n;
    }
  bufsize = MIN (bufsize, info->peeklen - info->peekpos);
  memcpy (buf, info->peekbuf + info->peekpos, bufsize);
  return bufsize;
}

/* Writes everything.  */
int
fd_write (int fd, char *buf, int bufsize, double timeout)
{
  struct transport_info *info = fd_transport_context (fd);
  int rest = bufsize;
  if (timeout < 0)
    timeout = opt.read_timeout;
  while (rest > 0)
    {
      ssize_t n = conn_try_write (info->c, buf, rest);
      if (n < 0)
        {
          int ready;
          if (errno != EAGAIN)
            return -1;
          ready = select_fd (fd, timeout, WAIT_FOR_WRITE);
          if (ready == 0)
            errno = ETIMEDOUT;
          if (ready <= 0)
            return -1;
          continue;
        }
      buf += n;
      rest -= n;
    }
  return bufsize;
}

/* What is wrong with FD, at more length than errno.  */
const char *
fd_errstr (int fd)
{
  static char text[256];
  struct transport_info *info = fd_transport_context (fd);
  int save = errno;
  const char *msg = info && info->c ? conn_get_error_msg (info->c) : NULL;
  snprintf (text, sizeof text, "%s", msg ? msg : strerror (save));
  errno = save;
  return text;
}

void
fd_close (int fd)
{
  struct transport_info *info = fd_transport_context (fd);
  int save = errno;
  if (!info)
    return;
  transport_map[fd] = NULL;
  free_info (info);
  errno = save;
}

/* ---- Hunks ---------------------------------------------------------- */

/* Reads a piece of text up to where TERMINATOR says, by peeking and
   then reading what belongs to it.  NULL with errno, or with errno 0
   when the peer closed before the first byte.  */
char *
fd_read_hunk (int fd, hunk_terminator_t terminator, long sizehint, long maxsize)
{
  long bufsize = sizehint;
  char *hunk = xmalloc (bufsize);
  int tail = 0;

  while (1)
    {
      const char *end;
      int pklen, rdlen, remain;

      pklen = fd_peek (fd, hunk + tail, bufsize - 1 - tail, -1);
      if (pklen < 0)
        {
          xfree (hunk);
          return NULL;
        }
      end = terminator (hunk, tail, pklen);
      remain = end ? end - (hunk + tail) : pklen;
      rdlen = 0;
      if (pklen > 0)
        rdlen = fd_read (fd, hunk + tail, remain, 0);
      if (rdlen < 0)
        {
          xfree (hunk);
          return NULL;
        }
      tail += rdlen;
      hunk[tail] = '\0';
      if (rdlen == 0)
        {
          if (tail == 0)
            {
              xfree (hunk);
              errno = 0;
              return NULL;
            }
          return hunk;
        }
      if (end && rdlen == remain)
        return hunk;
      if (tail == bufsize - 1)
        {
          if (bufsize >= maxsize)
            {
              xfree (hunk);
              errno = ENOMEM;
              return NULL;
            }
          bufsize <<= 1;
          hunk = xrealloc (hunk, bufsize);
        }
    }
}

static const char *
line_terminator (const char *start, int tail, int len)
{
  const char *p = memchr (start + tail, '\n', len);
  return p ? p + 1 : NULL;
}

char *
fd_read_line (int fd)
{
  return fd_read_hunk (fd, line_terminator, 128, 4096);
}

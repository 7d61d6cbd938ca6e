/* Host names, by the asynchronous resolver, used synchronously.  */

#include "wget.h"
#include "connect.h"
#include "dns_cares.h"
#include <arpa/inet.h>

/* The channel of the resolver that we had before.  */
void *ares;

struct lookup
{
  int done;
  int status;
  boolean abandoned;            /* the answer comes too late for anyone */
  struct address_list *al;
  struct lookup *next;
};

static struct lookup *lookups;

static void
free_lookup (struct lookup *l)
{
  struct lookup **p = &lookups;
  while (*p != l)
    p = &(*p)->next;
  *p = l->next;
  address_list_delete (l->al);
  xfree (l);
}

static void
host_callback (int status, const struct addrinfo *ai, void *arg)
{
  struct lookup *l = (struct lookup *) arg;
  if (l->abandoned)
    {
      free_lookup (l);
      return;
    }
  l->status = status;
  l->al = xnew0 (struct address_list);
  for (; ai; ai = ai->ai_next)
    {
      ip_address *ip;
      l->al->addresses = xrealloc (l->al->addresses, (l->al->count + 1) * sizeof (ip_address));
      ip = l->al->addresses + l->al->count;
      ip->family = ai->ai_family;
      if (ai->ai_family == AF_INET)
        inet_ntop (AF_INET, &((struct sockaddr_in *) ai->ai_addr)->sin_addr, ip->text, sizeof ip->text);
      else if (ai->ai_family == AF_INET6)
        inet_ntop (AF_INET6, &((struct sockaddr_in6 *) ai->ai_addr)->sin6_addr, ip->text, sizeof ip->text);
      else
        continue;
      l->al->count++;
    }
  l->done = 1;
  evloop_break (loop);
}

/* NULL when the name is unknown or the answer late.  */
struct address_list *
lookup_host (const char *host)
{
  struct lookup *l = xnew0 (struct lookup);
  struct address_list *al;
  int save;

  l->next = lookups;
  lookups = l;
  logprintf ("Resolving %s... ", host);
  dns_resolve_async (loop, host, NULL, AF_UNSPEC, SOCK_STREAM, 0, host_callback, l);
  if (l->done)
    {
      fprintf (stderr, "geturl: the callback ran inside the call\n");
      abort ();
    }
  if (run_until (&l->done, opt.dns_timeout) != 0)
    {
      /* There is no way to take the question back.  */
      save = errno;
      l->abandoned = 1;
      logprintf ("failed: %s.\n", strerror (save));
      errno = save;
      return NULL;
    }
  if (l->status != 0)
    {
      logprintf ("failed: %s.\n", gai_strerror (l->status));
      free_lookup (l);
      return NULL;
    }
  al = l->al;
  l->al = NULL;
  free_lookup (l);
  logprintf ("%s%s\n", al->addresses[0].text, al->count > 1 ? ", ..." : "");
  return al;
}

void
address_list_delete (struct address_list *al)
{
  if (!al)
    return;
  xfree (al->addresses);
  xfree (al);
}

void
host_cleanup (void)
{
  dns_shutdown ();
  while (lookups)
    free_lookup (lookups);
}

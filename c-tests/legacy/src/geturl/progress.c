/* The bar.  A timer draws it, so it moves on while we wait.  */

#include "wget.h"
#include "connect.h"
#include <time.h>

struct progress
{
  wgint total, got;
  struct evloop_timer *tick;
  int depth;                    /* of the fetch that it shows */
  boolean busy;
  int column;
};

static char *bar_text = "==================================================";

double
ev_now (void)
{
  struct timespec t;
  clock_gettime (CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void
draw (struct progress *p)
{
  if (!opt.show_progress || opt.quiet)
    return;
  if (p->total > 0)
    {
      int filled = (int) (50 * p->got / p->total);
      fprintf (stderr, "\r%3d%% [%.*s>%*s] %lld", (int) (100 * p->got / p->total),
               filled, bar_text, 50 - filled, "", p->got);
    }
  else
    {
      p->column = (p->column + 1) % 48;
      fprintf (stderr, "\r     [%*s<=>%*s] %lld", p->column, "", 48 - p->column, "", p->got);
    }
  fflush (stderr);
}

/* There may be a hook to be fetched meanwhile.  It is fetched here, in
   the callback, while the run that called us waits for its own bytes.  */
static void
tick (void *arg)
{
  struct progress *p = (struct progress *) arg;
  int status;

  if (p->busy)
    return;
  p->busy = 1;
  draw (p);
  if (p->depth == fetch_depth && p->depth <= opt.nhooks && opt.hooks[p->depth - 1] && p->got > 0)
    {
      char *url = opt.hooks[p->depth - 1];
      opt.hooks[p->depth - 1] = NULL;
      if (retrieve_url (url, NULL, &status) != RETROK)
        logprintf ("\nThe hook %s failed.\n", url);
    }
  p->busy = 0;
}

void *
progress_create (wgint got, wgint total)
{
  struct progress *p = xnew0 (struct progress);
  p->got = got;
  p->total = total;
  p->depth = fetch_depth;
  p->tick = evloop_timer_start (loop, opt.progress_interval, opt.progress_interval, tick, p);
  return p;
}

void
progress_update (void *progress, wgint howmuch)
{
  ((struct progress *) progress)->got += howmuch;
}

void
progress_finish (void *progress)
{
  struct progress *p = (struct progress *) progress;
  evloop_timer_free (p->tick);
  draw (p);
  logprintf ("\n");
  xfree (p);
}

/* Memory that never ends, and a log.  */

#include "wget.h"
#include <stdarg.h>

static void
memfatal (const char *what, size_t n)
{
  fprintf (stderr, "geturl: %s: out of memory (%lu)\n", what, (unsigned long) n);
  exit (1);
}

void *
xmalloc (size_t n)
{
  void *p = malloc (n);
  if (!p)
    memfatal ("malloc", n);
  return p;
}

void *
xcalloc (size_t n, size_t size)
{
  void *p = calloc (n, size);
  if (!p)
    memfatal ("calloc", n * size);
  return p;
}

void *
xrealloc (void *p, size_t n)
{
  p = realloc (p, n);
  if (!p)
    memfatal ("realloc", n);
  return p;
}

char *
xstrdup (const char *s)
{
  return strcpy ((char *) xmalloc (strlen (s) + 1), s);
}

void
xfree (void *p)
{
  free (p);
}

char *
aprintf (const char *fmt, ...)
{
  int size = 32;
  char *str = xmalloc (size);
  while (1)
    {
      int n;
      va_list args;
      va_start (args, fmt);
      n = vsnprintf (str, size, fmt, args);
      va_end (args);
      if (n > -1 && n < size)
        return str;
      size = n > -1 ? n + 1 : size * 2;
      str = xrealloc (str, size);
    }
}

void
logprintf (const char *fmt, ...)
{
  va_list args;
  if (opt.quiet)
    return;
  va_start (args, fmt);
  vfprintf (stderr, fmt, args);
  va_end (args);
}

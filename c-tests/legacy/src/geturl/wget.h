/* Things that every file of geturl needs.  geturl is what is left of a
   downloader of 2005 when one takes out FTP, recursion and the robots.
   It is written against netconn's headers, and against nothing else.  */

#ifndef WGET_H
#define WGET_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <errno.h>

typedef int boolean;
typedef long long wgint;

#define xnew(type) ((type *) xmalloc (sizeof (type)))
#define xnew0(type) ((type *) xcalloc (1, sizeof (type)))
#define countof(array) (sizeof (array) / sizeof ((array)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

typedef enum
{
  NOCONERROR, HOSTERR, CONERROR, CONSSLERR, NEWLOCATION, HERR, HOK,
  READERR, WRITEFAILED, FWRITEERR, URLERROR, TOOMANYREDIR, RETROK
} uerr_t;

/* utils.c.  These names are ours since 1996.  */
void *xmalloc (size_t);
void *xcalloc (size_t, size_t);
void *xrealloc (void *, size_t);
char *xstrdup (const char *);
void xfree (void *);
char *aprintf (const char *, ...);
void logprintf (const char *, ...);

struct options
{
  boolean quiet;
  boolean show_progress;
  double progress_interval;
  double dns_timeout, connect_timeout, read_timeout;
  char *output_document;
  char *post_file;
  char *ca_certificate;
  char *hooks[4];               /* fetched from within the progress */
  int nhooks;
  int max_redirect;
  int ntry;
};

/* The names of globals here are short, as names were.  */
extern struct options opt;

/* progress.c */
void *progress_create (wgint, wgint);
void progress_update (void *, wgint);
void progress_finish (void *);

/* http.c */
uerr_t retrieve_url (const char *, const char *, int *);
void http_cleanup (void);
extern int fetch_depth, deepest_fetch;

#endif /* WGET_H */

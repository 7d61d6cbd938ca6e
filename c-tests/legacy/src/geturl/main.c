/* geturl [-q] [-P] [-t TRIES] [-T SECONDS] [-C CA] [-H HOOK]... [-d FILE]
          URL FILE [URL FILE]...

   Exit status: 0, 1 usage, 4 network, 5 SSL, 8 the server said no.  */

#include "wget.h"
#include "connect.h"
#include "dns_cares.h"
#include "netconn.h"
#include <unistd.h>

struct options opt;

/* The time of the whole.  */
double timer;
double ev_now (void);

static void
cleanup (void)
{
  http_cleanup ();
  connect_cleanup ();
  host_cleanup ();
  ssl_cleanup ();
  netconn_cleanup ();
}

int
main (int argc, char **argv)
{
  int c, status = 0, nurls = 0;

  opt.progress_interval = 0.2;
  opt.dns_timeout = opt.connect_timeout = 10;
  opt.read_timeout = 900;
  opt.max_redirect = 20;
  opt.ntry = 1;
  while ((c = getopt (argc, argv, "qPt:T:C:H:d:i:")) != -1)
    switch (c)
      {
      case 'q': opt.quiet = 1; break;
      case 'P': opt.show_progress = 1; break;
      case 't': opt.ntry = atoi (optarg); break;
      case 'T': opt.connect_timeout = opt.read_timeout = atof (optarg); break;
      case 'C': opt.ca_certificate = optarg; break;
      case 'H': if (opt.nhooks < (int) countof (opt.hooks)) opt.hooks[opt.nhooks++] = optarg; break;
      case 'd': opt.post_file = optarg; break;
      case 'i': opt.progress_interval = atof (optarg); break;
      default: return 1;
      }
  if (optind >= argc || (argc - optind) % 2)
    {
      fprintf (stderr, "usage: %s [OPTION]... URL FILE [URL FILE]...\n", argv[0]);
      return 1;
    }
  timer = ev_now ();
  loop = evloop_get_default ();
  if (!loop || dns_init (loop) != 0)
    {
      perror ("geturl: evloop_get_default");
      return 1;
    }
  for (; optind < argc; optind += 2)
    {
      int statcode = 0;
      switch (retrieve_url (argv[optind], argv[optind + 1], &statcode))
        {
        case RETROK: nurls++; break;
        case CONSSLERR: status = 5; break;
        case HERR: status = statcode ? 8 : 4; break;
        default: status = 4; break;
        }
    }
  logprintf ("FINISHED: %d files in %.1f s, %d deep\n", nurls, ev_now () - timer, deepest_fetch);
  cleanup ();
  return status;
}

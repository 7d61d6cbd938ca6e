/* Declarations for connect.c and host.c.  */

#ifndef CONNECT_H
#define CONNECT_H

#include <sys/socket.h>
#include <netinet/in.h>
#include "evloop.h"

/* host.c */
typedef struct
{
  int family;
  char text[64];                /* what inet_ntop prints */
} ip_address;

struct address_list
{
  int count;
  ip_address *addresses;
};

struct address_list *lookup_host (const char *);
void address_list_delete (struct address_list *);
void host_cleanup (void);

/* connect.c */
enum { E_HOST = -100 };

extern struct ev_loop *loop;

int connect_to_host (const char *, int);
int connect_to_ip (const ip_address *, int, const char *);

#define WAIT_FOR_READ 1
#define WAIT_FOR_WRITE 2
int select_fd (int, double, int);
boolean test_socket_open (int);

int fd_read (int, char *, int, double);
int fd_peek (int, char *, int, double);
int fd_write (int, char *, int, double);
const char *fd_errstr (int);
void fd_close (int);
int fd_secure (int, const char *, void *);
void fd_register_transport (int, void *);
void *fd_transport_context (int);
void connect_cleanup (void);

typedef const char *(*hunk_terminator_t) (const char *, int, int);
char *fd_read_hunk (int, hunk_terminator_t, long, long);
char *fd_read_line (int);

int run_until (int *, double);

/* ssl.c */
int ssl_init (void);
int ssl_connect (int, const char *);
void ssl_cleanup (void);

#endif /* CONNECT_H */

/*
 * world.h - a small world of the test's own: network and mount namespaces, in which names, routes and name servers are
 * what the test says. To be entered at the start of a test, before it has threads.
 */
#ifndef NETCONN_TESTS_WORLD_H
#define NETCONN_TESTS_WORLD_H

/* New network and mount namespaces; loopback is up. Skips where the system does not allow it. */
void enter_world(void);
/* As enter_world(), but loopback stays down: every address is unreachable. */
void enter_world_without_routes(void);
/* What /etc/hosts says in this world, e.g. "127.0.0.1 one.test\n". Names are then looked up nowhere else. */
void set_hosts(const char *text);
/* Names that the hosts file does not know are asked of this IPv4 address (of a name server on port 53 of it). */
void set_name_server(const char *address);
/* A UDP socket on port 53 of the address that takes every query and answers none; returns the fd. */
int dead_name_server(const char *address);

#endif

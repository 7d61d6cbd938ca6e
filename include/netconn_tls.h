/**
 * netconn_tls.h - TLS contexts: whom to trust, what to show, which protocols.
 *
 * Every function here may be called from any thread. A context is made, configured, and then shared by any number of
 * connections and threads; a change applies to connections made after it.
 *
 * Each function returns 0, or -1 with errno; a constructor NULL with errno. netconn_tls_error() then says what was wrong.
 */
#ifndef NETCONN_TLS_H
#define NETCONN_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "netconn_types.h"

#endif  /* NETCONN_TLS_H */

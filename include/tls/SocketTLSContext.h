/**
 * tls/SocketTLSContext.h - TLS contexts: one role, and what it trusts, shows and speaks.
 *
 * A context may be shared by threads, and changed while it is. It may be freed before the sockets that use it.
 */

#ifndef NETCONN_TLS_SOCKETTLSCONTEXT_H
#define NETCONN_TLS_SOCKETTLSCONTEXT_H

#include "tls/SocketTLS.h"

#if SOCKET_HAS_TLS

#include "core/Arena.h"
#include "core/Except.h"
#include "tls/SocketTLSConfig.h"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#endif

#endif /* NETCONN_TLS_SOCKETTLSCONTEXT_H */

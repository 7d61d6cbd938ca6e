/**
 * core/SocketFeatures.h - what this build of the library has. Other headers include it.
 *
 * This one is for a build with TLS, by the system's OpenSSL. `make` writes the one of any other build to BUILD/include,
 * where it comes first, and `make install` installs that of the build.
 */

#ifndef NETCONN_CORE_SOCKETFEATURES_H
#define NETCONN_CORE_SOCKETFEATURES_H

/* Tested with #if: a program may say -DSOCKET_HAS_TLS, -DSOCKET_HAS_TLS=1 or -DSOCKET_HAS_TLS=0 before. */
#ifndef SOCKET_HAS_TLS
#define SOCKET_HAS_TLS 1
#endif

#endif /* NETCONN_CORE_SOCKETFEATURES_H */

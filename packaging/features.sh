#!/bin/sh
# Writes core/SocketFeatures.h of a build, to standard output.
#
#     packaging/features.sh system|vendored|none
set -eu
cd "$(dirname "$0")/.."

case $1 in
system)
    cat include/core/SocketFeatures.h
    exit
    ;;
vendored) hidden='/* Its OpenSSL is hidden inside: SSL and SSL_CTX of a program are of another one. */
#define NETCONN_OPENSSL_HIDDEN 1
' ;;
none) hidden= ;;
*) exit 2 ;;
esac
cat <<C
/**
 * core/SocketFeatures.h - what this build of the library has. Other headers include it.
 *
 * TLS: $1. The Socket family has none, and SOCKET_HAS_TLS stays undefined.
 */

#ifndef NETCONN_CORE_SOCKETFEATURES_H
#define NETCONN_CORE_SOCKETFEATURES_H
${hidden:+
$hidden}
#endif /* NETCONN_CORE_SOCKETFEATURES_H */
C

#!/bin/sh
# All benchmarks, each beside a program written straight on epoll and OpenSSL in the same run.
#
# usage: benches/run.sh BUILD CERTS

here=$(dirname "$0")
"$here/roundtrip.sh" "$@"
echo
"$here/idle.sh" "$@"
echo
"$here/embedded.sh" "$@"
echo
"$here/pool.sh" "$@"
echo
"$here/socket_tls.sh" "$@"

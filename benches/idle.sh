#!/bin/sh
# Heap bytes (malloc's count) of an idle connection at the client: netconn beside the straight program, which gives
# OpenSSL's record buffers back after the handshake.
#
# usage: benches/idle.sh BUILD CERTS
# environment: CONNECTIONS (1000)

. "$(dirname "$0")/echo.sh"
connections=${CONNECTIONS:-1000}
ulimit -n "$(ulimit -H -n)"

printf '%-6s %-9s %s\n' stream program "heap bytes of an idle connection"
for kind in plain tls; do
    start_server "$kind"
    for program in straight netconn; do
        release=
        [ "$program" = straight ] && release=--release
        bytes=$("$programs/$program" $arguments --connections "$connections" --idle $release |
            sed -n 's/.*"heap_per_connection":\([0-9-]*\).*/\1/p')
        printf '%-6s %-9s %8d\n' "$kind" "$program" "$bytes"
    done
done

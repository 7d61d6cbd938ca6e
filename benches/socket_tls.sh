#!/bin/sh
# TLS on blocking sockets: what SocketTLS_* costs beside straight calls of OpenSSL on equal sockets: 16 KiB writes and
# reads, full and resumed handshakes (of a session that is kept as bytes, and over TCP of one that SocketReconnect keeps in
# memory), and a TRY without a raise beside a setjmp and two stores. CPU time of one thread, in
# turns, the median; with INSTRUCTIONS=1 also the instructions of that thread in user space (valgrind), which a busy machine
# does not disturb.
#
# usage: benches/socket_tls.sh BUILD CERTS
# environment: ROUNDS (11), INSTRUCTIONS (no)

. "$(dirname "$0")/common.sh"

$cc -O2 -g -std=gnu11 -Wall -Wextra -Werror -I"$build/include" -I"$here/../include" -o "$programs/socket_tls" \
    "$here/peers/socket_tls.c" "$build/libnetconn.a" $libs -lpthread -ldl -lm

files="$certs/ca.pem $certs/server.pem $certs/server.key"
"$programs/socket_tls" $files "${ROUNDS:-11}"
[ -n "${INSTRUCTIONS:-}" ] || exit 0

# $1: what, $2: who, $3: how many. The main thread's instructions.
instructions() {
    rm -f "$programs"/callgrind.socket_tls*
    valgrind --tool=callgrind --separate-threads=yes --callgrind-out-file="$programs/callgrind.socket_tls" \
        "$programs/socket_tls" $files "$1" "$2" "$3" >/dev/null 2>&1
    sed -n 's/^\(summary\|totals\): *//p' "$programs/callgrind.socket_tls-01" | tail -n 1
}

printf '\n%-20s %12s %12s %8s\n' "" "ours" straight ratio
for line in writes:100 reads:100 full:8 resumed:20 again:20 try:10000; do
    what=${line%%:*}
    count=${line#*:}
    for who in ours straight; do
        less=$(instructions "$what" "$who" "$count")
        more=$(instructions "$what" "$who" "$((3 * count))")
        eval "$who=$(((more - less) / (2 * count)))"
    done
    printf '%-20s %12d %12d %8s\n' "$what" "$ours" "$straight" \
        "$(awk -v a="$ours" -v b="$straight" 'BEGIN { printf "%.3f", a / b }')"
done

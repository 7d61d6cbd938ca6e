# Sourced by the benchmarks of echoes, with the arguments of common.sh: builds the echo programs and starts their server.

. "$(dirname "$0")/common.sh"

flags="-O2 -g -std=c11 -Wall -Wextra -Werror"
$cc $flags -o "$programs/straight" "$here/peers/straight.c" $libs
$cc $flags -I"$here/../include" -o "$programs/netconn" "$here/peers/netconn.c" "$build/libnetconn.a" $libs -lpthread -ldl -lm

server=
stop_server() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
        server=
    fi
}
trap stop_server EXIT

# $1: plain or tls. Sets `arguments`, the client's.
start_server() {
    stop_server
    tls=
    if [ "$1" = tls ]; then
        tls="--tls --cert $certs/server.pem --key $certs/server.key"
    fi
    : >"$programs/port"
    "$programs/straight" --mode server --port 0 $tls >"$programs/port" &
    server=$!
    while [ ! -s "$programs/port" ]; do
        kill -0 "$server"
        sleep 0.05
    done
    arguments="--port $(cat "$programs/port")"
    if [ "$1" = tls ]; then
        arguments="$arguments --tls --ca $certs/ca.pem"
    fi
}

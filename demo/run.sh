#!/bin/sh
# netconn's main job in one go: a TLS server and clients that connect to it by name, and say what happens.
#
#     demo/run.sh BUILD CERTS
#
# BUILD: where libnetconn.so is. CERTS: test certificates (cargo run -p xtask -- certs DIR).
set -eu

if [ $# -ne 2 ]; then
    echo "usage: $0 BUILD CERTS" >&2
    exit 2
fi
build=$(cd "$1" && pwd)
certs=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."
out=$build/demo
mkdir -p "$out"

compile() {
    ${CC:-cc} -std=c11 -O1 -Wall -Wextra -Werror -Iinclude "$1" -o "$out/$(basename "$1" .c)" \
        -L"$build" -lnetconn -Wl,-rpath,"$build"
}
compile demo/server.c
compile examples/get.c
compile examples/demo_client.c

# The server's first line is its port; the pipe makes us wait for it.
pipe=$out/port
server=
finish() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || :; fi
    rm -f "$pipe"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
rm -f "$pipe"
mkfifo "$pipe"
"$out/server" "$certs/server.pem" "$certs/server.key" >"$pipe" 2>"$out/server.log" &
server=$!
if ! read -r port <"$pipe"; then
    cat "$out/server.log" >&2
    exit 1
fi

title() {
    printf -- '---- %s\n\n' "$1"
}
must_fail() {
    if "$@"; then
        echo "this should have failed: $*" >&2
        exit 1
    fi
}

title "examples/get.c: a client of a few lines"
SSL_CERT_FILE=$certs/ca.pem "$out/get" localhost "$port" tls
echo

title "examples/demo_client.c: the time line of two visits"
"$out/demo_client" localhost "$port" "$certs/ca.pem"

title "The server's certificate is not for the name we wanted"
must_fail "$out/demo_client" localhost "$port" "$certs/ca.pem" shop.example

title "The server's authority is not one that we trust"
must_fail "$out/demo_client" localhost "$port" "$certs/other-ca.pem"

# It ends in good order, or the demo fails.
kill "$server"
wait "$server" && server= || { echo "the server ended with status $?" >&2; cat "$out/server.log" >&2; exit 1; }

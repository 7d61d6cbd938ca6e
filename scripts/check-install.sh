#!/bin/sh
# Installs what is in BUILD under a prefix of its own, and uses it from there as a C programmer would: shared and static,
# with the command lines of the README.
#
#     scripts/check-install.sh BUILD
set -u
cd "$(dirname "$0")/.." || exit 2
build=$1
: "${CC:=cc}" "${PKG_CONFIG:=pkg-config}"
passed=0 failed=0
scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT

# $1: what is claimed; the rest: a command that says so by its exit status.
claim() {
    what=$1
    shift
    if "$@" >"$scratch/log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        cat "$scratch/log"
        echo "FAIL $what"
    fi
}

PREFIX=$scratch/usr
installed() { (cd "$1" && find . ! -type d | LC_ALL=C sort); }
version=$(sed -n 's/^#define NETCONN_VERSION "\(.*\)"/\1/p' include/netconn.h)
{
    for header in include/*.h; do echo "./include/netconn/$(basename "$header")"; done
    printf './lib/%s\n' libnetconn.a libnetconn.so "libnetconn.so.${version%%.*}" "libnetconn.so.$version"
} | LC_ALL=C sort >"$scratch/expected"

# A connection that is refused goes through loop, state machine and sockets, and needs no peer. Port 1 of an address of
# the loopback range that nothing listens on.
cat >"$scratch/program.c" <<'C'
#include <stdio.h>
#include <string.h>
#include "net_conn.h"
#include "netconn.h"
static int result = 1;
static void on_ready(struct net_conn *c, void *arg) { (void)c; (void)arg; }
static void on_error(struct net_conn *c, void *arg) {
    (void)arg;
    puts(conn_get_error_msg(c));
    if (conn_get_error(c) == CONN_ERR_CONNECT && strstr(conn_get_error_msg(c), "127.77.1.9:1 ")) result = 0;
    conn_close(c);
}
int main(void) {
    struct ev_loop *loop = evloop_get_default();
    if (!conn_new(loop, "127.77.1.9", "1", true, on_ready, on_error, NULL)) return 2;
    evloop_run(loop);
    netconn_cleanup();
    return result;
}
C

claim "make install" make -s BUILD="$build" PKG_CONFIG="$PKG_CONFIG" PREFIX="$PREFIX" install
installed "$PREFIX" >"$scratch/got"
claim "the headers and the libraries are where they belong, and nothing else" diff "$scratch/expected" "$scratch/got"

claim "a program links with the shared library" \
    "$CC" "$scratch/program.c" -o "$scratch/shared" -I"$PREFIX/include/netconn" -L"$PREFIX/lib" -lnetconn
claim "and runs" env LD_LIBRARY_PATH="$PREFIX/lib" "$scratch/shared"
claim "and needs the library by its soname" \
    sh -c "readelf -d '$scratch/shared' | grep -q 'NEEDED.*libnetconn\.so\.${version%%.*}\]'"

if $PKG_CONFIG --atleast-version=3.0 openssl 2>/dev/null; then openssl="-lssl -lcrypto"; else openssl=; fi
# shellcheck disable=SC2086
claim "a program links with the static library" "$CC" "$scratch/program.c" -o "$scratch/static" \
    -I"$PREFIX/include/netconn" "$PREFIX/lib/libnetconn.a" $openssl -lpthread -ldl -lm
claim "and runs" "$scratch/static"
claim "and needs no shared netconn" sh -c "! readelf -d '$scratch/static' | grep -q netconn"
claim "legacy includes with the folder work too" sh -c \
    "printf '#include <netconn/net_conn.h>\n' | $CC -fsyntax-only -I'$PREFIX/include' -xc -"

claim "make install with DESTDIR" make -s BUILD="$build" PKG_CONFIG="$PKG_CONFIG" DESTDIR="$scratch/stage" PREFIX=/usr install
installed "$scratch/stage/usr" >"$scratch/got"
claim "the same files are staged" diff "$scratch/expected" "$scratch/got"

claim "make uninstall" make -s BUILD="$build" PKG_CONFIG="$PKG_CONFIG" PREFIX="$PREFIX" uninstall
claim "nothing is left" [ -z "$(installed "$PREFIX")" ]

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]

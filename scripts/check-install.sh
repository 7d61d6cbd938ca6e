#!/bin/sh
# Installs what is in BUILD under prefixes of its own, and uses it from there as a C programmer would: shared and static,
# with the command lines of the README.
#
#     scripts/check-install.sh BUILD
set -u
cd "$(dirname "$0")/.." || exit 2
build=$1
: "${CC:=cc}" "${PKG_CONFIG:=pkg-config}"
. scripts/claims.sh
. scripts/use-installed.sh

run_make() { make -s BUILD="$build" PKG_CONFIG="$PKG_CONFIG" "$@"; }
installed() { (cd "$1" && find . ! -type d | LC_ALL=C sort); }

PREFIX=$scratch/usr
version=$(sed -n 's/^#define NETCONN_VERSION "\(.*\)"/\1/p' include/netconn.h)
openssl=$(run_make which-openssl) || exit 2
{
    (cd include && find . -name '*.h' | sed 's|^\.|./include/netconn|')
    printf './lib/%s\n' libnetconn.a libnetconn.so "libnetconn.so.${version%%.*}" "libnetconn.so.$version" \
        libsocket.a libsocket.so pkgconfig/netconn.pc pkgconfig/netconn-static.pc pkgconfig/libsocket.pc \
        cmake/netconn/netconn-config.cmake cmake/netconn/netconn-config-version.cmake
} | LC_ALL=C sort >"$scratch/expected"

claim "make install" run_make PREFIX="$PREFIX" install
installed "$PREFIX" >"$scratch/got"
claim "all files are where they belong, and nothing else" diff "$scratch/expected" "$scratch/got"
claim "what was filled in is whole" sh -c "! grep -rE '@[a-z_]+@' '$PREFIX/lib/pkgconfig' '$PREFIX/lib/cmake'"
claim "and knows no place" sh -c "! grep -rF '$scratch' '$PREFIX/lib/pkgconfig' '$PREFIX/lib/cmake'"

# ---- By hand --------------------------------------------------------------------------------------------------------

case $openssl in system) libs="-lssl -lcrypto" ;; *) libs= ;; esac
claim "a program links with the shared library" \
    "$CC" scripts/installed.c -o "$scratch/shared" -I"$PREFIX/include/netconn" -L"$PREFIX/lib" -lnetconn
claim "and runs" env LD_LIBRARY_PATH="$PREFIX/lib" "$scratch/shared"
claim "and needs the library by its soname" is_shared "$scratch/shared"
# shellcheck disable=SC2086
claim "a program links with the static library" "$CC" scripts/installed.c -o "$scratch/static" \
    -I"$PREFIX/include/netconn" "$PREFIX/lib/libnetconn.a" $libs -lpthread -ldl -lm
claim "and runs" "$scratch/static"
claim "and needs no shared netconn" is_static "$scratch/static"
# Whether the family has TLS is said by a header and by pkg-config, and asked with #if.
# $1: 1 or 0; the rest: flags.
has_tls() {
    due=$1
    shift
    printf '#include "socket/SocketReconnect.h"\n#if SOCKET_HAS_TLS + 0 != %s\n#error other\n#endif\n' "$due" |
        "$CC" -fsyntax-only -I"$PREFIX/include/netconn" "$@" -xc -
}
includes_tls() {
    printf '#include "tls/SocketTLSContext.h"\n' | "$CC" -fsyntax-only -I"$PREFIX/include/netconn" "$@" -xc -
}
case $openssl in
system)
    claim "the Socket family has TLS" has_tls 1
    claim "the Socket family has TLS, defined before" has_tls 1 -DSOCKET_HAS_TLS
    ;;
*) claim "the Socket family has no TLS" has_tls 0 ;;
esac
claim "the Socket family has no TLS where the program wants none" has_tls 0 -DSOCKET_HAS_TLS=0
claim "TLS headers say nothing where the program wants none" includes_tls -DSOCKET_HAS_TLS=0
case $openssl in
vendored) claim "TLS headers refuse a hidden OpenSSL" sh -c \
    "printf '#include \"tls/SocketTLS.h\"\n' | $CC -fsyntax-only -I'$PREFIX/include/netconn' -xc - 2>&1 | grep -q 'error.*OpenSSL'" ;;
*) claim "TLS headers can be included" includes_tls ;;
esac
claim "includes that name the folder work too" sh -c \
    "printf '#include <netconn/net_conn.h>\n' | $CC -fsyntax-only -I'$PREFIX/include' -xc -"
# shellcheck disable=SC2086
claim "a program links as older ones do" "$CC" scripts/installed.c -o "$scratch/older" \
    -I"$PREFIX/include/netconn" -L"$PREFIX/lib" -lsocket $libs -lpthread -lm
claim "with the same library" is_shared "$scratch/older"
claim "and runs" env LD_LIBRARY_PATH="$PREFIX/lib" "$scratch/older"

# The adapters include the loop's header by its place beside them.
glib=$("$user_pkg_config" --cflags glib-2.0 2>/dev/null)
for adapter in libev libevent libuv glib; do
    # shellcheck disable=SC2086
    if sed -n 's/^#include <\(ev\|event2\|uv\|glib\)/&/p' "include/adapters/$adapter.h" | "$CC" -E $glib - >/dev/null 2>&1; then
        echo "#include <adapters/$adapter.h>" >"$scratch/$adapter.c"
        claim "adapters/$adapter.h works from there" \
            "$CC" -c "$scratch/$adapter.c" -o "$scratch/$adapter.o" -I"$PREFIX/include/netconn" $glib
    else
        skip "adapters/$adapter.h" "its library is not installed"
    fi
done

# ---- By the tools that find it, in several places -------------------------------------------------------------------

use_installed "installed" "$PREFIX" "$PREFIX/lib" "$openssl"

claim "make uninstall" run_make PREFIX="$PREFIX" uninstall
claim "nothing is left" [ -z "$(installed "$PREFIX")" ]
claim "but directories that others use too" \
    [ "$(cd "$PREFIX" && find . | LC_ALL=C sort | tr '\n' ' ')" = ". ./include ./lib ./lib/cmake ./lib/pkgconfig " ]

claim "make install with DESTDIR" run_make DESTDIR="$scratch/stage" PREFIX=/usr install
installed "$scratch/stage/usr" >"$scratch/got"
claim "the same files are staged" diff "$scratch/expected" "$scratch/got"
mv "$scratch/stage/usr" "$scratch/moved"
use_installed "staged and moved" "$scratch/moved" "$scratch/moved/lib" "$openssl"

# As Debian has it.
multiarch=lib/$("$CC" -print-multiarch 2>/dev/null)
claim "make install with a LIBDIR for each architecture" \
    run_make DESTDIR="$scratch/stage" PREFIX=/usr LIBDIR="/usr/${multiarch%/}" install
mv "$scratch/stage/usr" "$scratch/multiarch"
use_installed "for each architecture" "$scratch/multiarch" "$scratch/multiarch/${multiarch%/}" "$openssl"

claim "make install with directories that are not below PREFIX" \
    run_make PREFIX="$scratch/here" LIBDIR="$scratch/there/lib" INCLUDEDIR="$scratch/headers" install
use_installed "in several places" "$scratch/there" "$scratch/there/lib" "$openssl"
claim "make uninstall with the same variables" \
    run_make PREFIX="$scratch/here" LIBDIR="$scratch/there/lib" INCLUDEDIR="$scratch/headers" uninstall
claim "nothing is left there" [ -z "$(installed "$scratch/there")$(installed "$scratch/headers")" ]

sum_up

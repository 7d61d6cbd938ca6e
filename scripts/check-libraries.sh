#!/bin/sh
# Looks at the two libraries in BUILD as a linker would: which symbols they show, whom they need, how they load.
#
#     scripts/check-libraries.sh BUILD system|vendored|none
set -u
cd "$(dirname "$0")/.." || exit 2
build=$1 openssl=$2
static=$build/libnetconn.a shared=$build/libnetconn.so
. scripts/claims.sh

names() { awk 'NF >= 2 { print $NF }' | LC_ALL=C sort; }
nm -g --defined-only "$static" | names >"$scratch/static"
nm -D --defined-only "$shared" | names >"$scratch/shared"
nm -g --undefined-only "$static" | names >"$scratch/undefined"
LC_ALL=C sort symbols/public.txt >"$scratch/public"
readelf -dW "$shared" >"$scratch/dynamic"
readelf -lW "$shared" >"$scratch/segments"
major=$(sed -n 's/^#define NETCONN_VERSION_MAJOR //p' include/netconn.h)

has() { grep -q -e "$2" "$scratch/$1"; }
has_not() { ! has "$@"; }
exits_with() { status=$1; shift; "$@" >/dev/null 2>&1; [ $? -eq "$status" ]; }

claim "the static library shows the public functions and nothing else" diff "$scratch/public" "$scratch/static"
claim "the shared library shows the public functions and nothing else" diff "$scratch/public" "$scratch/shared"
claim "the static library is one object" [ "$(ar t "$static")" = netconn.o ]
claim "the static library holds no bitcode" sh -c "! readelf -SW '$static' | grep -q llvm"
claim "the soname is that of the major version" has dynamic "SONAME.*\[libnetconn\.so\.$major\]"
claim "the links lead from the plain name over the soname to the file" \
    [ "$(readlink "$build/libnetconn.so") $(readlink -f "$build/libnetconn.so.$major")" = \
      "libnetconn.so.$major $(readlink -f "$shared")" ]
claim "the shared library is never unloaded" has dynamic "Flags:.*NODELETE"
claim "its thread-local data has its place when it is loaded late, too" has_not dynamic "STATIC_TLS"
claim "all its symbols are bound when it is loaded" has dynamic "Flags:.*NOW"
claim "its relocations are read-only afterwards" has segments "GNU_RELRO"
claim "its code needs no relocation" has_not dynamic TEXTREL
claim "its stack is not executable" sh -c "grep -q 'GNU_STACK.* RW ' '$scratch/segments'"
claim "plain make builds neither the workshop nor cbindgen" \
    sh -c "! ls '$build/cargo/release/deps' | grep -qE 'cbindgen|xtask|testcerts'"
case $openssl in
system)
    claim "TLS is the system's OpenSSL" has dynamic "NEEDED.*libcrypto\.so\.3"
    ;;
vendored)
    claim "no OpenSSL is needed" has_not dynamic "NEEDED.*lib\(ssl\|crypto\)"
    claim "the static library brings its OpenSSL" has_not undefined "^\(SSL_\|EVP_\|X509_\)"
    ;;
none)
    claim "no OpenSSL is needed" has_not dynamic "NEEDED.*lib\(ssl\|crypto\)"
    claim "nothing of OpenSSL is wanted" has_not undefined "^\(SSL_\|EVP_\|X509_\|OPENSSL_\)"
    claim "nothing of OpenSSL is inside" sh -c "! nm '$static' | grep -qE ' [tT] (SSL_|EVP_|X509_|OPENSSL_)'"
    ;;
esac

# A program that has names of its own in common with what is inside, linked both ways.
cat >"$scratch/program.c" <<'C'
#include <stdio.h>
#include <string.h>
#include "netconn.h"
int rust_eh_personality(void) { return 1; }
int rust_panic(void) { return 1; }
int SSL_library_private(void) { return 1; }
int main(void) {
    if (strcmp(netconn_version(), NETCONN_VERSION) != 0) return 2;
    const char *openssl = netconn_openssl();
    if (strcmp(EXPECTED, "(none)") == 0 ? openssl != NULL : strstr(openssl, EXPECTED) == NULL) return 3;
    netconn_cleanup();
    return rust_eh_personality() + rust_panic() + SSL_library_private() == 3 ? 0 : 4;
}
C
: "${CC:=cc}"
libs="-lpthread -ldl -lm"
if [ "$openssl" = system ]; then libs="$(${PKG_CONFIG:-pkg-config} --libs openssl) $libs"; fi
compile="$CC -std=c99 -DEXPECTED=\"($openssl)\" -Iinclude $scratch/program.c"
# shellcheck disable=SC2086
claim "a program links with the shared library" $compile -o "$scratch/with-shared" "$shared" -Wl,-rpath,"$build"
claim "and runs" exits_with 0 "$scratch/with-shared"
# shellcheck disable=SC2086
claim "a program links with the static library" $compile -o "$scratch/with-static" "$static" $libs
claim "and runs" exits_with 0 "$scratch/with-static"

sum_up

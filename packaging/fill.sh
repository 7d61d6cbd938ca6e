#!/bin/sh
# Writes a template of this directory for one installation, to standard output: every @NAME@ gets its value.
#
#     prefix=DIR libdir=DIR includedir=DIR version=X.Y.Z openssl=system|vendored|none private_libs='-l...' \
#         packaging/fill.sh TEMPLATE
#
# Directories below the prefix are written relative to the file, so that an installation can be moved as a whole; others
# as they are.
set -eu

# An absolute path without doubled or trailing slashes.
clean() {
    case $1 in /*) path=$1 ;; *) path=$PWD/$1 ;; esac
    printf '%s\n' "$path" | sed 's|//*|/|g; s|/\./|/|g; s|\(.\)/$|\1|'
}
prefix=$(clean "$prefix") libdir=$(clean "$libdir") includedir=$(clean "$includedir")

# $1: a directory; $2: one that may be above it. Prints the dots that lead from the first to the second, "/.." each.
up() {
    below=${1#"$2"}
    while [ -n "$below" ]; do
        printf '/..'
        below=${below%/*}
    done
}
is_below() { case $1/ in "${2%/}"/*) ;; *) return 1 ;; esac; }

if is_below "$libdir" "$prefix"; then
    # shellcheck disable=SC2016
    pc_prefix='${pcfiledir}'$(up "$libdir/pkgconfig" "${prefix%/}")
    cmake_prefix=$(up "$libdir/cmake/netconn" "${prefix%/}")
else
    pc_prefix=$prefix cmake_prefix=
fi
# $1: a directory; $2: how a pkg-config file calls the prefix.
from_prefix() { if is_below "$1" "$prefix"; then printf '%s%s' "$2" "${1#"${prefix%/}"}"; else printf '%s' "$1"; fi; }
# shellcheck disable=SC2016
pc_libdir=$(from_prefix "$libdir" '${prefix}') pc_includedir=$(from_prefix "$includedir" '${prefix}')
# shellcheck disable=SC2016
cmake_libdir='${_netconn_here}/../..'
if [ -n "$cmake_prefix" ] && is_below "$includedir" "$prefix"; then
    # shellcheck disable=SC2016
    cmake_includedir='${_netconn_here}'$cmake_prefix${includedir#"${prefix%/}"}
else
    cmake_includedir=$includedir
fi

case $openssl in
system) openssl_module='openssl >= 3.0' tls_flags=' -DSOCKET_HAS_TLS=1' ;;
*) openssl_module= tls_flags= ;;
esac
pointer_size=$(echo __SIZEOF_POINTER__ | ${CC:-cc} -E -P -xc - | tail -n 1)

# $1: a name; $2: its value. A sed command.
replace() { printf 's|@%s@|%s|g\n' "$1" "$(printf '%s' "$2" | sed 's/[\\&|]/\\&/g')"; }
script=$(
    replace version "$version"
    replace major "${version%%.*}"
    replace soname "libnetconn.so.${version%%.*}"
    replace openssl "$openssl"
    replace pointer_size "$pointer_size"
    replace private_libs "$private_libs"
    replace tls_flags "$tls_flags"
    replace pc_prefix "$pc_prefix"
    replace pc_libdir "$pc_libdir"
    replace pc_includedir "$pc_includedir"
    replace cmake_libdir "$cmake_libdir"
    replace cmake_includedir "$cmake_includedir"
    if [ -n "$openssl_module" ]; then replace openssl_module "$openssl_module"; else echo '/@openssl_module@/d'; fi
)
sed "$script" "$1"

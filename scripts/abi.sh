#!/bin/sh
# The interface that compiled programs rely on, as the public headers have it: functions with their types, structs,
# enums and macros. Written or compared by libabigail.
#
#     scripts/abi.sh write INCLUDE FILE       FILE: the interface of the headers in INCLUDE, as abidw writes it
#     scripts/abi.sh compare FILE INCLUDE     whether a program built against FILE runs with the library of INCLUDE
#
# What is looked at is not the library but one of empty functions, compiled from the headers: the library's own debugging
# information is Rust's, and says nothing of a C program's types. That the library has every function of the headers is
# for scripts/check-libraries.sh and `make headers` to say. Exit status: 0; 1 for an incompatible change; 2 for a failure.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT
fail() { echo "abi.sh: $*" >&2; exit 2; }

# $1: the directory of the headers, $2: the library to make. The adapters are inline code of the program's.
compile() {
    include=$1
    headers=$(cd "$include" && find . -name '*.h' ! -path './adapters/*' | sed 's|^\./||' | LC_ALL=C sort)
    for header in $headers; do echo "#include \"$header\""; done >"$scratch/headers.h"
    text() { (cd "$include" && cat $headers); }

    # GCC lists every declaration on a line of its own, with where it is from; ours get an empty body.
    printf '#include "headers.h"\n' | gcc -I"$scratch" -I"$include" -aux-info "$scratch/functions" -fsyntax-only -xc - || return 2
    {
        echo '#include "headers.h"'
        sed -n "s|^/\* $include/[^:]*:[0-9]*:[A-Z]* \*/ extern \(.*\);.*|\1 { __builtin_trap(); }|p" "$scratch/functions"
        # Objects.
        text | sed -n -e 's/^extern const Except_T \([A-Za-z0-9_]*\);$/const Except_T \1 = {0};/p' \
            -e 's/^extern __thread \(.*\);$/__thread \1;/p'
        # Types that no function's type leads to: a callback's argument of type int, of which the documentation says what
        # enum it is.
        text | sed -n \
            -e 's/^\(typedef \)\{0,1\}\(struct\|enum\|union\) \([A-Za-z0-9_]*\) {$/\2 \3 *abi_of_\2_\3;/p' \
            -e 's/^typedef .*(\*\([A-Za-z0-9_]*\))(.*/\1 *abi_of_\1;/p'
        # Every member by itself too: where a struct may grow, libabigail lets more through than growth.
        text | awk '
            /^(typedef )?struct [A-Za-z0-9_]* {$/ { struct = $(NF - 1) }
            /^}/ { struct = "" }
            struct != "" && /^    [A-Za-z].*;$/ {
                sub(/(\[.*)?;$/, ""); sub(/.*[ *]/, "")
                printf "__typeof__(((struct %s *)0)->%s) *abi_of_%s_%s;\n", struct, $0, struct, $0
                printf "char abi_at_%s_%s[1 + __builtin_offsetof(struct %s, %s)];\n", struct, $0, struct, $0
            }'
        # Values that are compiled into programs; the version is another one in each release.
        echo 'enum abi_of_macros {'
        text | sed -n -e '/ [0-9]*\.[0-9]*$/d' -e 's/^#define \([A-Z0-9_]*\) [-(0-9].*/    abi_of_\1 = \1,/p' |
            grep -v NETCONN_VERSION | LC_ALL=C sort -u
        echo '} abi_of_macros;'
    } >"$scratch/interface.c"
    gcc -g -O0 -w -fno-eliminate-unused-debug-types -shared -fPIC -I"$scratch" -I"$include" "$scratch/interface.c" \
        -Wl,-soname,"libnetconn.so.$(text | sed -n 's/^#define NETCONN_VERSION_MAJOR //p')" -o "$2"
}

for tool in gcc abidw abidiff; do command -v $tool >/dev/null || fail "$tool is not installed"; done
case ${1-} in
write)
    compile "$2" "$scratch/libnetconn.so" || fail "the headers in $2 do not compile"
    abidw --no-corpus-path --no-comp-dir-path --no-show-locs --short-locs --out-file "$3" "$scratch/libnetconn.so" ||
        fail "abidw failed"
    ;;
compare)
    compile "$3" "$scratch/libnetconn.so" || fail "the headers in $3 do not compile"
    # What is new hurts nobody.
    abidiff --no-added-syms --no-show-locs --suppressions "$root/packaging/abi/compatible.ini" "$2" "$scratch/libnetconn.so"
    status=$?
    [ $((status & 3)) -eq 0 ] || fail "abidiff failed"
    [ $status -eq 0 ]
    ;;
*) fail "write or compare" ;;
esac

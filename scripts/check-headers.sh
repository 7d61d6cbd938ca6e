#!/bin/sh
# Compiles each public header as C and C++ programs would include it: alone, twice, in any order, under each standard,
# with OpenSSL's headers before and after. Every warning is an error.
set -u
cd "$(dirname "$0")/.." || exit 2
: "${CC:=cc}" "${CXX:=c++}"
passed=0 failed=0 skipped=0
more= # flags of the compiler
every_c="c99 c11 c17" every_cxx="c++11 c++17"
c_standards=$every_c cxx_standards=$every_cxx

# Words of a compiler and its flags; then the text to compile, on standard input.
compile() {
    compiled=$("$@" -Wall -Wextra -Wpedantic -pedantic-errors -Werror $more -Iinclude -fsyntax-only - 2>&1) && return
    echo "FAIL $*"
    echo "$compiled"
    return 1
}

# $1: the text.
everywhere() {
    for std in $c_standards; do
        printf '%b' "$1" | compile "$CC" -xc -std=$std -Wstrict-prototypes || return 1
    done
    for std in $cxx_standards; do
        printf '%b' "$1" | compile "$CXX" -xc++ -std=$std || return 1
    done
    # Another compiler warns of other things.
    if command -v clang >/dev/null; then
        printf '%b' "$1" | compile clang -xc -std=c99 || return 1
    fi
}

# $1: what is tried, $2: the text.
try() {
    if everywhere "$2"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL $1"; fi
}

# $1: what is tried, $2: the text. As programs of before 1999 are compiled.
try_old() {
    for std in c89 gnu89; do
        if printf '%b' "$2" | compile "$CC" -xc -std=$std -Wstrict-prototypes; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1)) && echo "FAIL $1"
        fi
    done
}

# The headers in folders, those of the Socket family: for C99 and newer.
# $1: what is tried, $2: the text, $3: flags, to be tried one by one too.
try_family() {
    try "$1" "$2"
    c_standards=c11 cxx_standards=c++17
    for more in $3; do try "$1 with $more" "$2"; done
    c_standards=$every_c cxx_standards=$every_cxx more=
    if printf '%b' "$2" | compile "$CC" -xc -std=gnu11 -O2 && printf '%b' "$2" | compile "$CXX" -xc++ -std=gnu++17 -O2; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1)) && echo "FAIL $1 with GNU's extensions"
    fi
}

family= family_backwards=
for header in $(cd include && find . -mindepth 2 -name '*.h' ! -path './adapters/*' | sed 's|^\./||' | LC_ALL=C sort); do
    include="#include \"$header\"\n"
    family="$family$include" family_backwards="$include$family_backwards"
    try_family "$header" "$include${include}int main(void) { return 0; }\n" -DSOCKET_HAS_TLS=0
done
has_tls="-DSOCKET_HAS_TLS -DSOCKET_HAS_TLS=1 -DSOCKET_HAS_TLS=0"
try_family "the Socket family" "${family}int main(void) { return 0; }\n" "$has_tls"
try_family "the Socket family, backwards" "${family_backwards}int main(void) { return 0; }\n" "$has_tls"

# Old programs with GNU's extensions, in which OpenSSL's own headers are not strict either.
if printf '%b' "${family}int main(void) { return 0; }\n" | "$CC" -xc -std=gnu89 -Wall -Wextra -Werror -Iinclude -fsyntax-only -; then
    passed=$((passed + 1))
else
    failed=$((failed + 1)) && echo "FAIL the Socket family, in old C"
fi

# As builds without the system's OpenSSL have them.
c_standards=c11 cxx_standards=c++17
for openssl in none vendored; do
    features=$(mktemp -d) && mkdir "$features/core" || exit 2
    packaging/features.sh $openssl >"$features/core/SocketFeatures.h"
    more=-I$features
    for header in $(printf '%b' "$family" | cut -d '"' -f 2); do
        text="#include \"$header\"\n#if SOCKET_HAS_TLS + 0 || defined(OPENSSL_SSL_H)\n#error TLS\n#endif\nint main(void) { return 0; }\n"
        case $openssl,$header in
        vendored,tls/SocketTLS.h | vendored,tls/SocketTLSContext.h)
            if printf '%b' "$text" | "$CC" -xc $more -Iinclude -fsyntax-only - 2>&1 | grep -q 'error.*OpenSSL of its own'; then
                passed=$((passed + 1))
            else
                failed=$((failed + 1)) && echo "FAIL $header refuses a hidden OpenSSL"
            fi
            more="$more -DSOCKET_HAS_TLS=0"
            try "$header, OpenSSL hidden, without TLS" "$text"
            more=-I$features
            ;;
        *) try "$header, OpenSSL: $openssl" "$text" ;;
        esac
    done
    more=
    rm -rf "$features"
done
c_standards=$every_c cxx_standards=$every_cxx

forwards= backwards=
for header in include/*.h; do
    include="#include \"$(basename "$header")\"\n"
    forwards="$forwards$include" backwards="$include$backwards"
    try "$header" "${include}int main(void) { return 0; }\n"
    try "$header, twice" "$include${include}int main(void) { return 0; }\n"
done
try "all headers" "${forwards}int main(void) { return 0; }\n"
try "all headers, backwards" "${backwards}int main(void) { return 0; }\n"
try_old "all headers, in old C" "${forwards}int main(void) { return 0; }\n"
if printf '#include <openssl/ssl.h>\n' | "$CC" -E - >/dev/null 2>&1; then
    use="int main(void) { SSL *ssl = 0; return ssl != 0; }\n"
    try "all headers, OpenSSL's before" "#include <openssl/ssl.h>\n$forwards$use"
    try "all headers, OpenSSL's after" "$forwards#include <openssl/ssl.h>\n$use"
    try "the Socket family before all others" "$family$forwards$use"
    try "the Socket family after all others" "$forwards$family$use"
fi

# The adapters, with the headers of the libraries that they are for. libuv's own need POSIX beside strict C.
# $1: the header, $2: the other library's, $3: Debian's package of it, then flags.
try_adapter() {
    header=$1 others=$2 package=$3
    shift 3
    more=$*
    if printf '#include <%s>\n' "$others" | "$CC" -E $more - >/dev/null 2>&1; then
        use="int main(void) { return 0; }\n"
        try "$header" "#include \"$header\"\n$use"
        try "$header, twice" "#include \"$header\"\n#include \"$header\"\n$use"
        try "$header, the other's before" "#include <$others>\n$forwards#include \"$header\"\n$use"
        try "$header, ours after" "#include \"$header\"\n$forwards$use"
    else
        echo "skip $header: needs the Debian package $package"
        skipped=$((skipped + 1))
    fi
    more=
}
try_adapter adapters/libev.h ev.h libev-dev
try_adapter adapters/libevent.h event2/event.h libevent-dev
try_adapter adapters/libuv.h uv.h libuv1-dev -D_POSIX_C_SOURCE=200809L
try_adapter adapters/glib.h glib.h libglib2.0-dev $(${PKG_CONFIG:-pkg-config} --cflags glib-2.0 2>/dev/null)
try "adapters/adapter.h" '#include "adapters/adapter.h"\nint main(void) { return 0; }\n'

# A function without its line there is found here.
listed=$({
    sed -n 's/^F\(UNCTION\)\{0,1\}([^,]*, \([A-Za-z0-9_]*\),.*/\2/p' c-tests/headers/prototypes.c c-tests/headers/family.h
    cat $(find include -name '*.h' ! -path '*/adapters/*') | sed -n 's/^extern [^(]*[ *]\([A-Za-z0-9_]*\)\(\[[0-9]*\]\)\{0,1\};$/\1/p'
} | LC_ALL=C sort -u)
if printf '%s\n' "$listed" | LC_ALL=C comm -23 symbols/public.txt - | grep .; then
    failed=$((failed + 1)) && echo "FAIL these functions have no line in c-tests/headers/prototypes.c or family.h"
else
    passed=$((passed + 1))
fi
try "each function at the type that programs were written for" '#include "c-tests/headers/prototypes.c"\n'
try_family "each function of the Socket family at that type" '#include "c-tests/headers/family.c"\n' "$has_tls"

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] || exit 1
[ "$skipped" -eq 0 ] || [ "${SKIPS_AS_FAILS-}" != 1 ]

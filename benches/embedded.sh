#!/bin/sh
# System calls of a round (strace's count): netconn's own loop, and the same loop inside each library's that there is an
# adapter for. A round is one answer of an echo server; with interest that changes and changes back; with a deadline
# that is set anew; or one piece of work that posts itself again.
#
# usage: benches/embedded.sh BUILD CERTS
# environment: ROUNDS (2000)

. "$(dirname "$0")/echo.sh"
rounds=${ROUNDS:-2000}
if ! strace -c -o /dev/null true 2>/dev/null; then
    echo "embedded: needs strace"
    exit 0
fi

# $1: rounds, $2: mode, $3: program. Prints how many system calls it made.
calls() {
    strace -c -o "$programs/strace" "$programs/embedded-$3" "$(cat "$programs/port")" "$1" "$2"
    awk '$NF == "total" { print $4 }' "$programs/strace"
}

start_server plain
printf '%-9s %10s %10s %10s %10s   %s\n' loop echo interest deadline posted "system calls of a round"
for library in own libev libevent libuv glib; do
    case $library in
    own) flags= ;;
    libev) flags="-DLIBEV -lev" ;;
    libevent) flags="-DLIBEVENT -levent_core" ;;
    libuv) flags="-DLIBUV -luv" ;;
    glib) flags="-DGLIB $(pkg-config --cflags --libs glib-2.0 2>/dev/null)" ;;
    esac
    if ! $cc -O2 -std=gnu11 -Wall -Wextra -Werror -I"$here/../include" -o "$programs/embedded-$library" \
        "$here/peers/embedded.c" "$build/libnetconn.a" $flags $libs -lpthread -ldl -lm 2>"$programs/embedded.log"; then
        printf '%-9s %s\n' $library "not here"
        continue
    fi
    line=
    for mode in echo change timer post; do
        few=$(calls "$rounds" $mode $library)
        many=$(calls $((3 * rounds)) $mode $library)
        line="$line $(awk "BEGIN { printf \"%10.2f\", ($many - $few) / (2 * $rounds) }")"
    done
    printf '%-9s%s\n' $library "$line"
done

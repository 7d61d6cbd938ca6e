#!/bin/sh
# What a request over a pooled connection costs beside one over a connection that the program keeps: instructions in user
# space (callgrind) and system calls (strace). "at once": the next request begins in the callback that read the answer;
# "later": in a round of its own, from posted work. Each number is the difference of two runs of different length, so that
# start, connect and handshake cancel out.
#
# usage: benches/pool.sh BUILD CERTS
# environment: SIZE (64), MESSAGES (2000: requests of the longer run)

. "$(dirname "$0")/echo.sh"
$cc $flags -I"$here/../include" -o "$programs/pooled" "$here/peers/pooled.c" "$build/libnetconn.a" $libs -lpthread -ldl -lm

size=${SIZE:-64}
long=${MESSAGES:-2000}
short=$((long / 4))
requests=$((long - short))

# $1: messages
instructions() {
    valgrind --tool=callgrind --callgrind-out-file="$programs/callgrind.pool.$1" \
        "$programs/pooled" $arguments $how --size "$size" --messages "$1" 2>&1 >/dev/null |
        sed -n 's/.*Collected : *//p'
}

# $1: messages. Prints "NAME COUNT" lines.
system_calls() {
    strace -f -c -o "$programs/strace.pool.$1" "$programs/pooled" $arguments $how --size "$size" --messages "$1" >/dev/null
    awk '$1 ~ /^[0-9.]+$/ && $NF != "total" { print $NF, $4 }' "$programs/strace.pool.$1"
}

printf '%-6s %-8s %-7s %14s %7s   %s\n' stream next program "instructions" ratio "system calls of a request"
for kind in plain tls; do
    start_server "$kind"
    for next in "at once" later; do
        base=
        for program in kept pooled; do
            how=
            [ "$program" = pooled ] && how=--pooled
            [ "$next" = later ] && how="$how --apart"
            less=$(instructions "$short")
            more=$(instructions "$long")
            each=$(((more - less) / requests))
            base=${base:-$each}
            { system_calls "$short" | sed 's/$/ -1/'; system_calls "$long" | sed 's/$/ 1/'; } |
                awk -v requests="$requests" '
                    { count[$1] += $2 * $3 }
                    END {
                        for (name in count) {
                            each = count[name] / requests
                            total += each
                            if (each >= 0.005) text = text sprintf(" %s %.2f", name, each)
                        }
                        printf "%.2f:%s", total, text
                    }' >"$programs/calls"
            ratio=$(awk -v a="$each" -v b="$base" 'BEGIN { printf "%.3f", a / b }')
            printf '%-6s %-8s %-7s %14d %7s   %s\n' "$kind" "$next" "$program" "$each" "$ratio" "$(cat "$programs/calls")"
        done
    done
done

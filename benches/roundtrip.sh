#!/bin/sh
# What an echo round trip costs the client: instructions in user space (callgrind) and system calls (strace), netconn
# beside a program written straight on epoll and OpenSSL, against the same server. Each number is the difference of two
# runs of different length, so that start, connect and handshake cancel out.
#
# usage: benches/roundtrip.sh BUILD CERTS
# environment: CONNECTIONS (1), SIZE (64), MESSAGES (2000: round trips of the longer run, all connections together)

. "$(dirname "$0")/echo.sh"

connections=${CONNECTIONS:-1}
size=${SIZE:-64}
long=$((${MESSAGES:-2000} / connections))
short=$((long / 4))
trips=$(((long - short) * connections))

# $1: program, $2: messages
instructions() {
    valgrind --tool=callgrind --callgrind-out-file="$programs/callgrind.$kind.$1.$2" \
        "$programs/$1" $arguments --connections "$connections" --size "$size" --messages "$2" 2>&1 >/dev/null |
        sed -n 's/.*Collected : *//p'
}

# $1: program, $2: messages. Prints "NAME COUNT" lines.
system_calls() {
    strace -f -c -o "$programs/strace.$kind.$1.$2" \
        "$programs/$1" $arguments --connections "$connections" --size "$size" --messages "$2" >/dev/null
    awk '$1 ~ /^[0-9.]+$/ && $NF != "total" { print $NF, $4 }' "$programs/strace.$kind.$1.$2"
}

printf '%-6s %-9s %14s %7s   %s\n' stream program "instructions" ratio "system calls of a round trip"
for kind in plain tls; do
    start_server "$kind"
    base=
    for program in straight netconn; do
        less=$(instructions "$program" "$short")
        more=$(instructions "$program" "$long")
        each=$(((more - less) / trips))
        base=${base:-$each}
        { system_calls "$program" "$short" | sed 's/$/ -1/'; system_calls "$program" "$long" | sed 's/$/ 1/'; } |
            awk -v trips="$trips" '
                { count[$1] += $2 * $3 }
                END {
                    for (name in count) {
                        each = count[name] / trips
                        total += each
                        if (each >= 0.005) text = text sprintf(" %s %.2f", name, each)
                    }
                    printf "%.2f:%s", total, text
                }' >"$programs/calls"
        ratio=$(awk -v a="$each" -v b="$base" 'BEGIN { printf "%.3f", a / b }')
        printf '%-6s %-9s %14d %7s   %s\n' "$kind" "$program" "$each" "$ratio" "$(cat "$programs/calls")"
    done
done

#!/bin/bash
# Runs checks one after the other, all of them even when one fails, and adds up what they counted.
#
#     scripts/tally.sh NAME COMMAND [NAME COMMAND]...
#
# What a check counted is told by its output: a closing line `N passed, N failed, N skipped`, or else every
# `test result:` line of cargo test. A check that counts nothing is one test, and so is a failure that was not counted.
# The last line sums up in the same words; the exit status is 1 when anything failed, or with SKIPS_AS_FAILS=1 was
# skipped.
set -uo pipefail

log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0 bad=() table=()

while [ $# -ge 2 ]; do
    name=$1 command=$2
    shift 2
    printf '\n==> %s\n' "$name"
    begun=$SECONDS
    bash -c "$command" 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    read -r p f s < <(awk '
        / passed, [0-9]+ failed, [0-9]+ skipped$/ && NF == 6 { lp = $1; lf = $3; ls = $5; closed = 1 }
        /^test result: / {
            gsub(";", "")
            for (i = 2; i <= NF; i++) {
                if ($i == "passed") p += $(i - 1)
                if ($i == "failed") f += $(i - 1)
                if ($i == "ignored") s += $(i - 1)
            }
            closed = 0
        }
        END { if (closed) print lp, lf, ls; else print p + 0, f + 0, s + 0 }' "$log")
    if [ "$status" -ne 0 ] && [ "$f" -eq 0 ] && { [ "$s" -eq 0 ] || [ "${SKIPS_AS_FAILS-}" != 1 ]; }; then
        f=1
    elif [ "$status" -eq 0 ] && [ "$p$f$s" = 000 ]; then
        p=1
    fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    if [ "$status" -ne 0 ] || [ "$f" -ne 0 ]; then bad+=("$name"); fi
    table+=("$(printf '%-24s %5d passed %4d failed %4d skipped %5d s' "$name" "$p" "$f" "$s" $((SECONDS - begun)))")
done

printf '\n'
printf '%s\n' "${table[@]}"
for name in "${bad[@]}"; do echo "FAILED: $name"; done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && { [ "$skipped" -eq 0 ] || [ "${SKIPS_AS_FAILS-}" != 1 ]; }

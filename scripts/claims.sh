# Sourced by the checks, from the top of the tree: what they claim is counted here, and $scratch is theirs to write in.

passed=0 failed=0 skipped=0
scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT

# $1: what is claimed; the rest: a command that says so by its exit status. What it prints is shown where it fails.
claim() {
    what=$1
    shift
    if "$@" >"$scratch/log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        tail -n 100 "$scratch/log"
        echo "FAIL $what"
    fi
}

# $1: what is not tried, $2: why.
skip() {
    skipped=$((skipped + 1))
    echo "SKIP $1: $2"
}

# The line that scripts/tally.sh reads; its status is the check's.
sum_up() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ] && { [ "$skipped" -eq 0 ] || [ "${SKIPS_AS_FAILS-}" != 1 ]; }
}

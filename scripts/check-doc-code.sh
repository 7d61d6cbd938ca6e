#!/bin/bash
# Compiles every block of C in the README and docs/, and links those that are whole programs.
#
#     scripts/check-doc-code.sh BUILD
#
# A block that is a part of something has the rest in a comment before it, which a reader of the page does not see:
#
#     <!--c
#     #include <net_conn.h>
#     ...                        (what comes after the block; may be left out)
#     static void rest(void) {}
#     -->
#
# `/* needs: ev.h */` in it names a header of another library; where that is not installed the block is skipped.
set -u
cd "$(dirname "$0")/.." || exit 2
build=$1
: "${CC:=cc}"
passed=0 failed=0 skipped=0
scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT

for page in README.md docs/*.md; do
    awk -v page="$page" -v out="$scratch/$(basename "$page" .md)" '
        /^<!--c$/ { given = 1; before = after = ""; rest = 0; next }
        given && /^-->$/ { given = 0; next }
        given && $0 == "..." { rest = 1; next }
        given { if (rest) after = after $0 "\n"; else before = before $0 "\n"; next }
        /^```c$/ {
            file = sprintf("%s-%03d.c", out, NR)
            printf "%s#line %d \"%s\"\n", before, NR + 1, page >file
            inside = 1
            next
        }
        inside && /^```$/ { printf "%s", after >file; close(file); inside = 0; before = after = ""; next }
        inside { print >file; next }
        NF { before = after = "" }
    ' "$page"
done

flags="-std=gnu11 -Wall -Wextra -Werror -Wno-unused-function -Wno-undef -O1 -Iinclude"
for file in "$scratch"/*.c; do
    name=$(basename "$file" .c)
    where="${name%-*}, line $((10#${name##*-}))"
    needs=$(sed -n 's|^/\* needs: \(.*\) \*/$|\1|p' "$file")
    missing=
    for header in $needs; do
        echo "#include <$header>" | $CC $flags $(pkg-config --cflags glib-2.0 2>/dev/null) -xc -E - >/dev/null 2>&1 || missing=$header
    done
    if [ -n "$missing" ]; then
        echo "skip $where: $missing is not installed"
        skipped=$((skipped + 1))
        continue
    fi
    # A part may declare what it does not use, and use what it does not define.
    extra="-Wno-unused-variable -Wno-unused-const-variable"
    # shellcheck disable=SC2086
    if grep -q '^int main(' "$file"; then
        $CC $flags "$file" -o "$scratch/$name" -L"$build" -lnetconn -Wl,-rpath,"$build"
    else
        $CC $flags $extra $(pkg-config --cflags glib-2.0 2>/dev/null) -c "$file" -o "$scratch/$name.o" 2>"$scratch/log" ||
            { cat "$scratch/log" >&2; false; }
    fi && passed=$((passed + 1)) || { failed=$((failed + 1)); echo "FAIL $where"; }
done

[ "$passed" -gt 0 ] || { echo "FAIL no block was found"; failed=1; }
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && { [ "$skipped" -eq 0 ] || [ "${SKIPS_AS_FAILS-}" != 1 ]; }

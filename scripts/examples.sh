#!/bin/sh
# Compiles each example with the command line in its first comment, with the headers and the library of this tree in place
# of installed ones, into BUILD/examples/. One that needs a library which is not here is skipped.
#
#     scripts/examples.sh BUILD
set -u
cd "$(dirname "$0")/.." || exit 2
build=$1
passed=0 failed=0 skipped=0
mkdir -p "$build/examples" || exit 2

for file in examples/*.c; do
    name=$(basename "$file" .c)
    line=$(sed -n 's|^ \*  *\(cc '"$name"'\.c .*\)$|\1|p' "$file" | head -n 1)
    # The words are those of the comment; only where netconn is, is ours to say.
    line=$(printf '%s\n' "$line" | sed "s|^cc $name.c -o $name |${CC:-cc} -O1 -g $file -o $build/examples/$name |
        s|\$(pkg-config --cflags --libs netconn)|-Iinclude -L$build -lnetconn -Wl,-rpath,$build|
        s|/usr/local/include/netconn|include|g; s|/usr/local/lib|$build|g")
    if [ -z "$line" ]; then
        echo "FAIL $name: its first comment does not say how it is compiled"
        failed=$((failed + 1))
    elif ! missing=$(sh -c "$(printf '%s' "$line" | sed "s| -o [^ ]* | -E -o /dev/null |")" 2>&1); then
        case $missing in
        *"No such file or directory"*) # one of ours would be no reason
            header=$(printf '%s\n' "$missing" | sed -n 's/.*error: \(.*\): No such file or directory.*/\1/p' | head -n 1)
            if [ -e "include/$header" ]; then echo "FAIL $name: does not find $header"; failed=$((failed + 1)); continue; fi
            echo "skip $name: needs $header"
            skipped=$((skipped + 1))
            ;;
        *) echo "FAIL $name: $missing"; failed=$((failed + 1)) ;;
        esac
    elif sh -c "$line"; then
        echo "ok $name"
        passed=$((passed + 1))
    else
        echo "FAIL $name: does not compile"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]

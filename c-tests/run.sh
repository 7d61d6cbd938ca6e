#!/bin/sh
# Compiles and runs netconn's C tests, and sums up what they say.
#
#     c-tests/run.sh [-b] [PROGRAM...]        e.g. c-tests/run.sh net_conn/tls evloop
#
# A program is one file c-tests/FOLDER/NAME.c, selected as FOLDER/NAME; FOLDER alone selects all of its programs, and
# nothing all there are. Each prints a line a test (see harness.h); the last line of all is
# `N passed, N failed, N skipped`, and the exit status is 1 when something failed, did not compile, or (with
# SKIPS_AS_FAILS=1) was skipped. -b only builds. A program that does not use the harness counts as one test, passed
# when it exits with 0. Where there is FOLDER/NAME.build, it is a shell script that compiles other programs which the
# test runs, into $BUILD, with the same variables; RUNNER is then for these, and the test itself runs without.
#
# A program whose first line is `/* needs: PACKAGE HEADER FLAGS... */` is compiled with these flags (e.g. -lev, or
# pkg-config:NAME for what pkg-config says of NAME); where the header is missing it counts as one test, skipped, and the
# Debian package is named.
#
# Environment (the Makefile sets what it knows better than these defaults):
#   CC                  the compiler [cc]
#   CFLAGS              its flags besides -std=c11 -Wall -Wextra -Werror [-O1 -g]
#   INCLUDE             the directory of the public headers [include]
#   BUILD_INCLUDE       that of the headers which are another one's in each build; it comes before [none]
#   LDLIBS              how to link netconn [-Lbuild -lnetconn, with an rpath]
#   TESTLIBS            what our test peers need, which speak TLS through OpenSSL [-lssl -lcrypto -lpthread]
#   BUILD               the directory of the binaries and logs [build/c-tests]
#   RUNNER              a command before each program; `valgrind` alone stands for valgrind with our flags
#   JOBS                how many run at a time [3]
#   NETCONN_TEST_CERTS  the test certificates (cargo run -q -p xtask -- certs DIR)
#   NETCONN_TEST_TLS    0: the library is a build without TLS; what needs it is left out and not counted
#   SKIPS_AS_FAILS      1: a skipped test is a failed one
#   NETCONN_TEST_SMALL, NETCONN_TEST_SLOW  see harness.h; [1 and 10] under valgrind, [1 and 4] with a sanitizer
#
# Under valgrind and with -fsanitize=address a program that leaks on purpose (negative/leak.c) is run first: a checker
# that does not catch it fails the run.
set -u
cd "$(dirname "$0")/.." || exit 2
tests=c-tests

: "${CC:=cc}" "${CFLAGS=-O1 -g}" "${INCLUDE:=include}" "${BUILD:=build/c-tests}" "${RUNNER=}" "${JOBS:=3}"
: "${LDLIBS=-Lbuild -lnetconn -Wl,-rpath,$PWD/build}" "${TESTLIBS=-lssl -lcrypto -lpthread}"
flags="-std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror ${BUILD_INCLUDE:+-I$BUILD_INCLUDE} -I$INCLUDE"

checker=
case " $CFLAGS " in *-fsanitize=*address*) checker=AddressSanitizer ;; esac
case $RUNNER in
valgrind)
    # Every test is a forked process, which valgrind follows by itself; programs that a test executes (nginx, openssl)
    # are not its business. What OpenSSL keeps until the exit is reachable, and no leak.
    RUNNER="valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect,possible"
    RUNNER="$RUNNER --errors-for-leak-kinds=definite,indirect --trace-children=no --num-callers=30 --fair-sched=yes"
    if [ -f $tests/valgrind.supp ]; then RUNNER="$RUNNER --suppressions=$tests/valgrind.supp"; fi
    checker=valgrind
    ;;
*valgrind*) checker=valgrind ;;
esac
case $checker in
valgrind) : "${NETCONN_TEST_SLOW=10}" "${NETCONN_TEST_SMALL=1}" ;;
AddressSanitizer) : "${NETCONN_TEST_SLOW=4}" "${NETCONN_TEST_SMALL=1}" ;;
*) : "${NETCONN_TEST_SLOW=1}" "${NETCONN_TEST_SMALL=0}" ;;
esac
export CC CFLAGS INCLUDE LDLIBS TESTLIBS BUILD RUNNER NETCONN_TEST_SLOW NETCONN_TEST_SMALL flags tests

only_build=
if [ "${1-}" = -b ]; then only_build=1; shift; fi

# ---- What to run ----------------------------------------------------------------------------------------------------

if [ $# -eq 0 ]; then set -- $tests/*/; fi
programs=
for name; do
    name=${name#"$tests"/}; name=${name%.c}; name=${name%/}
    found=
    for file in "$tests/$name.c" "$tests/$name"/*.c; do
        case $file in "$tests"/support/* | "$tests"/negative/*) found=1; continue ;; esac
        [ -f "$file" ] || continue
        file=${file#"$tests"/}
        programs="$programs ${file%.c}"
        found=1
    done
    if [ -z "$found" ]; then echo "run.sh: there is no test program $name" >&2; exit 2; fi
done

# ---- Compile --------------------------------------------------------------------------------------------------------

mkdir -p "$BUILD/support" "$BUILD/negative" || exit 2
rm -f "$BUILD/support"/*.o "$BUILD/libtestsupport.a"
for file in $tests/harness.c $tests/support/*.c; do
    [ -f "$file" ] && echo "$file"
done | xargs -P "$JOBS" -I{} sh -c '
    $CC $flags $CFLAGS -c "{}" -o "$BUILD/support/$(basename "{}" .c).o"' || exit 1
ar rcs "$BUILD/libtestsupport.a" "$BUILD/support"/*.o || exit 1

build_one='
    mkdir -p "$BUILD/$(dirname {})" && rm -f "$BUILD/{}" "$BUILD/{}.log" "$BUILD/{}.status"
    extra=
    set -- $(sed -n "1s|^/\* needs: \(.*\) \*/\$|\1|p" "$tests/{}.c")
    if [ $# -gt 0 ]; then
        package=$1 header=$2
        shift 2
        for flag; do
            case $flag in
            pkg-config:*) extra="$extra $(${PKG_CONFIG:-pkg-config} --cflags --libs "${flag#*:}" 2>/dev/null)" ;;
            *) extra="$extra $flag" ;;
            esac
        done
        if ! echo "#include <$header>" | $CC $flags $extra -E - >/dev/null 2>&1; then
            echo "skip {}: needs the Debian package $package" >"$BUILD/{}.log"
            echo skipped >"$BUILD/{}.status"
            exit 0
        fi
    fi
    $CC $flags $CFLAGS "$tests/{}.c" -o "$BUILD/{}" "$BUILD/libtestsupport.a" $LDLIBS $extra $TESTLIBS ||
        echo "FAIL {}: does not compile" >"$BUILD/{}.log"
    if [ -f "$tests/{}.build" ] && ! sh "$tests/{}.build"; then
        rm -f "$BUILD/{}"
        echo "FAIL {}: what it runs does not compile" >"$BUILD/{}.log"
    fi'
for program in $programs; do echo "$program"; done | xargs -P "$JOBS" -I{} sh -c "$build_one"

if [ -n "$only_build" ]; then
    for program in $programs; do
        [ -x "$BUILD/$program" ] || [ -f "$BUILD/$program.status" ] || exit 1
    done
    exit 0
fi

# ---- Does the checker work? -----------------------------------------------------------------------------------------

if [ -n "$checker" ]; then
    # Without the library, so that nothing but the checker is judged.
    if ! $CC $flags $CFLAGS $tests/negative/leak.c -o "$BUILD/negative/leak" "$BUILD/libtestsupport.a"; then exit 1; fi
    if $RUNNER "$BUILD/negative/leak" >"$BUILD/negative/leak.log" 2>&1 || ! grep -q '^FAIL leak' "$BUILD/negative/leak.log"; then
        cat "$BUILD/negative/leak.log"
        echo "run.sh: $checker did not catch $tests/negative/leak.c: its verdict on the other programs is worth nothing" >&2
        exit 1
    fi
    echo "$checker catches a leak"
fi

# ---- Run ------------------------------------------------------------------------------------------------------------

run_one='
    log="$BUILD/{}.log"
    if [ -x "$BUILD/{}" ]; then
        runner=$RUNNER
        if [ -f "$tests/{}.build" ]; then runner=; fi
        $runner "$BUILD/{}" >"$log" 2>&1
        echo $? >"$BUILD/{}.status"
    fi
    if command -v flock >/dev/null; then flock "$BUILD/lock" cat "$log"; else cat "$log"; fi'
for program in $programs; do echo "$program"; done | xargs -P "$JOBS" -I{} sh -c "$run_one"

passed=0 failed=0 skipped=0 failures=
for program in $programs; do
    status=$(cat "$BUILD/$program.status" 2>/dev/null || echo none)
    sum=$(grep -E "^$(basename "$program"): [0-9]+ passed, [0-9]+ failed, [0-9]+ skipped\$" "$BUILD/$program.log" | tail -n 1)
    if [ "$status" = none ]; then # did not compile: the log says so
        failed=$((failed + 1)) failures="$failures $program"
    elif [ "$status" = skipped ]; then
        skipped=$((skipped + 1))
    elif [ -n "$sum" ]; then
        # "NAME: 3 passed, 0 failed, 1 skipped"
        set -- $sum
        passed=$((passed + $2)) failed=$((failed + $4)) skipped=$((skipped + $6))
        if [ "$4" -ne 0 ]; then
            failures="$failures $program"
        elif [ "$status" -ne 0 ]; then # all tests passed, and the parent itself did not
            echo "FAIL $program: exit status $status"
            failed=$((failed + 1)) failures="$failures $program"
        fi
    elif [ "$status" -eq 0 ]; then
        echo "ok $program"
        passed=$((passed + 1))
    else
        echo "FAIL $program: exit status $status"
        failed=$((failed + 1)) failures="$failures $program"
    fi
done

if [ -n "$failures" ]; then echo "failed:$failures"; fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] || exit 1
[ "$skipped" -eq 0 ] || [ "${SKIPS_AS_FAILS-}" != 1 ]

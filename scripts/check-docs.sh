#!/bin/sh
# What the README promises and another file says too.
set -u
cd "$(dirname "$0")/.." || exit 2
. scripts/claims.sh

# The text between the first "```c" and its "```".
program() { awk '/^```c$/ && !done { inside = 1; next } /^```$/ { if (inside) done = 1; inside = 0 } inside' README.md; }
same_program() { program | diff - examples/get.c; }

rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
newest_needed() { cargo metadata --locked --format-version 1 | grep -o '"rust_version":"[^"]*"' | cut -d'"' -f4 | sort -V | tail -n 1; }
at_most() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | tail -n 1)" = "$2" ]; }

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

claim "the README's program is examples/get.c" same_program
claim "the README names the Rust version of Cargo.toml ($rust)" grep -q "Rust $rust" README.md
claim "no locked dependency needs a newer Rust ($(newest_needed))" at_most "$(newest_needed)" "$rust"
claim "the changelog has version $version" grep -q "^## .*$version" CHANGELOG.md
claim "the Debian package has version $version" grep -q "^netconn ($version-" debian/changelog
claim "the header has version $version" grep -q "^#define NETCONN_VERSION \"$version\"" include/netconn.h

sum_up

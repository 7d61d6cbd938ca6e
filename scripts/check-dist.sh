#!/bin/sh
# Makes the source archive twice, looks into it, unpacks it to BUILD/dist, and builds it there as the README says on a
# machine without network. What it built stays: the other checks of a package take place there.
#
#     scripts/check-dist.sh BUILD
set -u
cd "$(dirname "$0")/.." || exit 2
mkdir -p "$1"
build=$(cd "$1" && pwd) || exit 2
. scripts/claims.sh

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
name=netconn-$version
archive=$build/$name.tar.xz
dist=$build/dist
source=$dist/$name

claim "make dist" make -s BUILD="$build" dist
xz -dc "$archive" >"$scratch/tar" || exit 2
tar -tvf "$scratch/tar" >"$scratch/list"
rm -rf "$dist"
mkdir -p "$dist"
tar -x -C "$dist" -f "$scratch/tar"

# ---- What is in it --------------------------------------------------------------------------------------------------

# Another time, another umask, another user's environment.
again() { (umask 077 && TZ=Pacific/Auckland LC_ALL=C XZ=cat packaging/dist.sh "$version" "$scratch/again") && cmp "$scratch/tar" "$scratch/again"; }
claim "the same commit gives the same archive" again
claim "all is in one directory" sh -c "! tar -tf '$scratch/tar' | grep -v '^$name/'"
claim "of nobody" sh -c "! awk '\$2 != \"0/0\"' '$scratch/list' | grep ."
claim "from one time" [ "$(awk '{ print $4, $5 }' "$scratch/list" | sort -u | wc -l)" = 1 ]
committed() { git ls-tree -r --name-only HEAD | LC_ALL=C sort; }
unpacked() { (cd "$source" && find . ! -type d ! -path './vendor/*' | sed 's|^\./||' | LC_ALL=C sort); }
same_files() { committed >"$scratch/one"; unpacked >"$scratch/two"; diff "$scratch/one" "$scratch/two"; }
claim "it has what is committed" same_files
crates() { awk '/^\[\[package\]\]/ { name = "" } /^name = / { name = $3 } /^source = / { print name }' Cargo.lock | wc -l; }
claim "and every crate of Cargo.lock" [ "$(find "$source/vendor" -mindepth 1 -maxdepth 1 | wc -l)" = "$(crates)" ]
claim "and OpenSSL's source" [ -f "$source/vendor/openssl-src/openssl/Configure" ]
claim "its settings for cargo name no host and no place" \
    sh -c "! grep -nE '://|[\"= ]/|registry|index' '$source/.cargo/config.toml'"
places() { printf '%s\n' "$PWD" "$HOME/" "${CARGO_HOME:-$HOME/.cargo}" "$build" | sort -u; }
nowhere() { places >"$scratch/places"; ! grep -rlFf "$scratch/places" "$source"; }
if [ "${HOME%/}" ]; then claim "nothing in it tells where it was made" nowhere; fi
claim "it is no larger than it should be" [ "$(wc -c <"$archive")" -lt 20000000 ]

# ---- As the README says, without network ----------------------------------------------------------------------------

offline=$PWD/scripts/offline.sh
in_source() { (cd "$source" && unset CARGO_TARGET_DIR && "$@"); }
claim "make" in_source "$offline" make
claim "make install" in_source "$offline" make install PREFIX="$scratch/usr"
claim "which is complete" [ -f "$scratch/usr/include/netconn/net_conn.h" ]
claim "make dist says that it needs a checkout" in_source sh -c '! make dist 2>"$1" && grep -q checkout "$1"' sh "$scratch/said"

sum_up

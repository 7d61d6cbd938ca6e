#!/bin/sh
# Makes the source archive of a release: what is committed, and every crate that Cargo.lock names (with OpenSSL's source,
# for machines without it), so that it builds without network. The same commit gives the same bytes.
#
#     packaging/dist.sh VERSION FILE       FILE: netconn-VERSION.tar.xz
#
# XZ='cat' leaves it uncompressed, for a comparison.
set -eu
cd "$(dirname "$0")/.."
version=$1 archive=$2
name=netconn-$version
: "${XZ:=xz -6 -T1}" "${CARGO:=cargo}"

if ! commit_time=$(git log -1 --format=%ct 2>/dev/null) || [ "$(git rev-parse --show-toplevel)" != "$(pwd -P)" ]; then
    echo "make dist: this is no git checkout, so what belongs into an archive is not known" >&2
    exit 1
fi
if [ -n "$(git status --porcelain)" ]; then echo "make dist: what is not committed is left out" >&2; fi

work=$archive.work
rm -rf "$work"
mkdir -p "$work/$name"
trap 'rm -rf "$work"' EXIT
git archive HEAD | tar -x -C "$work/$name"

(cd "$work/$name" && $CARGO vendor --locked --quiet vendor >/dev/null)
cat >>"$work/$name/.cargo/config.toml" <<'C'

# This is a source archive: every crate is in vendor/, and no network is needed.
[source.crates-io]
replace-with = "vendored-sources"

[source.vendored-sources]
directory = "vendor"
C

# Order, times, owners and modes are those of no machine.
tar -c -C "$work" --format=ustar --sort=name --mtime="@$commit_time" --owner=0 --group=0 --numeric-owner \
    --mode='u=rwX,go=rX' "$name" >"$work/tar" || {
    echo "make dist: GNU tar is needed" >&2
    exit 1
}
$XZ <"$work/tar" >"$work/archive"
mv "$work/archive" "$archive"

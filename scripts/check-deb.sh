#!/bin/sh
# Builds the Debian package in SOURCE, an unpacked source archive, without network; installs it into a root of its own;
# and uses it from there.
#
#     scripts/check-deb.sh SOURCE
set -u
cd "$(dirname "$0")/.." || exit 2
source=$(cd "$1" && pwd) || exit 2
: "${CC:=cc}"
. scripts/claims.sh
. scripts/use-installed.sh

for tool in dpkg-buildpackage dh; do
    if ! command -v $tool >/dev/null; then
        skip "the Debian package" "$tool is not installed"
        sum_up
        exit
    fi
done

# ---- Building -------------------------------------------------------------------------------------------------------

# What make has built in SOURCE is taken, and tests have their own place. Rust need not be Debian's (-d).
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
build_package() {
    (cd "$source" && unset CARGO_TARGET_DIR MAKEFLAGS &&
        DEB_BUILD_OPTIONS='nocheck noautodbgsym' "$offline" dpkg-buildpackage -us -uc -b -d -nc)
}
offline=$PWD/scripts/offline.sh
rm -f "$source"/../*.deb "$source/debian/files" "$source/debian/debhelper-build-stamp"
claim "dpkg-buildpackage -us -uc -b" build_package
debs=$(cd "$source/.." && pwd)
library=$(echo "$debs"/libnetconn0_*.deb) development=$(echo "$debs"/libnetconn-dev_*.deb)
claim "a library and its development files, and nothing else" \
    [ "$(find "$debs" -maxdepth 1 -name '*.deb' | wc -l)" = 2 -a -f "$library" -a -f "$development" ]

multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
# $1: a package. Its files but for the documentation.
files() { dpkg --contents "$1" | awk '!/^d/ { print $6 }' | grep -v '^\./usr/share/doc/' | LC_ALL=C sort; }
{
    (cd "$source/include" && find . -name '*.h' | sed 's|^\.|./usr/include/netconn|')
    printf "./usr/lib/$multiarch/%s\n" libnetconn.a libnetconn.so libsocket.a libsocket.so \
        pkgconfig/netconn.pc pkgconfig/netconn-static.pc pkgconfig/libsocket.pc \
        cmake/netconn/netconn-config.cmake cmake/netconn/netconn-config-version.cmake
} | LC_ALL=C sort >"$scratch/expected"
printf "./usr/lib/$multiarch/%s\n" libnetconn.so.0 "libnetconn.so.$version" | LC_ALL=C sort >"$scratch/expected-library"
files_are() { files "$1" | diff "$2" -; }
claim "the library's files" files_are "$library" "$scratch/expected-library"
claim "the development files" files_are "$development" "$scratch/expected"
field() { dpkg-deb --field "$1" "$2"; }
claim "the library depends on OpenSSL and the C library" \
    sh -c "echo '$(field "$library" Depends)' | grep 'libssl3' | grep -q 'libc6'"
claim "the development files on the same library" \
    [ "$(field "$development" Depends | grep -o 'libnetconn0 ([^)]*)')" = "libnetconn0 (= $(field "$library" Version))" ]
claim "and on OpenSSL's, for the static one" sh -c "echo '$(field "$development" Depends)' | grep -q libssl-dev"
claim "programs get a dependency on the library" \
    sh -c "dpkg-deb --ctrl-tarfile '$library' | tar -xO ./shlibs | grep -q '^libnetconn 0 libnetconn0'"
claim "ldconfig runs" sh -c "dpkg-deb --ctrl-tarfile '$library' | tar -xO ./triggers | grep -q ldconfig"

# ---- Installing -----------------------------------------------------------------------------------------------------

root=$scratch/root
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/triggers"
: >"$root/var/lib/dpkg/status"
as_root=
[ "$(id -u)" -eq 0 ] || as_root=fakeroot
into_root() { $as_root dpkg --root="$root" --log="$scratch/dpkg.log" --force-not-root --force-depends "$@"; }
claim "dpkg --install" into_root --install "$library" "$development"
claim "both are installed" \
    [ "$(dpkg-query --admindir="$root/var/lib/dpkg" -W -f '${db:Status-Status} ' libnetconn0 libnetconn-dev)" = "installed installed " ]
use_installed "the Debian package" "$root/usr" "$root/usr/lib/$multiarch" system
claim "dpkg --purge" into_root --purge libnetconn-dev libnetconn0
claim "nothing is left" [ -z "$(find "$root" ! -type d ! -path '*/var/lib/dpkg/*')" ]

# What Debian's own checker says, where there is one.
if command -v lintian >/dev/null; then
    claim "lintian" lintian --allow-root --no-cfg --fail-on error,warning \
        --suppress-tags initial-upload-closes-no-bugs "$library" "$development"
fi

sum_up

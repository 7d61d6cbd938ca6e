# Sourced by the benchmarks: where things are, and how programs are compiled beside the library.
#
# $1: the folder of the built library, $2: the folder of the test certificates.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$1
certs=$2
programs=$build/bench
mkdir -p "$programs"

cc=${CC:-cc}
libs=$(pkg-config --libs openssl 2>/dev/null || echo "-lssl -lcrypto")

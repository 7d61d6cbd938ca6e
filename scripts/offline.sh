#!/bin/sh
# Runs a command as on a machine that has never seen a crate and reaches no network.
#
#     scripts/offline.sh COMMAND [ARGUMENT]...
set -eu
CARGO_HOME=$(mktemp -d)
trap 'rm -rf "$CARGO_HOME"' EXIT
export CARGO_HOME CARGO_NET_OFFLINE=true
# Where rustup keeps its toolchains does not depend on who builds a package in what home.
RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
if [ -d "$RUSTUP_HOME" ]; then export RUSTUP_HOME; fi
# A network of its own, in which even the loopback device is down; not every system lets one have that.
if unshare -rn true 2>/dev/null; then unshare -rn "$@"; else "$@"; fi

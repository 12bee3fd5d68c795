#!/bin/sh
# Installs wrk, with which `make bench` asks the daemon, Nomad and a bare handler for lists, where it is missing.
set -eu

fail() { echo "tools/wrk.sh: $1" >&2; exit 1; }

command -v wrk >/dev/null && exit 0
{ [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; } || fail "wrk is missing: install it with your system's package manager"
echo "Installing wrk with apt-get"
{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends wrk >/dev/null; } || fail "apt-get install wrk failed"

#!/bin/sh
# Checks what "make test-release" needs to make a Debian of its own, or installs it: on Debian and Ubuntu, as root.
set -eu

fail() { echo "tools/debian.sh: $*" >&2; exit 1; }

has() { command -v "$1" >/dev/null 2>&1; }

[ "$(id -u)" = 0 ] || fail "only root can make a Debian of its own: run this as root"
missing=""
has debootstrap || missing="$missing debootstrap"
has systemd-analyze || missing="$missing systemd"
has docker || missing="$missing docker.io"
has pgrep || missing="$missing procps"
has unshare || missing="$missing util-linux"
[ -z "$missing" ] && exit 0
has apt-get || fail "install these (Debian's names):$missing"
echo "Installing with apt-get:$missing"
apt-get update -qq || fail "apt-get update failed"
# shellcheck disable=SC2086 # a list of names
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null || fail "apt-get install$missing failed"

#!/bin/sh
# Checks what `make dev` and `make test` need besides Docker. Where something is missing and cannot be installed, one line
# says what to install.
set -eu

fail() { echo "dynomad: $1" >&2; exit 1; }

command -v go >/dev/null || fail "Go is missing: install Go 1.26 or newer from go.dev/dl"
version=$(go env GOVERSION | sed 's/^go//')
major=${version%%.*}
minor=${version#*.}; minor=${minor%%[!0-9]*}
[ "$major" -gt 1 ] || [ "$minor" -ge 26 ] || fail "Go $version is too old: install Go 1.26 or newer from go.dev/dl"

missing=""
command -v gcc >/dev/null || command -v cc >/dev/null || missing="$missing gcc"
echo '#include <stdlib.h>' | cc -E - >/dev/null 2>&1 || missing="$missing libc6-dev"
command -v curl >/dev/null || missing="$missing curl"
command -v git >/dev/null || missing="$missing git"
command -v ip >/dev/null || missing="$missing iproute2"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "installing$missing"
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null && exit 0
fi
fail "missing:$missing; install them with your system's package manager"

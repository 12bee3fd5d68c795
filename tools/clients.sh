#!/bin/sh
# Installs the clients of other platforms that "make test-clients" drives the API with, below bin/clients, once. Says what to
# install where it cannot.
set -eu

HEROKU=11.10.0

fail() { echo "tools/clients.sh: $*" >&2; exit 1; }

if ! command -v npm >/dev/null 2>&1; then
  { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; } || fail "npm is missing: install nodejs and npm (Debian's names)"
  echo "Installing nodejs and npm with apt-get"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends nodejs npm >/dev/null; } ||
    fail "apt-get install nodejs npm failed"
fi

into=bin/clients/heroku-$HEROKU
[ -x "$into/node_modules/.bin/heroku" ] && exit 0
echo "Installing heroku $HEROKU from npm (700 packages, a minute)"
rm -rf "$into" && mkdir -p "$into"
(cd "$into" && npm install "heroku@$HEROKU" --ignore-scripts --no-audit --no-fund --loglevel=error >npm.log 2>&1) ||
  { cat "$into/npm.log" >&2; rm -rf "$into"; fail "npm install heroku@$HEROKU failed"; }

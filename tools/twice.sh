#!/bin/sh
# Makes the release in dist once more, of a copy of the tree in another folder, with an empty build cache, and with what differs
# between machines set otherwise: the bytes must be the same.
#
#   tools/twice.sh VERSION
set -eu

version=${1:?usage: tools/twice.sh VERSION}
root=$(cd "$(dirname "$0")/.." && pwd)
copy=$(mktemp -d)
trap 'chmod -R u+w "$copy" && rm -rf "$copy"' EXIT

echo "Building everything once more, from nothing (about 5 minutes on two cores)"
mkdir "$copy/tree"
(cd "$root" && git ls-files -co --exclude-standard -z | tar -cf - --null -T -) | tar -xf - -C "$copy/tree"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct)}
export SOURCE_DATE_EPOCH TZ=Pacific/Chatham LC_ALL=C LOGNAME=somebody USER=somebody
umask 077
cd "$copy/tree/tools/release"
go build -o "$copy/release" .
GOCACHE=$copy/cache "$copy/release" -root "$copy/tree" -out "$copy/dist" -version "$version" >/dev/null
if ! diff "$root/dist/SHA256SUMS" "$copy/dist/SHA256SUMS"; then
  echo "tools/twice.sh: the second build has other bytes" >&2
  exit 1
fi
echo "Twice the same bytes."

#!/bin/sh
# Builds bin/nomad, bin/consul, bin/traefik or bin/levant from the versions that tools/NAME/go.mod pins, unless it is up to date.
#
#   tools/build.sh NAME
set -eu

name=${1:-}
case $name in
  nomad)   package=github.com/hashicorp/nomad                 tags=ui minutes=3 ;; # ui: the web interface
  consul)  package=github.com/hashicorp/consul                tags=   minutes=2 ;;
  traefik) package=github.com/traefik/traefik/v3/cmd/traefik  tags=   minutes=5 ;;
  levant)  package=github.com/hashicorp/levant                tags=   minutes=3 ;; # for benchmarks only
  *) echo "usage: tools/build.sh nomad|consul|traefik|levant" >&2; exit 2 ;;
esac

root=$(cd "$(dirname "$0")/.." && pwd)
module=$root/tools/$name
binary=$root/bin/$name
stamp=$root/bin/.$name.built-from
command -v go >/dev/null || { echo "tools/build.sh: go is not installed: install Go 1.26 or newer" >&2; exit 1; }
mkdir -p "$root/bin"

# One build at a time: they fill the machine, and two of the same would be work for nothing.
exec 9>"$root/bin/.build.lock"
flock 9

wanted=$(cat "$0" "$module/go.mod" "$module/go.sum" | sha256sum | cut -d ' ' -f 1)
if [ -x "$binary" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi

version=$(awk -v package="$package" '
  $1 == "require" { $1 = ""; $0 = $0 }
  index(package "/", $1 "/") == 1 { print $2; exit }' "$module/go.mod")
echo "Building bin/$name $version. With cold caches and two cores this takes about $minutes minutes and a good"
echo "network; all three tools leave about 10 GB in Go's module and build caches. Later builds take seconds."

# The module is nested in this repository, which says nothing about its version: hence no -buildvcs, whatever GOFLAGS
# says, and no workspace.
new=$binary.new.$$
trap 'rm -f "$new"' EXIT
start=$(date +%s)
(cd "$module" && GOWORK=off go build -mod=readonly -buildvcs=false -trimpath -tags="$tags" -ldflags '-s -w' -o "$new" "$package")
mv "$new" "$binary"
echo "$wanted" >"$stamp"
echo "Built bin/$name in $(($(date +%s) - start)) s."

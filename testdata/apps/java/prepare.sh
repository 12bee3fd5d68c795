#!/bin/sh
# Puts into the folder $1 what the Dockerfile copies: the app, and a runtime with jcmd and the libraries that it needs.
set -eu
out=$1
javac -d "$out/classes" Main.java
jlink --add-modules java.base,jdk.jcmd --strip-debug --compress=2 --no-header-files --no-man-pages --output "$out/root/java"
rm -r "$out/root/java/legal"
find "$out/root/java" -name '*.so' -o -path '*/bin/*' -type f | xargs ldd | sed -n 's/^.*[[:space:]]\(\/[^ ]*\) (0x.*$/\1/p' |
	grep -v "^$out" | sort -u | xargs cp -L --parents -t "$out/root"

#!/usr/bin/env bash
# Runs a go test command. If it fails, what failed is said once more at the very end, after the logs, where it is found.
set -uo pipefail
out=$(mktemp)
trap 'rm -f "$out"' EXIT
echo "$*"
"$@" 2>&1 | tee "$out"
rc=${PIPESTATUS[0]}
if [ "$rc" -ne 0 ]; then
	echo "=== what failed: $*"
	grep -E '^ *--- FAIL:|^(FAIL|panic:)|DATA RACE|[a-z_]+_test\.go:[0-9]+: |^[^ ]+\.go:[0-9]+:[0-9]+: ' "$out" | cut -c1-400 | head -50
fi
exit "$rc"

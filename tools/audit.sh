#!/bin/sh
# The audit of the code: `tools/audit.sh [gosec] [vulns]`, both if none is named. `make audit` builds what it needs.
#
# gosec    looks for mistakes in all code. What it finds is mended, or explained where it stands.
# vulns    looks for known vulnerabilities in what the programs call (govulncheck). GOVULNDB is where the database is: an address, or
#          file:///folder for a copy of https://vuln.go.dev. Without a database there is no pass.
set -u
cd "$(dirname "$0")/.." || exit 1

gosec() {
	if bin/golangci-lint run --build-tags integration --enable-only gosec,nolintlint ./...; then
		echo "gosec: pass"
		return 0
	fi
	echo "gosec: no pass"
	return 1
}

vulns() {
	db=${GOVULNDB:-https://vuln.go.dev}
	found=$(timeout 600 bin/govulncheck -db "$db" ./... 2>&1)
	code=$?
	case $code in
	0) echo "govulncheck: pass, by the database $db" ;;
	3)
		echo "$found"
		echo "govulncheck: no pass: vulnerabilities were found"
		;;
	*)
		case $found in
		*"fetching vulnerabilities"* | *"creating client"*)
			echo "govulncheck: no pass: the database $db cannot be read; GOVULNDB=file:///folder uses a copy" ;;
		*)
			echo "$found"
			echo "govulncheck: no pass: it did not come to an end (exit code $code)"
			;;
		esac
		;;
	esac
	return $code
}

failed=0
[ $# -gt 0 ] || set -- gosec vulns
for part in "$@"; do
	case $part in
	gosec) gosec || failed=1 ;;
	vulns) vulns || failed=1 ;;
	*)
		echo "usage: tools/audit.sh [gosec] [vulns]" >&2
		exit 2
		;;
	esac
done
exit $failed

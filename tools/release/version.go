package main

import (
	"regexp"
	"strings"
	"time"
)

var (
	versionText   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+-]*$`)
	startsNumeric = regexp.MustCompile(`^v?[0-9]+\.`)
)

func validVersion(version string) bool { return versionText.MatchString(version) }

// debianVersion is a version in the form of Debian, which must begin with a digit and order as it was made: v1.2.3 is 1.2.3,
// v1.3.0-rc1 comes before 1.3.0, and a commit after v1.2.3 after that. A commit without any tag comes before all that have one.
func debianVersion(version string, when time.Time) string {
	if !startsNumeric.MatchString(version) {
		return "0~" + when.UTC().Format("20060102150405") + "." + strings.ReplaceAll(version, "-", ".")
	}
	version = strings.TrimPrefix(version, "v")
	base, rest, ok := strings.Cut(version, "-")
	if !ok {
		return base
	}
	first, more, _ := strings.Cut(rest, "-")
	if isPreRelease(first) {
		base, rest = base+"~"+first, more
	}
	if rest != "" {
		base += "+" + rest
	}
	return strings.ReplaceAll(base, "-", ".")
}

// isPreRelease tells rc1 of a tag from the number of commits since one.
func isPreRelease(part string) bool { return part != "dirty" && strings.Trim(part, "0123456789") != "" }

// imageTag is a version as a tag of an image, which may have no plus.
func imageTag(version string) string { return strings.ReplaceAll(version, "+", "-") }

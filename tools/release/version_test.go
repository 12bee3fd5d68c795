package main

import (
	"os/exec"
	"testing"
	"time"
)

func TestDebianVersion(t *testing.T) {
	t.Parallel()
	when := time.Date(2026, 11, 22, 13, 4, 5, 0, time.UTC)
	for version, want := range map[string]string{
		"v1.2.3":                "1.2.3",
		"1.2.3":                 "1.2.3",
		"v1.3.0-rc1":            "1.3.0~rc1",
		"v1.2.3-4-gabc1234":     "1.2.3+4.gabc1234",
		"v1.3.0-rc1-4-gabc1234": "1.3.0~rc1+4.gabc1234",
		"v1.2.3-dirty":          "1.2.3+dirty",
		"7048fdb":               "0~20261122130405.7048fdb",
		"7048fdb-dirty":         "0~20261122130405.7048fdb.dirty",
		"dev":                   "0~20261122130405.dev",
	} {
		if got := debianVersion(version, when); got != want {
			t.Errorf("debianVersion(%q) = %q, want %q", version, got, want)
		}
	}
}

// TestDebianVersion_order asks dpkg whether later versions are newer.
func TestDebianVersion_order(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("dpkg"); err != nil {
		t.Skip("dpkg is not here")
	}
	when := time.Date(2026, 11, 22, 13, 4, 5, 0, time.UTC)
	versions := []string{
		debianVersion("7048fdb", when), debianVersion("0a1b2c3", when.Add(time.Second)), debianVersion("v0.1.0-rc1", when),
		debianVersion("v0.1.0-rc1-2-g1234567", when), debianVersion("v0.1.0", when), debianVersion("v0.1.0-9-g1234567", when),
		debianVersion("v0.1.0-10-g0234567", when), debianVersion("v0.1.1", when), debianVersion("v0.10.0", when),
	}
	for i := 1; i < len(versions); i++ {
		if err := exec.CommandContext(t.Context(), "dpkg", "--compare-versions", versions[i-1], "lt", versions[i]).Run(); err != nil {
			t.Errorf("%s is not older than %s: %v", versions[i-1], versions[i], err)
		}
	}
}

func TestValidVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{"v1.2.3-4-gabc+x": true, "": false, "a b": false, "../x": false, "-x": false} {
		if got := validVersion(version); got != want {
			t.Errorf("validVersion(%q) = %t, want %t", version, got, want)
		}
	}
}

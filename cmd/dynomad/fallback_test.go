package main

import (
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFallbackTags(t *testing.T) {
	t.Parallel()
	got, err := fallbackTags("", "dynomad-fallback-1", "Apps.Example")
	want := []string{
		"traefik.enable=true",
		"traefik.http.routers.dynomad-fallback-1.rule=HostRegexp(`^.+\\.apps\\.example\\.?$`)",
		"traefik.http.routers.dynomad-fallback-1.priority=1",
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	host := regexp.MustCompile(strings.SplitN(got[1], "`", 3)[1])
	for name, fits := range map[string]bool{
		"x-default.apps.example": true, "a.b.apps.example": true, "x-default.apps.example.": true,
		"apps.example": false, "x-default.appsxexample": false, "x-default.apps.example.org": false, ".apps.example": false,
	} {
		if host.MatchString(name) != fits {
			t.Errorf("%s fits %s: want %t", host, name, fits)
		}
	}
	got, err = fallbackTags("\n  a={{.Service}}\n\nb={{.Domain}} {{.HostRegexp}}\n", "s", "D")
	if diff := cmp.Diff([]string{"a=s", `b=d ^.+\.d\.?$`}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, bad := range []string{"{{", "{{.Nope}}"} {
		if _, err := fallbackTags(bad, "s", "d"); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestAdvertised(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		setting, ip string
		host        string
		port        int
	}{
		{"", "127.0.0.1", "127.0.0.1", 4321},
		{"", "0.0.0.0", "", 4321},
		{"", "::", "", 4321},
		{"", "::1", "::1", 4321},
		{"10.1.2.3:0", "0.0.0.0", "10.1.2.3", 4321},
		{"pages.example:80", "127.0.0.1", "pages.example", 80},
		{":80", "127.0.0.1", "", 80},
		{"[fd00::1]:0", "::", "fd00::1", 4321},
	} {
		host, port, err := advertised(c.setting, &net.TCPAddr{IP: net.ParseIP(c.ip), Port: 4321})
		if host != c.host || port != c.port || err != nil {
			t.Errorf("%q on %s: got %q %d %v, want %q %d", c.setting, c.ip, host, port, err, c.host, c.port)
		}
	}
}

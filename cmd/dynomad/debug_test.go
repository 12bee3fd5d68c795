package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestDebug_address wants the profiles on addresses that only this machine reaches, unless told otherwise.
func TestDebug_address(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"": true, "127.0.0.1:6060": true, "[::1]:6060": true, "localhost:6060": true, "127.9.9.9:0": true,
		":6060": false, "0.0.0.0:6060": false, "[::]:6060": false, "10.0.0.1:6060": false, "example.com:6060": false, "6060": false,
	} {
		c := &Config{DebugListen: address}
		if got := len(c.checkDebug()) == 0; got != want {
			t.Errorf("%q: accepted %t, want %t", address, got, want)
		}
		c.DebugPublic = true
		if got := len(c.checkDebug()) == 0; got != (address != "6060") {
			t.Errorf("%q where others may reach it: accepted %t", address, got)
		}
	}
}

// TestServe_debug serves the profiles on their own address, and nowhere else.
func TestServe_debug(t *testing.T) {
	debug := nomadtest.FreeAddr(t)
	url, token, stop := lonelyWith(t, t.TempDir(), nil, func(c *Config) { c.DebugListen = debug })
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	for path, want := range map[string]string{
		"/debug/pprof/": "goroutine", "/debug/pprof/goroutine?debug=1": "goroutine profile", "/debug/pprof/heap?debug=1": "heap profile",
	} {
		if status, body := ask(t, http.MethodGet, "http://"+debug+path, "", ""); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("GET %s: %d %.80s", path, status, body)
		}
	}
	if status, _ := ask(t, http.MethodGet, url+"/debug/pprof/", token, ""); status != http.StatusNotFound {
		t.Errorf("the API has the profiles: %d", status)
	}
	if status, _ := ask(t, http.MethodGet, "http://"+debug+"/apps", token, ""); status != http.StatusNotFound {
		t.Errorf("the address of the profiles has the API: %d", status)
	}
}

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// guess sends a request with a token for somebody, and gives the status.
func (a *alone) guess(token, forwarded string) int {
	a.tb.Helper()
	r, err := http.NewRequestWithContext(a.tb.Context(), http.MethodGet, "http://"+a.addr+"/apps", nil)
	if err != nil {
		a.tb.Fatal(err)
	}
	r.Header.Set("Authorization", token)
	r.Header.Set("X-Forwarded-For", forwarded)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		a.tb.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// TestLimits starts a daemon with low limits: the settings reach what they are of.
func TestLimits(t *testing.T) {
	t.Parallel()
	a := newAlone(t, t.TempDir())
	a.command.Env = append(a.command.Env, "DYNOMAD_REFUSED_LIMIT=2", "DYNOMAD_TRUSTED_PROXIES=127.0.0.1,10.0.0.0/8", "DYNOMAD_MAX_CONNECTIONS=3")
	a.start()
	got := []int{a.guess("wrong", "192.0.2.1"), a.guess("wrong", "192.0.2.1"), a.guess(a.token, "192.0.2.1"), a.guess(a.token, "192.0.2.2, 10.0.0.7")}
	if diff := cmp.Diff([]int{401, 401, 429, 200}, got); diff != "" {
		t.Errorf("two wrong tokens, then right ones of that address and of another: %s", diff)
	}
	before := a.holds()
	for range 20 { // which stay, until there is no room
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", a.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		status := make([]byte, len("HTTP/1.1 200"))
		if _, err := io.ReadFull(conn, status); err != nil || !strings.HasSuffix(string(status), "200") {
			t.Fatalf("answered %q, %v", status, err)
		}
	}
	if now := a.holds(); now.files > before.files+3 {
		t.Errorf("with 20 connections it has %d files open, and had %d", now.files, before.files)
	}
}

// timed remembers the deadlines of an answer.
type timed struct {
	*httptest.ResponseRecorder
	read, write time.Time
}

func (d *timed) SetReadDeadline(at time.Time) error { d.read = at; return nil }

func (d *timed) SetWriteDeadline(at time.Time) error { d.write = at; return nil }

// TestMetrics_deadlines asks the listener of its own, which has no adapter: nobody holds a connection by not reading.
func TestMetrics_deadlines(t *testing.T) {
	t.Parallel()
	handler := newMetrics().alone()
	for method, status := range map[string]int{http.MethodGet: 200, http.MethodPost: 405} {
		d := &timed{ResponseRecorder: httptest.NewRecorder()}
		handler.ServeHTTP(d, httptest.NewRequestWithContext(t.Context(), method, "/metrics", nil))
		if d.Code != status || time.Until(d.read) <= 0 || time.Until(d.write) <= 0 || time.Until(d.write) > time.Minute {
			t.Errorf("%s: %d, read until %s, write until %s", method, d.Code, d.read, d.write)
		}
	}
}

func TestProxies(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "[]", "10.0.0.7": "[10.0.0.7/32]", "10.0.0.0/8,fd00::/8": "[10.0.0.0/8 fd00::/8]", "::ffff:10.0.0.7": "[10.0.0.7/32]", "fe80::1": "[fe80::1/128]",
	} {
		got, err := proxies(strings.FieldsFunc(text, func(r rune) bool { return r == ',' }))
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%q: %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"x", "10.0.0.7:80", "10.0.0.0/33", "", "10.0.0.7/"} {
		if got, err := proxies([]string{text}); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

package server_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// TestCompression asks for answers in gzip and without: they say the same, and each tells its own length. Small ones stay as they are.
func TestCompression(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/openapi.json", "/apps/api-default/dynos", "/apps/api-default/dynos", "/sizes"} {
		plain := w.must(200, "GET", path, "")
		zipped := w.must(200, "GET", path, "", "Accept-Encoding", "gzip, deflate, br")
		if plain.header.Get("Content-Encoding") != "" || zipped.header.Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s of %d bytes: encoded %q, and with gzip %q", path, len(plain.body), plain.header.Get("Content-Encoding"), zipped.header.Get("Content-Encoding"))
		}
		if got := unzip(t, zipped.body); got != plain.body || len(zipped.body) > len(plain.body)/2 {
			t.Errorf("%s: %d bytes became %d, which say %.200s", path, len(plain.body), len(zipped.body), got)
		}
		head := w.must(200, "HEAD", path, "", "Accept-Encoding", "gzip")
		for what, a := range map[string]answer{"plain": plain, "gzip": zipped, "HEAD": head} {
			want := len(zipped.body)
			if what == "plain" {
				want = len(plain.body)
			}
			if a.header.Get("Content-Length") != strconv.Itoa(want) || a.header.Get("Vary") != "Accept-Encoding" {
				t.Errorf("%s, %s: %v, want %d bytes", path, what, a.header, want)
			}
		}
	}
	for _, path := range []string{"/apps/api-default/formation/web", "/nothere", "/readyz"} {
		a := w.ask(rootToken, http.MethodGet, path, "", "Accept-Encoding", "gzip")
		if a.header.Get("Content-Encoding") != "" || !strings.HasPrefix(a.body, "{") {
			t.Errorf("%s: %d bytes are encoded: %v", path, len(a.body), a.header)
		}
	}
}

func unzip(t *testing.T, text string) string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader([]byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

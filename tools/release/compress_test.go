package main

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestCompressAll leaves a compressed file, which everybody may read, in the place of one that only its owner may.
func TestCompressAll(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	page := filepath.Join(dir, "page.1")
	if err := os.WriteFile(page, []byte("a page"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := compressAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(page); !os.IsNotExist(err) {
		t.Errorf("the page is still there: %v", err)
	}
	file, err := os.Open(page + ".gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // read only
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o644 {
		t.Errorf("its mode is %s", info.Mode())
	}
	r, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil || string(text) != "a page" {
		t.Errorf("it has %q, %v", text, err)
	}
	if r.Name != "" || !r.ModTime.IsZero() {
		t.Errorf("it tells of %q, %s", r.Name, r.ModTime)
	}
}

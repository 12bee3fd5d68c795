package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestCorrupt starts the daemon on databases that are damaged: it refuses, says how to restore, and leaves the files as they are. What it
// says is then done.
//
// SQLite keeps no checksums in the database: a bit that flips in the text of a record is not noticed, one in an encrypted value or in what
// holds the pages together is.
func TestCorrupt(t *testing.T) {
	t.Parallel()
	whole := filepath.Join(t.TempDir(), "data")
	a := newAlone(t, whole)
	a.start()
	k := newKeeper(a)
	for range 5 {
		k.write("")
	}
	a.stop()
	good, err := os.ReadFile(filepath.Join(whole, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(whole, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(at int) []byte {
		bad := bytes.Clone(good)
		bad[at] ^= 0xff
		return bad
	}
	for name, bad := range map[string][]byte{
		"no bytes":             {},
		"a few bytes":          good[:100],
		"half":                 good[:len(good)/2],
		"a page less":          good[:len(good)-4096],
		"the header":           flipped(3),
		"the page size":        flipped(16),
		"the schema's page":    flipped(100),
		"the first table":      flipped(4096),
		"a page in the middle": bytes.Join([][]byte{good[:8192], bytes.Repeat([]byte{0xa5}, 4096), good[12288:]}, nil),
		"zeros at the end":     append(bytes.Clone(good[:len(good)-3*4096]), make([]byte, 3*4096)...),
		"something else":       []byte(strings.Repeat("this is no database\n", 1000)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			database := filepath.Join(dir, databaseFile)
			for file, content := range map[string][]byte{database: bad, filepath.Join(dir, keyFile): key} {
				if err := os.WriteFile(file, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			said := refusal(t, dir)
			for _, part := range []string{database, "is damaged", "to restore it", "backup", "secret.key", "dynomad rebuild"} {
				if !strings.Contains(said, part) {
					t.Errorf("it says %q, which lacks %q", said, part)
				}
			}
			if after, err := os.ReadFile(database); err != nil || !bytes.Equal(after, bad) {
				t.Errorf("the damaged database was changed (%v): nobody can look into it any more", err)
			}
		})
	}
}

// refusal starts a daemon that must not start, in this process, and gives what it ends with.
func refusal(t *testing.T, dir string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := run(ctx, []string{"server", "--data-dir", dir, "--listen", nomadtest.FreeAddr(t), "--log-level", "error"}, func(string) string { return "" })
	if err == nil {
		t.Fatal("the daemon started")
	}
	return err.Error()
}

// TestCorrupt_restored does what a daemon on a damaged database says.
func TestCorrupt_restored(t *testing.T) {
	t.Parallel()
	data, copied := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "copy.db")
	a := newAlone(t, data)
	a.start()
	k := newKeeper(a)
	k.write("")
	getenv := func(string) string { return "" }
	if err := run(t.Context(), []string{"backup", "--data-dir", data, copied}, getenv); err != nil {
		t.Fatal(err)
	}
	a.stop() // which brings all into the one file
	if err := os.Truncate(filepath.Join(data, databaseFile), 3*4096); err != nil {
		t.Fatal(err)
	}
	if said := a.refuses(); !strings.Contains(said, "is damaged") {
		t.Errorf("it says: %s", said)
	}
	if err := run(t.Context(), []string{"restore", "--force", "--data-dir", data, copied}, getenv); err != nil {
		t.Fatalf("restoring over the damaged one: %v", err)
	}
	a.start()
	k.intact()
	if status, body, err := a.try(t.Context(), http.MethodGet, "/healthz", ""); err != nil || status != http.StatusOK {
		t.Errorf("healthz: %d %s %v", status, body, err)
	}
}

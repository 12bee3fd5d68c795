package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestLoadKey_makesOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret.key")
	key := must[Key](t)(LoadKey(path))
	if len(key) != keySize {
		t.Fatalf("got %d bytes, want %d", len(key), keySize)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("got %v, %v; want mode 0600", info.Mode(), err)
	}
	if again := must[Key](t)(LoadKey(path)); !bytes.Equal(key, again) {
		t.Error("the second look gave another key")
	}
	left := must[[]os.DirEntry](t)(os.ReadDir(filepath.Dir(path)))
	if len(left) != 1 {
		t.Errorf("got %v beside the key, want nothing", left)
	}
}

func TestLoadKey_atOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret.key")
	keys := make([]Key, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			key, err := LoadKey(path)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	wg.Wait()
	for _, key := range keys {
		if !bytes.Equal(key, keys[0]) {
			t.Fatal("two got different keys")
		}
	}
}

func TestLoadKey_refuses(t *testing.T) {
	t.Parallel()
	good := strings.Repeat("ab", keySize)
	tests := []struct {
		name, content string
		mode          os.FileMode
		want          string
	}{
		{"empty", "", 0o600, "must hold 64 hexadecimal digits"},
		{"short", good[2:], 0o600, "must hold 64 hexadecimal digits"},
		{"long", good + "ab", 0o600, "must hold 64 hexadecimal digits"},
		{"endless", strings.Repeat(good, 1000), 0o600, "must hold 64 hexadecimal digits"},
		{"no digits", strings.Repeat("zz", keySize), 0o600, "must hold 64 hexadecimal digits"},
		{"read by the group", good, 0o640, "chmod 600"},
		{"read by all", good, 0o604, "chmod 600"},
		{"written by all", good, 0o602, "chmod 600"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "secret.key")
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			_, err := LoadKey(path)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want it to say %q", err, tt.want)
			}
			if tt.content != "" && strings.Contains(err.Error(), tt.content[:8]) {
				t.Errorf("%q shows the key", err)
			}
		})
	}
	if _, err := LoadKey(t.TempDir()); err == nil {
		t.Error("a directory was taken for a key")
	}
}

func TestKey_neverPrints(t *testing.T) {
	t.Parallel()
	c := Config{Path: "x", Key: testKey}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		if got := fmt.Sprintf(verb, testKey); got != "redacted" {
			t.Errorf("%s prints %q", verb, got)
		}
		if got := fmt.Sprintf(verb, c); strings.Contains(got, "7 7 7") || strings.Contains(got, "0707") || strings.Contains(got, "0x7") {
			t.Errorf("%s of a Config prints %q", verb, got)
		}
	}
}

func TestSealer_bindsToThePlace(t *testing.T) {
	t.Parallel()
	s := must[sealer](t)(newSealer(testKey))
	sealed := must[[]byte](t)(s.seal("a", "value"))
	var got string
	if err := s.unseal("a", sealed, &got); err != nil || got != "value" {
		t.Fatalf("got %q, %v", got, err)
	}
	if s.unseal("b", sealed, &got) == nil {
		t.Error("a value opened at another place")
	}
	sealed[len(sealed)-1] ^= 1
	if s.unseal("a", sealed, &got) == nil {
		t.Error("a changed value opened")
	}
	if s.unseal("a", nil, &got) == nil {
		t.Error("an empty value opened")
	}
	if bytes.Equal(must[[]byte](t)(s.seal("a", "value")), must[[]byte](t)(s.seal("a", "value"))) {
		t.Error("the same value was sealed the same twice")
	}
}

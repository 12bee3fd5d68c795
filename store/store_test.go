package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/dynomad/dynomad"
)

func TestOpen_makesOwnerOnlyFiles(t *testing.T) {
	t.Parallel()
	path := dbPath(t)
	s := openAt(t, path)
	addApp(t, s, "shop")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", suffix, info.Mode().Perm())
		}
	}
}

func TestOpen_closesWiderFiles(t *testing.T) {
	t.Parallel()
	path := dbPath(t)
	err := must[*Store](t)(Open(t.Context(), Config{Path: path, Key: testKey})).Close()
	if err = errors.Join(err, os.Chmod(path, 0o644)); err != nil {
		t.Fatal(err)
	}
	openAt(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v; want mode 0600", info.Mode(), err)
	}
}

func TestOpen_oddPath(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b%20?mode=memory#c.db")
	s := openAt(t, path)
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	addApp(t, s, "shop")
}

func TestOpen_again(t *testing.T) {
	t.Parallel()
	path := dbPath(t)
	first := openAt(t, path)
	installation := must[string](t)(first.Installation(t.Context()))
	spaces := must[[]dynomad.Space](t)(first.Spaces(t.Context()))
	if _, err := uuid.Parse(installation); err != nil {
		t.Fatal(err)
	}
	if len(spaces) != 1 || spaces[0].Name != dynomad.DefaultSpace {
		t.Fatalf("got spaces %v, want the default one", spaces)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := openAt(t, path)
	diff(t, must[string](t)(second.Installation(t.Context())), installation)
	diff(t, must[[]dynomad.Space](t)(second.Spaces(t.Context())), spaces)
}

func TestOpen_refuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		prepare func(t *testing.T, path string)
		key     Key
		want    []string // parts of the error
	}{
		{
			name: "newer schema", key: testKey,
			prepare: func(t *testing.T, path string) {
				t.Helper()
				execOn(t, path, `INSERT INTO schema_migrations (version, applied_at) VALUES (999, '')`)
			},
			want: []string{"schema 999", fmt.Sprintf("up to %d", len(must[[]migration](t)(migrations())))},
		},
		{
			name: "another key", key: bytes.Repeat([]byte{8}, keySize), prepare: func(*testing.T, string) {},
			want: []string{"the key is not the one", "secret.key"},
		},
		{
			name: "short key", key: []byte("short"), prepare: func(*testing.T, string) {},
			want: []string{"must be 32 bytes, not 5"},
		},
		{
			name: "no database", key: testKey,
			prepare: func(t *testing.T, path string) {
				t.Helper()
				overwrite(t, path, 0, "This was a database once.")
			},
			want: []string{"is damaged", "dynomad restore --force"},
		},
		{
			name: "no bytes", key: testKey,
			prepare: func(t *testing.T, path string) {
				t.Helper()
				if err := os.Truncate(path, 0); err != nil {
					t.Fatal(err)
				}
			},
			want: []string{"is damaged", "no content", "dynomad restore --force"},
		},
		{
			name: "damaged page", key: testKey,
			prepare: func(t *testing.T, path string) {
				t.Helper()
				overwrite(t, path, 4096, strings.Repeat("x", 3*4096))
			},
			want: []string{"is damaged", "dynomad restore --force"},
		},
		{
			name: "damaged page that is not read at once", key: testKey,
			prepare: func(t *testing.T, path string) {
				t.Helper()
				s := openAt(t, path)
				var page int64
				err := s.reader.QueryRowContext(t.Context(), `SELECT rootpage FROM sqlite_schema WHERE name = 'audits_app'`).Scan(&page)
				if err = errors.Join(err, s.Close()); err != nil {
					t.Fatal(err)
				}
				overwrite(t, path, (page-1)*4096, "xx")
			},
			want: []string{"is damaged", "dynomad restore --force"},
		},
		{
			name: "something else's database", key: testKey,
			prepare: func(t *testing.T, path string) {
				t.Helper()
				execOn(t, path, `DROP TABLE schema_migrations`)
			},
			want: []string{"database of something else"},
		},
		{
			name: "no directory", key: testKey,
			prepare: func(t *testing.T, path string) {
				t.Helper()
				if err := os.RemoveAll(filepath.Dir(path)); err != nil {
					t.Fatal(err)
				}
			},
			want: []string{"no such file or directory"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := dbPath(t)
			s := must[*Store](t)(Open(t.Context(), Config{Path: path, Key: testKey}))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			tt.prepare(t, path)
			_, err := Open(t.Context(), Config{Path: path, Key: tt.key})
			if err == nil {
				t.Fatal("it opened")
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("got %q, want it to say %q", err, part)
				}
			}
		})
	}
}

// execOn runs a statement on a database that is not open otherwise.
func execOn(t *testing.T, path, statement string) {
	t.Helper()
	s := openAt(t, path)
	if _, err := s.writer.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func overwrite(t *testing.T, path string, at int64, content string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(content), at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

package store

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/dynomad/dynomad"
)

var testKey = Key(bytes.Repeat([]byte{7}, keySize))

// start is when every test's clock starts; it ticks a millisecond at each look.
var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newClock() func() time.Time {
	var ticks atomic.Int64
	return func() time.Time { return start.Add(time.Duration(ticks.Add(1)) * time.Millisecond) }
}

func dbPath(tb testing.TB) string {
	tb.Helper()
	return filepath.Join(tb.TempDir(), "dynomad.db")
}

func openAt(tb testing.TB, path string) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), Config{Path: path, Key: testKey, Now: newClock(), BusyTimeout: 50 * time.Millisecond})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func newStore(tb testing.TB) *Store {
	tb.Helper()
	return openAt(tb, dbPath(tb))
}

func newAudit(action string) dynomad.Audit {
	return dynomad.Audit{ID: uuid.NewString(), Action: action, Details: "Did " + action + ".", UserID: "u", UserEmail: "u@x", CreatedAt: start}
}

// must gives v, or ends the test.
func must[T any](tb testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

func wantKind(tb testing.TB, err error, kind dynomad.Kind) {
	tb.Helper()
	if got := dynomad.KindOf(err); got != kind {
		tb.Fatalf("got kind %q (%v), want %q", got, err, kind)
	}
}

func wantMessage(tb testing.TB, err error, kind dynomad.Kind, message string) {
	tb.Helper()
	wantKind(tb, err, kind)
	if err.Error() != message && !strings.HasPrefix(err.Error(), message+": ") {
		tb.Fatalf("got %q, want %q", err, message)
	}
}

func diff(tb testing.TB, got, want any) {
	tb.Helper()
	if d := cmp.Diff(want, got); d != "" {
		tb.Fatalf("-want +got:\n%s", d)
	}
}

// addApp makes the app name-default.
func addApp(tb testing.TB, s *Store, name string) dynomad.App {
	tb.Helper()
	return addAppIn(tb, s, name, dynomad.DefaultSpace)
}

func addAppIn(tb testing.TB, s *Store, name, space string) dynomad.App {
	tb.Helper()
	return must[dynomad.App](tb)(s.CreateApp(tb.Context(), dynomad.App{
		ID: uuid.NewString(), Name: name + "-" + space, SimpleName: name, AutoRelease: true, CreatedAt: start, UpdatedAt: start,
	}, space, newAudit("app.create")))
}

// edit commits an edit of an app.
func edit(tb testing.TB, s *Store, key string, decide func(dynomad.AppState) dynomad.Edit) dynomad.AppState {
	tb.Helper()
	return must[dynomad.AppState](tb)(s.EditApp(tb.Context(), key, func(state dynomad.AppState) (dynomad.Edit, error) {
		return decide(state), nil
	}))
}

// deploy appends a build and a pending release of it.
func deploy(tb testing.TB, s *Store, key string) dynomad.AppState {
	tb.Helper()
	return edit(tb, s, key, func(state dynomad.AppState) dynomad.Edit {
		b := nextBuild(state)
		r := nextRelease(state, b.ID)
		return dynomad.Edit{Build: &b, Release: &r}
	})
}

func nextBuild(state dynomad.AppState) dynomad.Build {
	n := state.Builds + 1
	return dynomad.Build{
		ID: uuid.NewString(), Number: n, Image: fmt.Sprintf("shop:%d", n), Status: dynomad.BuildSucceeded, CreatedAt: start, UpdatedAt: start,
	}
}

func nextRelease(state dynomad.AppState, buildID string) dynomad.Release {
	version := 1
	if state.Last != nil {
		version = state.Last.Version + 1
	}
	return dynomad.Release{
		ID: uuid.NewString(), Version: version, BuildID: buildID, ConfigID: state.ConfigID, Status: dynomad.ReleasePending,
		CreatedAt: start.Add(time.Duration(version) * time.Second), UpdatedAt: start.Add(time.Duration(version) * time.Second),
	}
}

// configure gives an app new config vars and a release of them.
func configure(tb testing.TB, s *Store, key string, vars dynomad.ConfigVars) dynomad.AppState {
	tb.Helper()
	return edit(tb, s, key, func(state dynomad.AppState) dynomad.Edit {
		c := dynomad.Config{ID: uuid.NewString(), Vars: vars}
		build := ""
		if state.Build != nil {
			build = state.Build.ID
		}
		r := nextRelease(state, build)
		r.ConfigID = c.ID
		return dynomad.Edit{Config: &c, Release: &r}
	})
}

func finish(tb testing.TB, s *Store, r *dynomad.Release, status string) {
	tb.Helper()
	if !must[bool](tb)(s.FinishRelease(tb.Context(), r.ID, status, "", newAudit("release.finish"))) {
		tb.Fatalf("release v%d was not pending", r.Version)
	}
}

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
	if err := os.WriteFile(path, nil, 0o644); err != nil {
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
				exec(t, path, `INSERT INTO schema_migrations (version, applied_at) VALUES (999, '')`)
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
			want: []string{"is damaged", "put a backup in its place"},
		},
		{
			name: "damaged page", key: testKey,
			prepare: func(t *testing.T, path string) {
				t.Helper()
				overwrite(t, path, 4096, strings.Repeat("x", 3*4096))
			},
			want: []string{"is damaged", "put a backup in its place"},
		},
		{
			name: "something else's database", key: testKey,
			prepare: func(t *testing.T, path string) {
				t.Helper()
				exec(t, path, `DROP TABLE schema_migrations`)
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

// exec runs a statement on a database that is not open otherwise.
func exec(t *testing.T, path, statement string) {
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

func TestPools_readerCannotWrite(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, statement := range []string{
		`DELETE FROM spaces`, `PRAGMA query_only = off; DELETE FROM spaces`,
	} {
		if _, err := s.reader.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%q was run by the reader", statement)
		}
	}
}

func TestPools_everyConnectionHasThePragmas(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	wants := []struct {
		pragma         string
		writer, reader string
	}{
		{"foreign_keys", "1", "1"},
		{"journal_mode", "wal", "wal"},
		{"synchronous", "2", ""}, // FULL
		{"secure_delete", "1", ""},
		{"busy_timeout", "50", "50"},
	}
	// All connections are held at once, so that each is another one.
	for range readers {
		conn := must[conn](t)(s.reader.Conn(t.Context()))
		defer conn.Close()
		for _, w := range wants {
			if got := pragma(t, conn, w.pragma); w.reader != "" && got != w.reader {
				t.Errorf("reader: %s is %s, want %s", w.pragma, got, w.reader)
			}
		}
	}
	conn := must[conn](t)(s.writer.Conn(t.Context()))
	defer conn.Close()
	for _, w := range wants {
		if got := pragma(t, conn, w.pragma); got != w.writer {
			t.Errorf("writer: %s is %s, want %s", w.pragma, got, w.writer)
		}
	}
}

func TestWrite_canceledWhileWaiting(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	held := must[conn](t)(s.writer.Conn(t.Context()))
	defer held.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := s.CreateSpace(ctx, dynomad.Space{ID: "1", Name: "x"}, newAudit("space.create"))
	wantKind(t, err, dynomad.Timeout)
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	_, err = s.CreateSpace(ctx, dynomad.Space{ID: "1", Name: "x"}, newAudit("space.create"))
	wantKind(t, err, dynomad.Canceled)
	_, err = s.Spaces(ctx)
	wantKind(t, err, dynomad.Canceled)
}

func TestWrite_busy(t *testing.T) {
	t.Parallel()
	path := dbPath(t)
	s, other := openAt(t, path), openAt(t, path)
	held := must[conn](t)(other.writer.Conn(t.Context()))
	defer held.Close()
	if _, err := held.ExecContext(t.Context(), `BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	_, err := s.CreateSpace(t.Context(), dynomad.Space{ID: "1", Name: "x"}, newAudit("space.create"))
	wantKind(t, err, dynomad.Unavailable)
	if e := asError(t, err); e.RetryAfter != retryAfter {
		t.Errorf("got retry after %v, want %v", e.RetryAfter, retryAfter)
	}
	if _, err := s.Spaces(t.Context()); err != nil {
		t.Errorf("a reader was kept waiting: %v", err)
	}
	if _, err := held.ExecContext(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateSpace(t.Context(), dynomad.Space{ID: "1", Name: "x"}, newAudit("space.create")); err != nil {
		t.Fatal(err)
	}
}

func TestWrite_panicRollsBack(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app := addApp(t, s, "shop")
	func() {
		defer func() { _ = recover() }()
		_, _ = s.EditApp(t.Context(), app.ID, func(dynomad.AppState) (dynomad.Edit, error) { panic("a bug") })
	}()
	deploy(t, s, app.ID) // the writer is free again
}

package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dynomad/dynomad"
)

// backUp copies a database and gives the copy's path.
func backUp(tb testing.TB, from string) string {
	tb.Helper()
	to := filepath.Join(tb.TempDir(), "copy.db")
	if err := Backup(tb.Context(), from, to); err != nil {
		tb.Fatal(err)
	}
	return to
}

// checkAlone wants a file that needs no other beside it and that others cannot read.
func checkAlone(t *testing.T, path string) {
	t.Helper()
	names := must[[]os.DirEntry](t)(os.ReadDir(filepath.Dir(path)))
	if len(names) != 1 {
		t.Errorf("the copy is not alone: %v", names)
	}
	if mode := must[os.FileInfo](t)(os.Stat(path)).Mode(); mode != 0o600 {
		t.Errorf("the copy has mode %s", mode)
	}
	// Bytes 18 and 19 of the header are 2 in a database with a write-ahead log (https://www.sqlite.org/fileformat2.html).
	if head := must[[]byte](t)(os.ReadFile(path))[:20]; !bytes.Equal(head[18:], []byte{1, 1}) {
		t.Errorf("the copy's header says that it has a write-ahead log: % x", head)
	}
}

func TestBackup(t *testing.T) {
	t.Parallel()
	path := dbPath(t)
	s := openAt(t, path)
	fill(t, s)
	want := must[dynomad.AppState](t)(s.AppState(t.Context(), "shop-blue"))
	installation := must[string](t)(s.Installation(t.Context()))
	open := backUp(t, path)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	closed := backUp(t, path)
	for name, copied := range map[string]string{"open": open, "closed": closed, "of a copy": backUp(t, closed)} {
		checkAlone(t, copied)
		got := must[Contents](t)(Inspect(t.Context(), copied, testKey))
		newest := len(must[[]migration](t)(migrations()))
		diff(t, got, Contents{Schema: newest, Newest: newest, Installation: installation, Apps: 1, Sealed: 4, KeyFits: true})
		checkAlone(t, copied)
		again := openAt(t, copied)
		t.Log(name)
		diff(t, must[dynomad.AppState](t)(again.AppState(t.Context(), "shop-blue")), want)
		checkFilled(t, again)
	}
}

// TestBackup_crashed copies a database whose last writes are in the log that a killed process left.
func TestBackup_crashed(t *testing.T) {
	t.Parallel()
	from, left := dbPath(t), dbPath(t)
	s := openAt(t, from)
	addApp(t, s, "shop")
	want := deploy(t, s, "shop-default")
	for _, suffix := range []string{"", "-wal"} {
		if err := os.WriteFile(left+suffix, must[[]byte](t)(os.ReadFile(from+suffix)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	copied := backUp(t, left)
	checkAlone(t, copied)
	diff(t, must[dynomad.AppState](t)(openAt(t, copied).AppState(t.Context(), "shop-default")), want)
}

// TestBackup_whileWritten copies a large database while an app is released again and again: the copy is of one instant, and
// neither waits for the other.
func TestBackup_whileWritten(t *testing.T) {
	t.Parallel()
	path := dbPath(t)
	s := openAt(t, path)
	addApp(t, s, "shop")
	for range 20 { // some 20 MiB
		edit(t, s, "shop-default", func(state dynomad.AppState) dynomad.Edit {
			b := nextBuild(state)
			b.Message = strings.Repeat("x", 1<<20)
			return dynomad.Edit{Build: &b}
		})
	}
	var written atomic.Int64
	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := s.EditApp(context.WithoutCancel(t.Context()), "shop-default", deployment); err != nil {
				t.Errorf("a write during a backup: %v", err)
				return
			}
			written.Add(1)
		}
	})
	defer func() { close(stop); writing.Wait() }()
	for during := int64(0); during < 2; { // on a slow machine it may take a few
		before := written.Load()
		copied := openAt(t, backUp(t, path))
		after := written.Load()
		during = after - before
		state := must[dynomad.AppState](t)(copied.AppState(t.Context(), "shop-default"))
		releases := int64(len(must[[]dynomad.Release](t)(copied.Releases(t.Context(), state.App.ID))))
		if releases < before || releases > after+1 || int64(state.Builds) != releases+20 {
			t.Fatalf("the copy has %d releases and %d builds; there were %d to %d releases", releases, state.Builds, before, after)
		}
	}
}

// TestBackup_writesBetweenSteps writes between every two steps of a copy: it does not begin anew.
func TestBackup_writesBetweenSteps(t *testing.T) {
	t.Parallel()
	path := dbPath(t)
	s := openAt(t, path)
	addApp(t, s, "shop")
	edit(t, s, "shop-default", func(state dynomad.AppState) dynomad.Edit {
		b := nextBuild(state)
		b.Message = strings.Repeat("x", 10<<20)
		return dynomad.Edit{Build: &b}
	})
	source := must[*sql.DB](t)(openPlain(path, url.Values{"mode": {"rw"}}))
	target := must[*sql.DB](t)(openPlain(dbPath(t), url.Values{}))
	t.Cleanup(func() {
		if err := errors.Join(source.Close(), target.Close()); err != nil {
			t.Error(err)
		}
	})
	steps := 0
	err := snapshot(t.Context(), source, hold(t, target), func() error {
		if steps++; steps < 100 {
			deploy(t, s, "shop-default")
		}
		return nil
	})
	if err != nil || steps < 5 || steps > 30 {
		t.Errorf("it took %d steps: %v; want some 10", steps, err)
	}
}

func TestBackup_errors(t *testing.T) {
	t.Parallel()
	good := dbPath(t)
	fill(t, openAt(t, good))
	whole := must[[]byte](t)(os.ReadFile(backUp(t, good)))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		ctx  context.Context
		from func(tb testing.TB) string
		want string
	}{
		"missing": {t.Context(), dbPath, "no such file"},
		"damaged": {t.Context(), func(t testing.TB) string {
			t.Helper()
			return writeFile(t, append(bytes.Clone(whole[:len(whole)/2]), bytes.Repeat([]byte{0xAA}, len(whole)/2)...))
		}, "damaged"},
		"no database": {t.Context(), func(t testing.TB) string { t.Helper(); return writeFile(t, bytes.Repeat([]byte("no"), 5000)) }, "damaged"},
		"given up":    {cancelled, func(testing.TB) string { return good }, "cancel"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := Backup(tt.ctx, tt.from(t), filepath.Join(t.TempDir(), "copy.db"))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
	if err := Backup(t.Context(), good, writeFile(t, []byte("something"))); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("onto a file with content: %v", err)
	}
}

// writeFile puts content where a database could be.
func writeFile(tb testing.TB, content []byte) string {
	tb.Helper()
	path := dbPath(tb)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func TestInspect_key(t *testing.T) {
	t.Parallel()
	path := dbPath(t)
	fill(t, openAt(t, path))
	copied := backUp(t, path)
	for name, tt := range map[string]struct {
		key    Key
		fits   bool
		sealed int
		locked int
	}{
		"right": {testKey, true, 4, 0},
		"wrong": {Key(bytes.Repeat([]byte{8}, keySize)), false, 4, 4},
		"none":  {nil, false, 0, 0},
	} {
		c := must[Contents](t)(Inspect(t.Context(), copied, tt.key))
		if c.KeyFits != tt.fits || c.Sealed != tt.sealed || c.Locked != tt.locked {
			t.Errorf("%s key: %+v", name, c)
		}
	}
	if _, err := Inspect(t.Context(), copied, Key("short")); err == nil {
		t.Error("a short key was taken")
	}
}

// TestInspect_valueLocked has a value that was sealed with another key than the database's own.
func TestInspect_valueLocked(t *testing.T) {
	t.Parallel()
	path := dbPath(t)
	s := openAt(t, path)
	fill(t, s)
	if _, err := s.writer.ExecContext(t.Context(), `UPDATE dyno_types SET options = zeroblob(40) WHERE options IS NOT NULL`); err != nil {
		t.Fatal(err)
	}
	if c := must[Contents](t)(Inspect(t.Context(), backUp(t, path), testKey)); !c.KeyFits || c.Locked != 1 {
		t.Errorf("got %+v, want one value that the key does not open", c)
	}
}

// TestInspect_schemas reads databases of every schema that there ever was, and one of the next.
func TestInspect_schemas(t *testing.T) {
	t.Parallel()
	newest := len(must[[]migration](t)(migrations()))
	for version := 1; version <= newest; version++ {
		path := dbPath(t)
		load(t, path, oldDatabase(version))
		c := must[Contents](t)(Inspect(t.Context(), path, testKey))
		if c.Schema != version || c.Newer() || c.Apps != 1 || c.Sealed == 0 || c.Locked > 0 || !c.KeyFits {
			t.Errorf("schema %d: %+v", version, c)
		}
	}
	path := dbPath(t)
	s := openAt(t, path)
	if _, err := s.writer.ExecContext(t.Context(), `INSERT INTO schema_migrations VALUES (?, 'x')`, newest+1); err != nil {
		t.Fatal(err)
	}
	if c := must[Contents](t)(Inspect(t.Context(), backUp(t, path), testKey)); !c.Newer() {
		t.Errorf("the next schema: %+v", c)
	}
}

func TestInspect_errors(t *testing.T) {
	t.Parallel()
	good := dbPath(t)
	fill(t, openAt(t, good))
	whole := must[[]byte](t)(os.ReadFile(backUp(t, good)))
	other := dbPath(t)
	load(t, other, writeFile(t, []byte("CREATE TABLE t (a);")))
	dangling := dbPath(t)
	load(t, dangling, oldDatabase(1))
	load(t, dangling, writeFile(t, []byte("PRAGMA foreign_keys = off; DELETE FROM spaces;")))
	for name, tt := range map[string]struct{ path, want string }{
		"missing":   {dbPath(t), "no such file"},
		"text":      {writeFile(t, []byte(strings.Repeat("no", 5000))), "no intact database"},
		"cut short": {writeFile(t, whole[:len(whole)/2]), "no intact database"},
		"empty":     {writeFile(t, nil), "no database of dynomad"},
		"of others": {other, "no database of dynomad"},
		"dangling":  {dangling, "refers to one that is not there"},
	} {
		if c, err := Inspect(t.Context(), tt.path, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, %v, want an error with %q", name, c, err, tt.want)
		}
	}
}

func TestReadKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret.key")
	if _, err := ReadKey(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key that is not there: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a key was made")
	}
	made := must[Key](t)(LoadKey(path))
	if got := must[Key](t)(ReadKey(path)); !bytes.Equal(got, made) {
		t.Error("another key was read than was made")
	}
}

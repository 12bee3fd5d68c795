package main

import (
	"archive/tar"
	"bytes"
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dynomad/dynomad/store"
)

// backedUp makes a backup of a data folder and gives its file.
func backedUp(t *testing.T, dir string, withKey bool) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "backup")
	if err := backup(t.Context(), backupOptions{DataDir: dir, File: file, WithKey: withKey}, io.Discard); err != nil {
		t.Fatal(err)
	}
	return file
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// asideFiles gives the files that a restore kept, without the time in their names.
func asideFiles(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*.before-restore-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestRestore_elsewhere(t *testing.T) {
	t.Parallel()
	for _, withKey := range []bool{false, true} {
		dir, to := dataDir(t, "api", "shop"), filepath.Join(t.TempDir(), "data")
		file := backedUp(t, dir, withKey)
		if !withKey {
			fails(t, restore(t.Context(), restoreOptions{DataDir: to, File: file}, io.Discard), "put it there first")
			copyFile(t, filepath.Join(dir, keyFile), filepath.Join(to, keyFile))
		}
		var out bytes.Buffer
		if err := restore(t.Context(), restoreOptions{DataDir: to, File: file}, &out); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), "2 apps") || !strings.Contains(out.String(), "tokens revoked since are valid") {
			t.Errorf("it says\n%s", out.String())
		}
		wantFiles(t, to, databaseFile, keyFile)
		wantMode(t, filepath.Join(to, databaseFile))
		wantMode(t, filepath.Join(to, keyFile))
		if got := appNames(t, to); got != "api shop" {
			t.Errorf("the apps are %s", got)
		}
	}
}

// TestRestore_over replaces a database, which is kept with the writes that were in its log only.
func TestRestore_over(t *testing.T) {
	t.Parallel()
	dir := dataDir(t, "api")
	file := backedUp(t, dir, false)
	crashed := t.TempDir()
	copyFile(t, filepath.Join(dir, keyFile), filepath.Join(crashed, keyFile))
	s := openDir(t, dir)
	addApp(t, s, "later")
	for _, suffix := range []string{"", "-wal"} {
		copyFile(t, filepath.Join(dir, databaseFile+suffix), filepath.Join(crashed, databaseFile+suffix))
	}
	fails(t, restore(t.Context(), restoreOptions{DataDir: crashed, File: file}, io.Discard), "--force")
	var out bytes.Buffer
	if err := restore(t.Context(), restoreOptions{DataDir: crashed, File: file, Force: true}, &out); err != nil {
		t.Fatal(err)
	}
	if got := appNames(t, crashed); got != "api" {
		t.Errorf("the apps are %s", got)
	}
	kept := asideFiles(t, crashed)
	if len(kept) != 2 || !strings.Contains(out.String(), kept[0]) {
		t.Fatalf("kept are %v; it says\n%s", kept, out.String())
	}
	old := t.TempDir()
	copyFile(t, filepath.Join(dir, keyFile), filepath.Join(old, keyFile))
	copyFile(t, kept[0], filepath.Join(old, databaseFile))
	copyFile(t, kept[1], filepath.Join(old, databaseFile+"-wal"))
	if got := appNames(t, old); got != "api later" {
		t.Errorf("the apps of the database that was kept are %s", got)
	}
}

// TestRestore_leftLog restores where nothing of a database is left but its log, which must not be taken for the new one's.
func TestRestore_leftLog(t *testing.T) {
	t.Parallel()
	dir, to := dataDir(t, "api"), t.TempDir()
	file := backedUp(t, dir, true)
	addApp(t, openDir(t, dir), "later")
	copyFile(t, filepath.Join(dir, databaseFile+"-wal"), filepath.Join(to, databaseFile+"-wal"))
	if err := restore(t.Context(), restoreOptions{DataDir: to, File: file}, io.Discard); err != nil {
		t.Fatal(err)
	}
	if got := appNames(t, to); got != "api" {
		t.Errorf("the apps are %s", got)
	}
	if kept := asideFiles(t, to); len(kept) != 1 || !strings.HasSuffix(kept[0], "-wal") {
		t.Errorf("kept are %v", kept)
	}
}

// TestRestore_key wants no key lost and none taken that does not fit.
func TestRestore_key(t *testing.T) {
	t.Parallel()
	dir, other := dataDir(t, "api"), dataDir(t, "other")
	plain, packed := backedUp(t, dir, false), backedUp(t, dir, true)
	fails(t, restore(t.Context(), restoreOptions{DataDir: other, File: plain, Force: true}, io.Discard), "is not the one")
	if got := appNames(t, other); got != "other" {
		t.Errorf("after a restore that was refused the apps are %s", got)
	}
	before, err := store.ReadKey(filepath.Join(other, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	copyFile(t, filepath.Join(other, keyFile), filepath.Join(empty, keyFile))
	fails(t, restore(t.Context(), restoreOptions{DataDir: empty, File: packed}, io.Discard), "another key")
	if err := restore(t.Context(), restoreOptions{DataDir: other, File: packed, Force: true}, io.Discard); err != nil {
		t.Fatal(err)
	}
	if got := appNames(t, other); got != "api" {
		t.Errorf("the apps are %s", got)
	}
	kept := asideFiles(t, other)
	if len(kept) != 2 {
		t.Fatalf("kept are %v", kept)
	}
	if key, err := store.ReadKey(kept[1]); err != nil || !bytes.Equal(key, before) {
		t.Errorf("the key that was there is lost: %v", err)
	}
}

// TestRestore_locked restores into the folder of a daemon that runs.
func TestRestore_locked(t *testing.T) {
	t.Parallel()
	dir := dataDir(t, "api")
	file := backedUp(t, dir, false)
	release, err := lockDataDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	fails(t, restore(t.Context(), restoreOptions{DataDir: dir, File: file, Force: true}, io.Discard), "another dynomad runs")
	if err := release(); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, databaseFile, keyFile)
}

// TestRestore_refused has files that are no backup, or none that could be run on. What is there stays.
func TestRestore_refused(t *testing.T) {
	t.Parallel()
	dir := dataDir(t, "api")
	whole, err := os.ReadFile(backedUp(t, dir, false))
	if err != nil {
		t.Fatal(err)
	}
	write := func(content []byte) string {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	unfinished := write(whole)
	if err := os.WriteFile(unfinished+"-wal", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ file, want string }{
		"missing":       {filepath.Join(t.TempDir(), "no"), "no such file"},
		"empty":         {write(nil), "no backup"},
		"text":          {write([]byte(strings.Repeat("text ", 500))), "neither a database nor a tar"},
		"cut short":     {write(whole[:len(whole)/2]), "no intact database"},
		"in use":        {unfinished, "dynomad backup"},
		"other tar":     {write(archived(t, map[string]string{"x": "y"})), "does not belong"},
		"outside":       {write(archived(t, map[string]string{"../dynomad.db": "y"})), "does not belong"},
		"no database":   {write(archived(t, map[string]string{keyFile: "y"})), "has no dynomad.db"},
		"no key inside": {write(archived(t, map[string]string{databaseFile: string(whole), keyFile: "y"})), "the key in the backup"},
		"newer":         {newerBackup(t, dir), "newer dynomad"},
	} {
		t.Run(name, func(t *testing.T) { // one after the other: they share a folder
			fails(t, restore(t.Context(), restoreOptions{DataDir: dir, File: tt.file, Force: true}, io.Discard), tt.want)
			if got := appNames(t, dir); got != "api" {
				t.Errorf("the apps are %s", got)
			}
			wantFiles(t, dir, databaseFile, keyFile)
		})
	}
}

// archived makes a tar.
func archived(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// newerBackup makes a backup that a later version would make.
func newerBackup(t *testing.T, dir string) string {
	t.Helper()
	file := backedUp(t, dir, false)
	db, err := sql.Open("sqlite3", file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), `INSERT INTO schema_migrations SELECT max(version) + 1, 'x' FROM schema_migrations`)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestRestore_olderSchema restores a database of the first schema, which the next start migrates.
func TestRestore_olderSchema(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../testdata/db/0001.sql")
	if err != nil {
		t.Fatal(err)
	}
	file, dir := filepath.Join(t.TempDir(), "old.db"), t.TempDir()
	db, err := sql.Open("sqlite3", file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), string(text))
	key := strings.Repeat("07", 32) // that of package store's tests
	if err := errors.Join(err, db.Close(), os.WriteFile(filepath.Join(dir, keyFile), []byte(key), 0o600)); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := restore(t.Context(), restoreOptions{DataDir: dir, File: file}, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "schema 1") || !strings.Contains(out.String(), "is brought to schema") {
		t.Errorf("it says\n%s", out.String())
	}
	if st, err := openDir(t, dir).AppState(t.Context(), "shop-blue"); err != nil || st.Config["COLOR"] != "green" {
		t.Errorf("got %+v, %v", st.Config, err)
	}
}

// TestRestore_asRoot gives what root makes to the owner of the folder, who runs the daemon.
func TestRestore_asRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	const owner = 12345
	file, to := backedUp(t, dataDir(t, "api"), true), t.TempDir()
	if err := os.Chown(to, owner, owner); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := restore(t.Context(), restoreOptions{DataDir: to, File: file, Force: true}, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(to, "*"))
	if err != nil || len(files) != 3 { // database, the one before, key
		t.Fatalf("in the folder are %v, %v", files, err)
	}
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Sys().(*syscall.Stat_t).Uid; got != owner {
			t.Errorf("%s is of user %d", path, got)
		}
	}
}

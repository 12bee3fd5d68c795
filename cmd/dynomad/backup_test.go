package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/store"
)

// noEnv is an environment without variables.
func noEnv(string) string { return "" }

// dataDir makes a data folder with a key and a database, in which the given apps are, each with a config var.
func dataDir(t *testing.T, apps ...string) string {
	t.Helper()
	dir := t.TempDir()
	s := openDir(t, dir)
	for _, name := range apps {
		addApp(t, s, name)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func openDir(t *testing.T, dir string) *store.Store {
	t.Helper()
	key, err := store.LoadKey(filepath.Join(dir, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Config{Path: filepath.Join(dir, databaseFile), Key: key, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // most tests close it before
	return s
}

func addApp(t *testing.T, s *store.Store, name string) dynomad.App {
	t.Helper()
	audit := dynomad.Audit{ID: uuid.NewString(), Action: "app.create", CreatedAt: now()}
	app, err := s.CreateApp(t.Context(), dynomad.App{
		ID: uuid.NewString(), Name: name + "-default", SimpleName: name, AutoRelease: true, CreatedAt: now(), UpdatedAt: now(),
	}, dynomad.DefaultSpace, audit)
	if err == nil {
		_, err = s.EditApp(t.Context(), app.ID, func(dynomad.AppState) (dynomad.Edit, error) {
			return dynomad.Edit{Config: &dynomad.Config{ID: uuid.NewString(), Vars: dynomad.ConfigVars{"NAME": name}}}, nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// appNames gives the apps of a data folder, and checks that their config vars can be read.
func appNames(t *testing.T, dir string) string {
	t.Helper()
	s := openDir(t, dir)
	defer s.Close() //nolint:errcheck // only read
	all, err := s.Apps(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, st := range all {
		full, err := s.AppState(t.Context(), st.App.ID)
		if err != nil || full.Config["NAME"] != st.App.SimpleName {
			t.Errorf("the config vars of %s are %v, %v", st.App.Name, full.Config, err)
		}
		names = append(names, st.App.SimpleName)
	}
	return strings.Join(names, " ")
}

// fails wants an error with a text.
func fails(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want an error with %q", err, want)
	}
}

func wantMode(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("%s has mode %s", path, info.Mode())
	}
}

// wantFiles wants nothing but some files in a folder.
func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != strings.Join(want, " ") {
		t.Errorf("in %s are %s, want %v", dir, got, want)
	}
}

func TestBackup(t *testing.T) {
	t.Parallel()
	dir, to := dataDir(t, "api", "shop"), t.TempDir()
	file := filepath.Join(to, "b.db")
	var out bytes.Buffer
	if err := backup(t.Context(), backupOptions{DataDir: dir, File: file}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2 apps", "schema", filepath.Join(dir, keyFile), "apart from the backups"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("nothing is said of %q:\n%s", want, out.String())
		}
	}
	wantMode(t, file)
	wantFiles(t, to, "b.db")
	wantFiles(t, dir, databaseFile, keyFile)

	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := openDir(t, dir) // as a daemon that runs
	addApp(t, s, "third")
	fails(t, backup(t.Context(), backupOptions{DataDir: dir, File: file}, &out), "--force")
	if again, err := os.ReadFile(file); err != nil || !bytes.Equal(again, first) {
		t.Errorf("without --force the file was written: %v", err)
	}
	out.Reset()
	if err := backup(t.Context(), backupOptions{DataDir: dir, File: file, Force: true}, &out); err != nil || !strings.Contains(out.String(), "3 apps") {
		t.Errorf("with --force: %v, %s", err, out.String())
	}
	wantMode(t, file)
	wantFiles(t, to, "b.db")
}

func TestBackup_withKey(t *testing.T) {
	t.Parallel()
	dir, file := dataDir(t, "api"), filepath.Join(t.TempDir(), "b.tar")
	var out bytes.Buffer
	if err := backup(t.Context(), backupOptions{DataDir: dir, File: file, WithKey: true}, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "every config var") {
		t.Errorf("nothing is said of the key that it holds:\n%s", out.String())
	}
	wantMode(t, file)
	wantFiles(t, filepath.Dir(file), "b.tar")
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	archive := tar.NewReader(f)
	for _, name := range []string{databaseFile, keyFile} {
		header, err := archive.Next()
		if err != nil || header.Name != name || header.Mode != 0o600 {
			t.Fatalf("the tar has %+v, %v, want %s", header, err, name)
		}
	}
	packed, err := io.ReadAll(archive)
	if key, keyErr := os.ReadFile(filepath.Join(dir, keyFile)); err != nil || keyErr != nil || !bytes.Equal(packed, key) {
		t.Errorf("the packed key is not the folder's: %v, %v", err, keyErr)
	}
}

func TestBackup_key(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil func(path string) error
		want  string
	}{
		"missing": {os.Remove, "no such file"},
		"another": {func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("ab", 32)), 0o600) }, "is not the key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, to := dataDir(t, "api"), t.TempDir()
			if err := tt.spoil(filepath.Join(dir, keyFile)); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			fails(t, backup(t.Context(), backupOptions{DataDir: dir, File: filepath.Join(to, "b.tar"), WithKey: true}, &out), tt.want)
			wantFiles(t, to)
			err := backup(t.Context(), backupOptions{DataDir: dir, File: filepath.Join(to, "b.db"), Warn: &out}, io.Discard)
			if err != nil || !strings.Contains(out.String(), "WARNING") || !strings.Contains(out.String(), tt.want) {
				t.Errorf("without the key: %v, %s", err, out.String())
			}
		})
	}
}

// TestBackup_refused wants nothing written where it must not be.
func TestBackup_refused(t *testing.T) {
	t.Parallel()
	dir, to := dataDir(t, "api"), t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := errors.Join(os.Symlink(dir, link), os.Mkdir(filepath.Join(to, "folder"), 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ dir, file, want string }{
		{dir, filepath.Join(dir, databaseFile), "in the data folder"},
		{dir, filepath.Join(dir, keyFile), "in the data folder"},
		{dir, filepath.Join(link, "b.db"), "in the data folder"},
		{dir, filepath.Join(to, "folder"), "is a folder"},
		{dir, filepath.Join(to, "missing", "b.db"), "no such file"},
		{filepath.Join(to, "missing"), filepath.Join(to, "b.db"), "the data folder"},
		{t.TempDir(), filepath.Join(to, "b.db"), "find the database"},
	} {
		fails(t, backup(t.Context(), backupOptions{DataDir: tt.dir, File: tt.file, Force: true}, io.Discard), tt.want)
	}
	wantFiles(t, to, "folder")
	wantFiles(t, dir, databaseFile, keyFile)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	fails(t, backup(cancelled, backupOptions{DataDir: dir, File: filepath.Join(to, "b.db")}, io.Discard), "cancel")
	wantFiles(t, to, "folder")
}

// TestBackup_command reads the data folder's name from the environment.
func TestBackup_command(t *testing.T) {
	t.Parallel()
	dir, to := dataDir(t, "api"), t.TempDir()
	env := func(name string) string {
		return map[string]string{"DYNOMAD_DATA_DIR": dir, "DYNOMAD_FORCE": "true"}[name]
	}
	file := filepath.Join(to, "b.db")
	if err := run(t.Context(), []string{"backup", file}, env); err != nil {
		t.Fatal(err)
	}
	fails(t, run(t.Context(), []string{"backup", file}, env), "--force") // is no setting
	fails(t, run(t.Context(), []string{"backup"}, env), "arg")
	if err := run(t.Context(), []string{"restore", "--data-dir", filepath.Join(to, "new"), file}, noEnv); err == nil {
		t.Error("a backup was restored without its key")
	}
	if err := run(t.Context(), []string{"restore", "--force", file}, env); err != nil {
		t.Fatal(err)
	}
}

// TestPlace moves a file to where one is, and to where none is.
func TestPlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	for _, step := range []struct {
		content string
		over    bool
		err     string
		want    string
	}{{"1", false, "", "1"}, {"2", false, "--force", "1"}, {"3", true, "", "3"}} {
		temp, remove, err := tempBeside(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(temp, []byte(step.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := place(temp, path, step.over); step.err != "" {
			fails(t, err, step.err)
		} else if err != nil {
			t.Error(err)
		}
		remove()
		if got, err := os.ReadFile(path); err != nil || string(got) != step.want {
			t.Errorf("after %+v it is %q, %v", step, got, err)
		}
		wantFiles(t, dir, "x")
	}
}

// TestLockDataDir wants one at a time.
func TestLockDataDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	release, err := lockDataDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lockDataDir(dir)
	fails(t, err, "another dynomad")
	if err := release(); err != nil {
		t.Fatal(err)
	}
	again, err := lockDataDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := again(); err != nil {
		t.Error(err)
	}
	_, err = lockDataDir(filepath.Join(dir, "missing"))
	fails(t, err, "no such file")
}

package store

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
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
	return must[dynomad.AppState](tb)(s.EditApp(tb.Context(), key, deployment))
}

func deployment(state dynomad.AppState) (dynomad.Edit, error) {
	b := nextBuild(state)
	r := nextRelease(state, b.ID)
	return dynomad.Edit{Build: &b, Release: &r}, nil
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
	if !must[bool](tb)(s.EndRollout(tb.Context(), r.AppID, ending(r.ID, status, ""))) {
		tb.Fatalf("release v%d was not pending", r.Version)
	}
}

// ending is the end of a rollout with which a pending release ends.
func ending(releaseID, status, info string) dynomad.RolloutEnd {
	return dynomad.RolloutEnd{
		Applied: dynomad.AppliedState{SpecHash: "h", ModifyIndex: 7, UpdatedAt: start},
		Release: &dynomad.ReleaseEnd{
			ID: releaseID, From: dynomad.ReleasePending, Status: status, Info: info, Audit: newAudit("release.finish"),
		},
	}
}

// hold takes a connection out of a pool until the test ends.
func hold(t *testing.T, db *sql.DB) *sql.Conn {
	t.Helper()
	c := must[*sql.Conn](t)(db.Conn(t.Context()))
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func pragma(tb testing.TB, c *sql.Conn, name string) string {
	tb.Helper()
	var value string
	if err := c.QueryRowContext(tb.Context(), `PRAGMA `+name).Scan(&value); err != nil {
		tb.Fatal(err)
	}
	return value
}

func asError(tb testing.TB, err error) *dynomad.Error {
	tb.Helper()
	var e *dynomad.Error
	if !errors.As(err, &e) {
		tb.Fatalf("got %v, want a dynomad.Error", err)
	}
	return e
}

package store

import (
	"context"
	"testing"
	"time"

	"github.com/dynomad/dynomad"
)

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
		conn := hold(t, s.reader)
		for _, w := range wants {
			if got := pragma(t, conn, w.pragma); w.reader != "" && got != w.reader {
				t.Errorf("reader: %s is %s, want %s", w.pragma, got, w.reader)
			}
		}
	}
	conn := hold(t, s.writer)
	for _, w := range wants {
		if got := pragma(t, conn, w.pragma); got != w.writer {
			t.Errorf("writer: %s is %s, want %s", w.pragma, got, w.writer)
		}
	}
}

func TestWrite_canceledWhileWaiting(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	hold(t, s.writer)
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
	held := hold(t, other.writer)
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

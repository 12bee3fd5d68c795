package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/dynomad/dynomad"
)

// tx is a transaction with what the functions in it need.
type tx struct {
	*sql.Tx
	now    time.Time // the same throughout
	sealer sealer
	scope  scope             // of what it writes; see touches
	after  *dynomad.AppState // of the app that it touches, at its end, if it read that
}

// touches says that the transaction changes nothing of what is cached but this app; "" is nothing at all. One that does not
// say may change everything.
func (t *tx) touches(appID string) { t.scope = scope{narrow: true, appID: appID} }

// touchesBeside says that the transaction changes nothing of what is cached, but something else of this app.
func (t *tx) touchesBeside(appID string) { t.scope = scope{narrow: true, beside: appID} }

// write runs do in a transaction that may write. It waits for its turn as long as ctx allows; what has begun is finished,
// whoever goes away, since it takes milliseconds and so always has a known end.
func (s *Store) write(ctx context.Context, do func(context.Context, *tx) error) (err error) {
	asked := time.Now()
	conn, err := s.writer.Conn(ctx)
	begun := time.Now()
	defer func() {
		s.observe(Write{Waited: begun.Sub(asked), Took: time.Since(begun), Ailment: Ailment(err)})
	}()
	if err != nil {
		return translate(ctx, fmt.Errorf("wait for the writer: %w", err))
	}
	defer func() { // also when do panics: the writer has no other connection
		if closeErr := conn.Close(); closeErr != nil {
			err = errors.Join(err, closeErr)
		}
	}()
	var changed scope
	var after *dynomad.AppState
	defer func() {
		gen := s.cache.forget(changed) // whatever became of it: a commit that failed may yet have happened
		if err == nil && after != nil {
			s.cache.putApp(gen, *after)
		}
	}()
	return translate(ctx, s.within(context.WithoutCancel(ctx), conn, func(ctx context.Context, tx *tx) error {
		defer func() { changed, after = tx.scope, tx.after }()
		return do(ctx, tx)
	}))
}

// Write is how a transaction that was to write went.
type Write struct {
	Waited  time.Duration // for its turn: there is one writer
	Took    time.Duration // from its turn to its end
	Ailment string        // one of Ailments if the store was at fault; "" else
}

// read runs do in a transaction that sees one state of the database throughout.
func (s *Store) read(ctx context.Context, do func(context.Context, *tx) error) error {
	return translate(ctx, s.within(ctx, s.reader, do))
}

type beginner interface {
	BeginTx(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error)
}

func (s *Store) within(ctx context.Context, b beginner, do func(context.Context, *tx) error) (err error) {
	begun, err := b.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	committing := false
	defer func() { // also when do panics
		if committing {
			return
		}
		if rollbackErr := begun.Rollback(); rollbackErr != nil && !errors.Is(rollbackErr, sql.ErrTxDone) {
			err = errors.Join(err, fmt.Errorf("roll back: %w", rollbackErr))
		}
	}()
	if err := do(ctx, &tx{Tx: begun, now: s.now(), sealer: s.sealer}); err != nil {
		return err
	}
	committing = true
	if err := begun.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// row is what scan helpers read: a *sql.Row or the present one of *sql.Rows.
type row interface{ Scan(dest ...any) error }

// list gives all rows of a query.
func list[T any](ctx context.Context, tx *tx, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// one gives the first column of a query's only row; sql.ErrNoRows if there is none.
func one[T any](ctx context.Context, tx *tx, query string, args ...any) (T, error) {
	var v T
	err := tx.QueryRowContext(ctx, query, args...).Scan(&v)
	return v, err
}

// change runs a statement and gives how many rows it changed.
func change(ctx context.Context, tx *tx, query string, args ...any) (int, error) {
	result, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/mattn/go-sqlite3"
)

// backupPages is how much is copied at once, in pages of 4 KiB; in between the copy can be given up.
const backupPages = 256

// backupBusy is how long a copy waits for its turn to begin.
const backupBusy = 5 * time.Second

// Backup copies the database at from into the file to, which must not exist or be empty, as the database was at one instant.
// Another process may use the database meanwhile, as a daemon does, and is not held up: its writes go to the write-ahead log,
// and the copy goes on reading what was before (https://www.sqlite.org/backup.html). The copy is one file, with its integrity
// checked and on the disk.
func Backup(ctx context.Context, from, to string) (err error) {
	if _, err := os.Stat(from); err != nil {
		return fmt.Errorf("find the database: %w", err)
	}
	source, err := openPlain(from, url.Values{"mode": {"rw"}, "_query_only": {"on"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	if err := makeOwnerOnly(to); err != nil {
		return fmt.Errorf("make the copy's file: %w", err)
	}
	if err := copyInto(ctx, source, from, to); err != nil {
		return err
	}
	return syncFile(to)
}

// copyInto copies and checks; the destination is closed when it returns.
func copyInto(ctx context.Context, source *sql.DB, from, to string) (err error) {
	// Nobody reads the copy before it is whole, so it needs no journal.
	target, err := openPlain(to, url.Values{"mode": {"rw"}, "_journal_mode": {"OFF"}, "_synchronous": {"OFF"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	out, err := target.Conn(ctx)
	if err != nil {
		return fmt.Errorf("open the copy: %w", err)
	}
	defer out.Close() //nolint:errcheck // goes back to the pool, which is closed
	if err := snapshot(ctx, source, out, ctx.Err); err != nil {
		return damaged(from, fmt.Errorf("copy the database %s: %w", from, err))
	}
	// The source's header says that it has a write-ahead log; the copy is to be one file.
	var mode string
	if err := out.QueryRowContext(ctx, `PRAGMA journal_mode = DELETE`).Scan(&mode); err != nil || mode != "delete" {
		return fmt.Errorf("make the copy one file (it is in mode %q): %w", mode, err)
	}
	return damaged(from, checkWhole(ctx, out))
}

// snapshot copies page by page. The transaction that is open all the while keeps the source as it was when it began: without it
// SQLite would start the copy anew at each write of another process. between is asked after each step; its error ends the copy.
func snapshot(ctx context.Context, source *sql.DB, out *sql.Conn, between func() error) error {
	in, err := source.Conn(ctx)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // goes back to the pool, which is closed
	begun, err := in.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer begun.Rollback() //nolint:errcheck // it only reads
	var n int
	if err := begun.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&n); err != nil {
		return err
	}
	return in.Raw(func(from any) error {
		return out.Raw(func(to any) error {
			return copyPages(from, to, between)
		})
	})
}

func copyPages(from, to any, between func() error) (err error) {
	source, ok := from.(*sqlite3.SQLiteConn)
	target, also := to.(*sqlite3.SQLiteConn)
	if !ok || !also {
		return errors.New("the connections are of another driver")
	}
	b, err := target.Backup("main", source, "main")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Finish()) }()
	for done := false; !done; {
		if done, err = b.Step(backupPages); err != nil {
			return err
		}
		if err := between(); err != nil {
			return err
		}
	}
	return nil
}

// checkWhole has SQLite look at every page, index and reference.
func checkWhole(ctx context.Context, c *sql.Conn) error {
	var verdict string
	if err := c.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&verdict); err != nil {
		return fmt.Errorf("check the database: %w", err)
	}
	if verdict != "ok" {
		return errNotIntact
	}
	var table string
	err := c.QueryRowContext(ctx, `SELECT "table" FROM pragma_foreign_key_check LIMIT 1`).Scan(&table)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("a row of %s refers to one that is not there", table)
	}
	return err
}

// openPlain opens a database as it is: nothing is made, migrated or checked.
func openPlain(path string, q url.Values) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find the database: %w", err)
	}
	db, err := sql.Open("sqlite3", dsn(path, backupBusy, q))
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// makeOwnerOnly makes an empty file that only its owner can use, or takes one that is there and empty.
func makeOwnerOnly(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() > 0 {
		err = fmt.Errorf("%s is not empty", path)
	}
	return errors.Join(err, f.Chmod(0o600), f.Close())
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // the copy of the database, made just before
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

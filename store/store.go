package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"
	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3"

	"github.com/dynomad/dynomad"
)

var _ dynomad.Store = (*Store)(nil)

// readers is how many transactions can read at a time. SQLite reads from memory for the most part, so a few are plenty.
const readers = 4

// Config says where the store is.
type Config struct {
	Path        string // of the database; it is made if it does not exist, its directory is not
	Key         Key
	Now         func() time.Time // nil is time.Now
	Logger      hclog.Logger     // nil is silence
	BusyTimeout time.Duration    // how long to wait for another process that writes; 0 is 5 s
	Observe     func(Write)      // told of every transaction that writes; nil is nobody. It must not block
}

// Store keeps desired state in SQLite. It is safe for concurrent use.
type Store struct {
	writer *sql.DB // one connection: SQLite has one writer at a time, and here it queues fairly
	reader *sql.DB
	sealer sealer
	now    func() time.Time
	cache  *cache

	observe func(Write)
}

// Open opens the database, makes or migrates its tables, and checks that the key is the one its secrets were sealed with.
func Open(ctx context.Context, c Config) (*Store, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	if c.BusyTimeout == 0 {
		c.BusyTimeout = 5 * time.Second
	}
	if c.Observe == nil {
		c.Observe = func(Write) {}
	}
	seal, err := newSealer(c.Key)
	if err != nil {
		return nil, err
	}
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, fmt.Errorf("find the database: %w", err)
	}
	if err := notEmptied(path); err != nil {
		return nil, err
	}
	if err := ownerOnly(path); err != nil {
		return nil, fmt.Errorf("make the database file: %w", err)
	}
	s := &Store{sealer: seal, now: c.Now, cache: newCache(), observe: c.Observe}
	if s.writer, err = sql.Open("sqlite3", writerDSN(path, c.BusyTimeout)); err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	s.writer.SetMaxOpenConns(1)
	// The reader only connects when first used; by then the writer has made the file a WAL database.
	if s.reader, err = sql.Open("sqlite3", readerDSN(path, c.BusyTimeout)); err != nil {
		return nil, errors.Join(fmt.Errorf("open the database: %w", err), s.writer.Close())
	}
	s.reader.SetMaxOpenConns(readers)
	s.reader.SetMaxIdleConns(readers)
	if err := s.prepare(ctx, path, c.Logger); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// prepare brings the database to where this version can use it.
func (s *Store) prepare(ctx context.Context, path string, log hclog.Logger) error {
	if err := checkIntact(ctx, s.writer); err != nil {
		return damaged(path, err)
	}
	if err := s.migrate(ctx, path, log); err != nil {
		return damaged(path, err)
	}
	if err := s.write(ctx, initialize); err != nil {
		return damaged(path, fmt.Errorf("prepare the database %s: %w", path, err))
	}
	return s.Ping(ctx)
}

// Close ends the store. What was answered is kept either way.
func (s *Store) Close() error {
	// The writer comes last: as the last connection it empties the write-ahead log into the database.
	return errors.Join(s.reader.Close(), s.writer.Close())
}

// Ping reports whether the store can be read.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.Installation(ctx)
	return err
}

// notEmptied refuses a database of no bytes. SQLite takes it for a new one, and removes the write-ahead log beside it.
func notEmptied(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.Size() == 0 {
		return &damagedError{path: path, cause: errors.New("it has no content; if it never had any, remove it")}
	}
	return nil // what else is wrong shows when it is opened
}

// ownerOnly makes the database file if there is none, and takes it from other users: it holds what people run, even if
// not their secrets. SQLite gives the files that it makes beside it the same mode.
func ownerOnly(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600) //nolint:gosec // a fixed name in the data folder
	if err == nil {
		err = f.Close()
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Chmod(path+suffix, 0o600); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Pragmas stand in the DSN: one run through a pool would reach a single connection of it.

// writerDSN asks for synchronous=FULL, since with WAL only that keeps an answered write through a loss of power.
func writerDSN(path string, busy time.Duration) string {
	return dsn(path, busy, url.Values{
		"mode": {"rw"}, "_txlock": {"immediate"}, "_journal_mode": {"WAL"}, "_synchronous": {"FULL"},
		"_foreign_keys": {"on"}, "_secure_delete": {"on"},
	})
}

func readerDSN(path string, busy time.Duration) string {
	return dsn(path, busy, url.Values{"mode": {"ro"}, "_query_only": {"on"}, "_foreign_keys": {"on"}})
}

func dsn(path string, busy time.Duration, q url.Values) string {
	q.Set("_stmt_cache_size", "64") // more than there are; each connection parses a query once
	q.Set("_busy_timeout", strconv.FormatInt(busy.Milliseconds(), 10))
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}).String()
}

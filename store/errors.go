package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/dynomad/dynomad"
)

// retryAfter is how soon trying again makes sense when the store is busy.
const retryAfter = time.Second

// ailment is something that can be wrong with the store.
type ailment struct {
	name    string // for who counts them
	message string // for clients
}

// ailments are what can be wrong with the store that is no fault of the request, by SQLite's primary code. Reads that need no disk go on
// meanwhile.
var ailments = map[sqlite3.ErrNo]ailment{
	sqlite3.ErrBusy:     {"busy", "The store is busy with another write; try again."},
	sqlite3.ErrLocked:   {"busy", "The store is busy with another write; try again."},
	sqlite3.ErrFull:     {"full", "The disk that holds the store is full."},
	sqlite3.ErrReadonly: {"readonly", "The disk or the folder that holds the store is read-only."},
	sqlite3.ErrPerm:     {"readonly", "The folder that holds the store refuses the daemon."},
	sqlite3.ErrIoErr:    {"io", "The disk that holds the store does not work, or is read-only."},
	sqlite3.ErrCantOpen: {"io", "The files of the store cannot be opened."},
	sqlite3.ErrCorrupt:  {"damaged", "The store's database is damaged; a backup has to be restored."},
	sqlite3.ErrNotADB:   {"damaged", "The store's database is damaged; a backup has to be restored."},
}

// Ailments lists what Ailment can give, sorted.
func Ailments() []string {
	names := map[string]bool{}
	for _, a := range ailments {
		names[a.name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// Ailment says in a word what is wrong with the store by an error of it; "" if nothing is.
func Ailment(err error) string {
	var driver sqlite3.Error
	if errors.As(err, &driver) {
		return ailments[driver.Code].name
	}
	return ""
}

// translate turns what the driver says into the platform's kinds, by code. Errors that are the platform's already stay.
func translate(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var known *dynomad.Error
	if errors.As(err, &known) {
		return err
	}
	var driver sqlite3.Error
	if errors.As(err, &driver) {
		if a, ok := ailments[driver.Code]; ok {
			return unavailable(err, a.message)
		}
		if duplicate(err) {
			return dynomad.Wrap(dynomad.Conflict, err, "It exists already.")
		}
	}
	switch ctxErr := ctx.Err(); {
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(ctxErr, context.DeadlineExceeded):
		return dynomad.Wrap(dynomad.Timeout, err, "The store took too long.")
	case errors.Is(err, context.Canceled) || ctxErr != nil:
		return dynomad.Wrap(dynomad.Canceled, err, "The request was given up.")
	}
	return fmt.Errorf("store: %w", err)
}

func unavailable(cause error, message string) error {
	return &dynomad.Error{Kind: dynomad.Unavailable, Message: message, RetryAfter: retryAfter, Cause: cause}
}

// duplicate reports whether a row could not be written because one like it exists.
func duplicate(err error) bool {
	var driver sqlite3.Error
	return errors.As(err, &driver) &&
		(driver.ExtendedCode == sqlite3.ErrConstraintUnique || driver.ExtendedCode == sqlite3.ErrConstraintPrimaryKey)
}

// dangling reports whether a row could not be written because it refers to one that does not exist.
func dangling(err error) bool {
	var driver sqlite3.Error
	return errors.As(err, &driver) && driver.ExtendedCode == sqlite3.ErrConstraintForeignKey
}

// damagedError says what to do about a database that SQLite cannot read.
type damagedError struct {
	path  string
	cause error
}

func (e *damagedError) Error() string {
	return fmt.Sprintf("the database %[1]s is damaged (%[2]v); to restore it, run \"dynomad restore --force\" with a backup and the "+
		"secret.key that belongs to it; without a backup, move it away together with %[1]s-wal and %[1]s-shm and run "+
		"\"dynomad rebuild\", which takes in the apps that run (docs/backup.md)", e.path, e.cause)
}

func (e *damagedError) Unwrap() error { return e.cause }

// damaged adds what to do to an error that comes of a damaged database; others stay.
func damaged(path string, err error) error {
	var driver sqlite3.Error
	if errors.As(err, &driver) && (driver.Code == sqlite3.ErrCorrupt || driver.Code == sqlite3.ErrNotADB) {
		return &damagedError{path: path, cause: err}
	}
	if errors.Is(err, errNotIntact) {
		return &damagedError{path: path, cause: err}
	}
	return err
}

// missing makes the answer for a thing that does not exist.
func missing(what, key string) error {
	return dynomad.Errorf(dynomad.NotFound, "The %s %s does not exist.", what, clip(key))
}

// clip keeps what a client sent short enough for a message.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

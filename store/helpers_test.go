package store

import (
	"database/sql"
	"errors"
	"testing"

	"github.com/dynomad/dynomad"
)

type conn = *sql.Conn

func pragma(tb testing.TB, c conn, name string) string {
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

package store

import (
	"errors"
	"fmt"
	"testing"

	"github.com/mattn/go-sqlite3"

	"github.com/dynomad/dynomad"
)

// TestTranslate_ailments wants what the disk does to be told as that, with a time to try again, and nothing of it to be an internal error.
func TestTranslate_ailments(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err  error
		kind dynomad.Kind
	}{
		"full":              {sqlite3.Error{Code: sqlite3.ErrFull}, dynomad.Unavailable},
		"read-only":         {sqlite3.Error{Code: sqlite3.ErrReadonly}, dynomad.Unavailable},
		"write fails":       {sqlite3.Error{Code: sqlite3.ErrIoErr, ExtendedCode: sqlite3.ErrIoErrWrite}, dynomad.Unavailable},
		"sync fails":        {sqlite3.Error{Code: sqlite3.ErrIoErr, ExtendedCode: sqlite3.ErrIoErrFsync}, dynomad.Unavailable},
		"no more files":     {sqlite3.Error{Code: sqlite3.ErrCantOpen}, dynomad.Unavailable},
		"damaged":           {sqlite3.Error{Code: sqlite3.ErrCorrupt}, dynomad.Unavailable},
		"a mistake of ours": {sqlite3.Error{Code: sqlite3.ErrError}, dynomad.Internal},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := translate(t.Context(), errors.Join(fmt.Errorf("commit: %w", tt.err), errors.New("roll back: cannot")))
			wantKind(t, err, tt.kind)
			if e := (*dynomad.Error)(nil); errors.As(err, &e) && e.RetryAfter == 0 {
				t.Error("it does not say when to try again")
			}
		})
	}
}

package nomadtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// pollEvery is the pause between two looks at something that is awaited.
const pollEvery = 50 * time.Millisecond

// permanentError ends a poll: looking again will not help.
type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

// poll calls try until it returns nil, a permanentError, or ctx ends. Then the last error says what was missing: that of a try
// which ctx's end cut off says only that, so the one before it is told too.
func poll(ctx context.Context, try func(context.Context) error) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	var before error
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil && before != nil {
			return fmt.Errorf("%w: %w; before: %w", context.Cause(ctx), err, before)
		}
		before = err
		var permanent permanentError
		if errors.As(err, &permanent) {
			return permanent.error
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}

// Eventually calls try until it returns nil and fails the test, with try's last error, when that takes longer than
// within.
func Eventually(tb testing.TB, within time.Duration, try func(context.Context) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), within)
	defer cancel()
	if err := poll(ctx, try); err != nil {
		tb.Fatalf("not within %v: %v", within, err)
	}
}

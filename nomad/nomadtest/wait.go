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

// Await calls try until it returns nil, and gives try's last error when that takes longer than within.
func Await(ctx context.Context, within time.Duration, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := poll(ctx, try); err != nil {
		return fmt.Errorf("not within %v: %w", within, err)
	}
	return nil
}

// Eventually is Await for a test, which it fails.
func Eventually(tb testing.TB, within time.Duration, try func(context.Context) error) {
	tb.Helper()
	if err := Await(tb.Context(), within, try); err != nil {
		tb.Fatal(err)
	}
}

package nomadtest

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// TestPoll_cutOff has the end come in the middle of a try: what was missing is what the try before it found.
func TestPoll_cutOff(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	tries := 0
	err := poll(ctx, func(ctx context.Context) error {
		if tries++; tries == 1 {
			return errors.New("no job")
		}
		cancel()
		return ctx.Err()
	})
	if err == nil || !strings.Contains(err.Error(), "no job") || tries != 2 {
		t.Errorf("after %d tries: %v, want that there was no job", tries, err)
	}
}

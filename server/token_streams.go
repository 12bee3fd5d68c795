package server

import (
	"sync"
	"time"

	"github.com/dynomad/dynomad"
)

// tokenStreams counts the logs and terminals that each token has open, so that none takes those of all.
type tokenStreams struct {
	most int // of one token; 0 is no limit

	mu   sync.Mutex
	open map[string]int // by the token's id; those with none are not in it
}

// streamRetry is when a token that has too many streams may try again: nobody knows when one of them ends.
const streamRetry = 10 * time.Second

func newTokenStreams(most int) *tokenStreams {
	return &tokenStreams{most: most, open: map[string]int{}}
}

// enter adds a stream of a token, until leave.
func (t *tokenStreams) enter(tokenID string) (leave func(), err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.most > 0 && t.open[tokenID] >= t.most {
		return nil, &dynomad.Error{
			Kind: dynomad.RateLimited, RetryAfter: streamRetry,
			Message: "This token has as many logs and terminals open as it may.",
		}
	}
	t.open[tokenID]++
	return func() { t.leave(tokenID) }, nil
}

func (t *tokenStreams) leave(tokenID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open[tokenID]--; t.open[tokenID] == 0 {
		delete(t.open, tokenID)
	}
}

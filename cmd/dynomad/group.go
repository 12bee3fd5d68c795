package main

import (
	"context"
	"errors"
	"sync"
)

// group is goroutines that are waited for with a bound.
type group struct{ wg sync.WaitGroup }

func newGroup() *group { return &group{} }

func (g *group) start(f func()) { g.wg.Go(f) }

func (g *group) wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() { g.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.New("some work did not end in time")
	}
}

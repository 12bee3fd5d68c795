package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad/nomad"
)

// part answers, with an error or not, or is silent.
type part struct {
	mu     sync.Mutex
	err    error
	silent bool
	leader string
}

func (p *part) Leader() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leader
}

func (p *part) leads(leader string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leader = leader
}

func (p *part) Ping(ctx context.Context) error {
	p.mu.Lock()
	silent, err := p.silent, p.err
	p.mu.Unlock()
	if silent {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

func (p *part) Facts(context.Context) (nomad.Facts, error) { return nomad.Facts{}, nil }

func (p *part) set(silent bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent, p.err = silent, err
}

// TestMonitor_turned tells of a part that falls silent, of it when it speaks again, and of Nomad when it has a new leader; not of errors: what
// breaks is noticed where it breaks.
func TestMonitor_turned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &part{leader: "one"}
		m := newMonitor(&part{}, p, &part{}, hclog.NewNullLogger())
		var mu sync.Mutex
		var told []string
		m.turned = func(name string) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, name)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { m.run(ctx); close(ended) }()
		wants := func(what string, want ...string) {
			t.Helper()
			time.Sleep(30 * time.Second)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(told, want) {
				t.Errorf("%s: told of %q, want %q", what, told, want)
			}
		}
		wants("all is well")
		p.set(false, errors.New("no leader"))
		wants("an error")
		p.set(true, nil)
		wants("silent", "nomad")
		p.set(false, errors.New("no leader"))
		wants("an error again", "nomad", "nomad")
		p.set(false, nil)
		wants("well again", "nomad", "nomad")
		p.leads("two")
		wants("a new leader", "nomad", "nomad", "nomad")
		p.set(false, errors.New("no leader"))
		p.leads("one")
		wants("no leader yet", "nomad", "nomad", "nomad")
		p.set(false, nil)
		wants("the first leader again", "nomad", "nomad", "nomad", "nomad")
		cancel()
		<-ended
	})
}

package reconcile

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad"
)

// Timing of a lane.
const (
	minBackoff = 500 * time.Millisecond
	maxBackoff = 15 * time.Second
	passTime   = time.Minute // the longest a pass may take
	heldAgain  = time.Second // between looks at whether the loop may write
	workers    = 8           // passes at once
	retriers   = 4           // … and of apps whose last pass failed: those wait for one another, nobody else for them
)

// lane makes passes of one kind over apps: of different ones beside each other, of the same one never.
type lane struct {
	*Config
	name    string
	list    func(ctx context.Context) ([]string, error) // the apps to look at
	pass    func(ctx context.Context, appID string) (time.Duration, error)
	wake    chan struct{} // capacity 1: somebody became due
	slots   chan struct{} // passes under way
	retries chan struct{} // … of apps whose last pass failed

	mu       sync.Mutex
	due      map[string]time.Time // by app id
	failures map[string]failure   // by app id, since the last pass that did not fail
	busy     map[string]bool
}

// failure is what an app's last passes came to.
type failure struct {
	passes int    // in a row
	text   string // of the last
}

func newLane(c *Config, name string) *lane {
	return &lane{
		Config: c, name: name, wake: make(chan struct{}, 1), slots: make(chan struct{}, workers),
		retries: make(chan struct{}, retriers), due: map[string]time.Time{}, failures: map[string]failure{}, busy: map[string]bool{},
	}
}

func (l *lane) wakeAt(appID string, at time.Time) {
	l.mu.Lock()
	if old, ok := l.due[appID]; !ok || at.Before(old) {
		l.due[appID] = at
	}
	l.mu.Unlock()
	l.poke()
}

func (l *lane) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run makes passes until ctx ends; it returns when those under way have ended.
func (l *lane) run(ctx context.Context) {
	var passes sync.WaitGroup
	defer passes.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	next := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-l.wake:
		}
		if now := time.Now(); !now.Before(next) {
			l.wakeAll(ctx)
			next = now.Add(Interval)
		}
		for _, appID := range l.takeDue() {
			passes.Go(func() { l.visit(ctx, appID) })
		}
		timer.Reset(l.untilDue(next))
	}
}

// wakeAll makes every app due. With a live view this costs Nomad nothing: passes that find nothing to do ask nothing.
func (l *lane) wakeAll(ctx context.Context) {
	ids, err := l.list(ctx)
	if err != nil {
		l.Log.Error("cannot list the apps to look at", "error", err)
		return
	}
	now := time.Now()
	for _, id := range ids {
		l.mu.Lock()
		if _, ok := l.due[id]; !ok {
			l.due[id] = now
		}
		l.mu.Unlock()
	}
}

// takeDue takes the apps that are due and not being looked at.
func (l *lane) takeDue() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	var ids []string
	for id, at := range l.due {
		if !at.After(now) && !l.busy[id] {
			delete(l.due, id)
			l.busy[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

func (l *lane) untilDue(next time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, at := range l.due {
		if at.Before(next) && !l.busy[id] {
			next = at
		}
	}
	return max(time.Until(next), 0)
}

// visit makes one pass over an app, when there is a slot for it, and settles when to look again.
func (l *lane) visit(ctx context.Context, appID string) {
	slots := l.slotsFor(appID)
	select {
	case <-ctx.Done():
		l.finish(appID, 0)
		return
	case slots <- struct{}{}:
		defer func() { <-slots }()
	}
	if l.Held != nil && !l.Held() {
		l.finish(appID, heldAgain)
		return
	}
	passCtx, cancel := context.WithTimeout(ctx, passTime)
	defer cancel()
	again, err := l.pass(passCtx, appID)
	switch {
	case err == nil:
		l.mu.Lock()
		delete(l.failures, appID)
		l.mu.Unlock()
	case ctx.Err() == nil:
		again = l.failed(appID, err)
	}
	l.finish(appID, again)
}

// slotsFor gives the slots that an app's pass has to wait for.
func (l *lane) slotsFor(appID string) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failures[appID].passes > 0 {
		return l.retries
	}
	return l.slots
}

// finish ends a pass; again > 0 says when to look next by itself.
func (l *lane) finish(appID string, again time.Duration) {
	l.mu.Lock()
	delete(l.busy, appID)
	l.mu.Unlock()
	if again > 0 {
		l.wakeAt(appID, time.Now().Add(again))
		return
	}
	l.poke() // it may have been woken meanwhile
}

// failed counts and logs a failure and gives the pause after it, with jitter. What was logged is not logged again.
func (l *lane) failed(appID string, err error) time.Duration {
	l.mu.Lock()
	f := l.failures[appID]
	known := f.text == err.Error()
	pause := min(minBackoff<<min(f.passes, 10), maxBackoff)
	l.failures[appID] = failure{passes: f.passes + 1, text: err.Error()}
	l.mu.Unlock()

	pause = pause/2 + rand.N(pause/2)
	level := hclog.Warn
	switch {
	case known:
		level = hclog.Debug
	case dynomad.KindOf(err) == dynomad.Internal:
		level = hclog.Error
	}
	l.Log.Log(level, "cannot make the cluster match yet", "lane", l.name, "app_id", appID, "error", err, "again_in", pause)
	return pause
}

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
	name  string
	list  func(ctx context.Context) ([]string, error) // the apps to look at
	pass  func(ctx context.Context, appID string) (again time.Duration, calm bool, err error)
	about func(appID string) []any // what the log names an app by
	wake  chan struct{}            // capacity 1: somebody became due

	mu       sync.Mutex
	queue    queue
	failures map[string]failure // by app id, since the last pass that did not fail
	requests map[string]request // by app id, while something is left to do
}

// request is the last one that has changed an app, or is about to.
type request struct {
	id       string
	expected bool   // its change may not be there yet
	seen     uint64 // grows with each change and expectation
}

// failure is what an app's last passes came to.
type failure struct {
	passes int    // in a row
	text   string // of the last
}

func newLane(c *Config, name string) *lane {
	return &lane{
		Config: c, name: name, wake: make(chan struct{}, 1), queue: newQueue(workers, retriers),
		failures: map[string]failure{}, requests: map[string]request{},
	}
}

func (l *lane) wakeAt(appID string, at time.Time) {
	l.mu.Lock()
	l.queue.add(appID, at)
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
		for _, t := range l.takeDue() {
			passes.Go(func() { l.visit(ctx, t) })
		}
		timer.Reset(l.untilDue(next))
	}
}

// wakeAll makes every app due. With a live view this costs Nomad nothing: passes that find nothing to do ask nothing.
func (l *lane) wakeAll(ctx context.Context) {
	ids, err := l.list(ctx)
	if err != nil {
		if ctx.Err() == nil {
			l.Log.Error("cannot list the apps to look at", "error", err)
		}
		return
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		if !l.queue.has(id) {
			l.queue.add(id, now)
		}
	}
}

// takeDue takes the apps that are due, as far as there are slots. What failed has slots of its own.
func (l *lane) takeDue() []taken {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queue.take(time.Now(), l.failing)
}

// failing reports whether an app's last pass failed.
func (l *lane) failing(appID string) bool { return l.failures[appID].passes > 0 }

func (l *lane) untilDue(next time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, ok := l.queue.next(); ok && at.Before(next) {
		next = at
	}
	return max(time.Until(next), 0)
}

// visit makes one pass over an app and settles when to look again.
func (l *lane) visit(ctx context.Context, t taken) {
	appID := t.appID
	if l.Held != nil && !l.Held() {
		l.finish(appID, heldAgain)
		return
	}
	p := l.begin(t)
	passCtx, cancel := context.WithTimeout(ctx, passTime)
	defer cancel()
	again, calm, err := l.pass(passCtx, appID)
	if ctx.Err() == nil {
		l.Meter.Passed(Pass{Lane: l.name, Waited: p.waited, Retry: p.retry, Calm: calm, Took: time.Since(p.begun), Err: err})
	}
	switch {
	case err == nil:
		l.succeeded(appID, p.seen, again)
	case ctx.Err() == nil:
		again = l.failed(appID, err)
	}
	l.finish(appID, again)
}

// passing is a pass that begins.
type passing struct {
	waited time.Duration
	begun  time.Time
	retry  bool   // the one before failed
	seen   uint64 // of the app's request
}

// begin notes that a pass over an app begins.
func (l *lane) begin(t taken) passing {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	return passing{waited: now.Sub(t.since), begun: now, retry: l.failing(t.appID), seen: l.requests[t.appID].seen}
}

// succeeded notes that a pass did not fail. When nothing is left to do, what comes next is no longer the request's doing.
func (l *lane) succeeded(appID string, seen uint64, again time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.failures, appID)
	if r := l.requests[appID]; again == 0 && !r.expected && r.seen == seen {
		delete(l.requests, appID)
	}
}

// request gives the id of the request that what is wanted of an app is the doing of, "" if there is none that is known. To be asked once
// that was read.
func (l *lane) request(appID string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests[appID].id
}

// expect has what is done about an app from now on counted as a request's doing, at least until the request has made its change.
func (l *lane) expect(appID, requestID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests[appID] = request{id: requestID, expected: true, seen: l.requests[appID].seen + 1}
}

// changed notes that a request that was expected has made its change.
func (l *lane) changed(appID, requestID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.requests[appID]; r.expected && r.id == requestID { // else a later one is about to
		l.requests[appID] = request{id: requestID, seen: r.seen + 1}
	}
}

// finish ends a pass; again > 0 says when to look next by itself.
func (l *lane) finish(appID string, again time.Duration) {
	l.mu.Lock()
	l.queue.done(appID)
	if again > 0 {
		l.queue.add(appID, time.Now().Add(again))
	}
	l.mu.Unlock()
	l.poke() // there is a slot, and it may have been woken meanwhile
}

// failed counts and logs a failure and gives the pause after it, with jitter. What was logged is not logged again.
func (l *lane) failed(appID string, err error) time.Duration {
	l.mu.Lock()
	requestID := l.requests[appID].id
	f := l.failures[appID]
	known := f.text == err.Error()
	pause := min(minBackoff<<min(f.passes, 10), maxBackoff)
	l.failures[appID] = failure{passes: f.passes + 1, text: err.Error()}
	l.mu.Unlock()

	pause = pause/2 + rand.N(pause/2) //nolint:gosec // jitter, no secret
	level := hclog.Warn
	switch {
	case known:
		level = hclog.Debug
	case dynomad.KindOf(err) == dynomad.Internal:
		level = hclog.Error
	}
	args := append(l.about(appID), "lane", l.name, "error", err, "again_in", pause)
	l.Log.Log(level, "cannot make the cluster match yet", withRequest(requestID, args)...)
	return pause
}

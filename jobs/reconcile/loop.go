// Package reconcile makes the cluster match what the store wants.
//
// It is level-triggered: a wake says "look at this app", never what happened. One pass over an app reads what is wanted and
// what is there, decides with package jobs, acts, and records what it did. A pass that finds nothing to do costs no request
// to Nomad. Passes of one app never overlap; one app's trouble delays no other: failures back off per app.
//
// The loop touches only jobs that carry this installation's owner mark, and every write of a job is check-and-set.
package reconcile

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad/jobs"
)

// Timing of the loop.
const (
	Interval   = 30 * time.Second // between looks at every app
	rolloutGap = 2 * time.Second
	purgeDelay = 2 * time.Second // from the end of a job's last dyno to its removal
)

// Config is what a Loop needs.
type Config struct {
	Desired  Desired
	Cluster  Cluster
	Live     Live
	Services Services
	Settings func() jobs.Settings // read at every pass: the cluster's facts may change
	Held     func() bool          // asked before every pass: may this process write to the cluster now? nil is always
	Now      func() time.Time     // for what is recorded; what only waits in memory does not go by the clock on the wall
	NewID    func() string
	Log      hclog.Logger
	Meter    Meter // nil is nobody
}

// Loop makes the cluster match the store. It is safe for concurrent use.
//
// An app's service job and the jobs of its runs have passes of their own, which do not wait for each other.
type Loop struct {
	Config
	apps, runs *lane

	mu       sync.Mutex
	quiet    map[string]time.Time // by app or run id: when all dynos of a job that has to go were first seen to have ended
	owed     map[string]time.Time // by app or run id: since when Nomad owes it a dyno
	withheld map[string]time.Time // by app id: since when its rollout has lacked canaries
	revoked  map[string]bool      // runs that have started, and whose variables were removed
	rolling  map[string]rolling   // by app id: rollouts under way
	about    map[string]subject   // by app id: what lines of the log name it by

	unlisted sync.Once // tells that variables are not listed
	calm     calm
}

// New makes a Loop; Run starts it.
func New(c Config) *Loop {
	if c.Meter == nil {
		c.Meter = unmetered{}
	}
	l := &Loop{
		Config: c, quiet: map[string]time.Time{}, owed: map[string]time.Time{}, withheld: map[string]time.Time{}, revoked: map[string]bool{}, rolling: map[string]rolling{}, about: map[string]subject{},
		calm: newCalm(),
	}
	l.apps, l.runs = newLane(&l.Config, laneApps), newLane(&l.Config, laneRuns)
	l.apps.list, l.apps.pass = c.Desired.AppIDs, l.passUnlessCalm
	l.runs.list, l.runs.pass = c.Desired.AppsWithRuns, l.passRunsUnlessNone
	l.apps.about, l.runs.about = l.naming, l.naming
	return l
}

// Wake has an app looked at soon. It never blocks.
func (l *Loop) Wake(appID string) {
	for _, lane := range []*lane{l.apps, l.runs} {
		lane.wakeAt(appID, time.Now())
	}
}

// Expect says that a request, whose id is not "", is about to change an app: a pass may read the change before WakeFor is called, which has
// to follow whether or not it was made. From now on, until nothing is left to do, the lines of the log about the app have the id; of several
// requests the last one's.
func (l *Loop) Expect(appID, requestID string) {
	for _, lane := range []*lane{l.apps, l.runs} {
		lane.expect(appID, requestID)
	}
}

// WakeFor is Wake after the change that a request was expected to make.
func (l *Loop) WakeFor(appID, requestID string) {
	for _, lane := range []*lane{l.apps, l.runs} {
		lane.changed(appID, requestID)
	}
	l.Wake(appID)
}

// Run looks at every app, then at those that are woken, and at every app again each Interval, until ctx ends. It returns when
// the passes under way have ended.
func (l *Loop) Run(ctx context.Context) {
	var lanes sync.WaitGroup
	lanes.Go(func() { l.apps.run(ctx) })
	lanes.Go(func() { l.runs.run(ctx) })
	lanes.Wait()
}

// lasts reports whether something of an app or run has held for at least a while, and notes in since (the Loop's quiet, owed or withheld) when it was
// first seen to. It forgets that once it says so, and when it does not hold.
func (l *Loop) lasts(since map[string]time.Time, id string, holds bool, while time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	first, known := since[id]
	switch {
	case !holds:
		delete(since, id)
		return false
	case !known:
		since[id] = time.Now()
		return false
	case time.Since(first) < while:
		return false
	}
	delete(since, id)
	return true
}

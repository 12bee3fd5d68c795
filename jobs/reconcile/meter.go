package reconcile

import "time"

// Meter is told how the loop does. Its methods must not block.
type Meter interface {
	// Passed tells of a pass that has ended.
	Passed(Pass)
	// RolledOut tells of the end of a rollout that replaced dynos, and how long it took; of one that was superseded, until then.
	RolledOut(outcome string, took time.Duration)
}

// Pass is a pass over an app that has ended.
type Pass struct {
	Lane   string        // "app", or "runs" of its one-off and scheduled dynos
	Waited time.Duration // from when the app was due until the pass began
	Retry  bool          // the pass before failed: those wait for one another
	Calm   bool          // it was left out, since what it would have read was as before
	Took   time.Duration
	Err    error // nil if it did not fail
}

// What becomes of rollouts.
const (
	OutcomeSucceeded  = "succeeded"
	OutcomeFailed     = "failed"
	OutcomeSuperseded = "superseded" // something newer was registered before its end
)

// Outcomes lists what becomes of rollouts.
func Outcomes() []string { return []string{OutcomeSucceeded, OutcomeFailed, OutcomeSuperseded} }

// Lanes lists the names of the loop's lanes.
func Lanes() []string { return []string{laneApps, laneRuns} }

const (
	laneApps = "app"
	laneRuns = "runs"
)

// unmetered is the meter of nobody.
type unmetered struct{}

func (unmetered) Passed(Pass)                     {}
func (unmetered) RolledOut(string, time.Duration) {}

// Backlog is what waits in a lane now.
type Backlog struct {
	Lane    string
	Overdue time.Duration // how long the app that waits longest has been due, of those whose last pass did not fail
	Failing int           // apps whose last pass failed
}

// Backlogs tells what waits in each lane.
func (l *Loop) Backlogs() []Backlog { return []Backlog{l.apps.backlog(), l.runs.backlog()} }

func (l *lane) backlog() Backlog {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Backlog{Lane: l.name, Overdue: l.queue.overdue(time.Now(), l.failing), Failing: len(l.failures)}
}

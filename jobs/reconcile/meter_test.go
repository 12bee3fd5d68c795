package reconcile_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynomad/dynomad/jobs/reconcile"
)

// meter remembers what it is told.
type meter struct {
	mu       sync.Mutex
	passes   []reconcile.Pass
	outcomes []string
	took     []time.Duration
}

func (m *meter) Passed(p reconcile.Pass) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.passes = append(m.passes, p)
}

func (m *meter) RolledOut(outcome string, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outcomes, m.took = append(m.outcomes, outcome), append(m.took, took)
}

func (m *meter) ended() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.outcomes)
}

// TestMeter_rollouts counts rollouts that succeed, fail and are superseded, each once.
func TestMeter_rollouts(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deploy("1")
		w.start()
		w.settle()
		w.release("1", "bad:1")
		w.settle()
		w.cluster.Outcome(nil) // from now on they run until they are ended
		w.release("1", "good:3")
		w.settle()
		w.release("1", "good:4")
		w.settle()
		w.cluster.Finish(job1, succeed())
		w.settle()
		got := w.meter.ended()
		want := []string{reconcile.OutcomeSucceeded, reconcile.OutcomeFailed, reconcile.OutcomeSuperseded, reconcile.OutcomeSucceeded}
		if !slices.Equal(got, want) {
			t.Errorf("a good release, a bad one, one that is replaced, and that: %v", got)
		}
		for i, took := range w.meter.took {
			if took < 0 || took > time.Minute {
				t.Errorf("%s took %s", w.meter.outcomes[i], took)
			}
		}
	})
}

// TestMeter_passes tells of looks that fail, and of the apps whose last did.
func TestMeter_passes(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cluster.Away(true)
		w.deploy("1")
		w.start()
		w.settle()
		failing := w.loop.Backlogs()[0].Failing
		w.cluster.Away(false)
		w.settle()
		w.settle()
		after := w.loop.Backlogs()[0]
		if failing != 1 || after.Failing != 0 || after.Overdue > time.Second {
			t.Errorf("failing apps: %d, then %+v", failing, after)
		}
		w.meter.mu.Lock()
		defer w.meter.mu.Unlock()
		bad := slices.ContainsFunc(w.meter.passes, func(p reconcile.Pass) bool { return p.Lane == "app" && p.Err != nil })
		good := slices.ContainsFunc(w.meter.passes, func(p reconcile.Pass) bool { return p.Lane == "app" && p.Err == nil && p.Waited >= 0 })
		if !bad || !good {
			t.Errorf("looks that failed %t, that did not %t: %+v", bad, good, w.meter.passes)
		}
	})
}

// TestMeter_calm tells a look that was left out from one that was made.
func TestMeter_calm(t *testing.T) {
	inWorld(t, func(w *world) {
		w.rest()
		passes := func(change func()) []reconcile.Pass {
			t.Helper()
			w.meter.mu.Lock()
			w.meter.passes = nil
			w.meter.mu.Unlock()
			change()
			w.loop.Wake("1")
			synctest.Wait()
			w.meter.mu.Lock()
			defer w.meter.mu.Unlock()
			if len(w.meter.passes) == 0 {
				t.Error("nothing is told of an app that was woken")
			}
			return w.meter.passes
		}
		made := func(p reconcile.Pass) bool { return !p.Calm }
		passes(func() {}) // that there are no runs is found out when it is woken
		if got := passes(func() {}); slices.ContainsFunc(got, made) {
			t.Errorf("nothing has changed: %+v", got)
		}
		if got := passes(func() { w.change("1", func(r *record) { r.types[0].Quantity = 2 }) }); !slices.ContainsFunc(got, made) {
			t.Errorf("it was scaled: %+v", got)
		}
	})
}

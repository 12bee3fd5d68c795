package reconcile_test

import (
	"context"
	"errors"
	"testing"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestRouse_overlooked has Nomad say nothing of a new worker that runs well: it is told to look again, until it does.
func TestRouse_overlooked(t *testing.T) {
	for name, refused := range map[string]int{"at once": 0, "after its node was away": 2} {
		inWorldNamed(t, name, func(w *world) {
			w.serving(1)
			left := refused
			w.cluster.OnCall(func(_ context.Context, c nomadtest.Call) error {
				if c.Name != "Rouse" || left == 0 {
					return nil
				}
				left--
				return errors.New("no path to node")
			})
			w.withWorker("work")
			w.cluster.Overlook(job1, "worker")
			w.change("1", func(r *record) { r.types[1].Quantity = 2 }) // waits for the end of the rollout
			for range 2 + 2*refused {
				w.settle()
			}
			if n := w.cluster.Calls("Rouse"); n != 1+refused {
				t.Errorf("roused %d times, want %d", n, 1+refused)
			}
			if got := w.cluster.Counts(job1)["worker"]; got != 2 {
				t.Errorf("%d workers are wanted of Nomad, want 2", got)
			}
		})
	}
}

// TestRouse_leftAlone rouses none of what Nomad is right to wait for: a web dyno that is not ready, and what fails.
func TestRouse_leftAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serving(1)
		w.release("1", "slow:2")
		w.cluster.Overlook(job1, dynomad.Web)
		for range 4 {
			w.settle()
		}
		w.cluster.Sicken(job1, dynomad.Web, 1)
		w.settle()
		w.status("1", 2, dynomad.ReleaseFailed)
		if n := w.cluster.Calls("Rouse"); n != 0 {
			t.Errorf("roused %d times", n)
		}
	})
}

package reconcile_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// healthy tells the view that all of an app's dynos pass their checks.
func (w *world) healthy(ids ...string) {
	all := map[string]jobs.Health{}
	for _, id := range ids {
		all[id] = jobs.Health{Known: true, Passing: true}
	}
	w.view.ResetHealth(all)
}

// stopOne asks for one dyno of app 1 to be replaced.
func (w *world) stopOne(id string) {
	w.change("1", func(r *record) { r.stops = append(r.stops, dynomad.DynoStop{DynoID: id, Type: dynomad.Web}) })
	w.settle()
}

func TestStops_anotherIsReady(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deploy("1").types[0].Quantity = 2
		w.start()
		w.settle()
		before := w.cluster.Allocs("", job1)
		w.healthy(before...)
		registers := w.cluster.Calls("Register")
		w.stopOne(before[0])
		after := w.cluster.Allocs("", job1)
		if len(after) != 2 || slices.Contains(after, before[0]) || after[1] != before[1] {
			t.Errorf("got dynos %v, want only the first of %v replaced", after, before)
		}
		if n := w.cluster.Calls("Register"); n != registers {
			t.Errorf("one dyno's restart registered the job %d times", n-registers)
		}
		if left := w.get("1").stops; len(left) != 0 {
			t.Errorf("the wish is still there: %v", left)
		}
	})
}

func TestStops_noOtherIsReady(t *testing.T) {
	for name, passing := range map[string]int{"the only one passes": 1, "the other one fails its check": 1} {
		inWorldNamed(t, name, func(w *world) {
			r := w.deploy("1")
			if name != "the only one passes" {
				r.types[0].Quantity = 2
			}
			w.start()
			w.settle()
			before := w.cluster.Allocs("", job1)
			w.healthy(before[:passing]...)
			w.stopOne(before[0])
			if n := w.cluster.Calls("StopAlloc"); n != 0 {
				w.Errorf("the dyno was stopped with no other to take its traffic")
			}
			after := w.cluster.Allocs("", job1)
			if len(after) != len(before) || slices.ContainsFunc(after, func(id string) bool { return slices.Contains(before, id) }) {
				w.Errorf("got dynos %v, want all of %v replaced by a rollout", after, before)
			}
			if got := w.get("1"); len(got.stops) != 0 || got.types[0].RestartID == "" {
				w.Errorf("left %v, restart id %q", got.stops, got.types[0].RestartID)
			}
		})
	}
}

func TestStops_gone(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deploy("1")
		w.start()
		w.settle()
		w.healthy(w.cluster.Allocs("", job1)...)
		w.stopOne("alloc-of-long-ago")
		if got := w.get("1"); len(got.stops) != 0 || got.types[0].RestartID != "" || w.cluster.Calls("StopAlloc") != 0 {
			t.Errorf("a dyno that is gone was replaced: %+v", got)
		}
	})
}

// TestStops_outOfSight keeps the wish until the cluster is seen again: without it nobody knows who could take the traffic.
func TestStops_outOfSight(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deploy("1").types[0].Quantity = 2
		w.start()
		w.settle()
		before := w.cluster.Allocs("", job1)
		w.stopOne(before[0])
		if n := w.cluster.Calls("StopAlloc"); n != 0 || len(w.get("1").stops) != 1 {
			t.Errorf("%d stops without sight of the checks", n)
		}
		w.healthy(before...)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := w.cluster.Calls("StopAlloc"); n != 1 || len(w.get("1").stops) != 0 {
			t.Errorf("%d stops after the checks came back", n)
		}
	})
}

// TestStops_two asks for both of two dynos at once, and the news of the first one's end is late: the second is not stopped as
// well for that.
func TestStops_two(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deploy("1").types[0].Quantity = 2
		w.start()
		w.settle()
		before := w.cluster.Allocs("", job1)
		w.healthy(before...)
		w.cluster.Hold(true)
		w.cluster.Linger()
		w.change("1", func(r *record) {
			r.stops = []dynomad.DynoStop{{DynoID: before[0], Type: dynomad.Web}, {DynoID: before[1], Type: dynomad.Web}}
		})
		w.settle()
		if after := w.cluster.Allocs("", job1); !slices.Contains(after, before[1]) {
			t.Errorf("of %v both are told to end", before)
		}
		w.cluster.Hold(false)
		w.settle()
		if left := w.get("1").stops; len(left) != 0 {
			t.Errorf("the wishes are still there: %v", left)
		}
		if after := w.cluster.Allocs("", job1); slices.ContainsFunc(after, func(id string) bool { return slices.Contains(before, id) }) {
			t.Errorf("got dynos %v, want both of %v replaced", after, before)
		}
	})
}

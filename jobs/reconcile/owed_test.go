package reconcile_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// reminded fails unless Nomad was asked so often to evaluate a job.
func (w *world) reminded(times int) {
	w.Helper()
	if got := w.cluster.Calls("Evaluate"); got != times {
		w.Errorf("Nomad was reminded %d times, want %d", got, times)
	}
}

// TestLoop_owed has Nomad's scheduler put off a release's only dyno and say nothing: it is reminded once, and the release goes on.
func TestLoop_owed(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cluster.Distract()
		w.start()
		w.deploy("1")
		w.settle()
		w.status("1", 1, dynomad.ReleasePending)
		w.reminded(0)
		w.settle()
		w.reminded(1)
		w.status("1", 1, dynomad.ReleaseSucceeded)
		time.Sleep(time.Hour)
		synctest.Wait()
		w.reminded(1)
	})
}

// TestLoop_owedSilently has a dyno vanish from an app of which nothing rolls out, and Nomad not place another. Nobody wakes the loop.
func TestLoop_owedSilently(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.deploy("1")
		w.settle()
		lost := jobs.Alloc{
			ID: w.cluster.Allocs("", "app1-default")[0], Namespace: "default", JobID: "app1-default", Group: dynomad.Web, VersionKnown: true,
			Desired: api.AllocDesiredStatusStop, Client: api.AllocClientStatusLost, ModifyIndex: 1 << 20,
		}
		w.view.Apply("default", jobs.Delta{Alloc: &lost})
		w.settle()
		w.reminded(0)
		w.settle()
		w.reminded(1)
		time.Sleep(time.Minute)
		w.reminded(3)
	})
}

// TestLoop_notOwed has Nomad say why it places no dyno: asked again, it would say it again.
func TestLoop_notOwed(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cluster.Distract()
		w.start()
		w.deploy("1")
		synctest.Wait()
		w.view.Apply("default", jobs.Delta{Blocked: &jobs.Blocked{
			Namespace: "default", JobID: "app1-default", EvalID: "e", Index: 1 << 20,
			Failed: map[string]*api.AllocationMetric{dynomad.Web: {NodesEvaluated: 1, DimensionExhausted: map[string]int{"memory": 1}}},
		}})
		time.Sleep(40 * time.Second)
		w.reminded(0)
	})
}

// TestLoop_withheld has Nomad want canaries that it never places: once a reminder has not helped, the rollout is begun anew, and it is as if the
// one before had gone well. Nobody else is said to have changed the job.
func TestLoop_withheld(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serving(1)
		w.cluster.Collide()
		w.change("1", func(r *record) { r.types[0].Quantity = 2 })
		w.settle()
		w.settle()
		w.dynosUp(1)
		w.reminded(1)
		w.settle()
		w.settle()
		w.dynosUp(2)
		w.renewed(1)
		w.cluster.Finish(job1, jobs.Rollout{State: jobs.RolloutSucceeded})
		time.Sleep(time.Hour)
		synctest.Wait()
		w.renewed(1)
		w.reminded(1)
		if w.get("1").applied.RollingOut {
			t.Error("the rollout has not ended")
		}
		for _, a := range w.store.audits {
			if a.Action == "job.repair" {
				t.Errorf("it was taken for somebody's change: %+v", a)
			}
		}
	})
}

// TestLoop_withheldFull has Nomad say why it places no canary: the rollout waits.
func TestLoop_withheldFull(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serving(1)
		w.cluster.Collide()
		w.view.Apply("default", jobs.Delta{Blocked: &jobs.Blocked{
			Namespace: "default", JobID: job1, EvalID: "e", Index: 1 << 20,
			Failed: map[string]*api.AllocationMetric{dynomad.Web: {NodesEvaluated: 1, DimensionExhausted: map[string]int{"memory": 1}}},
		}})
		w.change("1", func(r *record) { r.types[0].Quantity = 2 })
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		w.renewed(0)
		w.reminded(0)
	})
}

// renewed fails unless so many rollouts were begun anew.
func (w *world) renewed(times int) {
	w.Helper()
	if got := w.cluster.Calls("Renew"); got != times {
		w.Errorf("%d rollouts were begun anew, want %d", got, times)
	}
}

// dynosUp fails unless app 1 has so many allocations up.
func (w *world) dynosUp(want int) {
	w.Helper()
	if got := len(w.cluster.Allocs("", job1)); got != want {
		w.Errorf("%d dynos are up, want %d", got, want)
	}
}

// TestLoop_owedRun is TestLoop_owed for a run.
func TestLoop_owedRun(t *testing.T) {
	inRunWorld(t, func(w *world) {
		w.cluster.Distract()
		w.run()
		w.settle()
		w.ran(0)
		w.reminded(0)
		w.settle()
		w.reminded(1)
		w.ran(1)
		time.Sleep(time.Minute)
		w.reminded(1)
	})
}

// TestLoop_owedAway has Nomad be away when it should be reminded, and come back.
func TestLoop_owedAway(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cluster.Distract()
		w.start()
		w.deploy("1")
		w.settle()
		w.cluster.Away(true)
		time.Sleep(time.Minute)
		w.cluster.Away(false)
		w.settle()
		w.settle()
		w.status("1", 1, dynomad.ReleaseSucceeded)
	})
}

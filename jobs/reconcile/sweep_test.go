package reconcile_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// Variables of the app of job1 and of others, as they may be found in Nomad.
const (
	lostConfig = "dynomad/" + job1 + "/0197b2e4-0000-7000-8000-00000000c0de" // of a config version that the store may have lost
	runConfig  = "dynomad/" + job1 + "/run-1234"
	handMade   = "dynomad/" + job1 + "/notes"
	neighbour  = "dynomad/" + job1 + "x/0197b2e4-0000-7000-8000-00000000c0de"
)

// find puts variables by hand, and has the view see them with those that are there.
func (w *world) find(paths ...string) {
	w.Helper()
	for _, path := range paths {
		if err := w.cluster.PutVariable(w.Context(), "", path, map[string]string{"A": "1"}); err != nil {
			w.Fatal(err)
		}
	}
	all := map[string]bool{}
	for path := range w.cluster.Variables() {
		all[path] = true
	}
	w.view.Variables("default", all)
}

// newer has the app run a second release whose config version is lostConfig's, and then the store be one from before it.
func (w *world) newer() {
	w.Helper()
	w.deploy("1")
	w.start()
	w.settle()
	before := w.get("1")
	w.release("1", "good:2")
	w.edit("1", func(r *record) {
		id := lostConfig[len("dynomad/"+job1+"/"):]
		r.releases[1].ConfigID, r.configs[id] = id, dynomad.ConfigVars{"N": "2"}
	})
	w.settle()
	w.running("1", "good:2", 1)
	w.end()
	w.edit("1", func(r *record) {
		r.releases, r.written, r.applied = before.releases, before.written, before.applied
		r.types = before.types
	})
	w.crash()
	w.find()
}

// TestPass_sweeps removes what a store that was restored does not know, and nothing else.
func TestPass_sweeps(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deploy("1")
		w.start()
		w.settle()
		own := "dynomad/" + job1 + "/c1-1"
		w.find(lostConfig, runConfig, handMade, neighbour)
		w.loop.Wake("1")
		w.settle()
		w.variables(own, runConfig, handMade, neighbour)
	})
}

// TestPass_sweepsAfterRestore goes back to an older release on the restored store's word: what the newer one's dynos read stays
// until the last of them has ended.
func TestPass_sweepsAfterRestore(t *testing.T) {
	inWorld(t, func(w *world) {
		own := "dynomad/" + job1 + "/c1-1"
		w.newer()
		w.cluster.Outcome(nil)
		w.cluster.Linger()
		w.start()
		w.settle()
		w.running("1", "good:1", 1)
		w.variables(own, lostConfig) // the rollout runs
		w.cluster.Finish(job1, jobs.Rollout{State: jobs.RolloutSucceeded})
		w.settle()
		w.variables(own, lostConfig) // a dyno of the newer release drains
		w.cluster.EndStopping()
		w.settle()
		w.variables(own)
	})
}

// TestPass_sweepsNothingThatRuns cannot go back: Nomad has put back the newer release, of which the store knows nothing, and it may
// even have the number of the one that the store has.
func TestPass_sweepsNothingThatRuns(t *testing.T) {
	inWorld(t, func(w *world) {
		w.newer()
		w.edit("1", func(r *record) {
			r.releases = slices.Clone(r.releases)
			r.releases[0].Version, r.releases[0].Status = 2, dynomad.ReleasePending
			r.builds["b1"] = dynomad.Build{ID: "b1", Image: "bad:1"}
		})
		w.start()
		time.Sleep(time.Hour)
		synctest.Wait()
		w.running("1", "good:2", 1)
		if !slices.Contains(w.paths(), lostConfig) {
			t.Errorf("the variable of what runs is gone: %v", w.paths())
		}
	})
}

// TestPass_sweepsDeleted removes all that a deleted app has left, unless its name is another's by now.
func TestPass_sweepsDeleted(t *testing.T) {
	next := func(w *world) { w.app("2").app.Name = job1 }
	job := func(w *world) { w.cluster.Put(foreignJob(nil)) }
	for name, c := range map[string]struct {
		before func(*world)
		want   []string
	}{
		"nothing else":  {func(*world) {}, []string{handMade, neighbour}},
		"a newer app":   {next, []string{handMade, lostConfig, runConfig, neighbour}},
		"another's job": {job, []string{handMade, lostConfig, runConfig, neighbour}},
	} {
		inWorldNamed(t, name, func(w *world) {
			w.app("1") // never released: it has no job
			w.find(lostConfig, runConfig, handMade, neighbour)
			c.before(w)
			w.edit("1", func(r *record) { r.deleted = true })
			w.view.VariablesLost("default") // the next app does not sweep
			w.start()
			w.settle()
			w.gone("1")
			w.variables(c.want...)
		})
	}
}

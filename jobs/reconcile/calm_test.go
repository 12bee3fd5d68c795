package reconcile_test

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs/reconcile"
)

// reads counts how often what is wanted was read.
func (w *world) reads() int {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	return w.store.reads
}

// listed has the view know the variables that there are.
func (w *world) listed() {
	paths := map[string]bool{}
	for _, path := range slices.Collect(maps.Keys(w.cluster.Variables())) {
		paths[path] = true
	}
	w.view.Variables("default", paths)
}

// rest deploys an app and has the loop come to rest about it.
func (w *world) rest() {
	w.deploy("1")
	w.start()
	w.settle()
	w.listed()
	w.settle()
	time.Sleep(2 * reconcile.Interval)
	synctest.Wait()
}

// TestLoop_calm looks at an app that is as it should be: once, and then not again until something changes that could matter.
func TestLoop_calm(t *testing.T) {
	inWorld(t, func(w *world) {
		w.rest()
		w.running("1", "good:1", 1)
		idle := func(what string) int {
			t.Helper()
			before := w.reads()
			time.Sleep(10 * reconcile.Interval)
			w.loop.Wake("1")
			synctest.Wait()
			if got := w.reads() - before; got != 0 {
				t.Errorf("%s: an app with nothing to do was read %d times", what, got)
			}
			return w.reads()
		}
		seen := func(what string, before int) {
			t.Helper()
			w.settle()
			if w.reads() == before {
				t.Errorf("%s: the app was not looked at", what)
			}
			time.Sleep(2 * reconcile.Interval)
			synctest.Wait()
		}
		before := idle("at first")
		w.cluster.Edit(job1, func(job *api.Job) { job.TaskGroups[0].Meta["edited"] = "yes" })
		seen("its job was edited", before)
		w.running("1", "good:1", 1)

		before = idle("after an edit was undone")
		w.change("1", func(r *record) { r.types[0].Quantity = 3 })
		seen("it was scaled", before)
		w.running("1", "good:1", 3)

		before = idle("after it was scaled")
		w.view.Variables("default", map[string]bool{})
		seen("its variable went", before)
		w.listed()
		time.Sleep(2 * reconcile.Interval)
		synctest.Wait()

		before = idle("after its variable was back")
		w.view.Lost("default")
		w.loop.Wake("1")
		seen("the cluster is out of sight", before)
	})
}

// TestLoop_calmEnds looks at an app again after a while in which nothing is known to have changed.
func TestLoop_calmEnds(t *testing.T) {
	inWorld(t, func(w *world) {
		w.rest()
		before := w.reads()
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := w.reads() - before; got < 1 || got > 3 {
			t.Errorf("in an hour the app was read %d times, want once or twice", got)
		}
	})
}

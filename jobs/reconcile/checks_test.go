package reconcile_test

import (
	"maps"
	"slices"

	"github.com/google/go-cmp/cmp"
)

// version fails unless a job is at a version: it tells how often it was changed.
func (w *world) version(job string, want uint64) {
	w.Helper()
	if got := *w.cluster.Spec(job).Version; got != want {
		w.Errorf("job %s is at version %d, want %d", job, got, want)
	}
}

// variables fails unless these are all that there are.
func (w *world) variables(want ...string) {
	w.Helper()
	got := w.paths()
	if diff := cmp.Diff(got, slices.Sorted(slices.Values(want))); diff != "" && len(got)+len(want) > 0 {
		w.Errorf("variables (-got +want):\n%s", diff)
	}
}

// gone fails unless nothing is left of a deleted app.
func (w *world) gone(id string) {
	w.Helper()
	if r := w.get(id); !r.removed {
		w.Errorf("the record of app %s is not closed", id)
	}
	if job := w.cluster.Spec(w.get(id).app.Name); job != nil && job.Meta["dynomad_app_id"] == id {
		w.Errorf("the job of app %s is still there", id)
	}
}

// paths lists the variables that there are.
func (w *world) paths() []string { return slices.Sorted(maps.Keys(w.cluster.Variables())) }

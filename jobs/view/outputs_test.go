package view_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/jobs/logs"
)

// TestOutputs wants those of dynos that were started, and of no other app.
func TestOutputs(t *testing.T) {
	t.Parallel()
	s := newSeen()
	running, ended, again, pulling := alloc("running", 0, 10), alloc("ended", 0, 10), alloc("again", 0, 10), alloc("pulling", 0, 10)
	running.Task = jobs.TaskSummary{Started: 500}
	ended.Client, ended.Index, ended.Task = api.AllocClientStatusComplete, 1, jobs.TaskSummary{Started: 600, Finished: 900}
	again.Created, again.Group, again.Task = 300, "worker", jobs.TaskSummary{Started: 700, Restarts: 2}
	s.Reset(ns, jobs.Snapshot{
		Jobs: []jobs.JobInfo{info(9)}, Contents: []jobs.VersionContent{content(0, 1)}, Allocs: []jobs.Alloc{running, ended, again, pulling},
	})
	got, whole := s.Outputs(state())
	slices.SortFunc(got, func(a, b logs.Output) int { return cmp.Compare(a.Alloc, b.Alloc) })
	want := []logs.Output{
		{Alloc: "again", Namespace: ns, Task: "worker", DynoID: "again", Proc: "worker.1", Type: "worker", Began: time.Unix(0, 300)},
		{Alloc: "ended", Namespace: ns, Task: "web", DynoID: "ended", Proc: "web.2", Type: "web", Began: time.Unix(0, 600), Ended: true, EndedAt: time.Unix(0, 900)},
		{Alloc: "running", Namespace: ns, Task: "web", DynoID: "running", Proc: "web.1", Type: "web", Began: time.Unix(0, 500)},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	s.Lost(ns)
	if _, after := s.Outputs(state()); !whole || after {
		t.Errorf("whole: %t, and once nothing is seen any more %t", whole, after)
	}
	for _, other := range []dynomad.App{{ID: "a2", Name: "x-default"}, {ID: "a3", Name: "y-default"}} {
		if got, _ := s.Outputs(dynomad.AppState{App: other}); len(got) > 0 {
			t.Errorf("of %s: %v", other.ID, got)
		}
	}
}

package jobs_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

func TestWaiting(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	in := jobs.WaitingInput{
		App: dynomad.App{ID: "a1", Name: "api-default"}, Type: worker(), Command: text("node w.js"),
		Count: 4, Taken: []int{2, 0}, ReleaseVersion: 3, Since: since,
	}
	rows := jobs.Waiting(in)
	if len(rows) != 2 || rows[0].TypeN != "worker.2" || rows[1].TypeN != "worker.4" {
		t.Fatalf("rows are %+v, want worker.2 and worker.4", rows)
	}
	d := rows[0]
	if d.State != dynomad.StateWaiting || d.ReleaseVersion != 3 || *d.Command != "node w.js" || d.Size != "gp1" || !d.CreatedAt.Equal(since) {
		t.Errorf("row is %+v", d)
	}
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	name := regexp.MustCompile(`^[0-9]{10}-[a-z0-9]{5}$`)
	if !uuid.MatchString(d.ID) || !name.MatchString(d.Name) {
		t.Errorf("id %q or name %q is none", d.ID, d.Name)
	}
	in.Taken = []int{0, 2, 3}
	if again := jobs.Waiting(in); len(again) != 1 || again[0].ID != d.ID || again[0].Name != d.Name {
		t.Errorf("worker.2 is now %+v", again)
	}
	in.Count = 0
	if rows := jobs.Waiting(in); len(rows) != 0 {
		t.Errorf("none wanted, but %d wait", len(rows))
	}
}

// Dynos beyond the count that a running rollout was registered with wait for its end; the others for Nomad.
func TestWaiting_rollout(t *testing.T) {
	t.Parallel()
	in := jobs.WaitingInput{
		App: dynomad.App{ID: "a1", Name: "api-default"}, Type: worker(), Count: 4, Taken: []int{1}, ReleaseVersion: 7,
		Trial: &dynomad.Rollout{Version: 7, Trial: true, Types: []dynomad.RenderedType{{Type: "web", Count: 9}, {Type: "worker", Count: 2}}},
	}
	infos := func() []string {
		var out []string
		for _, d := range jobs.Waiting(in) {
			out = append(out, d.TypeN+": "+d.AdditionalInfo)
		}
		return out
	}
	want := []string{
		"worker.1: Nomad has not placed it yet.", "worker.3: It waits for the end of the rollout of v7.",
		"worker.4: It waits for the end of the rollout of v7.",
	}
	if diff := cmp.Diff(infos(), want); diff != "" {
		t.Errorf("rows (-got +want):\n%s", diff)
	}
	in.Trial.Types = in.Trial.Types[:1] // made after the rollout began: it starts anew with the type
	if got := infos()[2]; got != "worker.4: Nomad has not placed it yet." {
		t.Errorf("a new type's row is %q", got)
	}
}

func TestPlacementProblem(t *testing.T) {
	t.Parallel()
	tests := []struct {
		metric *api.AllocationMetric
		want   string
	}{
		{nil, "Nomad has not placed it yet."},
		{&api.AllocationMetric{NodesAvailable: map[string]int{"dc1": 0}}, "No node is ready in the datacenters and node pool that dynos may run in."},
		{
			// As recorded of a job that wants more memory than there is.
			&api.AllocationMetric{
				NodesEvaluated: 1, NodesExhausted: 1, NodesInPool: 1, NodePool: "default",
				NodesAvailable: map[string]int{"dc1": 1}, DimensionExhausted: map[string]int{"memory": 1},
			},
			"No node has room: memory is exhausted on 1 of 1 nodes.",
		},
		{
			&api.AllocationMetric{
				NodesAvailable: map[string]int{"dc1": 2, "dc2": 1}, DimensionExhausted: map[string]int{"memory": 1, "cpu": 1},
				ConstraintFiltered: map[string]int{"missing drivers": 1},
			},
			"No node has room: cpu is exhausted on 1 of 3 nodes, memory is exhausted on 1 of 3 nodes, missing drivers on 1 of 3 nodes.",
		},
		{
			&api.AllocationMetric{NodesEvaluated: 2, ConstraintFiltered: map[string]int{"missing drivers": 2}},
			"No node is fit: missing drivers on 2 of 2 nodes.",
		},
		{
			&api.AllocationMetric{NodesEvaluated: 2, QuotaExhausted: []string{"memory: 2 > 1"}},
			"No node has room: the quota is exhausted (memory: 2 > 1).",
		},
		{&api.AllocationMetric{NodesEvaluated: 2}, "None of 2 nodes takes it."},
	}
	for _, tt := range tests {
		if got := jobs.PlacementProblem(tt.metric); got != tt.want {
			t.Errorf("PlacementProblem(%+v) = %q, want %q", tt.metric, got, tt.want)
		}
	}
}

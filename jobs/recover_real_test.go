//go:build integration

package jobs_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// TestReal_recover registers every golden job and reads the app back from what Nomad then has: Nomad must find no difference to
// the job that is made of it.
func TestReal_recover(t *testing.T) {
	nomad := shared.Cluster(t).NomadClient()
	for _, g := range Goldens(t) {
		if g.Name == "retry" { // its meta is in no release
			continue
		}
		t.Run(g.Name, func(t *testing.T) {
			job := realJob(t, nomad, g)
			for _, tg := range job.TaskGroups {
				tg.Count = new(0) // nothing is to run
				tg.Update.Canary, tg.Update.MaxParallel = new(1), new(1)
			}
			s := g.Input.Settings
			if s.Namespace == "" {
				s.Namespace = api.DefaultNamespace
			}
			write, query := &api.WriteOptions{Namespace: api.DefaultNamespace}, &api.QueryOptions{Namespace: api.DefaultNamespace}
			if job.Namespace != nil {
				write.Namespace, query.Namespace = *job.Namespace, *job.Namespace
			}
			first, _, err := nomad.Jobs().Register(job, write)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if _, _, err := nomad.Jobs().Deregister(*job.ID, true, write); err != nil {
					t.Error(err)
				}
			})
			stored, _, err := nomad.Jobs().Info(*job.ID, query)
			if err != nil {
				t.Fatal(err)
			}
			r, err := jobs.Recover(s, stored)
			if err != nil {
				t.Fatal(err)
			}
			if r.State.App.Name != g.Input.App.Name || r.State.App.ID != g.Input.App.ID || len(r.Replaced) > 0 {
				t.Errorf("recovered %+v, replacing the dynos of %v", r.State.App, r.Replaced)
			}
			input, _ := jobs.InputFor(s, dynomad.Wanted{AppState: r.State})
			again, err := jobs.Spec(input)
			if err != nil {
				t.Fatal(err)
			}
			again.Region = nil
			second, _, err := nomad.Jobs().Register(again, write)
			if err != nil {
				t.Fatal(err)
			}
			if first.JobModifyIndex != second.JobModifyIndex {
				t.Errorf("the job of what was recovered moved the index from %d to %d:\n%s", first.JobModifyIndex, second.JobModifyIndex, diffJobs(t, job, again))
			}
		})
	}
}

// diffJobs tells what differs between two jobs.
func diffJobs(t *testing.T, a, b *api.Job) string {
	t.Helper()
	texts := make([]string, 0, 2)
	for _, j := range []*api.Job{a, b} {
		text, err := json.MarshalIndent(j, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	slices.Reverse(texts)
	return cmp.Diff(texts[0], texts[1])
}

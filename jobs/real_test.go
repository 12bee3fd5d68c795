//go:build integration

package jobs_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// shared is the one cluster of these tests.
var shared = nomadtest.Shared{Config: nomadtest.Config{NoTraefik: true}}

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// realJob reads a golden job, in the region and namespace of the test's cluster.
func realJob(t *testing.T, nomad *api.Client, g Golden) *api.Job {
	t.Helper()
	var job api.Job
	if err := json.Unmarshal(g.Job, &job); err != nil {
		t.Fatal(err)
	}
	job.Region = nil
	if job.NodePool != nil {
		if _, err := nomad.NodePools().Register(&api.NodePool{Name: *job.NodePool}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if job.Namespace != nil {
		if _, err := nomad.Namespaces().Register(&api.Namespace{Name: *job.Namespace}, nil); err != nil {
			t.Fatal(err)
		}
	}
	return &job
}

// TestReal_goldens has Nomad validate and plan every golden job: a golden file cannot be wrong for long.
func TestReal_goldens(t *testing.T) {
	nomad := shared.Cluster(t).NomadClient()
	for _, g := range append(Goldens(t), RunGoldens(t)...) {
		t.Run(g.Name, func(t *testing.T) {
			job := realJob(t, nomad, g)
			write := &api.WriteOptions{}
			if job.Namespace != nil {
				write.Namespace = *job.Namespace
			}
			valid, _, err := nomad.Jobs().Validate(job, write)
			if err != nil {
				t.Fatal(err)
			}
			if !valid.DriverConfigValidated || len(valid.ValidationErrors) != 0 || valid.Error != "" || valid.Warnings != "" {
				t.Errorf("validate: %+v", valid)
			}
			if _, _, err := nomad.Jobs().Plan(job, false, write); err != nil {
				t.Errorf("plan: %v", err)
			}
		})
	}
}

// TestReal_namesStaySteady registers every golden job and compares what Nomad then has with what was sent, as far as a dyno is
// named by it: a field that Nomad fills in or writes otherwise would give a dyno another name in the view than in the rendering.
func TestReal_namesStaySteady(t *testing.T) {
	nomad := shared.Cluster(t).NomadClient()
	for _, g := range Goldens(t) {
		t.Run(g.Name, func(t *testing.T) {
			rendered, err := jobs.Spec(g.Input)
			if err != nil {
				t.Fatal(err)
			}
			job := realJob(t, nomad, g)
			for _, tg := range job.TaskGroups {
				tg.Count = new(0) // nothing is to run; a count is no part of the name
				tg.Update.Canary, tg.Update.MaxParallel = new(1), new(1)
			}
			write, query := &api.WriteOptions{}, &api.QueryOptions{}
			if job.Namespace != nil {
				write.Namespace, query.Namespace = *job.Namespace, *job.Namespace
			}
			if _, _, err := nomad.Jobs().Register(job, write); err != nil {
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
			want, got := jobs.Content(rendered), jobs.Content(stored)
			for group, c := range want {
				c.Count = 0
				want[group] = c
			}
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("what Nomad has of the groups (-got +want):\n%s", diff)
			}
		})
	}
}

// TestReal_identicalRegister registers every golden job twice: Nomad must find no difference, or the loop would never rest.
func TestReal_identicalRegister(t *testing.T) {
	nomad := shared.Cluster(t).NomadClient()
	for _, g := range Goldens(t) {
		t.Run(g.Name, func(t *testing.T) {
			job := realJob(t, nomad, g)
			for _, tg := range job.TaskGroups {
				tg.Count = new(0)
				tg.Update.Canary, tg.Update.MaxParallel = new(1), new(1)
			}
			write := &api.WriteOptions{}
			if job.Namespace != nil {
				write.Namespace = *job.Namespace
			}
			var index [2]uint64
			for i := range index {
				answer, _, err := nomad.Jobs().Register(job, write)
				if err != nil {
					t.Fatal(err)
				}
				index[i] = answer.JobModifyIndex
			}
			if _, _, err := nomad.Jobs().Deregister(*job.ID, true, write); err != nil {
				t.Error(err)
			}
			if index[0] != index[1] {
				t.Errorf("the same job moved the index from %d to %d", index[0], index[1])
			}
		})
	}
}

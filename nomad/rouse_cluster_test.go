//go:build integration

package nomad_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestCluster_rouse has a second register reach dynos just when they start, at ten moments of which some are the wrong ones: there Nomad's
// client waits for the start once more, and says nothing of their health. Roused, it does, and the process goes on.
func TestCluster_rouse(t *testing.T) {
	t.Parallel()
	cluster := shared.Cluster(t)
	r := rousing{T: t, raw: cluster.NomadClient(), image: cluster.Image(t, "busybox")}
	overlooked := 0
	for i := range 10 {
		id := fmt.Sprintf("rouse%d", i)
		t.Cleanup(func() { cluster.RemoveJob(t, id) })
		r.register(id, "goes", "stays")
		r.placed(id, 2)
		time.Sleep(time.Duration(400+40*i) * time.Millisecond) // the moment: Nomad tells nobody when it is
		r.register(id, "stays")
		if nomadtest.Await(t.Context(), 6*time.Second, func(context.Context) error { return r.succeeded(id) }) == nil {
			continue
		}
		overlooked++
		alloc := r.placed(id, 1)
		if err := client(t, cluster.NomadAddr()).Rouse(t.Context(), "", alloc.ID); err != nil {
			t.Fatal(err)
		}
		nomadtest.Eventually(t, 20*time.Second, func(context.Context) error { return r.succeeded(id) })
		after := r.placed(id, 1)
		if task := after.TaskStates["stays"]; after.ID != alloc.ID || task.Restarts != 0 || task.State != "running" {
			t.Errorf("the process did not go on: %+v", task)
		}
		break
	}
	t.Logf("%d dynos were overlooked", overlooked)
}

// rousing registers jobs of processes that sleep.
type rousing struct {
	*testing.T
	raw   *api.Client
	image string
}

func (r rousing) register(id string, groups ...string) {
	r.Helper()
	job := api.NewServiceJob(id, id, "global", 50)
	job.Datacenters = []string{"*"}
	for _, name := range groups {
		task := api.NewTask(name, "docker").SetConfig("image", r.image).SetConfig("init", true).SetConfig("entrypoint", []string{"sleep", "600"})
		task.Resources, task.KillTimeout = &api.Resources{CPU: new(20), MemoryMB: new(16)}, new(time.Second)
		group := api.NewTaskGroup(name, 1).AddTask(task)
		group.Update = &api.UpdateStrategy{
			HealthCheck: new("task_states"), MinHealthyTime: new(time.Second), HealthyDeadline: new(2 * time.Minute), ProgressDeadline: new(3 * time.Minute),
		}
		job.AddTaskGroup(group)
	}
	if _, _, err := r.raw.Jobs().Register(job, nil); err != nil {
		r.Fatal(err)
	}
}

// placed waits until a job has as many allocations that are to run, and gives one.
func (r rousing) placed(id string, n int) (one *api.AllocationListStub) {
	r.Helper()
	nomadtest.Eventually(r, 20*time.Second, func(context.Context) error {
		stubs, _, err := r.raw.Jobs().Allocations(id, true, nil)
		count := 0
		for _, s := range stubs {
			if s.DesiredStatus == api.AllocDesiredStatusRun {
				one, count = s, count+1
			}
		}
		if count != n {
			return fmt.Errorf("%d allocations of %s (%w), want %d", count, id, err, n)
		}
		return nil
	})
	return one
}

// succeeded wants a job's second version to have rolled out.
func (r rousing) succeeded(id string) error {
	d, _, err := r.raw.Jobs().LatestDeployment(id, nil)
	if err != nil || d == nil || d.JobVersion != 1 || d.Status != api.DeploymentStatusSuccessful {
		return fmt.Errorf("the deployment of %s: %+v (%w)", id, d, err)
	}
	return nil
}

//go:build integration

package nomad_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/jobs/view"
	"github.com/dynomad/dynomad/nomad"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// woken is a view that knows of each app by which change it told the loop of it last, and what it was told of room.
type woken struct {
	*view.View
	mu    sync.Mutex
	index uint64            // of the change that is taken now
	by    map[string]uint64 // by app
	unfit map[string]bool   // by job: its last evaluation could not place all
}

func newWoken() *woken {
	w := &woken{by: map[string]uint64{}, unfit: map[string]bool{}}
	w.View = view.New(view.Config{Namespace: "default", Now: time.Now, Ask: func(string) {}, Changed: func(app string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.by[app] = max(w.by[app], w.index)
	}})
	w.ResetHealth(nil)
	return w
}

// Apply implements nomad.Sink.
func (w *woken) Apply(namespace string, d jobs.Delta) bool {
	w.mu.Lock()
	switch {
	case d.Alloc != nil:
		w.index = d.Alloc.ModifyIndex
	case d.Job != nil:
		w.index = d.Job.Index
	case d.Blocked != nil:
		w.index, w.unfit[d.Blocked.JobID] = d.Blocked.Index, len(d.Blocked.Failed) > 0
	}
	w.mu.Unlock()
	return w.View.Apply(namespace, d)
}

// since waits until the loop was told of an app by a change that is no older than one of Nomad's indexes.
func (w *woken) since(t *testing.T, app string, index uint64) {
	t.Helper()
	nomadtest.Eventually(t, 10*time.Second, func(context.Context) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.by[app] < index {
			return fmt.Errorf("of %s the loop was told at %d last, not since %d", app, w.by[app], index)
		}
		return nil
	})
}

// lacksRoom waits until a job's dynos are said to have no place, or to have one.
func (w *woken) lacksRoom(t *testing.T, job string, want bool) {
	t.Helper()
	nomadtest.Eventually(t, 20*time.Second, func(context.Context) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if got, known := w.unfit[job]; !known || got != want {
			return fmt.Errorf("job %s lacks room: %t, known: %t", job, got, known)
		}
		return nil
	})
}

// TestCluster_watchEnds has deployments and a node change, whose own events nobody follows: the loop is told of either at once by the events
// of what they change, and how a job lacks room for its dynos by those of its evaluations.
func TestCluster_watchEnds(t *testing.T) {
	cluster := shared.Cluster(t)
	image := cluster.Image(t, "busybox")
	raw := cluster.NomadClient()
	w := newWoken()
	watcher := &nomad.Watcher{
		Client: client(t, cluster.NomadAddr()), Namespace: "default", Installation: "inst", Sink: w, Log: hclog.NewNullLogger(),
	}
	ended := make(chan struct{})
	go func() { watcher.Run(t.Context()); close(ended) }()
	t.Cleanup(func() { <-ended })
	follows(t, w.View)

	register := func(id, app, release string, change func(*api.TaskGroup)) {
		t.Helper()
		job := recordedJob(id, app, release, image)
		if change != nil {
			change(job.TaskGroups[0])
		}
		if _, _, err := raw.Jobs().Register(job, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"ends-default", "first-default", "room-default"} {
		t.Cleanup(func() { cluster.RemoveJob(t, id) })
	}
	ends := func(id string, version uint64, status string) *api.Deployment {
		t.Helper()
		return deploymentOf(t, raw, id, version, status)
	}
	never := func(g *api.TaskGroup) { // healthy
		g.Update.MinHealthyTime, g.Update.HealthyDeadline, g.Update.ProgressDeadline = new(time.Hour), new(2*time.Hour), new(3*time.Hour)
		g.Update.AutoRevert = new(true)
	}
	fail := func(id string, version uint64) *api.Deployment {
		t.Helper()
		d := ends(id, version, api.DeploymentStatusRunning)
		if _, _, err := raw.Deployments().Fail(d.ID, nil); err != nil {
			t.Fatal(err)
		}
		return ends(id, version, api.DeploymentStatusFailed)
	}

	register("ends-default", "a1", "1", nil)
	good := ends("ends-default", 0, api.DeploymentStatusSuccessful)
	w.since(t, "a1", good.ModifyIndex)
	if info, ok, _ := w.Job("default", "ends-default"); !ok || info.Index != good.ModifyIndex {
		t.Errorf("the job was written at %d last, its deployment ended at %d: does Nomad not note any more with its end that the job is stable?", info.Index, good.ModifyIndex)
	}
	register("ends-default", "a1", "2", never)
	w.since(t, "a1", fail("ends-default", 1).ModifyIndex) // with a good version to go back to
	register("first-default", "a2", "1", never)
	w.since(t, "a2", fail("first-default", 0).ModifyIndex) // without

	eligible(t, raw, false)
	t.Cleanup(func() { eligible(t, raw, true) })
	register("room-default", "a3", "1", nil)
	w.lacksRoom(t, "room-default", true)
	before := eligible(t, raw, true)
	w.since(t, "a3", before)
	w.lacksRoom(t, "room-default", false)
	runs(t, w.View, "room-default", 1)
}

// deploymentOf waits until the deployment of a job's version has a status. It need not be the newest: Nomad may have put the last good version back.
func deploymentOf(t *testing.T, raw *api.Client, id string, version uint64, status string) *api.Deployment {
	t.Helper()
	var d *api.Deployment
	nomadtest.Eventually(t, time.Minute, func(ctx context.Context) error {
		list, _, err := raw.Jobs().Deployments(id, true, (&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return err
		}
		i := slices.IndexFunc(list, func(d *api.Deployment) bool { return d.JobVersion == version && d.Status == status })
		if i < 0 {
			return fmt.Errorf("the deployments of %s are %+v, want %s of version %d", id, list, status, version)
		}
		d = list[i]
		return nil
	})
	return d
}

// eligible lets jobs be placed on all nodes, or on none, and gives Nomad's index after that.
func eligible(t *testing.T, raw *api.Client, yes bool) uint64 {
	t.Helper()
	nodes, _, err := raw.Nodes().List(nil)
	if err != nil {
		t.Fatal(err)
	}
	var index uint64
	for _, n := range nodes {
		answer, err := raw.Nodes().ToggleEligibility(n.ID, yes, nil)
		if err != nil {
			t.Fatal(err)
		}
		index = max(index, answer.NodeModifyIndex)
	}
	return index
}

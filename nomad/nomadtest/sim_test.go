package nomadtest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	consulapi "github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/nomad"
	"github.com/dynomad/dynomad/nomad/consul"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// startSim starts a Sim that ends with the test.
func startSim(t *testing.T) *nomadtest.Sim {
	t.Helper()
	s := nomadtest.NewSim()
	t.Cleanup(s.Close)
	return s
}

func nomadClient(t *testing.T, address string) *nomad.Client {
	t.Helper()
	c, err := nomad.New(&api.Config{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSim_contract holds a Sim, through the daemon's own client, to what the loop may rely on of Nomad.
func TestSim_contract(t *testing.T) {
	t.Parallel()
	sim := contractSim(t)
	nomadtest.Contract(t, func(t *testing.T) nomadtest.ContractCluster {
		t.Helper()
		return simCluster(t, sim)
	})
}

// TestSim_wireContract holds a Sim to what the adapters rely on of the APIs of Nomad and Consul.
func TestSim_wireContract(t *testing.T) {
	t.Parallel()
	sim := contractSim(t)
	sim.Beat(200 * time.Millisecond)
	consulClient, err := consulapi.NewClient(&consulapi.Config{Address: sim.ConsulURL()})
	if err != nil {
		t.Fatal(err)
	}
	nomadtest.WireContract(t, func(t *testing.T) nomadtest.WireCluster {
		t.Helper()
		listens := func(allocID string, listens bool) {
			sim.Fail(allocID, map[bool]string{false: "connection refused"}[listens])
		}
		return nomadtest.WireCluster{
			ContractCluster: simCluster(t, sim),
			WireAPIs:        nomadtest.WireAPIs{Nomad: rawClient(t, sim), Consul: consulClient, Web: "image", Listens: listens},
		}
	})
}

// contractSim starts a Sim on which a command that fails has its rollout fail.
func contractSim(t *testing.T) *nomadtest.Sim {
	t.Helper()
	sim := startSim(t)
	sim.Outcome(func(job *api.Job) jobs.Rollout {
		if args := fmt.Sprint(job.TaskGroups[0].Tasks[0].Config["args"]); args == "[-c exit 3]" {
			return jobs.Rollout{State: jobs.RolloutFailed, Reason: "It ended."}
		}
		return jobs.Rollout{State: jobs.RolloutSucceeded}
	})
	return sim
}

func rawClient(t *testing.T, sim *nomadtest.Sim) *api.Client {
	t.Helper()
	raw, err := api.NewClient(&api.Config{Address: sim.NomadURL()})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func simCluster(t *testing.T, sim *nomadtest.Sim) nomadtest.ContractCluster {
	t.Helper()
	raw := rawClient(t, sim)
	return nomadtest.ContractCluster{
		Cluster: nomadClient(t, sim.NomadURL()), Away: nomadClient(t, "http://127.0.0.1:1"), Image: "image",
		Edit: func(id string, change func(*api.Job)) {
			job := spec(t, raw, id)
			change(job)
			if _, _, err := raw.Jobs().Register(job, nil); err != nil {
				t.Fatal(err)
			}
		},
		Stop: func(id string) {
			if _, _, err := raw.Jobs().Deregister(id, false, nil); err != nil {
				t.Fatal(err)
			}
		},
		Spec: func(id string) *api.Job { return spec(t, raw, id) }, Exit: sim.Exit,
		Allocs:   func(id string) []jobs.Alloc { return nomadtest.AllocsOf(t, raw, id) },
		Variable: func(path string) map[string]string { return sim.Variables()[path] },
		Follow: func(installation string, sink nomadtest.Sink) {
			watch(t, nomadClient(t, sim.NomadURL()), installation, sink)
		},
	}
}

// watch has the daemon's watcher feed a sink until the test ends.
func watch(t *testing.T, client *nomad.Client, installation string, sink nomad.Sink) {
	t.Helper()
	w := &nomad.Watcher{Client: client, Namespace: "default", Installation: installation, Sink: sink, Log: hclog.NewNullLogger()}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() { w.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
}

func spec(t *testing.T, raw *api.Client, id string) *api.Job {
	t.Helper()
	job, _, err := raw.Jobs().Info(id, nil)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// TestSim_lock has two holders ask for a lock: one gets it, and the other one when that is released.
func TestSim_lock(t *testing.T) {
	t.Parallel()
	sim := startSim(t)
	client, err := consul.New(&consulapi.Config{Address: sim.ConsulURL()})
	if err != nil {
		t.Fatal(err)
	}
	first := client.NewLock("dynomad/x/lock", consul.Holder{Host: "a", PID: 1}, hclog.NewNullLogger())
	second := client.NewLock("dynomad/x/lock", consul.Holder{Host: "b", PID: 2}, hclog.NewNullLogger())
	if err := first.Acquire(t.Context()); err != nil || !first.Held() {
		t.Fatalf("the first: %t, %v", first.Held(), err)
	}
	if err := second.Acquire(t.Context()); err == nil || second.Held() {
		t.Errorf("the second got it too: %v", err)
	}
	if err := first.Acquire(t.Context()); err != nil {
		t.Errorf("renewing it: %v", err)
	}
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := second.Acquire(t.Context()); err != nil || !second.Held() {
		t.Errorf("the second, after the first: %t, %v", second.Held(), err)
	}
}

// TestSim_variablesWait has a blocking query wait for a variable.
func TestSim_variablesWait(t *testing.T) {
	t.Parallel()
	sim := startSim(t)
	raw, err := api.NewClient(&api.Config{Address: sim.NomadURL()})
	if err != nil {
		t.Fatal(err)
	}
	_, meta, err := raw.Variables().PrefixList("dynomad/", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	found := make(chan error, 1)
	go func() {
		q := (&api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: time.Minute}).WithContext(ctx)
		list, next, err := raw.Variables().PrefixList("dynomad/", q)
		if err == nil && (len(list) != 1 || next.LastIndex <= meta.LastIndex) {
			err = fmt.Errorf("got %d variables at index %d", len(list), next.LastIndex)
		}
		found <- err
	}()
	if err := nomadClient(t, sim.NomadURL()).PutVariable(ctx, "", "dynomad/x/1", map[string]string{"A": "1"}); err != nil {
		t.Fatal(err)
	}
	if err := <-found; err != nil {
		t.Error(err)
	}
}

// heard is what a watcher was told.
type heard struct {
	snapshots chan jobs.Snapshot
	deltas    chan jobs.Delta
}

func (h heard) Reset(_ string, s jobs.Snapshot) { h.snapshots <- s }

func (h heard) Apply(_ string, d jobs.Delta) bool { h.deltas <- d; return false }

func (h heard) Lost(string) {}

// TestSim_watch has the daemon's watcher follow a Sim: its lists, of more than a page, and then its events.
func TestSim_watch(t *testing.T) {
	t.Parallel()
	sim := startSim(t)
	const each = 800
	for _, id := range []string{"one-default", "two-default"} {
		group := api.NewTaskGroup("web", each).AddTask(api.NewTask("web", "docker").SetConfig("image", "i"))
		sim.Put(&api.Job{ID: new(id), Name: new(id), Meta: map[string]string{"dynomad": "inst", "dynomad_app_id": id}, TaskGroups: []*api.TaskGroup{group}})
	}
	h := heard{make(chan jobs.Snapshot, 1), make(chan jobs.Delta, 4*each)}
	w := &nomad.Watcher{Client: nomadClient(t, sim.NomadURL()), Namespace: "default", Installation: "inst", Sink: h, Log: hclog.NewNullLogger()}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	ended := make(chan struct{})
	go func() { w.Run(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()

	s := receive(ctx, t, h.snapshots)
	ids := map[string]bool{}
	for _, a := range s.Allocs {
		ids[a.ID] = true
	}
	if len(s.Jobs) != 2 || len(ids) != 2*each || len(s.Contents) != 2 {
		t.Fatalf("listed were %d jobs, %d allocations and %d versions", len(s.Jobs), len(ids), len(s.Contents))
	}
	id := sim.AllocIDs("default", "two-default")[each-1]
	sim.Crash(id, 3)
	if d := receive(ctx, t, h.deltas); d.Alloc == nil || d.Alloc.ID != id || d.Alloc.Task.Exit.Code != 3 || d.Alloc.Task.Restarts != 1 {
		t.Errorf("after a crash: %+v", d.Alloc)
	}
	sim.Stop("one-default")
	if d := receive(ctx, t, h.deltas); d.Job == nil || !d.Job.Stopped {
		t.Errorf("after a stop: %+v", d)
	}
	for n := 0; n < each; {
		if d := receive(ctx, t, h.deltas); d.Alloc != nil && d.Alloc.Ended() {
			n++
		}
	}
	sim.PurgeByHand("one-default")
	if d := receive(ctx, t, h.deltas); d.Removed != "one-default" {
		t.Errorf("after a purge: %+v", d)
	}
}

func receive[T any](ctx context.Context, t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-ctx.Done():
		t.Fatal("nothing was told")
	}
	return v
}

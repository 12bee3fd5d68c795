//go:build integration

package nomad_test

import (
	"context"
	"os"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/nomad"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// shared is the one cluster of these tests.
var shared = nomadtest.Shared{Config: nomadtest.Config{NoTraefik: true}}

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

func client(tb testing.TB, address string) *nomad.Client {
	tb.Helper()
	c, err := nomad.New(&api.Config{Address: "http://" + address})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

const deadAddress = "127.0.0.1:1" // nothing listens there

func TestCluster_contract(t *testing.T) {
	cluster := shared.Cluster(t)
	image := cluster.Image(t, "busybox")
	nomadtest.Contract(t, func(t *testing.T) nomadtest.ContractCluster {
		t.Helper()
		return contractCluster(t, cluster, image)
	})
}

// TestCluster_wireContract holds Nomad and Consul to what the Sim is held to.
func TestCluster_wireContract(t *testing.T) {
	cluster := shared.Cluster(t)
	image, web := cluster.Image(t, "busybox"), cluster.Image(t, "hello")
	nomadtest.WireContract(t, func(t *testing.T) nomadtest.WireCluster {
		t.Helper()
		return nomadtest.WireCluster{
			ContractCluster: contractCluster(t, cluster, image),
			WireAPIs: nomadtest.WireAPIs{
				Nomad: cluster.NomadClient(), Consul: cluster.ConsulClient(), Web: web, Listens: func(string, bool) {}, // its command does
			},
		}
	})
}

func contractCluster(t *testing.T, cluster *nomadtest.Cluster, image string) nomadtest.ContractCluster {
	t.Helper()
	raw := cluster.NomadClient()
	spec := func(id string) *api.Job {
		job, _, err := raw.Jobs().Info(id, nil)
		if err != nil {
			t.Fatal(err)
		}
		return job
	}
	return nomadtest.ContractCluster{
		Cluster: client(t, cluster.NomadAddr()), Away: client(t, deadAddress), Image: image, Spec: spec,
		Edit: func(id string, change func(*api.Job)) {
			job := spec(id)
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
		Allocs: func(id string) []jobs.Alloc { return nomadtest.AllocsOf(t, raw, id) },
		Exit:   func(string, int32) {}, // it does by itself
		Variable: func(path string) map[string]string {
			v, _, err := raw.Variables().Read(path, nil)
			if err != nil {
				t.Fatal(err)
			}
			return v.Items
		},
		Follow: func(installation string, sink nomadtest.Sink) {
			w := &nomad.Watcher{
				Client: client(t, cluster.NomadAddr()), Namespace: "default", Installation: installation, Sink: sink, Log: hclog.NewNullLogger(),
			}
			ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
			ended := make(chan struct{})
			go func() { w.Run(ctx); close(ended) }()
			t.Cleanup(func() { cancel(); <-ended })
		},
	}
}

func TestCluster_ping(t *testing.T) {
	t.Parallel()
	cluster := shared.Cluster(t)
	if err := client(t, cluster.NomadAddr()).Ping(t.Context()); err != nil {
		t.Errorf("a cluster with a leader: %v", err)
	}
	if err := client(t, deadAddress).Ping(t.Context()); dynomad.KindOf(err) != dynomad.Unavailable {
		t.Errorf("a dead port: got %v, want unavailable", err)
	}
}

// TestCluster_facts asks a cluster as the tests start it: oversubscription on, ACLs off, no node on loopback.
func TestCluster_facts(t *testing.T) {
	t.Parallel()
	cluster := shared.Cluster(t)
	facts, err := client(t, cluster.NomadAddr()).Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !facts.Oversubscription || len(facts.Warnings) != 1 || facts.Warnings[0][:8] != "ACLs are" {
		t.Errorf("got %+v", facts)
	}
	if _, err := client(t, deadAddress).Facts(t.Context()); dynomad.KindOf(err) != dynomad.Unavailable {
		t.Errorf("a dead port: got %v, want unavailable", err)
	}
}

func TestCluster_jobsListsOwners(t *testing.T) {
	t.Parallel()
	cluster := shared.Cluster(t)
	c := client(t, cluster.NomadAddr())
	job := emptyJob("owned-job", map[string]string{"dynomad": "inst", "dynomad_app_id": "app"})
	registered, err := c.Register(t.Context(), job, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Purge(context.WithoutCancel(t.Context()), "", "owned-job", registered.ModifyIndex) })
	list, err := c.Jobs(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range list {
		if info.ID == "owned-job" {
			if info.Installation != "inst" || info.AppID != "app" || info.ModifyIndex != registered.ModifyIndex || info.Stopped {
				t.Errorf("got %+v, want the mark and index %d", info, registered.ModifyIndex)
			}
			return
		}
	}
	t.Errorf("owned-job is not among %+v", list)
}

// emptyJob makes a job that runs nothing.
func emptyJob(id string, meta map[string]string) *api.Job {
	task := api.NewTask("web", "docker").SetConfig("image", "none")
	group := api.NewTaskGroup("web", 0).AddTask(task)
	return &api.Job{
		ID: &id, Name: &id, Type: new(api.JobTypeService), Datacenters: []string{"*"}, Meta: meta, TaskGroups: []*api.TaskGroup{group},
	}
}

func TestCluster_missingNamespace(t *testing.T) {
	t.Parallel()
	c := client(t, shared.Cluster(t).NomadAddr())
	job := emptyJob("lost-job", nil)
	job.Namespace = new("nowhere")
	_, err := c.Register(t.Context(), job, 0)
	if dynomad.KindOf(err) != dynomad.Invalid {
		t.Errorf("registering: got %v, want invalid", err)
	}
	if _, ok, err := c.Job(t.Context(), "nowhere", "x"); ok || err != nil {
		t.Errorf("looking for a job: got %t, %v; want none", ok, err)
	}
}

//go:build integration

package consul

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	consul "github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// shared is the one cluster of these tests.
var shared = nomadtest.Shared{Config: nomadtest.Config{NoTraefik: true}}

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// follow runs a watcher on the real Consul until the test ends.
func follow(t *testing.T) (*Watcher, *heard) {
	t.Helper()
	h := &heard{health: map[string]jobs.Health{}}
	w := NewWatcher(realClient(t), h, hclog.NewNullLogger())
	ended := make(chan struct{})
	go func() { w.Run(t.Context()); close(ended) }()
	t.Cleanup(func() { <-ended })
	h.syncs(t, 1)
	return w, h
}

func realClient(t *testing.T) *Client {
	t.Helper()
	client, err := New(&consul.Config{Address: shared.Cluster(t).ConsulAddr()})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// web runs one dyno with a TCP check. Where it listens decides whether that passes.
func web(t *testing.T, name string, command ...string) string {
	t.Helper()
	c := shared.Cluster(t)
	task := api.NewTask("web", "docker").SetConfig("image", c.Image(t, "hello")).SetConfig("ports", []string{"http"}).
		SetConfig("entrypoint", command)
	task.Env = map[string]string{"PORT": "9000"}
	task.KillTimeout = new(time.Second)
	task.Resources = &api.Resources{CPU: new(20), MemoryMB: new(32)}
	group := api.NewTaskGroup("web", 1).AddTask(task)
	group.Networks = []*api.NetworkResource{{DynamicPorts: []api.Port{{Label: "http", To: 9000}}}}
	group.Services = []*api.Service{{
		Name: name, PortLabel: "http", Meta: map[string]string{"dynomad": "inst", "dynomad_app_id": "a1"},
		Checks: []api.ServiceCheck{{Type: "tcp", Interval: time.Second, Timeout: time.Second}},
	}}
	jobs := c.NomadClient().Jobs()
	if _, _, err := jobs.Register(api.NewServiceJob(name, name, "global", 50).AddTaskGroup(group), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shared.Cluster(t).RemoveJob(t, name) })
	var alloc string
	nomadtest.Eventually(t, time.Minute, func(ctx context.Context) error {
		stubs, _, err := jobs.Allocations(name, false, (&api.QueryOptions{}).WithContext(ctx))
		if err != nil || len(stubs) != 1 {
			return fmt.Errorf("%d allocations, %w", len(stubs), err)
		}
		alloc = stubs[0].ID
		return nil
	})
	return alloc
}

// TestCluster_watch follows a dyno that listens and one that does not, over an outage of Consul.
func TestCluster_watch(t *testing.T) {
	cluster := shared.Cluster(t)
	w, h := follow(t)
	good, mute := web(t, "good", "/app", "web"), web(t, "mute", "/app", "silent")
	h.turns(t, good, true)
	h.turns(t, mute, false)
	if err := cluster.Consul.Kill(); err != nil {
		t.Fatal(err)
	}
	nomadtest.Eventually(t, time.Minute, func(context.Context) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if !h.lost {
			return fmt.Errorf("the watcher has not noticed")
		}
		return nil
	})
	if got := h.get(good); !got.Passing {
		t.Errorf("what was known of the good one: %+v", got)
	}
	if err := cluster.Consul.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.syncs(t, 2)
	h.turns(t, good, true)
	h.turns(t, mute, false)
	cluster.RemoveJob(t, "good")
	nomadtest.Eventually(t, time.Minute, func(context.Context) error {
		w.Ask("good") // as Nomad's events do
		if got := h.get(good); got.Known {
			return fmt.Errorf("a dyno that is gone: %+v", got)
		}
		return nil
	})
}

// turns waits until an allocation's check is known and passes or fails.
func (h *heard) turns(t *testing.T, alloc string, passes bool) {
	t.Helper()
	nomadtest.Eventually(t, time.Minute, func(context.Context) error {
		if got := h.get(alloc); !got.Known || got.Passing != passes {
			return fmt.Errorf("health of %s: %+v", alloc, got)
		}
		return nil
	})
}

func TestCluster_client(t *testing.T) {
	client := realClient(t)
	if err := client.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
	web(t, "owned", "/app", "web")
	nomadtest.Eventually(t, time.Minute, func(ctx context.Context) error {
		if foreign, err := client.Foreign(ctx, "owned", "other"); err != nil || !foreign {
			return fmt.Errorf("to another installation: %t, %w", foreign, err)
		}
		return nil
	})
	if foreign, err := client.Foreign(t.Context(), "owned", "inst"); err != nil || foreign {
		t.Errorf("to its own installation: %t, %v", foreign, err)
	}
	dead, err := New(&consul.Config{Address: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.Ping(t.Context()); dynomad.KindOf(err) != dynomad.Unavailable {
		t.Errorf("ping of a dead port: got %v, want unavailable", err)
	}
	if _, err := dead.Foreign(t.Context(), "owned", "inst"); dynomad.KindOf(err) != dynomad.Unavailable {
		t.Errorf("question to a dead port: got %v, want unavailable", err)
	}
}

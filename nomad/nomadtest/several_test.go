//go:build integration

package nomadtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	consul "github.com/hashicorp/consul/api"
	"github.com/hashicorp/nomad/api"
)

// TestSeveral_areApart runs three servers and two clients: the leader can be killed, and a client lost and brought back,
// without harm to the others.
func TestSeveral_areApart(t *testing.T) {
	start := time.Now()
	c := startCluster(t, Config{Servers: 3, Clients: 2, ACL: true, NomadHCL: `
		server {
		  heartbeat_grace        = "3s"
		  min_heartbeat_ttl      = "2s"
		  failover_heartbeat_ttl = "10s"
		}`})
	t.Logf("started in %s", time.Since(start).Round(time.Second))
	allocs := runSpread(t, c, "apart")
	checkRoutes(t, c, "apart", 2)

	leader, err := c.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := leader.Kill(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, jobWithin, func(ctx context.Context) error {
		now, err := c.Leader(ctx)
		if err == nil && now == leader {
			err = errors.New("the killed server is said to lead")
		}
		return err
	})
	if err := leader.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}

	lost := c.client(allocs[0].NodeName)
	if err := lost.Lose(t.Context()); err != nil {
		t.Fatal(err)
	}
	if containers, err := c.containers(t.Context(), allocs[0].ID); err != nil || len(containers) > 0 {
		t.Errorf("containers of the lost client: got %v, %v; want none", containers, err)
	}
	awaitNode(t, c, lost, api.NodeStatusDown)
	checkRoutes(t, c, "apart", 1)
	if containers, err := c.containers(t.Context(), allocs[1].ID); err != nil || len(containers) != 1 {
		t.Errorf("containers of the other client: got %v, %v; want one", containers, err)
	}
	if err := lost.Return(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkRoutes(t, c, "apart", 2)

	var pids []int
	for _, p := range c.parts() {
		if p != c.Docker {
			pids = append(pids, p.PID())
		}
	}
	if len(pids) != 3+2+2+2 {
		t.Errorf("processes: got %d, want three servers, two clients with their Consul agents, a Consul server and Traefik", len(pids))
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	checkNothingLeft(t, c.Dir(), allocs[0].ID)
	checkNothingLeft(t, c.Dir(), allocs[1].ID)
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d: got %v, want none", pid, err)
		}
	}
}

// runSpread runs two containers of the sample web app on two nodes.
func runSpread(t *testing.T, c *Cluster, name string) []*api.AllocationListStub {
	t.Helper()
	job := webJob(name, c.Image(t, "hello"))
	job.TaskGroups[0].Count = ptr(2)
	job.Constrain(&api.Constraint{Operand: api.ConstraintDistinctHosts, RTarget: "true"})
	if _, _, err := c.NomadClient().Jobs().Register(job, nil); err != nil {
		t.Fatal(err)
	}
	var allocs []*api.AllocationListStub
	Eventually(t, jobWithin, func(ctx context.Context) (err error) {
		allocs, _, err = c.NomadClient().Jobs().Allocations(name, false, (&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return err
		}
		if len(allocs) != 2 || slices.ContainsFunc(allocs, func(a *api.AllocationListStub) bool { return a.ClientStatus != "running" }) {
			return fmt.Errorf("not both of %d allocations run", len(allocs))
		}
		return nil
	})
	if allocs[0].NodeID == allocs[1].NodeID {
		t.Fatalf("both allocations are on the node %s", allocs[0].NodeName)
	}
	return allocs
}

// checkRoutes wants so many instances passing, and the router to serve.
func checkRoutes(t *testing.T, c *Cluster, name string, n int) {
	t.Helper()
	Eventually(t, jobWithin, func(ctx context.Context) error {
		entries, _, err := c.ConsulClient().Health().Service(name, "", true, (&consul.QueryOptions{}).WithContext(ctx))
		if err != nil || len(entries) != n {
			return fmt.Errorf("passing instances: got %d, %v; want %d", len(entries), err, n) //nolint:errorlint // there may be none
		}
		return visit(ctx, c, name)
	})
}

func awaitNode(t *testing.T, c *Cluster, lost *Agent, status string) {
	t.Helper()
	Eventually(t, jobWithin, func(ctx context.Context) error {
		nodes, _, err := c.NomadClient().Nodes().List((&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return err
		}
		for _, n := range nodes {
			if n.Name == lost.NodeName() && n.Status == status {
				return nil
			}
		}
		return fmt.Errorf("the node %s is not %s", lost.NodeName(), status)
	})
}

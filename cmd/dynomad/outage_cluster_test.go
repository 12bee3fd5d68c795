//go:build integration

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	consulapi "github.com/hashicorp/consul/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestCluster_outages kills Nomad, then Consul, in the middle of a rollout, and starts it again: the rollout ends.
func TestCluster_outages(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cluster := ownCluster(ctx, t, nomadtest.Config{})
	// A rollout takes long enough to be disturbed; the drain is as in the other tests under load.
	d := startDaemonOn(t, cluster, append(quick(), "DYNOMAD_MIN_HEALTHY_TIME=3s", "DYNOMAD_DRAIN=6s")...)
	d.do(http.MethodPost, "/apps", `{"name":"outage"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/outage-default/formation", `{"type":"web","quantity":2,"healthcheck":"/health"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/outage-default/builds", `{"url":"`+cluster.Image(t, "hello")+`"}`, http.StatusCreated, nil)
	d.waitRelease("outage-default", 1, "succeeded")
	d.waitSettled("outage-default", 2)
	d.page("outage-default", "/")

	n := served{daemon: d, app: "outage-default"}
	n.step(ctx, t, "nomadKilled", testNomadKilled)
	n.step(ctx, t, "consulKilled", testConsulKilled)
}

func testNomadKilled(ctx context.Context, t *testing.T, n served) {
	visits := n.load(4)
	n.killInRollout(ctx, t, n.cluster.Nomad, 2)
	visits.wantNone(t)
}

// testConsulKilled allows for a router that is still out of touch when the old dynos go: after an error Traefik's watch of
// Consul waits for 5 s, then 20 s, 45 s … up to 3 min (consul/api/watch). When it is back, nobody is lost any more.
func testConsulKilled(ctx context.Context, t *testing.T, n served) {
	visits := n.load(4)
	n.killInRollout(ctx, t, n.cluster.Consul, 3)
	back := time.Now()
	nomadtest.Eventually(t, time.Minute, n.routerKnows)
	knows := time.Now()
	t.Logf("the router knew of it %s after the rollout had ended", knows.Sub(back).Round(10*time.Millisecond))
	visits.more(t, 200)
	visits.wantNoneAfter(t, knows)
}

// killInRollout has an agent away for a while when the rollout of a release has begun.
func (n served) killInRollout(ctx context.Context, t *testing.T, agent *nomadtest.Process, version int) {
	t.Helper()
	n.rollOut(version)
	kill(t, agent)
	n.waitStale(n.app, true)
	time.Sleep(away) // an outage, not a wait for a condition
	restart(ctx, t, agent)
	back := time.Now()
	n.right(backWithin)
	t.Logf("the view was right %s after %s was back", time.Since(back).Round(10*time.Millisecond), agent.Name())
	n.waitRelease(n.app, version, "succeeded")
	n.waitSettled(n.app, 2)
	t.Logf("the rollout had ended %s after %s was back", time.Since(back).Round(10*time.Millisecond), agent.Name())
}

// routerKnows wants the router to send visitors to exactly those instances that pass in Consul.
func (n served) routerKnows(ctx context.Context) error {
	entries, _, err := n.cluster.ConsulClient().Health().Service(n.app, "", true, (&consulapi.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return err
	}
	var want, got []string
	for _, e := range entries {
		want = append(want, fmt.Sprintf("http://%s:%d", e.Service.Address, e.Service.Port))
	}
	var service struct {
		LoadBalancer struct{ Servers []struct{ URL string } }
	}
	status, text := get(n.tb, "http://"+n.cluster.RouterAPIAddr()+"/api/http/services/"+n.app+"@consulcatalog")
	if err := json.Unmarshal([]byte(text), &service); err != nil {
		return fmt.Errorf("the router says %d %s: %w", status, text, err)
	}
	for _, s := range service.LoadBalancer.Servers {
		got = append(got, s.URL)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		return fmt.Errorf("the router knows %v, Consul %v", got, want)
	}
	return nil
}

// What a daemon may take whose Nomad is away, or was: a write must not wait for it.
const (
	writeWithin   = 2 * time.Second // on a busy machine; 100 ms is usual
	appliedWithin = 15 * time.Second
)

// TestCluster_writesWhileAway makes a hundred writes of all kinds while Nomad is away. All are accepted at once, and soon after
// its return Nomad was told what the last of them wants.
//
// When the dynos of deleted apps end, and so when their jobs can be purged, is not bounded that tightly. A Nomad client that
// starts together with its server is refused its first question for allocations, and asks again at its first heartbeat, up to
// 10 s later, or if that brings no news after 30 to 60 s (client/client.go, watchAllocations and registerAndHeartbeat). Seen: 8 s
// deaf, then 6 s for drain, stop and Nomad's own plugins, then our 2 s before the purge: 17 s.
func TestCluster_writesWhileAway(t *testing.T) {
	t.Parallel()
	awayFor := 15 * time.Second
	if soak() {
		awayFor = time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cluster := ownCluster(ctx, t, nomadtest.Config{NoTraefik: true})
	const before, during = 20, 100
	p := chaosPlan{apps: 10, writes: before + during, pause: 2 * awayFor / during, settle: 2 * time.Minute}
	c := newChaos(t, cluster, "away", p)
	for i := range before {
		c.step(i)
	}
	c.check()

	kill(t, cluster.Nomad)
	for name := range c.world {
		c.waitStale(name, true)
		break
	}
	var took []time.Duration
	for i := range during {
		start := time.Now()
		c.write(before+i, c.make(before+i))
		took = append(took, time.Since(start))
		time.Sleep(p.pause / 2)
	}
	slices.Sort(took)
	t.Logf("writes while Nomad was away took %s (half), %s (9 of 10), %s (all)", took[during/2], took[during*9/10], took[during-1])
	if slowest := took[during-1]; slowest > writeWithin {
		t.Errorf("a write took %s while Nomad was away", slowest)
	}

	restart(ctx, t, cluster.Nomad)
	back := time.Now()
	nomadtest.Eventually(t, time.Minute, func(ctx context.Context) error { return c.checkTold(ctx, c.world, c.prefix) })
	applied := time.Since(back)
	t.Logf("Nomad had been told all %s after it was back", applied.Round(10*time.Millisecond))
	if applied > appliedWithin {
		t.Errorf("Nomad had been told all only %s after it was back, want at most %s", applied, appliedWithin)
	}
	nomadtest.Eventually(t, p.settle, func(ctx context.Context) error { return c.checkJobs(ctx, c.world, c.prefix) })
	t.Logf("the jobs of deleted apps were gone %s after Nomad was back", time.Since(back).Round(10*time.Millisecond))
	c.check()
	c.deleteAll()
}

//go:build integration

package main

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestCluster_outages kills Consul, then Nomad, in the middle of a rollout, and starts it again: the rollout ends, and no
// visitor is lost.
func TestCluster_outages(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cluster := ownCluster(ctx, t, nomadtest.Config{})
	// A rollout takes long enough to be disturbed; the drain is as in the other tests under load.
	d := startDaemonOn(t, cluster, append(quick(), "DYNOMAD_MIN_HEALTHY_TIME=4s", "DYNOMAD_DRAIN=6s")...)
	d.do(http.MethodPost, "/apps", `{"name":"outage"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/outage-default/formation", `{"type":"web","quantity":2,"healthcheck":"/health"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/outage-default/builds", `{"url":"`+cluster.Image(t, "hello")+`"}`, http.StatusCreated, nil)
	d.waitRelease("outage-default", 1, "succeeded")
	d.waitSettled("outage-default", 2)
	d.page("outage-default", "/")

	n := served{daemon: d, app: "outage-default"}
	n.step(ctx, t, "nomadKilled", func(ctx context.Context, t *testing.T, n served) { n.killInRollout(ctx, t, cluster.Nomad, 2) })
	n.step(ctx, t, "consulKilled", func(ctx context.Context, t *testing.T, n served) { n.killInRollout(ctx, t, cluster.Consul, 3) })
}

// killInRollout has an agent away for a while when the rollout of a release has begun.
func (n served) killInRollout(ctx context.Context, t *testing.T, agent *nomadtest.Process, version int) {
	t.Helper()
	visits := n.load(4)
	n.rollOut(version)
	t.Logf("killed %s %s after the first request", agent.Name(), time.Since(visits.start).Round(10*time.Millisecond))
	kill(t, agent)
	n.waitStale(n.app, true)
	time.Sleep(away) // an outage, not a wait for a condition
	restart(ctx, t, agent)
	back := time.Now()
	t.Logf("it was back %s after the first request", time.Since(visits.start).Round(10*time.Millisecond))
	n.right(backWithin)
	t.Logf("the view was right %s after %s was back", time.Since(back).Round(10*time.Millisecond), agent.Name())
	n.waitRelease(n.app, version, "succeeded")
	n.waitSettled(n.app, 2)
	t.Logf("the rollout had ended %s after %s was back", time.Since(back).Round(10*time.Millisecond), agent.Name())
	visits.wantNone(t)
}

// What a daemon may take whose Nomad is away, or was: a write must not wait for it.
const (
	writeWithin   = 2 * time.Second // on a busy machine; 100 ms is usual
	appliedWithin = 15 * time.Second
)

// TestCluster_writesWhileAway makes a hundred writes of all kinds while Nomad is away. All are accepted at once, and soon after
// its return the jobs are what the last of them wants.
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
	nomadtest.Eventually(t, time.Minute, func(ctx context.Context) error { return c.checkJobs(ctx, c.world, c.prefix) })
	applied := time.Since(back)
	t.Logf("the jobs were as wanted %s after Nomad was back", applied.Round(10*time.Millisecond))
	if applied > appliedWithin {
		t.Errorf("the jobs were as wanted only %s after Nomad was back, want at most %s", applied, appliedWithin)
	}
	c.check()
	c.deleteAll()
}

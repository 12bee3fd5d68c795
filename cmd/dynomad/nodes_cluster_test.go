//go:build integration

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	consulapi "github.com/hashicorp/consul/api"
	nomadapi "github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// Heartbeats of the cluster of several nodes: a node is given up when it was silent for its time to live, between one and two
// times the least, and the grace. Nomad's own are 10 s each, and 5 min after an election.
const (
	leastTTL       = 3 * time.Second
	heartbeatGrace = 5 * time.Second
	givenUpAfter   = 2*leastTTL + heartbeatGrace
)

// TestCluster_nodes runs an app on two nodes of a cluster with three servers, under steady load, and takes parts of that away.
// The daemon knows one server, which does not lead when the leader ends.
func TestCluster_nodes(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cluster := severalNodes(ctx, t)
	server := cluster.Servers[0]
	// A rollout takes long enough to be disturbed; the drain is as in the other tests under load.
	d := startDaemonOn(t, cluster, append(quick(), "DYNOMAD_MIN_HEALTHY_TIME=3s", "DYNOMAD_DRAIN=6s", "NOMAD_ADDR=http://"+server.Addr())...)
	d.do(http.MethodPost, "/apps", `{"name":"nodes"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/nodes-default/formation", `{"type":"web","quantity":3,"healthcheck":"/health"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/nodes-default/builds", `{"url":"`+cluster.Image(t, "hello")+`"}`, http.StatusCreated, nil)
	d.waitRelease("nodes-default", 1, "succeeded")
	d.waitSettled("nodes-default", 3)
	d.page("nodes-default", "/")

	n := served{daemon: d, app: "nodes-default"}
	n.step(ctx, t, "leaderKilled", func(ctx context.Context, t *testing.T, n served) {
		testLeaderKilled(ctx, t, n, leaderOther(t, cluster, server))
	})
	n.step(ctx, t, "clientDrained", testClientDrained)
	n.step(ctx, t, "clientLost", testClientLost)
}

// step runs a part of a test as a test of its own.
func (n served) step(ctx context.Context, t *testing.T, name string, f func(context.Context, *testing.T, served)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		start := time.Now()
		mine := *n.daemon
		mine.tb = t
		f(ctx, t, served{&mine, n.app})
		t.Logf("took %s", time.Since(start).Round(time.Second))
	})
}

func severalNodes(ctx context.Context, tb testing.TB) *nomadtest.Cluster {
	tb.Helper()
	return ownCluster(ctx, tb, nomadtest.Config{Servers: 3, Clients: 2, NomadHCL: fmt.Sprintf(`
		server {
		  min_heartbeat_ttl      = %q
		  heartbeat_grace        = %q
		  failover_heartbeat_ttl = %q
		}`, leastTTL, heartbeatGrace, givenUpAfter)})
}

// ownCluster starts a cluster for one test of "make soak". These take minutes and want the machine for themselves: a router that
// gets no processor for a second loses requests that are counted. The cluster has no ACLs.
func ownCluster(ctx context.Context, tb testing.TB, config nomadtest.Config) *nomadtest.Cluster {
	tb.Helper()
	if guarded() || !soak() {
		tb.Skip("a part of make soak or make chaos")
	}
	return startCluster(ctx, tb, config)
}

// startCluster starts a cluster for one test alone, and ends it with that.
func startCluster(ctx context.Context, tb testing.TB, config nomadtest.Config) *nomadtest.Cluster {
	tb.Helper()
	cluster, err := nomadtest.Start(ctx, config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			logs, err := cluster.KeepLogs()
			tb.Logf("the cluster's logs: %s %v", logs, err)
		}
		if err := cluster.Close(); err != nil {
			tb.Error(err)
		}
	})
	return cluster
}

// served is an app that visitors come to, on a daemon.
type served struct {
	*daemon
	app string
}

// leaderOther gives the server that leads, and has another lead if it is the one that must not.
func leaderOther(tb testing.TB, cluster *nomadtest.Cluster, not *nomadtest.Agent) *nomadtest.Agent {
	tb.Helper()
	var leader *nomadtest.Agent
	nomadtest.Eventually(tb, time.Minute, func(ctx context.Context) (err error) {
		if leader, err = cluster.Leader(ctx); err != nil || leader != not {
			return err
		}
		operator := not.Client().Operator()
		config, err := operator.RaftGetConfiguration(nil)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(config.Servers, func(s *nomadapi.RaftServer) bool { return !s.Leader })
		return errors.Join(errors.New("the daemon's server leads"), operator.RaftTransferLeadershipByID(config.Servers[i].ID, nil))
	})
	return leader
}

// testLeaderKilled kills the leading server when a rollout has begun.
func testLeaderKilled(ctx context.Context, t *testing.T, n served, leader *nomadtest.Agent) {
	visits := n.load(4)
	n.rollOut(2)
	killed := time.Now()
	kill(t, leader.Process)
	nomadtest.Eventually(t, 30*time.Second, func(ctx context.Context) error {
		now, err := n.cluster.Leader(ctx)
		if err == nil && now == leader {
			err = errors.New("the killed server is said to lead")
		}
		return err
	})
	elected := time.Since(killed)
	n.right(backWithin - elected)
	t.Logf("another server led %s after the kill, the view was right after %s", elected.Round(10*time.Millisecond), time.Since(killed).Round(10*time.Millisecond))
	n.waitRelease(n.app, 2, "succeeded")
	n.waitSettled(n.app, 3)
	n.right(backWithin)
	visits.wantNone(t)
	restart(ctx, t, leader.Process)
}

// testClientDrained drains a node as an operator does before maintenance.
func testClientDrained(ctx context.Context, t *testing.T, n served) {
	away := n.spread()
	id, err := away.NodeID(ctx)
	if err != nil {
		t.Fatal(err)
	}
	visits := n.load(4)
	nomad := n.cluster.NomadClient().Nodes()
	drain := &nomadapi.DrainOptions{DrainSpec: &nomadapi.DrainSpec{Deadline: time.Minute}}
	if _, err := nomad.UpdateDrainOpts(id, drain, nil); err != nil {
		t.Fatal(err)
	}
	n.await(time.Minute, func(list []sighting) error { return readyOn(list, 3, away.NodeName(), false) })
	n.waitSettled(n.app, 3)
	n.right(backWithin)
	visits.wantNone(t)
	if _, err := nomad.UpdateDrainOpts(id, &nomadapi.DrainOptions{MarkEligible: true}, nil); err != nil {
		t.Fatal(err)
	}
	// Nomad moves nothing to a node that is back. A dyno that is replaced alone goes there; a rollout would have all go there.
	n.restart(n.app, 3, 1, http.MethodDelete, "/dynos/web.1")
	n.spread()
}

// testClientLost takes a node away, with all that runs on it, and brings it back when all is well without it. Visitors who come
// before Consul has noticed can meet the dead dynos more often than the router tries again, and so can those who come when the node's
// Consul agent is back and has not told yet that they are dead: till then Consul holds them for as healthy as they were last. Nobody later
// does.
func testClientLost(ctx context.Context, t *testing.T, n served) {
	lost := n.spread()
	before := n.look()
	visits := n.load(4)
	gone := time.Now()
	if err := lost.Lose(ctx); err != nil {
		t.Fatal(err)
	}
	noticed := n.awaitFailing(lost.Consul.Name())
	n.await(givenUpAfter+20*time.Second, func(list []sighting) error { return readyOn(list, 3, lost.NodeName(), true) })
	t.Logf("Consul noticed %s after the node was lost, all dynos were replaced after %s; Nomad gives a node up after at most %s",
		noticed.Sub(gone).Round(10*time.Millisecond), time.Since(gone).Round(10*time.Millisecond), givenUpAfter)
	n.right(backWithin)
	n.checkLost(t, lost.NodeName(), before)
	visits.wantNoneAfter(t, noticed.Add(routerTakesUp))

	visits = n.load(4)
	back := time.Now()
	if err := lost.Return(ctx); err != nil {
		t.Fatal(err)
	}
	n.awaitTold(lost)
	nomadtest.Eventually(t, time.Minute, n.routerKnows)
	told := time.Now()
	n.waitSettled(n.app, 3)
	n.right(backWithin)
	t.Logf("the router knew what the node has %s after it was started again, all was settled after %s",
		told.Sub(back).Round(10*time.Millisecond), time.Since(back).Round(10*time.Millisecond))
	visits.more(t, 1000)
	visits.wantNoneAfter(t, told)
}

// awaitTold waits until Consul says of the app's dynos on a client's node what the Consul agent there knows of them.
func (n served) awaitTold(client *nomadtest.Agent) {
	n.tb.Helper()
	nomadtest.Eventually(n.tb, time.Minute, func(ctx context.Context) error {
		opts := (&consulapi.QueryOptions{}).WithContext(ctx)
		local, err := client.ConsulClient().Agent().ChecksWithFilterOpts("", opts)
		if err != nil {
			return err
		}
		known, _, err := n.cluster.ConsulClient().Health().Node(client.Consul.Name(), opts)
		if err != nil {
			return err
		}
		want, got := map[string]string{"serfHealth": consulapi.HealthPassing}, map[string]string{}
		for _, c := range local {
			if c.ServiceName == n.app {
				want[c.CheckID] = c.Status
			}
		}
		for _, c := range known {
			if c.ServiceName == n.app || c.CheckID == "serfHealth" {
				got[c.CheckID] = c.Status
			}
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("of the node is known %v, its agent says %v", got, want)
		}
		return nil
	})
}

// routerTakesUp is how long Traefik takes to take up what Consul tells, and some for a busy machine.
const routerTakesUp = 2*time.Second + time.Second

// awaitFailing waits until Consul says of one of its nodes that it fails.
func (n served) awaitFailing(node string) time.Time {
	n.tb.Helper()
	nomadtest.Eventually(n.tb, time.Minute, func(ctx context.Context) error {
		checks, _, err := n.cluster.ConsulClient().Health().Node(node, (&consulapi.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(checks, func(c *consulapi.HealthCheck) bool { return c.CheckID == "serfHealth" && c.Status == "critical" }) {
			return fmt.Errorf("the node %s does not fail", node)
		}
		return nil
	})
	return time.Now()
}

// checkLost wants of the dynos on a lost node that their state says so, and that those elsewhere have stayed.
func (n served) checkLost(t *testing.T, node string, before []sighting) {
	t.Helper()
	now := n.look()
	for _, s := range now {
		up := s.State != "stopping" && s.State != "stopped"
		if s.Node == node && up && (s.what() != "waiting" || !strings.Contains(s.AdditionalInfo, "Its node "+node+" is disconnected")) {
			t.Errorf("of the dyno %s on the lost node is said %s %q", s.ID, s.what(), s.AdditionalInfo)
		}
	}
	for _, s := range before {
		stayed := slices.ContainsFunc(now, func(y sighting) bool { return y.ID == s.ID && y.what() == "running ready" })
		if s.Node != node && s.what() == "running ready" && !stayed {
			t.Errorf("the dyno %s on %s did not stay", s.ID, s.Node)
		}
	}
}

// spread gives a client that has some of the app's dynos, but not all.
func (n served) spread() *nomadtest.Agent {
	n.tb.Helper()
	on := map[string]int{}
	for _, s := range n.look() {
		if s.what() == "running ready" {
			on[s.Node]++
		}
	}
	for _, a := range n.cluster.Clients {
		if on[a.NodeName()] == 2 {
			return a
		}
	}
	n.tb.Fatalf("the dynos are not spread over the nodes: %v", on)
	return nil
}

// readyOn wants n dynos ready, none of them on a node. Others may be there only if they are on that node and lost with it.
func readyOn(list []sighting, n int, without string, lost bool) error {
	ready := 0
	for _, s := range list {
		switch {
		case s.State == "stopping" || s.State == "stopped":
		case s.what() == "running ready" && s.Node != without:
			ready++
		case lost && s.State == "waiting" && s.Node == without:
		default:
			return fmt.Errorf("dynos: %+v", list)
		}
	}
	if ready != n {
		return fmt.Errorf("%d dynos are ready off %s: %+v", ready, without, list)
	}
	return nil
}

// rollOut makes a release and waits until its rollout has begun.
func (n served) rollOut(version int) {
	n.tb.Helper()
	n.do(http.MethodPatch, "/apps/"+n.app+"/config-vars", fmt.Sprintf(`{"A":"%d"}`, version), http.StatusOK, nil)
	n.await(time.Minute, func(list []sighting) error {
		if !slices.ContainsFunc(list, func(s sighting) bool { return s.Release.Version == version && s.Node != "" }) {
			return fmt.Errorf("no dyno of v%d is placed", version)
		}
		return nil
	})
}

func (n served) look() []sighting {
	n.tb.Helper()
	var list []sighting
	n.do(http.MethodGet, "/apps/"+n.app+"/dynos", "", http.StatusOK, &list)
	return list
}

func (n served) await(within time.Duration, ok func([]sighting) error) {
	n.tb.Helper()
	nomadtest.Eventually(n.tb, within, func(context.Context) error { return ok(n.look()) })
}

// right waits until the daemon's view is what Nomad's servers say, and is not called old, in one and the same answer.
func (n served) right(within time.Duration) {
	n.tb.Helper()
	nomadtest.Eventually(n.tb, within, func(ctx context.Context) error {
		allocs, _, err := n.cluster.NomadClient().Jobs().Allocations(n.app, false, (&nomadapi.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return err
		}
		shown, stale, err := n.lookAged(ctx)
		if err != nil {
			return err
		}
		return viewDiffers(allocs, shown, stale)
	})
}

// lookAged gives the app's dynos, and what the answer says of how old that is: "" is not at all.
func (n served) lookAged(ctx context.Context) (list []sighting, stale string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url+"/apps/"+n.app+"/dynos", nil)
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Authorization", n.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return nil, "", fmt.Errorf("GET dynos: %s", resp.Status)
	}
	return list, resp.Header.Get("Dynomad-Stale"), json.NewDecoder(resp.Body).Decode(&list)
}

// viewDiffers tells how the dynos that are shown differ from the allocations that Nomad's servers tell of, or that they are called old.
func viewDiffers(allocs []*nomadapi.AllocationListStub, shown []sighting, stale string) error {
	var want, got []string
	for _, a := range allocs {
		if a.DesiredStatus == nomadapi.AllocDesiredStatusRun && !slices.Contains([]string{"complete", "failed", "lost"}, a.ClientStatus) {
			want = append(want, strings.Join([]string{a.ID, a.NodeName, plainly(a.ClientStatus)}, " "))
		}
	}
	for _, s := range shown {
		if s.State != "stopping" && s.State != "stopped" {
			got = append(got, strings.Join([]string{s.ID, s.Node, s.State}, " "))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		return fmt.Errorf("the view shows %v, Nomad %v", got, want)
	}
	if stale != "" {
		return fmt.Errorf("the view is right, and called %s s old", stale)
	}
	return nil
}

// plainly gives the state of a dyno that does well, or is out of sight, by its allocation's status.
func plainly(clientStatus string) string {
	if clientStatus == nomadapi.AllocClientStatusUnknown {
		return "waiting"
	}
	return clientStatus
}

// visitLoad is visitors that come without pause.
type visitLoad struct {
	start time.Time
	stop  func()

	mu      sync.Mutex
	total   int
	failed  []failedVisit
	excused []span
}

// span is a time during which nobody could be served by anything that the platform does.
type span struct{ from, to time.Time }

// failedVisit is a visitor who was not served.
type failedVisit struct {
	began, ended time.Time
	what         string
	wrong        bool // served, but with a page that is not as it should be: nothing excuses that
}

// load lets visitors come to the app until the test has ended, or its failures are asked for, but for no longer than 3 minutes.
func (n served) load(visitors int) *visitLoad {
	return n.loadPage(visitors, 3*time.Minute, "/", func(string) error { return nil })
}

// loadPage is load for a page, which may be checked, and for another time.
func (n served) loadPage(visitors int, most time.Duration, page string, check func(body string) error) *visitLoad {
	ctx, cancel := context.WithTimeout(n.tb.Context(), most)
	l := &visitLoad{start: time.Now()}
	var wg sync.WaitGroup
	for range visitors {
		wg.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				status, body, err := n.visit(ctx, n.app, page)
				if ctx.Err() != nil {
					return
				}
				wrong := false
				if err == nil && status == http.StatusOK {
					err = check(body)
					wrong = err != nil
				}
				l.note(began, status, body, err, wrong)
			}
		})
	}
	l.stop = func() { cancel(); wg.Wait() }
	n.tb.Cleanup(l.stop)
	return l
}

func (l *visitLoad) note(began time.Time, status int, body string, err error, wrong bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	what := fmt.Sprintf("%d %.60s", status, body)
	if err != nil {
		what = err.Error()
	}
	if err != nil || status != http.StatusOK {
		l.failed = append(l.failed, failedVisit{began, time.Now(), what, wrong})
	}
}

// more waits until so many more visitors have come.
func (l *visitLoad) more(tb testing.TB, n int) {
	tb.Helper()
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.total
	}
	enough := count() + n
	nomadtest.Eventually(tb, time.Minute, func(context.Context) error {
		if total := count(); total < enough {
			return fmt.Errorf("%d visitors came, want %d", total, enough)
		}
		return nil
	})
}

// wantNone ends the load and wants every visitor served.
func (l *visitLoad) wantNone(tb testing.TB) {
	tb.Helper()
	l.wantNoneAfter(tb, l.start)
}

// wantNoneAfter ends the load and wants every visitor served who came after a time.
func (l *visitLoad) wantNoneAfter(tb testing.TB, from time.Time) {
	tb.Helper()
	l.stop()
	what := map[string]int{}
	for _, f := range l.failed {
		what[f.what]++
	}
	late := l.lost(from)
	tb.Logf("of %d requests %d failed, %d of them late: %v", l.total, len(l.failed), late, what)
	if n := len(l.failed); n > 0 {
		tb.Logf("those came from %s to %s after the first one", l.failed[0].began.Sub(l.start), l.failed[n-1].began.Sub(l.start))
	}
	if late > 0 || l.total < 100 {
		tb.Errorf("of %d requests %d failed that should not have", l.total, late)
	}
}

// lost counts the visitors who came after a time and were not served, and all who were served what they should not have been.
func (l *visitLoad) lost(from time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, f := range l.failed {
		excused := slices.ContainsFunc(l.excused, func(s span) bool { return !f.began.Before(s.from) && f.began.Before(s.to) })
		if f.wrong || !f.began.Before(from) && !excused {
			n++
		}
	}
	return n
}

// excuse has visitors not count who came during a span.
func (l *visitLoad) excuse(s span) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.excused = append(l.excused, s)
}

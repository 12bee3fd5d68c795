//go:build integration

package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// idleTimes says how many apps an idle daemon has at first, and at last, and how long its requests are counted: more and longer in
// "make soak".
func idleTimes() (few, many int, over time.Duration) {
	if soak() {
		return 5, 50, 5 * time.Minute
	}
	return 4, 16, 30 * time.Second
}

// ownTimes are the requests that the daemon makes by itself, with how much their number may differ between two equally long
// times: by one for each timer or long poll that they come from, since those run on whatever a test does.
var ownTimes = map[string]int{
	"nomad GET /v1/status/leader":                    2, // every 5 s, and before the facts
	"nomad GET /v1/operator/scheduler/configuration": 1, // facts, every minute: these four
	"nomad GET /v1/acl/policies":                     1,
	"nomad GET /v1/nodes":                            1,
	"nomad GET /v1/node/*":                           1,
	"nomad GET /v1/event/stream":                     0, // one for ever
	"nomad GET /v1/vars":                             1, // a long poll of 5 minutes, and after each change of a variable
	"consul GET /v1/status/leader":                   1, // every 5 s
	"consul GET /v1/kv/dynomad/*/lock":               1, // every 10 s: these three keep the lock and the fallback's check
	"consul PUT /v1/session/renew/*":                 1,
	"consul PUT /v1/agent/check/update/*":            1,
	"consul GET /v1/health/state/critical":           2, // a long poll, of 5 s after a start, then twice as long each time up to a minute
	"consul GET /v1/health/state/any":                2, // after each of those
}

// fewOwn is more than any timer of the daemon makes in the seconds that a thousand requests of its clients take, and far less than if each of
// those, or each of an app's, caused one.
const fewOwn = 5

// TestCluster_idle counts what a daemon asks of Nomad and Consul that has nothing to do: the same with few apps as with many,
// and nothing more for a thousand requests of its clients. The cluster is its own, since others' dynos make events and checks.
func TestCluster_idle(t *testing.T) {
	t.Parallel()
	if guarded() {
		t.Skip("the same without ACLs")
	}
	cluster := quietCluster(t)
	l := &listener{nomad: proxyTo(t, cluster.NomadAddr()), consul: proxyTo(t, cluster.ConsulAddr())}
	d := startDaemonOn(t, cluster, append(quick(), "NOMAD_ADDR=http://"+l.nomad.Addr(), "CONSUL_HTTP_ADDR="+l.consul.Addr(),
		"DYNOMAD_CHECK_INTERVAL=10s", "DYNOMAD_DEPLOY_TIMEOUT=5m", "DYNOMAD_SIZES="+tinySizes(t), "DYNOMAD_DEFAULT_SIZE=tiny")...)
	t.Cleanup(d.deleteAll)
	fewApps, manyApps, over := idleTimes()
	d.idleApps(0, fewApps)
	few := l.idle(t, over)
	l.lookOften(t, d, fewApps)
	d.idleApps(fewApps, manyApps)
	many := l.idle(t, over)
	l.lookOften(t, d, manyApps)
	t.Logf("in %s, with %d apps: %v\nwith %d apps: %v", over, fewApps, few, manyApps, many)
	for _, kind := range slices.Sorted(maps.Keys(union(few, many))) {
		leeway, known := ownTimes[kind]
		if a, b := few[kind], many[kind]; !known || a-b > leeway || b-a > leeway {
			t.Errorf("%s: %d with %d apps, %d with %d, want no other difference than %d", kind, a, fewApps, b, manyApps, leeway)
		}
	}
}

// quietCluster is a cluster of a test's own.
func quietCluster(tb testing.TB) *nomadtest.Cluster {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 3*time.Minute)
	defer cancel()
	return startCluster(ctx, tb, nomadtest.Config{NoTraefik: true})
}

// idleApps makes the apps from one number to another and waits until all are as wanted: in turn a web with a check, a
// worker, and one that is scaled to nothing.
func (d *daemon) idleApps(from, to int) {
	d.tb.Helper()
	image := d.cluster.Image(d.tb, "hello")
	types := []string{`"worker","command":"/app silent"`, `"web"`, `"worker","command":"/app silent","quantity":0`}
	for i := from; i < to; i++ {
		d.do(http.MethodPost, "/apps", fmt.Sprintf(`{"name":"idle%d"}`, i), http.StatusCreated, nil)
		d.do(http.MethodPost, fmt.Sprintf("/apps/idle%d-default/formation", i), `{"type":`+types[i%len(types)]+`}`, http.StatusOK, nil)
		d.do(http.MethodPost, fmt.Sprintf("/apps/idle%d-default/builds", i), `{"url":"`+image+`"}`, http.StatusCreated, nil)
	}
	for i := from; i < to; i++ {
		d.waitReleaseWithin(fmt.Sprintf("idle%d-default", i), 1, "succeeded", 3*time.Minute)
	}
}

// listener hears what a daemon asks of Nomad and Consul.
type listener struct{ nomad, consul *nomadtest.Proxy }

// heard gives the numbers of requests by kind since the last time.
func (l *listener) heard() map[string]int {
	kinds := map[string]int{}
	for name, p := range map[string]*nomadtest.Proxy{"nomad": l.nomad, "consul": l.consul} {
		for request, n := range p.Requests() {
			kinds[name+" "+kindOf(request)] += n
		}
		p.Reset()
	}
	return kinds
}

// kindOf leaves out of a request which app, allocation or node it is about: their names and ids are the only parts with a dash.
func kindOf(request string) string {
	parts := strings.Split(request, "/")
	for i, part := range parts {
		if strings.Contains(part, "-") {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, "/")
}

// others are the requests that no timer explains.
func others(kinds map[string]int) map[string]int {
	rest := map[string]int{}
	for kind, n := range kinds {
		if leeway, ok := ownTimes[kind]; !ok || leeway == 0 {
			rest[kind] = n
		}
	}
	return rest
}

// idle waits until the last deploy is over for the daemon, and then counts for a while.
func (l *listener) idle(tb testing.TB, over time.Duration) map[string]int {
	tb.Helper()
	nomadtest.Eventually(tb, time.Minute, func(context.Context) error {
		l.heard()
		time.Sleep(3 * time.Second) // a stretch of idleness, not a wait for a condition
		if rest := others(l.heard()); len(rest) > 0 {
			return fmt.Errorf("the daemon is not idle: %v", rest)
		}
		return nil
	})
	time.Sleep(over) // what is counted is how much happens in that time
	return l.heard()
}

// lookOften asks for the dynos of all apps in turn, a thousand times.
func (l *listener) lookOften(tb testing.TB, d *daemon, apps int) {
	tb.Helper()
	const times = 1000
	l.heard()
	for i := range times {
		if _, err := d.dynos(tb.Context(), fmt.Sprintf("idle%d-default", i%apps)); err != nil {
			tb.Fatal(err)
		}
	}
	heard := l.heard()
	rest := others(heard)
	for kind := range ownTimes {
		if n := heard[kind]; n > fewOwn {
			rest[kind] = n
		}
	}
	if len(rest) > 0 {
		tb.Errorf("%d GET dynos caused requests: %v", times, rest)
	}
}

func union(a, b map[string]int) map[string]int {
	both := maps.Clone(a)
	maps.Copy(both, b)
	return both
}

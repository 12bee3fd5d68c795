//go:build integration

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	consulapi "github.com/hashicorp/consul/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// fault is what is done to a part, and how it ends.
type fault struct {
	what       string
	begin, end func() error
}

// longestFault is below what Nomad takes to give a node up, and Consul a session: then nothing has to be given up, and visitors must not
// notice anything, but what a start of Consul does to the router (consulBack).
const longestFault = 4500 * time.Millisecond

// rightWithin is what the view may take to be right after the last fault.
const rightWithin = 15 * time.Second

// mayhem is chaos in which everything can fail: the daemon, Nomad's servers and clients, Consul, and the wires between them.
type mayhem struct {
	*chaos
	faults []fault
	at     map[int]fault // the faults by the write before which they begin
	under  chan struct{} // closed when the fault under way has ended; nil if there is none
	seen   map[string]int

	steady served
	visits *visitLoad // of steady
}

// TestCluster_faults makes writes of all kinds while one part after the other is killed, paused, slow, cut off or half open, and the daemon
// is killed at any moment of that. What was acknowledged is there afterwards, the cluster comes to be exactly that, an app that nobody
// changes is served throughout, the jobs of others are not touched, and the view is right soon after the last fault.
//
// DYNOMAD_TEST_SEED replays one, DYNOMAD_TEST_WRITES says how long it is.
func TestCluster_faults(t *testing.T) {
	t.Parallel()
	n := chaosWrites(120)
	p := chaosPlan{apps: 3, writes: n, kills: n / 10, checks: 2, pause: 800 * time.Millisecond, settle: 4 * time.Minute}
	ctx, cancel := context.WithTimeout(t.Context(), p.most())
	defer cancel()
	cluster := severalNodes(ctx, t)
	nomad, consul := wireTo(t, cluster.Servers[0].Addr()), wireTo(t, cluster.ConsulAddr())
	m := &mayhem{seen: map[string]int{}}
	m.chaos = newChaos(t, cluster, "faults", p, "NOMAD_ADDR=http://"+nomad.Addr(), "CONSUL_HTTP_ADDR="+consul.Addr())
	m.faults = slices.Concat(m.processFaults(ctx, cluster), wireFaults("nomad", nomad), wireFaults("consul", consul))
	m.at = planFaults(m.random(p.writes+1), m.faults, n)
	stranger := m.aStranger()
	m.steady = m.serveSteady()
	m.visits = m.steady.loadPage(2, p.most(), "/env", ofSteady)

	each := max(n/p.checks, 1)
	for i := range n {
		if f, ok := m.at[i]; ok {
			m.begin(i, f)
		}
		m.step(i)
		if (i+1)%each == 0 || i+1 == n {
			m.ended()
			m.settleKill()
			last := time.Now()
			m.steady.right(rightWithin)
			t.Logf("the view was right %s after the last fault", time.Since(last).Round(10*time.Millisecond))
			m.check()
		}
	}
	if want := min(len(m.at), len(m.faults)); len(m.seen) < want {
		t.Errorf("%d kinds of faults were seen, want %d: %v", len(m.seen), want, m.seen)
	}
	t.Logf("faults: %v; %d writes, %d cut off (%d of those had been made), %d kills of the daemon", m.seen, n, m.cut, m.made, m.killed)
	m.visits.wantNone(t)
	stranger()
	m.deleteAll()
}

// most is what so much may take: the start, each write with its pause and a fault, and each comparison, one more than there are for what is
// left at the end.
func (p chaosPlan) most() time.Duration {
	const starts = 5 * time.Minute
	return starts + time.Duration(p.writes)*(p.pause+longestFault) + time.Duration(p.checks+1)*(rightWithin+p.settle)
}

// processFaults are the kills and pauses of all processes but the daemon's kills.
func (m *mayhem) processFaults(ctx context.Context, cluster *nomadtest.Cluster) []fault {
	all := []fault{{"daemon paused", func() error { return m.process.Pause() }, func() error { return m.process.Continue() }}}
	add := func(name string, p *nomadtest.Process) {
		all = append(
			all,
			fault{name + " killed", p.Kill, func() error { return p.Restart(ctx) }},
			fault{name + " paused", p.Pause, p.Continue},
		)
	}
	for _, a := range cluster.Servers {
		add(a.Name(), a.Process)
	}
	for _, a := range cluster.Clients {
		add(a.Name(), a.Process)
	}
	return append(
		all,
		fault{"consul killed", cluster.Consul.Kill, func() error { return m.consulBack(ctx) }},
		fault{"consul paused", cluster.Consul.Pause, cluster.Consul.Continue},
	)
}

// consulBack ends a kill of Consul's server. Here is only one, and when it starts it puts its catalog together anew from its log, once it is elected.
// A router whose look falls into that takes the app for gone until it has looked again: 2 s later, or 5 s, 20 s or 45 s if it was refused before
// (consul/api/watch). Nothing that the daemon does can serve those visitors. But the dynos must pass again at once, and from when the router
// has looked at the whole catalog, all are served.
func (m *mayhem) consulBack(ctx context.Context) error {
	starts := time.Now()
	if err := m.cluster.Consul.Restart(ctx); err != nil {
		return err
	}
	back := time.Now()
	if err := nomadtest.Await(ctx, rightWithin, m.steadyPasses); err != nil {
		return err
	}
	passed := time.Now()
	if err := m.routerLooks(ctx); err != nil {
		return err
	}
	if err := nomadtest.Await(ctx, time.Minute, m.steady.routerKnows); err != nil {
		return err
	}
	m.visits.excuse(span{starts, time.Now()})
	m.tb.Logf("dynos passed %s after Consul was back, and the router knew that %s after", passed.Sub(back).Round(10*time.Millisecond), time.Since(back).Round(10*time.Millisecond))
	return nil
}

// steadyPasses gives an error until the catalog says that the steady app's dynos pass.
func (m *mayhem) steadyPasses(ctx context.Context) error {
	list, _, err := m.cluster.ConsulClient().Health().Service(m.steady.app, "", true, (&consulapi.QueryOptions{}).WithContext(ctx))
	if err == nil && len(list) != steadyDynos {
		err = fmt.Errorf("%d dynos pass", len(list))
	}
	return err
}

// routerLooks waits until the router has looked at the catalog as it is now: it puts a service in there, and waits for the router to know it.
func (m *mayhem) routerLooks(ctx context.Context) error {
	name := "look-" + uuid.NewString()[:8]
	agent := m.cluster.ConsulClient().Agent()
	service := &consulapi.AgentServiceRegistration{
		Name: name, Address: "127.0.0.1", Port: 9, // nobody is sent there
		Tags: []string{"traefik.enable=true", "traefik.http.routers." + name + ".rule=Host(`" + name + ".test`)"},
	}
	if err := agent.ServiceRegisterOpts(service, (consulapi.ServiceRegisterOpts{}).WithContext(ctx)); err != nil {
		return err
	}
	err := nomadtest.Await(ctx, time.Minute, func(context.Context) error {
		status, text := get(m.tb, "http://"+m.cluster.RouterAPIAddr()+"/api/http/services/"+name+"@consulcatalog")
		if status != http.StatusOK {
			return fmt.Errorf("the router says %d %s", status, text)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return agent.ServiceDeregisterOpts(name, (&consulapi.QueryOptions{}).WithContext(ctx))
}

// wireFaults are what can be wrong with the wire between the daemon and a part.
func wireFaults(part string, w *nomadtest.Wire) []fault {
	heal := func() error { w.Heal(); return nil }
	does := func(what string, f func()) fault {
		return fault{part + "'s wire " + what, func() error { f(); return nil }, heal}
	}
	return []fault{
		does("slow", func() { w.Slow(300*time.Millisecond, 50_000) }),
		does("cut", w.Cut),
		does("swallows", w.Swallow),
		does("forgets its connections", w.Forget),
	}
}

// planFaults says before which of n writes which fault begins: before each fifth one on average, and each kind once before any comes again.
func planFaults(r *rand.Rand, faults []fault, n int) map[int]fault {
	at := map[int]fault{}
	var deck []int
	for _, i := range r.Perm(n)[:n/5] {
		if len(deck) == 0 {
			deck = r.Perm(len(faults))
		}
		at[i], deck = faults[deck[0]], deck[1:]
	}
	return at
}

// begin begins a fault before a write. It ends by itself.
func (m *mayhem) begin(i int, f fault) {
	m.tb.Helper()
	m.ended()
	m.settleKill()
	const shortest = 500 * time.Millisecond
	lasts := shortest + time.Duration(m.random(i+2_000_000).Int64N(int64(longestFault-shortest)))
	m.tb.Logf("%d: %s for %s", i, f.what, lasts.Round(10*time.Millisecond))
	m.seen[f.what]++
	if err := f.begin(); err != nil {
		m.tb.Fatalf("%s: %v", f.what, err)
	}
	done := make(chan struct{})
	m.under = done
	time.AfterFunc(lasts, func() {
		defer close(done)
		if err := f.end(); err != nil {
			m.tb.Errorf("the end of %s: %v", f.what, err)
		}
	})
}

// ended waits for the end of the fault under way.
func (m *mayhem) ended() {
	if m.under != nil {
		<-m.under
		m.under = nil
	}
}

// mark is what the dynos of the steady app have in their environment.
const mark = "of-the-steady-app"

// steadyDynos are how many web dynos the steady app has.
const steadyDynos = 2

// serveSteady makes an app that is served while all else happens.
func (m *mayhem) serveSteady() served {
	m.tb.Helper()
	const app = "steady-default"
	m.do(http.MethodPost, "/apps", `{"name":"steady"}`, http.StatusCreated, nil)
	m.do(http.MethodPatch, "/apps/"+app+"/config-vars", `{"MARK":"`+mark+`"}`, http.StatusOK, nil)
	m.do(http.MethodPost, "/apps/"+app+"/formation", fmt.Sprintf(`{"type":"web","quantity":%d,"healthcheck":"/health"}`, steadyDynos), http.StatusOK, nil)
	m.do(http.MethodPost, "/apps/"+app+"/builds", `{"url":"`+m.image+`"}`, http.StatusCreated, nil)
	m.waitRelease(app, 2, "succeeded")
	m.waitSettled(app, steadyDynos)
	m.page(app, "/")
	return served{m.daemon, app}
}

// ofSteady wants a page of environment variables to be of a dyno of the steady app, with its config vars.
func ofSteady(body string) error {
	var env map[string]string
	if err := json.Unmarshal([]byte(body), &env); err != nil {
		return err
	}
	if env["DYNOMAD_APP"] != "steady-default" || env["DYNOMAD_RELEASE"] != "v2" || env["MARK"] != mark || env["A"]+env["B"]+env["C"] != "" {
		return fmt.Errorf("a dyno of %s %s with MARK %q", env["DYNOMAD_APP"], env["DYNOMAD_RELEASE"], env["MARK"])
	}
	return nil
}

func wireTo(tb testing.TB, target string) *nomadtest.Wire {
	tb.Helper()
	w, err := nomadtest.NewWire(tb.Context(), target)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := w.Close(); err != nil {
			tb.Error(err)
		}
	})
	return w
}

package consul

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// Allocations of the tests.
const (
	one   = "11111111-1111-1111-1111-111111111111"
	two   = "22222222-2222-2222-2222-222222222222"
	three = "33333333-3333-3333-3333-333333333333"
)

// How their health can be.
var (
	unknown  = jobs.Health{}
	passing  = jobs.Health{Known: true, Passing: true}
	failing  = jobs.Health{Known: true, Output: "it is critical"}
	warning  = jobs.Health{Known: true}
	nodeLost = jobs.Health{Known: true, Output: lostNode + "n1"}
)

func TestWatcher_fullList(t *testing.T) {
	t.Parallel()
	a := newAgent(t)
	a.set(func() {
		a.check(one, "x", api.HealthPassing)
		a.check(two, "x", api.HealthCritical)
		a.check(three, "y", api.HealthWarning)
		a.checks["mine"] = &api.HealthCheck{Node: "n1", ServiceID: "redis", ServiceName: "x", Status: api.HealthCritical}
	})
	_, h := watching(t, a, nil)
	for alloc, want := range map[string]jobs.Health{one: passing, two: failing, three: warning} {
		if got := h.get(alloc); got != want {
			t.Errorf("%s: got %+v, want %+v", alloc, got, want)
		}
	}
	if len(h.health) != 3 {
		t.Errorf("told of %d allocations, want 3", len(h.health))
	}
}

// TestWatcher_lifeOfADyno registers critical, passes, fails, passes again and leaves.
func TestWatcher_lifeOfADyno(t *testing.T) {
	t.Parallel()
	a := newAgent(t)
	_, h := watching(t, a, nil)
	a.set(func() { a.check(one, "x", api.HealthCritical) })
	h.becomes(t, one, failing)
	for range 2 {
		a.set(func() { a.check(one, "x", api.HealthPassing) })
		h.becomes(t, one, passing)
		a.set(func() { a.check(one, "x", api.HealthCritical) })
		h.becomes(t, one, failing)
	}
	a.set(func() { delete(a.checks, one) })
	h.becomes(t, one, unknown)
	if n := a.count("/v1/health/state/any"); n != 1 {
		t.Errorf("%d full lists, want 1", n)
	}
}

// TestWatcher_passingLeaves deregisters a check that passes: the list of critical ones does not tell, Nomad does.
func TestWatcher_passingLeaves(t *testing.T) {
	t.Parallel()
	a := newAgent(t)
	a.set(func() {
		a.check(one, "x", api.HealthPassing)
		a.check(two, "x", api.HealthPassing)
	})
	w, h := watching(t, a, nil)
	a.set(func() { delete(a.checks, one) })
	w.Ask("x")
	h.becomes(t, one, unknown)
	if got := h.get(two); got != passing {
		t.Errorf("the other: got %+v, want that it passes", got)
	}
}

// TestWatcher_indexGoesBack as after a restore of Consul.
func TestWatcher_indexGoesBack(t *testing.T) {
	t.Parallel()
	a := newAgent(t)
	_, h := watching(t, a, nil)
	a.set(func() {
		a.index = 7
		a.check(one, "x", api.HealthCritical)
	})
	h.becomes(t, one, failing)
	a.set(func() { a.check(two, "x", api.HealthCritical) })
	h.becomes(t, two, failing)
	a.set(func() { a.index = 0 }) // never seen, and it must not spin
	time.Sleep(time.Second)
	if n := a.count("/v1/health/state/critical"); n > 60 {
		t.Errorf("%d questions in about a second", n)
	}
}

func TestWatcher_sickNode(t *testing.T) {
	t.Parallel()
	a := newAgent(t)
	a.set(func() { a.check(one, "x", api.HealthPassing) })
	_, h := watching(t, a, nil)
	a.set(func() {
		a.checks["serf"] = &api.HealthCheck{Node: "n1", CheckID: "serfHealth", Status: api.HealthCritical}
	})
	h.becomes(t, one, nodeLost)
	a.set(func() {
		a.checks["serf"] = &api.HealthCheck{Node: "n1", CheckID: "serfHealth", Status: api.HealthPassing}
	})
	h.becomes(t, one, passing)
}

// TestWatcher_lateAnswer has a service's answer come after its instance failed: the newer news wins.
func TestWatcher_lateAnswer(t *testing.T) {
	t.Parallel()
	a := newAgent(t)
	a.set(func() { a.check(one, "x", api.HealthPassing) })
	w, h := watching(t, a, nil)
	held, let := make(chan struct{}), make(chan struct{})
	a.set(func() {
		a.beforeIt = func(path string) {
			if path == "/v1/health/service/x" {
				close(held)
				<-let
			}
		}
	})
	w.Ask("x")
	<-held
	a.set(func() { a.beforeIt = nil; a.check(one, "x", api.HealthCritical) })
	h.becomes(t, one, failing)
	close(let)
	time.Sleep(200 * time.Millisecond)
	if got := h.get(one); got != failing {
		t.Errorf("got %+v, want that it fails", got)
	}
}

// TestWatcher_answerOlderThanFullList has a service's answer come after a full list that no longer has the instance.
func TestWatcher_answerOlderThanFullList(t *testing.T) {
	t.Parallel()
	a := newAgent(t)
	a.set(func() { a.check(one, "x", api.HealthPassing) })
	w, h := watching(t, a, nil)
	held, let := make(chan struct{}), make(chan struct{})
	a.set(func() {
		a.beforeIt = func(path string) {
			if path == "/v1/health/service/x" {
				close(held)
				<-let
			}
		}
	})
	w.Ask("x")
	<-held
	a.set(func() {
		a.beforeIt = nil
		delete(a.checks, one)
		a.broken = true
	})
	nomadtest.Eventually(t, within, func(context.Context) error { // the answer to the query that waited was sent; this is the next
		h.mu.Lock()
		defer h.mu.Unlock()
		if !h.lost {
			return errors.New("it is not lost")
		}
		return nil
	})
	a.set(func() { a.broken = false })
	h.syncs(t, 2)
	close(let)
	time.Sleep(200 * time.Millisecond)
	if got := h.get(one); got != unknown {
		t.Errorf("got %+v, want that it is gone", got)
	}
}

// TestWatcher_passesUnseen registers a check that passes before the list of critical ones showed it; only a service's answer
// did. Nothing but another look can tell that it passes by now.
func TestWatcher_passesUnseen(t *testing.T) {
	t.Parallel()
	a := newAgent(t)
	w, h := watching(t, a, nil)
	a.mu.Lock() // without a new index: the list is not looked at
	a.check(one, "x", api.HealthCritical)
	a.mu.Unlock()
	w.Ask("x")
	h.becomes(t, one, warning) // not on the list: no output
	a.mu.Lock()
	a.check(one, "x", api.HealthPassing)
	a.mu.Unlock()
	h.becomes(t, one, passing)
}

// TestWatcher_appearsPassing registers a check that passes, and nobody tells of it: so checks come back after a restart of
// Consul.
func TestWatcher_appearsPassing(t *testing.T) {
	t.Parallel()
	a := newAgent(t)
	_, h := watching(t, a, func(w *Watcher) { w.relist = 200 * time.Millisecond })
	a.set(func() { a.check(one, "x", api.HealthPassing) })
	h.becomes(t, one, passing)
	a.set(func() { a.check(two, "x", api.HealthPassing) })
	h.becomes(t, two, passing)
	before := a.count("/v1/health/state/any")
	time.Sleep(2 * time.Second)
	if n := a.count("/v1/health/state/any") - before; n > 4 {
		t.Errorf("%d full lists in 2 s, want ever fewer", n)
	}
}

func TestWatcher_consulAway(t *testing.T) {
	t.Parallel()
	a := newAgent(t)
	a.set(func() { a.check(one, "x", api.HealthPassing) })
	_, h := watching(t, a, nil)
	a.set(func() { a.broken = true })
	nomadtest.Eventually(t, within, func(context.Context) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if !h.lost {
			return errors.New("it is not lost")
		}
		return nil
	})
	if got := h.get(one); got != passing {
		t.Errorf("what was known: got %+v, want it kept", got)
	}
	before := a.count("/v1/health/state/any")
	time.Sleep(3 * time.Second)
	if n := a.count("/v1/health/state/any") - before; n < 1 || n > 6 {
		t.Errorf("tried %d times in 3 s, want 2 to 5", n)
	}
	a.set(func() {
		a.broken = false
		a.check(one, "x", api.HealthCritical)
	})
	h.syncs(t, 2)
	h.becomes(t, one, failing)
}

// TestWatcher_frozen has Consul accept the blocking query and never answer.
func TestWatcher_frozen(t *testing.T) {
	t.Parallel()
	a := newAgent(t)
	a.frozen = true
	_, h := watching(t, a, func(w *Watcher) { w.wait, w.grace = 100*time.Millisecond, 100*time.Millisecond })
	h.syncs(t, 2)
}

// TestWatcher_doubt has a query that is never answered, and somebody who knows: it begins anew at once.
func TestWatcher_doubt(t *testing.T) {
	t.Parallel()
	a := newAgent(t)
	a.frozen = true
	w, h := watching(t, a, nil)
	for n := range 3 {
		h.syncs(t, n+1)
		w.Doubt()
	}
	h.syncs(t, 4)
}

// TestWatcher_quiet is asked by nobody and hears of no change: the query waits.
func TestWatcher_quiet(t *testing.T) {
	t.Parallel()
	a := newAgent(t)
	a.set(func() { a.check(one, "x", api.HealthPassing) })
	_, h := watching(t, a, nil)
	time.Sleep(time.Second)
	if n := a.count("/v1/health/state/critical"); n > 2 {
		t.Errorf("%d questions in a second of quiet", n)
	}
	if h.resets != 1 {
		t.Errorf("%d full lists", h.resets)
	}
}

// TestWatcher_ask asks for a service often while it is read: it is read once more.
func TestWatcher_ask(t *testing.T) {
	t.Parallel()
	a := newAgent(t)
	w, _ := watching(t, a, nil)
	held, let := make(chan struct{}, 10), make(chan struct{})
	a.set(func() {
		a.beforeIt = func(path string) {
			if path == "/v1/health/service/x" {
				held <- struct{}{}
				<-let
			}
		}
	})
	w.Ask("x")
	<-held
	for range 100 {
		w.Ask("x")
	}
	close(let)
	<-held
	w.Ask("y")
	time.Sleep(200 * time.Millisecond)
	if n := a.count("/v1/health/service/x"); n != 2 {
		t.Errorf("read %d times, want 2", n)
	}
}

// TestWatcher_askFails asks for a service that cannot be read now.
func TestWatcher_askFails(t *testing.T) {
	t.Parallel()
	a := newAgent(t)
	w, h := watching(t, a, nil)
	a.mu.Lock() // the blocking query, which waits, does not notice
	a.broken = true
	a.check(one, "x", api.HealthPassing)
	a.mu.Unlock()
	w.Ask("x")
	nomadtest.Eventually(t, within, func(context.Context) error {
		if n := a.count("/v1/health/service/x"); n < 2 {
			return fmt.Errorf("tried %d times", n)
		}
		return nil
	})
	a.mu.Lock()
	a.broken = false
	a.mu.Unlock()
	h.becomes(t, one, passing)
}

func TestClient_foreign(t *testing.T) {
	t.Parallel()
	a := newAgent(t)
	client, err := New(&api.Config{Address: a.server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if foreign, err := client.Foreign(t.Context(), "x", "inst"); foreign || err != nil {
		t.Errorf("a service that is not there: got %t, %v", foreign, err)
	}
	a.set(func() { a.check(one, "x", api.HealthPassing) }) // without an owner mark
	if foreign, err := client.Foreign(t.Context(), "x", "inst"); !foreign || err != nil {
		t.Errorf("a service without a mark: got %t, %v", foreign, err)
	}
	for owner, want := range map[string]bool{"inst": false, "other": true} {
		a.set(func() { a.owner = owner })
		if foreign, err := client.Foreign(t.Context(), "x", "inst"); foreign != want || err != nil {
			t.Errorf("a service of %s: got %t, %v", owner, foreign, err)
		}
	}
	a.set(func() { a.broken = true })
	if _, err := client.Foreign(t.Context(), "x", "inst"); err == nil {
		t.Error("no error from a Consul that refuses")
	}
}

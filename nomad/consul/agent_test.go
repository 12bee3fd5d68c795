package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

const within = 10 * time.Second

// agent speaks as much of Consul's health API as the watcher uses, blocking queries included.
type agent struct {
	*testing.T
	server *httptest.Server

	mu       sync.Mutex
	index    uint64
	checks   map[string]*api.HealthCheck // by id
	changed  chan struct{}               // closed at the next change
	requests map[string]int              // by path
	owner    string                      // installation in the services' mark; "" is none
	broken   bool                        // everything is refused
	frozen   bool                        // blocking queries are never answered
	beforeIt func(path string)           // called with an answer made and not yet sent
}

func newAgent(t *testing.T) *agent {
	t.Helper()
	a := &agent{T: t, index: 100, checks: map[string]*api.HealthCheck{}, changed: make(chan struct{}), requests: map[string]int{}}
	a.server = httptest.NewServer(a)
	t.Cleanup(a.server.Close)
	return a
}

func (a *agent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.requests[r.URL.Path]++
	broken := a.broken
	a.mu.Unlock()
	if broken {
		http.Error(w, "rpc error: No cluster leader", http.StatusInternalServerError)
		return
	}
	a.block(r)
	a.mu.Lock()
	index, answer := a.index, a.answer(r.URL.Path)
	before := a.beforeIt
	a.mu.Unlock()
	text, err := json.Marshal(answer)
	if err != nil {
		a.Error(err)
	}
	if before != nil {
		before(r.URL.Path)
	}
	w.Header().Set("X-Consul-Index", strconv.FormatUint(index, 10))
	_, _ = w.Write(text)
}

// block waits as a blocking query does: until the index is another than the one asked for, or the wait is over.
func (a *agent) block(r *http.Request) {
	index, _ := strconv.ParseUint(r.URL.Query().Get("index"), 10, 64)
	if index == 0 {
		return
	}
	wait, err := time.ParseDuration(r.URL.Query().Get("wait"))
	if err != nil {
		a.Errorf("wait: %v", err)
	}
	over := time.After(wait)
	for {
		a.mu.Lock()
		done, changed := a.index != index && !a.frozen, a.changed
		if a.frozen {
			over = nil
		}
		a.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-over:
			return
		case <-r.Context().Done():
			return
		}
	}
}

func (a *agent) answer(path string) any {
	checks, entries := api.HealthChecks{}, []*api.ServiceEntry{}
	name, service := strings.CutPrefix(path, "/v1/health/service/")
	meta := map[string]string{}
	if a.owner != "" {
		meta = map[string]string{"dynomad": a.owner, "dynomad_app_id": "a1"}
	}
	for _, c := range a.checks {
		switch {
		case service && c.ServiceName == name:
			entries = append(entries, &api.ServiceEntry{
				Node: &api.Node{Node: c.Node}, Service: &api.AgentService{ID: c.ServiceID, Service: name, Meta: meta},
				Checks: api.HealthChecks{c},
			})
		case path == "/v1/health/state/any", path == "/v1/health/state/critical" && c.Status == api.HealthCritical:
			checks = append(checks, c)
		}
	}
	if service {
		return entries
	}
	return checks
}

// set changes the checks; the index moves as the change says.
func (a *agent) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.index++
	change()
	close(a.changed)
	a.changed = make(chan struct{})
}

// check registers the check of an allocation, or changes it. a.mu is held, as in set.
func (a *agent) check(alloc, service, status string) {
	a.checks[alloc] = &api.HealthCheck{
		Node: "n1", CheckID: alloc, ServiceID: "_nomad-task-" + alloc + "-group-web-" + service + "-http", ServiceName: service,
		Status: status, Output: "it is\n " + status,
	}
}

func (a *agent) count(path string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.requests[path]
}

// heard is a sink with what it was told.
type heard struct {
	mu     sync.Mutex
	health map[string]jobs.Health
	resets int
	lost   bool
}

func (h *heard) ResetHealth(all map[string]jobs.Health) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.health, h.lost = all, false
	h.resets++
}

func (h *heard) SetHealth(some map[string]jobs.Health) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, health := range some {
		if !health.Known {
			delete(h.health, id)
			continue
		}
		h.health[id] = health
	}
}

func (h *heard) LostHealth() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost = true
}

func (h *heard) get(alloc string) jobs.Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.health[alloc]
}

// becomes waits until an allocation's health is so.
func (h *heard) becomes(t *testing.T, alloc string, want jobs.Health) {
	t.Helper()
	nomadtest.Eventually(t, within, func(context.Context) error {
		if got := h.get(alloc); got != want {
			return fmt.Errorf("health of %s: got %+v, want %+v", alloc, got, want)
		}
		return nil
	})
}

// syncs waits for the nth full list.
func (h *heard) syncs(t *testing.T, n int) {
	t.Helper()
	nomadtest.Eventually(t, within, func(context.Context) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.resets < n || h.lost {
			return fmt.Errorf("%d full lists, lost %t", h.resets, h.lost)
		}
		return nil
	})
}

// watching starts a watcher that ends with the test.
func watching(t *testing.T, a *agent, change func(*Watcher)) (*Watcher, *heard) {
	t.Helper()
	client, err := New(&api.Config{Address: a.server.URL})
	if err != nil {
		t.Fatal(err)
	}
	h := &heard{health: map[string]jobs.Health{}}
	w := NewWatcher(client, h, hclog.NewNullLogger())
	w.relist = time.Hour // tests must not pass by that
	if change != nil {
		change(w)
	}
	ended := make(chan struct{})
	go func() { w.Run(t.Context()); close(ended) }()
	t.Cleanup(func() { // the context ended just before
		select {
		case <-ended:
		case <-time.After(within):
			t.Error("the watcher does not end with its context")
		}
	})
	h.syncs(t, 1)
	return w, h
}

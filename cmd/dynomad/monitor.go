package main

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad/nomad"
)

// How often the monitor asks. Its questions do not grow with the number of apps or of clients.
const (
	pingInterval  = 5 * time.Second
	factsInterval = time.Minute
)

type pinger interface {
	Ping(ctx context.Context) error
}

// cluster is Nomad as the monitor asks it.
type cluster interface {
	pinger
	Leader() string // as the last Ping was told
	Facts(ctx context.Context) (nomad.Facts, error)
}

// monitor asks in the background whether the parts answer, so that no client's request causes one to Nomad.
type monitor struct {
	parts   map[string]pinger // by name
	cluster cluster
	log     hclog.Logger
	known   chan struct{}     // closed when the facts are known
	turned  func(part string) // told that a part does not answer at all, answers again or has a new leader; nil is nobody

	mu     sync.Mutex
	state  map[string]string // "ok" or what is wrong
	silent map[string]bool   // parts that do not answer at all, not even with an error
	leader string            // of Nomad
	latest nomad.Facts
	once   sync.Once
}

func newMonitor(store pinger, cluster cluster, consul pinger, log hclog.Logger) *monitor {
	m := &monitor{
		parts:   map[string]pinger{"store": store, "nomad": cluster, "consul": consul},
		cluster: cluster, log: log, known: make(chan struct{}), state: map[string]string{}, silent: map[string]bool{},
	}
	for name := range m.parts {
		m.state[name] = "not asked yet"
	}
	return m
}

func (m *monitor) run(ctx context.Context) {
	var asked time.Time
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	for {
		m.ping(ctx)
		if time.Since(asked) >= factsInterval || !m.hasFacts() {
			if m.ask(ctx) {
				asked = time.Now()
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (m *monitor) ping(ctx context.Context) {
	var wg sync.WaitGroup
	for name, part := range m.parts {
		wg.Go(func() {
			state := "ok"
			pingCtx, cancel := context.WithTimeout(ctx, pingInterval)
			defer cancel()
			if err := part.Ping(pingCtx); err != nil {
				state = "does not answer"
			}
			silent := pingCtx.Err() != nil
			turned := ctx.Err() == nil && m.set(name, state, silent)
			if name == "nomad" && state == "ok" && m.elected(m.cluster.Leader()) {
				turned = true
			}
			if turned && m.turned != nil {
				m.turned(name)
			}
		})
	}
	wg.Wait()
}

// set notes a part's state, and reports whether it has fallen silent or speaks again.
func (m *monitor) set(name, state string, silent bool) (turned bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	turned = m.silent[name] != silent
	m.silent[name] = silent
	if old := m.state[name]; old != state {
		m.log.Info("part changed", "part", name, "state", state, "was", old)
	}
	m.state[name] = state
	return turned
}

// elected notes who leads Nomad, and reports whether that was another one before.
func (m *monitor) elected(leader string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.leader
	m.leader = leader
	return was != "" && was != leader
}

func (m *monitor) ask(ctx context.Context) bool {
	facts, err := m.cluster.Facts(ctx)
	if err != nil {
		return false
	}
	m.mu.Lock()
	fresh := slices.DeleteFunc(slices.Clone(facts.Warnings), func(w string) bool { return slices.Contains(m.latest.Warnings, w) })
	m.latest = facts
	m.mu.Unlock()
	for _, w := range fresh {
		m.log.Warn(w)
	}
	m.once.Do(func() { close(m.known) })
	return true
}

func (m *monitor) hasFacts() bool {
	select {
	case <-m.known:
		return true
	default:
		return false
	}
}

// waitForFacts waits until the cluster told of itself once; false if ctx ended first.
func (m *monitor) waitForFacts(ctx context.Context) bool {
	select {
	case <-m.known:
		return true
	case <-ctx.Done():
		return false
	}
}

func (m *monitor) facts() nomad.Facts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.latest
}

// ready tells of each part "ok" or what is wrong with it.
func (m *monitor) ready(context.Context) map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.state)
}

package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/jobs/view"
	"github.com/dynomad/dynomad/nomad"
)

// namespaceInterval is between looks at which namespaces the spaces name. It asks the store, not Nomad.
const namespaceInterval = 2 * time.Second

// watchNamespaces follows the daemon's own namespace of Nomad, and those that spaces name, from when they do.
func (a *app) watchNamespaces(ctx context.Context) {
	group := newGroup()
	defer func() { _ = group.wait(context.WithoutCancel(ctx)) }()
	following := map[string]bool{}
	tick := time.NewTicker(namespaceInterval)
	defer tick.Stop()
	for {
		for _, name := range a.namespaces(ctx) {
			if following[name] {
				continue
			}
			following[name] = true
			w := &nomad.Watcher{
				Client: a.nomad, Namespace: name, Installation: a.installation, Log: a.log.Named("nomad"),
				Sink: regained{a.view, &sight{part: "nomad", metrics: a.metrics}, func() {
					a.sightedOnce.Do(func() { close(a.sighted) })
					a.wakeAll(ctx)
				}},
			}
			v := &nomad.VariableWatcher{Client: a.nomad, Namespace: name, Sink: a.view, Log: a.log.Named("nomad")}
			a.followed.add(w)
			group.start(func() { w.Run(ctx) })
			group.start(func() { v.Run(ctx) })
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// followed are the namespaces' watchers.
type followed struct {
	mu  sync.Mutex
	all []*nomad.Watcher
}

func (f *followed) add(w *nomad.Watcher) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, w)
}

// doubt has what follows a part begin anew when it has fallen silent, or speaks again: connections may be left that bring nothing and do not
// break, as after a firewall has forgotten them. A new leader may not know the last of what the one before it told.
func (a *app) doubt(part string) {
	a.log.Info("will look anew at what fell silent, answers again or has a new leader", "part", part)
	switch part {
	case "nomad":
		a.followed.mu.Lock()
		defer a.followed.mu.Unlock()
		for _, w := range a.followed.all {
			w.Doubt()
		}
	case "consul":
		a.health.Doubt()
	}
}

// regained is a view that has every app looked at whenever a namespace comes into sight. The view tells of apps that have a
// job; those that were made while Nomad was away have none, and would wait for their next try.
type regained struct {
	*view.View
	sight   *sight
	wakeAll func()
}

// Reset implements nomad.Sink.
func (r regained) Reset(namespace string, s jobs.Snapshot) {
	r.View.Reset(namespace, s)
	r.sight.had()
	r.wakeAll()
}

// Lost implements nomad.Sink.
func (r regained) Lost(namespace string) {
	r.View.Lost(namespace)
	r.sight.lost()
}

// watchedHealth is a view that counts how often all health was read, and how often Consul was lost sight of.
type watchedHealth struct {
	*view.View
	sight *sight
}

// ResetHealth implements consul.Sink.
func (w watchedHealth) ResetHealth(all map[string]jobs.Health) {
	w.View.ResetHealth(all)
	w.sight.had()
}

// LostHealth implements consul.Sink.
func (w watchedHealth) LostHealth() {
	w.View.LostHealth()
	w.sight.lost()
}

// sight counts how often a part of the cluster was read whole, and how often it was lost sight of. What stays away was lost once, however
// often it is tried.
type sight struct {
	part    string
	metrics *metrics
	there   atomic.Bool
}

func (s *sight) had() {
	s.there.Store(true)
	s.metrics.resyncs.WithLabelValues(s.part).Inc()
}

func (s *sight) lost() {
	if s.there.Swap(false) {
		s.metrics.losses.WithLabelValues(s.part).Inc()
	}
}

// sightTime bounds the wait for the first sight of the cluster's jobs.
const sightTime = 30 * time.Second

// waitForSight waits until the view has been fed once, but not long; false if ctx ended first. A loop that began before would ask Nomad
// for the job of each app.
func (a *app) waitForSight(ctx context.Context) bool {
	late := time.NewTimer(sightTime)
	defer late.Stop()
	select {
	case <-a.sighted:
	case <-late.C:
	case <-ctx.Done():
		return false
	}
	return true
}

func (a *app) wakeAll(ctx context.Context) {
	ids, err := a.store.AppIDs(ctx)
	if err != nil {
		if ctx.Err() == nil {
			a.log.Error("cannot list the apps to look at", "error", err)
		}
		return
	}
	for _, id := range ids {
		a.loop.Wake(id)
	}
}

func (a *app) namespaces(ctx context.Context) []string {
	names := []string{a.nomad.Namespace()}
	spaces, err := a.store.Spaces(ctx)
	if err != nil {
		if ctx.Err() == nil {
			a.log.Error("cannot read the spaces", "error", err)
		}
		return names
	}
	for _, s := range spaces {
		if s.NomadNamespace != "" {
			names = append(names, s.NomadNamespace)
		}
	}
	return names
}

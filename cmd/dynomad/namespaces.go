package main

import (
	"context"
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
				Sink: regained{a.view, func() { a.wakeAll(ctx) }},
			}
			v := &nomad.VariableWatcher{Client: a.nomad, Namespace: name, Sink: a.view, Log: a.log.Named("nomad")}
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

// regained is a view that has every app looked at whenever a namespace comes into sight. The view tells of apps that have a
// job; those that were made while Nomad was away have none, and would wait for their next try.
type regained struct {
	*view.View
	wakeAll func()
}

// Reset implements nomad.Sink.
func (r regained) Reset(namespace string, s jobs.Snapshot) {
	r.View.Reset(namespace, s)
	r.wakeAll()
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

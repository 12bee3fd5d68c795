package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs/logs"
	"github.com/dynomad/dynomad/jobs/view"
	"github.com/dynomad/dynomad/nomad"
	"github.com/dynomad/dynomad/store"
)

var _ logs.Outputs = (*nomad.Logs)(nil)

// newLogs makes what joins the logs of apps.
func (a *app) newLogs() *logs.Hub {
	return logs.New(logs.Config{
		Apps: loggedApps{a.store, a.view}, Outputs: nomad.NewLogs(a.nomad, a.log.Named("logs")),
		Limits: logs.Limits{Followed: a.config.LogDynos}, Now: time.Now, Log: a.log.Named("logs"),
		NewID: func() string { return strings.ToLower(rand.Text()[:12]) },
	})
}

// logMetrics are what the logs tell Prometheus.
func logMetrics(hub *logs.Hub) []prometheus.Collector {
	gauge := func(name, help string, value func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
	}
	return []prometheus.Collector{
		gauge("dynomad_log_readers", "Clients that read logs.", hub.Readers),
		gauge("dynomad_log_followed_dynos", "Dynos whose output is followed for them.", hub.Followed),
	}
}

// loggedApps tells the logs of apps.
type loggedApps struct {
	store *store.Store
	view  *view.View
}

// Look implements logs.Apps.
func (l loggedApps) Look(ctx context.Context, appID string) (logs.Picture, error) {
	state, err := l.store.AppState(ctx, appID)
	if err != nil {
		return logs.Picture{}, err
	}
	p := logs.Picture{Dynos: l.view.Dynos(state, now()).Dynos}
	p.Outputs, p.Whole = l.view.Outputs(state)
	names := make(map[string]string, len(p.Dynos))
	for _, d := range p.Dynos {
		names[d.ID] = d.Name
	}
	for i := range p.Outputs {
		p.Outputs[i].Name = names[p.Outputs[i].DynoID]
	}
	slices.SortFunc(p.Outputs, func(a, b logs.Output) int { return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.Alloc, b.Alloc)) })
	return p, nil
}

// Audits implements logs.Apps.
func (l loggedApps) Audits(ctx context.Context, appID string, after int64, most int) ([]dynomad.Audit, error) {
	return l.store.Audits(ctx, dynomad.AuditFilter{AppID: appID, After: after, Newest: most})
}

// wake tells all that act on an app's changes. It does not block.
func (a *app) wake(appID string) {
	a.loop.Wake(appID)
	a.logs.Wake(appID)
}

// waker wakes for requests.
type waker struct{ *app }

// Expect implements the platform's port.
func (w waker) Expect(ctx context.Context, appID string) {
	if id := dynomad.RequestIDFrom(ctx); id != "" {
		w.loop.Expect(appID, id)
	}
}

// Wake implements the platform's port.
func (w waker) Wake(ctx context.Context, appID string) {
	w.loop.WakeFor(appID, dynomad.RequestIDFrom(ctx))
	w.logs.Wake(appID)
}

package main

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs/reconcile"
	"github.com/dynomad/dynomad/store"
)

// Bounds of counting dynos. Whoever asks for /metrics often has them counted no more often.
const (
	countGap  = 5 * time.Second
	countTime = 5 * time.Second
)

// dynoSource gives what dynos are counted of. Neither asks the cluster.
type dynoSource interface {
	Dynos(state dynomad.AppState, now time.Time) dynomad.DynoPicture
	StaleFor(now time.Time) time.Duration
}

// gauges are what is so at the moment of asking. They are read when Prometheus asks, and ask neither Nomad nor Consul.
type gauges struct {
	store    *store.Store
	view     dynoSource
	backlogs func() []reconcile.Backlog
	parts    func(context.Context) map[string]string
	notices  func() []string
	dataDir  string

	mu      sync.Mutex
	counted time.Time
	apps    int
	dynos   map[dynoKind]int
}

// dynoKind is what dynos are counted by.
type dynoKind struct {
	kind  string
	state dynomad.DynoState
}

// Kinds of dynos.
const (
	kindKept = "kept" // of the formation: kept up
	kindRun  = "run"  // one-off and scheduled ones
)

var (
	appsDesc     = metricDesc("dynomad_apps", "Apps.")
	dynosDesc    = metricDesc("dynomad_dynos", "Dynos, as GET dynos lists them.", "kind", "state")
	staleDesc    = metricDesc("dynomad_stale_seconds", "How long some part of the picture of the cluster has not been fed; 0 while all is.")
	partDesc     = metricDesc("dynomad_part_up", "1 if a part that the daemon needs answers, else 0.", "part")
	noticesDesc  = metricDesc("dynomad_warnings", "Warnings that /readyz shows.")
	overdueDesc  = metricDesc("dynomad_loop_overdue_seconds", "How long the app that waits longest has been due to be looked at.", "lane")
	failingDesc  = metricDesc("dynomad_loop_failing_apps", "Apps whose last look failed; they are tried again.", "lane")
	storeDesc    = metricDesc("dynomad_store_bytes", "Size of the database's files.", "file")
	dataFreeDesc = metricDesc("dynomad_data_free_bytes", "Room that is left on the disk of the data folder.")
)

func metricDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

func newGauges(a *app) *gauges {
	return &gauges{
		store: a.store, view: a.view, backlogs: a.loop.Backlogs, parts: a.ready, notices: a.notices, dataDir: a.config.DataDir,
		dynos: map[dynoKind]int{},
	}
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		appsDesc, dynosDesc, staleDesc, partDesc, noticesDesc, overdueDesc, failingDesc, storeDesc, dataFreeDesc,
	} {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), countTime) // Collect is given none
	defer cancel()
	apps, dynos := g.count(ctx)
	send(appsDesc, float64(apps))
	for _, state := range dynomad.DynoStates() {
		for _, kind := range []string{kindKept, kindRun} {
			send(dynosDesc, float64(dynos[dynoKind{kind, state}]), kind, string(state))
		}
	}
	send(staleDesc, g.view.StaleFor(time.Now()).Seconds())
	for part, state := range g.parts(ctx) {
		up := 0.0
		if state == "ok" {
			up = 1
		}
		send(partDesc, up, part)
	}
	send(noticesDesc, float64(len(g.notices())))
	for _, b := range g.backlogs() {
		send(overdueDesc, b.Overdue.Seconds(), b.Lane)
		send(failingDesc, float64(b.Failing), b.Lane)
	}
	send(storeDesc, bytesOf(filepath.Join(g.dataDir, databaseFile)), "database")
	send(storeDesc, bytesOf(filepath.Join(g.dataDir, databaseFile+"-wal")), "wal")
	send(dataFreeDesc, float64(freeBytes(g.dataDir)))
}

// count counts apps and dynos, from memory where they are in it. What cannot be read now is as it was.
func (g *gauges) count(ctx context.Context) (int, map[dynoKind]int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.counted) < countGap {
		return g.apps, g.dynos
	}
	ids, err := g.store.AppIDs(ctx)
	if err != nil {
		return g.apps, g.dynos
	}
	apps, dynos, now := 0, map[dynoKind]int{}, time.Now()
	for _, id := range ids {
		state, err := g.store.AppState(ctx, id)
		if dynomad.KindOf(err) == dynomad.NotFound {
			continue // deleted, and not cleaned up yet
		}
		if err != nil {
			return g.apps, g.dynos
		}
		apps++
		for _, d := range g.view.Dynos(state, now).Dynos {
			kind := kindKept
			if d.Run {
				kind = kindRun
			}
			dynos[dynoKind{kind, d.State}]++
		}
	}
	g.apps, g.dynos, g.counted = apps, dynos, time.Now()
	return apps, dynos
}

// bytesOf is 0 for a file that there is not.
func bytesOf(path string) float64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return float64(info.Size())
}

// freeBytes is the room that a process without privileges has left on a folder's disk; 0 if that cannot be told.
func freeBytes(dir string) uint64 {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil || disk.Bsize < 0 {
		return 0
	}
	return disk.Bavail * uint64(disk.Bsize)
}

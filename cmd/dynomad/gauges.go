package main

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs/reconcile"
)

// gauges are what is so at the moment of asking. They are read when Prometheus asks, and ask neither Nomad nor Consul.
type gauges struct {
	census   *census
	stale    func(now time.Time) time.Duration
	backlogs func() []reconcile.Backlog
	parts    func(context.Context) map[string]string
	notices  func() []string
	dataDir  string
}

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
		census: newCensus(a.store, a.view), stale: a.view.StaleFor, backlogs: a.loop.Backlogs, parts: a.ready, notices: a.notices,
		dataDir: a.config.DataDir,
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
	send(staleDesc, g.stale(time.Now()).Seconds())
	ctx, cancel := context.WithTimeout(context.Background(), countTime) // Collect is given none
	defer cancel()
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
	g.collectDynos(ctx, send)
}

// collectDynos sends nothing before all could be counted once.
func (g *gauges) collectDynos(ctx context.Context, send func(d *prometheus.Desc, value float64, labels ...string)) {
	all, ok := g.census.count(ctx, time.Now())
	if !ok {
		return
	}
	send(appsDesc, float64(all.apps))
	for _, state := range dynomad.DynoStates() {
		for _, kind := range []string{kindKept, kindRun} {
			send(dynosDesc, float64(all.dynos[dynoKind{kind, state}]), kind, string(state))
		}
	}
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

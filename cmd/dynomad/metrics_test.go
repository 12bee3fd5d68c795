package main

import (
	"testing"
	"time"

	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/jobs/reconcile"
	"github.com/dynomad/dynomad/jobs/view"
)

// TestMetrics_sight counts parts that are lost sight of: once each time, whoever tries however often, and not before they were seen.
func TestMetrics_sight(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	v := view.New(view.Config{Namespace: "default", Now: time.Now, Changed: func(string) {}, Ask: func(string) {}})
	woken := 0
	nomad := regained{v, &sight{part: "nomad", metrics: m}, func() { woken++ }}
	consul := watchedHealth{v, &sight{part: "consul", metrics: m}}
	check := func(part string, losses, resyncs float64) {
		t.Helper()
		lost, read := sumOf(t, m, "dynomad_watcher_losses_total", part), sumOf(t, m, "dynomad_watcher_resyncs_total", part)
		if lost != losses || read != resyncs {
			t.Errorf("%s: lost %g times, read %g times; want %g, %g", part, lost, read, losses, resyncs)
		}
	}
	nomad.Lost("default")
	consul.LostHealth()
	check("nomad", 0, 0)
	check("consul", 0, 0)
	for range 2 {
		nomad.Reset("default", jobs.Snapshot{})
		consul.ResetHealth(map[string]jobs.Health{})
		consul.ResetHealth(map[string]jobs.Health{})
		for range 3 {
			nomad.Lost("default")
			consul.LostHealth()
		}
	}
	check("nomad", 2, 2)
	check("consul", 2, 4)
	if woken != 2 || v.StaleFor(time.Now().Add(time.Hour)) == 0 {
		t.Errorf("all were woken %d times, stale for %s", woken, v.StaleFor(time.Now().Add(time.Hour)))
	}
}

// TestMetrics_passes counts what the loop did. What was left out is no look, and what failed before says nothing of the loop's lag.
func TestMetrics_passes(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	m.Passed(reconcile.Pass{Lane: "app", Took: time.Second})
	m.Passed(reconcile.Pass{Lane: "app", Calm: true})
	m.Passed(reconcile.Pass{Lane: "app", Retry: true, Err: errLocked})
	for _, name := range []string{"dynomad_loop_wait_seconds", "dynomad_loop_pass_duration_seconds"} {
		if got := sumOf(t, m, name, "app"); got != 2 {
			t.Errorf("%s counts %g, want 2", name, got)
		}
	}
}

// sumOf sums up the counters of a name that have a label of this value; histograms count what they observed.
func sumOf(t *testing.T, m *metrics, name, label string) float64 {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		for _, one := range f.GetMetric() {
			for _, l := range one.GetLabel() {
				if f.GetName() == name && l.GetValue() == label {
					sum += one.GetCounter().GetValue() + float64(one.GetHistogram().GetSampleCount())
				}
			}
		}
	}
	return sum
}

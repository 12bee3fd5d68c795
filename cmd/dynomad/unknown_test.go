package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestUnknown follows jobs whose apps come and go: each change is logged once.
func TestUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		own := func(id, appID string) jobs.JobInfo { return jobs.JobInfo{ID: id, AppID: appID, Installation: "i1"} }
		list := []jobs.JobInfo{own("api-default", "a1"), {ID: "other", AppID: "x", Installation: "i2"}}
		known, broken := map[string]bool{"a1": true}, false
		var mu sync.Mutex // guards the three
		change := func(do func()) {
			mu.Lock()
			defer mu.Unlock()
			do()
		}
		var log nomadtest.Output
		u := &unknown{
			installation: "i1", log: hclog.New(&hclog.LoggerOptions{Output: &log}),
			marked: func() (marked []jobs.JobInfo) { change(func() { marked = slices.Clone(list) }); return marked },
			ask: func(_ context.Context, ids []string) ([]string, error) {
				mu.Lock()
				defer mu.Unlock()
				var strange []string
				for _, id := range ids {
					if !known[id] {
						strange = append(strange, id)
					}
				}
				if broken {
					return nil, errors.New("no store")
				}
				return strange, nil
			},
		}
		u.askRuns = u.ask
		skipped := 0
		u.skip = func(_ context.Context, last int) error { skipped += last; return nil }
		registry := prometheus.NewRegistry()
		registry.MustRegister(u.metric())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { u.run(ctx); close(done) }()
		check := func(what, notice string, gauge float64, logged int) {
			t.Helper()
			time.Sleep(3 * unknownInterval)
			synctest.Wait()
			if got := strings.Join(u.notice(), "\n"); notice == "" && got != "" || !strings.Contains(got, notice) {
				t.Errorf("%s: the notice is %q, want %q", what, got, notice)
			}
			families, err := registry.Gather()
			if err != nil || families[0].GetMetric()[0].GetGauge().GetValue() != gauge {
				t.Errorf("%s: the metric is %v, %v, want %v", what, families, err, gauge)
			}
			if n := strings.Count(log.String(), "\n"); n != logged {
				t.Errorf("%s: %d lines of log, want %d:\n%s", what, n, logged, log.String())
			}
		}
		check("all known", "", 0, 0)
		change(func() { list = append(list, own("shop-default", "a2")) })
		check("one unknown", "1 job of this installation (shop-default)", 1, 1)
		for _, id := range []string{"b", "c", "d", "e", "f"} {
			change(func() { list = append(list, own(id, id)) })
		}
		check("many", "6 jobs of this installation (b, c, d, e, f, …)", 6, 2)
		change(func() { broken = true })
		check("the store is broken", "6 jobs", 6, 5)
		change(func() {
			broken, known = false, map[string]bool{"a1": true, "a2": true, "b": true, "c": true, "d": true, "e": true, "f": true}
		})
		check("taken in", "", 0, 6)
		change(func() {
			run := own("shop-default_run_1001", "a2")
			run.RunID = "r1"
			list = append(list, run)
		})
		check("a run that nobody knows of", "1 job of this installation (shop-default_run_1001)", 1, 7)
		if skipped != 1001 {
			t.Errorf("numbers were skipped up to %d", skipped)
		}
		change(func() { known["r1"] = true })
		check("… and that somebody does", "", 0, 8)
		cancel()
		<-done
	})
}

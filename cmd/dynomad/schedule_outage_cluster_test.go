//go:build integration

package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestCluster_scheduleOutages has Nomad away when a schedule comes due: for seconds, whose run starts late, and for so long that it is
// missed. No minute has two runs, and each that has none is reported.
func TestCluster_scheduleOutages(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Minute)
	defer cancel()
	cluster := ownCluster(ctx, t, nomadtest.Config{NoTraefik: true})
	d := startDaemonOn(t, cluster, quick()...)
	app := d.oneOffApp("late")
	d.do(http.MethodPost, "/apps/"+app+"/formation", `{"type":"tick","schedule":"* * * * *","size":"gp1","command":"sh -c 'exit 4'"}`, http.StatusOK, nil)
	from := d.waitSlots(app, 90*time.Second, 1)[0].ScheduledAt

	late := d.awayAt(ctx, t, from.Add(time.Minute), 10*time.Second)
	d.waitSlots(app, 2*time.Minute, 2)
	missed := d.awayAt(ctx, t, late.Add(time.Minute), 75*time.Second)
	slots := d.waitSlots(app, 2*time.Minute, 3)

	ran := map[time.Time]bool{}
	for _, s := range slots {
		if ran[s.ScheduledAt] {
			t.Errorf("%s has two runs", s.ScheduledAt)
		}
		ran[s.ScheduledAt] = true
		if s.State != "stopped" || s.ExitCode == nil || *s.ExitCode != 4 {
			t.Errorf("the run for %s is %+v", s.ScheduledAt, s)
		}
	}
	if !ran[late] {
		t.Errorf("there is no run for %s, when Nomad was away for seconds: %+v", late, slots)
	}
	if ran[missed] {
		t.Errorf("there is a run for %s, which was more than a minute ago: %+v", missed, slots)
	}
	var audits []struct{ Action, Details string }
	d.do(http.MethodGet, "/apps/"+app+"/audits", "", http.StatusOK, &audits)
	told := false
	for _, a := range audits {
		told = told || a.Action == "schedule.missed" && strings.Contains(a.Details, missed.UTC().Format("15:04"))
	}
	if !told {
		t.Errorf("nothing tells that %s was missed: %+v", missed, audits)
	}
	d.once(app)
}

// awayAt has Nomad away from shortly before a minute until so long after it, and gives the minute: that one, or a later one if it is
// too late for it.
func (d *daemon) awayAt(ctx context.Context, tb testing.TB, minute time.Time, after time.Duration) time.Time {
	tb.Helper()
	const before = 3 * time.Second
	for time.Until(minute) < before {
		minute = minute.Add(time.Minute)
	}
	pause := func(until time.Time) {
		select {
		case <-time.After(time.Until(until)):
		case <-ctx.Done():
			tb.Fatal(ctx.Err())
		}
	}
	pause(minute.Add(-before))
	kill(tb, d.cluster.Nomad)
	pause(minute.Add(after))
	restart(ctx, tb, d.cluster.Nomad)
	nomadtest.Eventually(tb, time.Minute, func(ctx context.Context) error {
		status, body, err := d.try(ctx, http.MethodGet, "/readyz", "")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("not ready: %s", body)
		}
		return err
	})
	return minute
}

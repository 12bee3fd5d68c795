//go:build integration

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestCluster_scheduled has types come due every minute, over a restart of the daemon in between. Tick is run in each, the first time within
// 70 s; pausing is not while it is paused; slow, whose runs take longer than a minute, is not while the run before is going, which is told.
func TestCluster_scheduled(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	app := d.oneOffApp("clock")
	d.schedule(app, "pausing", "sh -c 'exit 5'")
	d.do(http.MethodPatch, "/apps/"+app+"/formation/pausing", `{"quantity":0}`, http.StatusOK, nil)
	d.schedule(app, "slow", "sh -c 'sleep 75; exit 6'")
	d.schedule(app, "tick", "sh -c 'exit 4'")
	first := d.waitSlots(app, 70*time.Second, 1)
	pausing, err := d.scheduled(t.Context(), app, "pausing")
	if err != nil || len(pausing.NextRuns) > 0 {
		t.Errorf("what is paused is to run at %v (%v)", pausing.NextRuns, err)
	}
	if err := d.process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := d.process.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.do(http.MethodPatch, "/apps/"+app+"/formation/pausing", `{"quantity":1}`, http.StatusOK, nil)
	on := time.Now()
	slots := d.waitSlots(app, 2*time.Minute, 2)
	minutes := map[time.Time]bool{}
	for i, s := range slots {
		if s.exit() != 4 {
			t.Errorf("the run %d is %+v", i, s)
		}
		if s.ScheduledAt.Second() != 0 || minutes[s.ScheduledAt] {
			t.Errorf("the run %d is for %s, as another or between minutes", i, s.ScheduledAt)
		}
		if i > 0 && !s.ScheduledAt.Equal(slots[i-1].ScheduledAt.Add(-time.Minute)) {
			t.Errorf("between the runs for %s and %s there is none", s.ScheduledAt, slots[i-1].ScheduledAt)
		}
		minutes[s.ScheduledAt] = true
	}
	if was, is := first[len(first)-1], slots[len(slots)-1]; is.ID != was.ID {
		t.Errorf("the first run was %s, is %s", was.ID, is.ID)
	}
	d.checkPause(app, first, on)
	d.checkOverlap(app)
	d.once(app)
	if list, err := d.dynos(t.Context(), app); err != nil || !slices.ContainsFunc(list, func(y dyno) bool { return y.Type == "tick" }) {
		t.Errorf("the dynos are %+v, %v", list, err)
	}
}

// checkPause wants the type pausing to have run in no minute that was due while it was paused, and in the first one after it was on again.
func (d *daemon) checkPause(app string, paused []slot, on time.Time) {
	d.tb.Helper()
	runs := d.waitSchedule(app, "pausing", 2*time.Minute, func(slots []slot) bool { return haveEnded(1)(slots) && slots[0].ScheduledAt.After(on) })
	if runs[0].exit() != 5 || runs[0].ScheduledAt.Sub(on) > 2*time.Minute {
		d.tb.Errorf("on again at %s it ran as %+v", on, runs[0])
	}
	for _, s := range runs {
		if slices.ContainsFunc(paused, func(p slot) bool { return p.ScheduledAt.Equal(s.ScheduledAt) }) {
			d.tb.Errorf("it ran in %s, while it was paused", s.ScheduledAt)
		}
	}
}

// checkOverlap wants the type slow to be in its first run, and the minute after that to be skipped: the record, the audits and the logs say so.
func (d *daemon) checkOverlap(app string) {
	d.tb.Helper()
	slow, err := d.scheduled(d.tb.Context(), app, "slow")
	if err != nil || len(slow.LastRuns) < 2 {
		d.tb.Fatalf("the runs of slow are %+v, %v", slow.LastRuns, err)
	}
	going, next := slow.LastRuns[len(slow.LastRuns)-1], slow.LastRuns[len(slow.LastRuns)-2]
	if !next.ScheduledAt.Equal(going.ScheduledAt.Add(time.Minute)) || next.State != "skipped" || next.ExitCode != nil {
		d.tb.Errorf("the run of slow for %s is followed by %+v, want a skipped one a minute later", going.ScheduledAt, next)
	}
	var run runDyno
	d.do(http.MethodGet, "/apps/"+app+"/dynos/"+going.ID, "", http.StatusOK, &run)
	told := fmt.Sprintf("Skipped the run of slow that was due at %s. The run before, %s, is still going", next.ScheduledAt.UTC().Format(time.RFC3339), run.Name)
	var audits []struct{ Action, Details string }
	d.do(http.MethodGet, "/apps/"+app+"/audits", "", http.StatusOK, &audits)
	said := 0
	for _, a := range audits {
		if a.Action == "schedule.skip" && a.Details == told+"." {
			said++
		}
	}
	if said != 1 {
		d.tb.Errorf("%d audits say %q: %+v", said, told, audits)
	}
	if status, text := get(d.tb, d.url+"/apps/"+app+"/logs?lines=100&source=dynomad", "Authorization", d.token); status != http.StatusOK || strings.Count(text, " dynomad[schedule]: "+told) != 1 {
		d.tb.Errorf("the logs do not say %q once: %d %s", told, status, text)
	}
}

// schedule makes a dyno type that comes due every minute.
func (d *daemon) schedule(app, dynoType, command string) {
	d.tb.Helper()
	d.do(http.MethodPost, "/apps/"+app+"/formation", asJSON(d.tb, map[string]any{
		"type": dynoType, "schedule": "* * * * *", "size": "gp1", "command": command,
	}), http.StatusOK, nil)
}

// slot is a minute of a schedule, as the formation shows it.
type slot struct {
	ID, State   string
	ScheduledAt time.Time `json:"scheduled_at"`
	ExitCode    *int      `json:"exit_code"`
}

func (s slot) open() bool { return s.State == "waiting" || s.State == "running" }

// exit is the exit code of a run that has ended by itself; -1 of any other.
func (s slot) exit() int {
	if s.State != "stopped" || s.ExitCode == nil {
		return -1
	}
	return *s.ExitCode
}

// slots is what a type's schedule has made, the newest first, and will.
type slots struct {
	LastRuns []slot   `json:"last_runs"`
	NextRuns []string `json:"next_runs"`
}

func (d *daemon) scheduled(ctx context.Context, app, dynoType string) (s slots, err error) {
	_, body, err := d.try(ctx, http.MethodGet, "/apps/"+app+"/formation/"+dynoType, "")
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(body, &s)
}

// haveEnded gives a condition: so many runs or more, all of which have ended.
func haveEnded(n int) func([]slot) bool {
	return func(slots []slot) bool { return len(slots) >= n && !slices.ContainsFunc(slots, slot.open) }
}

// waitSlots waits until the schedule of the type tick has made so many runs, all of which have ended.
func (d *daemon) waitSlots(app string, within time.Duration, n int) []slot {
	d.tb.Helper()
	return d.waitSchedule(app, "tick", within, haveEnded(n))
}

// waitSchedule waits until the runs of a type that is not paused satisfy ok, and gives them.
func (d *daemon) waitSchedule(app, dynoType string, within time.Duration, ok func([]slot) bool) []slot {
	d.tb.Helper()
	var got slots
	nomadtest.Eventually(d.tb, within, func(ctx context.Context) (err error) {
		if got, err = d.scheduled(ctx, app, dynoType); err != nil {
			return err
		}
		if !ok(got.LastRuns) || len(got.NextRuns) != 3 {
			return fmt.Errorf("the runs of %s are %+v", dynoType, got)
		}
		return nil
	})
	return got.LastRuns
}

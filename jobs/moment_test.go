package jobs_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad/jobs"
)

// TestMoment_until goes through the hours after each recorded allocation: a dyno looks as it does until the time that was told
// with it, and no recorded change comes without having been announced.
func TestMoment_until(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob("../testdata/allocs/*/input.json")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no recorded allocations found: %v", err)
	}
	changes := map[string]bool{}
	for _, file := range dirs {
		in := readAllocCase(t, filepath.Dir(file))
		start := time.Unix(0, in.Alloc.Modified)
		before, until := seenAt(in, start)
		for at := start; at.Before(start.Add(2 * time.Hour)); at = at.Add(step(at.Sub(start))) {
			now, next := seenAt(in, at)
			if diff := cmp.Diff(now, before); diff != "" {
				if at.Before(until) {
					t.Fatalf("%s: %s after its last change it was different, and told to stay until %s (-got +before):\n%s", file, at.Sub(start), until.Sub(start), diff)
				}
				changes[string(before.Dyno.State)+" "+string(now.Dyno.State)] = true
			}
			if !next.After(at) {
				t.Fatalf("%s: at %s it is said to hold until %s", file, at, next)
			}
			before, until = now, next
		}
	}
	for _, want := range []string{"stopped stopped", "app-crashed running", "running probe-failure"} {
		if !changes[want] {
			t.Errorf("no recorded dyno goes from and to %s by time alone: %v", want, changes)
		}
	}
}

// step is small in the first minutes, where something may happen.
func step(after time.Duration) time.Duration {
	if after < 3*time.Minute {
		return 250 * time.Millisecond
	}
	return 10 * time.Second
}

func seenAt(in jobs.DynoInput, at time.Time) (shown, time.Time) {
	in.Now = jobs.At(at)
	s := shown{jobs.Dyno(in), jobs.Listed(in.Alloc, in.Now)}
	return s, in.Now.Until()
}

// TestMoment_edges has each instant at which a dyno changes by time alone: it is told to the nanosecond.
func TestMoment_edges(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) int64 { return dynosNow.Add(d).UnixNano() }
	running := alloc("a", "web", 0, func(a *jobs.Alloc) { a.Task.Started = at(0) })
	crashed := running
	crashed.Task.Exit, crashed.Task.Restarts = jobs.Exit{At: at(-time.Second), Code: 1}, 1
	stopped := alloc("a", "web", 0, ended("complete", "stop"))
	stopped.Task.Finished = at(0)
	batch := stopped
	batch.Batch = true
	for name, tt := range map[string]struct {
		alloc  jobs.Alloc
		health jobs.Health
		after  time.Duration // 0 is never
	}{
		"nothing":          {alloc: running, health: jobs.Health{Known: true, Passing: true}},
		"start grace":      {alloc: running, health: jobs.Health{Known: true}, after: 30 * time.Second},
		"up after a crash": {alloc: crashed, health: jobs.Health{Known: true, Passing: true}, after: 10 * time.Second},
		"stopped":          {alloc: stopped, after: time.Minute + 1},
		"finished one-off": {alloc: batch, after: time.Hour + 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := jobs.DynoInput{Settings: viewSettings(), Alloc: tt.alloc, Health: tt.health, Content: &jobs.GroupContent{Checked: true}}
			first, until := seenAt(in, dynosNow)
			if tt.after == 0 {
				if year := until.Year(); year < 2200 {
					t.Errorf("changes in %d", year)
				}
				return
			}
			if got := until.Sub(dynosNow); got != tt.after {
				t.Errorf("holds for %s, want %s", got, tt.after)
			}
			if last, same := seenAt(in, until.Add(-1)); !cmp.Equal(first, last) || !same.Equal(until) {
				t.Errorf("changed before that, or holds until %s by then (-got +want):\n%s", same, cmp.Diff(last, first))
			}
			if after, _ := seenAt(in, until); cmp.Equal(first, after) {
				t.Errorf("has not changed by then: %+v", after)
			}
		})
	}
}

// TestMoment_clocksDiffer sees what another machine's clock says is still to come.
func TestMoment_clocksDiffer(t *testing.T) {
	t.Parallel()
	in := jobs.DynoInput{Settings: viewSettings(), Health: jobs.Health{Known: true}, Content: &jobs.GroupContent{Checked: true}}
	in.Alloc = alloc("a", "web", 0, func(a *jobs.Alloc) { a.Task.Started = dynosNow.Add(time.Hour).UnixNano() })
	first, until := seenAt(in, dynosNow)
	if first.Dyno.State != "running" || !until.After(dynosNow) || until.After(dynosNow.Add(time.Hour+30*time.Second)) {
		t.Errorf("%s until %s", first.Dyno.State, until)
	}
	in.Settings.StartGrace = 1<<63 - 1
	if _, until = seenAt(in, dynosNow); !until.After(dynosNow) {
		t.Errorf("with the longest grace there is it holds until %s", until)
	}
}

package dynomad_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad"
)

// nightly is an app with a release and a type that is due every minute.
func nightly(change ...func(*dynomad.AppState)) dynomad.AppState {
	s := dynomad.AppState{
		App: dynomad.App{ID: "a1", Name: "api-default"}, Wanted: &dynomad.Release{ID: "rel", Version: 3, ConfigID: "c3"},
		Build: &dynomad.Build{Image: "i:1"},
		Types: []dynomad.DynoType{{ID: "t1", Type: "nightly", Schedule: new("* * * * *"), Quantity: 1, Size: "gp1", Command: new("x")}},
	}
	for _, f := range change {
		f(&s)
	}
	return s
}

func TestTakeSlots(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	going := dynomad.Run{Type: "nightly", TypeID: "t1", Number: 1007}
	tests := map[string]struct {
		state  dynomad.AppState
		after  time.Duration // of noon
		now    time.Duration
		runs   string // minutes, those that are skipped in brackets
		audits []string
	}{
		"nothing due":   {nightly(), time.Second, 59 * time.Second, "", nil},
		"on the minute": {nightly(), 30 * time.Second, time.Minute, "1", nil},
		"taken once":    {nightly(), time.Minute, 61 * time.Second, "", nil},
		"late by a minute": {
			nightly(), 30 * time.Second, 2 * time.Minute, "1 (2)",
			[]string{"Skipped the run of nightly that was due at 2026-11-22T12:02:00Z. The run before, of 2026-11-22T12:01:00Z, is still going."},
		},
		"late by more": {
			nightly(), 30 * time.Second, 2*time.Minute + time.Second, "2",
			[]string{"Missed the run of nightly that was due at 2026-11-22T12:01:00Z. The daemon or Nomad was away."},
		},
		"late by days": {
			nightly(), 0, 48*time.Hour + 30*time.Second, "0",
			[]string{"Missed 1000 runs or more of nightly, due from 2026-11-22T12:01:00Z on. The daemon or Nomad was away."},
		},
		"the run before is going": {
			nightly(func(s *dynomad.AppState) { s.Runs = []dynomad.Run{going} }), 30 * time.Second, time.Minute, "(1)",
			[]string{"Skipped the run of nightly that was due at 2026-11-22T12:01:00Z. The run before, nightly.1007, is still going."},
		},
		"the run before has ended": {
			nightly(func(s *dynomad.AppState) { r := going; r.Ended = &dynomad.RunEnd{}; s.Runs = []dynomad.Run{r} }),
			30 * time.Second, time.Minute, "1", nil,
		},
		"another type's run is going": {
			nightly(func(s *dynomad.AppState) { r := going; r.TypeID = "t2"; s.Runs = []dynomad.Run{r} }), 30 * time.Second, time.Minute, "1", nil,
		},
		"the clock was set back": {
			nightly(), 3 * time.Hour, time.Minute, "",
			[]string{"The clock was set back by 2h59m0s or more. The schedule of nightly goes on from 2026-11-22T12:01:00Z; minutes that were run are not run again."},
		},
		"the clock wavers": {nightly(), 61 * time.Second, time.Minute, "", nil},
		"at 0":             {nightly(func(s *dynomad.AppState) { s.Types[0].Quantity = 0 }), 0, time.Hour, "", nil},
		"in maintenance":   {nightly(func(s *dynomad.AppState) { s.App.Maintenance = true }), 0, time.Hour, "", nil},
		"nothing to run":   {nightly(func(s *dynomad.AppState) { s.Build = nil }), 0, time.Hour, "", nil},
		"an image of its own": {
			nightly(func(s *dynomad.AppState) { s.Build, s.Types[0].Options = nil, &dynomad.Options{Image: "own:1"} }),
			30 * time.Second, time.Minute, "1", nil,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ids, now := 0, noon.Add(tt.now)
			taken := rules().TakeSlots(tt.state, tt.state.Types[0], noon.Add(tt.after), now, func() string { ids++; return fmt.Sprint(ids) })
			var runs, audits []string
			for _, r := range taken.Runs {
				minute := fmt.Sprint(r.Scheduled.Minute())
				if r.Ended != nil {
					minute = "(" + minute + ")"
				}
				runs = append(runs, minute)
				if r.TypeID != "t1" || r.Type != "nightly" || r.Image == "" || r.ID == "" || !r.CreatedAt.Equal(now) {
					t.Errorf("got the run %+v", r)
				}
			}
			for _, a := range taken.Audits {
				audits = append(audits, a.Details)
			}
			if got := strings.Join(runs, " "); got != tt.runs {
				t.Errorf("runs are %q, want %q", got, tt.runs)
			}
			if diff := cmp.Diff(audits, tt.audits); diff != "" {
				t.Errorf("audits (-got +want):\n%s", diff)
			}
			if !taken.SeenUntil.Equal(now) {
				t.Errorf("seen to until %s", taken.SeenUntil)
			}
		})
	}
}

func TestNextRuns(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 30, 0, time.UTC)
	state := nightly()
	state.Types[0].Schedule = new("*/20 12 * * *")
	want := []time.Time{now.Truncate(time.Hour).Add(20 * time.Minute), now.Truncate(time.Hour).Add(40 * time.Minute), now.Truncate(time.Hour).Add(24 * time.Hour)}
	if diff := cmp.Diff(state.NextRuns(state.Types[0], now), want); diff != "" {
		t.Errorf("next runs (-got +want):\n%s", diff)
	}
	state.App.Maintenance = true
	if got := state.NextRuns(state.Types[0], now); got != nil {
		t.Errorf("in maintenance: %v", got)
	}
	if got := nightly().NextRuns(dynomad.DynoType{Quantity: 1}, now); got != nil {
		t.Errorf("without a schedule: %v", got)
	}
}

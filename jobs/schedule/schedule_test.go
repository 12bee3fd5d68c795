package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs/schedule"
)

// world is a store with one app, in one synctest bubble, whose clock begins at midnight.
type world struct {
	mu     sync.Mutex
	state  dynomad.AppState
	until  time.Time
	runs   []dynomad.Run
	audits []string
	away   atomic.Bool
	broken bool
	wakes  int
	end    func()
}

func (w *world) Schedules(context.Context) ([]dynomad.Schedule, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken {
		return nil, errors.New("no store")
	}
	var all []dynomad.Schedule
	for _, t := range w.state.Types {
		all = append(all, dynomad.Schedule{AppID: "a1", TypeID: t.ID, Expr: *t.Schedule, SeenUntil: w.until})
	}
	return all, nil
}

func (w *world) TakeSlots(_ context.Context, _, typeID string, decide func(dynomad.AppState, dynomad.DynoType, time.Time) dynomad.Slots) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, _ := w.state.Type(typeID)
	taken := decide(w.state, t, w.until)
	w.until, w.runs = taken.SeenUntil, append(w.runs, taken.Runs...)
	for _, a := range taken.Audits {
		w.audits = append(w.audits, a.Details)
	}
	return nil
}

func (w *world) change(do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	do()
}

// start runs a scheduler, as a daemon that starts does.
func (w *world) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	s := schedule.New(schedule.Config{
		Store: w, Rules: dynomad.Rules{Sizes: dynomad.BuiltinSizes(), DefaultSize: "gp1"}, Now: time.Now, NewID: func() string { return "id" },
		Follows: func(dynomad.App) bool { return !w.away.Load() },
		Wake:    func(string) { w.change(func() { w.wakes++ }) }, Log: hclog.NewNullLogger(),
	})
	go func() { s.Run(ctx); close(done) }()
	w.end = func() { cancel(); <-done }
}

// minutes gives the minutes that were run, and forgets them.
func (w *world) minutes(d time.Duration) string {
	time.Sleep(d)
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, r := range w.runs {
		out = append(out, fmt.Sprint(r.Scheduled.Minute()))
	}
	w.runs = nil
	return strings.Join(out, " ")
}

func TestScheduler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{until: time.Now(), state: dynomad.AppState{
			App: dynomad.App{ID: "a1", Name: "api-default"}, Wanted: &dynomad.Release{Version: 1}, Build: &dynomad.Build{Image: "i:1"},
			Types: []dynomad.DynoType{{ID: "t1", Type: "clock", Schedule: new("* * * * *"), Quantity: 1, Size: "gp1"}},
		}}
		check := func(what, got, want string, audits int) {
			t.Helper()
			if got != want {
				t.Errorf("%s: ran the minutes %q, want %q", what, got, want)
			}
			if len(w.audits) != audits {
				t.Errorf("%s: the audits are %q, want %d", what, w.audits, audits)
			}
		}
		w.start(t)
		check("three minutes", w.minutes(3*time.Minute+time.Second), "1 2 3", 0)
		w.end()
		w.start(t)
		check("a restart within a minute", w.minutes(10*time.Second), "", 0)
		w.end()
		time.Sleep(50 * time.Second) // over minute 4
		w.start(t)
		check("a restart over a minute's turn", w.minutes(time.Second), "4", 0)
		w.end()
		time.Sleep(10 * time.Minute)
		w.start(t)
		check("ten minutes down", w.minutes(time.Second), "14", 1)
		w.away.Store(true)
		check("Nomad away", w.minutes(3*time.Minute), "", 1)
		w.away.Store(false)
		check("Nomad back", w.minutes(5*time.Second), "17", 2)
		w.change(func() { w.state.App.Maintenance = true })
		check("maintenance", w.minutes(3*time.Minute), "", 2)
		w.change(func() { w.state.App.Maintenance, w.broken = false, true })
		check("no store", w.minutes(30*time.Second), "", 2)
		w.change(func() { w.broken = false })
		check("on again", w.minutes(time.Minute), "21", 2)
		w.end()
		if w.wakes != 7 || !slices.ContainsFunc(w.audits, func(a string) bool { return strings.HasPrefix(a, "Missed 9 runs of clock") }) {
			t.Errorf("%d wakes, audits %q", w.wakes, w.audits)
		}
	})
}

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
	ran    map[int64]bool // minutes
	step   time.Duration  // by which the clock was set
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Round(0).Add(w.step)
}

// newWorld has a type that is due every minute.
func newWorld() *world {
	return &world{until: time.Now(), ran: map[int64]bool{}, state: dynomad.AppState{
		App: dynomad.App{ID: "a1", Name: "api-default"}, Wanted: &dynomad.Release{Version: 1}, Build: &dynomad.Build{Image: "i:1"},
		Types: []dynomad.DynoType{{ID: "t1", Type: "clock", Schedule: new("* * * * *"), Quantity: 1, Size: "gp1"}},
	}}
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
	w.until = taken.SeenUntil
	for _, r := range taken.Runs { // none twice, as in the store
		if minute := r.Scheduled.UnixNano(); !w.ran[minute] {
			w.ran[minute] = true
			w.runs = append(w.runs, r)
		}
	}
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
		Store: w, Rules: dynomad.Rules{Sizes: dynomad.BuiltinSizes(), DefaultSize: "gp1"}, Now: w.now, NewID: func() string { return "id" },
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
		w := newWorld()
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

// TestScheduler_clockSet sets the clock, as an operator or a time server does: minutes that are left out are missed and not made up for, and
// none is run twice. A schedule does not stand still until the clock is again where it once was.
func TestScheduler_clockSet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.start(t)
		defer func() { w.end() }()
		set := func(by time.Duration) { w.change(func() { w.step += by }) }
		wants := func(what, want string, d time.Duration, audit string) {
			t.Helper()
			if got := w.minutes(d); got != want {
				t.Errorf("%s: ran the minutes %q, want %q", what, got, want)
			}
			var said string
			w.change(func() { said, w.audits = strings.Join(w.audits, "\n"), nil })
			if (audit == "") != (said == "") || !strings.Contains(said, audit) {
				t.Errorf("%s: the audits are %q, want %q", what, said, audit)
			}
		}
		wants("at first", "1 2 3", 3*time.Minute+30*time.Second, "") // 00:03:30
		set(3 * time.Hour)                                           // 03:03:30
		wants("three hours forward", "3", 10*time.Second, "Missed 179 runs of clock")
		wants("there", "4 5", 2*time.Minute, "")
		set(-3 * time.Hour) // 00:05:40
		wants("and back", "", 10*time.Second, "set back by 2h59m")
		wants("as if nothing had been", "6 7", 2*time.Minute, "")
		set(-3 * time.Minute) // 00:04:50
		wants("three minutes back, and one that was left out", "5", 65*time.Second, "set back by")
		wants("minutes that were run", "", 2*time.Minute, "")
		wants("the next that was not", "8", time.Minute, "")
	})
}

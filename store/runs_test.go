package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dynomad/dynomad"
)

// firstRun is the number of the first run of a database.
const firstRun = 1001

// addRun adds a run with the environment A=b.
func addRun(tb testing.TB, s *Store, key string, change ...func(*dynomad.Run)) dynomad.Run {
	tb.Helper()
	_, run, err := s.CreateRun(tb.Context(), key, func(state dynomad.AppState, number int) (dynomad.Run, dynomad.Audit, error) {
		command := "echo 'hi'"
		r := dynomad.Run{
			ID: uuid.NewString(), AppID: state.App.ID, Number: number, Type: dynomad.RunType, Command: &command, Image: "shop:1", Size: "gp1",
			HasEnv: true, Env: dynomad.ConfigVars{"A": "b"}, ConfigID: state.ConfigID, CreatedAt: start, Deadline: start.Add(time.Hour),
		}
		for _, f := range change {
			f(&r)
		}
		return r, newAudit("dyno.create"), nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return run
}

// stateOf reads an app's state.
func stateOf(tb testing.TB, s *Store, key string) dynomad.AppState {
	tb.Helper()
	return must[dynomad.AppState](tb)(s.AppState(tb.Context(), key))
}

func TestRuns(t *testing.T) {
	t.Parallel()
	s, ctx := newStore(t), t.Context()
	app := addApp(t, s, "shop")
	run := addRun(t, s, app.Name)
	if run.Number != firstRun || run.Name() != "run.1001" {
		t.Errorf("the first run is %s", run.Name())
	}
	listed := run
	listed.Env = nil
	diff(t, stateOf(t, s, app.ID).Runs, []dynomad.Run{listed})
	diff(t, must[dynomad.AppRuns](t)(s.AppRuns(ctx, app.ID)).Runs, []dynomad.Run{run})

	if err := s.RunRegistered(ctx, app.ID, run.ID); err != nil {
		t.Fatal(err)
	}
	for _, alloc := range []string{"first", "second"} {
		if got := must[string](t)(s.RunPlaced(ctx, app.ID, run.ID, alloc)); got != "first" {
			t.Errorf("%s runs it, want the first", got)
		}
	}
	for range 2 { // the second time changes nothing
		if err := s.StopRun(ctx, app.ID, run.ID, fmt.Sprintf("Because of %d.", len(stateOf(t, s, app.ID).Runs[0].StopReason)), newAudit("dyno.stop")); err != nil {
			t.Fatal(err)
		}
	}
	run.Registered, run.AllocID, run.StopReason = true, "first", "Because of 0."
	diff(t, must[dynomad.AppRuns](t)(s.AppRuns(ctx, app.ID)).Runs, []dynomad.Run{run})

	code := 7
	end := dynomad.RunEnd{At: start.Add(time.Minute), State: dynomad.StateStopped, ExitCode: &code, Info: "It ended.", Node: "n", AllocID: "first"}
	later := end
	later.Info = "It ended twice."
	for _, e := range []dynomad.RunEnd{end, later} {
		if err := s.EndRun(ctx, app.ID, run.ID, e); err != nil {
			t.Fatal(err)
		}
	}
	run.Ended, run.Env = &end, nil
	diff(t, must[dynomad.AppRuns](t)(s.AppRuns(ctx, app.ID)).Runs, []dynomad.Run{run})
	diff(t, stateOf(t, s, app.ID).Runs, []dynomad.Run{run})
	if err := s.RunRemoved(ctx, app.ID, run.ID); err != nil {
		t.Fatal(err)
	}
	if got := stateOf(t, s, app.ID).Runs; got != nil {
		t.Errorf("still there: %+v", got)
	}
	var actions []string
	for _, a := range must[[]dynomad.Audit](t)(s.Audits(ctx, dynomad.AuditFilter{AppID: app.ID})) {
		actions = append(actions, a.Action)
	}
	diff(t, actions, []string{"app.create", "dyno.create", "dyno.stop"})
}

// Attached runs are found until they have ended or are to, in all apps.
func TestRuns_attached(t *testing.T) {
	t.Parallel()
	s, ctx := newStore(t), t.Context()
	shop, other := addApp(t, s, "shop"), addApp(t, s, "other")
	attached := func(r *dynomad.Run) { r.Attach = true }
	ended, stopped, open := addRun(t, s, shop.ID, attached), addRun(t, s, shop.ID, attached), addRun(t, s, shop.ID, attached)
	addRun(t, s, shop.ID)
	elsewhere := addRun(t, s, other.ID, attached)
	if err := s.EndRun(ctx, shop.ID, ended.ID, dynomad.RunEnd{At: start, State: dynomad.StateStopped}); err != nil {
		t.Fatal(err)
	}
	if err := s.StopRun(ctx, shop.ID, stopped.ID, "Enough.", newAudit("dyno.stop")); err != nil {
		t.Fatal(err)
	}
	open.Env, elsewhere.Env = nil, nil
	diff(t, must[[]dynomad.Run](t)(s.AttachedRuns(ctx)), []dynomad.Run{open, elsewhere})
}

// An open run keeps its config version's variable, whatever is released after.
func TestRuns_config(t *testing.T) {
	t.Parallel()
	s, ctx := newStore(t), t.Context()
	app := addApp(t, s, "shop")
	deploy(t, s, app.ID)
	first := configure(t, s, app.ID, dynomad.ConfigVars{"A": "1"}).ConfigID
	if err := s.ConfigWritten(ctx, app.ID, first); err != nil {
		t.Fatal(err)
	}
	run := addRun(t, s, app.ID)
	second := configure(t, s, app.ID, dynomad.ConfigVars{"A": "2"}).ConfigID
	needed := func() map[string]bool {
		refs := map[string]bool{}
		for _, c := range must[dynomad.Wanted](t)(s.Wanted(ctx, app.ID)).Configs {
			refs[c.ID] = c.Needed
		}
		return refs
	}
	diff(t, needed(), map[string]bool{first: true, second: true})
	if err := s.EndRun(ctx, app.ID, run.ID, dynomad.RunEnd{At: start, State: dynomad.StateStopped}); err != nil {
		t.Fatal(err)
	}
	diff(t, needed(), map[string]bool{first: false, second: true})
}

// What is refused takes nothing, and numbers are given once, whatever becomes of the runs.
func TestRuns_numbers(t *testing.T) {
	t.Parallel()
	s, ctx := newStore(t), t.Context()
	app := addApp(t, s, "shop")
	addRun(t, s, app.ID)
	_, _, err := s.CreateRun(ctx, app.ID, func(dynomad.AppState, int) (dynomad.Run, dynomad.Audit, error) {
		return dynomad.Run{}, dynomad.Audit{}, dynomad.Errorf(dynomad.Conflict, "No.")
	})
	wantKind(t, err, dynomad.Conflict)
	if _, err := s.writer.ExecContext(ctx, `DELETE FROM runs`); err != nil {
		t.Fatal(err)
	}
	if run := addRun(t, s, app.ID); run.Number != firstRun+1 {
		t.Errorf("got %d", run.Number)
	}
	for _, last := range []int{2000, 5} {
		if err := s.SkipRuns(ctx, last); err != nil {
			t.Fatal(err)
		}
	}
	if run := addRun(t, s, app.ID); run.Number != 2001 {
		t.Errorf("after 2000 came %d", run.Number)
	}
	_, _, err = s.CreateRun(ctx, "nothere", nil)
	wantKind(t, err, dynomad.NotFound)
}

// Runs of a deleted app are to end, and are the loop's until their jobs are gone.
func TestRuns_deletedApp(t *testing.T) {
	t.Parallel()
	s, ctx := newStore(t), t.Context()
	app := addApp(t, s, "shop")
	open, ended := addRun(t, s, app.ID), addRun(t, s, app.ID)
	if err := s.EndRun(ctx, app.ID, ended.ID, dynomad.RunEnd{At: start, State: dynomad.StateStopped}); err != nil {
		t.Fatal(err)
	}
	must[dynomad.AppState](t)(s.DeleteApp(ctx, app.ID, allow, newAudit("app.delete")))
	w := must[dynomad.AppRuns](t)(s.AppRuns(ctx, app.ID))
	if !w.Deleted || len(w.Runs) != 2 || w.Runs[0].ID != open.ID || w.Runs[0].StopReason != "The app was deleted." || w.Runs[1].StopReason != "" {
		t.Errorf("got %+v", w.Runs)
	}
	if unknown := must[[]string](t)(s.UnknownRuns(ctx, []string{open.ID, "strange"})); len(unknown) != 1 || unknown[0] != "strange" {
		t.Errorf("unknown are %v", unknown)
	}
}

// Records of runs go when they are old, and only those whose jobs are gone.
func TestRuns_forgotten(t *testing.T) {
	t.Parallel()
	s, ctx := newStore(t), t.Context()
	app := addApp(t, s, "shop")
	long := start.Add(-dynomad.RunKept - time.Hour)
	old, kept, recent := addRun(t, s, app.ID), addRun(t, s, app.ID), addRun(t, s, app.ID)
	for run, at := range map[string]time.Time{old.ID: long, kept.ID: long, recent.ID: start} {
		if err := s.EndRun(ctx, app.ID, run, dynomad.RunEnd{At: at, State: dynomad.StateStopped}); err != nil {
			t.Fatal(err)
		}
	}
	for _, run := range []string{old.ID, recent.ID} {
		if err := s.RunRemoved(ctx, app.ID, run); err != nil {
			t.Fatal(err)
		}
	}
	addRun(t, s, app.ID)
	if got := must[[]string](t)(s.UnknownRuns(ctx, []string{old.ID, kept.ID, recent.ID})); len(got) != 1 || got[0] != old.ID {
		t.Errorf("gone are %v, want %s", got, old.ID)
	}
}

package store

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dynomad/dynomad"
)

// addClock gives an app a type that is due every minute.
func addClock(t *testing.T, s *Store, appID string) dynomad.DynoType {
	t.Helper()
	clock := dynomad.DynoType{ID: uuid.NewString(), Type: "clock", Schedule: new("* * * * *"), Quantity: 1, Size: "gp1", CreatedAt: start, UpdatedAt: start}
	edit(t, s, appID, func(dynomad.AppState) dynomad.Edit { return dynomad.Edit{PutTypes: []dynomad.DynoType{clock}} })
	return clock
}

func TestSchedules(t *testing.T) {
	t.Parallel()
	s, ctx := newStore(t), t.Context()
	app := addApp(t, s, "shop")
	clock := addClock(t, s, app.ID)
	seen := func() time.Time {
		t.Helper()
		all := must[[]dynomad.Schedule](t)(s.Schedules(ctx))
		if len(all) != 1 || all[0].AppID != app.ID || all[0].TypeID != clock.ID || all[0].Expr != *clock.Schedule {
			t.Fatalf("got %+v", all)
		}
		return all[0].SeenUntil
	}
	if made := seen(); !made.After(start) {
		t.Errorf("a new schedule counts from %s", made)
	}
	until := start.Add(time.Hour)
	slot := func(minute int, ended *dynomad.RunEnd) dynomad.Run {
		return dynomad.Run{
			ID: uuid.NewString(), Type: "clock", TypeID: clock.ID, Scheduled: start.Add(time.Duration(minute) * time.Minute), Image: "i:1", Size: "gp1",
			ConfigID: stateOf(t, s, app.ID).ConfigID, CreatedAt: start, Ended: ended,
		}
	}
	first := slot(1, nil)
	skipped := slot(2, &dynomad.RunEnd{At: start, State: dynomad.StateSkipped, Info: "Not now."})
	take := func(runs ...dynomad.Run) error {
		return s.TakeSlots(ctx, app.ID, clock.ID, func(state dynomad.AppState, t dynomad.DynoType, _ time.Time) dynomad.Slots {
			audit := newAudit("schedule.skip")
			return dynomad.Slots{SeenUntil: until, Runs: runs, Audits: []dynomad.Audit{audit}}
		})
	}
	if err := take(first, skipped); err != nil {
		t.Fatal(err)
	}
	if got := seen(); !got.Equal(until) {
		t.Errorf("seen to until %s", got)
	}
	listed := stateOf(t, s, app.ID).Runs
	if len(listed) != 1 || listed[0].ID != first.ID || listed[0].Number != firstRun || !listed[0].Scheduled.Equal(first.Scheduled) {
		t.Errorf("listed are %+v", listed)
	}
	last := must[[]dynomad.Run](t)(s.LastRuns(ctx, clock.ID, 5))
	if len(last) != 2 || last[0].ID != skipped.ID || last[0].Ended.State != dynomad.StateSkipped || last[1].ID != first.ID {
		t.Errorf("the last runs are %+v", last)
	}
	if err := take(slot(1, nil), slot(2, nil)); err != nil {
		t.Errorf("minutes that came due again: %v", err)
	}
	if got := stateOf(t, s, app.ID).Runs; len(got) != 1 || got[0].ID != first.ID {
		t.Errorf("a minute was run twice: %+v", got)
	}

	clock.Size = "gp2"
	edit(t, s, app.ID, func(dynomad.AppState) dynomad.Edit { return dynomad.Edit{PutTypes: []dynomad.DynoType{clock}} })
	if got := seen(); !got.Equal(until) {
		t.Errorf("another size moved the schedule to %s", got)
	}
	clock.Schedule = new("5 * * * *")
	edit(t, s, app.ID, func(dynomad.AppState) dynomad.Edit { return dynomad.Edit{PutTypes: []dynomad.DynoType{clock}} })
	if got := seen(); got.Equal(until) {
		t.Error("another schedule goes on where the one before was")
	}
	edit(t, s, app.ID, func(dynomad.AppState) dynomad.Edit { return dynomad.Edit{DropTypes: []string{clock.ID}} })
	if all := must[[]dynomad.Schedule](t)(s.Schedules(ctx)); len(all) != 0 {
		t.Errorf("got %+v of a type that is gone", all)
	}
	if err := take(slot(3, nil)); err != nil || len(stateOf(t, s, app.ID).Runs) != 1 {
		t.Errorf("a type that is gone was run: %v", err)
	}
}

package store

import (
	"testing"

	"github.com/dynomad/dynomad"
)

func TestStops(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	ctx := t.Context()
	app := addApp(t, s, "api")
	stop := dynomad.DynoStop{DynoID: "dyno-1", Type: "web", RequestedAt: start}
	other := dynomad.DynoStop{DynoID: "dyno-2", Type: "web", RequestedAt: start}
	for range 2 { // once more is fine
		edit(t, s, app.ID, func(dynomad.AppState) dynomad.Edit {
			return dynomad.Edit{
				PutTypes: []dynomad.DynoType{{ID: "type-1", Type: "web", Size: "gp1", Port: 9000, CreatedAt: start, UpdatedAt: start}},
				Stops:    []dynomad.DynoStop{stop, other},
			}
		})
	}
	wanted := func() dynomad.Wanted { return must[dynomad.Wanted](t)(s.Wanted(ctx, app.ID)) }
	diff(t, wanted().Stops, []dynomad.DynoStop{stop, other})
	if err := s.StopDone(ctx, app.ID, "dyno-1"); err != nil {
		t.Fatal(err)
	}
	diff(t, wanted().Stops, []dynomad.DynoStop{other})
	if err := s.RestartInstead(ctx, app.ID, other, "restart-1"); err != nil {
		t.Fatal(err)
	}
	w := wanted()
	if len(w.Stops) != 0 || w.Types[0].RestartID != "restart-1" {
		t.Errorf("got stops %v and restart id %q, want none and restart-1", w.Stops, w.Types[0].RestartID)
	}
	edit(t, s, app.ID, func(dynomad.AppState) dynomad.Edit { return dynomad.Edit{Stops: []dynomad.DynoStop{stop}} })
	must[dynomad.AppState](t)(s.DeleteApp(ctx, app.ID, allow, newAudit("app.delete")))
	if w := wanted(); len(w.Stops) != 0 {
		t.Errorf("a deleted app still has stops: %v", w.Stops)
	}
}

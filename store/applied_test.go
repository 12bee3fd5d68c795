package store

import (
	"testing"
	"time"

	"github.com/dynomad/dynomad"
)

func TestWanted(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app := addApp(t, s, "shop")
	empty := must[dynomad.Wanted](t)(s.Wanted(t.Context(), app.ID))
	diff(t, empty, dynomad.Wanted{AppState: must[dynomad.AppState](t)(s.AppState(t.Context(), app.ID))})

	deploy(t, s, app.ID)
	good := configure(t, s, app.ID, dynomad.ConfigVars{"A": "1"})
	finish(t, s, good.Last, dynomad.ReleaseSucceeded)
	failed := configure(t, s, app.ID, dynomad.ConfigVars{"A": "2"})
	written := []string{good.ConfigID, failed.ConfigID}
	for _, id := range written {
		if err := s.ConfigWritten(t.Context(), app.ID, id); err != nil {
			t.Fatal(err)
		}
	}
	refs := func() []dynomad.ConfigRef {
		t.Helper()
		return must[dynomad.Wanted](t)(s.Wanted(t.Context(), app.ID)).Configs
	}
	diff(t, refs(), []dynomad.ConfigRef{{ID: good.ConfigID, Written: true, Needed: true}, {ID: failed.ConfigID, Written: true, Needed: true}})
	diff(t, must[dynomad.Wanted](t)(s.Wanted(t.Context(), app.ID)).Release, failed.Config)
	finish(t, s, failed.Last, dynomad.ReleaseFailed)
	w := must[dynomad.Wanted](t)(s.Wanted(t.Context(), app.ID))
	diff(t, w.Configs, []dynomad.ConfigRef{{ID: good.ConfigID, Written: true, Needed: true}, {ID: failed.ConfigID, Written: true}})
	diff(t, w.Release, dynomad.ConfigVars{"A": "1"}) // what runs …
	diff(t, w.Config, dynomad.ConfigVars{"A": "2"})  // … is not what the app has now
	if err := s.ConfigRemoved(t.Context(), app.ID, failed.ConfigID); err != nil {
		t.Fatal(err)
	}
	diff(t, refs(), []dynomad.ConfigRef{{ID: good.ConfigID, Written: true, Needed: true}})
	next := configure(t, s, app.ID, dynomad.ConfigVars{"A": "3"})
	diff(t, refs(), []dynomad.ConfigRef{{ID: good.ConfigID, Written: true, Needed: true}, {ID: next.ConfigID, Needed: true}})
	wantKind(t, s.ConfigWritten(t.Context(), app.ID, "none"), dynomad.NotFound)
	_, err := s.Wanted(t.Context(), "none")
	wantKind(t, err, dynomad.NotFound)
}

func TestSaveApplied(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app := addApp(t, s, "shop")
	for _, want := range []dynomad.AppliedState{
		{SpecHash: "h", ModifyIndex: 1<<64 - 1, EvalID: "e", RollingOut: true, FailedHash: "f", Problem: "p", UpdatedAt: start},
		{UpdatedAt: start.Add(time.Hour)},
	} {
		if err := s.SaveApplied(t.Context(), app.ID, want); err != nil {
			t.Fatal(err)
		}
		diff(t, must[dynomad.Wanted](t)(s.Wanted(t.Context(), app.ID)).Applied, want)
	}
	wantKind(t, s.SaveApplied(t.Context(), "none", dynomad.AppliedState{}), dynomad.NotFound)
}

// A rollout that has yet to prove good is in the app's state while it runs, also if the state was kept in memory before.
func TestSaveApplied_trial(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app, other := addApp(t, s, "shop"), addApp(t, s, "api")
	trial := func() *dynomad.Rollout { return must[dynomad.AppState](t)(s.AppState(t.Context(), app.ID)).Trial }
	rollout := dynomad.Rollout{Version: 2, Trial: true, Types: []dynomad.RenderedType{{Type: "web", Count: 1}}}
	scaling := rollout
	scaling.Trial = false
	for _, step := range []struct {
		applied dynomad.AppliedState
		want    *dynomad.Rollout
	}{
		{dynomad.AppliedState{SpecHash: "a", RollingOut: true, Rollout: rollout, UpdatedAt: start}, &rollout},
		{dynomad.AppliedState{SpecHash: "a", Rollout: rollout, UpdatedAt: start}, nil},
		{dynomad.AppliedState{SpecHash: "b", RollingOut: true, Rollout: scaling, UpdatedAt: start}, nil},
	} {
		trial() // now it is kept
		if err := s.SaveApplied(t.Context(), app.ID, step.applied); err != nil {
			t.Fatal(err)
		}
		diff(t, trial(), step.want)
		all := must[[]dynomad.AppState](t)(s.Apps(t.Context()))
		diff(t, []*dynomad.Rollout{all[0].Trial, all[1].Trial}, []*dynomad.Rollout{nil, step.want})
		diff(t, must[dynomad.AppState](t)(s.AppState(t.Context(), other.ID)).Trial, (*dynomad.Rollout)(nil))
	}
}

func TestAppIDs_deletedUntilRemoved(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	old, other := addApp(t, s, "shop"), addApp(t, s, "api")
	state := deploy(t, s, old.ID)
	if err := s.ConfigWritten(t.Context(), old.ID, state.ConfigID); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveApplied(t.Context(), old.ID, dynomad.AppliedState{SpecHash: "h", UpdatedAt: start}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.AppRemoved(t.Context(), old.ID), dynomad.NotFound) // it is not deleted yet
	must[dynomad.AppState](t)(s.DeleteApp(t.Context(), old.ID, allow, newAudit("app.delete")))
	young := addApp(t, s, "shop")
	diff(t, must[[]string](t)(s.AppIDs(t.Context())), []string{old.ID, other.ID, young.ID})
	diff(t, must[string](t)(s.AppIDByName(t.Context(), "shop-default")), young.ID)

	w := must[dynomad.Wanted](t)(s.Wanted(t.Context(), old.ID))
	if !w.Deleted || w.Release != nil || w.Config != nil || len(w.Types) != 0 || w.App.Name != "shop-default" || w.Applied.SpecHash != "h" {
		t.Errorf("got %+v", w)
	}
	diff(t, w.Configs, []dynomad.ConfigRef{{ID: state.ConfigID, Written: true}})

	for range 2 { // once more does no harm
		if err := s.AppRemoved(t.Context(), old.ID); err != nil {
			t.Fatal(err)
		}
	}
	diff(t, must[[]string](t)(s.AppIDs(t.Context())), []string{other.ID, young.ID})
	w = must[dynomad.Wanted](t)(s.Wanted(t.Context(), old.ID))
	if len(w.Configs) != 0 || !w.Applied.IsZero() {
		t.Errorf("got %+v", w)
	}
}

package store

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad"
)

// TestChanges moves an app's number with each write after which the loop is told something else of it, and with none of another app.
func TestChanges(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	ctx := t.Context()
	app, other := addApp(t, s, "api"), addApp(t, s, "other")
	state := deploy(t, s, app.ID)
	stop := dynomad.DynoStop{DynoID: "dyno-1", Type: "web", RequestedAt: start}
	look := func(id string) (dynomad.Wanted, uint64) {
		changes := s.Changes(id)
		return must[dynomad.Wanted](t)(s.Wanted(ctx, id)), changes
	}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"a config version is to be written", func() error { return s.ConfigWritten(ctx, app.ID, state.ConfigID) }},
		{"a register", func() error {
			return s.SaveApplied(ctx, app.ID, dynomad.AppliedState{SpecHash: "h", ModifyIndex: 7, UpdatedAt: start})
		}},
		{"a rollout's end", func() error {
			_, err := s.EndRollout(ctx, app.ID, ending(state.Last.ID, dynomad.ReleaseSucceeded, ""))
			return err
		}},
		{"a dyno is to stop", func() error {
			edit(t, s, app.ID, func(dynomad.AppState) dynomad.Edit { return dynomad.Edit{Stops: []dynomad.DynoStop{stop}} })
			return nil
		}},
		{"it was stopped", func() error { return s.StopDone(ctx, app.ID, "dyno-1") }},
		{"new config vars", func() error {
			configure(t, s, app.ID, dynomad.ConfigVars{"A": "1"})
			return nil
		}},
		{"an old version is gone", func() error { return s.ConfigRemoved(ctx, app.ID, state.ConfigID) }},
	} {
		before, was := look(app.ID)
		_, others := look(other.ID)
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		after, is := look(app.ID)
		if cmp.Equal(before, after) {
			t.Errorf("%s: nothing else is wanted", step.what)
		}
		if is <= was {
			t.Errorf("%s: the number was %d and is %d", step.what, was, is)
		}
		if _, now := look(other.ID); now != others {
			t.Errorf("%s: another app's number was %d and is %d", step.what, others, now)
		}
	}
	_, was := look(app.ID)
	must[dynomad.AppState](t)(s.DeleteApp(ctx, app.ID, allow, newAudit("app.delete")))
	if _, is := look(app.ID); is <= was {
		t.Errorf("its end: the number was %d and is %d", was, is)
	}
}

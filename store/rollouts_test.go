package store

import (
	"testing"
	"time"

	"github.com/dynomad/dynomad"
)

func TestEndRollout_releaseEndsOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app := addApp(t, s, "shop")
	release := deploy(t, s, app.ID).Last
	end := ending(release.ID, dynomad.ReleaseFailed, "it crashed")
	a := end.Release.Audit
	if !must[bool](t)(s.EndRollout(t.Context(), app.ID, end)) {
		t.Error("a pending release did not end")
	}
	if must[bool](t)(s.EndRollout(t.Context(), app.ID, ending(release.ID, dynomad.ReleaseSucceeded, ""))) {
		t.Error("a release that had ended did so again")
	}
	got := must[dynomad.Release](t)(s.Release(t.Context(), app.ID, "1"))
	if got.Status != dynomad.ReleaseFailed || got.AdditionalInfo != "it crashed" || !got.UpdatedAt.After(got.CreatedAt.Add(-time.Minute)) {
		t.Errorf("got %+v", got)
	}
	a.AppID, a.AppName, a.Space = app.ID, app.Name, app.Space
	audits := must[[]dynomad.Audit](t)(s.Audits(t.Context(), dynomad.AuditFilter{AppID: app.ID}))
	a.Seq = audits[1].Seq
	diff(t, audits[1:], []dynomad.Audit{a})

	// One that was tried again may succeed after all.
	retried := ending(release.ID, dynomad.ReleaseSucceeded, "")
	retried.Release.From = dynomad.ReleaseFailed
	if !must[bool](t)(s.EndRollout(t.Context(), app.ID, retried)) {
		t.Error("a failed release that was tried again did not succeed")
	}
	if got := must[dynomad.Release](t)(s.Release(t.Context(), app.ID, "1")); got.Status != dynomad.ReleaseSucceeded || got.AdditionalInfo != "" {
		t.Errorf("got %+v", got)
	}
	if must[bool](t)(s.EndRollout(t.Context(), app.ID, ending("none", dynomad.ReleaseFailed, ""))) {
		t.Error("a release that there is not ended")
	}
	_, err := s.EndRollout(t.Context(), "none", dynomad.RolloutEnd{Applied: dynomad.AppliedState{UpdatedAt: start}})
	wantKind(t, err, dynomad.NotFound)
}

func TestEndRollout_recordsOfTypes(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app, other := addApp(t, s, "shop"), addApp(t, s, "api")
	edit(t, s, app.ID, func(dynomad.AppState) dynomad.Edit {
		return dynomad.Edit{PutTypes: []dynomad.DynoType{{ID: "type-1", Type: "web", Size: "gp1", Port: 9000, CreatedAt: start, UpdatedAt: start}}}
	})
	state := deploy(t, s, app.ID)
	deploy(t, s, other.ID)
	web := state.Types[0]
	good, bad := web.Definition(), web.Definition()
	bad.Size, bad.Command = "gp4", new("x 'y z'")
	record := dynomad.TypeRecord{
		TypeID: web.ID, Good: &good, Failed: &bad, FailedIn: "r", Reason: "It ended.", State: dynomad.StateAppCrashed,
	}
	rollout := dynomad.Rollout{
		ReleaseID: state.Last.ID, Version: 1, Trial: true, StartedAt: start, Tries: 2, RetryAt: start.Add(time.Second),
		Types:    []dynomad.RenderedType{{TypeID: web.ID, Type: "web", Definition: bad, Count: 3}},
		Troubles: []dynomad.Trouble{{Type: "web", State: dynomad.StateAppCrashed, Info: "It ended."}},
	}
	end := dynomad.RolloutEnd{
		Applied: dynomad.AppliedState{SpecHash: "h", ModifyIndex: 7, Rollout: rollout, UpdatedAt: start},
		Records: []dynomad.TypeRecord{record, {TypeID: "gone", Good: &good}},
	}
	must[bool](t)(s.EndRollout(t.Context(), app.ID, end))
	must[bool](t)(s.EndRollout(t.Context(), other.ID, dynomad.RolloutEnd{ // another app's type stays as it is
		Applied: dynomad.AppliedState{UpdatedAt: start}, Records: []dynomad.TypeRecord{{TypeID: web.ID}},
	}))
	w := must[dynomad.Wanted](t)(s.Wanted(t.Context(), app.ID))
	diff(t, w.Applied, end.Applied)
	diff(t, w.Types[0].Record, record)
	if cached := must[dynomad.AppState](t)(s.AppState(t.Context(), app.ID)); cached.Types[0].Record.Failed == nil {
		t.Error("what is kept in memory does not have the record")
	}
	must[dynomad.AppState](t)(s.EditApp(t.Context(), app.ID, func(dynomad.AppState) (dynomad.Edit, error) {
		return dynomad.Edit{DropTypes: []string{web.ID}}, nil
	}))
	left := 0
	if err := s.reader.QueryRowContext(t.Context(), `SELECT count(*) FROM type_records`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d records are left of a type that was deleted (%v)", left, err)
	}
}

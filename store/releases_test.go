package store

import (
	"testing"
	"time"

	"github.com/dynomad/dynomad"
)

func TestReleases_supersede(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app := addApp(t, s, "shop")
	first := deploy(t, s, app.ID)
	finish(t, s, first.Last, dynomad.ReleaseSucceeded)
	deploy(t, s, app.ID)
	third := deploy(t, s, app.ID)
	all := must[[]dynomad.Release](t)(s.Releases(t.Context(), app.ID))
	type brief struct {
		Version      int
		Status, Info string
		Current      bool
	}
	var got []brief
	for _, r := range all {
		got = append(got, brief{r.Version, r.Status, r.AdditionalInfo, r.Current})
	}
	diff(t, got, []brief{
		{1, dynomad.ReleaseSucceeded, "", true},
		{2, dynomad.ReleaseFailed, "superseded by v3", false},
		{3, dynomad.ReleasePending, "", false},
	})
	diff(t, third.Last, &all[2])
	diff(t, third.Wanted, &all[2])
	if all[1].AppName != app.Name || all[1].AppID != app.ID {
		t.Errorf("got %+v", all[1])
	}
}

func TestAppState_wantedAndImage(t *testing.T) {
	t.Parallel()
	ok, bad, pending := dynomad.ReleaseSucceeded, dynomad.ReleaseFailed, dynomad.ReleasePending
	tests := []struct {
		name     string
		statuses []string
		wanted   int
		current  int
		image    string
	}{
		{"none", nil, 0, 0, ""},
		{"pending", []string{pending}, 1, 0, "shop:1"},
		{"first failed", []string{bad}, 1, 0, ""},
		{"all failed", []string{bad, bad}, 2, 0, ""},
		{"newest failed", []string{ok, bad}, 1, 1, "shop:1"},
		{"newest pending", []string{ok, pending}, 2, 1, "shop:2"},
		{"several good", []string{ok, ok, bad, bad}, 2, 2, "shop:2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			app := addApp(t, s, "shop")
			for _, status := range tt.statuses {
				state := deploy(t, s, app.ID)
				if status != pending {
					finish(t, s, state.Last, status)
				}
			}
			state := must[dynomad.AppState](t)(s.AppState(t.Context(), app.ID))
			if n := len(tt.statuses); n == 0 {
				if state.Last != nil || state.Wanted != nil || state.Build != nil || state.App.ReleasedAt != nil {
					t.Errorf("got %+v, want no release", state)
				}
				return
			} else if state.Last.Version != n || !state.App.ReleasedAt.Equal(start.Add(time.Duration(n)*time.Second)) {
				t.Errorf("got last v%d at %v, want v%d", state.Last.Version, state.App.ReleasedAt, n)
			}
			if state.Wanted.Version != tt.wanted || state.Build.Number != tt.wanted || state.App.Image != tt.image {
				t.Errorf("got wanted v%d, build %d, image %q", state.Wanted.Version, state.Build.Number, state.App.Image)
			}
			current := 0
			for _, r := range must[[]dynomad.Release](t)(s.Releases(t.Context(), app.ID)) {
				if r.Current {
					current = r.Version
				}
			}
			diff(t, current, tt.current)
		})
	}
}

func TestRelease_keys(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app, other := addApp(t, s, "shop"), addApp(t, s, "other")
	deploy(t, s, app.ID)
	want := *deploy(t, s, app.ID).Last
	foreign := deploy(t, s, other.ID).Last
	for _, key := range []string{"2", "v2", want.ID} {
		diff(t, must[dynomad.Release](t)(s.Release(t.Context(), app.ID, key)), want)
	}
	for _, key := range []string{"", "0", "v", "v0", "3", "02", "+2", "-2", "vv2", "V2", "2.0", "99999999999999999999", foreign.ID, "x"} {
		_, err := s.Release(t.Context(), app.ID, key)
		wantMessage(t, err, dynomad.NotFound, "The release "+key+" does not exist.")
	}
}

func TestBuilds(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app, other := addApp(t, s, "shop"), addApp(t, s, "other")
	full := dynomad.Build{
		ID: "b1", AppID: app.ID, AppName: app.Name, Number: 1, Image: "shop:1", URL: "docker://shop:1", Checksum: "c", Version: "v",
		SHA: "s", Branch: "b", Repo: "r", Author: "a", Message: "m", ProcessTypes: map[string]string{"web": "run", "worker": "work"},
		Status: dynomad.BuildSucceeded, UserID: "u", UserEmail: "e", CreatedAt: start, UpdatedAt: start.Add(time.Nanosecond),
	}
	after := edit(t, s, app.ID, func(dynomad.AppState) dynomad.Edit { return dynomad.Edit{Build: &full} })
	if after.Builds != 1 || after.Build != nil {
		t.Errorf("got %+v, want one build that is not released", after)
	}
	diff(t, must[dynomad.Build](t)(s.Build(t.Context(), app.ID, "b1")), full)
	for range 2 {
		edit(t, s, app.ID, func(state dynomad.AppState) dynomad.Edit {
			r := nextRelease(state, "b1")
			return dynomad.Edit{Release: &r}
		})
	}
	releases := must[[]dynomad.Release](t)(s.Releases(t.Context(), app.ID))
	full.ReleaseID = releases[0].ID
	diff(t, must[dynomad.Build](t)(s.Slug(t.Context(), "b1")), full)
	second := deploy(t, s, app.ID)
	diff(t, must[[]dynomad.Build](t)(s.Builds(t.Context(), app.ID)), []dynomad.Build{full, *second.Build})
	_, err := s.Build(t.Context(), other.ID, "b1")
	wantMessage(t, err, dynomad.NotFound, "The build b1 does not exist.")
	_, err = s.Slug(t.Context(), "1")
	wantMessage(t, err, dynomad.NotFound, "The slug 1 does not exist.")
}

// TestReleaseID asks for releases' ids before and after writes: a second time none is read from the database.
func TestReleaseID(t *testing.T) {
	t.Parallel()
	path := dbPath(t)
	s, closed := openAt(t, path), newStore(t)
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	app, other := addApp(t, s, "shop"), addApp(t, s, "other")
	want := map[string]map[int]string{app.ID: {3: "", 4: ""}, other.ID: {2: "", 3: ""}, "nobody": {1: ""}}
	check := func(s *Store, what string) {
		t.Helper()
		for _, memory := range []bool{false, true} {
			reader := s.reader
			if memory {
				s.reader = closed.reader // nothing can be read
			}
			for appID, versions := range want {
				for version, id := range versions {
					if got, err := s.ReleaseID(ctx, appID, version); err != nil || got != id {
						t.Errorf("%s: v%d of %s is %q, %v; want %q", what, version, appID, got, err, id)
					}
				}
			}
			s.reader = reader
		}
	}
	release := func(appID string) {
		last := deploy(t, s, appID).Last
		want[appID][last.Version] = last.ID
	}
	for range 2 {
		release(app.ID)
	}
	release(other.ID)
	check(s, "at first")
	finish(t, s, must[dynomad.AppState](t)(s.AppState(ctx, app.ID)).Last, dynomad.ReleaseSucceeded)
	check(s, "after a release's end")
	release(app.ID)
	check(s, "after a third release")
	release(other.ID)
	check(s, "after another app's")
	if _, err := s.EditApp(ctx, app.ID, func(state dynomad.AppState) (dynomad.Edit, error) {
		e, _ := deployment(state)
		e.Audits = []dynomad.Audit{{ID: "same", Action: "a"}, {ID: "same", Action: "a"}} // the second cannot be written
		return e, nil
	}); err == nil {
		t.Error("an edit that cannot be written was")
	}
	check(s, "after an edit that was taken back")
	release(app.ID)
	check(s, "after the fourth release")
	must[dynomad.AppState](t)(s.DeleteApp(ctx, app.ID, allow, newAudit("app.delete")))
	check(s, "after the app's end")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(openAt(t, path), "after a start")
}

// TestReleaseID_writes has writes come between a read's beginning and its end: what was there stays, what was not may be by now.
func TestReleaseID_writes(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		scope             scope
		found, none, late bool // what is kept: of a release that is there, of one that is not, of one that is not and was asked for before the write
	}{
		"of another app":           {scope{narrow: true, appID: "other"}, true, true, true},
		"of what is not kept":      {scope{narrow: true, beside: "id"}, true, true, true},
		"of the app":               {scope{narrow: true, appID: "id"}, true, false, false},
		"of whatever there may be": {scope{}, false, false, false},
	} {
		cache := newCache()
		keeps := func(version int) bool { _, ok := cache.releaseID("id", version); return ok }
		cache.putReleaseID(cache.generation(), "id", 1, "one")
		cache.putReleaseID(cache.generation(), "id", 2, "")
		gen := cache.generation()
		cache.forget(c.scope)
		cache.putReleaseID(gen, "id", 3, "")
		if keeps(1) != c.found || keeps(2) != c.none || keeps(3) != c.late {
			t.Errorf("a write %s: one that is there is kept %t, one that is not %t, one that was not found meanwhile %t; want %t, %t, %t",
				what, keeps(1), keeps(2), keeps(3), c.found, c.none, c.late)
		}
	}
}

package store

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dynomad/dynomad"
)

var registered = time.Date(2025, 5, 6, 7, 8, 9, 0, time.UTC)

// lost is an app as the cluster tells of it.
func lost(id, name, space string) RecoveredApp {
	command := "npm start"
	full := name + "-" + space
	release := dynomad.Release{
		AppID: id, AppName: full, Version: 7, ConfigID: "config-of-" + id, Status: dynomad.ReleaseSucceeded,
		CreatedAt: registered, UpdatedAt: registered,
	}
	return RecoveredApp{
		State: dynomad.AppState{
			App: dynomad.App{ID: id, Name: full, SimpleName: name, Space: space, AutoRelease: true},
			Types: []dynomad.DynoType{
				{
					AppID: id, Type: "web", Command: &command, Quantity: 2, Size: "gp2", Port: 9000, RestartID: "r",
					Record: dynomad.TypeRecord{Good: &dynomad.Definition{Size: "gp1", Port: 9000}},
				},
				{AppID: id, Type: "worker", Quantity: 1, Size: "gp1"},
			},
			Wanted: &release, Last: &release, ConfigID: release.ConfigID, Config: dynomad.ConfigVars{"A": "1"}, Builds: 1,
			Build: &dynomad.Build{AppID: id, AppName: full, Number: 1, Image: "shop:3", URL: "shop:3", Status: dynomad.BuildSucceeded},
		},
		Audit: newAudit("app.rebuild"),
	}
}

func TestRecover(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := lost("app-1", "shop", "blue")
	r.State.App.NomadNamespace = "team"
	if err := s.Recover(t.Context(), "installation-1", r); err != nil {
		t.Fatal(err)
	}
	if got := must[string](t)(s.Installation(t.Context())); got != "installation-1" {
		t.Errorf("the installation is %s", got)
	}
	got := must[dynomad.AppState](t)(s.AppState(t.Context(), "shop-blue"))
	want := r.State
	want.App.Image, want.App.CreatedAt, want.App.ReleasedAt = "shop:3", registered, &registered
	want.Wanted.Current, want.Last.Current = true, true
	want.Types = slices.Clone(want.Types)
	want.Types[0].Record.TypeID = got.Types[0].ID // there is something to go back to; of the worker nothing is known
	ids := cmp.FilterPath(func(p cmp.Path) bool {
		name := p.Last().String()
		return name == ".ID" && p[len(p)-2].Type().Name() != "App" || name == ".SpaceID" || name == ".BuildID" || name == ".ReleaseID" ||
			name == ".UpdatedAt" || name == ".CreatedAt" && p[len(p)-2].Type().Name() != "App"
	}, cmp.Ignore())
	if d := cmp.Diff(want, got, ids, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("the state (-want +got):\n%s", d)
	}
	if got.Wanted.BuildID != got.Build.ID || got.Build.ID == "" || got.Types[0].ID == got.Types[1].ID || !got.Wanted.CreatedAt.Equal(registered) {
		t.Errorf("got %+v", got)
	}
	w := must[dynomad.Wanted](t)(s.Wanted(t.Context(), "app-1"))
	diff(t, w.Configs, []dynomad.ConfigRef{{ID: "config-of-app-1", Written: true, Needed: true}})
	diff(t, w.Release, dynomad.ConfigVars{"A": "1"})
	diff(t, w.Applied, dynomad.AppliedState{})
	if audits := must[[]dynomad.Audit](t)(s.Audits(t.Context(), dynomad.AuditFilter{AppID: "app-1"})); len(audits) != 1 || audits[0].AppName != "shop-blue" {
		t.Errorf("got audits %+v", audits)
	}

	if err := s.Recover(t.Context(), "installation-1", lost("app-2", "other", "blue")); dynomad.KindOf(err) != dynomad.Conflict {
		t.Errorf("an app of a space in another namespace: %v", err)
	}
	second := lost("app-2", "other", dynomad.DefaultSpace)
	if err := s.Recover(t.Context(), "installation-1", second); err != nil {
		t.Errorf("a second app: %v", err)
	}
	if got := deploy(t, s, "other-default"); got.Last.Version != 8 || got.Builds != 2 {
		t.Errorf("the next release is v%d of build %d, want v8 of 2", got.Last.Version, got.Builds)
	}
	if n := len(must[[]dynomad.Space](t)(s.Spaces(t.Context()))); n != 2 {
		t.Errorf("there are %d spaces", n)
	}
}

// TestRecover_conflicts wants nothing written where something is in the way.
func TestRecover_conflicts(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	own := must[string](t)(s.Installation(t.Context()))
	shop := addApp(t, s, "shop")
	for name, tt := range map[string]struct {
		installation string
		app          RecoveredApp
	}{
		"another installation": {"other", lost("app-1", "new", dynomad.DefaultSpace)},
		"the name is taken":    {own, lost("app-1", "shop", dynomad.DefaultSpace)},
		"the app is known":     {own, lost(shop.ID, "new", dynomad.DefaultSpace)},
	} {
		if err := s.Recover(t.Context(), tt.installation, tt.app); dynomad.KindOf(err) != dynomad.Conflict {
			t.Errorf("%s: %v", name, err)
		}
	}
	if apps := must[[]dynomad.AppState](t)(s.Apps(t.Context())); len(apps) != 1 || must[string](t)(s.Installation(t.Context())) != own {
		t.Errorf("something was written: %+v", apps)
	}
	must[dynomad.AppState](t)(s.DeleteApp(t.Context(), shop.ID, allow, newAudit("app.delete")))
	if err := s.Recover(t.Context(), "other", lost("app-1", "new", dynomad.DefaultSpace)); dynomad.KindOf(err) != dynomad.Conflict {
		t.Errorf("while an app is yet to be removed from the cluster: %v", err)
	}
	if err := s.AppRemoved(t.Context(), shop.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.Recover(t.Context(), "other", lost("app-1", "new", dynomad.DefaultSpace)); err != nil {
		t.Errorf("with nothing but tombstones: %v", err)
	}
}

func TestUnknownApps(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	diff(t, must[[]string](t)(s.UnknownApps(t.Context(), []string{"a"})), []string{"a"})
	if got := must[[]string](t)(s.UnknownApps(t.Context(), nil)); len(got) > 0 {
		t.Errorf("of no ids unknown are %v", got)
	}
	shop, gone := addApp(t, s, "shop"), addApp(t, s, "gone")
	must[dynomad.AppState](t)(s.DeleteApp(t.Context(), gone.ID, allow, newAudit("app.delete")))
	diff(t, must[[]string](t)(s.UnknownApps(t.Context(), []string{shop.ID, "b", gone.ID, "a", "b"})), []string{"a", "b"})
	if got := must[[]string](t)(s.UnknownApps(t.Context(), nil)); len(got) > 0 {
		t.Errorf("of no ids unknown are %v", got)
	}
}

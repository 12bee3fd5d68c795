package store

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/dynomad/dynomad"
)

func TestCreateApp_state(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	must[dynomad.Space](t)(s.CreateSpace(t.Context(), dynomad.Space{ID: "s1", Name: "blue", NomadNamespace: "ns", CreatedAt: start, UpdatedAt: start}, newAudit("space.create")))
	app := dynomad.App{
		ID: uuid.NewString(), Name: "shop-blue", SimpleName: "shop", Org: "o", Description: "d", Labels: "l", Maintenance: true,
		OwnerID: "token", OwnerEmail: "a@x", CreatedAt: start, UpdatedAt: start,
	}
	got := must[dynomad.App](t)(s.CreateApp(t.Context(), app, "blue", newAudit("app.create")))
	app.SpaceID, app.Space, app.NomadNamespace = "s1", "blue", "ns"
	diff(t, got, app)
	for _, key := range []string{app.ID, app.Name} {
		state := must[dynomad.AppState](t)(s.AppState(t.Context(), key))
		if state.ConfigID == "" {
			t.Error("the app has no config version")
		}
		diff(t, state, dynomad.AppState{App: app, ConfigID: state.ConfigID, Config: dynomad.ConfigVars{}, Revision: state.Revision})
	}
	diff(t, must[string](t)(s.AppIDByName(t.Context(), "shop-blue")), app.ID)
}

func TestCreateApp_refused(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	addApp(t, s, "shop")
	before := must[[]dynomad.Audit](t)(s.Audits(t.Context(), dynomad.AuditFilter{}))
	again := dynomad.App{ID: uuid.NewString(), Name: "shop-default", SimpleName: "shop", CreatedAt: start, UpdatedAt: start}
	_, err := s.CreateApp(t.Context(), again, "default", newAudit("app.create"))
	wantMessage(t, err, dynomad.Conflict, "The app shop-default already exists.")
	_, err = s.CreateApp(t.Context(), again, "nowhere", newAudit("app.create"))
	wantMessage(t, err, dynomad.NotFound, "The space nowhere does not exist.")
	diff(t, must[[]dynomad.Audit](t)(s.Audits(t.Context(), dynomad.AuditFilter{})), before)
}

func TestAppState_missing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	addApp(t, s, "shop")
	for _, key := range []string{"", "shop", "Shop-default", "x-default", "shop-default\x00", "' OR 1 = 1 --", "\xff"} {
		_, err := s.AppState(t.Context(), key)
		wantMessage(t, err, dynomad.NotFound, "The app "+key+" does not exist.")
	}
	long := strings.Repeat("x", 5000)
	_, err := s.AppState(t.Context(), long)
	wantMessage(t, err, dynomad.NotFound, "The app "+long[:80]+"… does not exist.")
	_, err = s.AppIDByName(t.Context(), "x-default")
	wantMessage(t, err, dynomad.NotFound, "The app x-default does not exist.")
	_, err = s.EditApp(t.Context(), "x-default", func(dynomad.AppState) (dynomad.Edit, error) {
		t.Error("decide was asked")
		return dynomad.Edit{}, nil
	})
	wantMessage(t, err, dynomad.NotFound, "The app x-default does not exist.")
}

func TestApps_likeAppState(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, name := range []string{"zoo", "shop", "api", "gone"} {
		addApp(t, s, name)
	}
	deploy(t, s, "shop-default")
	deploy(t, s, "shop-default")
	edit(t, s, "shop-default", func(state dynomad.AppState) dynomad.Edit {
		return dynomad.Edit{PutTypes: []dynomad.DynoType{
			{ID: uuid.NewString(), Type: "worker", Size: "gp1", CreatedAt: start, UpdatedAt: start},
			{ID: uuid.NewString(), Type: "web", Size: "gp1", Port: 80, CreatedAt: start, UpdatedAt: start},
		}}
	})
	configure(t, s, "api-default", dynomad.ConfigVars{"A": "1"})
	deploy(t, s, "gone-default")
	must[dynomad.AppState](t)(s.DeleteApp(t.Context(), "gone-default", allow, newAudit("app.delete")))
	all := must[[]dynomad.AppState](t)(s.Apps(t.Context()))
	var want []dynomad.AppState
	for _, name := range []string{"api-default", "shop-default", "zoo-default"} {
		state := must[dynomad.AppState](t)(s.AppState(t.Context(), name))
		state.Config = nil
		want = append(want, state)
	}
	diff(t, all, want)
	if got := want[1]; got.App.Image != "shop:2" || got.Builds != 2 || got.Types[0].Type != "web" {
		t.Errorf("got %+v", got)
	}
}

func TestDeleteApp_freesTheName(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	old := addApp(t, s, "shop")
	token := dynomad.Authorization{ID: "root", Scopes: dynomad.Scopes(), TokenHash: "h0", CreatedAt: start, UpdatedAt: start}
	tied := dynomad.Authorization{ID: "tied", MakerID: "root", AppID: old.ID, TokenHash: "h1", CreatedAt: start, UpdatedAt: start}
	child := dynomad.Authorization{ID: "child", MakerID: "tied", AppID: old.ID, TokenHash: "h2", CreatedAt: start, UpdatedAt: start}
	for _, err := range []error{
		s.EnsureRoot(t.Context(), token),
		s.CreateAuthorization(t.Context(), tied, newAudit("authorization.create")),
		s.CreateAuthorization(t.Context(), child, newAudit("authorization.create")),
		s.PutFavorite(t.Context(), dynomad.Favorite{TokenID: "root", AppID: old.ID, CreatedAt: start}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	configure(t, s, old.ID, dynomad.ConfigVars{"A": "1"})
	before := deploy(t, s, old.ID)
	last := must[dynomad.AppState](t)(s.DeleteApp(t.Context(), "shop-default", allow, newAudit("app.delete")))
	diff(t, last, before)

	_, err := s.AppState(t.Context(), old.ID)
	wantKind(t, err, dynomad.NotFound)
	_, err = s.DeleteApp(t.Context(), old.ID, allow, newAudit("app.delete"))
	wantKind(t, err, dynomad.NotFound)
	_, err = s.ConfigVars(t.Context(), before.ConfigID)
	wantKind(t, err, dynomad.NotFound)
	if got := must[[]dynomad.Authorization](t)(s.Authorizations(t.Context())); len(got) != 1 || got[0].ID != "root" {
		t.Errorf("got tokens %+v, want the root's", got)
	}
	if got := must[[]dynomad.Favorite](t)(s.Favorites(t.Context(), "root")); len(got) != 0 {
		t.Errorf("got favorites %v, want none", got)
	}
	wantKind(t, s.PutFavorite(t.Context(), dynomad.Favorite{TokenID: "root", AppID: old.ID}), dynomad.NotFound)
	tied.ID, tied.TokenHash = "tied2", "h3"
	wantKind(t, s.CreateAuthorization(t.Context(), tied, newAudit("authorization.create")), dynomad.NotFound)

	young := addApp(t, s, "shop")
	state := must[dynomad.AppState](t)(s.AppState(t.Context(), "shop-default"))
	if state.App.ID != young.ID || state.Last != nil || state.Builds != 0 || len(state.Types) != 0 {
		t.Errorf("got %+v, want a fresh app", state)
	}
	slug := must[dynomad.Build](t)(s.Slug(t.Context(), before.Build.ID))
	if slug.AppID != old.ID || slug.AppName != "shop-default" {
		t.Errorf("got %+v, want the deleted app's slug", slug)
	}
	releases := must[[]dynomad.Release](t)(s.Releases(t.Context(), old.ID))
	if len(releases) != 2 || releases[1].Status != dynomad.ReleaseFailed || releases[1].AdditionalInfo != "the app was deleted" {
		t.Errorf("got %+v, want no release pending", releases)
	}
	actions := map[string]int{}
	for _, a := range must[[]dynomad.Audit](t)(s.Audits(t.Context(), dynomad.AuditFilter{AppName: "shop-default"})) {
		actions[a.Action+" "+a.AppID]++
	}
	diff(t, actions, map[string]int{"app.create " + old.ID: 1, "app.delete " + old.ID: 1, "app.create " + young.ID: 1})
}

func TestDeleteApp_checkRefuses(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app := addApp(t, s, "shop")
	_, err := s.DeleteApp(t.Context(), app.Name, func(got dynomad.App) error {
		diff(t, got, app)
		return dynomad.Errorf(dynomad.Forbidden, "No.")
	}, newAudit("app.delete"))
	wantKind(t, err, dynomad.Forbidden)
	if _, err := s.AppState(t.Context(), app.ID); err != nil {
		t.Error(err)
	}
}

// TestFindApp_plan wants an app found by its keys: every request and every pass looks for one.
func TestFindApp_plan(t *testing.T) {
	t.Parallel()
	err := newStore(t).read(t.Context(), func(ctx context.Context, tx *tx) error {
		scan := func(r row) (detail string, err error) {
			var id, parent, unused int
			err = r.Scan(&id, &parent, &unused, &detail)
			return detail, err
		}
		plan, err := list(ctx, tx, scan, "EXPLAIN QUERY PLAN "+findApp, "shop-default")
		if len(plan) == 0 || slices.ContainsFunc(plan, func(detail string) bool { return strings.HasPrefix(detail, "SCAN") }) {
			t.Errorf("SQLite looks through all apps: %q", plan)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

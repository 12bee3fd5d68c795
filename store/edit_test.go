package store

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dynomad/dynomad"
)

func TestEditApp_zeroEditWritesNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app := addApp(t, s, "shop")
	before := deploy(t, s, app.ID)
	changes := totalChanges(t, s)
	after := edit(t, s, app.ID, func(dynomad.AppState) dynomad.Edit { return dynomad.Edit{} })
	diff(t, after, before)
	diff(t, totalChanges(t, s), changes)
}

func totalChanges(t *testing.T, s *Store) int {
	t.Helper()
	var n int
	if err := s.writer.QueryRowContext(t.Context(), `SELECT total_changes()`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEditApp_app(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app := addApp(t, s, "shop")
	app.Description, app.Labels, app.Org, app.Maintenance, app.AutoRelease = "d", "l", "o", true, false
	app.UpdatedAt = start.Add(time.Hour)
	after := edit(t, s, app.Name, func(dynomad.AppState) dynomad.Edit {
		renamed := app
		renamed.ID, renamed.Name, renamed.SpaceID = "other", "other-default", "other" // of these the store thinks nothing
		return dynomad.Edit{App: &renamed}
	})
	diff(t, after.App, app)
}

func TestEditApp_types(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app, other := addApp(t, s, "shop"), addApp(t, s, "other")
	command, check, schedule := "run it", "/health", "0 4 * * *"
	full := dynomad.DynoType{
		ID: uuid.NewString(), AppID: app.ID, Type: "web", Command: &command, Quantity: 3, Size: "gp2", Port: 9000, Healthcheck: &check,
		OneOff: true, Schedule: &schedule, Options: &dynomad.Options{Env: map[string]string{"A": "1"}, Image: "x:1"},
		RestartID: "r", FromSlug: true, CreatedAt: start, UpdatedAt: start,
	}
	bare := dynomad.DynoType{ID: uuid.NewString(), AppID: app.ID, Type: "api", Size: "gp1", CreatedAt: start, UpdatedAt: start}
	put := func(types ...dynomad.DynoType) func(dynomad.AppState) (dynomad.Edit, error) {
		return func(dynomad.AppState) (dynomad.Edit, error) { return dynomad.Edit{PutTypes: types}, nil }
	}
	after := must[dynomad.AppState](t)(s.EditApp(t.Context(), app.ID, put(full, bare)))
	diff(t, after.Types, []dynomad.DynoType{bare, full})

	changed := dynomad.DynoType{ID: full.ID, AppID: app.ID, Type: "web", Size: "gp4", CreatedAt: start, UpdatedAt: start.Add(time.Hour)}
	after = must[dynomad.AppState](t)(s.EditApp(t.Context(), app.ID, put(changed)))
	diff(t, after.Types, []dynomad.DynoType{bare, changed})

	taken := bare
	taken.ID, taken.Type = uuid.NewString(), "web"
	_, err := s.EditApp(t.Context(), app.ID, put(bare, taken))
	wantMessage(t, err, dynomad.Conflict, "The dyno type web already exists.")

	stolen := changed
	stolen.Quantity = 9
	after = must[dynomad.AppState](t)(s.EditApp(t.Context(), other.ID, put(stolen)))
	diff(t, after.Types, []dynomad.DynoType(nil))
	edit(t, s, other.ID, func(dynomad.AppState) dynomad.Edit { return dynomad.Edit{DropTypes: []string{full.ID}} })
	diff(t, must[dynomad.AppState](t)(s.AppState(t.Context(), app.ID)).Types, []dynomad.DynoType{bare, changed})

	after = edit(t, s, app.ID, func(dynomad.AppState) dynomad.Edit {
		return dynomad.Edit{DropTypes: []string{full.ID, "none"}, PutTypes: []dynomad.DynoType{taken}}
	})
	diff(t, after.Types, []dynomad.DynoType{bare, taken})
}

func TestEditApp_allOrNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app := addApp(t, s, "shop")
	before := deploy(t, s, app.ID)
	ours := errors.New("no")
	_, err := s.EditApp(t.Context(), app.ID, func(dynomad.AppState) (dynomad.Edit, error) { return dynomad.Edit{}, ours })
	if !errors.Is(err, ours) {
		t.Errorf("got %v, want decide's own error", err)
	}
	_, err = s.EditApp(t.Context(), app.ID, func(state dynomad.AppState) (dynomad.Edit, error) {
		b := nextBuild(state)
		r := nextRelease(state, b.ID)
		r.Version-- // taken
		c := dynomad.Config{ID: uuid.NewString()}
		return dynomad.Edit{Build: &b, Config: &c, Release: &r, Audits: []dynomad.Audit{newAudit("x")}}, nil
	})
	wantMessage(t, err, dynomad.Conflict, "The release v1 already exists.")
	diff(t, must[dynomad.AppState](t)(s.AppState(t.Context(), app.ID)), before)
}

func TestEditApp_neverAnotherAppsConfigOrBuild(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app := addApp(t, s, "shop")
	foreign := deploy(t, s, addApp(t, s, "other").ID)
	tests := map[string]func(*dynomad.Release){
		"build":  func(r *dynomad.Release) { r.BuildID = foreign.Build.ID },
		"config": func(r *dynomad.Release) { r.ConfigID = foreign.ConfigID },
		"none":   func(r *dynomad.Release) { r.ConfigID = "none" },
	}
	for name, change := range tests {
		_, err := s.EditApp(t.Context(), app.ID, func(state dynomad.AppState) (dynomad.Edit, error) {
			r := nextRelease(state, "")
			change(&r)
			return dynomad.Edit{Release: &r}, nil
		})
		if err == nil {
			t.Errorf("%s: another app's was released", name)
		}
	}
}

func TestEditApp_configAndRollback(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app := addApp(t, s, "shop")
	deploy(t, s, app.ID)
	first := configure(t, s, app.ID, dynomad.ConfigVars{"A": "1"})
	second := configure(t, s, app.ID, dynomad.ConfigVars{"A": "2", "ODD": "<&>\u2028\"ü"})
	if first.ConfigID == second.ConfigID {
		t.Fatal("the config version did not change")
	}
	diff(t, second.Config, dynomad.ConfigVars{"A": "2", "ODD": "<&>\u2028\"ü"})
	back := edit(t, s, app.ID, func(state dynomad.AppState) dynomad.Edit {
		r := nextRelease(state, first.Last.BuildID)
		r.ConfigID = first.ConfigID
		return dynomad.Edit{Release: &r}
	})
	diff(t, back.Config, dynomad.ConfigVars{"A": "1"})
	diff(t, back.ConfigID, first.ConfigID)
	diff(t, must[dynomad.ConfigVars](t)(s.ConfigVars(t.Context(), second.ConfigID)), second.Config)
	_, err := s.ConfigVars(t.Context(), "none")
	wantKind(t, err, dynomad.NotFound)

	unreleased := edit(t, s, app.ID, func(state dynomad.AppState) dynomad.Edit {
		c := dynomad.Config{ID: uuid.NewString()}
		r := nextRelease(state, "")
		r.ConfigID = "" // the app's own
		return dynomad.Edit{Config: &c, Release: &r}
	})
	diff(t, unreleased.Config, dynomad.ConfigVars{})
	diff(t, unreleased.Last.ConfigID, unreleased.ConfigID)
}

func TestEditApp_audits(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app := addApp(t, s, "shop")
	a := newAudit("formation.update")
	edit(t, s, app.ID, func(dynomad.AppState) dynomad.Edit { return dynomad.Edit{Audits: []dynomad.Audit{a}} })
	all := must[[]dynomad.Audit](t)(s.Audits(t.Context(), dynomad.AuditFilter{AppID: app.ID}))
	a.AppID, a.AppName, a.Space = app.ID, app.Name, app.Space
	a.Seq = all[1].Seq
	diff(t, all[1:], []dynomad.Audit{a})
}

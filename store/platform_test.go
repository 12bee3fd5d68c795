package store

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dynomad/dynomad"
)

type noDynos struct{}

func (noDynos) Dynos(dynomad.AppState, time.Time) dynomad.DynoPicture { return dynomad.DynoPicture{} }
func (noDynos) DynosVersion(dynomad.App) uint64                       { return 0 }
func (noDynos) StaleFor(time.Time) time.Duration                      { return 0 }
func (noDynos) Wake(context.Context, string)                          {}
func (noDynos) Expect(context.Context, string)                        {}

// loop is what a Platform tells of changes.
type loop interface {
	Expect(ctx context.Context, appID string)
	Wake(ctx context.Context, appID string)
}

// newPlatform makes a Platform over a store, and a context of its root token.
func newPlatform(t *testing.T, s *Store, l loop) (*dynomad.Platform, context.Context) {
	t.Helper()
	rules := dynomad.Rules{Sizes: dynomad.BuiltinSizes(), DefaultSize: "gp2", DefaultPort: 9000, MaxQuantity: 20}
	p := dynomad.NewPlatform(rules, dynomad.Parts{Store: s, View: noDynos{}, Loop: l, Now: newClock(), NewID: uuid.NewString})
	if err := s.EnsureRoot(t.Context(), dynomad.EnsureRoot(start, "root", "root-token")); err != nil {
		t.Fatal(err)
	}
	return p, dynomad.WithPrincipal(t.Context(), must[dynomad.Principal](t)(p.Authenticate(t.Context(), "root-token")))
}

// TestPlatform lives through an app's life with the verbs of the API over a real store.
func TestPlatform(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	p, ctx := newPlatform(t, s, noDynos{})

	created := must[dynomad.AppState](t)(p.CreateApp(ctx, dynomad.NewApp{Name: "shop"}))
	buildAndScale(ctx, t, p)
	value := "green"
	state := must[dynomad.AppState](t)(p.ChangeConfig(ctx, "shop-default", dynomad.ConfigChange{"COLOR": &value}))
	if state.Last.Version != 2 || state.Config["COLOR"] != "green" || state.Build == nil {
		t.Errorf("got %+v", state)
	}
	state = must[dynomad.AppState](t)(p.ChangeConfig(ctx, "shop-default", dynomad.ConfigChange{"COLOR": nil}))
	diff(t, state.Config, dynomad.ConfigVars{})
	state, release, err := p.CreateRelease(ctx, "shop-default", dynomad.NewRelease{Release: "v2"})
	if err != nil || release.Version != 4 || state.Config["COLOR"] != "green" || release.Description != "Rollback to v2" {
		t.Errorf("got %+v, %v", release, err)
	}
	vars := must[dynomad.ConfigVars](t)(p.ReleaseConfig(ctx, "shop-default", "3"))
	diff(t, vars, dynomad.ConfigVars{})

	must[dynomad.AppState](t)(p.DeleteApp(ctx, "shop-default"))
	again := must[dynomad.AppState](t)(p.CreateApp(ctx, dynomad.NewApp{Name: "shop"}))
	if again.App.ID == created.App.ID || must[dynomad.Build](t)(p.Slug(ctx, release.BuildID)).AppID != created.App.ID {
		t.Error("the old app and the new one are mixed up")
	}
	if _, err := p.Authorization(ctx, "root"); err != nil {
		t.Error(err)
	}
}

func buildAndScale(ctx context.Context, t *testing.T, p *dynomad.Platform) {
	t.Helper()
	state, build, err := p.CreateBuild(ctx, "shop-default", dynomad.NewBuild{URL: "docker://shop:1", ProcessTypes: map[string]string{"web": "serve", "worker": "work"}})
	if err != nil {
		t.Fatal(err)
	}
	if state.Last.Version != 1 || build.ReleaseID != state.Last.ID || len(state.Types) != 2 || state.App.Image != "shop:1" {
		t.Errorf("got %+v", state)
	}
	diff(t, *state.Build, build)
	state, types, err := p.UpdateTypes(ctx, "shop-default", []dynomad.TypeSpec{{Type: "worker", Quantity: dynomad.Some(dynomad.Quantity{N: 2, Relative: true})}})
	if err != nil || types[0].Quantity != 2 || state.Types[1].Quantity != 2 {
		t.Errorf("got %+v, %v", types, err)
	}
	_, _, err = p.CreateType(ctx, "shop-default", dynomad.TypeSpec{Type: "web"})
	wantKind(t, err, dynomad.Conflict)
}

// TestPlatform_heldTypeGetsAnotherCommand holds a type whose command comes from the slug. A slug with the same command changes
// nothing; one with another has it tried again.
func TestPlatform_heldTypeGetsAnotherCommand(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	p, ctx := newPlatform(t, s, noDynos{})
	must[dynomad.AppState](t)(p.CreateApp(ctx, dynomad.NewApp{Name: "shop"}))
	build := func(command string) dynomad.DynoType {
		t.Helper()
		state, _, err := p.CreateBuild(ctx, "shop-default", dynomad.NewBuild{URL: "shop:1", ProcessTypes: map[string]string{"web": "serve", "worker": command}})
		if err != nil {
			t.Fatal(err)
		}
		worker, _ := state.Type("worker")
		return worker
	}
	worker := build("broken")
	failed := worker.Definition()
	must[bool](t)(s.EndRollout(t.Context(), worker.AppID, dynomad.RolloutEnd{
		Applied: dynomad.AppliedState{UpdatedAt: start},
		Records: []dynomad.TypeRecord{{TypeID: worker.ID, Failed: &failed, Reason: "It ended.", State: dynomad.StateAppCrashed}},
	}))
	if worker := build("broken"); !worker.Failed() || worker.Notice() != "left out until it is changed: It ended." {
		t.Errorf("with the same command it is %q", worker.Notice())
	}
	if worker := build("mended"); worker.Failed() {
		t.Errorf("with another command it is %q", worker.Notice())
	}
}

// wakes notes what a Platform tells the loop, with the app's number of changes at that time.
type wakes struct {
	noDynos
	store *Store
	calls []string
	at    []uint64
}

func (w *wakes) Expect(_ context.Context, appID string) { w.note("expect "+appID, appID) }
func (w *wakes) Wake(_ context.Context, appID string)   { w.note("wake "+appID, appID) }

func (w *wakes) note(what, appID string) {
	w.calls, w.at = append(w.calls, what), append(w.at, w.store.Changes(appID))
}

// TestPlatform_tellsLoop wants the loop to hear of each change once before and once after it is there, and of none that was refused.
func TestPlatform_tellsLoop(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	told := &wakes{store: s}
	p, ctx := newPlatform(t, s, told)
	app := must[dynomad.AppState](t)(p.CreateApp(ctx, dynomad.NewApp{Name: "shop"})).App

	for _, tt := range []struct {
		name    string
		refused bool
		do      func() error
	}{
		{"deploy", false, func() error { _, _, err := p.CreateBuild(ctx, app.Name, dynomad.NewBuild{URL: "shop:1"}); return err }},
		{"scale too far", true, func() error {
			_, _, err := p.UpdateType(ctx, app.Name, "web", dynomad.TypeSpec{Quantity: dynomad.Some(dynomad.Quantity{N: 21})})
			return err
		}},
		{"run", false, func() error {
			_, _, err := p.CreateRun(ctx, app.Name, dynomad.NewRun{Command: dynomad.Some("true")})
			return err
		}},
		{"delete another's", true, func() error {
			_, err := p.DeleteApp(dynomad.WithPrincipal(ctx, dynomad.Principal{AppID: "another"}), app.Name)
			return err
		}},
		{"delete", false, func() error { _, err := p.DeleteApp(ctx, app.Name); return err }},
	} {
		told.calls, told.at = nil, nil
		if err := tt.do(); (err != nil) != tt.refused {
			t.Fatalf("%s: %v", tt.name, err)
		}
		want := []string{"expect " + app.ID, "wake " + app.ID}
		if tt.refused {
			want = nil
		}
		diff(t, told.calls, want)
		if len(told.at) == 2 && told.at[0] == told.at[1] {
			t.Errorf("%s: the change was there before it was expected, or not when the loop was woken", tt.name)
		}
	}
}

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

// TestPlatform lives through an app's life with the verbs of the API over a real store.
func TestPlatform(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	rules := dynomad.Rules{Sizes: dynomad.BuiltinSizes(), DefaultSize: "gp2", DefaultPort: 9000, MaxQuantity: 20}
	p := dynomad.NewPlatform(rules, dynomad.Parts{Store: s, View: noDynos{}, Loop: noDynos{}, Now: newClock(), NewID: uuid.NewString})
	if err := s.EnsureRoot(t.Context(), dynomad.EnsureRoot(start, "root", "root-token")); err != nil {
		t.Fatal(err)
	}
	who := must[dynomad.Principal](t)(p.Authenticate(t.Context(), "root-token"))
	ctx := dynomad.WithPrincipal(t.Context(), who)

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
	rules := dynomad.Rules{Sizes: dynomad.BuiltinSizes(), DefaultSize: "gp2", DefaultPort: 9000, MaxQuantity: 20}
	p := dynomad.NewPlatform(rules, dynomad.Parts{Store: s, View: noDynos{}, Loop: noDynos{}, Now: newClock(), NewID: uuid.NewString})
	if err := s.EnsureRoot(t.Context(), dynomad.EnsureRoot(start, "root", "root-token")); err != nil {
		t.Fatal(err)
	}
	ctx := dynomad.WithPrincipal(t.Context(), must[dynomad.Principal](t)(p.Authenticate(t.Context(), "root-token")))
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

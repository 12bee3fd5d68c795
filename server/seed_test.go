package server_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/store"
)

// What the seed names: the ids count up in the order of seeding.
const (
	rootID       = "00000000-0000-4000-8000-000000000001"
	seedDynoID   = "9d3546db-2909-4a8d-935d-4ae0f848195e"
	seedDynoName = "2281474389-1cu1o"
)

// seed fills a store through the platform's verbs.
func seed(p *dynomad.Platform, s *store.Store, c *clock) error {
	ctx := context.Background()
	root := dynomad.EnsureRoot(c.now(), c.id(), rootToken)
	if err := s.EnsureRoot(ctx, root); err != nil {
		return err
	}
	ctx = dynomad.WithPrincipal(ctx, dynomad.Principal{
		TokenID: root.ID, Email: dynomad.RootEmail, Scopes: root.Scopes, Root: true,
	})
	steps := []func(context.Context, *dynomad.Platform) error{seedSpaces, seedAPI, seedShop, seedTokens}
	for i, step := range steps {
		c.seconds.Store(int64(100 * i))
		c.ids.Store(int64(100 * (i + 1)))
		if err := step(ctx, p); err != nil {
			return fmt.Errorf("seed, step %d: %w", i, err)
		}
	}
	return nil
}

func seedSpaces(ctx context.Context, p *dynomad.Platform) error {
	for _, n := range []dynomad.NewSpace{{Name: "team", NomadNamespace: "apps"}, {Name: "empty", Description: "nothing yet"}} {
		if _, err := p.CreateSpace(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// seedAPI makes api-default: two builds, two releases, three types, a config var and a note on it.
func seedAPI(ctx context.Context, p *dynomad.Platform) error {
	const app = "api-default"
	if _, err := p.CreateApp(ctx, dynomad.NewApp{Name: "api", Org: "acme", Description: "the API"}); err != nil {
		return err
	}
	first := dynomad.NewBuild{URL: "docker://nginx:1.26", SHA: "abc", Author: "ann", Message: "first"}
	if _, _, err := p.CreateBuild(ctx, app, first); err != nil {
		return err
	}
	if _, _, err := p.CreateBuild(ctx, app, dynomad.NewBuild{URL: "nginx:1.27"}); err != nil {
		return err
	}
	specs := []dynomad.TypeSpec{
		{Type: "worker", Quantity: dynomad.Some(dynomad.Quantity{N: 2}), Command: dynomad.Some("node worker.js")},
		{Type: "migrate", OneOff: dynomad.Some(true), Options: dynomad.Some(dynomad.Options{
			Env: map[string]string{"MODE": "hidden-option"}, Image: "hello-world:1",
		})},
	}
	for _, spec := range specs {
		if _, _, err := p.CreateType(ctx, app, spec); err != nil {
			return err
		}
	}
	color, required := "hidden-config", true
	if _, err := p.ChangeConfig(ctx, app, dynomad.ConfigChange{"COLOR": &color}); err != nil {
		return err
	}
	_, err := p.ChangeNotes(ctx, app, map[string]dynomad.NoteChange{"COLOR": {Required: &required}})
	return err
}

// seedShop makes shop-team, which tokens of api-default must not know of.
func seedShop(ctx context.Context, p *dynomad.Platform) error {
	if _, err := p.CreateApp(ctx, dynomad.NewApp{Name: "shop", Space: "team"}); err != nil {
		return err
	}
	_, _, err := p.CreateBuild(ctx, "shop-team", dynomad.NewBuild{URL: "shop:1"})
	return err
}

// ties are what the seed's tokens are tied to.
var ties = map[string]dynomad.NewAuthorization{
	"any":         {},
	"app":         {App: "api-default"},
	"other-app":   {App: "shop-team"},
	"space":       {Space: dynomad.DefaultSpace},
	"other-space": {Space: "team"},
}

// tieNames is the order in which they are seeded.
var tieNames = []string{"any", "app", "other-app", "space", "other-space"}

// tokenFor is the seed's token with one scope and tie.
func tokenFor(scope dynomad.Scope, tie string) string { return string(scope) + "-token-of-" + tie }

func seedTokens(ctx context.Context, p *dynomad.Platform) error {
	for _, tie := range tieNames {
		for _, scope := range dynomad.Scopes() {
			n := ties[tie]
			n.Description, n.Scopes, n.ExpiresIn = "seed", []dynomad.Scope{scope}, 24*time.Hour
			if _, err := p.CreateAuthorization(ctx, n, tokenFor(scope, tie)); err != nil {
				return err
			}
		}
	}
	short := dynomad.NewAuthorization{Scopes: []dynomad.Scope{dynomad.ScopeGlobal}, ExpiresIn: time.Minute}
	if _, err := p.CreateAuthorization(ctx, short, "expired-token"); err != nil {
		return err
	}
	_, err := p.AddFavorite(ctx, "api-default")
	return err
}

// seedDynos are what runs of api-default: the dyno of the documentation among them.
func seedDynos() map[string][]dynomad.Dyno {
	at := time.Date(2016, 9, 27, 16, 27, 20, 0, time.UTC)
	command, exit := "npm start", 137
	dyno := func(id, name, typeN string, state dynomad.DynoState, ready bool) dynomad.Dyno {
		kind, _, _ := strings.Cut(typeN, ".")
		return dynomad.Dyno{
			ID: id, Name: name, TypeN: typeN, Type: kind, Command: &command, Size: "gp2", ReleaseVersion: 2, State: state,
			Ready: ready, Node: "node1", NomadURL: "http://nomad.example/ui/allocations/" + id, CreatedAt: at,
			UpdatedAt: at.Add(time.Second),
		}
	}
	crashed := dyno("9d3546db-2909-4a8d-935d-4ae0f8481960", "2281474389-crash", "worker.2", dynomad.StateAppCrashed, false)
	crashed.ExitCode, crashed.Restarts, crashed.AdditionalInfo = &exit, 3, "The process ended with exit code 137."
	unplaced := dyno("9d3546db-2909-4a8d-935d-4ae0f8481961", "2281474389-1cu1x", "worker.10", dynomad.StateWaiting, false)
	unplaced.Command, unplaced.Node, unplaced.ReleaseVersion = nil, "", 0
	return map[string][]dynomad.Dyno{"api-default": {
		unplaced,
		crashed,
		dyno("9d3546db-2909-4a8d-935d-4ae0f848195f", "2281474389-1cu1p", "web.1", dynomad.StateStopping, false),
		dyno(seedDynoID, seedDynoName, "web.1", dynomad.StateRunning, true),
	}}
}

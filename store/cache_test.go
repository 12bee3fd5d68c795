package store

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad"
)

// TestCache_everyWrite does each kind of write and compares what is read with what the database has.
func TestCache_everyWrite(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	ctx := t.Context()
	app, other := addApp(t, s, "api"), addApp(t, s, "other")
	revisions := map[uint64]dynomad.AppState{}
	read := func(key string) (dynomad.AppState, error) {
		state, err := s.AppState(ctx, key)
		if before, ok := revisions[state.Revision]; ok && state.Revision != 0 && !cmp.Equal(before, state) {
			t.Errorf("revision %d has two states (-first +second):\n%s", state.Revision, cmp.Diff(before, state))
		}
		revisions[state.Revision] = state
		state.Revision = 0
		return state, err
	}
	check := func(what string) {
		t.Helper()
		for _, key := range []string{app.ID, "api-default", other.ID} {
			got, gotErr := read(key)
			again, _ := read(key) // now from memory, if the first was not
			s.cache.forget(scope{})
			want, wantErr := read(key)
			if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) || !cmp.Equal(got, want) || !cmp.Equal(again, want) {
				t.Errorf("after %s, %s reads as (-database +read):\n%v %v\n%s", what, key, wantErr, gotErr, cmp.Diff(want, got))
			}
		}
		for _, id := range []string{app.ID, other.ID} { // fills the cache for the next write
			for range 2 {
				if _, err := read(id); err != nil && dynomad.KindOf(err) != dynomad.NotFound {
					t.Errorf("after %s: %v", what, err)
				}
			}
		}
	}
	check("nothing")
	edit(t, s, app.ID, func(dynomad.AppState) dynomad.Edit {
		return dynomad.Edit{PutTypes: []dynomad.DynoType{{ID: "type-1", Type: "web", Size: "gp1", Port: 9000, CreatedAt: start, UpdatedAt: start}}}
	})
	check("a type")
	state := deploy(t, s, app.ID)
	check("a release")
	configure(t, s, app.ID, dynomad.ConfigVars{"A": "1"})
	check("config vars")
	finish(t, s, must[dynomad.AppState](t)(s.AppState(ctx, app.ID)).Last, dynomad.ReleaseSucceeded)
	check("the end of a release")
	for what, err := range map[string]error{
		"a restart":        s.RestartInstead(ctx, app.ID, dynomad.DynoStop{DynoID: "d", Type: "web"}, "restart-1"),
		"a stop":           s.StopDone(ctx, app.ID, "d"),
		"what was applied": s.SaveApplied(ctx, app.ID, dynomad.AppliedState{SpecHash: "x", UpdatedAt: start}),
		"a variable":       s.ConfigWritten(ctx, app.ID, state.ConfigID),
	} {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		check(what)
	}
	must[dynomad.AppState](t)(s.DeleteApp(ctx, app.ID, allow, newAudit("app.delete")))
	check("a deletion")
	if _, err := s.AppState(ctx, "api-default"); dynomad.KindOf(err) != dynomad.NotFound {
		t.Errorf("a deleted app is still read: %v", err)
	}
	app = addApp(t, s, "api")
	check("the name's next app")
	if len(revisions) < 10 {
		t.Errorf("of the states read only %d have a revision of their own", len(revisions))
	}
}

func TestCache_tokens(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	ctx := t.Context()
	root := dynomad.Authorization{ID: "root", Scopes: []dynomad.Scope{dynomad.ScopeGlobal}, TokenHash: "one", CreatedAt: start, UpdatedAt: start}
	child := dynomad.Authorization{ID: "child", MakerID: "root", Scopes: root.Scopes, TokenHash: "two", CreatedAt: start, UpdatedAt: start}
	for _, err := range []error{s.EnsureRoot(ctx, root), s.CreateAuthorization(ctx, child, newAudit("authorization.create"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, hash := range []string{"one", "two"} {
		must[dynomad.Authorization](t)(s.AuthorizationByHash(ctx, hash))
	}
	must[dynomad.Authorization](t)(s.DeleteAuthorization(ctx, "child", newAudit("authorization.delete")))
	root.TokenHash = "three"
	if err := s.EnsureRoot(ctx, root); err != nil {
		t.Fatal(err)
	}
	for _, hash := range []string{"one", "two"} {
		if _, err := s.AuthorizationByHash(ctx, hash); dynomad.KindOf(err) != dynomad.NotFound {
			t.Errorf("the token of hash %s, which has ended, is still known: %v", hash, err)
		}
	}
}

// TestCache_noStaleRead has readers and writers at once: who reads after a write's end sees it.
func TestCache_noStaleRead(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app, other := addApp(t, s, "api"), addApp(t, s, "other")
	var wg sync.WaitGroup
	stop := make(chan struct{})
	untilStop := func(do func() error) {
		for {
			select {
			case <-stop:
				return
			default:
				if err := do(); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}
	for range 4 {
		wg.Go(func() {
			untilStop(func() error {
				_, err := s.AppState(t.Context(), app.ID)
				return err
			})
		})
	}
	wg.Go(func() {
		untilStop(func() error {
			_, err := s.EditApp(t.Context(), other.ID, func(state dynomad.AppState) (dynomad.Edit, error) { return dynomad.Edit{App: &state.App}, nil })
			return err
		})
	})
	for i := range 200 {
		want := fmt.Sprint(i)
		edit(t, s, app.ID, func(state dynomad.AppState) dynomad.Edit {
			row := state.App
			row.Description = want
			return dynomad.Edit{App: &row}
		})
		if got := must[dynomad.AppState](t)(s.AppState(t.Context(), app.ID)).App.Description; got != want {
			t.Fatalf("read %q after %q was written", got, want)
		}
	}
	close(stop)
	wg.Wait()
}

// TestCache_othersWrites has writes come between a read's beginning and its end: what was read is kept if they changed nothing of it.
func TestCache_othersWrites(t *testing.T) {
	t.Parallel()
	app := dynomad.AppState{App: dynomad.App{ID: "id", Name: "name"}}
	for what, c := range map[string]struct {
		scope      scope
		app, token bool
	}{
		"of another app":           {scope{narrow: true, appID: "other"}, true, true},
		"of what is not kept":      {scope{narrow: true, beside: "id"}, true, true},
		"of nothing":               {scope{narrow: true}, true, true},
		"of the app":               {scope{narrow: true, appID: "id"}, false, true},
		"of whatever there may be": {scope{}, false, false},
	} {
		cache := newCache()
		gen := cache.generation()
		cache.forget(c.scope)
		cache.forget(scope{narrow: true, appID: "third"})
		cache.putApp(gen, app)
		cache.putToken(gen, "hash", dynomad.Authorization{})
		_, byID := cache.app("id")
		_, byName := cache.app("name")
		_, token := cache.token("hash")
		if byID != c.app || byName != c.app || token != c.token {
			t.Errorf("a write %s: the app is kept by id %t, by name %t, the token %t; want %t and %t", what, byID, byName, token, c.app, c.token)
		}
	}
}

// TestCache_afterEdit reads nothing after an edit that the edit has read itself.
func TestCache_afterEdit(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app := addApp(t, s, "api")
	describe := func(text string) dynomad.AppState {
		return edit(t, s, app.ID, func(state dynomad.AppState) dynomad.Edit {
			row := state.App
			row.Description = text
			return dynomad.Edit{App: &row}
		})
	}
	var last uint64
	for _, text := range []string{"one", "two"} {
		after := describe(text)
		for _, key := range []string{app.ID, "api-default"} {
			kept, ok := s.cache.app(key)
			if !ok || kept.Revision <= last {
				t.Fatalf("after an edit the app is kept by %s: %t, revision %d after %d", key, ok, kept.Revision, last)
			}
			revision := kept.Revision
			if kept.Revision = 0; kept.App.Description != text || !cmp.Equal(kept, after) {
				t.Errorf("kept by %s (-given +kept):\n%s", key, cmp.Diff(after, kept))
			}
			if key != app.ID {
				last = revision
			}
		}
	}
	refused := errors.New("refused")
	if _, err := s.EditApp(t.Context(), app.ID, func(dynomad.AppState) (dynomad.Edit, error) { return dynomad.Edit{}, refused }); !errors.Is(err, refused) {
		t.Errorf("got %v, want %v", err, refused)
	}
	if got, ok := s.cache.app(app.ID); ok && got.App.Description != "two" {
		t.Errorf("an edit that was refused leaves %q", got.App.Description)
	}
}

func BenchmarkAppState_cached(b *testing.B) {
	c := newCache()
	c.putApp(0, dynomad.AppState{App: dynomad.App{ID: "id", Name: "name"}, Types: make([]dynomad.DynoType, 3)})
	for b.Loop() {
		if _, ok := c.app("name"); !ok {
			b.Fatal("not kept")
		}
	}
}

package store

import (
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
	app := addApp(t, s, "api")
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if _, err := s.AppState(t.Context(), app.ID); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
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

func BenchmarkAppState_cached(b *testing.B) {
	c := newCache()
	c.putApp(0, dynomad.AppState{App: dynomad.App{ID: "id", Name: "name"}, Types: make([]dynomad.DynoType, 3)})
	for b.Loop() {
		if _, ok := c.app("name"); !ok {
			b.Fatal("not kept")
		}
	}
}

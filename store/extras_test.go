package store

import (
	"testing"
	"time"

	"github.com/dynomad/dynomad"
)

func TestNotes(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app := addApp(t, s, "shop")
	put := func(after map[string]dynomad.VarNote) (map[string]dynomad.VarNote, error) {
		return s.EditNotes(t.Context(), app.ID, func(before map[string]dynomad.VarNote) (map[string]dynomad.VarNote, error) {
			clear(before) // must not matter
			return after, nil
		}, newAudit("config.notes"))
	}
	want := map[string]dynomad.VarNote{"A": {Required: true}, "B": {Description: "b"}}
	diff(t, must[map[string]dynomad.VarNote](t)(put(want)), want)
	diff(t, must[map[string]dynomad.VarNote](t)(put(want)), want) // no change, no audit
	diff(t, must[map[string]dynomad.VarNote](t)(s.Notes(t.Context(), app.ID)), want)
	want = map[string]dynomad.VarNote{"C": {}}
	diff(t, must[map[string]dynomad.VarNote](t)(put(want)), want)
	diff(t, must[map[string]dynomad.VarNote](t)(s.Notes(t.Context(), app.ID)), want)
	_, err := s.EditNotes(t.Context(), app.ID, func(map[string]dynomad.VarNote) (map[string]dynomad.VarNote, error) {
		return nil, dynomad.Errorf(dynomad.Invalid, "No.")
	}, newAudit("config.notes"))
	wantKind(t, err, dynomad.Invalid)
	if got := must[[]dynomad.Audit](t)(s.Audits(t.Context(), dynomad.AuditFilter{AppID: app.ID})); len(got) != 3 {
		t.Errorf("got %d audits, want 3: %v", len(got), got)
	}
	must[dynomad.AppState](t)(s.DeleteApp(t.Context(), app.ID, allow, newAudit("app.delete")))
	diff(t, must[map[string]dynomad.VarNote](t)(s.Notes(t.Context(), app.ID)), map[string]dynomad.VarNote{})
	_, err = put(want)
	wantKind(t, err, dynomad.NotFound)
}

func TestFavorites(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	addTokens(t, s, "a", "root")
	shop, api := addApp(t, s, "shop"), addApp(t, s, "api")
	first := dynomad.Favorite{TokenID: "a", AppID: shop.ID, CreatedAt: start}
	second := dynomad.Favorite{TokenID: "a", AppID: api.ID, CreatedAt: start.Add(time.Second)}
	other := dynomad.Favorite{TokenID: "root", AppID: api.ID, CreatedAt: start}
	for _, f := range []dynomad.Favorite{second, first, other, first} {
		if err := s.PutFavorite(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	diff(t, must[[]dynomad.Favorite](t)(s.Favorites(t.Context(), "a")), []dynomad.Favorite{first, second})
	if err := s.DeleteFavorite(t.Context(), "a", shop.ID); err != nil {
		t.Fatal(err)
	}
	wantMessage(t, s.DeleteFavorite(t.Context(), "a", shop.ID), dynomad.NotFound, "The app is not a favorite.")
	wantKind(t, s.PutFavorite(t.Context(), dynomad.Favorite{TokenID: "gone", AppID: shop.ID}), dynomad.Unauthenticated)
	wantKind(t, s.PutFavorite(t.Context(), dynomad.Favorite{TokenID: "a", AppID: "gone"}), dynomad.NotFound)
}

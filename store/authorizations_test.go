package store

import (
	"testing"
	"time"

	"github.com/dynomad/dynomad"
)

func newToken(id, maker string) dynomad.Authorization {
	return dynomad.Authorization{
		ID: id, MakerID: maker, Description: "of " + id, Email: id + "@x", Scopes: []dynomad.Scope{dynomad.ScopeRead, dynomad.ScopeWrite},
		TokenHash: "hash of " + id, CreatedAt: start, UpdatedAt: start,
	}
}

// addTokens makes a root token and, from pairs of id and maker, others.
func addTokens(t *testing.T, s *Store, pairs ...string) {
	t.Helper()
	if err := s.EnsureRoot(t.Context(), newToken("root", "")); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if err := s.CreateAuthorization(t.Context(), newToken(pairs[i], pairs[i+1]), newAudit("authorization.create")); err != nil {
			t.Fatal(err)
		}
	}
}

func tokenIDs(t *testing.T, s *Store) []string {
	t.Helper()
	var ids []string
	for _, a := range must[[]dynomad.Authorization](t)(s.Authorizations(t.Context())) {
		ids = append(ids, a.ID)
	}
	return ids
}

func TestAuthorizations_roundTrip(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	addTokens(t, s, "b", "root", "a", "b")
	expires := start.Add(time.Hour)
	full := newToken("full", "a")
	full.ExpiresAt, full.CreatedAt = &expires, start.Add(-time.Hour)
	full.AppID = addApp(t, s, "shop").ID
	if err := s.CreateAuthorization(t.Context(), full, newAudit("authorization.create")); err != nil {
		t.Fatal(err)
	}
	diff(t, must[dynomad.Authorization](t)(s.Authorization(t.Context(), "full")), full)
	diff(t, must[dynomad.Authorization](t)(s.AuthorizationByHash(t.Context(), full.TokenHash)), full)
	diff(t, tokenIDs(t, s), []string{"full", "root", "b", "a"})
	_, err := s.AuthorizationByHash(t.Context(), "hash of nobody")
	wantMessage(t, err, dynomad.NotFound, "The token is not known.")
	_, err = s.Authorization(t.Context(), "nobody")
	wantMessage(t, err, dynomad.NotFound, "The authorization nobody does not exist.")
}

func TestCreateAuthorization_refused(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	addTokens(t, s, "a", "root")
	same, orphan, appless, spaceless, second := newToken("x", "root"), newToken("x", "gone"), newToken("x", "root"), newToken("x", "root"), newToken("x", "")
	same.TokenHash = "hash of a"
	appless.AppID, spaceless.SpaceID = "none", "none"
	tests := []struct {
		name  string
		token dynomad.Authorization
		kind  dynomad.Kind
	}{
		{"hash taken", same, dynomad.Conflict},
		{"maker gone", orphan, dynomad.Unauthenticated},
		{"app gone", appless, dynomad.NotFound},
		{"space gone", spaceless, dynomad.NotFound},
		{"second root", second, dynomad.Conflict},
	}
	for _, tt := range tests {
		wantKind(t, s.CreateAuthorization(t.Context(), tt.token, newAudit(tt.name)), tt.kind)
	}
	diff(t, tokenIDs(t, s), []string{"root", "a"})
}

func TestDeleteAuthorization_takesAllThatItMade(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	addTokens(t, s, "a", "root", "a1", "a", "a2", "a", "a11", "a1", "a111", "a11", "b", "root", "b1", "b")
	app := addApp(t, s, "shop")
	for _, id := range []string{"a11", "b1"} {
		if err := s.PutFavorite(t.Context(), dynomad.Favorite{TokenID: id, AppID: app.ID, CreatedAt: start}); err != nil {
			t.Fatal(err)
		}
	}
	diff(t, must[dynomad.Authorization](t)(s.DeleteAuthorization(t.Context(), "a", newAudit("authorization.delete"))), newToken("a", "root"))
	diff(t, tokenIDs(t, s), []string{"root", "b", "b1"})
	if len(must[[]dynomad.Favorite](t)(s.Favorites(t.Context(), "a11"))) != 0 || len(must[[]dynomad.Favorite](t)(s.Favorites(t.Context(), "b1"))) != 1 {
		t.Error("favorites did not go with their tokens, or others did")
	}
	_, err := s.DeleteAuthorization(t.Context(), "a", newAudit("authorization.delete"))
	wantKind(t, err, dynomad.NotFound)
	_, err = s.DeleteAuthorization(t.Context(), "root", newAudit("authorization.delete"))
	wantMessage(t, err, dynomad.Conflict, "The root token cannot be deleted.")
}

func TestEnsureRoot(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	addTokens(t, s, "a", "root")
	first := must[dynomad.Authorization](t)(s.Authorization(t.Context(), "root"))
	again := newToken("other id", "")
	again.TokenHash, again.UpdatedAt = "new hash", start.Add(time.Hour)
	for range 2 {
		if err := s.EnsureRoot(t.Context(), again); err != nil {
			t.Fatal(err)
		}
	}
	first.TokenHash, first.UpdatedAt = again.TokenHash, again.UpdatedAt
	diff(t, must[dynomad.Authorization](t)(s.AuthorizationByHash(t.Context(), "new hash")), first)
	_, err := s.AuthorizationByHash(t.Context(), "hash of root")
	wantKind(t, err, dynomad.NotFound)
	diff(t, tokenIDs(t, s), []string{"root", "a"})
	again.TokenHash = "hash of a"
	wantKind(t, s.EnsureRoot(t.Context(), again), dynomad.Conflict)
}

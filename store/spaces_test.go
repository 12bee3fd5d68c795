package store

import (
	"testing"
	"time"

	"github.com/dynomad/dynomad"
)

func TestSpaces(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	blue := dynomad.Space{ID: "s1", Name: "blue", Description: "d", NomadNamespace: "ns", CreatedAt: start, UpdatedAt: start.Add(time.Second)}
	diff(t, must[dynomad.Space](t)(s.CreateSpace(t.Context(), blue, newAudit("space.create"))), blue)
	again := blue
	again.ID = "s2"
	_, err := s.CreateSpace(t.Context(), again, newAudit("space.create"))
	wantMessage(t, err, dynomad.Conflict, "The space blue already exists.")
	addAppIn(t, s, "shop", "blue")
	addAppIn(t, s, "api", "blue")
	blue.AppCount = 2
	for _, key := range []string{"s1", "blue"} {
		diff(t, must[dynomad.Space](t)(s.Space(t.Context(), key)), blue)
	}
	all := must[[]dynomad.Space](t)(s.Spaces(t.Context()))
	if len(all) != 2 || all[0].Name != "blue" || all[1].Name != dynomad.DefaultSpace || all[1].AppCount != 0 {
		t.Errorf("got %+v", all)
	}
	_, err = s.Space(t.Context(), "nowhere")
	wantMessage(t, err, dynomad.NotFound, "The space nowhere does not exist.")
}

func TestDeleteSpace(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	addTokens(t, s)
	must[dynomad.Space](t)(s.CreateSpace(t.Context(), dynomad.Space{ID: "s1", Name: "blue", NomadNamespace: "ns", CreatedAt: start, UpdatedAt: start}, newAudit("space.create")))
	app := addAppIn(t, s, "shop", "blue")
	tied := newToken("tied", "root")
	tied.SpaceID = "s1"
	if err := s.CreateAuthorization(t.Context(), tied, newAudit("authorization.create")); err != nil {
		t.Fatal(err)
	}
	remove := func(key string) (dynomad.Space, error) {
		return s.DeleteSpace(t.Context(), key, newAudit("space.delete"))
	}
	_, err := remove("blue")
	wantMessage(t, err, dynomad.Conflict, "The space blue still has apps (1); delete them first.")
	_, err = remove(dynomad.DefaultSpace)
	wantMessage(t, err, dynomad.Conflict, "The space default cannot be deleted.")
	_, err = remove("nowhere")
	wantKind(t, err, dynomad.NotFound)
	must[dynomad.AppState](t)(s.DeleteApp(t.Context(), app.ID, allow, newAudit("app.delete")))
	if got := must[dynomad.Space](t)(remove("blue")); got.ID != "s1" {
		t.Errorf("got %+v", got)
	}
	_, err = remove("s1")
	wantKind(t, err, dynomad.NotFound)
	diff(t, tokenIDs(t, s), []string{"root"})
	// The loop still has to find the deleted app's job.
	if w := must[dynomad.Wanted](t)(s.Wanted(t.Context(), app.ID)); w.App.NomadNamespace != "ns" || w.App.Space != "blue" {
		t.Errorf("got %+v", w.App)
	}
	must[dynomad.Space](t)(s.CreateSpace(t.Context(), dynomad.Space{ID: "s2", Name: "blue", CreatedAt: start, UpdatedAt: start}, newAudit("space.create")))
}

func TestAudits_filters(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	must[dynomad.Space](t)(s.CreateSpace(t.Context(), dynomad.Space{ID: "s1", Name: "blue", CreatedAt: start, UpdatedAt: start}, newAudit("space.create")))
	shop, api := addAppIn(t, s, "shop", "blue"), addApp(t, s, "api")
	late, early := newAudit("late"), newAudit("early")
	late.CreatedAt, early.CreatedAt = start.Add(time.Nanosecond), start.Add(-time.Nanosecond)
	edit(t, s, api.ID, func(dynomad.AppState) dynomad.Edit { return dynomad.Edit{Audits: []dynomad.Audit{late, early}} })
	tests := []struct {
		name   string
		filter dynomad.AuditFilter
		want   []string
	}{
		{"all", dynomad.AuditFilter{}, []string{"early", "space.create", "app.create", "app.create", "late"}},
		{"app", dynomad.AuditFilter{AppID: api.ID}, []string{"early", "app.create", "late"}},
		{"app's name", dynomad.AuditFilter{AppName: "shop-blue"}, []string{"app.create"}},
		{"space", dynomad.AuditFilter{Space: "blue"}, []string{"space.create", "app.create"}},
		{"space's id", dynomad.AuditFilter{SpaceID: "s1"}, []string{"space.create", "app.create"}},
		{"both", dynomad.AuditFilter{AppID: shop.ID, SpaceID: api.SpaceID}, nil},
		{"none", dynomad.AuditFilter{Space: "red"}, nil},
	}
	for _, tt := range tests {
		var got []string
		for _, a := range must[[]dynomad.Audit](t)(s.Audits(t.Context(), tt.filter)) {
			got = append(got, a.Action)
		}
		if d := len(got) == len(tt.want); !d {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
			continue
		}
		diff(t, got, tt.want)
	}
}

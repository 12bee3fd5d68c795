package store

import (
	"fmt"
	"testing"

	"github.com/dynomad/dynomad"
)

// TestAudits_after reads an app's audits bit by bit.
func TestAudits_after(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	app := addApp(t, s, "shop")
	for i := range 5 {
		edit := dynomad.Edit{Audits: []dynomad.Audit{{ID: fmt.Sprintf("audit-%d", i), Action: "x", CreatedAt: app.CreatedAt}}}
		if _, err := s.EditApp(t.Context(), app.ID, func(dynomad.AppState) (dynomad.Edit, error) { return edit, nil }); err != nil {
			t.Fatal(err)
		}
	}
	ids := func(f dynomad.AuditFilter) (ids []string, last int64) {
		f.AppID = app.ID
		for _, a := range must[[]dynomad.Audit](t)(s.Audits(t.Context(), f)) {
			if a.Seq <= last {
				t.Errorf("%s has the number %d after %d", a.ID, a.Seq, last)
			}
			ids, last = append(ids, a.ID), a.Seq
		}
		return ids, last
	}
	newest, last := ids(dynomad.AuditFilter{Newest: 2})
	diff(t, newest, []string{"audit-3", "audit-4"})
	none, _ := ids(dynomad.AuditFilter{After: last})
	diff(t, none, []string(nil))
	two, _ := ids(dynomad.AuditFilter{After: last - 2})
	diff(t, two, []string{"audit-3", "audit-4"})
	one, _ := ids(dynomad.AuditFilter{After: last - 2, Newest: 1})
	diff(t, one, []string{"audit-4"})
}

package store

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestSchema_golden(t *testing.T) {
	t.Parallel()
	const golden = "../testdata/schema.golden.sql"
	got := schema(t, newStore(t).reader)
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := must[[]byte](t)(os.ReadFile(golden))
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("the schema differs; if that is meant, run make golden (-want +got):\n%s", d)
	}
}

// TestSchema_oldDatabases opens a database of every schema that there ever was. With -update it writes the one of the present
// schema, once; old ones are never written again.
func TestSchema_oldDatabases(t *testing.T) {
	t.Parallel()
	versions := len(must[[]migration](t)(migrations()))
	newest := oldDatabase(versions)
	if _, err := os.Stat(newest); *update && os.IsNotExist(err) {
		s := newStore(t)
		fill(t, s)
		if err := os.WriteFile(newest, []byte(dump(t, s.reader)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := schema(t, newStore(t).reader)
	for version := 1; version <= versions; version++ {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			path := dbPath(t)
			load(t, path, oldDatabase(version))
			s := openAt(t, path)
			diff(t, schema(t, s.reader), want)
			checkFilled(t, s)
		})
	}
}

func oldDatabase(version int) string { return fmt.Sprintf("../testdata/db/%04d.sql", version) }

// fill puts something into every table.
func fill(t testing.TB, s *Store) {
	t.Helper()
	ctx := t.Context()
	must[dynomad.Space](t)(s.CreateSpace(ctx, dynomad.Space{ID: "space-1", Name: "blue", NomadNamespace: "b", CreatedAt: start, UpdatedAt: start}, newAudit("space.create")))
	app := addAppIn(t, s, "shop", "blue")
	edit(t, s, app.ID, func(dynomad.AppState) dynomad.Edit {
		return dynomad.Edit{PutTypes: []dynomad.DynoType{
			{ID: "type-1", Type: "web", Quantity: 2, Size: "gp1", Port: 9000, CreatedAt: start, UpdatedAt: start},
			{ID: "type-3", Type: "nightly", Schedule: new("0 3 * * *"), Size: "gp2", CreatedAt: start, UpdatedAt: start},
			{ID: "type-2", Type: "migrate", OneOff: true, Size: "gp2", Options: &dynomad.Options{Env: map[string]string{"A": "1"}}, CreatedAt: start, UpdatedAt: start},
		}}
	})
	edit(t, s, app.ID, func(dynomad.AppState) dynomad.Edit {
		return dynomad.Edit{Stops: []dynomad.DynoStop{{DynoID: "dyno-1", Type: "web", RequestedAt: start}}}
	})
	deploy(t, s, app.ID)
	state := configure(t, s, app.ID, dynomad.ConfigVars{"COLOR": "green"})
	end := ending(state.Last.ID, dynomad.ReleaseSucceeded, "")
	web, _ := state.Type("web")
	good := web.Definition()
	end.Records = []dynomad.TypeRecord{{TypeID: web.ID, Good: &good}}
	must[bool](t)(s.EndRollout(ctx, app.ID, end))
	for _, err := range []error{
		s.EnsureRoot(ctx, dynomad.Authorization{ID: "root", Scopes: []dynomad.Scope{dynomad.ScopeGlobal}, TokenHash: "hash", CreatedAt: start, UpdatedAt: start}),
		s.PutFavorite(ctx, dynomad.Favorite{TokenID: "root", AppID: app.ID, CreatedAt: start}),
		s.ConfigWritten(ctx, app.ID, state.ConfigID),
		s.SaveApplied(ctx, app.ID, dynomad.AppliedState{SpecHash: "spec", ModifyIndex: 12, UpdatedAt: start}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	must[map[string]dynomad.VarNote](t)(s.EditNotes(ctx, app.ID, func(map[string]dynomad.VarNote) (map[string]dynomad.VarNote, error) {
		return map[string]dynomad.VarNote{"COLOR": {Required: true}}, nil
	}, newAudit("config.notes")))
	must[string](t)(s.RunPlaced(ctx, app.ID, addRun(t, s, app.ID).ID, "alloc-1"))
	gone := addApp(t, s, "gone")
	must[dynomad.AppState](t)(s.DeleteApp(ctx, gone.ID, allow, newAudit("app.delete")))
}

// checkFilled reads what fill wrote, and writes once more.
func checkFilled(t *testing.T, s *Store) {
	t.Helper()
	state := must[dynomad.AppState](t)(s.AppState(t.Context(), "shop-blue"))
	diff(t, state.Config, dynomad.ConfigVars{"COLOR": "green"})
	if state.App.NomadNamespace != "b" || state.App.Image != "shop:1" || len(state.Types) < 2 || state.Last.Version != 2 || !state.Last.Current {
		t.Errorf("got %+v", state)
	}
	web, _ := state.Type("web")
	if good := web.Record.Good; good == nil || !good.Equal(web.Definition()) {
		t.Errorf("web was last rolled out well as %+v, want what it is", good)
	}
	diff(t, state.Types[0].Options, &dynomad.Options{Env: map[string]string{"A": "1"}})
	if w := must[dynomad.Wanted](t)(s.Wanted(t.Context(), state.App.ID)); w.Applied.ModifyIndex != 12 || len(w.Configs) != 1 {
		t.Errorf("got %+v", w)
	}
	checkFilledRuns(t, s, state.App.ID)
	if n := must[map[string]dynomad.VarNote](t)(s.Notes(t.Context(), state.App.ID)); !n["COLOR"].Required {
		t.Errorf("got notes %v", n)
	}
	if a := must[dynomad.Authorization](t)(s.AuthorizationByHash(t.Context(), "hash")); a.ID != "root" {
		t.Errorf("got %+v", a)
	}
	if got := deploy(t, s, state.App.ID); got.Last.Version != 3 {
		t.Errorf("got v%d, want v3", got.Last.Version)
	}
}

// checkFilledRuns reads the run that fill wrote, which databases of before there were any do not have, and adds another.
func checkFilledRuns(t *testing.T, s *Store, appID string) {
	t.Helper()
	last := firstRun - 1
	for _, run := range must[dynomad.AppRuns](t)(s.AppRuns(t.Context(), appID)).Runs {
		last = run.Number
		if run.AllocID != "alloc-1" || run.Env["A"] != "b" {
			t.Errorf("got %+v", run)
		}
	}
	if run := addRun(t, s, appID); run.Number != last+1 {
		t.Errorf("got the run %d after %d", run.Number, last)
	}
}

// schema gives what SQLite keeps of the tables, by name.
func schema(t *testing.T, db *sql.DB) string {
	t.Helper()
	texts := column(t, db, `SELECT sql || ';' FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY tbl_name, type DESC, name`)
	return strings.Join(texts, "\n\n") + "\n"
}

// dump gives a database as SQL.
func dump(t *testing.T, db *sql.DB) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("PRAGMA foreign_keys = off;\n\n" + schema(t, db))
	for _, table := range column(t, db, `SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`) {
		quoted := column(t, db, `SELECT 'quote("' || name || '")' FROM pragma_table_info(?)`, table)
		values := strings.Join(quoted, ` || ', ' || `)
		for _, row := range column(t, db, `SELECT `+values+` FROM `+table) {
			fmt.Fprintf(&b, "INSERT INTO %s VALUES (%s);\n", table, row)
		}
	}
	return b.String()
}

func column(t *testing.T, db *sql.DB, query string, args ...any) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// load makes a database of a dump.
func load(t *testing.T, path, file string) {
	t.Helper()
	text := must[[]byte](t)(os.ReadFile(filepath.Clean(file)))
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(context.WithoutCancel(t.Context()), string(text)); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func allow(dynomad.App) error { return nil }

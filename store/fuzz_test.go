package store

import (
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad"
)

// FuzzColumns reads values of columns that somebody else may have written. What is read is written back as it was, or as what means the same.
func FuzzColumns(f *testing.F) {
	for _, seed := range []string{
		"", "null", "{}", `{"web":"a"}`, `{"web":1}`, "2026-01-02T03:04:05.000000006Z", "2026-01-02T03:04:05Z", "10000-01-01T00:00:00Z", "read write", " ", "[]", `{"command":null,"size":"gp1"}`,
		`{"started_at":"x"}`, `{"a":`, "\xff", `"\ud800"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, column string) {
		var at instant
		if at.Scan(column) == nil {
			written, err := at.Value()
			var again instant
			if err != nil || again.Scan(written) != nil || !time.Time(again).Equal(time.Time(at)) {
				t.Errorf("the time %q is written as %q", column, written)
			}
		}
		var who scopes
		if err := who.Scan(column); err != nil || slices.Contains(who, "") {
			t.Errorf("the scopes %q are %q, %v", column, who, err)
		}
		var types processTypes
		if types.Scan(column) == nil {
			if _, err := types.Value(); err != nil {
				t.Errorf("the process types %q: %v", column, err)
			}
		}
		for _, value := range []any{new(dynomad.Rollout), new(dynomad.Definition)} {
			if (jsonColumn{value}).Scan(column) == nil {
				if _, err := (jsonColumn{value}).Value(); err != nil {
					t.Errorf("%T of %q: %v", value, column, err)
				}
			}
		}
		var plain text
		var count number
		var end *time.Time
		_, _, _ = plain.Scan(column), count.Scan(column), maybeInstant{&end}.Scan(column) // without a panic
		_, _, _ = at.Scan(int64(len(column))), types.Scan([]byte(column)), who.Scan(nil)
	})
}

// FuzzSealed opens what may not have been sealed here. Only what was sealed for its place is opened, and no error tells of the value.
func FuzzSealed(f *testing.F) {
	s, err := newSealer(testKey)
	if err != nil {
		f.Fatal(err)
	}
	// {"A":"hidden-value"}, as it was sealed once: what a fuzzer begins with must not be another each time.
	sealed, err := hex.DecodeString("852daa766a397201157042c9a2ac62bde41c3c3077f17165b7ac1ccda4c642735936331ceb0a17ab55f0880cb952941d")
	if err != nil {
		f.Fatal(err)
	}
	f.Add("here", sealed)
	f.Add("there", sealed)
	f.Add("here", sealed[:len(sealed)-1])
	f.Add("", []byte{})
	f.Fuzz(func(t *testing.T, place string, column []byte) {
		var vars map[string]string
		err := s.unseal(place, column, &vars)
		if good := place == "here" && slices.Equal(column, sealed); good != (err == nil) {
			t.Errorf("opened %x for %q: %v", column, place, err)
		}
		if err != nil && strings.Contains(err.Error(), "hidden") {
			t.Errorf("the error tells of the value: %v", err)
		}
	})
}

// FuzzStored puts a value into a column of a database that has an app in every state, and reads all of it. It is read or refused with an
// error that the API answers; nothing panics, and no value of another column comes out of place.
func FuzzStored(f *testing.F) {
	seeded := fuzzDatabase(f)
	columns := fuzzColumns(f, seeded)
	for i := range columns {
		f.Add(uint16(i), []string{"", `{"x`, "null"}[i%3]) //nolint:gosec // there are few
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, column uint16, value string) {
		path := filepath.Join(dir, "fuzz.db")
		if err := os.WriteFile(path, seeded, 0o600); err != nil {
			t.Fatal(err)
		}
		if !spoil(t, path, columns[int(column)%len(columns)], value) {
			return
		}
		s, err := Open(t.Context(), Config{Path: path, Key: testKey, Now: newClock()})
		if err != nil {
			return // it is said at the start
		}
		defer func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
		readAll(t, s)
	})
}

// readAll reads what the platform and the loop read.
func readAll(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	_, err := s.Apps(ctx)
	errs := []error{err}
	for _, key := range []string{"shop-blue", "type-1"} {
		state, err := s.AppState(ctx, key)
		if err == nil {
			_, err = json.Marshal(state)
		}
		errs = append(errs, err)
	}
	ids, err := s.AppIDs(ctx)
	errs = append(errs, err)
	for _, id := range ids {
		_, wantedErr := s.Wanted(ctx, id)
		_, runsErr := s.AppRuns(ctx, id)
		_, buildsErr := s.Builds(ctx, id)
		_, releasesErr := s.Releases(ctx, id)
		_, notesErr := s.Notes(ctx, id)
		errs = append(errs, wantedErr, runsErr, buildsErr, releasesErr, notesErr)
	}
	_, spacesErr := s.Spaces(ctx)
	_, tokensErr := s.Authorizations(ctx)
	_, auditsErr := s.Audits(ctx, dynomad.AuditFilter{})
	_, schedulesErr := s.Schedules(ctx)
	_, favoritesErr := s.Favorites(ctx, "root")
	_, attachedErr := s.AttachedRuns(ctx)
	for _, err := range append(errs, spacesErr, tokensErr, auditsErr, schedulesErr, favoritesErr, attachedErr) {
		if err != nil && (strings.Contains(err.Error(), "green") || strings.Contains(err.Error(), string(testKey))) {
			t.Errorf("an error tells of a config var or the key: %v", err)
		}
	}
}

// fuzzDatabase gives a database with something in most tables.
func fuzzDatabase(f *testing.F) []byte {
	f.Helper()
	path := filepath.Join(f.TempDir(), "seed.db")
	s, err := Open(f.Context(), Config{Path: path, Key: testKey, Now: newClock()})
	if err != nil {
		f.Fatal(err)
	}
	fill(f, s)
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	return content
}

// fuzzColumns lists the columns of a database, as table and column.
func fuzzColumns(f *testing.F, content []byte) [][2]string {
	f.Helper()
	path := filepath.Join(f.TempDir(), "columns.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		f.Fatal(err)
	}
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		f.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // only read
	rows, err := db.QueryContext(f.Context(), `
		SELECT t.name, c.name
		FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c
		WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'
		ORDER BY t.name, c.cid`)
	if err != nil {
		f.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // only read
	var all [][2]string
	for rows.Next() {
		var c [2]string
		if err := rows.Scan(&c[0], &c[1]); err != nil {
			f.Fatal(err)
		}
		all = append(all, c)
	}
	if err := rows.Err(); err != nil || len(all) < 50 {
		f.Fatal(len(all), err)
	}
	return all
}

// spoil sets a column everywhere. It reports whether SQLite let it.
func spoil(t *testing.T, path string, column [2]string, value string) bool {
	t.Helper()
	db, err := sql.Open("sqlite3", path+"?_foreign_keys=0")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // what is not written is not fuzzed
	_, err = db.ExecContext(t.Context(), `UPDATE `+column[0]+` SET `+column[1]+` = ?`, value)
	return err == nil
}

package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// Migrations are numbered files that are only ever added to. Each is applied once, in a transaction of its own. Within one,
// foreign keys cannot be turned off: a migration that makes a table anew starts with PRAGMA defer_foreign_keys.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

type migration struct {
	version int
	name    string
	text    string
}

// migrations gives all migrations in order. They are numbered from 1 without a gap.
func migrations() ([]migration, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	all := make([]migration, 0, len(names))
	for i, name := range names {
		number, _, _ := strings.Cut(path.Base(name), "_")
		if n, err := strconv.Atoi(number); err != nil || n != i+1 {
			return nil, fmt.Errorf("the migration %s should have the number %04d", name, i+1)
		}
		b, err := migrationFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		all = append(all, migration{version: i + 1, name: path.Base(name), text: string(b)})
	}
	return all, nil
}

// migrate applies the migrations that the database lacks, and refuses one that a newer version has migrated.
func (s *Store) migrate(ctx context.Context, path string, log hclog.Logger) error {
	all, err := migrations()
	if err != nil {
		return err
	}
	var version int
	err = s.write(ctx, func(ctx context.Context, tx *tx) error {
		version, err = schemaVersion(ctx, tx)
		return err
	})
	if err != nil {
		return fmt.Errorf("read the schema of %s: %w", path, err)
	}
	if version > len(all) {
		return fmt.Errorf("the database %s has schema %d, made by a newer dynomad; this one knows schemas up to %d: "+
			"start the newer version, or put back the backup made before it", path, version, len(all))
	}
	for _, m := range all[version:] {
		if err := s.write(ctx, m.apply); err != nil {
			return fmt.Errorf("migrate the database %s by %s: %w", path, m.name, err)
		}
		log.Info("migrated the database", "migration", m.name)
	}
	return nil
}

func (m migration) apply(ctx context.Context, tx *tx) error {
	if _, err := tx.ExecContext(ctx, m.text); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO schema_migrations (version, applied_at) VALUES (?, ?)`, m.version, instant(tx.now))
	return err
}

// schemaVersion gives the newest migration that was applied, 0 for an empty database.
func schemaVersion(ctx context.Context, tx *tx) (int, error) {
	tables, err := one[int](ctx, tx, `SELECT count(*) FROM sqlite_schema`)
	if err != nil {
		return 0, err
	}
	ours, err := one[int](ctx, tx, `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'`)
	if err != nil {
		return 0, err
	}
	if tables > 0 && ours == 0 {
		return 0, errors.New("it is a database of something else")
	}
	if ours == 0 {
		_, err := tx.ExecContext(ctx, `
			CREATE TABLE schema_migrations (
			    version    INTEGER PRIMARY KEY,
			    applied_at TEXT NOT NULL
			) STRICT`)
		return 0, err
	}
	return one[int](ctx, tx, `SELECT coalesce(max(version), 0) FROM schema_migrations`)
}

var errNotIntact = errors.New("SQLite's quick_check found faults")

// checkIntact has SQLite look at every page, which reads some hundred megabytes a second.
func checkIntact(ctx context.Context, db *sql.DB) error {
	var verdict string
	if err := db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict); err != nil {
		return fmt.Errorf("check the database: %w", err)
	}
	if verdict != "ok" {
		return errNotIntact
	}
	return nil
}

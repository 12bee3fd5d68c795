package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/dynomad/dynomad"
)

// CreateApp adds an app to a space, with a first config version that is empty.
func (s *Store) CreateApp(ctx context.Context, app dynomad.App, spaceName string, audit dynomad.Audit) (dynomad.App, error) {
	err := s.write(ctx, func(ctx context.Context, tx *tx) error {
		space, err := findSpace(ctx, tx, spaceName)
		if err != nil {
			return err
		}
		app.SpaceID = space.ID
		config := dynomad.Config{ID: uuid.NewString(), Vars: dynomad.ConfigVars{}}
		if err := insertApp(ctx, tx, app, config.ID); err != nil {
			return err
		}
		if err := insertConfig(ctx, tx, app.ID, config); err != nil {
			return err
		}
		created, err := appState(ctx, tx, app.ID)
		if err != nil {
			return err
		}
		app = created.App
		return insertAppAudit(ctx, tx, audit, app)
	})
	if err != nil {
		return dynomad.App{}, err
	}
	return app, nil
}

// DeleteApp removes an app if check agrees, and gives its last state. Its name is free at once and its secrets are gone; a
// tombstone stays, so that its releases, builds and audits can be read, and the loop can end its job.
func (s *Store) DeleteApp(ctx context.Context, key string, check func(dynomad.App) error, audit dynomad.Audit) (dynomad.AppState, error) {
	var last dynomad.AppState
	err := s.write(ctx, func(ctx context.Context, tx *tx) error {
		id, err := appID(ctx, tx, key)
		if err != nil {
			return err
		}
		if last, err = appState(ctx, tx, id); err != nil {
			return err
		}
		if err := check(last.App); err != nil {
			return err
		}
		if err := bury(ctx, tx, id); err != nil {
			return fmt.Errorf("delete an app: %w", err)
		}
		return insertAppAudit(ctx, tx, audit, last.App)
	})
	if err != nil {
		return dynomad.AppState{}, err
	}
	return last, nil
}

// AppIDByName gives the id of the app that has a full name now.
func (s *Store) AppIDByName(ctx context.Context, name string) (string, error) {
	var id string
	err := s.read(ctx, func(ctx context.Context, tx *tx) (err error) {
		id, err = one[string](ctx, tx, `SELECT id FROM apps WHERE name = ? AND deleted_at IS NULL`, name)
		if errors.Is(err, sql.ErrNoRows) {
			return missing("app", name)
		}
		return err
	})
	return id, err
}

// bury makes an app a tombstone: with the names that its ledger needs, without anything that was kept for it to run.
func bury(ctx context.Context, tx *tx, id string) error {
	if _, err := tx.ExecContext(ctx, `UPDATE apps SET deleted_at = ?1, updated_at = ?1 WHERE id = ?2`, instant(tx.now), id); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE config_versions SET vars = NULL WHERE app_id = ?`, id); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM dyno_types WHERE app_id = ?`, id); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM dyno_stops WHERE app_id = ?`, id); err != nil {
		return fmt.Errorf("delete the stops of dynos: %w", err)
	}
	if err := buryRuns(ctx, tx, id); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM notes WHERE app_id = ?`, id); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM favorites WHERE app_id = ?`, id); err != nil {
		return err
	}
	if err := failPending(ctx, tx, id, "the app was deleted"); err != nil {
		return err
	}
	return deleteAuthorizations(ctx, tx, `app_id = ?`, id)
}

// findApp finds an app that is not deleted by id or, failing that, full name. With an OR of the two SQLite would look through all apps: the
// index of names has those that are not deleted alone.
const findApp = `
	SELECT id FROM apps WHERE id = ?1 AND deleted_at IS NULL
	UNION ALL
	SELECT id FROM apps WHERE name = ?1 AND deleted_at IS NULL`

// appID finds an app that is not deleted by full name or id.
func appID(ctx context.Context, tx *tx, key string) (string, error) {
	id, err := one[string](ctx, tx, findApp, key)
	if errors.Is(err, sql.ErrNoRows) {
		return "", missing("app", key)
	}
	if err != nil {
		return "", fmt.Errorf("find an app: %w", err)
	}
	return id, nil
}

// liveApp gives an app that is not deleted.
func liveApp(ctx context.Context, tx *tx, key string) (dynomad.App, error) {
	id, err := appID(ctx, tx, key)
	if err != nil {
		return dynomad.App{}, err
	}
	found, err := apps(ctx, tx, onlyApp(id))
	if err != nil {
		return dynomad.App{}, err
	}
	if len(found) == 0 {
		return dynomad.App{}, missing("app", key)
	}
	return found[0].app, nil
}

func insertApp(ctx context.Context, tx *tx, a dynomad.App, configID string) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO apps (
		    id, name, simple_name, space_id, org, description, labels, maintenance, auto_release,
		    owner_id, owner_email, config_id, created_at, updated_at
		)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		a.ID, a.Name, a.SimpleName, a.SpaceID, text(a.Org), text(a.Description), text(a.Labels), a.Maintenance, a.AutoRelease,
		text(a.OwnerID), text(a.OwnerEmail), configID, instant(a.CreatedAt), instant(a.UpdatedAt))
	if duplicate(err) {
		return dynomad.Wrap(dynomad.Conflict, err, "The app %s already exists.", a.Name)
	}
	if err != nil {
		return fmt.Errorf("insert an app: %w", err)
	}
	return nil
}

// updateApp writes what may change of an app; its names and its space may not.
func updateApp(ctx context.Context, tx *tx, a dynomad.App) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE apps
		SET org = ?, description = ?, labels = ?, maintenance = ?, auto_release = ?, owner_id = ?, owner_email = ?, updated_at = ?
		WHERE id = ?`,
		text(a.Org), text(a.Description), text(a.Labels), a.Maintenance, a.AutoRelease, text(a.OwnerID), text(a.OwnerEmail),
		instant(a.UpdatedAt), a.ID)
	if err != nil {
		return fmt.Errorf("update an app: %w", err)
	}
	return nil
}

// setConfig makes a config version the app's present one.
func setConfig(ctx context.Context, tx *tx, appID, configID string) error {
	if _, err := tx.ExecContext(ctx, `UPDATE apps SET config_id = ? WHERE id = ?`, configID, appID); err != nil {
		return fmt.Errorf("set an app's config: %w", err)
	}
	return nil
}

// appRow is an app's row with what is counted of it.
type appRow struct {
	app      dynomad.App
	configID string
	builds   int
}

// apps gives the apps of a span by name.
func apps(ctx context.Context, tx *tx, s span) ([]appRow, error) {
	all, err := list(ctx, tx, scanApp, `
		SELECT
		    a.id, a.name, a.simple_name, a.space_id, s.name, s.nomad_namespace, a.org, a.description, a.labels,
		    a.maintenance, a.auto_release, a.owner_id, a.owner_email, a.created_at, a.updated_at, a.config_id,
		    (SELECT coalesce(max(b.number), 0) FROM builds AS b WHERE b.app_id = a.id)
		FROM apps AS a
		JOIN spaces AS s ON s.id = a.space_id
		WHERE a.id BETWEEN ?1 AND ?2
		AND (a.deleted_at IS NULL OR ?3)
		ORDER BY a.name`, s.from, s.to, s.deleted)
	if err != nil {
		return nil, fmt.Errorf("read apps: %w", err)
	}
	return all, nil
}

func scanApp(r row) (appRow, error) {
	var a appRow
	err := r.Scan(&a.app.ID, &a.app.Name, &a.app.SimpleName, &a.app.SpaceID, &a.app.Space, (*text)(&a.app.NomadNamespace),
		(*text)(&a.app.Org), (*text)(&a.app.Description), (*text)(&a.app.Labels), &a.app.Maintenance, &a.app.AutoRelease,
		(*text)(&a.app.OwnerID), (*text)(&a.app.OwnerEmail), (*instant)(&a.app.CreatedAt), (*instant)(&a.app.UpdatedAt),
		&a.configID, &a.builds)
	return a, err
}

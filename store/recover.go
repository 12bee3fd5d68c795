package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/dynomad/dynomad"
)

// RecoveredApp is an app that was read back from the cluster.
type RecoveredApp struct {
	// State has no ids but the app's and the config version's; the others are made. Config is the config vars. Of the types'
	// records only what is good is kept.
	State dynomad.AppState
	Audit dynomad.Audit
}

// Recover adds an app that the database does not have, with its space if that is not there, and makes the installation that it is
// of the database's own. It is a Conflict if the app's id or name is taken, if its space has another namespace, or if the
// database has apps of another installation, whose jobs would be nobody's then.
func (s *Store) Recover(ctx context.Context, installation string, r RecoveredApp) error {
	return s.write(ctx, func(ctx context.Context, tx *tx) error {
		if err := adopt(ctx, tx, installation); err != nil {
			return err
		}
		return recoverApp(ctx, tx, r)
	})
}

// UnknownApps gives those of some apps' ids that the database never had; a deleted app is known.
func (s *Store) UnknownApps(ctx context.Context, ids []string) ([]string, error) {
	return s.unknownIDs(ctx, ids, `
		SELECT DISTINCT value
		FROM json_each(?)
		WHERE value NOT IN (SELECT id FROM apps)
		ORDER BY value`)
}

// unknownIDs gives those of some ids that a query does not find.
func (s *Store) unknownIDs(ctx context.Context, ids []string, query string) ([]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	array, err := json.Marshal(ids) // SQLite takes no lists
	if err != nil {
		return nil, fmt.Errorf("look for unknown ids: %w", err)
	}
	return s.ids(ctx, query, string(array))
}

// adopt makes an installation the database's own, if there are no apps of another.
func adopt(ctx context.Context, tx *tx, installation string) error {
	own, err := meta(ctx, tx, metaInstallation)
	if err != nil || own == installation {
		return err
	}
	apps, err := one[int](ctx, tx, `SELECT count(*) FROM apps WHERE deleted_at IS NULL OR removed_at IS NULL`)
	if err != nil {
		return fmt.Errorf("count the apps: %w", err)
	}
	if apps > 0 {
		return dynomad.Errorf(dynomad.Conflict, "The database has %d apps of the installation %s, so it cannot become that of %s.", apps, own, installation)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE meta SET value = ? WHERE key = ?`, installation, metaInstallation); err != nil {
		return fmt.Errorf("adopt an installation: %w", err)
	}
	return nil
}

func recoverApp(ctx context.Context, tx *tx, r RecoveredApp) error {
	st := r.State
	spaceID, err := recoverSpace(ctx, tx, st.App)
	if err != nil {
		return err
	}
	st.App.SpaceID, st.App.CreatedAt, st.App.UpdatedAt = spaceID, st.Wanted.CreatedAt, tx.now
	if err := insertApp(ctx, tx, st.App, st.ConfigID); err != nil {
		return err
	}
	if err := recoverConfig(ctx, tx, st); err != nil {
		return err
	}
	for _, t := range st.Types {
		t.ID, t.CreatedAt, t.UpdatedAt = uuid.NewString(), st.Wanted.CreatedAt, tx.now
		if err := putType(ctx, tx, t); err != nil {
			return err
		}
		if t.Record.Good == nil {
			continue
		}
		if err := putRecord(ctx, tx, st.App.ID, dynomad.TypeRecord{TypeID: t.ID, Good: t.Record.Good}); err != nil {
			return err
		}
	}
	build, release := *st.Build, *st.Wanted
	build.ID, build.CreatedAt, build.UpdatedAt = uuid.NewString(), st.Wanted.CreatedAt, tx.now
	if err := insertBuild(ctx, tx, st.App.ID, build); err != nil {
		return err
	}
	release.ID, release.BuildID = uuid.NewString(), build.ID
	if err := appendRelease(ctx, tx, st.App.ID, release); err != nil {
		return err
	}
	return insertAppAudit(ctx, tx, r.Audit, st.App)
}

// recoverSpace gives the id of an app's space, which is made if it is not there.
func recoverSpace(ctx context.Context, tx *tx, app dynomad.App) (string, error) {
	space, err := findSpace(ctx, tx, app.Space)
	if dynomad.KindOf(err) == dynomad.NotFound {
		space = dynomad.Space{
			ID: uuid.NewString(), Name: app.Space, NomadNamespace: app.NomadNamespace, CreatedAt: tx.now, UpdatedAt: tx.now,
		}
		return space.ID, insertSpace(ctx, tx, space)
	}
	if err == nil && space.NomadNamespace != app.NomadNamespace {
		return "", dynomad.Errorf(dynomad.Conflict, "The app's job is in Nomad's namespace %s, its space %s in %s: run with the NOMAD_NAMESPACE that the daemon has.",
			namespaceName(app.NomadNamespace), space.Name, namespaceName(space.NomadNamespace))
	}
	return space.ID, err
}

// namespaceName words the namespace of a space or an app.
func namespaceName(name string) string {
	if name == "" {
		return "that of NOMAD_NAMESPACE"
	}
	return name
}

// recoverConfig adds the app's config version, whose variable is in the cluster.
func recoverConfig(ctx context.Context, tx *tx, st dynomad.AppState) error {
	if err := insertConfig(ctx, tx, st.App.ID, dynomad.Config{ID: st.ConfigID, Vars: st.Config}); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE config_versions SET written = 1 WHERE id = ?`, st.ConfigID); err != nil {
		return fmt.Errorf("mark a config version: %w", err)
	}
	return nil
}

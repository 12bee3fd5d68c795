package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/dynomad/dynomad"
)

// ConfigVars gives the config vars of one version; NotFound once its app is deleted.
func (s *Store) ConfigVars(ctx context.Context, configID string) (dynomad.ConfigVars, error) {
	var vars dynomad.ConfigVars
	err := s.read(ctx, func(ctx context.Context, tx *tx) (err error) {
		vars, err = configVars(ctx, tx, configID)
		return err
	})
	return vars, err
}

// ConfigWritten records that a version's variable is about to be put, so that it is removed one day even if the daemon dies
// before it can tell whether it was.
func (s *Store) ConfigWritten(ctx context.Context, appID, configID string) error {
	return s.setWritten(ctx, appID, configID, true)
}

// ConfigRemoved records that a version has no variable any more.
func (s *Store) ConfigRemoved(ctx context.Context, appID, configID string) error {
	return s.setWritten(ctx, appID, configID, false)
}

func (s *Store) setWritten(ctx context.Context, appID, configID string, written bool) error {
	return s.write(ctx, func(ctx context.Context, tx *tx) error {
		tx.touchesBeside(appID)
		n, err := change(ctx, tx, `UPDATE config_versions SET written = ? WHERE app_id = ? AND id = ?`, written, appID, configID)
		if err != nil {
			return fmt.Errorf("mark a config version: %w", err)
		}
		if n == 0 {
			return missing("config version", configID)
		}
		return nil
	})
}

func configVars(ctx context.Context, tx *tx, configID string) (dynomad.ConfigVars, error) {
	sealed, err := one[[]byte](ctx, tx, `SELECT vars FROM config_versions WHERE id = ? AND vars IS NOT NULL`, configID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, missing("config version", configID)
	}
	if err != nil {
		return nil, fmt.Errorf("read config vars: %w", err)
	}
	vars := dynomad.ConfigVars{}
	return vars, tx.sealer.unseal(configPlace(configID), sealed, &vars)
}

// insertConfig adds a version of an app's config vars and numbers it.
func insertConfig(ctx context.Context, tx *tx, appID string, c dynomad.Config) error {
	vars := c.Vars
	if vars == nil {
		vars = dynomad.ConfigVars{}
	}
	sealed, err := tx.sealer.seal(configPlace(c.ID), vars)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO config_versions (id, app_id, number, created_at, vars)
		SELECT ?1, ?2, coalesce(max(number), 0) + 1, ?3, ?4
		FROM config_versions
		WHERE app_id = ?2`, c.ID, appID, instant(tx.now), sealed)
	if err != nil {
		return fmt.Errorf("insert a config version: %w", err)
	}
	return nil
}

// configRefs gives the versions of an app that have or need a variable, oldest first. A release that is pending needs no
// mention: it is always the newest, and so the wanted one. Runs that are under way may have older ones.
func configRefs(ctx context.Context, tx *tx, appID string) ([]dynomad.ConfigRef, error) {
	scan := func(r row) (c dynomad.ConfigRef, err error) {
		err = r.Scan(&c.ID, &c.Written, &c.Needed)
		return c, err
	}
	refs, err := list(ctx, tx, scan, `
		WITH needed AS (
		    SELECT r.config_id
		    FROM heads AS h
		    JOIN releases AS r ON r.app_id = h.app_id AND r.version IN (h.wanted, h.current)
		    WHERE h.app_id = ?1
		    UNION
		    SELECT config_id
		    FROM runs
		    WHERE app_id = ?1 AND removed = 0 AND ended_at IS NULL
		)
		SELECT id, written, id IN needed
		FROM config_versions
		WHERE id IN (SELECT config_id FROM needed UNION SELECT id FROM config_versions WHERE app_id = ?1 AND written = 1)
		ORDER BY number`, appID)
	if err != nil {
		return nil, fmt.Errorf("read config versions: %w", err)
	}
	return refs, nil
}

// configPlace is what a version's vars are sealed for.
func configPlace(id string) string { return "config_versions/" + id }

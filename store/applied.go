package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/dynomad/dynomad"
)

// AppIDs lists the apps that the loop must look at: those that were deleted but not yet removed from the cluster, whose
// names others may have taken, and then all that are not deleted.
func (s *Store) AppIDs(ctx context.Context) ([]string, error) {
	return s.ids(ctx, `
		SELECT id
		FROM apps
		WHERE deleted_at IS NULL OR removed_at IS NULL
		ORDER BY deleted_at IS NULL, name, deleted_at`)
}

// ids gives the ids that a query finds.
func (s *Store) ids(ctx context.Context, query string, args ...any) ([]string, error) {
	scan := func(r row) (id string, err error) {
		err = r.Scan(&id)
		return id, err
	}
	var found []string
	err := s.read(ctx, func(ctx context.Context, tx *tx) (err error) {
		found, err = list(ctx, tx, scan, query, args...)
		return err
	})
	return found, err
}

// Wanted gives what should run for an app, which may be deleted, and what the loop last did.
func (s *Store) Wanted(ctx context.Context, appID string) (dynomad.Wanted, error) {
	var w dynomad.Wanted
	err := s.read(ctx, func(ctx context.Context, tx *tx) (err error) {
		w, err = wanted(ctx, tx, appID)
		return err
	})
	if err != nil {
		return dynomad.Wanted{}, err
	}
	return w, nil
}

// Changes gives a number that moves with every write after which Wanted or AppRuns may give something else for an app.
func (s *Store) Changes(appID string) uint64 { return s.cache.changes(appID) }

// SaveApplied records what the loop did for an app.
func (s *Store) SaveApplied(ctx context.Context, appID string, a dynomad.AppliedState, audits ...dynomad.Audit) error {
	return s.write(ctx, func(ctx context.Context, tx *tx) error {
		tx.touches(appID)
		if err := putApplied(ctx, tx, appID, a); err != nil {
			return err
		}
		return auditApp(ctx, tx, appID, audits)
	})
}

func putApplied(ctx context.Context, tx *tx, appID string, a dynomad.AppliedState) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO applied (
		    app_id, spec_hash, modify_index, eval_id, rolling_out, failed_hash, problem, rollout, updated_at
		)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (app_id) DO UPDATE
		SET spec_hash = excluded.spec_hash, modify_index = excluded.modify_index, eval_id = excluded.eval_id,
		    rolling_out = excluded.rolling_out, failed_hash = excluded.failed_hash, problem = excluded.problem,
		    rollout = excluded.rollout, updated_at = excluded.updated_at`,
		appID, text(a.SpecHash), int64(a.ModifyIndex), text(a.EvalID), a.RollingOut, text(a.FailedHash), text(a.Problem), //nolint:gosec // Nomad's indexes count up from 1; a column has 63 bits
		jsonColumn{&a.Rollout}, instant(a.UpdatedAt))
	if dangling(err) {
		return missing("app", appID)
	}
	if err != nil {
		return fmt.Errorf("save what was applied: %w", err)
	}
	return nil
}

// AppRemoved records that a deleted app has no job and no variables any more: the loop is done with it.
func (s *Store) AppRemoved(ctx context.Context, appID string) error {
	return s.write(ctx, func(ctx context.Context, tx *tx) error {
		n, err := change(ctx, tx, `UPDATE apps SET removed_at = ? WHERE id = ? AND deleted_at IS NOT NULL`, instant(tx.now), appID)
		if err != nil {
			return fmt.Errorf("mark an app as removed: %w", err)
		}
		if n == 0 {
			return missing("deleted app", appID)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE config_versions SET written = 0 WHERE app_id = ?`, appID); err != nil {
			return fmt.Errorf("mark config versions: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM applied WHERE app_id = ?`, appID); err != nil {
			return fmt.Errorf("forget what was applied: %w", err)
		}
		return nil
	})
}

func wanted(ctx context.Context, tx *tx, appID string) (w dynomad.Wanted, err error) {
	if w.AppState, err = appState(ctx, tx, appID); err != nil {
		return w, err
	}
	if err = tx.QueryRowContext(ctx, `SELECT deleted_at IS NOT NULL, removed_at IS NOT NULL FROM apps WHERE id = ?`, appID).
		Scan(&w.Deleted, &w.Removed); err != nil {
		return w, fmt.Errorf("read an app: %w", err)
	}
	refs, err := configRefs(ctx, tx, appID)
	if err != nil {
		return w, err
	}
	for _, ref := range refs {
		ref.Needed = ref.Needed && !w.Deleted
		if ref.Needed || ref.Written {
			w.Configs = append(w.Configs, ref)
		}
	}
	switch {
	case w.Wanted == nil || w.Deleted:
	case w.Wanted.ConfigID == w.ConfigID:
		w.Release = w.Config
	default:
		if w.Release, err = configVars(ctx, tx, w.Wanted.ConfigID); err != nil {
			return w, err
		}
	}
	if w.Stops, err = stops(ctx, tx, appID); err != nil {
		return w, err
	}
	w.Applied, err = applied(ctx, tx, appID)
	return w, err
}

// setTrials puts the rollouts of a span's apps that run and have yet to prove good into the apps' states.
func setTrials(ctx context.Context, tx *tx, s span, states map[string]*dynomad.AppState) error {
	type running struct {
		appID   string
		rollout dynomad.Rollout
	}
	scan := func(r row) (t running, err error) {
		err = r.Scan(&t.appID, jsonColumn{&t.rollout})
		return t, err
	}
	all, err := list(ctx, tx, scan, `
		SELECT app_id, rollout
		FROM applied
		WHERE app_id BETWEEN ? AND ? AND rolling_out`, s.from, s.to)
	if err != nil {
		return fmt.Errorf("read the rollouts that run: %w", err)
	}
	for _, t := range all {
		if state := states[t.appID]; state != nil && t.rollout.Trial {
			state.Trial = &t.rollout
		}
	}
	return nil
}

// applied gives what the loop last did for an app; nothing is the zero AppliedState.
func applied(ctx context.Context, tx *tx, appID string) (dynomad.AppliedState, error) {
	var a dynomad.AppliedState
	var index int64 // SQLite has no unsigned integers
	err := tx.QueryRowContext(ctx, `
		SELECT spec_hash, modify_index, eval_id, rolling_out, failed_hash, problem, rollout, updated_at
		FROM applied
		WHERE app_id = ?`, appID).
		Scan((*text)(&a.SpecHash), &index, (*text)(&a.EvalID), &a.RollingOut, (*text)(&a.FailedHash), (*text)(&a.Problem),
			jsonColumn{&a.Rollout}, (*instant)(&a.UpdatedAt))
	if errors.Is(err, sql.ErrNoRows) {
		return dynomad.AppliedState{}, nil
	}
	if err != nil {
		return dynomad.AppliedState{}, fmt.Errorf("read what was applied: %w", err)
	}
	a.ModifyIndex = uint64(index) //nolint:gosec // written from a uint64 by SaveApplied
	return a, nil
}

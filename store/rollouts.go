package store

import (
	"context"
	"fmt"

	"github.com/dynomad/dynomad"
)

// EndRollout records the end of a rollout: what the loop did, what it found of the types, and what becomes of the release.
// It reports whether the release, if one is named, ended by it: one that is not in the status From stays as it is.
func (s *Store) EndRollout(ctx context.Context, appID string, end dynomad.RolloutEnd) (ended bool, err error) {
	err = s.write(ctx, func(ctx context.Context, tx *tx) error {
		tx.touches(appID)
		if err := putApplied(ctx, tx, appID, end.Applied); err != nil {
			return err
		}
		for _, r := range end.Records {
			if err := putRecord(ctx, tx, appID, r); err != nil {
				return err
			}
		}
		audits := end.Audits
		if end.Release != nil {
			if ended, err = endRelease(ctx, tx, appID, *end.Release); err != nil {
				return err
			}
			if ended {
				audits = append([]dynomad.Audit{end.Release.Audit}, audits...)
			}
		}
		return auditApp(ctx, tx, appID, audits)
	})
	return ended && err == nil, err
}

// endRelease changes a release's status if it has the one that it must have.
func endRelease(ctx context.Context, tx *tx, appID string, end dynomad.ReleaseEnd) (bool, error) {
	n, err := change(ctx, tx, `
		UPDATE releases
		SET status = ?, additional_info = ?, updated_at = ?
		WHERE app_id = ? AND id = ? AND status = ?`, end.Status, text(end.Info), instant(tx.now), appID, end.ID, end.From)
	if err != nil {
		return false, fmt.Errorf("end a release: %w", err)
	}
	return n > 0, nil
}

// auditApp writes audits of an app, which may be deleted.
func auditApp(ctx context.Context, tx *tx, appID string, audits []dynomad.Audit) error {
	if len(audits) == 0 {
		return nil
	}
	about, err := apps(ctx, tx, onlyApp(appID))
	if err != nil || len(about) == 0 {
		return err
	}
	for _, a := range audits {
		if err := insertAppAudit(ctx, tx, a, about[0].app); err != nil {
			return err
		}
	}
	return nil
}

// putRecord writes what rollouts found of a type; of a type that is gone, nothing.
func putRecord(ctx context.Context, tx *tx, appID string, r dynomad.TypeRecord) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO type_records (type_id, good, failed, failed_in, reason, state, updated_at)
		SELECT id, ?, ?, ?, ?, ?, ?
		FROM dyno_types
		WHERE id = ? AND app_id = ?
		ON CONFLICT (type_id) DO UPDATE
		SET good = excluded.good, failed = excluded.failed, failed_in = excluded.failed_in, reason = excluded.reason,
		    state = excluded.state, updated_at = excluded.updated_at`,
		jsonColumn{r.Good}, jsonColumn{r.Failed}, text(r.FailedIn), text(r.Reason), text(r.State), instant(tx.now), r.TypeID, appID)
	if err != nil {
		return fmt.Errorf("put a type's record: %w", err)
	}
	return nil
}

// forgive has a type's failed definition tried again.
func forgive(ctx context.Context, tx *tx, appID, typeID string) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE type_records
		SET failed = NULL, failed_in = NULL, reason = NULL, state = NULL, updated_at = ?
		WHERE type_id = (SELECT id FROM dyno_types WHERE id = ? AND app_id = ?)`, instant(tx.now), typeID, appID)
	if err != nil {
		return fmt.Errorf("forget a type's failure: %w", err)
	}
	return nil
}

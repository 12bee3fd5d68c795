package store

import (
	"context"
	"fmt"

	"github.com/dynomad/dynomad"
)

// StopDone records that a dyno that was to be replaced is being replaced, or is gone.
func (s *Store) StopDone(ctx context.Context, appID, dynoID string) error {
	return s.write(ctx, func(ctx context.Context, tx *tx) error {
		tx.touchesBeside(appID)
		return deleteStop(ctx, tx, appID, dynoID)
	})
}

// RestartInstead has a dyno's whole type replaced in its stead, by a new restart id, and ends the wish for the dyno alone.
func (s *Store) RestartInstead(ctx context.Context, appID string, stop dynomad.DynoStop, restartID string) error {
	return s.write(ctx, func(ctx context.Context, tx *tx) error {
		tx.touches(appID)
		_, err := tx.ExecContext(ctx, `UPDATE dyno_types SET restart_id = ? WHERE app_id = ? AND type = ?`, restartID, appID, stop.Type)
		if err != nil {
			return fmt.Errorf("set a restart id: %w", err)
		}
		return deleteStop(ctx, tx, appID, stop.DynoID)
	})
}

func insertStop(ctx context.Context, tx *tx, appID string, stop dynomad.DynoStop) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO dyno_stops (app_id, dyno_id, type, requested_at)
		VALUES (?, ?, ?, ?)
		ON CONFLICT (app_id, dyno_id) DO NOTHING`, appID, stop.DynoID, stop.Type, instant(stop.RequestedAt))
	if err != nil {
		return fmt.Errorf("insert the stop of a dyno: %w", err)
	}
	return nil
}

func deleteStop(ctx context.Context, tx *tx, appID, dynoID string) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM dyno_stops WHERE app_id = ? AND dyno_id = ?`, appID, dynoID); err != nil {
		return fmt.Errorf("delete the stop of a dyno: %w", err)
	}
	return nil
}

func stops(ctx context.Context, tx *tx, appID string) ([]dynomad.DynoStop, error) {
	scan := func(r row) (d dynomad.DynoStop, err error) {
		err = r.Scan(&d.DynoID, &d.Type, (*instant)(&d.RequestedAt))
		return d, err
	}
	all, err := list(ctx, tx, scan, `
		SELECT dyno_id, type, requested_at
		FROM dyno_stops
		WHERE app_id = ?
		ORDER BY requested_at, dyno_id`, appID)
	if err != nil {
		return nil, fmt.Errorf("read the stops of dynos: %w", err)
	}
	return all, nil
}

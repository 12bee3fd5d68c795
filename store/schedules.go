package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/dynomad/dynomad"
)

// Schedules lists the dyno types with a schedule of all apps that are not deleted.
func (s *Store) Schedules(ctx context.Context) ([]dynomad.Schedule, error) {
	scan := func(r row) (d dynomad.Schedule, err error) {
		err = r.Scan(&d.AppID, &d.TypeID, &d.Expr, (*instant)(&d.SeenUntil))
		return d, err
	}
	var all []dynomad.Schedule
	err := s.read(ctx, func(ctx context.Context, tx *tx) (err error) {
		all, err = list(ctx, tx, scan, `
			SELECT t.app_id, t.id, t.schedule, s.seen_until
			FROM type_schedules AS s
			CROSS JOIN dyno_types AS t ON t.id = s.type_id -- in this order: SQLite would look through all types for the few that have a schedule
			WHERE t.schedule IS NOT NULL
			ORDER BY t.app_id, t.type`)
		return err
	})
	return all, err
}

// TakeSlots sees to what has come due of a type's schedule: decide is given the app's state, the type and until when the schedule was
// seen to, in the transaction that commits what it decides. A type that is gone is passed over, and so is a minute that has a run.
func (s *Store) TakeSlots(ctx context.Context, appID, typeID string, decide func(dynomad.AppState, dynomad.DynoType, time.Time) dynomad.Slots) error {
	return s.write(ctx, func(ctx context.Context, tx *tx) error {
		tx.touches(appID)
		until, err := seenUntil(ctx, tx, typeID)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		state, err := appState(ctx, tx, appID)
		if err != nil {
			return err
		}
		t, ok := state.Type(typeID)
		if !ok || t.Schedule == nil {
			return nil
		}
		taken := decide(state, t, until)
		for _, run := range taken.Runs {
			made, err := one[int](ctx, tx, `SELECT count(*) FROM runs WHERE type_id = ? AND scheduled_at = ?`, run.TypeID, instant(run.Scheduled))
			if err != nil {
				return fmt.Errorf("look for a run: %w", err)
			}
			if made > 0 {
				continue
			}
			if err := insertSlot(ctx, tx, appID, run); err != nil {
				return err
			}
		}
		if err := putSeenUntil(ctx, tx, typeID, taken.SeenUntil); err != nil {
			return err
		}
		if err := forgetRuns(ctx, tx); err != nil {
			return err
		}
		return auditApp(ctx, tx, appID, taken.Audits)
	})
}

// LastRuns gives the newest runs that a type's schedule has made, the newest first.
func (s *Store) LastRuns(ctx context.Context, typeID string, most int) ([]dynomad.Run, error) {
	var runs []dynomad.Run
	err := s.read(ctx, func(ctx context.Context, tx *tx) error {
		sealed, err := list(ctx, tx, scanRun, `
			SELECT `+runColumns+`
			FROM runs
			WHERE type_id = ? AND scheduled_at IS NOT NULL
			ORDER BY scheduled_at DESC
			LIMIT ?`, typeID, most)
		runs = runsOf(sealed)
		return err
	})
	return runs, err
}

// insertSlot adds a run of a schedule and numbers it. One that was skipped has ended, and has nothing to remove.
func insertSlot(ctx context.Context, tx *tx, appID string, run dynomad.Run) error {
	var err error
	if run.Number, err = nextRun(ctx, tx); err != nil {
		return err
	}
	if err := insertRun(ctx, tx, appID, run); err != nil {
		return err
	}
	if run.Ended == nil {
		return nil
	}
	_, err = tx.ExecContext(ctx, `UPDATE runs SET env = NULL, ended_at = ?, end_state = ?, end_info = ?, removed = 1 WHERE id = ?`,
		instant(run.Ended.At), string(run.Ended.State), text(run.Ended.Info), run.ID)
	if err != nil {
		return fmt.Errorf("insert a skipped run: %w", err)
	}
	return nil
}

func seenUntil(ctx context.Context, tx *tx, typeID string) (time.Time, error) {
	var until instant
	err := tx.QueryRowContext(ctx, `SELECT seen_until FROM type_schedules WHERE type_id = ?`, typeID).Scan(&until)
	return time.Time(until), err
}

func putSeenUntil(ctx context.Context, tx *tx, typeID string, until time.Time) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO type_schedules (type_id, seen_until)
		VALUES (?, ?)
		ON CONFLICT (type_id) DO UPDATE
		SET seen_until = excluded.seen_until`, typeID, instant(until))
	if err != nil {
		return fmt.Errorf("record until when a schedule was seen to: %w", err)
	}
	return nil
}

// startSchedules has schedules that are new, or other ones than before, count from now on.
func startSchedules(ctx context.Context, tx *tx, before dynomad.AppState, types []dynomad.DynoType) error {
	for _, t := range types {
		old, known := before.Type(t.ID)
		if t.Schedule == nil || known && old.Schedule != nil && *old.Schedule == *t.Schedule {
			continue
		}
		if err := putSeenUntil(ctx, tx, t.ID, tx.now); err != nil {
			return err
		}
	}
	return nil
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/dynomad/dynomad"
)

// CreateRun adds the run that decide makes of an app's state and the run's number.
func (s *Store) CreateRun(ctx context.Context, key string, decide func(dynomad.AppState, int) (dynomad.Run, dynomad.Audit, error)) (dynomad.AppState, dynomad.Run, error) {
	var run dynomad.Run
	after, err := s.writeApp(ctx, key, func(ctx context.Context, tx *tx, before dynomad.AppState) error {
		number, err := nextRun(ctx, tx)
		if err != nil {
			return err
		}
		var audit dynomad.Audit
		if run, audit, err = decide(before, number); err != nil {
			return err
		}
		if err := insertRun(ctx, tx, before.App.ID, run); err != nil {
			return err
		}
		if err := insertAppAudit(ctx, tx, audit, before.App); err != nil {
			return err
		}
		return forgetRuns(ctx, tx)
	})
	if err != nil {
		return dynomad.AppState{}, dynomad.Run{}, err
	}
	return after, run, nil
}

// StopRun records why a run is to end, with an audit; nothing if it has ended or was told to before.
func (s *Store) StopRun(ctx context.Context, appID, runID, reason string, audit dynomad.Audit) error {
	return s.write(ctx, func(ctx context.Context, tx *tx) error {
		tx.touches(appID)
		n, err := change(ctx, tx, `
			UPDATE runs
			SET stop_reason = ?
			WHERE app_id = ? AND id = ? AND stop_reason IS NULL AND ended_at IS NULL`, reason, appID, runID)
		if err != nil {
			return fmt.Errorf("stop a run: %w", err)
		}
		if n == 0 {
			return nil
		}
		return auditApp(ctx, tx, appID, []dynomad.Audit{audit})
	})
}

// RunRegistered records that Nomad has a run's job.
func (s *Store) RunRegistered(ctx context.Context, appID, runID string) error {
	return s.setRun(ctx, appID, runID, `UPDATE runs SET registered = 1 WHERE app_id = ? AND id = ?`)
}

// RunPlaced records the one allocation that may run a run, and gives the one that is recorded: the first.
func (s *Store) RunPlaced(ctx context.Context, appID, runID, allocID string) (placed string, err error) {
	err = s.write(ctx, func(ctx context.Context, tx *tx) (err error) {
		tx.touches(appID)
		placed, err = one[string](ctx, tx, `
			UPDATE runs
			SET alloc_id = coalesce(alloc_id, ?)
			WHERE app_id = ? AND id = ?
			RETURNING alloc_id`, allocID, appID, runID)
		if errors.Is(err, sql.ErrNoRows) {
			return missing("run", runID)
		}
		return err
	})
	return placed, err
}

// EndRun records what became of a run, once, with audits; the environment of its own is forgotten.
func (s *Store) EndRun(ctx context.Context, appID, runID string, end dynomad.RunEnd, audits ...dynomad.Audit) error {
	return s.write(ctx, func(ctx context.Context, tx *tx) error {
		tx.touches(appID)
		n, err := change(ctx, tx, `
			UPDATE runs
			SET env = NULL, ended_at = ?, end_state = ?, exit_code = ?, end_info = ?, end_node = ?, alloc_id = coalesce(alloc_id, ?)
			WHERE app_id = ? AND id = ? AND ended_at IS NULL`,
			instant(end.At), string(end.State), end.ExitCode, text(end.Info), text(end.Node), text(end.AllocID), appID, runID)
		if err != nil {
			return fmt.Errorf("end a run: %w", err)
		}
		if n == 0 {
			return nil
		}
		return auditApp(ctx, tx, appID, audits)
	})
}

// AttachedRuns gives the runs of all apps that a client is to attach to, if they have neither ended nor are to, by number.
func (s *Store) AttachedRuns(ctx context.Context) ([]dynomad.Run, error) {
	var runs []dynomad.Run
	err := s.read(ctx, func(ctx context.Context, tx *tx) error {
		sealed, err := list(ctx, tx, scanRun, `
			SELECT `+runColumns+`
			FROM runs
			WHERE removed = 0 AND attach = 1 AND ended_at IS NULL AND stop_reason IS NULL
			ORDER BY number`)
		runs = runsOf(sealed)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read attached runs: %w", err)
	}
	return runs, nil
}

// RunRemoved records that a run that has ended has no job and no variable any more, and is no longer listed.
func (s *Store) RunRemoved(ctx context.Context, appID, runID string) error {
	return s.setRun(ctx, appID, runID, `UPDATE runs SET removed = 1 WHERE app_id = ? AND id = ? AND ended_at IS NOT NULL`)
}

// UnknownRuns gives those of some runs' ids that the database does not have.
func (s *Store) UnknownRuns(ctx context.Context, ids []string) ([]string, error) {
	return s.unknownIDs(ctx, ids, `
		SELECT DISTINCT value
		FROM json_each(?)
		WHERE value NOT IN (SELECT id FROM runs)
		ORDER BY value`)
}

// setRun changes one thing of a run that is there.
func (s *Store) setRun(ctx context.Context, appID, runID, query string) error {
	return s.write(ctx, func(ctx context.Context, tx *tx) error {
		tx.touches(appID)
		n, err := change(ctx, tx, query, appID, runID)
		if err != nil {
			return fmt.Errorf("mark a run: %w", err)
		}
		if n == 0 {
			return missing("run", runID)
		}
		return nil
	})
}

// nextRun gives the next run's number.
func nextRun(ctx context.Context, tx *tx) (int, error) {
	number, err := one[int](ctx, tx, `UPDATE sequences SET last = last + 1 WHERE name = 'run' RETURNING last`)
	if err != nil {
		return 0, fmt.Errorf("number a run: %w", err)
	}
	return number, nil
}

// SkipRuns has no run get a number up to last, as those may be taken in the cluster.
func (s *Store) SkipRuns(ctx context.Context, last int) error {
	return s.write(ctx, func(ctx context.Context, tx *tx) error {
		tx.touches("")
		if _, err := tx.ExecContext(ctx, `UPDATE sequences SET last = max(last, ?) WHERE name = 'run'`, last); err != nil {
			return fmt.Errorf("skip the numbers of runs: %w", err)
		}
		return nil
	})
}

func insertRun(ctx context.Context, tx *tx, appID string, r dynomad.Run) error {
	var env []byte
	if r.HasEnv {
		var err error
		if env, err = tx.sealer.seal(runPlace(r.ID), r.Env); err != nil {
			return err
		}
	}
	scheduled, deadline := maybeTime(r.Scheduled), maybeTime(r.Deadline)
	_, err := tx.ExecContext(ctx, `
		INSERT INTO runs (
		    id, app_id, number, type, type_id, scheduled_at, command, shell, image, size, attach, has_env, env, deadline, release_id,
		    release_version, config_id, created_at
		)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, appID, r.Number, r.Type, text(r.TypeID), maybeInstant{&scheduled}, r.Command, r.Shell, r.Image, r.Size, r.Attach, r.HasEnv,
		env, maybeInstant{&deadline}, text(r.ReleaseID), r.ReleaseVersion, r.ConfigID, instant(r.CreatedAt))
	if err != nil {
		return fmt.Errorf("insert a run: %w", err)
	}
	return nil
}

// forgottenAtOnce bounds how many old runs one new one takes the place of.
const forgottenAtOnce = 100

// forgetRuns drops the records of runs that ended long ago.
func forgetRuns(ctx context.Context, tx *tx) error {
	_, err := tx.ExecContext(ctx, `
		DELETE FROM runs
		WHERE id IN (SELECT id FROM runs WHERE removed = 1 AND ended_at < ? ORDER BY ended_at LIMIT ?)`,
		instant(tx.now.Add(-dynomad.RunKept)), forgottenAtOnce)
	if err != nil {
		return fmt.Errorf("forget old runs: %w", err)
	}
	return nil
}

const runColumns = `
	id, app_id, number, type, type_id, scheduled_at, command, shell, image, size, attach, has_env, deadline, release_id,
	release_version, config_id, created_at, registered, alloc_id, stop_reason, ended_at, end_state, exit_code, end_info, end_node, env`

// listedRuns gives the runs of an app that are under way or listed, by number. The environments of their own are left sealed.
func listedRuns(ctx context.Context, tx *tx, appID string) ([]dynomad.Run, error) {
	sealed, err := sealedRuns(ctx, tx, appID)
	return runsOf(sealed), err
}

// AppsWithRuns lists the apps that have runs which are not removed, deleted apps among them.
func (s *Store) AppsWithRuns(ctx context.Context) ([]string, error) {
	return s.ids(ctx, `SELECT DISTINCT app_id FROM runs WHERE removed = 0 ORDER BY app_id`)
}

// AppRuns gives the runs of an app, which may be deleted, that the loop has to see to. Those that have not ended have the environments
// of their own.
func (s *Store) AppRuns(ctx context.Context, appID string) (dynomad.AppRuns, error) {
	var wanted dynomad.AppRuns
	err := s.read(ctx, func(ctx context.Context, tx *tx) error {
		found, err := apps(ctx, tx, onlyApp(appID))
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return missing("app", appID)
		}
		wanted.App = found[0].app
		if wanted.Deleted, err = one[bool](ctx, tx, `SELECT deleted_at IS NOT NULL FROM apps WHERE id = ?`, appID); err != nil {
			return err
		}
		wanted.Runs, err = openedRuns(ctx, tx, appID)
		return err
	})
	if err != nil {
		return dynomad.AppRuns{}, err
	}
	return wanted, nil
}

// openedRuns is listedRuns with the environments of those that have not ended.
func openedRuns(ctx context.Context, tx *tx, appID string) ([]dynomad.Run, error) {
	sealed, err := sealedRuns(ctx, tx, appID)
	if err != nil {
		return nil, err
	}
	var runs []dynomad.Run
	for _, r := range sealed {
		if r.env != nil && r.run.Ended == nil {
			if err := tx.sealer.unseal(runPlace(r.run.ID), r.env, &r.run.Env); err != nil {
				return nil, err
			}
		}
		runs = append(runs, r.run)
	}
	return runs, nil
}

// sealedRun is a row of runs.
type sealedRun struct {
	run dynomad.Run
	env []byte
}

// runsOf gives the runs without the environments of their own; nil for none.
func runsOf(sealed []sealedRun) []dynomad.Run {
	var runs []dynomad.Run
	for _, s := range sealed {
		runs = append(runs, s.run)
	}
	return runs
}

func sealedRuns(ctx context.Context, tx *tx, appID string) ([]sealedRun, error) {
	all, err := list(ctx, tx, scanRun, `SELECT `+runColumns+` FROM runs WHERE app_id = ? AND removed = 0 ORDER BY number`, appID)
	if err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	return all, nil
}

func scanRun(row row) (sealedRun, error) {
	var s sealedRun
	var scheduled, deadline, ended *time.Time
	var end dynomad.RunEnd
	r := &s.run
	err := row.Scan(&r.ID, &r.AppID, &r.Number, &r.Type, (*text)(&r.TypeID), maybeInstant{&scheduled}, &r.Command, &r.Shell, &r.Image,
		&r.Size, &r.Attach, &r.HasEnv, maybeInstant{&deadline}, (*text)(&r.ReleaseID), &r.ReleaseVersion, &r.ConfigID,
		(*instant)(&r.CreatedAt), &r.Registered, (*text)(&r.AllocID), (*text)(&r.StopReason), maybeInstant{&ended},
		(*text)(&end.State), &end.ExitCode, (*text)(&end.Info), (*text)(&end.Node), &s.env)
	if scheduled != nil {
		r.Scheduled = *scheduled
	}
	if deadline != nil {
		r.Deadline = *deadline
	}
	if ended != nil {
		end.At, end.AllocID = *ended, r.AllocID
		r.Ended = &end
	}
	return s, err
}

// buryRuns has the runs of a deleted app end, and forgets the environments of their own.
func buryRuns(ctx context.Context, tx *tx, appID string) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE runs
		SET env = NULL, stop_reason = CASE WHEN ended_at IS NULL THEN coalesce(stop_reason, 'The app was deleted.') ELSE stop_reason END
		WHERE app_id = ? AND removed = 0`, appID)
	if err != nil {
		return fmt.Errorf("stop the runs of an app: %w", err)
	}
	return nil
}

// runPlace is what a run's own environment is sealed for.
func runPlace(id string) string { return "runs/" + id }

// maybeTime gives nil for no time.
func maybeTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

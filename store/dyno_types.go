package store

import (
	"context"
	"fmt"

	"github.com/dynomad/dynomad"
)

// dynoTypes gives the dyno types of a span's apps, by type.
func dynoTypes(ctx context.Context, tx *tx, s span) ([]dynomad.DynoType, error) {
	scan := func(r row) (dynomad.DynoType, error) { return scanType(r, tx.sealer) }
	all, err := list(ctx, tx, scan, `
		SELECT
		    t.id, t.app_id, t.type, t.command, t.quantity, t.size, t.port, t.healthcheck, t.one_off, t.schedule, t.options,
		    t.restart_id, t.from_slug, t.created_at, t.updated_at, r.good, r.failed, r.failed_in, r.reason, r.state
		FROM dyno_types AS t
		LEFT JOIN type_records AS r ON r.type_id = t.id
		WHERE t.app_id BETWEEN ? AND ?
		ORDER BY t.app_id, t.type`, s.from, s.to)
	if err != nil {
		return nil, fmt.Errorf("read dyno types: %w", err)
	}
	return all, nil
}

func scanType(r row, seal sealer) (dynomad.DynoType, error) {
	var t dynomad.DynoType
	var options []byte
	err := r.Scan(&t.ID, &t.AppID, &t.Type, &t.Command, &t.Quantity, &t.Size, (*number)(&t.Port), &t.Healthcheck, &t.OneOff,
		&t.Schedule, &options, (*text)(&t.RestartID), &t.FromSlug, (*instant)(&t.CreatedAt), (*instant)(&t.UpdatedAt),
		jsonColumn{&t.Record.Good}, jsonColumn{&t.Record.Failed}, (*text)(&t.Record.FailedIn), (*text)(&t.Record.Reason),
		(*text)(&t.Record.State))
	if t.Record.Good != nil || t.Record.Failed != nil {
		t.Record.TypeID = t.ID
	}
	if err != nil || options == nil {
		return t, err
	}
	t.Options = &dynomad.Options{}
	return t, seal.unseal(typePlace(t.ID), options, t.Options)
}

// putType adds a dyno type, or replaces what may change of the one with its id.
func putType(ctx context.Context, tx *tx, t dynomad.DynoType) error {
	var options []byte
	if t.Options != nil {
		var err error
		if options, err = tx.sealer.seal(typePlace(t.ID), t.Options); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `
		INSERT INTO dyno_types (
		    id, app_id, type, command, quantity, size, port, healthcheck, one_off, schedule, options, restart_id, from_slug,
		    created_at, updated_at
		)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE
		SET command = excluded.command, quantity = excluded.quantity, size = excluded.size, port = excluded.port,
		    healthcheck = excluded.healthcheck, one_off = excluded.one_off, schedule = excluded.schedule,
		    options = excluded.options, restart_id = excluded.restart_id, from_slug = excluded.from_slug,
		    updated_at = excluded.updated_at
		WHERE app_id = excluded.app_id`,
		t.ID, t.AppID, t.Type, t.Command, t.Quantity, t.Size, number(t.Port), t.Healthcheck, t.OneOff, t.Schedule, options,
		text(t.RestartID), t.FromSlug, instant(t.CreatedAt), instant(t.UpdatedAt))
	if duplicate(err) {
		return dynomad.Wrap(dynomad.Conflict, err, "The dyno type %s already exists.", t.Type)
	}
	if err != nil {
		return fmt.Errorf("put a dyno type: %w", err)
	}
	return nil
}

func deleteType(ctx context.Context, tx *tx, appID, id string) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM dyno_types WHERE app_id = ? AND id = ?`, appID, id); err != nil {
		return fmt.Errorf("delete a dyno type: %w", err)
	}
	return nil
}

// typePlace is what a type's options are sealed for.
func typePlace(id string) string { return "dyno_types/" + id }

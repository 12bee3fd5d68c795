package store

import (
	"context"
	"fmt"
	"maps"

	"github.com/dynomad/dynomad"
)

// Notes gives the notes on an app's config vars.
func (s *Store) Notes(ctx context.Context, appID string) (map[string]dynomad.VarNote, error) {
	var all map[string]dynomad.VarNote
	err := s.read(ctx, func(ctx context.Context, tx *tx) (err error) {
		all, err = notes(ctx, tx, appID)
		return err
	})
	return all, err
}

// EditNotes replaces an app's notes by what decide makes of them.
func (s *Store) EditNotes(
	ctx context.Context, appID string, decide func(map[string]dynomad.VarNote) (map[string]dynomad.VarNote, error), audit dynomad.Audit,
) (map[string]dynomad.VarNote, error) {
	var after map[string]dynomad.VarNote
	err := s.write(ctx, func(ctx context.Context, tx *tx) error {
		about, err := liveApp(ctx, tx, appID)
		if err != nil {
			return err
		}
		before, err := notes(ctx, tx, appID)
		if err != nil {
			return err
		}
		if after, err = decide(maps.Clone(before)); err != nil {
			return err
		}
		if maps.Equal(before, after) {
			return nil
		}
		if err := replaceNotes(ctx, tx, appID, after); err != nil {
			return fmt.Errorf("replace notes: %w", err)
		}
		return insertAppAudit(ctx, tx, audit, about)
	})
	if err != nil {
		return nil, err
	}
	return after, nil
}

func replaceNotes(ctx context.Context, tx *tx, appID string, all map[string]dynomad.VarNote) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM notes WHERE app_id = ?`, appID); err != nil {
		return err
	}
	for name, note := range all {
		_, err := tx.ExecContext(ctx, `INSERT INTO notes (app_id, name, required, description) VALUES (?, ?, ?, ?)`,
			appID, name, note.Required, text(note.Description))
		if err != nil {
			return err
		}
	}
	return nil
}

func notes(ctx context.Context, tx *tx, appID string) (map[string]dynomad.VarNote, error) {
	type named struct {
		name string
		note dynomad.VarNote
	}
	scan := func(r row) (n named, err error) {
		err = r.Scan(&n.name, &n.note.Required, (*text)(&n.note.Description))
		return n, err
	}
	found, err := list(ctx, tx, scan, `SELECT name, required, description FROM notes WHERE app_id = ?`, appID)
	if err != nil {
		return nil, fmt.Errorf("read notes: %w", err)
	}
	all := make(map[string]dynomad.VarNote, len(found))
	for _, n := range found {
		all[n.name] = n.note
	}
	return all, nil
}

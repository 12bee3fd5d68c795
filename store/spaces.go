package store

import (
	"context"
	"fmt"

	"github.com/dynomad/dynomad"
)

// CreateSpace adds a space.
func (s *Store) CreateSpace(ctx context.Context, space dynomad.Space, audit dynomad.Audit) (dynomad.Space, error) {
	var created dynomad.Space
	err := s.write(ctx, func(ctx context.Context, tx *tx) (err error) {
		if err := insertSpace(ctx, tx, space); err != nil {
			return err
		}
		if created, err = findSpace(ctx, tx, space.ID); err != nil {
			return err
		}
		audit.Space = created.Name
		return insertAudit(ctx, tx, audit, created.ID)
	})
	return created, err
}

// Spaces lists all spaces by name.
func (s *Store) Spaces(ctx context.Context) ([]dynomad.Space, error) {
	var all []dynomad.Space
	err := s.read(ctx, func(ctx context.Context, tx *tx) (err error) {
		all, err = spaces(ctx, tx, `ORDER BY s.name`)
		return err
	})
	return all, err
}

// Space gives a space by name or id.
func (s *Store) Space(ctx context.Context, key string) (dynomad.Space, error) {
	var space dynomad.Space
	err := s.read(ctx, func(ctx context.Context, tx *tx) (err error) {
		space, err = findSpace(ctx, tx, key)
		return err
	})
	return space, err
}

// DeleteSpace removes a space without apps, and the tokens tied to it. A tombstone stays: apps that were in it refer to it,
// and the loop may have yet to end their jobs in its namespace.
func (s *Store) DeleteSpace(ctx context.Context, key string, audit dynomad.Audit) (dynomad.Space, error) {
	var space dynomad.Space
	err := s.write(ctx, func(ctx context.Context, tx *tx) (err error) {
		if space, err = findSpace(ctx, tx, key); err != nil {
			return err
		}
		if space.Name == dynomad.DefaultSpace {
			return dynomad.Errorf(dynomad.Conflict, "The space %s cannot be deleted.", space.Name)
		}
		if space.AppCount > 0 {
			return dynomad.Errorf(dynomad.Conflict, "The space %s still has apps (%d); delete them first.", space.Name, space.AppCount)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE spaces SET deleted_at = ? WHERE id = ?`, instant(tx.now), space.ID); err != nil {
			return fmt.Errorf("delete a space: %w", err)
		}
		if err := deleteAuthorizations(ctx, tx, `space_id = ?`, space.ID); err != nil {
			return err
		}
		audit.Space = space.Name
		return insertAudit(ctx, tx, audit, space.ID)
	})
	return space, err
}

func insertSpace(ctx context.Context, tx *tx, s dynomad.Space) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO spaces (id, name, description, nomad_namespace, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?)`,
		s.ID, s.Name, text(s.Description), text(s.NomadNamespace), instant(s.CreatedAt), instant(s.UpdatedAt))
	if duplicate(err) {
		return dynomad.Wrap(dynomad.Conflict, err, "The space %s already exists.", s.Name)
	}
	if err != nil {
		return fmt.Errorf("insert a space: %w", err)
	}
	return nil
}

func findSpace(ctx context.Context, tx *tx, key string) (dynomad.Space, error) {
	found, err := spaces(ctx, tx, `AND (s.id = ?1 OR s.name = ?1)`, key)
	if err != nil {
		return dynomad.Space{}, err
	}
	if len(found) == 0 {
		return dynomad.Space{}, missing("space", key)
	}
	return found[0], nil
}

// spaces gives the spaces that are not deleted; rest is how the query goes on.
func spaces(ctx context.Context, tx *tx, rest string, args ...any) ([]dynomad.Space, error) {
	all, err := list(ctx, tx, scanSpace, `
		SELECT
		    s.id, s.name, s.description, s.nomad_namespace, s.created_at, s.updated_at,
		    (SELECT count(*) FROM apps AS a WHERE a.space_id = s.id AND a.deleted_at IS NULL)
		FROM spaces AS s
		WHERE s.deleted_at IS NULL `+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("read spaces: %w", err)
	}
	return all, nil
}

func scanSpace(r row) (dynomad.Space, error) {
	var s dynomad.Space
	err := r.Scan(&s.ID, &s.Name, (*text)(&s.Description), (*text)(&s.NomadNamespace),
		(*instant)(&s.CreatedAt), (*instant)(&s.UpdatedAt), &s.AppCount)
	return s, err
}

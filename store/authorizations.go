package store

import (
	"context"
	"fmt"

	"github.com/dynomad/dynomad"
)

// CreateAuthorization adds a token's record.
func (s *Store) CreateAuthorization(ctx context.Context, a dynomad.Authorization, audit dynomad.Audit) error {
	return s.write(ctx, func(ctx context.Context, tx *tx) error {
		if a.AppID != "" {
			if _, err := appID(ctx, tx, a.AppID); err != nil {
				return err
			}
		}
		if a.SpaceID != "" {
			if _, err := findSpace(ctx, tx, a.SpaceID); err != nil {
				return err
			}
		}
		if err := insertAuthorization(ctx, tx, a); err != nil {
			return err
		}
		return insertAudit(ctx, tx, audit, "")
	})
}

// Authorizations lists all tokens' records, oldest first.
func (s *Store) Authorizations(ctx context.Context) ([]dynomad.Authorization, error) {
	var all []dynomad.Authorization
	err := s.read(ctx, func(ctx context.Context, tx *tx) (err error) {
		all, err = authorizations(ctx, tx, `ORDER BY created_at, rowid`)
		return err
	})
	return all, err
}

// Authorization gives a token's record.
func (s *Store) Authorization(ctx context.Context, id string) (dynomad.Authorization, error) {
	var a dynomad.Authorization
	err := s.read(ctx, func(ctx context.Context, tx *tx) (err error) {
		a, err = authorization(ctx, tx, id)
		return err
	})
	return a, err
}

// AuthorizationByHash finds the record of the token with a hash.
func (s *Store) AuthorizationByHash(ctx context.Context, hash string) (dynomad.Authorization, error) {
	if a, ok := s.cache.token(hash); ok {
		return a, nil
	}
	gen := s.cache.generation()
	var a dynomad.Authorization
	err := s.read(ctx, func(ctx context.Context, tx *tx) error {
		found, err := authorizations(ctx, tx, `WHERE token_hash = ?`, hash)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return dynomad.Errorf(dynomad.NotFound, "The token is not known.")
		}
		a = found[0]
		return nil
	})
	if err == nil {
		s.cache.putToken(gen, hash, a)
	}
	return a, err
}

// DeleteAuthorization removes a token's record and those of all tokens that were made by it, directly or not.
func (s *Store) DeleteAuthorization(ctx context.Context, id string, audit dynomad.Audit) (dynomad.Authorization, error) {
	var a dynomad.Authorization
	err := s.write(ctx, func(ctx context.Context, tx *tx) (err error) {
		if a, err = authorization(ctx, tx, id); err != nil {
			return err
		}
		if a.MakerID == "" {
			return dynomad.Errorf(dynomad.Conflict, "The root token cannot be deleted.")
		}
		if err := deleteAuthorizations(ctx, tx, `id = ?`, id); err != nil {
			return err
		}
		return insertAudit(ctx, tx, audit, "")
	})
	return a, err
}

// EnsureRoot makes a's token the root token. A root token that there was ends, but its record stays, and with it the tokens
// that it made.
func (s *Store) EnsureRoot(ctx context.Context, a dynomad.Authorization) error {
	return s.write(ctx, func(ctx context.Context, tx *tx) error {
		found, err := authorizations(ctx, tx, `WHERE maker_id IS NULL`)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			a.MakerID = ""
			return insertAuthorization(ctx, tx, a)
		}
		if found[0].TokenHash == a.TokenHash {
			return nil
		}
		_, err = tx.ExecContext(ctx, `UPDATE authorizations SET token_hash = ?, updated_at = ? WHERE id = ?`,
			a.TokenHash, instant(a.UpdatedAt), found[0].ID)
		return duplicateToken(err)
	})
}

func authorization(ctx context.Context, tx *tx, id string) (dynomad.Authorization, error) {
	found, err := authorizations(ctx, tx, `WHERE id = ?`, id)
	if err != nil {
		return dynomad.Authorization{}, err
	}
	if len(found) == 0 {
		return dynomad.Authorization{}, missing("authorization", id)
	}
	return found[0], nil
}

// authorizations gives tokens' records; rest is how the query goes on.
func authorizations(ctx context.Context, tx *tx, rest string, args ...any) ([]dynomad.Authorization, error) {
	all, err := list(ctx, tx, scanAuthorization, `
		SELECT id, description, email, scopes, app_id, space_id, maker_id, token_hash, expires_at, created_at, updated_at
		FROM authorizations
		`+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("read authorizations: %w", err)
	}
	return all, nil
}

func scanAuthorization(r row) (dynomad.Authorization, error) {
	var a dynomad.Authorization
	err := r.Scan(&a.ID, (*text)(&a.Description), (*text)(&a.Email), (*scopes)(&a.Scopes), (*text)(&a.AppID),
		(*text)(&a.SpaceID), (*text)(&a.MakerID), &a.TokenHash, maybeInstant{&a.ExpiresAt},
		(*instant)(&a.CreatedAt), (*instant)(&a.UpdatedAt))
	return a, err
}

func insertAuthorization(ctx context.Context, tx *tx, a dynomad.Authorization) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO authorizations (
		    id, description, email, scopes, app_id, space_id, maker_id, token_hash, expires_at, created_at, updated_at
		)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		a.ID, text(a.Description), text(a.Email), scopes(a.Scopes), text(a.AppID), text(a.SpaceID), text(a.MakerID),
		a.TokenHash, maybeInstant{&a.ExpiresAt}, instant(a.CreatedAt), instant(a.UpdatedAt))
	if dangling(err) { // app and space were seen in this transaction
		return dynomad.Wrap(dynomad.Unauthenticated, err, "The token is not known or has expired.")
	}
	return duplicateToken(err)
}

func duplicateToken(err error) error {
	if duplicate(err) {
		return dynomad.Wrap(dynomad.Conflict, err, "The token is already in use.")
	}
	if err != nil {
		return fmt.Errorf("write an authorization: %w", err)
	}
	return nil
}

// deleteAuthorizations removes the records that a condition chooses and those of all tokens made by these. Favorites go with
// them.
func deleteAuthorizations(ctx context.Context, tx *tx, condition, value string) error {
	_, err := tx.ExecContext(ctx, `
		WITH RECURSIVE doomed (id) AS (
		    SELECT id FROM authorizations WHERE `+condition+`
		    UNION
		    SELECT a.id FROM authorizations AS a JOIN doomed AS d ON a.maker_id = d.id
		)
		DELETE FROM authorizations
		WHERE id IN doomed`, value)
	if err != nil {
		return fmt.Errorf("delete authorizations: %w", err)
	}
	return nil
}

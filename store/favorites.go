package store

import (
	"context"
	"fmt"

	"github.com/dynomad/dynomad"
)

// Favorites lists the apps that a token's holder marked, oldest mark first.
func (s *Store) Favorites(ctx context.Context, tokenID string) ([]dynomad.Favorite, error) {
	scan := func(r row) (f dynomad.Favorite, err error) {
		err = r.Scan(&f.TokenID, &f.AppID, (*instant)(&f.CreatedAt))
		return f, err
	}
	var all []dynomad.Favorite
	err := s.read(ctx, func(ctx context.Context, tx *tx) (err error) {
		all, err = list(ctx, tx, scan, `
			SELECT token_id, app_id, created_at
			FROM favorites
			WHERE token_id = ?
			ORDER BY created_at, app_id`, tokenID)
		return err
	})
	return all, err
}

// PutFavorite marks an app; marking it once more changes nothing.
func (s *Store) PutFavorite(ctx context.Context, f dynomad.Favorite) error {
	return s.write(ctx, func(ctx context.Context, tx *tx) error {
		if _, err := appID(ctx, tx, f.AppID); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `
			INSERT INTO favorites (token_id, app_id, created_at)
			VALUES (?, ?, ?)
			ON CONFLICT DO NOTHING`, f.TokenID, f.AppID, instant(f.CreatedAt))
		if dangling(err) { // the app was seen in this transaction
			return dynomad.Wrap(dynomad.Unauthenticated, err, "The token is not known or has expired.")
		}
		if err != nil {
			return fmt.Errorf("put a favorite: %w", err)
		}
		return nil
	})
}

// DeleteFavorite takes a mark away.
func (s *Store) DeleteFavorite(ctx context.Context, tokenID, appID string) error {
	return s.write(ctx, func(ctx context.Context, tx *tx) error {
		n, err := change(ctx, tx, `DELETE FROM favorites WHERE token_id = ? AND app_id = ?`, tokenID, appID)
		if err != nil {
			return fmt.Errorf("delete a favorite: %w", err)
		}
		if n == 0 {
			return dynomad.Errorf(dynomad.NotFound, "The app is not a favorite.")
		}
		return nil
	})
}

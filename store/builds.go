package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/dynomad/dynomad"
)

// Builds lists an app's builds, oldest first.
func (s *Store) Builds(ctx context.Context, appID string) ([]dynomad.Build, error) {
	var all []dynomad.Build
	err := s.read(ctx, func(ctx context.Context, tx *tx) (err error) {
		all, err = builds(ctx, tx, `WHERE b.app_id = ? ORDER BY b.number`, appID)
		return err
	})
	return all, err
}

// Build gives a build of an app.
func (s *Store) Build(ctx context.Context, appID, id string) (dynomad.Build, error) {
	return s.findBuild(ctx, "build", id, `WHERE b.id = ? AND b.app_id = ?`, id, appID)
}

// Slug gives the build that a slug is, of any app, deleted ones too.
func (s *Store) Slug(ctx context.Context, id string) (dynomad.Build, error) {
	return s.findBuild(ctx, "slug", id, `WHERE b.id = ?`, id)
}

func (s *Store) findBuild(ctx context.Context, what, id, where string, args ...any) (dynomad.Build, error) {
	var build dynomad.Build
	err := s.read(ctx, func(ctx context.Context, tx *tx) error {
		found, err := builds(ctx, tx, where, args...)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return missing(what, id)
		}
		build = found[0]
		return nil
	})
	return build, err
}

// buildsOf gives the builds with some ids.
func buildsOf(ctx context.Context, tx *tx, ids []string) ([]dynomad.Build, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	array, err := json.Marshal(ids) // SQLite takes no lists
	if err != nil {
		return nil, fmt.Errorf("read builds: %w", err)
	}
	return builds(ctx, tx, `WHERE b.id IN (SELECT value FROM json_each(?))`, string(array))
}

// builds gives builds; rest is how the query goes on.
func builds(ctx context.Context, tx *tx, rest string, args ...any) ([]dynomad.Build, error) {
	all, err := list(ctx, tx, scanBuild, `
		SELECT
		    b.id, b.app_id, a.name, b.number, b.image, b.url, b.checksum, b.version, b.sha, b.branch, b.repo, b.author,
		    b.message, b.process_types, b.status, b.user_id, b.user_email,
		    (SELECT first.id FROM releases AS first WHERE first.build_id = b.id ORDER BY first.version LIMIT 1),
		    b.created_at, b.updated_at
		FROM builds AS b
		JOIN apps AS a ON a.id = b.app_id
		`+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("read builds: %w", err)
	}
	return all, nil
}

func scanBuild(r row) (dynomad.Build, error) {
	var b dynomad.Build
	err := r.Scan(&b.ID, &b.AppID, &b.AppName, &b.Number, &b.Image, (*text)(&b.URL), (*text)(&b.Checksum), (*text)(&b.Version),
		(*text)(&b.SHA), (*text)(&b.Branch), (*text)(&b.Repo), (*text)(&b.Author), (*text)(&b.Message),
		(*processTypes)(&b.ProcessTypes), &b.Status, (*text)(&b.UserID), (*text)(&b.UserEmail), (*text)(&b.ReleaseID),
		(*instant)(&b.CreatedAt), (*instant)(&b.UpdatedAt))
	return b, err
}

func insertBuild(ctx context.Context, tx *tx, appID string, b dynomad.Build) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO builds (
		    id, app_id, number, image, url, checksum, version, sha, branch, repo, author, message, process_types, status,
		    user_id, user_email, created_at, updated_at
		)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		b.ID, appID, b.Number, b.Image, text(b.URL), text(b.Checksum), text(b.Version), text(b.SHA), text(b.Branch),
		text(b.Repo), text(b.Author), text(b.Message), processTypes(b.ProcessTypes), b.Status,
		text(b.UserID), text(b.UserEmail), instant(b.CreatedAt), instant(b.UpdatedAt))
	if err != nil {
		return fmt.Errorf("insert a build: %w", err)
	}
	return nil
}

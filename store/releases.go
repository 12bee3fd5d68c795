package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/dynomad/dynomad"
)

// Releases lists an app's releases, oldest first.
func (s *Store) Releases(ctx context.Context, appID string) ([]dynomad.Release, error) {
	var all []dynomad.Release
	err := s.read(ctx, func(ctx context.Context, tx *tx) error {
		heads, err := releases(ctx, tx, `WHERE r.app_id = ? ORDER BY r.version`, appID)
		for _, h := range heads {
			all = append(all, h.release)
		}
		return err
	})
	return all, err
}

// Release gives a release of an app by id or version: "7" or "v7".
func (s *Store) Release(ctx context.Context, appID, idOrVersion string) (dynomad.Release, error) {
	var release dynomad.Release
	err := s.read(ctx, func(ctx context.Context, tx *tx) error {
		found, err := releases(ctx, tx, `WHERE r.app_id = ? AND (r.id = ? OR r.version = ?)`,
			appID, idOrVersion, versionOf(idOrVersion))
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return missing("release", idOrVersion)
		}
		release = found[0].release
		return nil
	})
	return release, err
}

// ReleaseID gives the id of an app's release by its version, from memory if it was asked for before; "" if there is none.
func (s *Store) ReleaseID(ctx context.Context, appID string, version int) (string, error) {
	if id, ok := s.cache.releaseID(appID, version); ok {
		return id, nil
	}
	gen := s.cache.generation()
	var id string
	err := s.read(ctx, func(ctx context.Context, tx *tx) (err error) {
		id, err = one[string](ctx, tx, `SELECT id FROM releases WHERE app_id = ? AND version = ?`, appID, version)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err == nil {
		s.cache.putReleaseID(gen, appID, version, id)
	}
	return id, err
}

// versionOf reads a release's version as "7" or "v7"; 0, which no release has, for anything else.
func versionOf(key string) int {
	digits := strings.TrimPrefix(key, "v")
	n, err := strconv.Atoi(digits)
	if err != nil || strconv.Itoa(n) != digits {
		return 0
	}
	return n
}

// appendRelease adds a release to an app's ledger. Earlier ones whose rollout has not ended have failed by that.
func appendRelease(ctx context.Context, tx *tx, appID string, r dynomad.Release) error {
	if err := failPending(ctx, tx, appID, fmt.Sprintf("superseded by v%d", r.Version)); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `
		INSERT INTO releases (
		    id, app_id, version, build_id, config_id, status, description, additional_info, user_id, user_email,
		    created_at, updated_at
		)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, appID, r.Version, text(r.BuildID), r.ConfigID, r.Status, text(r.Description), text(r.AdditionalInfo),
		text(r.UserID), text(r.UserEmail), instant(r.CreatedAt), instant(r.UpdatedAt))
	if duplicate(err) {
		return dynomad.Wrap(dynomad.Conflict, err, "The release v%d already exists.", r.Version)
	}
	if err != nil {
		return fmt.Errorf("append a release: %w", err)
	}
	return nil
}

// failPending ends the releases of an app whose rollout has not ended.
func failPending(ctx context.Context, tx *tx, appID, why string) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE releases
		SET status = 'failed', additional_info = ?, updated_at = ?
		WHERE app_id = ? AND status = 'pending'`, why, instant(tx.now), appID)
	if err != nil {
		return fmt.Errorf("fail pending releases: %w", err)
	}
	return nil
}

// headRelease is a release with what it is to its app; see the view heads.
type headRelease struct {
	release      dynomad.Release
	last, wanted bool
}

// headReleases gives the newest and the wanted releases of a span's apps. CROSS JOIN has SQLite go from the app to its few
// releases that matter, not through all that it ever had.
func headReleases(ctx context.Context, tx *tx, s span) ([]headRelease, error) {
	return releases(ctx, tx, `
		WHERE r.id IN (
		    SELECT newest.id
		    FROM apps AS chosen
		    CROSS JOIN heads ON heads.app_id = chosen.id
		    CROSS JOIN releases AS newest ON newest.app_id = chosen.id AND newest.version IN (heads.last, heads.wanted)
		    WHERE chosen.id BETWEEN ? AND ?
		    AND (chosen.deleted_at IS NULL OR ?)
		)`, s.from, s.to, s.deleted)
}

// releases gives releases; rest is how the query goes on.
func releases(ctx context.Context, tx *tx, rest string, args ...any) ([]headRelease, error) {
	all, err := list(ctx, tx, scanRelease, `
		SELECT
		    r.id, r.app_id, a.name, r.version, r.build_id, r.config_id, r.status, r.description, r.additional_info,
		    r.user_id, r.user_email, r.created_at, r.updated_at,
		    r.version IS h.current, r.version IS h.last, r.version IS h.wanted
		FROM releases AS r
		JOIN apps AS a ON a.id = r.app_id
		JOIN heads AS h ON h.app_id = r.app_id
		`+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("read releases: %w", err)
	}
	return all, nil
}

func scanRelease(r row) (headRelease, error) {
	var h headRelease
	err := r.Scan(&h.release.ID, &h.release.AppID, &h.release.AppName, &h.release.Version, (*text)(&h.release.BuildID),
		&h.release.ConfigID, &h.release.Status, (*text)(&h.release.Description), (*text)(&h.release.AdditionalInfo),
		(*text)(&h.release.UserID), (*text)(&h.release.UserEmail), (*instant)(&h.release.CreatedAt),
		(*instant)(&h.release.UpdatedAt), &h.release.Current, &h.last, &h.wanted)
	return h, err
}

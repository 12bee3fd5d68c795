package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dynomad/dynomad"
)

// Audits lists who changed what, oldest first.
func (s *Store) Audits(ctx context.Context, f dynomad.AuditFilter) ([]dynomad.Audit, error) {
	var all []dynomad.Audit
	err := s.read(ctx, func(ctx context.Context, tx *tx) (err error) {
		all, err = audits(ctx, tx, f)
		return err
	})
	return all, err
}

func audits(ctx context.Context, tx *tx, f dynomad.AuditFilter) ([]dynomad.Audit, error) {
	where, args := []string{"1 = 1"}, []any{}
	for _, c := range []struct{ condition, value string }{
		{"app_id = ?", f.AppID}, {"app_name = ?", f.AppName}, {"space = ?", f.Space}, {"space_id = ?", f.SpaceID},
	} {
		if c.value != "" {
			where, args = append(where, c.condition), append(args, c.value)
		}
	}
	where, args = append(where, "seq > ?"), append(args, f.After)
	if f.Newest > 0 {
		where = append(where, "seq IN (SELECT seq FROM audits WHERE "+strings.Join(where, " AND ")+" ORDER BY seq DESC LIMIT ?)")
		args = append(slices.Concat(args, args), f.Newest)
	}
	all, err := list(ctx, tx, scanAudit, `
		SELECT seq, id, app_id, app_name, space, action, details, user_id, user_email, created_at
		FROM audits
		WHERE `+strings.Join(where, " AND ")+`
		ORDER BY created_at, seq`, args...)
	if err != nil {
		return nil, fmt.Errorf("read audits: %w", err)
	}
	return all, nil
}

// insertAppAudit adds an audit about an app.
func insertAppAudit(ctx context.Context, tx *tx, a dynomad.Audit, app dynomad.App) error {
	a.AppID, a.AppName, a.Space = app.ID, app.Name, app.Space
	return insertAudit(ctx, tx, a, app.SpaceID)
}

// insertAudit adds an audit; spaceID is what tokens tied to a space may see it by, or "".
func insertAudit(ctx context.Context, tx *tx, a dynomad.Audit, spaceID string) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO audits (id, app_id, app_name, space_id, space, action, details, user_id, user_email, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		a.ID, text(a.AppID), text(a.AppName), text(spaceID), text(a.Space), a.Action, text(a.Details),
		text(a.UserID), text(a.UserEmail), instant(a.CreatedAt))
	if err != nil {
		return fmt.Errorf("insert an audit: %w", err)
	}
	return nil
}

func scanAudit(r row) (dynomad.Audit, error) {
	var a dynomad.Audit
	err := r.Scan(&a.Seq, &a.ID, (*text)(&a.AppID), (*text)(&a.AppName), (*text)(&a.Space), &a.Action, (*text)(&a.Details),
		(*text)(&a.UserID), (*text)(&a.UserEmail), (*instant)(&a.CreatedAt))
	return a, err
}

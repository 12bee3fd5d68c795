package store

import (
	"context"

	"github.com/dynomad/dynomad"
)

// EditApp runs decide on an app's state, commits what it decides and gives the state after. Writes have one order, so decide
// sees every edit before its own.
func (s *Store) EditApp(ctx context.Context, key string, decide func(dynomad.AppState) (dynomad.Edit, error)) (dynomad.AppState, error) {
	return s.writeApp(ctx, key, func(ctx context.Context, tx *tx, before dynomad.AppState) error {
		edit, err := decide(before)
		if err != nil {
			return err
		}
		return apply(ctx, tx, before, edit)
	})
}

// writeApp runs a write that begins with an app's state, and gives the state after.
func (s *Store) writeApp(ctx context.Context, key string, do func(context.Context, *tx, dynomad.AppState) error) (dynomad.AppState, error) {
	var after dynomad.AppState
	err := s.write(ctx, func(ctx context.Context, tx *tx) error {
		id, err := appID(ctx, tx, key)
		if err != nil {
			return err
		}
		tx.touches(id)
		before, err := appState(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := do(ctx, tx, before); err != nil {
			return err
		}
		after, err = appState(ctx, tx, id)
		tx.after = &after
		return err
	})
	if err != nil {
		return dynomad.AppState{}, err
	}
	return after, nil
}

// apply writes an edit of an app, in the order that its parts refer to each other. What stands for the app is what was read,
// whatever app the parts name.
func apply(ctx context.Context, tx *tx, before dynomad.AppState, e dynomad.Edit) error {
	app := before.App
	if e.App != nil {
		row := *e.App
		row.ID = app.ID
		if err := updateApp(ctx, tx, row); err != nil {
			return err
		}
	}
	if err := applyTypes(ctx, tx, app.ID, e); err != nil {
		return err
	}
	if err := startSchedules(ctx, tx, before, e.PutTypes); err != nil {
		return err
	}
	configID := before.ConfigID
	if e.Config != nil {
		if err := insertConfig(ctx, tx, app.ID, *e.Config); err != nil {
			return err
		}
		configID = e.Config.ID
	}
	if e.Build != nil {
		if err := insertBuild(ctx, tx, app.ID, *e.Build); err != nil {
			return err
		}
	}
	if e.Release != nil {
		release := *e.Release
		if release.ConfigID == "" {
			release.ConfigID = configID
		}
		if err := appendRelease(ctx, tx, app.ID, release); err != nil {
			return err
		}
		configID = release.ConfigID // a rollback brings the app's config vars back
	}
	if configID != before.ConfigID {
		if err := setConfig(ctx, tx, app.ID, configID); err != nil {
			return err
		}
	}
	return note(ctx, tx, app, e)
}

// note writes what an edit adds beside the app itself: wishes to have dynos replaced, and audits.
func note(ctx context.Context, tx *tx, app dynomad.App, e dynomad.Edit) error {
	for _, stop := range e.Stops {
		if err := insertStop(ctx, tx, app.ID, stop); err != nil {
			return err
		}
	}
	for _, a := range e.Audits {
		if err := insertAppAudit(ctx, tx, a, app); err != nil {
			return err
		}
	}
	return nil
}

// applyTypes writes an edit's changes to the formation. Types go first, so that one can take another's name.
func applyTypes(ctx context.Context, tx *tx, appID string, e dynomad.Edit) error {
	for _, id := range e.DropTypes {
		if err := deleteType(ctx, tx, appID, id); err != nil {
			return err
		}
	}
	for _, id := range e.Forgive {
		if err := forgive(ctx, tx, appID, id); err != nil {
			return err
		}
	}
	for _, t := range e.PutTypes {
		t.AppID = appID
		if err := putType(ctx, tx, t); err != nil {
			return err
		}
	}
	return nil
}

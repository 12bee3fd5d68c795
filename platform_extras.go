package dynomad

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// VarNote is what people noted of a config var.
type VarNote struct {
	Required    bool
	Description string
}

// NoteChange changes one note; nil leaves a field as it is.
type NoteChange struct {
	Required    *bool
	Description *string
}

// Favorite is an app that the holder of a token marked.
type Favorite struct {
	TokenID   string
	AppID     string
	CreatedAt time.Time
}

// extraStore keeps what is beside the formation: notes on config vars and favorites.
type extraStore interface {
	Notes(ctx context.Context, appID string) (map[string]VarNote, error)
	// EditNotes replaces an app's notes by what decide makes of them.
	EditNotes(ctx context.Context, appID string, decide func(map[string]VarNote) (map[string]VarNote, error), audit Audit) (map[string]VarNote, error)
	Favorites(ctx context.Context, tokenID string) ([]Favorite, error) // oldest first
	PutFavorite(ctx context.Context, f Favorite) error                 // once more is fine
	DeleteFavorite(ctx context.Context, tokenID, appID string) error   // NotFound if it is none
}

// SetAutoRelease turns an app's auto-release on or off: whether a build is released as soon as it is made.
func (p *Platform) SetAutoRelease(ctx context.Context, key string, on bool) (AppState, error) {
	return p.edit(ctx, key, func(s AppState) (Edit, error) {
		if s.App.AutoRelease == on {
			return Edit{}, nil
		}
		app := s.App
		app.AutoRelease, app.UpdatedAt = on, p.Now()
		return Edit{App: &app, Audits: []Audit{p.audit(ctx, "feature.update", fmt.Sprintf("Set auto-release to %t.", on))}}, nil
	})
}

// Notes gives a note for each of an app's config vars, empty ones too.
func (p *Platform) Notes(ctx context.Context, key string) (map[string]VarNote, error) {
	s, err := p.state(ctx, key)
	if err != nil {
		return nil, err
	}
	notes, err := p.extras.Notes(ctx, s.App.ID)
	if err != nil {
		return nil, err
	}
	return notesOf(s.Config, notes), nil
}

// ChangeNotes changes the notes of config vars that exist.
func (p *Platform) ChangeNotes(ctx context.Context, key string, change map[string]NoteChange) (map[string]VarNote, error) {
	s, err := p.state(ctx, key)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(change)) {
		if _, ok := s.Config[name]; !ok {
			return nil, Invalidf(clip(name), "The config var %s does not exist.", quoted(name))
		}
		if d := change[name].Description; d != nil {
			if err := validTexts(textField{"description", *d}); err != nil {
				return nil, err
			}
		}
	}
	notes, err := p.extras.EditNotes(ctx, s.App.ID, func(now map[string]VarNote) (map[string]VarNote, error) {
		after := maps.Clone(now)
		if after == nil {
			after = map[string]VarNote{}
		}
		for name, c := range change {
			note := after[name]
			if c.Required != nil {
				note.Required = *c.Required
			}
			if c.Description != nil {
				note.Description = *c.Description
			}
			after[name] = note
		}
		return after, nil
	}, p.audit(ctx, "config.notes", "Changed notes on config vars."))
	if err != nil {
		return nil, err
	}
	return notesOf(s.Config, notes), nil
}

func notesOf(vars ConfigVars, notes map[string]VarNote) map[string]VarNote {
	out := make(map[string]VarNote, len(vars))
	for name := range vars {
		out[name] = notes[name]
	}
	return out
}

// Favorites lists the principal's favorite apps.
func (p *Platform) Favorites(ctx context.Context) ([]AppState, error) {
	marks, err := p.extras.Favorites(ctx, PrincipalFrom(ctx).TokenID)
	if err != nil {
		return nil, err
	}
	apps := make([]AppState, 0, len(marks))
	for _, f := range marks {
		s, err := p.state(ctx, f.AppID)
		if KindOf(err) == NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		apps = append(apps, s)
	}
	return apps, nil
}

// AddFavorite marks an app as a favorite of the principal's.
func (p *Platform) AddFavorite(ctx context.Context, key string) (AppState, error) {
	s, err := p.state(ctx, key)
	if err != nil {
		return AppState{}, err
	}
	return s, p.extras.PutFavorite(ctx, Favorite{TokenID: PrincipalFrom(ctx).TokenID, AppID: s.App.ID, CreatedAt: p.Now()})
}

// RemoveFavorite takes the mark away.
func (p *Platform) RemoveFavorite(ctx context.Context, key string) (AppState, error) {
	s, err := p.state(ctx, key)
	if err != nil {
		return AppState{}, err
	}
	return s, p.extras.DeleteFavorite(ctx, PrincipalFrom(ctx).TokenID, s.App.ID)
}

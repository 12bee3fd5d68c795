package store

import (
	"context"

	"github.com/dynomad/dynomad"
)

// span chooses apps by id, one or all, such that the same query and the same index serve for both.
type span struct {
	from, to string
	deleted  bool // tombstones too
}

var everyApp = span{from: "", to: "~"} // ids have only characters below "~"

func onlyApp(id string) span { return span{from: id, to: id, deleted: true} }

// Apps lists the states of all apps by name, without their config vars and runs.
func (s *Store) Apps(ctx context.Context) ([]dynomad.AppState, error) {
	var all []dynomad.AppState
	err := s.read(ctx, func(ctx context.Context, tx *tx) (err error) {
		all, err = appStates(ctx, tx, everyApp)
		return err
	})
	return all, err
}

// AppState gives the state of an app by full name or id.
func (s *Store) AppState(ctx context.Context, key string) (dynomad.AppState, error) {
	if state, ok := s.cache.app(key); ok {
		return state, nil
	}
	gen := s.cache.generation()
	var state dynomad.AppState
	err := s.read(ctx, func(ctx context.Context, tx *tx) error {
		id, err := appID(ctx, tx, key)
		if err != nil {
			return err
		}
		state, err = appState(ctx, tx, id)
		return err
	})
	if err == nil {
		s.cache.putApp(gen, state)
	}
	return state, err
}

// appState gives the state of one app, with its config vars unless it is deleted.
func appState(ctx context.Context, tx *tx, id string) (dynomad.AppState, error) {
	found, err := appStates(ctx, tx, onlyApp(id))
	if err != nil {
		return dynomad.AppState{}, err
	}
	if len(found) == 0 {
		return dynomad.AppState{}, missing("app", id)
	}
	state := found[0]
	if state.Runs, err = listedRuns(ctx, tx, id); err != nil {
		return dynomad.AppState{}, err
	}
	state.Config, err = configVars(ctx, tx, state.ConfigID)
	if err != nil && dynomad.KindOf(err) != dynomad.NotFound {
		return dynomad.AppState{}, err
	}
	return state, nil
}

// appStates gives the states of a span's apps by name, with a fixed number of queries and without config vars and runs.
func appStates(ctx context.Context, tx *tx, s span) ([]dynomad.AppState, error) {
	rows, err := apps(ctx, tx, s)
	if err != nil {
		return nil, err
	}
	states := make([]dynomad.AppState, len(rows))
	byID := make(map[string]*dynomad.AppState, len(rows))
	for i, r := range rows {
		states[i] = dynomad.AppState{App: r.app, ConfigID: r.configID, Builds: r.builds}
		byID[r.app.ID] = &states[i]
	}
	types, err := dynoTypes(ctx, tx, s)
	if err != nil {
		return nil, err
	}
	for _, t := range types {
		if state := byID[t.AppID]; state != nil {
			state.Types = append(state.Types, t)
		}
	}
	if err := setTrials(ctx, tx, s, byID); err != nil {
		return nil, err
	}
	heads, err := headReleases(ctx, tx, s)
	if err != nil {
		return nil, err
	}
	var slugs []string
	for _, h := range heads {
		if state := byID[h.release.AppID]; state != nil {
			h.set(state)
		}
		if h.wanted && h.release.BuildID != "" {
			slugs = append(slugs, h.release.BuildID)
		}
	}
	builds, err := buildsOf(ctx, tx, slugs)
	if err != nil {
		return nil, err
	}
	for _, b := range builds {
		if state := byID[b.AppID]; state != nil {
			setBuild(state, b)
		}
	}
	return states, nil
}

// set puts a release where it belongs in its app's state.
func (h headRelease) set(state *dynomad.AppState) {
	if h.last {
		state.Last = &h.release
		state.App.ReleasedAt = &h.release.CreatedAt
	}
	if h.wanted {
		wanted := h.release
		state.Wanted = &wanted
	}
}

func setBuild(state *dynomad.AppState, b dynomad.Build) {
	state.Build = &b
	if state.Wanted.Status != dynomad.ReleaseFailed {
		state.App.Image = b.Image
	}
}

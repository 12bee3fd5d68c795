package reconcile_test

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"

	"github.com/dynomad/dynomad"
)

// desired is a store in memory with the rules of the real one that the loop depends on.
type desired struct {
	mu     sync.Mutex
	hook   func() error // asked before and after each call
	apps   map[string]*record
	audits []dynomad.Audit
	reads  int // how often what is wanted was read
}

// record is what is kept of one app.
type record struct {
	app      dynomad.App
	types    []dynomad.DynoType
	releases []dynomad.Release // oldest first
	builds   map[string]dynomad.Build
	written  []string // config versions whose variables may be there
	configs  map[string]dynomad.ConfigVars
	applied  dynomad.AppliedState
	stops    []dynomad.DynoStop
	runs     []dynomad.Run
	gone     []dynomad.Run // removed ones
	deleted  bool
	removed  bool
}

// do makes one call.
func (d *desired) do(call func() error) error {
	if err := d.step(); err != nil {
		return err
	}
	d.mu.Lock()
	err := call()
	d.mu.Unlock()
	if err != nil {
		return err
	}
	return d.step()
}

// Changes gives a number that stands for all that is kept of an app.
func (d *desired) Changes(appID string) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.apps[appID]
	if r == nil {
		return 0
	}
	hash := fnv.New64a()
	_ = json.NewEncoder(hash).Encode([]any{ //nolint:errchkjson // it is plain data
		r.app, r.types, r.releases, r.builds, r.written, r.configs, r.applied, r.stops, r.runs, r.gone, r.deleted, r.removed,
	})
	return hash.Sum64()
}

func (d *desired) step() error {
	d.mu.Lock()
	hook := d.hook
	d.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook()
}

// onCall has hook asked before and after each call; its error becomes the call's.
func (d *desired) onCall(hook func() error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hook = hook
}

func (d *desired) AppIDs(context.Context) (ids []string, err error) {
	err = d.do(func() error {
		for id, r := range d.apps {
			if !r.removed {
				ids = append(ids, id)
			}
		}
		return nil
	})
	return ids, err
}

func (d *desired) Wanted(_ context.Context, appID string) (w dynomad.Wanted, err error) {
	err = d.do(func() error {
		d.reads++
		r := d.apps[appID]
		if r == nil {
			return dynomad.Errorf(dynomad.NotFound, "There is no app %s.", appID)
		}
		w = r.wanted()
		return nil
	})
	return w, err
}

// wanted is what should run: of the newest release that did not fail, else of the newest.
func (r *record) wanted() dynomad.Wanted {
	w := dynomad.Wanted{AppState: dynomad.AppState{App: r.app, Types: slices.Clone(r.types), Runs: slices.Clone(r.runs)}, Stops: slices.Clone(r.stops), Deleted: r.deleted, Removed: r.removed, Applied: r.applied}
	needed := map[string]bool{}
	for i := range r.releases {
		rel := r.releases[i]
		w.Last = &rel
		if rel.Status != dynomad.ReleaseFailed || w.Wanted == nil || w.Wanted.Status == dynomad.ReleaseFailed {
			w.Wanted = &rel
		}
		if rel.Status == dynomad.ReleasePending {
			needed[rel.ConfigID] = true
		}
	}
	for _, run := range r.runs {
		needed[run.ConfigID] = needed[run.ConfigID] || run.Ended == nil
	}
	if w.Wanted != nil {
		needed[w.Wanted.ConfigID] = true
		if b, ok := r.builds[w.Wanted.BuildID]; ok {
			w.Build = &b
		}
		w.Release = r.configs[w.Wanted.ConfigID]
	}
	for _, id := range r.written {
		w.Configs = append(w.Configs, dynomad.ConfigRef{ID: id, Written: true, Needed: needed[id] && !r.deleted})
	}
	return w
}

func (d *desired) ConfigWritten(_ context.Context, appID, configID string) error {
	return d.do(func() error {
		if r := d.apps[appID]; !slices.Contains(r.written, configID) {
			r.written = append(r.written, configID)
		}
		return nil
	})
}

func (d *desired) ConfigRemoved(_ context.Context, appID, configID string) error {
	return d.do(func() error {
		r := d.apps[appID]
		r.written = slices.DeleteFunc(r.written, func(id string) bool { return id == configID })
		return nil
	})
}

func (d *desired) SaveApplied(_ context.Context, appID string, a dynomad.AppliedState, audits ...dynomad.Audit) error {
	return d.do(func() error {
		d.apps[appID].applied = a
		d.audits = append(d.audits, audits...)
		return nil
	})
}

func (d *desired) AppIDByName(_ context.Context, name string) (id string, err error) {
	err = d.do(func() error {
		for _, r := range d.apps {
			if r.app.Name == name && !r.deleted {
				id = r.app.ID
				return nil
			}
		}
		return dynomad.Errorf(dynomad.NotFound, "There is no app %s.", name)
	})
	return id, err
}

func (d *desired) AppRemoved(_ context.Context, appID string) error {
	return d.do(func() error {
		r := d.apps[appID]
		if !r.deleted || len(r.runs) > 0 {
			return fmt.Errorf("the app %s was not deleted, or has runs", appID)
		}
		r.removed, r.written, r.applied = true, nil, dynomad.AppliedState{}
		return nil
	})
}

func (d *desired) EndRollout(_ context.Context, appID string, end dynomad.RolloutEnd) (done bool, err error) {
	err = d.do(func() error {
		r := d.apps[appID]
		r.applied = end.Applied
		for _, record := range end.Records {
			for i := range r.types {
				if r.types[i].ID == record.TypeID {
					r.types[i].Record = record
				}
			}
		}
		for i := range r.releases {
			if rel := &r.releases[i]; end.Release != nil && rel.ID == end.Release.ID && rel.Status == end.Release.From {
				rel.Status, rel.AdditionalInfo, done = end.Release.Status, end.Release.Info, true
				end.Release.Audit.AppID = appID
				d.audits = append(d.audits, end.Release.Audit)
			}
		}
		d.audits = append(d.audits, end.Audits...)
		return nil
	})
	return done, err
}

func (d *desired) StopDone(_ context.Context, appID, dynoID string) error {
	return d.do(func() error { d.apps[appID].stopDone(dynoID); return nil })
}

func (d *desired) RestartInstead(_ context.Context, appID string, stop dynomad.DynoStop, restartID string) error {
	return d.do(func() error {
		r := d.apps[appID]
		for i := range r.types {
			if r.types[i].Type == stop.Type {
				r.types[i].RestartID = restartID
			}
		}
		r.stopDone(stop.DynoID)
		return nil
	})
}

func (r *record) stopDone(dynoID string) {
	r.stops = slices.DeleteFunc(r.stops, func(s dynomad.DynoStop) bool { return s.DynoID == dynoID })
}

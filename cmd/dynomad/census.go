package main

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/dynomad/dynomad"
)

// Bounds of counting dynos. Whoever asks for /metrics often has them appTally no more often.
const (
	countGap  = 5 * time.Second
	countTime = 5 * time.Second
)

// appSource gives the apps whose dynos are counted.
type appSource interface {
	AppIDs(ctx context.Context) ([]string, error)
	AppState(ctx context.Context, key string) (dynomad.AppState, error)
	Changes(appID string) uint64
}

// dynoSource gives what dynos are counted of. It does not ask the cluster.
type dynoSource interface {
	Dynos(state dynomad.AppState, now time.Time) dynomad.DynoPicture
	DynosVersion(app dynomad.App) uint64
}

// census counts apps and dynos. What is counted of an app is kept until something changes there, so that with ten thousand apps one that
// is asked for every few seconds costs next to nothing.
type census struct {
	apps appSource
	view dynoSource

	mu    sync.Mutex
	kept  map[string]appTally // by app id
	last  time.Time           // when it was whole
	total tally
}

// tally is what is counted.
type tally struct {
	apps  int
	dynos map[dynoKind]int
}

// dynoKind is what dynos are counted by.
type dynoKind struct {
	kind  string
	state dynomad.DynoState
}

// Kinds of dynos.
const (
	kindKept = "kept" // of the formation: kept up
	kindRun  = "run"  // one-off and scheduled ones
)

// appTally are the dynos of an app, and what they were counted of.
type appTally struct {
	dynos   map[dynoKind]int
	app     dynomad.App
	changes uint64 // of the store
	version uint64 // of the view
	from    time.Time
	until   time.Time
}

func newCensus(apps appSource, view dynoSource) *census {
	return &census{apps: apps, view: view, kept: map[string]appTally{}}
}

// count counts. What cannot be read in time is as it was the last time; ok is false if there was none. The next one goes on where it ended.
func (c *census) count(ctx context.Context, now time.Time) (all tally, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if age := now.Sub(c.last); age < 0 || age >= countGap {
		if total, err := c.all(ctx, now); err == nil {
			c.total, c.last = total, now
		}
	}
	return c.total, !c.last.IsZero()
}

func (c *census) all(ctx context.Context, now time.Time) (tally, error) {
	ids, err := c.apps.AppIDs(ctx)
	if err != nil {
		return tally{}, err
	}
	there := make(map[string]bool, len(ids))
	total := tally{dynos: map[dynoKind]int{}}
	for _, id := range ids {
		one, err := c.of(ctx, id, now)
		if dynomad.KindOf(err) == dynomad.NotFound {
			continue // deleted, and not cleaned up yet
		}
		if err != nil {
			return tally{}, err
		}
		there[id] = true
		total.apps++
		for kind, n := range one.dynos {
			total.dynos[kind] += n
		}
	}
	maps.DeleteFunc(c.kept, func(id string, _ appTally) bool { return !there[id] })
	return total, nil
}

// of counts the dynos of an app, unless they must be the same as before.
func (c *census) of(ctx context.Context, id string, now time.Time) (appTally, error) {
	changes := c.apps.Changes(id) // before what it is about is read
	known, ok := c.kept[id]
	if ok && known.changes == changes && !now.Before(known.from) && now.Before(known.until) && known.version == c.view.DynosVersion(known.app) {
		return known, nil
	}
	state, err := c.apps.AppState(ctx, id)
	if err != nil {
		return appTally{}, err
	}
	picture := c.view.Dynos(state, now)
	one := appTally{dynos: map[dynoKind]int{}, app: state.App, changes: changes, version: picture.Version, from: now, until: picture.Until}
	for _, d := range picture.Dynos {
		kind := kindKept
		if d.Run {
			kind = kindRun
		}
		one.dynos[dynoKind{kind, d.State}]++
	}
	c.kept[id] = one
	return one, nil
}

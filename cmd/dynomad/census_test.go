package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/dynomad/dynomad"
)

// village has apps whose dynos are counted, and notes how often it is asked for them.
type village struct {
	ids      []string
	changes  map[string]uint64
	versions map[string]uint64
	states   map[string][]dynomad.DynoState
	until    time.Time
	broken   string // an app that cannot be read
	lists    int
	reads    []string
}

func (v *village) AppIDs(context.Context) ([]string, error) {
	v.lists++
	return v.ids, nil
}

func (v *village) Changes(appID string) uint64 { return v.changes[appID] }

func (v *village) AppState(_ context.Context, key string) (dynomad.AppState, error) {
	switch key {
	case "deleted":
		return dynomad.AppState{}, dynomad.Errorf(dynomad.NotFound, "It does not exist.")
	case v.broken:
		return dynomad.AppState{}, errors.New("it takes too long")
	}
	v.reads = append(v.reads, key)
	return dynomad.AppState{App: dynomad.App{ID: key}}, nil
}

func (v *village) DynosVersion(app dynomad.App) uint64 { return v.versions[app.ID] }

func (v *village) Dynos(state dynomad.AppState, _ time.Time) dynomad.DynoPicture {
	p := dynomad.DynoPicture{Version: v.versions[state.App.ID], Until: v.until}
	for i, s := range v.states[state.App.ID] {
		p.Dynos = append(p.Dynos, dynomad.Dyno{State: s, Run: i == 2})
	}
	return p
}

// TestCensus counts dynos, and reads no app again of which nothing has changed.
func TestCensus(t *testing.T) {
	t.Parallel()
	start := time.Unix(1_700_000_000, 0)
	const up, down = dynomad.StateRunning, dynomad.StateAppCrashed
	v := &village{
		ids: []string{"deleted", "a", "b"}, changes: map[string]uint64{}, versions: map[string]uint64{}, until: start.Add(time.Hour),
		states: map[string][]dynomad.DynoState{"a": {up, up, up}, "b": {up, down}}, broken: "b",
	}
	c := newCensus(v, v)
	look := func(what string, after time.Duration, reads []string, ok bool, want tally) {
		t.Helper()
		v.reads = nil
		got, known := c.count(t.Context(), start.Add(after))
		if known != ok || got.apps != want.apps || !maps.Equal(got.dynos, want.dynos) {
			t.Errorf("%s: got %+v, %t; want %+v, %t", what, got, known, want, ok)
		}
		if !slices.Equal(v.reads, reads) {
			t.Errorf("%s: read %v, want %v", what, v.reads, reads)
		}
	}
	kept, run := func(s dynomad.DynoState) dynoKind { return dynoKind{kindKept, s} }, dynoKind{kindRun, up}
	look("one cannot be read", 0, []string{"a"}, false, tally{})
	v.broken = ""
	both := tally{2, map[dynoKind]int{kept(up): 3, kept(down): 1, run: 1}}
	look("it can", time.Second, []string{"b"}, true, both)
	lists := v.lists
	look("asked at once again", 2*time.Second, nil, true, both)
	if v.lists != lists {
		t.Error("they were counted anew so soon")
	}
	look("nothing has changed", 10*time.Second, nil, true, both)
	v.states["b"], v.changes["b"] = []dynomad.DynoState{up}, 1
	look("the store has another b", 20*time.Second, []string{"b"}, true, tally{2, map[dynoKind]int{kept(up): 3, run: 1}})
	v.states["a"], v.versions["a"] = []dynomad.DynoState{down}, 7
	both = tally{2, map[dynoKind]int{kept(up): 1, kept(down): 1}}
	look("the view has another a", 30*time.Second, []string{"a"}, true, both)
	v.until = start.Add(3 * time.Hour)
	look("time has passed", time.Hour, []string{"a", "b"}, true, both)
	v.broken, v.changes["a"] = "a", 1
	look("one cannot be read any more", time.Hour+time.Minute, nil, true, both)
	v.broken, v.ids = "", []string{"b"}
	look("one has gone", time.Hour+2*time.Minute, nil, true, tally{1, map[dynoKind]int{kept(up): 1}})
	if len(c.kept) != 1 {
		t.Errorf("%d apps are kept in mind, want 1", len(c.kept))
	}
	look("the clock was set back", time.Minute, []string{"b"}, true, tally{1, map[dynoKind]int{kept(up): 1}})
}

package store

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"github.com/dynomad/dynomad"
)

// cache keeps in memory what almost every request reads: the app and the token. This process is the only writer, so a write
// forgets just what it may have changed. What is kept is shared: nobody may change it.
type cache struct {
	mu     sync.RWMutex
	gen    uint64                           // moved by every write
	kept   uint64                           // revision of the app state that was kept last
	wide   uint64                           // the generation of the last write that may have changed anything
	moved  map[string]uint64                // by app id: that of the last other one that may have changed something of it
	stale  map[string]uint64                // by app id: that of the last of these that may have changed what is cached
	apps   map[string]dynomad.AppState      // by id and by name
	ids    map[string]map[int]string        // of releases, by app id and version; "" of one that there was none of
	tokens map[string]dynomad.Authorization // by hash
}

// scope is what a write may have changed of what is cached.
type scope struct {
	narrow bool   // no more than one app, else everything
	appID  string // that app; "" is none
	beside string // an app of which only what is not cached may have changed; "" is none
}

func newCache() *cache {
	return &cache{
		moved: map[string]uint64{}, stale: map[string]uint64{}, apps: map[string]dynomad.AppState{}, ids: map[string]map[int]string{},
		tokens: map[string]dynomad.Authorization{},
	}
}

// generation is to be asked before a read whose result is to be kept.
func (c *cache) generation() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.gen
}

// forget drops what a write may have changed, also of what is being read meanwhile, and gives the generation that it begins.
func (c *cache) forget(s scope) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen++
	if !s.narrow {
		c.wide = c.gen
		clear(c.apps)
		clear(c.ids)
		clear(c.tokens)
		return c.gen
	}
	if id := cmp.Or(s.appID, s.beside); id != "" {
		c.moved[id] = c.gen
	}
	if s.appID != "" {
		c.stale[s.appID] = c.gen
		maps.DeleteFunc(c.ids[s.appID], func(_ int, id string) bool { return id == "" }) // a release keeps its id
	}
	if state, ok := c.apps[s.appID]; ok {
		delete(c.apps, s.appID)
		delete(c.apps, state.App.Name)
	}
	return c.gen
}

// changes gives a number that moves whenever something of an app may have changed. It never goes back.
func (c *cache) changes(appID string) uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return max(c.wide, c.moved[appID])
}

func (c *cache) app(key string) (dynomad.AppState, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	state, ok := c.apps[key]
	state.Types = slices.Clone(state.Types)
	return state, ok
}

// putApp keeps a state that was read since gen, unless something of the app was written since, and gives what is kept its revision.
func (c *cache) putApp(gen uint64, state dynomad.AppState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if gen >= c.wide && gen >= c.stale[state.App.ID] {
		c.kept++
		state.Types, state.Revision = slices.Clone(state.Types), c.kept
		c.apps[state.App.ID], c.apps[state.App.Name] = state, state
	}
}

// releaseID gives the id of an app's release; "" of one that is known not to be there.
func (c *cache) releaseID(appID string, version int) (id string, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	id, ok = c.ids[appID][version]
	return id, ok
}

// putReleaseID keeps what was read since gen, as putApp does.
func (c *cache) putReleaseID(gen uint64, appID string, version int, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if gen < c.wide || gen < c.stale[appID] {
		return
	}
	if c.ids[appID] == nil {
		c.ids[appID] = map[int]string{}
	}
	c.ids[appID][version] = id
}

func (c *cache) token(hash string) (dynomad.Authorization, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	a, ok := c.tokens[hash]
	return a, ok
}

func (c *cache) putToken(gen uint64, hash string, a dynomad.Authorization) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if gen >= c.wide { // no other write changes tokens
		c.tokens[hash] = a
	}
}

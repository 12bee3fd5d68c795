package logs

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad"
)

// Limits bound what logs may cost. Zero fields stand for what is shipped.
type Limits struct {
	Followed   int // outputs that are followed at once, of all apps; each takes two connections to Nomad
	Readers    int // of all apps
	AppReaders int // of one app
	Lines      int // kept of an app
	Bytes      int // kept of an app
	Feeds      int // apps whose lines are kept for readers that may come back
}

// The limits that are shipped. A Nomad agent allows one client 100 connections (limits.http_max_conns_per_client).
const (
	DefaultFollowed   = 32
	defaultReaders    = 100
	defaultAppReaders = 30
	defaultLines      = 10_000
	defaultBytes      = 2 << 20
	defaultFeeds      = 32
)

// maxTails is how many outputs' last lines are read at once.
const maxTails = 4

// Times of a feed.
const (
	linger    = time.Minute            // an app is followed, and its lines are kept, for so long after the last reader left
	lookEvery = time.Second            // what nobody tells of is found after so long
	minLook   = 100 * time.Millisecond // between two looks
	openTime  = 3 * time.Second        // readers wait for so long for what was there before
	clockSkew = 2 * time.Second
	settling  = 700 * time.Millisecond // what a process wrote last takes so long to reach its file: Nomad writes each 100 ms, Docker's driver may be late
)

// Config is what a Hub needs.
type Config struct {
	Apps    Apps
	Outputs Outputs
	Limits  Limits
	Now     func() time.Time
	NewID   func() string // a fresh short id
	Log     hclog.Logger
}

// Hub has the logs of all apps. It is safe for concurrent use.
type Hub struct {
	Config

	slots chan struct{} // one for each output that is followed
	tails chan struct{}

	ended   chan struct{} // closed when the hub is
	feeding sync.WaitGroup

	mu      sync.Mutex
	feeds   map[string]*feed // by app
	readers int
	closed  bool
}

// New makes a Hub. It runs nothing until somebody reads.
func New(c Config) *Hub {
	l := &c.Limits
	for _, d := range []struct {
		limit   *int
		shipped int
	}{
		{&l.Followed, DefaultFollowed},
		{&l.Readers, defaultReaders},
		{&l.AppReaders, defaultAppReaders},
		{&l.Lines, defaultLines},
		{&l.Bytes, defaultBytes},
		{&l.Feeds, defaultFeeds},
	} {
		if *d.limit <= 0 {
			*d.limit = d.shipped
		}
	}
	return &Hub{
		Config: c, slots: make(chan struct{}, l.Followed), tails: make(chan struct{}, maxTails),
		ended: make(chan struct{}), feeds: map[string]*feed{},
	}
}

// Open implements the platform's port.
func (h *Hub) Open(app dynomad.App, o dynomad.LogOptions) (dynomad.LogReader, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.feeds[app.ID]
	switch {
	case h.closed:
		return nil, busy("The daemon is ending.")
	case h.readers >= h.Limits.Readers:
		return nil, busy("Too many clients are reading logs.")
	case f != nil && f.readers >= h.Limits.AppReaders:
		return nil, busy("Too many clients are reading the logs of this app.")
	}
	if f == nil {
		h.makeRoom()
		f = newFeed(h, app.ID)
		h.feeds[app.ID] = f
		h.feeding.Go(f.run)
	}
	h.readers++
	f.readers++
	f.poke()
	return &reader{feed: f, options: o}, nil
}

// busy is the error for one reader too many.
func busy(text string) error {
	return &dynomad.Error{Kind: dynomad.Unavailable, Message: text, RetryAfter: retryAfter}
}

const retryAfter = 10 * time.Second

// makeRoom has a feed forgotten that nobody reads, if there are many. h.mu is held.
func (h *Hub) makeRoom() {
	idle := slices.DeleteFunc(slices.Collect(maps.Values(h.feeds)), func(f *feed) bool { return f.readers > 0 })
	if len(idle) < h.Limits.Feeds {
		return
	}
	oldest := slices.MinFunc(idle, func(a, b *feed) int { return a.left.Compare(b.left) })
	h.drop(oldest)
}

// drop forgets a feed that nobody reads, and has it end. h.mu is held.
func (h *Hub) drop(f *feed) {
	delete(h.feeds, f.appID)
	close(f.gone)
}

// Wake has an app's feed look at the app. It does not block.
func (h *Hub) Wake(appID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f := h.feeds[appID]; f != nil {
		f.poke()
	}
}

// Readers is how many read now.
func (h *Hub) Readers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.readers
}

// Followed is how many outputs are followed now.
func (h *Hub) Followed() int { return len(h.slots) }

// Close ends all reading.
func (h *Hub) Close(ctx context.Context) error {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.ended)
	}
	h.mu.Unlock()
	done := make(chan struct{})
	go func() { h.feeding.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wanted reports whether anybody reads a feed, or did a short while ago. One that nobody wants is forgotten.
func (h *Hub) wanted(f *feed) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f.readers > 0 {
		return true
	}
	if h.feeds[f.appID] != f { // it has made room
		return false
	}
	if h.Now().Sub(f.left) < linger {
		return true
	}
	delete(h.feeds, f.appID)
	return false
}

// clear has the feeds forgotten that nobody reads: what they follow, others need.
func (h *Hub) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.feeds {
		if f.readers == 0 {
			h.drop(f)
		}
	}
}

// leave tells that one reader less reads a feed.
func (f *feed) leave() {
	h := f.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readers--
	f.readers--
	f.left = h.Now()
	f.poke()
}

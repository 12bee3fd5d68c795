package logs

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/dynomad/dynomad"
)

// feed is the logs of one app while somebody reads them, and a little longer.
type feed struct {
	hub    *Hub
	appID  string
	id     string // of the ring: numbers mean nothing in another
	opened time.Time
	ready  chan struct{} // closed when what was there before is in the ring, or nobody waits for it any more
	look   chan struct{} // holds one: look at the app
	gone   chan struct{} // closed when the feed must make room

	readers int       // h.mu guards it
	left    time.Time // h.mu guards it: when the last one left

	mu      sync.Mutex // guards the fields below
	ring    ring
	changed chan struct{} // closed at the next change
	over    bool          // nothing will be added
	early   []entry       // what was there before, while that is gathered

	// Only the feed's own goroutine uses these.
	whole   bool // a picture was whole: outputs that come are new
	origins map[string]*origin
	sources map[string]*source // by allocation
	told    map[string]bool    // allocations whose output was told to its end
	events  events
}

func newFeed(h *Hub, appID string) *feed {
	return &feed{
		hub: h, appID: appID, id: h.NewID(), opened: h.Now(),
		ready: make(chan struct{}), look: make(chan struct{}, 1), gone: make(chan struct{}), changed: make(chan struct{}),
		ring: ring{maxEntries: h.Limits.Lines, maxBytes: h.Limits.Bytes, first: 1}, early: []entry{},
		origins: map[string]*origin{}, sources: map[string]*source{}, told: map[string]bool{},
	}
}

// poke has the feed look. It does not block.
func (f *feed) poke() {
	select {
	case f.look <- struct{}{}:
	default:
	}
}

// run serves readers until none has come for a while, the app is gone, or the hub is closed.
func (f *feed) run() {
	defer f.end()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-f.hub.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	f.serve(ctx)
}

// end has the readers end. It is the feed's last act.
func (f *feed) end() {
	h := f.hub
	h.mu.Lock()
	if h.feeds[f.appID] == f {
		delete(h.feeds, f.appID)
	}
	h.mu.Unlock()
	f.settle(nil)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	close(f.changed)
	f.changed = make(chan struct{})
}

// serve follows the app while somebody reads, and for a while after: who looks again soon finds what was written meanwhile, and who comes
// back goes on from its place.
func (f *feed) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer f.stop()
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for f.hub.wanted(f) {
		picture, err := f.hub.Apps.Look(ctx, f.appID)
		switch {
		case ctx.Err() != nil, dynomad.KindOf(err) == dynomad.NotFound:
			return
		case err != nil:
			f.hub.Log.Warn("cannot look at an app whose logs are read", "app_id", f.appID, "error", err)
		default:
			f.attend(ctx, picture)
		}
		pause := time.NewTimer(minLook)
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		select {
		case <-f.look:
		case <-tick.C:
		case <-f.gone:
			return
		case <-ctx.Done():
			return
		}
	}
}

// attend does what a picture asks for.
func (f *feed) attend(ctx context.Context, p Picture) {
	if f.isReady() { // that a dyno runs is told before what it says
		f.publish(f.news(ctx, p.Dynos))
		f.match(ctx, p.Outputs)
	} else {
		f.match(ctx, p.Outputs)
		f.gather(ctx)
		f.publish(f.news(ctx, p.Dynos))
	}
	f.whole = f.whole || p.Whole
}

func (f *feed) isReady() bool {
	select {
	case <-f.ready:
		return true
	default:
		return false
	}
}

// gather waits for what was there before anybody read, and puts it in the ring in the order of time.
func (f *feed) gather(ctx context.Context) {
	timer := time.NewTimer(openTime)
	defer timer.Stop()
	past := f.past(ctx)
	for _, s := range f.sources {
		select {
		case <-s.tailed:
		case <-timer.C:
			timer.Reset(0)
		case <-ctx.Done():
		}
	}
	f.settle(past)
}

// settle ends the gathering, if it has not ended.
func (f *feed) settle(past []entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isReady() {
		return
	}
	all := slices.Concat(past, f.early)
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.from.proc, b.from.proc)) })
	f.early = nil
	f.add(all)
	close(f.ready)
}

// publish gives entries to the readers; those that were there before wait while such are gathered.
func (f *feed) publish(entries []entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.early != nil {
		f.early = append(f.early, entries...)
		return
	}
	f.add(entries)
}

// add adds to the ring. f.mu is held.
func (f *feed) add(entries []entry) {
	if len(entries) == 0 {
		return
	}
	f.ring.add(entries)
	close(f.changed)
	f.changed = make(chan struct{})
}

// say gives the readers a line of the platform's.
func (f *feed) say(from *origin, text string) {
	f.publish([]entry{{from: from, at: f.hub.Now(), text: oneLine(text)}})
}

// match starts to follow the outputs that are new, tells of those that have ended, and lets go of those that are gone.
func (f *feed) match(ctx context.Context, outputs []Output) {
	seen := map[string]bool{}
	share := 1 + dynomad.MaxLogLines/max(1, len(outputs))
	for _, o := range outputs {
		seen[o.Alloc] = true
		s := f.sources[o.Alloc]
		if s == nil && f.isPast(o) {
			continue
		}
		if s == nil {
			s = newSource(f, o, share)
			f.sources[o.Alloc] = s
		}
		s.attend(ctx, o.Ended)
	}
	for id, s := range f.sources {
		if !seen[id] {
			s.attend(ctx, true)
			if s.isComplete() {
				delete(f.sources, id)
				f.tell(id)
			}
		}
	}
}

// tell notes that an output was told to its end.
func (f *feed) tell(alloc string) {
	if len(f.told) > maxTold {
		clear(f.told)
	}
	f.told[alloc] = true
}

// isPast reports whether an output that a picture shows for the first time, or again, is nothing that readers wait for: an event of an allocation
// that has ended long ago brings it back.
func (f *feed) isPast(o Output) bool {
	return f.told[o.Alloc] || f.whole && o.Ended && !f.sinceOpen(o.Began)
}

// stop ends all following, and waits for it.
func (f *feed) stop() {
	for _, s := range f.sources {
		s.wait()
	}
}

// origin gives the origin of lines of a dyno.
func (f *feed) origin(source dynomad.LogSource, dynoID, name, proc, kind string) *origin {
	key := string(source) + " " + dynoID + " " + proc
	if len(f.origins) > maxOrigins {
		clear(f.origins) // what is in the ring, or followed, keeps its own
	}
	o := f.origins[key]
	if o == nil || o.name != name {
		o = &origin{source: source, proc: proc, kind: kind, dynoID: dynoID, name: name}
		f.origins[key] = o
	}
	return o
}

// What a feed that is read for weeks remembers is bounded.
const (
	maxOrigins = 1000
	maxTold    = 10_000
)

// canceled reports whether work ended because it was told to.
func canceled(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, context.Canceled)
}

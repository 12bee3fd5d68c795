package logs

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/dynomad/dynomad"
)

// retryEvery is the pause before what could not be had is tried for again.
const retryEvery = 2 * time.Second

// clearTime is how long those that nobody reads may take to make room.
const clearTime = time.Second

// source is one dyno's output as a feed follows it. It outlives the following: a reader who comes back goes on from its place.
type source struct {
	feed   *feed
	output Output
	lines  *origin // the dyno's
	events *origin // the platform's, about the dyno
	share  int     // of lines that were there before

	tailed chan struct{} // closed when it was looked for what was there before, and found or not
	end    chan struct{} // closed when nothing is written any more
	once   sync.Once     // for tailed

	ended bool          // end is closed
	done  chan struct{} // of the following, closed when it is over; nil before it was started

	mu       sync.Mutex // guards the fields below
	placed   bool       // position is known
	position Position
	complete bool // all was read
	told     string
}

func newSource(f *feed, o Output, share int) *source {
	s := &source{
		feed: f, output: o, share: share, tailed: make(chan struct{}), end: make(chan struct{}),
		lines:  f.origin(dynomad.LogApp, o.DynoID, o.Name, o.Proc, o.Type),
		events: f.origin(dynomad.LogPlatform, o.DynoID, o.Name, o.Proc, o.Type),
	}
	if f.isNews(o) {
		s.placed = true
		s.once.Do(func() { close(s.tailed) })
	}
	return s
}

// attend starts the following unless it is under way or all is read, and passes on that the output has ended.
func (s *source) attend(ctx context.Context, ended bool) {
	if ended && !s.ended {
		s.ended, s.output.Ended = true, true
		close(s.end)
	}
	if s.isComplete() || s.done != nil && !isClosed(s.done) {
		return
	}
	s.done = make(chan struct{})
	go func(o Output, done chan struct{}) {
		defer close(done)
		defer s.once.Do(func() { close(s.tailed) })
		s.run(ctx, o)
	}(s.output, s.done)
}

// wait waits for the end of the following.
func (s *source) wait() {
	if s.done != nil {
		<-s.done
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// run follows the output to its end or ctx's.
func (s *source) run(ctx context.Context, o Output) {
	if !s.tail(ctx, o) || s.isComplete() {
		return
	}
	select {
	case <-s.feed.ready: // what was there before comes first
	case <-ctx.Done():
		return
	}
	if !s.takeSlot(ctx) {
		return
	}
	defer func() { <-s.feed.hub.slots }()
	from, _ := s.place()
	err := s.feed.hub.Outputs.Follow(ctx, Follow{Output: o, From: from, End: s.end, Emit: s.emit, Missed: s.tell})
	if canceled(ctx, err) {
		return
	}
	if err != nil {
		s.feed.hub.Log.Warn("cannot follow the output of a dyno", "alloc_id", o.Alloc, "error", err)
		s.tell("The rest of the output cannot be read: " + reason(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.complete = true
}

// tail reads what was there before, unless the place to go on from is known. It reports whether it is now.
func (s *source) tail(ctx context.Context, o Output) bool {
	for {
		if _, placed := s.place(); placed {
			return true
		}
		err := s.tryTail(ctx, o)
		if err == nil {
			return true
		}
		if canceled(ctx, err) {
			return false
		}
		if dynomad.KindOf(err) == dynomad.NotFound && isClosed(s.end) {
			s.mu.Lock()
			s.complete = true // Nomad has removed it
			s.mu.Unlock()
			return false
		}
		s.feed.hub.Log.Debug("cannot read the output of a dyno", "alloc_id", o.Alloc, "error", err)
		s.tell("The output cannot be read now: " + reason(err))
		s.once.Do(func() { close(s.tailed) })
		sleep(ctx, retryEvery)
	}
}

func (s *source) tryTail(ctx context.Context, o Output) error {
	if o.Ended {
		sleep(ctx, min(settling, o.EndedAt.Add(settling).Sub(s.feed.hub.Now())))
	}
	select {
	case s.feed.hub.tails <- struct{}{}:
		defer func() { <-s.feed.hub.tails }()
	case <-ctx.Done():
		return ctx.Err()
	}
	lines, position, err := s.feed.hub.Outputs.Tail(ctx, o, s.share)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.placed, s.position, s.complete = true, position, o.Ended && !s.feed.sinceOpen(o.Began) // what was written last may be on its way
	s.mu.Unlock()
	s.feed.publish(s.entries(lines, true))
	s.once.Do(func() { close(s.tailed) })
	return nil
}

// takeSlot waits until the output may be followed. It reports whether it may.
func (s *source) takeSlot(ctx context.Context) bool {
	slots := s.feed.hub.slots
	select {
	case slots <- struct{}{}:
		return true
	default:
	}
	s.feed.hub.clear()
	soon := time.NewTimer(clearTime)
	defer soon.Stop()
	select {
	case slots <- struct{}{}:
		return true
	case <-soon.C:
	case <-ctx.Done():
		return false
	}
	s.tell("The output is not shown for now: the daemon follows as many dynos' output as it may.")
	select {
	case slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// emit publishes lines as they come.
func (s *source) emit(lines []Line, after Position) {
	s.mu.Lock()
	s.position = after
	s.told = ""
	s.mu.Unlock()
	s.feed.publish(s.entries(lines, false))
}

func (s *source) entries(lines []Line, old bool) []entry {
	entries := make([]entry, len(lines))
	for i, l := range lines {
		entries[i] = entry{from: s.lines, at: l.At, text: l.Text, old: old}
	}
	return entries
}

// tell tells the readers something about the output, once.
func (s *source) tell(text string) {
	s.mu.Lock()
	again := s.told == text
	s.told = text
	s.mu.Unlock()
	if !again {
		s.feed.say(s.events, text)
	}
}

func (s *source) place() (Position, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.position, s.placed
}

func (s *source) isComplete() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.complete
}

// reason words an error for readers.
func reason(err error) string {
	var e *dynomad.Error
	if errors.As(err, &e) && e.Message != "" {
		return e.Message
	}
	return "something went wrong inside the platform; its log says what."
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

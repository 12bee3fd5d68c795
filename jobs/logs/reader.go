package logs

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/dynomad/dynomad"
)

// batch bounds how many entries a reader looks at in one go.
const batch = 512

// What readers are told in lines of their own.
const (
	tooSlow = "You read too slowly: lines were left out, and the stream ends here. Connect again to go on."
	mayMiss = "Lines may be missing here: those after the last one that you have are no longer kept."
)

// reader is one reader of a feed: a place in its ring.
type reader struct {
	feed    *feed
	options dynomad.LogOptions

	begun   bool
	history []dynomad.LogLine // to be given first
	next    uint64            // number of the entry to be looked at next
	over    bool
}

// Close implements dynomad.LogReader.
func (r *reader) Close() { r.feed.leave() }

// Next implements dynomad.LogReader.
func (r *reader) Next(ctx context.Context) ([]dynomad.LogLine, error) {
	select {
	case <-r.feed.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		lines, changed := r.look()
		if len(lines) > 0 {
			return lines, nil
		}
		if r.over {
			return nil, io.EOF
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// look gives the lines that are there, and what tells of more.
func (r *reader) look() (lines []dynomad.LogLine, changed <-chan struct{}) {
	f := r.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if !r.begun {
		r.begin()
	}
	if len(r.history) > 0 {
		lines, r.history = r.history, nil
		return lines, f.changed
	}
	switch {
	case r.over, !r.options.Tail:
		r.over = true
		return nil, f.changed
	case r.next < f.ring.first:
		r.over = true
		return []dynomad.LogLine{r.notice(tooSlow)}, f.changed
	}
	for r.next < f.ring.next() && len(lines) == 0 {
		entries := f.ring.from(r.next)
		for _, e := range entries[:min(batch, len(entries))] {
			if fits(r.options.LogFilter, e.from) {
				lines = append(lines, f.line(r.next, e))
			}
			r.next++
		}
	}
	r.over = len(lines) == 0 && f.over
	return lines, f.changed
}

// begin finds the reader's place. f.mu is held.
func (r *reader) begin() {
	f := r.feed
	r.begun, r.next = true, f.ring.next()
	if r.options.After != "" {
		id, number, _ := strings.Cut(r.options.After, "-")
		after, err := strconv.ParseUint(number, 10, 64)
		if err != nil || id != f.id || after+1 < f.ring.first || after >= r.next {
			r.history = []dynomad.LogLine{r.notice(mayMiss)}
			return
		}
		for r.next = after + 1; !r.options.Tail && r.next < f.ring.next(); r.next++ {
			if e := f.ring.from(r.next)[0]; fits(r.options.LogFilter, e.from) {
				r.history = append(r.history, f.line(r.next, e))
			}
		}
		return
	}
	for _, i := range f.ring.pick(func(o *origin) bool { return fits(r.options.LogFilter, o) }, r.options.Lines) {
		r.history = append(r.history, f.line(f.ring.first+uint64(i), f.ring.entries[i])) //nolint:gosec // an index
	}
}

// notice is a line for this reader alone. It stands at the place before the reader's next.
func (r *reader) notice(text string) dynomad.LogLine {
	return dynomad.LogLine{ID: r.feed.lineID(r.next - 1), At: r.feed.hub.Now(), Source: dynomad.LogPlatform, Proc: "logs", Text: text}
}

func (f *feed) line(number uint64, e entry) dynomad.LogLine {
	return dynomad.LogLine{ID: f.lineID(number), At: e.at, Source: e.from.source, Proc: e.from.proc, Text: e.text}
}

func (f *feed) lineID(number uint64) string { return fmt.Sprintf("%s-%d", f.id, number) }

// sinceOpen reports whether something is of the feed's own time, by clocks that may differ a little.
func (f *feed) sinceOpen(at time.Time) bool { return at.After(f.opened.Add(-clockSkew)) }

// isNews reports whether nothing of an output was there before. What the first look finds was, unless it certainly began later: else who
// reads a moment after a dyno has begun would not see what it wrote.
func (f *feed) isNews(o Output) bool {
	if f.isReady() {
		return f.whole || f.sinceOpen(o.Began)
	}
	return f.whole || o.Began.After(f.opened)
}

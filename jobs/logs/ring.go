package logs

import (
	"slices"
	"time"

	"github.com/dynomad/dynomad"
)

// origin is what lines of one dyno, or one kind of platform's lines, have in common.
type origin struct {
	source dynomad.LogSource
	proc   string
	kind   string // type of dyno
	dynoID string
	name   string
}

// entry is a line in a ring.
type entry struct {
	from *origin
	at   time.Time
	text string
	old  bool // it was there before the feed: how old it is is not known
}

// entrySize is about what an entry takes beside its text.
const entrySize = 80

// ring keeps the newest entries, which are numbered from 1 on.
type ring struct {
	maxEntries, maxBytes int

	entries []entry
	first   uint64 // number of entries[0]
	bytes   int
}

// next is the number of the next entry to come.
func (r *ring) next() uint64 { return r.first + uint64(len(r.entries)) }

// add appends entries and forgets the oldest where there are too many.
func (r *ring) add(entries []entry) {
	r.entries = append(r.entries, entries...)
	for _, e := range entries {
		r.bytes += entrySize + len(e.text)
	}
	drop := 0
	for len(r.entries)-drop > r.maxEntries || r.bytes > r.maxBytes && drop < len(r.entries) {
		r.bytes -= entrySize + len(r.entries[drop].text)
		drop++
	}
	clear(r.entries[:drop]) // their texts can be freed
	r.entries = r.entries[drop:]
	r.first += uint64(drop)
}

// from gives the entries from a number on.
func (r *ring) from(number uint64) []entry {
	return r.entries[min(uint64(len(r.entries)), number-r.first):]
}

// pick chooses up to n entries that fit, by their places. The newest count; where it is not known how old they are, each dyno gets
// a fair share, and the platform a small one.
func (r *ring) pick(fits func(*origin) bool, n int) []int {
	var picked []int
	old := map[*origin][]int{} // newest first; nil is the platform
	for i := len(r.entries) - 1; i >= 0 && len(picked) < n; i-- {
		e := r.entries[i]
		switch {
		case !fits(e.from):
		case e.old && e.from.source == dynomad.LogPlatform:
			old[nil] = append(old[nil], i)
		case e.old:
			old[e.from] = append(old[e.from], i)
		default:
			picked = append(picked, i)
		}
	}
	const platformEvery = 5
	for turn, left := 0, n-len(picked); left > 0 && len(old) > 0; turn++ {
		var round []int // the newest of each origin
		skip := len(old) > 1 && turn%platformEvery > 0
		for from, places := range old {
			if from == nil && skip {
				continue
			}
			round = append(round, places[0])
			if old[from] = places[1:]; len(places) == 1 {
				delete(old, from)
			}
		}
		slices.Sort(round)
		round = round[max(0, len(round)-left):]
		picked, left = append(picked, round...), left-len(round)
	}
	slices.Sort(picked)
	return picked
}

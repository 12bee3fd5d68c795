package reconcile

import (
	"container/heap"
	"time"
)

// queue has apps wait until they are due, and then for a slot. Whatever is done with one costs little however many there are.
type queue struct {
	due   dueHeap
	apps  map[string]*queued
	lines [2]line // of those that are due: of apps in general, and of those whose last pass failed
}

// line is who waits for the slots of one kind, and how many of those are left.
type line struct {
	waiting []*queued
	slots   int
}

// queued is an app that is due at a time, waits for a slot, or has one.
type queued struct {
	appID string
	at    time.Time
	place int // in the heap; -1 is none
	line  *line
	busy  bool // it has a slot
	again bool // and is due at a time after that
}

// taken is an app that has got a slot.
type taken struct {
	appID string
	since time.Time // when it was due
}

func newQueue(slots, retries int) queue {
	return queue{apps: map[string]*queued{}, lines: [2]line{{slots: slots}, {slots: retries}}}
}

// has reports whether an app is due at some time, and not had its slot for that.
func (q *queue) has(appID string) bool {
	a := q.apps[appID]
	return a != nil && (!a.busy || a.again)
}

// add makes an app due at a time, unless it is earlier.
func (q *queue) add(appID string, at time.Time) {
	a := q.apps[appID]
	switch {
	case a == nil:
		a = &queued{appID: appID, at: at}
		q.apps[appID] = a
		heap.Push(&q.due, a)
	case a.busy:
		if !a.again || at.Before(a.at) {
			a.at, a.again = at, true
		}
	case a.place >= 0 && at.Before(a.at): // else it is due, and waits
		a.at = at
		heap.Fix(&q.due, a.place)
	}
}

// take gives the apps that are due a slot, those first that came first, and gives those that got one. done gives it back.
func (q *queue) take(now time.Time, failed func(appID string) bool) []taken {
	for len(q.due) > 0 && !q.due[0].at.After(now) {
		a, _ := heap.Pop(&q.due).(*queued)
		a.line = &q.lines[0]
		if failed(a.appID) {
			a.line = &q.lines[1]
		}
		a.line.waiting = append(a.line.waiting, a)
	}
	var all []taken
	for i := range q.lines {
		l := &q.lines[i]
		n := min(l.slots, len(l.waiting))
		for _, a := range l.waiting[:n] {
			a.busy = true
			all = append(all, taken{a.appID, a.at})
		}
		clear(l.waiting[:n])
		if l.waiting = l.waiting[n:]; len(l.waiting) == 0 {
			l.waiting = nil
		}
		l.slots -= n
	}
	return all
}

// done takes an app's slot back.
func (q *queue) done(appID string) {
	a := q.apps[appID]
	if a == nil || !a.busy {
		return
	}
	a.line.slots++
	if a.busy = false; a.again {
		a.again = false
		heap.Push(&q.due, a)
		return
	}
	delete(q.apps, appID)
}

// overdue gives how long the app has been due that waits longest, for a slot or for the end of the pass that it has one for; but
// those of the apps that failed are not counted.
func (q *queue) overdue(now time.Time, failed func(appID string) bool) time.Duration {
	var longest time.Duration
	for id, a := range q.apps {
		if waits := !a.busy || a.again; waits && !failed(id) {
			longest = max(longest, now.Sub(a.at))
		}
	}
	return longest
}

// next gives when the next app is due of those that are not yet; ok is false if there are none.
func (q *queue) next() (at time.Time, ok bool) {
	if len(q.due) == 0 {
		return time.Time{}, false
	}
	return q.due[0].at, true
}

// dueHeap orders apps by when they are due. It implements heap.Interface.
type dueHeap []*queued

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }

func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push implements heap.Interface.
func (h *dueHeap) Push(x any) {
	a, _ := x.(*queued)
	a.place = len(*h)
	*h = append(*h, a)
}

// Pop implements heap.Interface.
func (h *dueHeap) Pop() any {
	old := *h
	a := old[len(old)-1]
	old[len(old)-1] = nil
	*h, a.place = old[:len(old)-1], -1
	return a
}

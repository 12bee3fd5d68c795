package reconcile

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestQueue(t *testing.T) {
	t.Parallel()
	start := time.Unix(1_700_000_000, 0)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	q := newQueue(2, 1)
	failed := func(id string) bool { return id[0] == 'f' }
	take := func(now time.Time, want ...string) {
		t.Helper()
		var got []string
		for _, one := range q.take(now, failed) {
			got = append(got, one.appID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("at %s: got %v, want %v", now.Sub(start), got, want)
		}
	}
	for i, id := range []string{"c", "b", "a", "f1", "f2"} {
		q.add(id, at(5-i))
	}
	q.add("c", at(9)) // later than it is due: no change
	q.add("b", at(2)) // sooner
	take(at(0))
	if next, ok := q.next(); !ok || !next.Equal(at(1)) {
		t.Errorf("the next is due at %s, %t", next, ok)
	}
	take(at(5), "b", "a", "f2") // the slots are used up
	if next, ok := q.next(); ok {
		t.Errorf("all are due, but there is a next: %s", next)
	}
	q.add("c", at(1)) // it waits for a slot already
	q.add("b", at(7)) // it is to be looked at again
	q.add("b", at(8))
	q.done("f2")
	take(at(6), "f1")
	q.done("b")
	take(at(6), "c")
	if !q.has("b") || q.has("c") || q.has("a") {
		t.Errorf("b %t, c %t, a %t: want only b due again", q.has("b"), q.has("c"), q.has("a"))
	}
	q.done("a")
	take(at(7), "b")
	for _, id := range []string{"b", "c", "f1", "unknown"} {
		q.done(id)
	}
	take(at(100))
	if len(q.apps) != 0 || q.lines[0].slots != 2 || q.lines[1].slots != 1 {
		t.Errorf("in the end: %d apps, slots %d and %d", len(q.apps), q.lines[0].slots, q.lines[1].slots)
	}
}

// TestQueue_since tells of each app since when it waits, wherever it does: for its time, for a slot, and for the end of its own pass.
func TestQueue_since(t *testing.T) {
	t.Parallel()
	start := time.Unix(1_700_000_000, 0)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	failed := func(id string) bool { return id[0] == 'f' }
	q := newQueue(1, 1)
	overdue := func(now, want int) {
		t.Helper()
		if got := q.overdue(at(now), failed); got != time.Duration(want)*time.Second {
			t.Errorf("at %d s: overdue for %s, want %d s", now, got, want)
		}
	}
	take := func(now int, want ...taken) {
		t.Helper()
		if got := q.take(at(now), failed); !slices.Equal(got, want) {
			t.Errorf("at %d s: got %v, want %v", now, got, want)
		}
	}
	overdue(0, 0) // there is none
	for i, id := range []string{"f1", "f2", "a", "b"} {
		q.add(id, at(i))
	}
	overdue(1, 0) // only those whose last pass failed
	overdue(5, 3) // not taken yet: a
	take(5, taken{"a", at(2)}, taken{"f1", at(0)})
	q.add("b", at(1)) // it waits for a slot since 3 already
	overdue(6, 3)
	q.add("a", at(9))
	q.add("a", at(7)) // while its pass is under way
	q.done("f1")
	take(8, taken{"f2", at(1)})
	overdue(9, 6)
	q.done("a")
	take(10, taken{"b", at(3)})
	overdue(10, 3) // a, since 7
	q.done("b")
	take(10, taken{"a", at(7)})
	overdue(100, 0) // what has its slot does not wait
}

// BenchmarkQueue has ten thousand apps due at once, and each looked at.
func BenchmarkQueue(b *testing.B) {
	now := time.Unix(1_700_000_000, 0)
	for b.Loop() {
		q := newQueue(8, 4)
		for i := range 10_000 {
			q.add(fmt.Sprint("app", i), now)
		}
		for left := 10_000; left > 0; {
			for _, one := range q.take(now, func(string) bool { return false }) {
				q.done(one.appID)
				left--
			}
		}
	}
}

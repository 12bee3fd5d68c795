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
	take := func(now time.Time, want ...string) {
		t.Helper()
		failed := func(id string) bool { return id[0] == 'f' }
		if got := q.take(now, failed); !slices.Equal(got, want) {
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

// BenchmarkQueue has ten thousand apps due at once, and each looked at.
func BenchmarkQueue(b *testing.B) {
	now := time.Unix(1_700_000_000, 0)
	for b.Loop() {
		q := newQueue(8, 4)
		for i := range 10_000 {
			q.add(fmt.Sprint("app", i), now)
		}
		for left := 10_000; left > 0; {
			for _, id := range q.take(now, func(string) bool { return false }) {
				q.done(id)
				left--
			}
		}
	}
}

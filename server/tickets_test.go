package server

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dynomad/dynomad"
)

func TestTickets(t *testing.T) {
	t.Parallel()
	now, secrets := time.Unix(1000, 0), 0
	tickets := newTickets[string](time.Minute, func() time.Time { return now }, func() string { secrets++; return fmt.Sprint("secret-", secrets) })
	first, err := tickets.issue("a thing")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if what, ok := tickets.look(first); !ok || what != "a thing" {
			t.Errorf("look: %q, %t", what, ok)
		}
	}
	if what, ok := tickets.take(first); !ok || what != "a thing" {
		t.Errorf("take: %q, %t", what, ok)
	}
	for _, secret := range []string{first, "", "secret-9"} {
		if what, ok := tickets.take(secret); ok || what != "" {
			t.Errorf("take %q: %q, %t", secret, what, ok)
		}
	}
	second, err := tickets.issue("another")
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	if _, ok := tickets.look(second); ok {
		t.Error("a ticket is good after its time")
	}
	for range maxTickets { // the old one makes room
		if _, err := tickets.issue("x"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tickets.issue("x"); dynomad.KindOf(err) != dynomad.Unavailable {
		t.Errorf("one too many: %v", err)
	}
}

// TestTickets_once has many take one ticket: one gets it.
func TestTickets_once(t *testing.T) {
	t.Parallel()
	tickets := newTickets[int](time.Minute, time.Now, func() string { return "secret" })
	if _, err := tickets.issue(7); err != nil {
		t.Fatal(err)
	}
	var got atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, ok := tickets.take("secret"); ok {
				got.Add(1)
			}
		})
	}
	all.Wait()
	if got.Load() != 1 {
		t.Errorf("%d got it", got.Load())
	}
}

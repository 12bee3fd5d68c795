package server

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/dynomad/dynomad"
)

// maxTickets bounds how many tickets of one kind are good at once.
const maxTickets = 10_000

// tickets are secrets that stand in URLs in place of a token: each is good for one thing, for a while. They are kept hashed and
// in memory, and so end with the daemon.
type tickets[T any] struct {
	life      time.Duration
	now       func() time.Time
	newSecret func() string

	mu   sync.Mutex
	held map[[sha256.Size]byte]ticket[T]
}

type ticket[T any] struct {
	what    T
	expires time.Time
}

func newTickets[T any](life time.Duration, now func() time.Time, newSecret func() string) *tickets[T] {
	return &tickets[T]{life: life, now: now, newSecret: newSecret, held: map[[sha256.Size]byte]ticket[T]{}}
}

// issue makes a ticket for a thing and gives its secret.
func (t *tickets[T]) issue(what T) (secret string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for hash, held := range t.held {
		if !now.Before(held.expires) {
			delete(t.held, hash)
		}
	}
	if len(t.held) >= maxTickets {
		return "", dynomad.Errorf(dynomad.Unavailable, "Too many URLs like this one were asked for in the last minutes.")
	}
	secret = t.newSecret()
	t.held[sha256.Sum256([]byte(secret))] = ticket[T]{what: what, expires: now.Add(t.life)}
	return secret, nil
}

// look gives what a ticket is good for. It stays good.
func (t *tickets[T]) look(secret string) (what T, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	held, ok := t.held[sha256.Sum256([]byte(secret))]
	if !ok || !t.now().Before(held.expires) {
		return what, false
	}
	return held.what, true
}

// take is look, once: the ticket is no longer good.
func (t *tickets[T]) take(secret string) (what T, ok bool) {
	if what, ok = t.look(secret); !ok {
		return what, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	hash := sha256.Sum256([]byte(secret))
	if _, ok = t.held[hash]; !ok { // somebody else was faster
		var none T
		return none, false
	}
	delete(t.held, hash)
	return what, true
}

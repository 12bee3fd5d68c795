package consul

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

var errAway = errors.New("connection refused")

// keeper is Consul as far as locks go, in the time of a synctest bubble. A session ends ttl after its last renewal.
type keeper struct {
	mu       sync.Mutex
	ttl      time.Duration
	sessions map[string]time.Time // when each ends
	made     int
	holder   string // session that has the key
	value    []byte
	free     time.Time // nobody gets the key before
	away     bool
	calls    map[string]int
	after    func(call string) // called when a call was carried out; it may not call the keeper
}

func newKeeper() *keeper {
	return &keeper{ttl: 2 * lockTTL, sessions: map[string]time.Time{}, calls: map[string]int{}}
}

// enter counts a call, ends what is over and gives an error while Consul is away. k.mu is held.
func (k *keeper) enter(ctx context.Context, call string) error {
	k.calls[call]++
	if k.away {
		return errAway
	}
	for id, ends := range k.sessions {
		if time.Now().After(ends) {
			k.end(id)
		}
	}
	return ctx.Err()
}

// end ends a session, and its key with it. k.mu is held.
func (k *keeper) end(id string) {
	delete(k.sessions, id)
	if k.holder == id {
		k.holder, k.value, k.free = "", nil, time.Now().Add(time.Millisecond)
	}
}

func (k *keeper) create(ctx context.Context) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.enter(ctx, "create"); err != nil {
		return "", err
	}
	k.made++
	id := fmt.Sprintf("s%d", k.made)
	k.sessions[id] = time.Now().Add(k.ttl)
	return id, nil
}

func (k *keeper) renew(ctx context.Context, id string) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.enter(ctx, "renew"); err != nil {
		return false, err
	}
	if _, alive := k.sessions[id]; !alive {
		return false, nil
	}
	k.sessions[id] = time.Now().Add(k.ttl)
	return true, nil
}

func (k *keeper) destroy(ctx context.Context, id string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.enter(ctx, "destroy"); err != nil {
		return err
	}
	k.end(id)
	return nil
}

func (k *keeper) read(ctx context.Context, _ string) (string, []byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.enter(ctx, "read"); err != nil {
		return "", nil, err
	}
	return k.holder, k.value, nil
}

func (k *keeper) acquire(ctx context.Context, _, session string, value []byte) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.enter(ctx, "acquire"); err != nil {
		return false, err
	}
	if _, alive := k.sessions[session]; !alive {
		return false, errors.New("invalid session")
	}
	if (k.holder != "" && k.holder != session) || time.Now().Before(k.free) {
		return false, nil
	}
	k.holder, k.value = session, value
	if k.after != nil {
		k.after("acquire")
	}
	if k.away {
		return false, errAway // the answer is lost
	}
	return true, nil
}

// set changes the keeper.
func (k *keeper) set(change func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change()
}

func (k *keeper) count(call string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.calls[call]
}

package consul

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad"
)

// Timing of a lock. Consul ends a session that is not renewed no sooner than lockTTL after, and no later than twice that.
const (
	lockTTL   = 20 * time.Second
	lockRenew = lockTTL / 2
	lockRetry = 3 * time.Second // between two tries to get it, or to renew it after a failure
	lockLook  = 4 * time.Second // the longest that one try takes, so that there is time for another before the TTL is over
	takeTries = 5
	takePause = 50 * time.Millisecond
)

// LockGone is the longest that a lock outlives a holder that ended without a word.
const LockGone = 2 * lockTTL

// Why a lock is not held, in words fit for anybody.
const (
	notHeld     = "not held"
	notRenewed  = "not held: Consul does not answer"
	heldByOther = "held by another daemon"
	refused     = "not held: Consul refuses, the token lacks a right"
)

// Holder is the process that holds a lock. It is written to the lock's key, for people to read.
type Holder struct {
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started_at"`
	DataDir string    `json:"data_dir"` // absolute
	Inode   string    `json:"inode"`    // of the data folder: device and number, which a copy of it does not have
}

func (h Holder) String() string {
	if h.Host == "" {
		return "an unknown process"
	}
	return fmt.Sprintf("process %d on host %s, started at %s, with the data folder %s",
		h.PID, h.Host, h.Started.UTC().Format(time.RFC3339), h.DataDir)
}

// sameFolder reports whether two processes use the same data folder of the same machine, one after the other.
func (h Holder) sameFolder(o Holder) bool {
	return h.Host == o.Host && h.DataDir == o.DataDir && h.Inode == o.Inode && h.Inode != ""
}

// HeldError says that another process holds the lock.
type HeldError struct{ Holder Holder }

func (e *HeldError) Error() string { return "the lock is held by " + e.Holder.String() }

// sessions is what a lock needs of Consul.
type sessions interface {
	create(ctx context.Context) (id string, err error)
	renew(ctx context.Context, id string) (alive bool, err error)
	destroy(ctx context.Context, id string) error
	// read gives the session that holds a key, "" for none, and the key's value.
	read(ctx context.Context, key string) (session string, value []byte, err error)
	// acquire reports false if another session holds the key, or held it an instant ago.
	acquire(ctx context.Context, key, session string, value []byte) (bool, error)
}

// Lock is a key of Consul's that one process of many holds, for as long as it renews its session. It is held on a lease: when
// Consul could not be asked for so long that somebody else may have it, it counts as not held. It is safe for concurrent use.
type Lock struct {
	api    sessions
	key    string
	holder Holder
	log    hclog.Logger

	turn    sync.Mutex // of those who talk to Consul; guards the next two
	session string     // ours; "" is none
	had     bool       // it was held once

	wall func() time.Time // the clock on the wall

	mu    sync.Mutex // guards the fields below
	until time.Time  // it is certainly held before that
	since time.Time  // … and from then on, both by the clock on the wall
	ends  time.Time
	state string // why it is not held, fit for anybody
	said  string // what was last logged
}

// NewLock makes a lock that is not held yet.
func (c *Client) NewLock(key string, holder Holder, log hclog.Logger) *Lock {
	return newLock(agentSessions{c.api}, key, holder, log)
}

func newLock(api sessions, key string, holder Holder, log hclog.Logger) *Lock {
	return &Lock{api: api, key: key, holder: holder, log: log, state: notHeld, wall: time.Now}
}

// Held reports whether this process certainly holds the lock now.
func (l *Lock) Held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held()
}

// held asks two clocks. The monotonic one stands still while the machine is suspended; the one on the wall is right after, but may be set.
// Where they disagree the lock counts as not held until it is renewed, which is soon. l.mu is held.
func (l *Lock) held() bool {
	now := l.wall().Round(0)
	return time.Now().Before(l.until) && now.Before(l.ends) && !now.Before(l.since)
}

// State says "ok" if the lock is held, else in a few words fit for anybody why not.
func (l *Lock) State() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held() {
		return "ok"
	}
	return l.state
}

// Acquire tries once to get the lock, or to renew it. The error is a *HeldError if another process has it.
func (l *Lock) Acquire(ctx context.Context) error {
	l.turn.Lock()
	defer l.turn.Unlock()
	looking, cancel := context.WithTimeout(ctx, lockLook)
	defer cancel()
	err := l.look(looking)
	if ctx.Err() == nil || err == nil {
		l.note(err)
	}
	return err
}

// Run keeps the lock, or goes on trying to get it, until ctx ends. Its requests are few and steady: two each lockRenew while
// it is held, one each lockRetry while another has it.
func (l *Lock) Run(ctx context.Context) {
	pause := lockRetry
	if l.Held() {
		pause = lockRenew
	}
	for {
		sleep(ctx, pause)
		if ctx.Err() != nil {
			return
		}
		pause = lockRenew
		if l.Acquire(ctx) != nil {
			pause = lockRetry - rand.N(lockRetry/4) //nolint:gosec // jitter, no secret
		}
	}
}

// Release gives the lock up, so that the next process need not wait.
func (l *Lock) Release(ctx context.Context) error {
	l.turn.Lock()
	defer l.turn.Unlock()
	l.lose(notHeld)
	if l.session == "" {
		return nil
	}
	id := l.session
	l.session = ""
	return l.api.destroy(ctx, id)
}

// look asks Consul who holds the lock, and takes it if it is free. A session that is alive is not enough: somebody may have
// deleted the key.
func (l *Lock) look(ctx context.Context) error {
	asked := time.Now()
	if l.session != "" {
		alive, err := l.api.renew(ctx, l.session)
		if err != nil {
			return err
		}
		if !alive {
			l.session = ""
			l.lose(notHeld)
		}
	}
	session, value, err := l.api.read(ctx, l.key)
	switch {
	case err != nil:
		return err
	case session == "":
		return l.take(ctx, asked)
	case session == l.session:
		l.hold(asked)
		return nil
	}
	other := holderOf(value)
	if l.had || !l.holder.sameFolder(other) {
		l.lose(heldByOther)
		return errors.Join(&HeldError{Holder: other}, l.drop(ctx))
	}
	// A process of before on our data folder, which we have for ourselves: it was killed, and its session outlived it. One that
	// held the lock itself is never so sure: of a machine that was cloned with its folder, both would be.
	if err := l.api.destroy(ctx, session); err != nil {
		return err
	}
	return l.take(ctx, asked)
}

// take acquires a lock that is free. Consul refuses for an instant after another session ended.
func (l *Lock) take(ctx context.Context, asked time.Time) error {
	l.lose(notHeld)
	if l.session == "" {
		id, err := l.api.create(ctx)
		if err != nil {
			return err
		}
		l.session = id
	}
	value, err := json.Marshal(l.holder)
	if err != nil {
		return err
	}
	for range takeTries {
		ok, err := l.api.acquire(ctx, l.key, l.session, value)
		if err != nil {
			return err
		}
		if ok {
			l.hold(asked)
			return nil
		}
		sleep(ctx, takePause)
	}
	if session, value, err := l.api.read(ctx, l.key); err == nil && session != "" {
		l.lose(heldByOther)
		return &HeldError{Holder: holderOf(value)}
	}
	return dynomad.Errorf(dynomad.Unavailable, "Consul does not give the lock yet.")
}

// holderOf reads a key's value; one of an unknown form is of an unknown process.
func holderOf(value []byte) Holder {
	var h Holder
	_ = json.Unmarshal(value, &h)
	return h
}

// drop ends a session that holds nothing.
func (l *Lock) drop(ctx context.Context) error {
	if l.session == "" {
		return nil
	}
	id := l.session
	l.session = ""
	return l.api.destroy(ctx, id)
}

// hold notes that the lock is held since Consul was asked, and for as long as its session certainly lives.
func (l *Lock) hold(asked time.Time) {
	l.had = true
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until, l.state = asked.Add(lockTTL), notRenewed
	l.since = l.wall().Round(0).Add(-time.Since(asked))
	l.ends = l.since.Add(lockTTL)
}

// lose notes that the lock is not held.
func (l *Lock) lose(state string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until, l.ends, l.state = time.Time{}, time.Time{}, state
}

// note logs what changed.
func (l *Lock) note(err error) {
	held := l.Held()
	said := fmt.Sprintf("%t %v", held, err)
	l.mu.Lock()
	before := l.said
	l.said = said
	if err != nil && !held && l.state != heldByOther {
		l.state = notRenewed
		if dynomad.KindOf(err) == dynomad.Forbidden {
			l.state = refused
		}
	}
	l.mu.Unlock()
	switch {
	case said == before:
	case err == nil:
		l.log.Info("holds the lock of this installation", "key", l.key)
	case held:
		l.log.Warn("cannot renew the lock of this installation, will try again", "key", l.key, "error", err)
	default:
		l.log.Error("does not hold the lock of this installation: nothing is written to nomad until it does", "key", l.key, "error", err)
	}
}

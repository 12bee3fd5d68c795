package server

import (
	"sync"
	"time"
)

// limiter allows each token, or each address, a number of requests a minute. An account fills up again evenly over the minute. A nil
// limiter allows everything.
type limiter struct {
	perMinute int
	now       func() time.Time

	mu       sync.Mutex
	accounts map[string]account
}

type account struct {
	left float64
	at   time.Time
}

// maxAccounts bounds the limiter's memory. Beyond it, who has not been seen for long is forgotten, and begins anew.
const maxAccounts = 10_000

func newLimiter(perMinute int, now func() time.Time) *limiter {
	if perMinute <= 0 {
		return nil
	}
	return &limiter{perMinute: perMinute, now: now, accounts: map[string]account{}}
}

// take takes a request's cost off an account. It gives how many are left and, if there were too few, how long to wait.
func (l *limiter) take(key string, cost int) (left int, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.account(key)
	if wait = l.wait(a, cost); wait == 0 {
		a.left -= float64(cost)
	}
	if _, ok := l.accounts[key]; !ok {
		l.makeRoom()
	}
	l.accounts[key] = a
	return int(a.left), wait
}

// spent gives how long to wait until an account has one left; 0 is that it has.
func (l *limiter) spent(key string) time.Duration {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wait(l.account(key), 1)
}

// account gives an account as it is now. l.mu is held.
func (l *limiter) account(key string) account {
	now, full := l.now(), float64(l.perMinute)
	a, ok := l.accounts[key]
	if !ok {
		return account{left: full, at: now}
	}
	passed := max(now.Sub(a.at), 0) // a clock that was set back takes nothing away
	return account{left: min(full, a.left+float64(passed)/float64(l.perRequest())), at: now}
}

func (l *limiter) perRequest() time.Duration { return time.Minute / time.Duration(l.perMinute) }

// wait gives how long it takes until an account has so many left.
func (l *limiter) wait(a account, cost int) time.Duration {
	return time.Duration(max(0, float64(cost)-a.left) * float64(l.perRequest()))
}

// makeRoom forgets an account if there are too many: of a few, which Go's maps give by chance, the one that was not used for longest. So a
// flood of addresses costs the same whatever its size. l.mu is held.
func (l *limiter) makeRoom() {
	const few = 8
	if len(l.accounts) < maxAccounts {
		return
	}
	oldest, looked := "", 0
	for key, a := range l.accounts {
		if looked == 0 || a.at.Before(l.accounts[oldest].at) {
			oldest = key
		}
		if looked++; looked == few {
			break
		}
	}
	delete(l.accounts, oldest)
}

package consul

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad"
)

func holder(host, inode string) Holder {
	return Holder{Host: host, PID: 7, Started: time.Unix(0, 0), DataDir: "/data", Inode: inode}
}

func testLock(k *keeper, h Holder) *Lock {
	return newLock(k, "dynomad/i/lock", h, hclog.NewNullLogger())
}

// run runs a lock until the function it gives is called: then it is as if the process were killed.
func run(t *testing.T, l *Lock) (kill func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { l.Run(ctx); close(ended) }()
	return func() {
		cancel()
		<-ended
	}
}

// acquired makes a lock that is held.
func acquired(t *testing.T, k *keeper, h Holder) *Lock {
	t.Helper()
	l := testLock(k, h)
	if err := l.Acquire(t.Context()); err != nil || !l.Held() || l.State() != "ok" {
		t.Fatalf("acquiring a free lock: %v, held %t, %s", err, l.Held(), l.State())
	}
	return l
}

// wantHeldBy wants an error that names the holder.
func wantHeldBy(t *testing.T, err error, want Holder) {
	t.Helper()
	var held *HeldError
	if !errors.As(err, &held) || held.Holder.Host != want.Host || held.Holder.PID != want.PID {
		t.Errorf("got %v, want that %s has it", err, want)
	}
}

func TestLock_two(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper()
		a, b := acquired(t, k, holder("a", "1")), testLock(k, holder("b", "2"))
		kill := run(t, a)
		for range 10 {
			wantHeldBy(t, b.Acquire(t.Context()), holder("a", "1"))
			if b.Held() || b.State() != heldByOther {
				t.Errorf("the second: held %t, %s", b.Held(), b.State())
			}
			time.Sleep(time.Minute)
		}
		kill()
		if err := a.Release(t.Context()); err != nil || a.Held() {
			t.Errorf("released: %v, held %t", err, a.Held())
		}
		if err := b.Acquire(t.Context()); err != nil || !b.Held() {
			t.Errorf("after a release: %v", err)
		}
		if len(k.sessions) != 1 {
			t.Errorf("%d sessions are left", len(k.sessions))
		}
	})
}

// TestLock_killed starts a process after another was killed: on the same folder it goes on at once, elsewhere it waits until
// Consul has given up the first.
func TestLock_killed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper()
		kill := run(t, acquired(t, k, holder("a", "1")))
		time.Sleep(time.Hour)
		kill()
		for _, other := range []Holder{holder("b", "1"), holder("a", "2"), {Host: "a", DataDir: "/copy", Inode: "1"}, {Host: "a", DataDir: "/data"}} {
			wantHeldBy(t, testLock(k, other).Acquire(t.Context()), holder("a", "1"))
		}
		kill = run(t, acquired(t, k, holder("a", "1")))
		time.Sleep(time.Hour)
		kill()
		elsewhere := testLock(k, holder("b", "9"))
		start := time.Now()
		for elsewhere.Acquire(t.Context()) != nil {
			time.Sleep(time.Second)
		}
		if took := time.Since(start); took < lockTTL/2 || took > LockGone+lockTTL {
			t.Errorf("another host got the lock of a dead process after %s", took)
		}
	})
}

// TestLock_clocks sets the clock on the wall, or suspends the machine, which stops the other one: the lock does not count as held until it
// was renewed.
func TestLock_clocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var step atomic.Int64
		l := testLock(newKeeper(), holder("a", "1"))
		l.wall = func() time.Time { return time.Now().Add(time.Duration(step.Load())) }
		if err := l.Acquire(t.Context()); err != nil || !l.Held() {
			t.Fatalf("acquiring: %v", err)
		}
		defer run(t, l)()
		for _, by := range []time.Duration{3 * time.Hour, -5 * time.Hour, lockTTL, -time.Minute} {
			step.Add(int64(by))
			if l.Held() || l.State() == "ok" {
				t.Errorf("held just after the clock was set by %s", by)
			}
			time.Sleep(lockRenew + time.Second)
			synctest.Wait()
			if !l.Held() {
				t.Errorf("not held again after the clock was set by %s: %s", by, l.State())
			}
		}
	})
}

// TestLock_cloned has a machine cloned with the folder: the clone looks like the first. It wins once, and is not fought.
func TestLock_cloned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper()
		a := acquired(t, k, holder("a", "1"))
		defer run(t, a)()
		b := acquired(t, k, holder("a", "1"))
		defer run(t, b)()
		time.Sleep(lockRenew + time.Second)
		for range 100 {
			if a.Held() || !b.Held() {
				t.Fatalf("held by the first %t, by its clone %t", a.Held(), b.Held())
			}
			time.Sleep(time.Second)
		}
	})
}

// TestLock_away takes Consul away before the start and later, for a moment and for long.
func TestLock_away(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper()
		k.away = true
		l := testLock(k, holder("a", "1"))
		if err := l.Acquire(t.Context()); !errors.Is(err, errAway) || l.Held() || l.State() != notRenewed {
			t.Errorf("without Consul: %v, held %t, %s", err, l.Held(), l.State())
		}
		defer run(t, l)()
		time.Sleep(time.Hour)
		k.set(func() { k.away = false })
		time.Sleep(lockRetry)
		synctest.Wait()
		if !l.Held() {
			t.Error("not held though Consul is back")
		}
		k.set(func() { k.away = true })
		for range int(lockRenew/time.Second) - 1 {
			time.Sleep(time.Second)
			if !l.Held() {
				t.Fatal("a moment without Consul costs the lock")
			}
		}
		time.Sleep(lockTTL)
		if l.Held() || l.State() != notRenewed {
			t.Errorf("long without Consul: held %t, %s", l.Held(), l.State())
		}
		k.set(func() { k.away = false })
		time.Sleep(lockRetry)
		synctest.Wait()
		if !l.Held() {
			t.Error("not held again")
		}
		if n := k.count("create"); n != 1 {
			t.Errorf("%d sessions were made for one lock", n)
		}
	})
}

// TestLock_lost ends the session of a process that does not notice for a while: once nobody, once another takes the lock.
func TestLock_lost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper()
		a := acquired(t, k, holder("a", "1"))
		defer run(t, a)()
		k.set(func() { k.end(k.holder) })
		time.Sleep(lockRenew + time.Second)
		if !a.Held() {
			t.Error("a lock that nobody took is not held again")
		}
		k.set(func() { k.end(k.holder) })
		time.Sleep(time.Second) // the lock's delay
		b := acquired(t, k, holder("b", "2"))
		killed := run(t, b)
		time.Sleep(lockRenew + time.Second)
		if a.Held() || a.State() != heldByOther {
			t.Errorf("taken by another: held %t, %s", a.Held(), a.State())
		}
		killed()
		if err := b.Release(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(lockRetry + time.Second)
		if !a.Held() {
			t.Error("it is free again and not held")
		}
	})
}

// TestLock_neverTwo lets two fight over the lock while Consul comes, goes and forgets: they never hold it both.
func TestLock_neverTwo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper()
		k.ttl = lockTTL // the least that Consul promises
		a, b := testLock(k, holder("a", "1")), testLock(k, holder("b", "2"))
		defer run(t, a)()
		defer run(t, b)()
		held := map[string]int{}
		for i := range 20000 {
			time.Sleep(100 * time.Millisecond)
			if a.Held() {
				held["a"]++
			}
			if b.Held() {
				held["b"]++
			}
			if a.Held() && b.Held() {
				t.Fatalf("both hold it at %d", i)
			}
			if i%700 == 0 {
				k.set(func() { k.away = true })
			}
			if i%700 == i/700*13%500 {
				k.set(func() { k.away = false })
			}
		}
		if held["a"] == 0 || held["b"] == 0 {
			t.Errorf("nothing was proved: %v", held)
		}
	})
}

// TestLock_keyDeleted deletes the key by hand; the session lives on.
func TestLock_keyDeleted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper()
		a := acquired(t, k, holder("a", "1"))
		defer run(t, a)()
		k.set(func() { k.holder, k.value = "", nil })
		b := acquired(t, k, holder("b", "2"))
		defer run(t, b)()
		time.Sleep(lockRenew + time.Second)
		if a.Held() || !b.Held() {
			t.Errorf("held by the first %t, by the second %t", a.Held(), b.Held())
		}
		synctest.Wait()
		k.set(func() {
			if len(k.sessions) != 1 {
				t.Errorf("%d sessions, want one: the loser's holds nothing", len(k.sessions))
			}
		})
	})
}

// TestLock_answerLost loses the answer to the acquire that worked.
func TestLock_answerLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper()
		k.after = func(string) { k.away = true }
		l := testLock(k, holder("a", ""))
		if err := l.Acquire(t.Context()); err == nil || l.Held() {
			t.Fatalf("got %v, held %t", err, l.Held())
		}
		k.set(func() { k.away, k.after = false, nil })
		if err := l.Acquire(t.Context()); err != nil || !l.Held() || k.made != 1 {
			t.Errorf("got %v, held %t, %d sessions", err, l.Held(), k.made)
		}
	})
}

// TestLock_requests counts what an hour costs.
func TestLock_requests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper()
		a := acquired(t, k, holder("a", "1"))
		defer run(t, a)()
		time.Sleep(time.Hour)
		synctest.Wait()
		want := int(time.Hour / lockRenew)
		if n := k.count("renew"); n < want-1 || n > want+1 {
			t.Errorf("%d renewals in an hour, want %d", n, want)
		}
		if n := k.count("read"); n < want-1 || n > want+2 {
			t.Errorf("%d reads in an hour, want %d", n, want)
		}
		if k.count("create") != 1 || k.count("acquire") != 1 || k.count("destroy") != 0 {
			t.Errorf("calls: %v", k.calls)
		}
	})
}

// TestLock_unknownValue meets a key that something else holds.
func TestLock_unknownValue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper()
		k.sessions["other"], k.holder, k.value = time.Now().Add(time.Hour), "other", []byte("not json")
		err := testLock(k, Holder{}).Acquire(t.Context())
		wantHeldBy(t, err, Holder{})
		if err == nil || !strings.Contains(err.Error(), "unknown") {
			t.Errorf("got %v", err)
		}
	})
}

// refusing is a Consul that refuses.
type refusing struct{ *keeper }

func (refusing) read(context.Context, string) (string, []byte, error) {
	return "", nil, dynomad.Errorf(dynomad.Forbidden, "Consul refuses.")
}

func TestLock_refused(t *testing.T) {
	t.Parallel()
	l := newLock(refusing{newKeeper()}, "k", Holder{}, hclog.NewNullLogger())
	if err := l.Acquire(t.Context()); err == nil || l.Held() || l.State() != refused {
		t.Errorf("got %v, held %t, %s", err, l.Held(), l.State())
	}
}

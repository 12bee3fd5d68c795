package reconcile_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs/reconcile"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestLoop_idle leaves fifty apps alone: passes over them ask the cluster nothing.
func TestLoop_idle(t *testing.T) {
	inWorld(t, func(w *world) {
		for i := range 50 {
			w.deploy(strconv.Itoa(i))
		}
		w.start()
		w.settle()
		before := w.cluster.Calls()
		if w.cluster.Calls("Register") != 50 {
			t.Fatalf("%d registers, want 50", w.cluster.Calls("Register"))
		}
		time.Sleep(time.Hour)
		for i := range 50 {
			w.loop.Wake(strconv.Itoa(i))
		}
		w.settle()
		if got := w.cluster.Calls() - before; got != 0 {
			t.Errorf("%d requests in an idle hour, want none", got)
		}
	})
}

// TestLoop_wakeIsActedOnAtOnce writes to an idle app: no timer has to pass.
func TestLoop_wakeIsActedOnAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deploy("1")
		w.start()
		w.settle()
		w.release("1", "good:2")
		synctest.Wait()
		w.running("1", "good:2", 1)
	})
}

// TestLoop_timerFindsWhatNobodyToldOf changes the store without a wake.
func TestLoop_timerFindsWhatNobodyToldOf(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deploy("1")
		w.start()
		w.settle()
		w.edit("1", func(r *record) { r.types[0].Quantity = 3 })
		time.Sleep(reconcile.Interval + time.Second)
		synctest.Wait()
		w.running("1", "good:1", 3)
	})
}

// TestLoop_wakeDuringPass writes while a pass is held up in its register, after it read what is wanted.
func TestLoop_wakeDuringPass(t *testing.T) {
	inWorld(t, func(w *world) {
		gate := make(chan struct{})
		var once sync.Once
		w.cluster.OnCall(func(_ context.Context, c nomadtest.Call) error {
			if c.Name == "Register" && !c.Done {
				once.Do(func() { <-gate })
			}
			return nil
		})
		w.deploy("1")
		w.start()
		synctest.Wait()
		w.change("1", func(r *record) { r.types[0].Quantity = 4 })
		synctest.Wait()
		if n := w.cluster.Calls("Register"); n != 1 {
			t.Errorf("%d passes over one app at once", n)
		}
		close(gate)
		synctest.Wait()
		w.running("1", "good:1", 4)
	})
}

// TestLoop_wakeDuringIdlePass writes after a pass over an idle app read what is wanted: that pass finds nothing to do.
func TestLoop_wakeDuringIdlePass(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deploy("1")
		w.start()
		w.settle()
		gate := make(chan struct{})
		var calls atomic.Int64
		w.store.onCall(func() error {
			if calls.Add(1) == 2 { // after the first read
				<-gate
			}
			return nil
		})
		w.loop.Wake("1")
		synctest.Wait()
		w.change("1", func(r *record) { r.types[0].Quantity = 4 })
		synctest.Wait()
		close(gate)
		synctest.Wait()
		w.running("1", "good:1", 4)
	})
}

// TestLoop_backoff has Nomad refuse everything, then work, then refuse again.
func TestLoop_backoff(t *testing.T) {
	inWorld(t, func(w *world) {
		var mu sync.Mutex
		var at []time.Time
		refuse := true
		w.cluster.OnCall(func(_ context.Context, c nomadtest.Call) error {
			mu.Lock()
			defer mu.Unlock()
			if c.Name == "Job" && !c.Done {
				at = append(at, time.Now())
			}
			if refuse {
				return errInjected
			}
			return nil
		})
		gaps := func(of time.Duration) []time.Duration {
			mu.Lock()
			at = nil
			mu.Unlock()
			w.change("1", func(r *record) { r.types[0].Quantity++ })
			time.Sleep(of)
			mu.Lock()
			defer mu.Unlock()
			var out []time.Duration
			for i := 1; i < len(at); i++ {
				out = append(out, at[i].Sub(at[i-1]))
			}
			return out
		}
		w.deploy("1")
		w.start()
		got := gaps(5 * time.Minute)
		if len(got) < 15 || len(got) > 60 {
			t.Fatalf("tried %d times in 5 minutes: %v", len(got)+1, got)
		}
		if first, last := got[1], got[len(got)-1]; first > 2*time.Second || last < 7*time.Second || last > 15*time.Second {
			t.Errorf("pauses from %s to %s, want them to grow from half a second to 15 s: %v", first, last, got)
		}
		mu.Lock()
		refuse = false
		mu.Unlock()
		time.Sleep(16 * time.Second)
		synctest.Wait()
		w.running("1", "good:1", 2)
		mu.Lock()
		refuse = true
		mu.Unlock()
		if again := gaps(time.Minute); len(again) == 0 || again[0] > time.Second {
			t.Errorf("after a success the pauses are %v, want them to start small", again)
		}
	})
}

// TestLoop_nomadAway writes while Nomad is away: the first full list afterwards brings everything up to date.
func TestLoop_nomadAway(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deploy("1")
		w.start()
		w.settle()
		w.cluster.Away(true)
		w.release("1", "good:2")
		w.deploy("2")
		time.Sleep(time.Hour)
		w.status("1", 2, dynomad.ReleasePending)
		w.cluster.Away(false)
		synctest.Wait()
		w.running("1", "good:2", 1)
		time.Sleep(15 * time.Second) // nothing in the list is of an app that has no job yet
		synctest.Wait()
		w.running("2", "good:1", 1)
		w.status("1", 2, dynomad.ReleaseSucceeded)
	})
}

// TestLoop_stuckApps has more apps whose calls hang than there are workers: another app waits for none of them.
func TestLoop_stuckApps(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cluster.OnCall(func(ctx context.Context, c nomadtest.Call) error {
			if strings.Contains(c.Key, "appstuck") {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		w.start()
		for i := range 30 {
			w.deploy("stuck" + strconv.Itoa(i))
		}
		time.Sleep(10 * time.Minute)
		w.deploy("1")
		synctest.Wait()
		w.running("1", "good:1", 1)
	})
}

// TestLoop_refusedApps has many apps that Nomad refuses for good.
func TestLoop_refusedApps(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cluster.OnCall(func(_ context.Context, c nomadtest.Call) error {
			if c.Name == "Register" && strings.Contains(c.Key, "appbad") {
				return dynomad.Errorf(dynomad.Invalid, "Nomad refuses it.")
			}
			return nil
		})
		w.start()
		for i := range 30 {
			w.deploy("bad" + strconv.Itoa(i))
		}
		w.deploy("1")
		w.settle()
		w.running("1", "good:1", 1)
		if r := w.status("bad7", 1, dynomad.ReleaseFailed); r.AdditionalInfo != "Nomad refuses it." {
			t.Errorf("the release failed with %q, want Nomad's reason", r.AdditionalInfo)
		}
		if got := w.get("bad7").applied.Problem; got != "Nomad refuses it." {
			t.Errorf("problem: got %q", got)
		}
	})
}

// TestLoop_endsWithContext ends the loop while passes hang in the cluster and others wait for a slot. It waits for the former
// and begins none of the latter.
func TestLoop_endsWithContext(t *testing.T) {
	inWorld(t, func(w *world) {
		var underWay atomic.Int32
		w.cluster.OnCall(func(ctx context.Context, _ nomadtest.Call) error {
			underWay.Add(1)
			<-ctx.Done()
			time.Sleep(time.Second)
			underWay.Add(-1)
			return ctx.Err()
		})
		for i := range 30 {
			w.deploy(strconv.Itoa(i))
		}
		w.start()
		synctest.Wait()
		begin := time.Now()
		w.end()
		if took := time.Since(begin); took != time.Second {
			t.Errorf("it took %s to end, want the second that calls take to be cut off", took)
		}
		if n := underWay.Load(); n != 0 {
			t.Errorf("%d calls are under way after its end", n)
		}
	})
}

// TestLoop_storeFails has the store fail once at each of its calls.
func TestLoop_storeFails(t *testing.T) {
	for n := range 12 {
		inWorldNamed(t, strconv.Itoa(n), func(w *world) {
			var calls atomic.Int64
			w.store.onCall(func() error {
				if calls.Add(1) == int64(n) {
					return errInjected
				}
				return nil
			})
			w.deploy("1")
			w.start()
			time.Sleep(reconcile.Interval + 10*time.Second)
			synctest.Wait()
			w.running("1", "good:1", 1)
			w.status("1", 1, dynomad.ReleaseSucceeded)
		})
	}
}

// TestLoop_conflict has somebody else change the job between the loop's look at it and its register.
func TestLoop_conflict(t *testing.T) {
	tests := []struct {
		name    string
		times   int
		instant bool // without a pause
	}{{"once", 1, true}, {"twice", 2, true}, {"three times", 3, false}}
	for _, tt := range tests {
		inWorldNamed(t, tt.name, func(w *world) {
			w.deploy("1")
			w.start()
			w.settle()
			n := 0
			w.cluster.OnCall(func(_ context.Context, c nomadtest.Call) error {
				if c.Name == "Job" && c.Done && n < tt.times {
					n++
					w.cluster.Edit("app1-default", func(job *api.Job) { job.TaskGroups[0].Count = new(20 + n) })
				}
				return nil
			})
			w.cluster.Hold(true) // no news: an edit would wake the loop by itself
			w.release("1", "good:2")
			synctest.Wait()
			if got := *w.cluster.Spec("app1-default").TaskGroups[0].Count == 1; got != tt.instant {
				t.Errorf("registered without a pause: %t, want %t", got, tt.instant)
			}
			w.cluster.Hold(false)
			w.settle()
			w.running("1", "good:2", 1)
			w.status("1", 2, dynomad.ReleaseSucceeded)
		})
	}
}

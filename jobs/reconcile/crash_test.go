package reconcile_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestLoop_killedAnywhere kills the daemon before and after every single call that it makes to the store and the cluster. The
// next one finishes the work, exactly once.
func TestLoop_killedAnywhere(t *testing.T) {
	const job = "app1-default"
	tests := []struct {
		name   string
		before func(w *world) // what runs already
		act    func(w *world)
		check  func(w *world)
	}{
		{
			"first deploy", func(*world) {},
			func(w *world) { w.deploy("1") },
			func(w *world) {
				w.running("1", "good:1", 1)
				w.version(job, 0)
				w.status("1", 1, dynomad.ReleaseSucceeded)
				w.variables("dynomad/app1-default/c1-1")
			},
		},
		{
			"second release", func(w *world) { w.deploy("1") },
			func(w *world) { w.release("1", "good:2") },
			func(w *world) {
				w.running("1", "good:2", 1)
				w.version(job, 1)
				w.status("1", 2, dynomad.ReleaseSucceeded)
				w.variables("dynomad/app1-default/c2-1")
			},
		},
		{
			"failing release", func(w *world) { w.deploy("1") },
			func(w *world) { w.release("1", "bad:2") },
			func(w *world) {
				w.running("1", "good:1", 1)
				// The bad one, and the one that Nomad put back. Killed after the register and before it was recorded, with a
				// rollout that fails meanwhile, there is nothing to tell that it was tried: it is once more.
				if v := *w.cluster.Spec(job).Version; v != 2 && v != 4 {
					w.Errorf("job %s is at version %d, want 2 or 4", job, v)
				}
				w.status("1", 1, dynomad.ReleaseSucceeded)
				if r := w.status("1", 2, dynomad.ReleaseFailed); r.AdditionalInfo != "Its dynos ended." {
					w.Errorf("the release failed with %q", r.AdditionalInfo)
				}
				w.variables("dynomad/app1-default/c1-1")
			},
		},
		{
			"failing first release", func(*world) {},
			func(w *world) {
				w.app("1")
				w.release("1", "bad:1")
			},
			func(w *world) {
				w.running("1", "bad:1", 1)
				w.status("1", 1, dynomad.ReleaseFailed)
			},
		},
		{
			"delete", func(w *world) {
				w.deploy("1")
				w.settle()
				w.release("1", "good:2")
			},
			func(w *world) { w.change("1", func(r *record) { r.deleted = true }) },
			func(w *world) {
				w.gone("1")
				w.variables()
			},
		},
		{
			"nothing left to run", func(w *world) { w.deploy("1") },
			func(w *world) {
				w.change("1", func(r *record) { r.types = nil })
			},
			func(w *world) {
				if w.cluster.Spec(job) != nil {
					w.Error("the job is still there")
				}
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				blown := false
				killed := func(w *world) {
					w.cluster.Outcome(badImage)
					w.start()
					tt.before(w)
					w.settle()
					audits := len(w.store.audits)
					fuse := w.arm(n)
					tt.act(w)
					w.settle()
					blown = fuse.blown()
					fuse.disarm()
					w.crash()
					w.start()
					w.settle()
					w.settle()
					tt.check(w)
					if got := len(w.store.audits) - audits; got > 1 {
						w.Errorf("%d audits of the release's end: %+v", got, w.store.audits)
					}
				}
				t.Run(strconv.Itoa(n), func(t *testing.T) { inWorldNow(t, killed) })
				if !blown {
					t.Logf("%d steps", n-1)
					if n < 5 {
						t.Error("hardly anything was done")
					}
					return
				}
			}
		})
	}
}

// fuse makes every call fail after a number of steps: the daemon is dead.
type fuse struct {
	w    *world
	left int
}

// arm has the daemon die at its nth step from now on: steps are just before and just after a call.
func (w *world) arm(n int) *fuse {
	f := &fuse{w: w, left: n}
	step := func() error {
		w.store.mu.Lock()
		defer w.store.mu.Unlock()
		if f.left--; f.left <= 0 {
			return errInjected
		}
		return nil
	}
	w.store.onCall(step)
	w.cluster.OnCall(func(context.Context, nomadtest.Call) error { return step() })
	return f
}

func (f *fuse) blown() bool {
	f.w.store.mu.Lock()
	defer f.w.store.mu.Unlock()
	return f.left <= 0
}

func (f *fuse) disarm() {
	f.w.end()
	f.w.end = func() {}
	f.w.store.onCall(nil)
	f.w.cluster.OnCall(nil)
}

package reconcile_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestLoop_notHeld changes what is wanted while the loop may not write: nothing is asked of the cluster, and all is made up for
// when it may, without another wake.
func TestLoop_notHeld(t *testing.T) {
	inWorld(t, func(w *world) {
		var held atomic.Bool
		w.loop.Held = held.Load
		w.deploy("1")
		w.deploy("2")
		w.start()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := w.cluster.Calls(); n != 0 {
			t.Errorf("%d calls without the right to write", n)
		}
		held.Store(true)
		w.settle()
		w.running("1", "good:1", 1)
		w.running("2", "good:1", 1)

		held.Store(false)
		before := w.cluster.Calls()
		w.change("1", func(r *record) { r.types[0].Quantity = 3 })
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := w.cluster.Calls() - before; n != 0 {
			t.Errorf("%d calls after the right was lost", n)
		}
		held.Store(true)
		w.settle()
		w.running("1", "good:1", 3)
	})
}

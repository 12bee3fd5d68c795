package jobs

import "time"

// Tried is what Nomad has tried by itself of a rollout that had failed: it leaves the dynos of a failed deployment alone, but only as long as it
// knows of that. Nomad 1.10.5 may forget it at its next collection of garbage, every five minutes, whatever deployment_gc_threshold is: who
// fails a deployment writes no time of that (nomad/deploymentwatcher, getDeploymentStatusUpdate; nomad/core_sched.go, deploymentGC).
type Tried struct {
	Times int       // how often it placed a dyno anew, of those that it placed most often
	Since time.Time // when the oldest of them was placed that has not ended, nor was told to, and is not well yet; zero if there is none
	Ended time.Time // when the last of those that have ended did; zero if none has
}

// TriedOf gives what Nomad has tried of a job by itself since a time. Well says which dynos are, and need no other try.
func TriedOf(allocs []Alloc, since time.Time, well func(Alloc) bool) Tried {
	var t Tried
	type place struct {
		group string
		index int32
	}
	times := map[place]int{}
	for _, a := range allocs {
		placed := time.Unix(0, a.Created)
		if !placed.After(since) || (!a.Ended() && (a.Stopping() || well(a))) {
			continue
		}
		at := place{a.Group, a.Index}
		times[at]++
		t.Times = max(t.Times, times[at])
		switch changed := time.Unix(0, a.Modified); {
		case !a.Ended():
			if t.Since.IsZero() || placed.Before(t.Since) {
				t.Since = placed
			}
		case changed.After(t.Ended):
			t.Ended = changed
		}
	}
	return t
}

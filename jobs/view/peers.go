package view

import (
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs"
)

// Peers tells of an allocation that is to be replaced: whether it is still up to that, and how many others of its group are
// ready meanwhile. fresh is false while the view does not follow the namespace, or Consul.
func (v *View) Peers(nsName, jobID, allocID string) (here bool, ready int, fresh bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	ns := v.namespaces[nsName]
	if ns == nil || !ns.synced || !v.healthLost.IsZero() {
		return false, 0, false
	}
	j := ns.jobs[jobID]
	if j == nil {
		return false, 0, true
	}
	a, ok := j.allocs[allocID]
	if !ok || a.Stopping() || (a.Ended() && a.Client != api.AllocClientStatusFailed) {
		return false, 0, true
	}
	for id, other := range j.allocs {
		if id != allocID && other.Group == a.Group && v.ready(j, other) {
			ready++
		}
	}
	return true, ready, true
}

// ready reports whether a dyno runs and, if it is checked, passes. v.mu is held.
func (v *View) ready(j *job, a jobs.Alloc) bool {
	if a.Stopping() || a.Client != api.AllocClientStatusRunning {
		return false
	}
	content, ok := j.content(a)
	return ok && (!content.Checked || v.health[a.ID].Passing)
}

// Unfit reports whether Nomad says of a job that it cannot place some of it. While the view does not follow the namespace that is what it said last.
func (v *View) Unfit(nsName, jobID string) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	ns := v.namespaces[nsName]
	return ns != nil && ns.jobs[jobID] != nil && len(ns.jobs[jobID].blocked.Failed) > 0
}

// Tried tells what Nomad has tried by itself, since a time, of a job whose rollout had failed. While the view does not follow the namespace
// that is what it saw last.
func (v *View) Tried(nsName, jobID string, since time.Time) jobs.Tried {
	v.mu.RLock()
	defer v.mu.RUnlock()
	ns := v.namespaces[nsName]
	if ns == nil || ns.jobs[jobID] == nil {
		return jobs.Tried{}
	}
	j := ns.jobs[jobID]
	longest := v.Now().Add(-v.Settings.MinHealthyTime).UnixNano()
	return jobs.TriedOf(slices.Collect(maps.Values(j.allocs)), since, func(a jobs.Alloc) bool {
		return v.ready(j, a) && a.Task.Started <= longest
	})
}

package view

import (
	"reflect"
	"time"

	"github.com/dynomad/dynomad/jobs"
)

// Reset takes a full list of a namespace. What was known of allocations that are still there is kept: their events are
// capped by Nomad, ours are not.
func (v *View) Reset(nsName string, s jobs.Snapshot) {
	v.mu.Lock()
	old := v.namespaces[nsName]
	ns := &namespace{synced: true, jobs: map[string]*job{}, allocs: map[string]string{}}
	v.namespaces[nsName] = ns
	for _, info := range s.Jobs {
		j := ns.job(info.ID)
		j.info, j.present = info, true
	}
	for _, c := range s.Contents {
		ns.job(c.JobID).addContent(c)
	}
	for _, a := range s.Allocs {
		if old != nil {
			if known, ok := old.alloc(a.ID); ok {
				a = jobs.Merge(known, a)
			}
		}
		ns.put(a)
	}
	for _, b := range s.Blocked {
		ns.job(b.JobID).setBlocked(b)
	}
	for id, j := range ns.jobs {
		if before := old.known(id); before.standsAs(j) {
			v.touch(j)
			j.marked = before.marked
		} else {
			v.mark(j)
		}
	}
	if old != nil {
		v.touchGone(old, ns)
	}
	changed := ns.apps()
	if old != nil {
		changed = append(changed, old.apps()...)
	}
	v.mu.Unlock()
	v.tell(changed, nil)
}

// touchGone is touch for the jobs that an older picture had and a newer one does not. v.mu is held.
func (v *View) touchGone(old, now *namespace) {
	for id, j := range old.jobs {
		if now.jobs[id] == nil {
			v.gone(j)
		}
	}
}

// gone is touch for a job of which nothing is known any more: what its app then has is of no version that there was while it was
// known. v.mu is held.
func (v *View) gone(j *job) {
	v.touch(j)
	if _, ok := v.runs[j.info.AppID]; ok {
		v.runs[j.info.AppID] = v.changes
	}
}

// Apply takes one change; older ones than what is known are passed over. It reports whether the change is of an allocation
// whose job version is not known, so that what it runs cannot be told.
func (v *View) Apply(nsName string, d jobs.Delta) (unknown bool) {
	v.mu.Lock()
	ns := v.namespaces[nsName]
	if ns == nil || !ns.synced {
		v.mu.Unlock()
		return false
	}
	j, matters := ns.apply(d)
	switch {
	case j == nil:
		v.mu.Unlock()
		return false
	case matters:
		v.mark(j)
	default:
		v.touch(j)
	}
	var ask []string
	if d.Alloc != nil {
		content, known := j.content(j.allocs[d.Alloc.ID])
		unknown = !known
		if content.Checked || unknown && j.info.RunID == "" {
			ask = []string{d.Alloc.JobID}
		}
	}
	appID := j.info.AppID
	v.mu.Unlock()
	v.tell([]string{appID}, ask)
	return unknown
}

// apply takes one change and gives the job that it is of, nil if there is nothing to say of it, and whether it may matter to the
// loop: see View.mark.
func (ns *namespace) apply(d jobs.Delta) (j *job, matters bool) {
	switch {
	case d.Alloc != nil:
		if j := ns.jobs[d.Alloc.JobID]; j == nil || len(j.contents) == 0 {
			return nil, false // of a job that is not ours, or not known yet: its Job event comes first
		}
		before, known := ns.alloc(d.Alloc.ID)
		j = ns.put(*d.Alloc)
		return j, !known || !sameRun(before, j.allocs[d.Alloc.ID])
	case d.Removed != "":
		if j = ns.jobs[d.Removed]; j != nil {
			j.present = false
		}
	case d.Blocked != nil:
		if j = ns.jobs[d.Blocked.JobID]; j != nil {
			j.setBlocked(*d.Blocked)
		}
	case d.Job != nil:
		j = ns.job(d.Job.ID)
		j.setInfo(*d.Job)
		if d.Content != nil {
			j.addContent(*d.Content)
		}
	}
	return j, true
}

// known gives a job of a namespace; nil if nothing is known of it.
func (ns *namespace) known(id string) *job {
	if ns == nil {
		return nil
	}
	return ns.jobs[id]
}

// standsAs reports whether nothing of a job is another in a later picture that may matter to the loop: see View.mark.
func (j *job) standsAs(later *job) bool {
	if j == nil || j.info != later.info || j.present != later.present || len(j.allocs) != len(later.allocs) {
		return false
	}
	for id, a := range later.allocs {
		before, ok := j.allocs[id]
		if !ok || !sameRun(before, a) {
			return false
		}
	}
	return reflect.DeepEqual(j.contents, later.contents)
}

// sameRun reports whether two pictures of an allocation are of the same version of its job, and of the same state of being up.
func sameRun(a, b jobs.Alloc) bool {
	return a.JobVersion == b.JobVersion && a.VersionKnown == b.VersionKnown && a.Ended() == b.Ended() && a.Stopping() == b.Stopping()
}

// Lost says that a namespace is no longer followed. What was known of it is shown on.
func (v *View) Lost(nsName string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	ns := v.namespaces[nsName]
	if ns == nil {
		ns = &namespace{jobs: map[string]*job{}, allocs: map[string]string{}}
		v.namespaces[nsName] = ns
	}
	if ns.synced || ns.lost.IsZero() {
		ns.synced, ns.lost = false, v.Now()
	}
}

// ResetHealth implements consul.Sink.
func (v *View) ResetHealth(all map[string]jobs.Health) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id, h := range all {
		all[id] = next(v.health[id], h)
	}
	before := v.health
	v.health, v.healthLost = all, time.Time{}
	for id, h := range all {
		if h != before[id] {
			v.touchAlloc(id)
		}
	}
	for id := range before {
		if _, there := all[id]; !there {
			v.touchAlloc(id)
		}
	}
}

// SetHealth implements consul.Sink.
func (v *View) SetHealth(some map[string]jobs.Health) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id, h := range some {
		if h.Known {
			v.health[id] = next(v.health[id], h)
		} else {
			delete(v.health, id)
		}
		v.touchAlloc(id)
	}
}

// touchAlloc touches the job of an allocation. v.mu is held.
func (v *View) touchAlloc(id string) {
	for _, ns := range v.namespaces {
		if j := ns.jobs[ns.allocs[id]]; j != nil {
			v.touch(j)
		}
	}
}

// next gives the health after an earlier one: that a check once passed is not forgotten.
func next(earlier, later jobs.Health) jobs.Health {
	later.EverPassed = later.Passing || earlier.EverPassed
	return later
}

// LostHealth implements consul.Sink.
func (v *View) LostHealth() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.healthLost.IsZero() {
		v.healthLost = v.Now()
	}
}

// tell passes on what changed, without the lock.
func (v *View) tell(apps, services []string) {
	for _, id := range apps {
		if id != "" {
			v.Changed(id)
		}
	}
	for _, s := range services {
		v.Ask(s)
	}
}

// Forget drops allocations that ended so long ago that they are shown no more, and jobs that have none left.
func (v *View) Forget(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, ns := range v.namespaces {
		for id, j := range ns.jobs {
			for allocID, a := range j.allocs {
				if !jobs.Listed(a, jobs.At(now)) {
					delete(j.allocs, allocID)
					delete(ns.allocs, allocID)
					delete(v.health, allocID)
					v.touch(j) // no mark: it has ended
				}
			}
			if j.info.RunID != "" && !j.present {
				v.forgetEnded(ns, j)
			}
			j.forgetVersions()
			if !j.present && len(j.allocs) == 0 {
				delete(ns.jobs, id)
				v.gone(j)
			}
		}
	}
}

// forgetEnded drops the allocations of a run whose job was removed: what became of it is recorded. v.mu is held.
func (v *View) forgetEnded(ns *namespace, j *job) {
	for id, a := range j.allocs {
		if a.Ended() {
			delete(j.allocs, id)
			delete(ns.allocs, id)
			v.touch(j)
		}
	}
}

// keptVersions is how many of a job's newest versions are kept though no allocation is known to run them: one that Nomad
// moved to a newer version in place does not tell.
const keptVersions = 64

// forgetVersions drops what old versions ran that nothing runs any more.
func (j *job) forgetVersions() {
	if len(j.contents) <= keptVersions {
		return
	}
	var newest uint64
	used := map[uint64]bool{}
	for version := range j.contents {
		newest = max(newest, version)
	}
	for _, a := range j.allocs {
		used[a.JobVersion] = true
	}
	for version := range j.contents {
		if version+keptVersions <= newest && !used[version] {
			delete(j.contents, version)
		}
	}
}

// job gives a job of a namespace, a new one if it is not known.
func (ns *namespace) job(id string) *job {
	j := ns.jobs[id]
	if j == nil {
		j = &job{contents: map[uint64]map[string]jobs.GroupContent{}, allocs: map[string]jobs.Alloc{}}
		ns.jobs[id] = j
	}
	return j
}

func (ns *namespace) alloc(id string) (jobs.Alloc, bool) {
	if j := ns.jobs[ns.allocs[id]]; j != nil {
		a, ok := j.allocs[id]
		return a, ok
	}
	return jobs.Alloc{}, false
}

// put takes an allocation as it is now, merged with what is known of it.
func (ns *namespace) put(a jobs.Alloc) *job {
	j := ns.job(a.JobID)
	ns.allocs[a.ID] = a.JobID
	if known, ok := j.allocs[a.ID]; ok {
		a = jobs.Merge(known, a)
	}
	j.allocs[a.ID] = a
	return j
}

// setInfo takes what a job is, unless something newer is known already. One that was purged and registered anew is another job. What was
// written later counts, not what was specified later: Nomad can put an older version back (state_store.go, updateJobStabilityImpl: a
// rollout's end that is recorded when the next version is there).
func (j *job) setInfo(info jobs.JobInfo) {
	if info.CreateIndex < j.info.CreateIndex || info.CreateIndex == j.info.CreateIndex && info.Index < j.info.Index {
		return
	}
	if info.CreateIndex > j.created {
		clear(j.contents)
		j.created = info.CreateIndex
	}
	j.info, j.present = info, true
}

// addContent takes what a version of the job runs. Versions start anew when a job was purged.
func (j *job) addContent(c jobs.VersionContent) {
	if c.CreateIndex < j.created {
		return
	}
	if c.CreateIndex > j.created {
		clear(j.contents)
		j.created = c.CreateIndex
	}
	j.contents[c.Version] = c.Groups
}

func (j *job) setBlocked(b jobs.Blocked) {
	if b.Index < j.blocked.Index {
		return
	}
	if b.Cancelled && b.EvalID != j.blocked.EvalID {
		return
	}
	j.blocked = b
}

// apps gives the apps of a namespace's jobs.
func (ns *namespace) apps() []string {
	out := make([]string, 0, len(ns.jobs))
	for _, j := range ns.jobs {
		out = append(out, j.info.AppID)
	}
	return out
}

package nomadtest

import (
	"context"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs"
)

// StopAlloc has an allocation replaced: it ends, and another one with its index starts.
func (f *Fake) StopAlloc(ctx context.Context, namespace, id string) error {
	return f.call(ctx, "StopAlloc", fakeKey(namespace, id), func() error {
		if a := f.feed.allocs[id]; a != nil {
			f.replace(a)
		}
		return nil
	})
}

// replace has an allocation end and another one with its index start, unless it ends already. f.mu is held.
func (f *Fake) replace(a *fakeAlloc) {
	if a.Stopping() {
		return
	}
	f.stop(a)
	if j := f.jobs[fakeKey(a.Namespace, a.JobID)]; j != nil {
		f.start(j, a.Group, int(a.Index), a.number)
	}
}

// Allocs gives the ids of a job's allocations that are up, by index.
func (f *Fake) Allocs(namespace, jobID string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	byIndex := map[int32]string{}
	f.live(fakeKey(namespace, jobID), func(a *fakeAlloc) { byIndex[a.Index] = a.ID })
	ids := make([]string, 0, len(byIndex))
	for i := range int32(len(byIndex)) { //nolint:gosec // counts are small
		ids = append(ids, byIndex[i])
	}
	return ids
}

// PlaceAnew has Nomad try by itself what is registered of a job of the default namespace, as if it had forgotten the failed deployment. What
// it places runs, and is not ready, until FailAgain.
func (f *Fake) PlaceAnew(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	j := f.jobs[fakeKey("", id)]
	for group, content := range j.versions[*j.spec.Version].Groups {
		for index := range content.Count {
			f.start(j, group, index, content.Number)
			a := f.feed.order[len(f.feed.order)-1]
			a.Created, a.Modified = time.Now().UnixNano(), time.Now().UnixNano()
			a.Client, a.Task = api.AllocClientStatusPending, jobs.TaskSummary{State: "pending"}
			f.tellAlloc(a)
		}
	}
}

// FailAgain ends what PlaceAnew has placed.
func (f *Fake) FailAgain(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live(fakeKey("", id), func(a *fakeAlloc) {
		a.Client, a.Modified = api.AllocClientStatusFailed, time.Now().UnixNano()
		f.tellAlloc(a)
	})
}

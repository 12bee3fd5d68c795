package nomadtest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs"
)

// told keeps what a sink was told.
type told struct {
	mu      sync.Mutex
	lists   []jobs.Snapshot
	jobs    map[string]jobs.JobInfo // by id, as the last change said
	allocs  map[string]jobs.Alloc   // by id, the newest that was told
	removed map[string]bool
}

func (h *told) Reset(_ string, s jobs.Snapshot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lists = append(h.lists, s)
}

func (h *told) Apply(_ string, d jobs.Delta) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case d.Job != nil:
		h.jobs[d.Job.ID] = *d.Job
	case d.Alloc != nil && d.Alloc.ModifyIndex >= h.allocs[d.Alloc.ID].ModifyIndex: // one may come that is older than what was told
		h.allocs[d.Alloc.ID] = *d.Alloc
	case d.Removed != "":
		h.removed[d.Removed] = true
	}
	return false
}

func (h *told) Lost(string) {}

// hears waits until what was told is as wanted.
func (c *contract) hears(h *told, what string, ok func() bool) {
	c.Helper()
	Eventually(c, contractWithin, func(context.Context) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if !ok() {
			return fmt.Errorf("not told of %s: jobs %+v, allocations %+v, removed %v", what, h.jobs[c.id], h.allocs, h.removed)
		}
		return nil
	})
}

// marked is job with an owner's mark, so that it is looked into.
func (c *contract) marked(count int) *api.Job {
	job := c.job(count, forever)
	job.Meta["dynomad"], job.Meta["dynomad_app_id"] = c.id, c.id
	return job
}

// testFollow has a sink told of what there is, and then of each change of it.
func testFollow(t *testing.T, c *contract) {
	before := c.register(c.marked(1), 0)
	c.ends(before)
	first := c.Allocs(c.id)[0]
	h := &told{jobs: map[string]jobs.JobInfo{}, allocs: map[string]jobs.Alloc{}, removed: map[string]bool{}}
	c.Follow(c.id, h)
	c.hears(h, "a list", func() bool { return len(h.lists) > 0 })
	h.mu.Lock()
	list := h.lists[0]
	h.mu.Unlock()
	c.listed(list, before.ModifyIndex, first.ID)

	more := c.register(c.marked(2), before.ModifyIndex)
	c.hears(h, "the job's change", func() bool { return h.jobs[c.id].ModifyIndex >= more.ModifyIndex })
	c.hears(h, "another dyno that runs", func() bool {
		for id, a := range h.allocs {
			if a.JobID == c.id && id != first.ID && a.Client == api.AllocClientStatusRunning {
				return true
			}
		}
		return false
	})
	c.ends(more)
	c.Stop(c.id)
	c.hears(h, "the job's stop", func() bool { return h.jobs[c.id].Stopped })
	c.hears(h, "the end of the dyno that was listed", func() bool { a := h.allocs[first.ID]; return a.Stopping() && a.Ended() })
	c.remove(t.Context())
	c.hears(h, "the job's removal", func() bool { return h.removed[c.id] })
}

// listed checks that a list has the job, what its version runs and its only allocation.
func (c *contract) listed(list jobs.Snapshot, modifyIndex uint64, alloc string) {
	c.Helper()
	if list.Index < modifyIndex {
		c.Errorf("the list's index is %d, the job's %d", list.Index, modifyIndex)
	}
	there := false
	for _, info := range list.Jobs {
		there = there || info.ID == c.id && info.ModifyIndex == modifyIndex && info.Installation == c.id
	}
	var allocs []string
	for _, a := range list.Allocs {
		if a.JobID == c.id {
			allocs = append(allocs, a.ID)
		}
	}
	contents := 0
	for _, v := range list.Contents {
		if v.JobID == c.id {
			contents++
		}
	}
	if !there || len(allocs) != 1 || allocs[0] != alloc || contents != 1 {
		c.Errorf("listed: job %t, allocations %v, contents %d; want it, %s, and one", there, allocs, contents, alloc)
	}
}

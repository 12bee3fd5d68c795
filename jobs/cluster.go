package jobs

import (
	"slices"

	"github.com/hashicorp/nomad/api"
)

// JobInfo is what the loop and the view know of a registered job without its groups.
type JobInfo struct {
	Namespace    string
	ID           string
	Installation string // the owner mark; "" on jobs of others
	AppID        string
	RunID        string // of the run that it is of; "" if it is an app's
	ModifyIndex  uint64 // Nomad's JobModifyIndex: moved by an edit, a scale or a stop, not by an identical register
	CreateIndex  uint64 // another one after a purge: versions and indexes started anew
	Index        uint64 // Nomad's ModifyIndex, moved by every write. It grows when Nomad puts an older version back, whose JobModifyIndex is lower
	Stopped      bool
}

// InfoFromStub reads a row of the list of jobs, asked for with meta.
func InfoFromStub(s *api.JobListStub) JobInfo {
	installation, appID, _ := Owner(s.Meta)
	return JobInfo{
		Namespace: s.Namespace, ID: s.ID, Installation: installation, AppID: appID, RunID: s.Meta[metaRun],
		ModifyIndex: s.JobModifyIndex, CreateIndex: s.CreateIndex, Index: s.ModifyIndex, Stopped: s.Stop,
	}
}

// InfoFromJob reads a whole job.
func InfoFromJob(j *api.Job) JobInfo {
	installation, appID, _ := Owner(j.Meta)
	return JobInfo{
		Namespace: deref(j.Namespace), ID: deref(j.ID), Installation: installation, AppID: appID, RunID: j.Meta[metaRun],
		ModifyIndex: deref(j.JobModifyIndex), CreateIndex: deref(j.CreateIndex), Index: deref(j.ModifyIndex), Stopped: deref(j.Stop),
	}
}

// Blocked says why dynos of a job's groups cannot be placed, by group.
type Blocked struct {
	Namespace string
	JobID     string
	EvalID    string
	Index     uint64 // ModifyIndex of the evaluation
	Cancelled bool   // the evaluation came to nothing: it says only that it no longer blocks
	Failed    map[string]*api.AllocationMetric
}

// Snapshot is the whole of a namespace at an index.
type Snapshot struct {
	Index    uint64
	Jobs     []JobInfo
	Contents []VersionContent
	Allocs   []Alloc
	Blocked  []Blocked
}

// VersionContent is what one version of a job has dynos run.
type VersionContent struct {
	JobID       string
	CreateIndex uint64
	Version     uint64
	Groups      map[string]GroupContent
}

// Delta is one change. One field is set.
type Delta struct {
	Alloc   *Alloc
	Job     *JobInfo
	Content *VersionContent
	Blocked *Blocked // with no Failed: no longer blocked
	Removed string   // id of a job that was purged
}

// Present gives a list without its nulls. What comes over a wire may have some, and none must end the daemon.
func Present[T any](list []*T) []*T {
	if !slices.Contains(list, nil) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(p *T) bool { return p == nil })
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

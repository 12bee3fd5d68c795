package jobs

import (
	"unique"

	"github.com/hashicorp/nomad/api"
)

// Alloc is what is kept in memory of an allocation: little, since there may be a hundred thousand. Times are nanoseconds
// since 1970, 0 for never.
type Alloc struct {
	ID           string
	Namespace    string
	JobID        string
	Group        string
	NodeID       string
	NodeName     string
	JobVersion   uint64
	ModifyIndex  uint64
	Created      int64
	Modified     int64
	Index        int32 // of the group's count: 0 is web.1
	VersionKnown bool  // the event stream's allocations carry no job, so no version; Merge keeps the one known before
	Batch        bool  // of a batch job, whose end is no crash
	Health       DeploymentHealth

	Desired     string // api.AllocDesiredStatusRun …
	DesiredText string // why it was stopped
	Client      string // api.AllocClientStatusRunning …
	ClientText  string
	Migrating   bool // told to go elsewhere, as by a stop of the allocation or a node's drain; the desired status follows

	Task TaskSummary
}

// DeploymentHealth is what a deployment found of an allocation. It is decided once and not kept up.
type DeploymentHealth uint8

// The values of DeploymentHealth.
const (
	HealthUndecided DeploymentHealth = iota
	Healthy
	Unhealthy
)

// AllocFromStub keeps what is needed of a row of the list of allocations.
func AllocFromStub(s *api.AllocationListStub) Alloc {
	return Alloc{
		ID: s.ID, Namespace: intern(s.Namespace), JobID: intern(s.JobID), Group: intern(s.TaskGroup),
		NodeID: intern(s.NodeID), NodeName: intern(s.NodeName),
		JobVersion: s.JobVersion, VersionKnown: true, ModifyIndex: s.ModifyIndex,
		Created: s.CreateTime, Modified: s.ModifyTime, Index: int32(allocIndex(s.Name)), //nolint:gosec // counts are small
		Batch: s.JobType == api.JobTypeBatch, Health: deploymentHealth(s.DeploymentStatus),
		Desired: intern(s.DesiredStatus), DesiredText: intern(s.DesiredDescription),
		Client: intern(s.ClientStatus), ClientText: intern(s.ClientDescription),
		Task: summarize(taskState(s.TaskStates, s.TaskGroup)),
	}
}

// AllocFromAPI keeps what is needed of a whole allocation. One from the event stream has no job.
func AllocFromAPI(a *api.Allocation) Alloc {
	alloc := Alloc{
		ID: a.ID, Namespace: intern(a.Namespace), JobID: intern(a.JobID), Group: intern(a.TaskGroup),
		NodeID: intern(a.NodeID), NodeName: intern(a.NodeName), ModifyIndex: a.ModifyIndex,
		Created: a.CreateTime, Modified: a.ModifyTime, Index: int32(allocIndex(a.Name)), //nolint:gosec // counts are small
		Health:  deploymentHealth(a.DeploymentStatus),
		Desired: intern(a.DesiredStatus), DesiredText: intern(a.DesiredDescription),
		Client: intern(a.ClientStatus), ClientText: intern(a.ClientDescription),
		Migrating: a.DesiredTransition.ShouldMigrate(),
		Task:      summarize(taskState(a.TaskStates, a.TaskGroup)),
	}
	if a.Job != nil {
		alloc.JobVersion, alloc.VersionKnown = deref(a.Job.Version), true
		alloc.Batch = deref(a.Job.Type) == api.JobTypeBatch
	}
	return alloc
}

// Merge gives the newer of two pictures of one allocation, with what only the older one knows: Nomad keeps a task's last
// ten events, and an event's allocation has no job version. (An update in place moves an allocation to a newer version of
// its job; one whose version matters is then to be read whole.)
func Merge(earlier, later Alloc) Alloc {
	if later.ModifyIndex < earlier.ModifyIndex {
		earlier, later = later, earlier
	}
	if !later.VersionKnown {
		later.JobVersion, later.VersionKnown, later.Batch = earlier.JobVersion, earlier.VersionKnown, earlier.Batch
	}
	if later.Health == HealthUndecided {
		later.Health = earlier.Health
	}
	later.Task = mergeTasks(earlier.Task, later.Task)
	return later
}

// deploymentHealth reads what a deployment found.
func deploymentHealth(s *api.AllocDeploymentStatus) DeploymentHealth {
	switch {
	case s == nil || s.Healthy == nil:
		return HealthUndecided
	case *s.Healthy:
		return Healthy
	}
	return Unhealthy
}

// taskState finds the state of a group's one task, which has the group's name.
func taskState(states map[string]*api.TaskState, group string) *api.TaskState {
	if s, ok := states[group]; ok || len(states) != 1 {
		return s
	}
	for _, s := range states {
		return s
	}
	return nil
}

// intern keeps one copy of a text that many allocations have.
func intern(s string) string { return unique.Make(s).Value() }

// Stopping reports whether the allocation was told to end.
func (a Alloc) Stopping() bool {
	return a.Migrating || a.Desired == api.AllocDesiredStatusStop || a.Desired == api.AllocDesiredStatusEvict
}

// What Nomad's scheduler says of an allocation that it told to end (scheduler/util.go, alloc… constants).
const (
	allocNotNeeded   = "alloc not needed due to job update"
	allocUpdating    = "alloc is being updated due to job update"
	allocMigrating   = "alloc is being migrated" // a drain, or a stop by hand
	allocNodeTainted = "alloc not needed as node is tainted"
	allocLost        = "alloc is lost since its node is down"
	allocRescheduled = "alloc was rescheduled because it failed"
)

// Moved reports whether the allocation was told to end because of where it runs, or by hand: its node is drained or lost, somebody stopped it, or
// one of more priority took its place. Nomad places another one.
func (a Alloc) Moved() bool {
	switch a.DesiredText {
	case allocMigrating, allocNodeTainted, allocLost:
		return true
	}
	return a.Migrating || a.Desired == api.AllocDesiredStatusEvict
}

// Ended reports whether the allocation's processes have ended for good. A node that is out of sight has not told.
func (a Alloc) Ended() bool {
	switch a.Client {
	case api.AllocClientStatusComplete, api.AllocClientStatusFailed, api.AllocClientStatusLost:
		return true
	}
	return false
}

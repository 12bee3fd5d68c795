package nomadtest

import (
	"maps"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs"
)

// Batch jobs in a Fake have one allocation, which waits for a variable whose path ends in its id, as jobs.RunSpec renders them. Its
// process runs until Exit.

func isBatch(job *api.Job) bool { return job.Type != nil && *job.Type == api.JobTypeBatch }

// placeBatch starts what a batch job lacks. One whose process has ended by itself lacks nothing.
func (f *Fake) placeBatch(j *fakeJob) {
	if *j.spec.Stop {
		return
	}
	for group, content := range j.versions[*j.spec.Version].Groups {
		have := 0
		for _, a := range f.feed.ofJob[fakeKey(*j.spec.Namespace, *j.spec.ID)] {
			if a.Desired == api.AllocDesiredStatusRun {
				have++
			}
		}
		for index := have; index < content.Count; index++ {
			f.start(j, group, index, content.Number)
		}
	}
	f.startGranted(*j.spec.Namespace)
}

// startGranted starts the processes of allocations that waited for their variable. f.mu is held.
func (f *Fake) startGranted(namespace string) {
	for id, a := range f.feed.waiting {
		if a.Ended() || a.Stopping() {
			delete(f.feed.waiting, id)
			continue
		}
		if a.Namespace != namespace || a.Client != api.AllocClientStatusPending {
			continue
		}
		for key, items := range f.variables {
			if namespaceOf(key) == namespace && strings.HasSuffix(key, "/"+a.ID) {
				f.env[fakeKey(namespace, a.JobID)] = maps.Clone(items)
				a.Client, a.Task = api.AllocClientStatusRunning, jobs.TaskSummary{State: "running", Started: max(f.nanos(), 1)}
				f.started[fakeKey(namespace, a.JobID)]++
				f.tellAlloc(a)
				break
			}
		}
	}
}

// endByOrder ends an allocation that was told to.
func endByOrder(a *fakeAlloc) {
	a.Client = api.AllocClientStatusComplete
	if a.Batch && a.Task.Started != 0 {
		a.Task.State, a.Task.Exit = "dead", jobs.Exit{At: 1, Code: 143, ByOrder: true}
	}
}

// Exit ends the process of a batch job of the default namespace, if it runs.
func (f *Fake) Exit(id string, code int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live(fakeKey("", id), func(a *fakeAlloc) {
		if a.Client != api.AllocClientStatusRunning {
			return
		}
		a.Client = api.AllocClientStatusComplete
		if code != 0 {
			a.Client = api.AllocClientStatusFailed
		}
		a.Task.State, a.Task.Exit = "dead", jobs.Exit{At: 1, Code: code}
		f.tellAlloc(a)
	})
}

// FailStart has the allocation of a batch job of the default namespace fail before it has a process.
func (f *Fake) FailStart(id, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live(fakeKey("", id), func(a *fakeAlloc) {
		a.Client, a.Task = api.AllocClientStatusFailed, jobs.TaskSummary{State: "dead", Failed: true, Failure: why}
		f.tellAlloc(a)
	})
}

// Drain moves the allocations of a batch job of the default namespace to another node: they end, and others are placed.
func (f *Fake) Drain(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := fakeKey("", id)
	f.stopAllocs(key, func(fakeAlloc) bool { return true })
	f.placeBatch(f.jobs[key])
}

// Disconnect puts the node of a job of the default namespace out of sight, as it is from a time on.
func (f *Fake) Disconnect(id string, since int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live(fakeKey("", id), func(a *fakeAlloc) {
		a.Client, a.Modified = api.AllocClientStatusUnknown, since
		f.tellAlloc(a)
	})
}

// Started counts the allocations of a batch job of the default namespace that have ever run, whatever became of the job.
func (f *Fake) Started(id string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.started[fakeKey("", id)]
}

// StartedWith gives the variable that let the last process of a batch job of the default namespace start.
func (f *Fake) StartedWith(id string) map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.env[fakeKey("", id)]
}

// Reboot starts the node of a batch job of the default namespace anew, which has forgotten the job's process: it is to start again.
func (f *Fake) Reboot(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live(fakeKey("", id), func(a *fakeAlloc) {
		a.Client, a.Task.State, a.Task.Missing = api.AllocClientStatusPending, "pending", true
		f.tellAlloc(a)
	})
	f.startGranted(api.DefaultNamespace)
}

// JobIDs lists the jobs of the default namespace that are registered.
func (f *Fake) JobIDs() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []string
	for key, j := range f.jobs {
		if namespaceOf(key) == api.DefaultNamespace {
			ids = append(ids, *j.spec.ID)
		}
	}
	return ids
}

// allAllocs lists the allocations of a job of the default namespace, oldest first.
func (f *Fake) allAllocs(id string) []jobs.Alloc {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []jobs.Alloc
	for _, a := range f.feed.ofJob[fakeKey("", id)] {
		all = append(all, a.Alloc)
	}
	return all
}

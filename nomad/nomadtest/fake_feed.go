package nomadtest

import (
	"fmt"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs"
)

// Sink is nomad.Sink, which this package must not import.
type Sink interface {
	Reset(namespace string, s jobs.Snapshot)
	Apply(namespace string, d jobs.Delta) (unknown bool)
	Lost(namespace string)
}

// feed tells a sink of changes, as a watcher does.
type feed struct {
	sink      Sink
	namespace string
	held      bool
	queue     []jobs.Delta
	allocs    map[string]*fakeAlloc
	order     []*fakeAlloc            // the same, oldest first
	ofJob     map[string][]*fakeAlloc // the same by namespace and job, oldest first
	waiting   map[string]*fakeAlloc   // of those, the ones of batch jobs that may wait for a variable

	namespaces map[string]bool // that have had an allocation
}

// fakeAlloc is an allocation and what it runs.
type fakeAlloc struct {
	jobs.Alloc
	number     uint64
	created    uint64 // Nomad's CreateIndex
	forgotten  bool   // its job was purged: Nomad tells of it no more
	overlooked bool   // see Overlook
}

// fakeChange is something that Nomad tells of: a job's new state, an allocation's, or that a job is gone.
type fakeChange struct {
	namespace string
	index     uint64
	job       *fakeJob
	alloc     *fakeAlloc
	removed   string // a job's id
}

func (fd *feed) tell(namespace string, d jobs.Delta) {
	switch {
	case fd.sink == nil || namespace != fd.namespace:
	case fd.held:
		fd.queue = append(fd.queue, d)
	default:
		fd.sink.Apply(namespace, d)
	}
}

// Follow feeds a sink with what happens in a namespace, from now on.
func (f *Fake) Follow(sink Sink, namespace string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.feed.sink, f.feed.namespace = sink, namespace
	sink.Reset(namespace, f.snapshot())
}

// Hold keeps news from the sink; let go again, all of it comes.
func (f *Fake) Hold(held bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	queue := f.feed.queue
	f.feed.held, f.feed.queue = held, nil
	for _, d := range queue {
		f.feed.tell(f.feed.namespace, d)
	}
}

// Away makes every call fail and the feed lose sight, or brings both back.
func (f *Fake) Away(away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = away
	switch {
	case f.feed.sink == nil:
	case away:
		f.feed.sink.Lost(f.feed.namespace)
	default:
		f.feed.sink.Reset(f.feed.namespace, f.snapshot())
	}
}

// EndStopping ends what Linger kept up.
func (f *Fake) EndStopping() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.feed.allocs {
		if a.Desired == api.AllocDesiredStatusStop && !a.Ended() {
			endByOrder(a)
			f.tellAlloc(a)
		}
	}
}

func (f *Fake) snapshot() jobs.Snapshot {
	s := jobs.Snapshot{Index: f.index}
	for key, j := range f.jobs {
		if namespaceOf(key) != f.feed.namespace {
			continue
		}
		s.Jobs = append(s.Jobs, jobs.InfoFromJob(j.spec))
		for _, c := range j.versions {
			s.Contents = append(s.Contents, c)
		}
	}
	for _, a := range f.feed.allocs {
		if f.jobs[fakeKey(a.Namespace, a.JobID)] != nil && a.Namespace == f.feed.namespace {
			s.Allocs = append(s.Allocs, a.Alloc)
		}
	}
	return s
}

// observed passes on what happened. f.mu is held.
func (f *Fake) observed(c fakeChange) {
	if f.observe != nil {
		f.observe(c)
	}
}

// nanos gives the time, 0 if there is no clock. f.mu is held.
func (f *Fake) nanos() int64 {
	if f.clock == nil {
		return 0
	}
	return f.clock().UnixNano()
}

func (f *Fake) tellJob(j *fakeJob) {
	info, content := jobs.InfoFromJob(j.spec), j.versions[*j.spec.Version]
	delta := jobs.Delta{Job: &info}
	if info.Installation != "" && content.Groups != nil {
		delta.Content = &content
	}
	f.feed.tell(info.Namespace, delta)
	f.observed(fakeChange{namespace: info.Namespace, index: info.Index, job: j})
}

func (f *Fake) tellAlloc(a *fakeAlloc) {
	a.ModifyIndex = f.next()
	if f.clock != nil {
		a.Modified = f.nanos()
	}
	alloc := a.Alloc
	f.feed.tell(a.Namespace, jobs.Delta{Alloc: &alloc})
	f.observed(fakeChange{namespace: a.Namespace, index: a.ModifyIndex, alloc: a})
}

// live visits the allocations of a job that were not told to end.
func (f *Fake) live(key string, visit func(*fakeAlloc)) {
	for _, a := range f.feed.ofJob[key] {
		if a.Desired == api.AllocDesiredStatusRun && !a.Ended() {
			visit(a)
		}
	}
}

// place starts what a job's newest version has too few of and ends what it has too many of. It reports whether there is
// anything to roll out.
func (f *Fake) place(j *fakeJob) bool {
	rollsOut := false
	version := j.versions[*j.spec.Version]
	key := fakeKey(*j.spec.Namespace, *j.spec.ID)
	for group, content := range version.Groups {
		rollsOut = rollsOut || content.Count > 0
		have := 0
		f.live(key, func(a *fakeAlloc) {
			if a.Group != group || a.number != content.Number {
				return
			}
			if have++; have > content.Count {
				f.stop(a)
			} else {
				a.JobVersion = version.Version // in place
			}
		})
		for index := have; index < content.Count; index++ {
			f.start(j, group, index, content.Number)
		}
	}
	return rollsOut
}

func (f *Fake) start(j *fakeJob, group string, index int, number uint64) {
	if f.feed.allocs == nil {
		f.feed.allocs, f.feed.ofJob, f.feed.waiting = map[string]*fakeAlloc{}, map[string][]*fakeAlloc{}, map[string]*fakeAlloc{}
		f.feed.namespaces = map[string]bool{}
	}
	created := f.next()
	a := &fakeAlloc{number: number, created: created, Alloc: jobs.Alloc{
		ID: fmt.Sprintf("%08x-0000-4000-8000-%012x", created, created), Namespace: *j.spec.Namespace, JobID: *j.spec.ID, Group: group,
		JobVersion: *j.spec.Version, VersionKnown: true, Index: int32(index), Created: f.nanos(), //nolint:gosec // counts are small
		Desired: api.AllocDesiredStatusRun, Client: api.AllocClientStatusRunning,
	}}
	if f.clock != nil {
		a.NodeID, a.NodeName = simNode(created)
		a.Task = jobs.TaskSummary{State: "running", Started: a.Created}
	}
	if isBatch(j.spec) {
		a.Batch, a.Client, a.Task = true, api.AllocClientStatusPending, jobs.TaskSummary{State: "pending", Missing: true}
		f.feed.waiting[a.ID] = a
	}
	key := fakeKey(a.Namespace, a.JobID)
	f.feed.namespaces[a.Namespace], f.feed.order = true, append(f.feed.order, a)
	f.feed.allocs[a.ID], f.feed.ofJob[key] = a, append(f.feed.ofJob[key], a)
	f.tellAlloc(a)
}

func (f *Fake) stop(a *fakeAlloc) {
	a.Desired = api.AllocDesiredStatusStop
	if !f.lingers {
		endByOrder(a)
	}
	f.tellAlloc(a)
}

func (f *Fake) stopAllocs(key string, which func(fakeAlloc) bool) {
	f.live(key, func(a *fakeAlloc) {
		if which(*a) {
			f.stop(a)
		}
	})
}

// replaceAllocs ends what does not run the newest version.
func (f *Fake) replaceAllocs(j *fakeJob) {
	groups := j.versions[*j.spec.Version].Groups
	f.stopAllocs(fakeKey(*j.spec.Namespace, *j.spec.ID), func(a fakeAlloc) bool { return groups[a.Group].Number != a.number })
}

// failAllocs ends what the newest version started anew.
func (f *Fake) failAllocs(j *fakeJob) {
	f.live(fakeKey(*j.spec.Namespace, *j.spec.ID), func(a *fakeAlloc) {
		stable := j.stable != nil && jobs.Content(j.stable)[a.Group].Number == a.number
		if a.JobVersion == *j.spec.Version && !stable {
			a.Client = api.AllocClientStatusFailed
			f.tellAlloc(a)
		}
	})
}

func namespaceOf(key string) string {
	namespace, _, _ := strings.Cut(key, "/")
	return namespace
}

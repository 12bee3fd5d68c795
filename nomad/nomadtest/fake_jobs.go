package nomadtest

import (
	"encoding/json"
	"slices"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs"
)

// fakeJob is a registered job.
type fakeJob struct {
	spec        *api.Job                 // as registered, with the indexes and the version that Nomad adds
	stable      *api.Job                 // the last one that was rolled out well
	deployments map[uint64]*jobs.Rollout // by the JobModifyIndex that they roll out
	versions    map[uint64]jobs.VersionContent
	specs       []*api.Job // every version, oldest first
}

func (f *Fake) next() uint64 { f.index++; return f.index }

// put registers a job and gives its index, which stays if nothing differs. f.mu is held.
func (f *Fake) put(key string, job *api.Job) uint64 {
	spec := cloneJob(job)
	j := f.jobs[key]
	if j != nil && !*j.spec.Stop && sameSpec(j.spec, spec) {
		return *j.spec.JobModifyIndex
	}
	if j == nil {
		j = &fakeJob{deployments: map[uint64]*jobs.Rollout{}, versions: map[uint64]jobs.VersionContent{}}
		f.jobs[key] = j
		spec.CreateIndex, spec.Version = new(f.next()), new(uint64(0))
	} else {
		spec.CreateIndex, spec.Version = j.spec.CreateIndex, new(*j.spec.Version+1)
	}
	spec.Namespace, spec.Stop = new(namespaceOf(key)), new(false)
	return f.store(j, spec)
}

// store makes spec the job's next version and rolls it out.
func (f *Fake) store(j *fakeJob, spec *api.Job) uint64 {
	index := f.next()
	spec.JobModifyIndex, spec.ModifyIndex = &index, &index
	j.spec = spec
	j.keep(spec)
	f.tellJob(j)
	if f.distracts {
		f.distracts = false
		j.deployments[index] = &jobs.Rollout{State: jobs.RolloutRunning}
		return index
	}
	if f.collides {
		f.collides = false
		j.deployments[index] = &jobs.Rollout{State: jobs.RolloutRunning, Withheld: true}
		return index
	}
	switch {
	case isBatch(spec):
		f.placeBatch(j)
	case f.place(j):
		f.begin(j)
	}
	return index
}

// keep keeps a version of the job.
func (j *fakeJob) keep(spec *api.Job) {
	j.versions[*spec.Version] = jobs.VersionContent{
		JobID: *spec.ID, CreateIndex: *spec.CreateIndex, Version: *spec.Version, Groups: jobs.Content(spec),
	}
	j.specs = append(j.specs, spec)
}

// begin starts a deployment and, if that is known, ends it.
func (f *Fake) begin(j *fakeJob) {
	j.deployments[*j.spec.JobModifyIndex] = &jobs.Rollout{State: jobs.RolloutRunning}
	if f.outcome != nil {
		f.finish(j, f.outcome(cloneJob(j.spec)))
	}
}

// finish ends the deployment of what is registered. A failed one puts back the last stable job, whole.
func (f *Fake) finish(j *fakeJob, rollout jobs.Rollout) {
	switch rollout.State {
	case jobs.RolloutRunning:
		return
	case jobs.RolloutSucceeded:
		f.settle(j)
		f.replaceAllocs(j)
	case jobs.RolloutFailed:
		f.failAllocs(j)
	}
	if d := j.deployments[*j.spec.JobModifyIndex]; d != nil { // a stopped job has none
		*d = rollout
	}
	if rollout.State == jobs.RolloutFailed && j.stable != nil && autoReverts(j.spec) {
		back := cloneJob(j.stable)
		back.Version = new(*j.spec.Version + 1)
		j.spec = back
		index := f.next()
		back.JobModifyIndex, back.ModifyIndex = &index, &index
		j.keep(back)
		j.deployments[index] = &jobs.Rollout{State: jobs.RolloutSucceeded}
		f.tellJob(j)
		f.place(j)
	}
}

// settle notes that what is registered is stable. That is a write of the job, by which its followers hear of the deployment's end.
func (f *Fake) settle(j *fakeJob) {
	if j.spec.Stable == nil || !*j.spec.Stable {
		j.spec.Stable, j.spec.ModifyIndex = new(true), new(f.next())
		f.tellJob(j)
	}
	j.stable = cloneJob(j.spec)
}

func autoReverts(job *api.Job) bool {
	return slices.ContainsFunc(job.TaskGroups, func(tg *api.TaskGroup) bool {
		return tg.Update != nil && tg.Update.AutoRevert != nil && *tg.Update.AutoRevert
	})
}

// purge removes a job and its history. f.mu is held.
func (f *Fake) purge(key string) {
	j := f.jobs[key]
	if j == nil {
		return
	}
	f.stopAllocs(key, func(fakeAlloc) bool { return true })
	delete(f.jobs, key)
	for _, a := range f.feed.ofJob[key] {
		a.forgotten = true
	}
	f.feed.tell(namespaceOf(key), jobs.Delta{Removed: *j.spec.ID})
	f.observed(fakeChange{namespace: namespaceOf(key), index: f.next(), removed: *j.spec.ID})
}

// Finish ends the running deployment of a job of the default namespace.
func (f *Fake) Finish(id string, rollout jobs.Rollout) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.finish(f.jobs[fakeKey("", id)], rollout)
}

// Edit changes a job of the default namespace by hand.
func (f *Fake) Edit(id string, change func(*api.Job)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := fakeKey("", id)
	job := cloneJob(f.jobs[key].spec)
	change(job)
	f.put(key, job)
}

// Put registers a job by hand, whatever is there.
func (f *Fake) Put(job *api.Job) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.put(fakeKey("", *job.ID), job)
}

// Stop stops a job by hand: it stays, dead.
func (f *Fake) Stop(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopJob(fakeKey("", id))
}

// stopJob stops a job that is there. f.mu is held.
func (f *Fake) stopJob(key string) {
	j := f.jobs[key]
	spec := cloneJob(j.spec)
	spec.Stop, spec.JobModifyIndex, spec.Version = new(true), new(f.next()), new(*j.spec.Version+1)
	spec.ModifyIndex = spec.JobModifyIndex
	j.spec = spec
	j.keep(spec)
	f.tellJob(j) // first, as its index is the lower one
	f.stopAllocs(key, func(fakeAlloc) bool { return true })
}

// ended reports whether all allocations of a job have. f.mu is held.
func (f *Fake) ended(key string) bool {
	for _, a := range f.feed.ofJob[key] {
		if !a.Ended() {
			return false
		}
	}
	return true
}

// PurgeByHand removes a job.
func (f *Fake) PurgeByHand(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.purge(fakeKey("", id))
}

// Spec gives a job as it is registered; nil if it is not.
func (f *Fake) Spec(id string) *api.Job {
	f.mu.Lock()
	defer f.mu.Unlock()
	if j := f.jobs[fakeKey("", id)]; j != nil {
		return cloneJob(j.spec)
	}
	return nil
}

// PutService makes all instances of a Consul service an installation's; "" is a stranger's.
func (f *Fake) PutService(name, installation string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.services[name] = installation
}

// DropService removes a Consul service.
func (f *Fake) DropService(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.services, name)
}

// Variables lists the variables of the default namespace by path.
func (f *Fake) Variables() map[string]map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]map[string]string{}
	for key, items := range f.variables {
		out[key[len(api.DefaultNamespace)+1:]] = items
	}
	return out
}

func cloneJob(job *api.Job) *api.Job {
	text, err := json.Marshal(job)
	if err != nil {
		panic(err) // a job is plain data
	}
	var out api.Job
	if err := json.Unmarshal(text, &out); err != nil {
		panic(err)
	}
	return &out
}

// sameSpec reports whether two jobs differ in no more than what Nomad adds.
func sameSpec(a, b *api.Job) bool {
	bare := func(job *api.Job) string {
		job = cloneJob(job)
		job.Namespace, job.Stop, job.Stable, job.Version, job.CreateIndex, job.ModifyIndex, job.JobModifyIndex = nil, nil, nil, nil, nil, nil, nil
		text, _ := json.Marshal(job) //nolint:errchkjson // a job is plain data
		return string(text)
	}
	return bare(a) == bare(b)
}

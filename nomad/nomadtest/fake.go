package nomadtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// Fake is a cluster in memory: Nomad and Consul as the loop sees them, and a feed for the view. It does what was seen of the
// real ones, as far as Contract says, and only when it is told to: there is no goroutine in it, and no clock unless it is a Sim's.
type Fake struct {
	mu        sync.Mutex
	onCall    func(context.Context, Call) error
	outcome   func(*api.Job) jobs.Rollout
	lingers   bool
	distracts bool // the scheduler puts off what is registered next
	collides  bool // ports collide where dynos are that what is registered next may leave
	orphans   int
	index     uint64
	jobs      map[string]*fakeJob          // by namespace and id
	variables map[string]map[string]string // by namespace and path
	services  map[string]string            // the installation that a service's instances are of, by name
	calls     []Call
	away      bool
	feed      feed
	observe   func(fakeChange)             // is told what happens, with mu held
	clock     func() time.Time             // nil is none: all times are 0
	env       map[string]map[string]string // what the last process of a batch job was started with, by namespace and id
	started   map[string]int               // how many allocations of batch jobs have run, by namespace and id
}

// Call is one request to a Fake.
type Call struct {
	Name string   // of the port's method, as "Register"
	Key  string   // namespace/job or namespace/path
	Job  *api.Job // that Register is given
	Done bool     // it took effect
}

// NewFake makes an empty cluster.
func NewFake() *Fake {
	return &Fake{index: 10, jobs: map[string]*fakeJob{}, variables: map[string]map[string]string{}, services: map[string]string{}, started: map[string]int{}, env: map[string]map[string]string{}}
}

// OnCall has hook asked before each call takes effect and after it did. Its error becomes the call's.
func (f *Fake) OnCall(hook func(ctx context.Context, c Call) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onCall = hook
}

// Outcome has every deployment end as it begins, unless outcome says RolloutRunning. With nil, Finish ends them.
func (f *Fake) Outcome(outcome func(job *api.Job) jobs.Rollout) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outcome = outcome
}

// Linger keeps dynos that are told to end from now on up until EndStopping.
func (f *Fake) Linger() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lingers = true
}

// Calls counts the requests of these names; of none, all.
func (f *Fake) Calls(names ...string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		for _, name := range names {
			if c.Name == name {
				n++
			}
		}
	}
	if len(names) == 0 {
		return len(f.calls)
	}
	return n
}

func (f *Fake) call(ctx context.Context, name, key string, do func() error) error {
	return f.make(ctx, Call{Name: name, Key: key}, do)
}

// make makes one request: what do does, between the two hooks.
func (f *Fake) make(ctx context.Context, c Call, do func() error) error {
	f.mu.Lock()
	f.calls = append(f.calls, c)
	away := f.away
	f.mu.Unlock()
	if away {
		return dynomad.Errorf(dynomad.Unavailable, "The fake cluster is away (%s).", c.Name)
	}
	if err := f.hook(ctx, c); err != nil {
		return err
	}
	f.mu.Lock()
	err := do()
	f.mu.Unlock()
	if err != nil {
		return err
	}
	c.Done = true
	return f.hook(ctx, c)
}

func (f *Fake) hook(ctx context.Context, c Call) error {
	if err := ctx.Err(); err != nil {
		return dynomad.Wrap(dynomad.Canceled, err, "Cut off (%s).", c.Name)
	}
	f.mu.Lock()
	hook := f.onCall
	f.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(ctx, c)
}

func fakeKey(namespace, name string) string {
	if namespace == "" {
		namespace = api.DefaultNamespace
	}
	return namespace + "/" + name
}

// Job gives a registered job; ok is false if there is none.
func (f *Fake) Job(ctx context.Context, namespace, id string) (info jobs.JobInfo, ok bool, err error) {
	key := fakeKey(namespace, id)
	err = f.call(ctx, "Job", key, func() error {
		var j *fakeJob
		if j, ok = f.jobs[key]; ok {
			info = jobs.InfoFromJob(j.spec)
		}
		return nil
	})
	return info, ok && err == nil, err
}

// Register registers a job if its JobModifyIndex is the one given, 0 for none.
func (f *Fake) Register(ctx context.Context, job *api.Job, modifyIndex uint64) (answer jobs.Registered, err error) {
	namespace := ""
	if job.Namespace != nil {
		namespace = *job.Namespace
	}
	key := fakeKey(namespace, *job.ID)
	err = f.make(ctx, Call{Name: "Register", Key: key, Job: job}, func() error {
		if len(job.TaskGroups) == 0 {
			return dynomad.Errorf(dynomad.Invalid, "The fake cluster refuses a job without groups.")
		}
		var now uint64
		if j := f.jobs[key]; j != nil {
			now = *j.spec.JobModifyIndex
		}
		if now != modifyIndex {
			return dynomad.Errorf(dynomad.Conflict, "The job has the index %d, not %d.", now, modifyIndex)
		}
		answer.ModifyIndex = f.put(key, job)
		answer.EvalID = fmt.Sprintf("eval-%d", f.next())
		return nil
	})
	return answer, err
}

// StopJob ends a job, if its JobModifyIndex is the one given, and reports whether all its allocations have ended.
func (f *Fake) StopJob(ctx context.Context, namespace, id string, modifyIndex uint64) (ended bool, err error) {
	key := fakeKey(namespace, id)
	err = f.call(ctx, "StopJob", key, func() error {
		if err := f.has(key, modifyIndex); err != nil {
			return err
		}
		if j := f.jobs[key]; j != nil && !*j.spec.Stop {
			f.stopJob(key)
		}
		ended = f.ended(key)
		return nil
	})
	return ended && err == nil, err
}

// has wants a job, if there is one, to have a JobModifyIndex. f.mu is held.
func (f *Fake) has(key string, modifyIndex uint64) error {
	if j := f.jobs[key]; j != nil && *j.spec.JobModifyIndex != modifyIndex {
		return dynomad.Errorf(dynomad.Conflict, "The job has the index %d, not %d.", *j.spec.JobModifyIndex, modifyIndex)
	}
	return nil
}

// Purge removes a job and its history, if its JobModifyIndex is the one given. Like Nomad it forgets allocations that have not ended: that is counted in Orphans.
func (f *Fake) Purge(ctx context.Context, namespace, id string, modifyIndex uint64) error {
	key := fakeKey(namespace, id)
	return f.call(ctx, "Purge", key, func() error {
		if err := f.has(key, modifyIndex); err != nil {
			return err
		}
		if !f.ended(key) {
			f.orphans++
		}
		f.purge(key)
		return nil
	})
}

// Orphans counts the purges of jobs whose allocations had not all ended.
func (f *Fake) Orphans() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.orphans
}

// PutVariable writes a variable whole.
func (f *Fake) PutVariable(ctx context.Context, namespace, path string, items map[string]string) error {
	key := fakeKey(namespace, path)
	return f.call(ctx, "PutVariable", key, func() error {
		f.variables[key] = maps.Clone(items)
		f.startGranted(namespaceOf(key))
		return nil
	})
}

// HasVariable reports whether a variable exists.
func (f *Fake) HasVariable(ctx context.Context, namespace, path string) (ok bool, err error) {
	key := fakeKey(namespace, path)
	err = f.call(ctx, "HasVariable", key, func() error { _, ok = f.variables[key]; return nil })
	return ok, err
}

// VariablePaths lists the paths of the variables that begin with a prefix.
func (f *Fake) VariablePaths(ctx context.Context, namespace, prefix string) (paths []string, err error) {
	key := fakeKey(namespace, prefix)
	err = f.call(ctx, "VariablePaths", key, func() error {
		for path := range f.variables {
			if strings.HasPrefix(path, key) {
				paths = append(paths, prefix+strings.TrimPrefix(path, key))
			}
		}
		slices.Sort(paths)
		return nil
	})
	return paths, err
}

// DeleteVariable removes a variable, if there is one.
func (f *Fake) DeleteVariable(ctx context.Context, namespace, path string) error {
	key := fakeKey(namespace, path)
	return f.call(ctx, "DeleteVariable", key, func() error { delete(f.variables, key); return nil })
}

// Foreign reports whether a Consul service of this name is not this installation's.
func (f *Fake) Foreign(ctx context.Context, name, installation string) (foreign bool, err error) {
	err = f.call(ctx, "Foreign", name, func() error {
		owner, ok := f.services[name]
		foreign = ok && owner != installation
		return nil
	})
	return foreign, err
}

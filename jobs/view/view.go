// Package view keeps a picture of the cluster in memory: what is registered, what runs, how healthy it is. The watchers of
// packages nomad and consul feed it; the API reads dynos from it and the loop asks it whether a job is as it was left. No
// read of it costs a request to anybody.
package view

import (
	"sync"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// Config is what a View needs.
type Config struct {
	Settings jobs.ViewSettings
	// Namespace is Nomad's namespace of apps whose space names none.
	Namespace string
	Now       func() time.Time
	// Changed is told the app whose job or allocations changed. It must not block.
	Changed func(appID string)
	// Ask has the health of a service read, because one of its dynos changed. It must not block.
	Ask func(service string)
}

// View is the picture. It is safe for concurrent use.
type View struct {
	Config

	mu         sync.RWMutex
	changes    uint64 // moved by every change of what Dynos shows
	namespaces map[string]*namespace
	health     map[string]jobs.Health // by allocation
	healthLost time.Time              // zero while health is followed
	variables  map[string]*variables  // by namespace; nothing of one that was never listed
	runs       map[string]uint64      // by app: changes at the last change of a job of one of its runs
}

// namespace is the picture of one of Nomad's namespaces.
type namespace struct {
	synced bool      // a Reset came, and nothing was lost since
	lost   time.Time // since when it is not followed
	jobs   map[string]*job
	allocs map[string]string // allocation -> job id
}

// job is one job with what it runs.
type job struct {
	info     jobs.JobInfo
	present  bool                                    // registered; false of a purged one whose allocations still end
	contents map[uint64]map[string]jobs.GroupContent // by version, then group
	created  uint64                                  // CreateIndex of the job that contents are of
	allocs   map[string]jobs.Alloc
	blocked  jobs.Blocked
	version  uint64 // View.changes at the last change of any of this, or of an allocation's health
	marked   uint64 // … at the last that may matter to a loop that found all as it should be; see mark
}

// New makes an empty View, which counts as lost from now on.
func New(c Config) *View {
	return &View{
		Config: c, namespaces: map[string]*namespace{}, health: map[string]jobs.Health{}, healthLost: c.Now(),
		variables: map[string]*variables{}, runs: map[string]uint64{},
	}
}

// StaleFor says for how long some part of the picture has not been fed; 0 while all is.
func (v *View) StaleFor(now time.Time) time.Duration {
	v.mu.RLock()
	defer v.mu.RUnlock()
	oldest := v.healthLost
	for _, ns := range v.namespaces {
		if !ns.synced && (oldest.IsZero() || ns.lost.Before(oldest)) {
			oldest = ns.lost
		}
	}
	if oldest.IsZero() {
		return 0
	}
	return max(now.Sub(oldest), time.Second)
}

// Job implements reconcile.Live.
func (v *View) Job(nsName, id string) (info jobs.JobInfo, ok, fresh bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	ns := v.namespaces[nsName]
	if ns == nil || !ns.synced {
		return jobs.JobInfo{}, false, false
	}
	j := ns.jobs[id]
	if j == nil || !j.present {
		return jobs.JobInfo{}, false, true
	}
	return j.info, true, true
}

// Releases implements reconcile.Live.
func (v *View) Releases(nsName, id string) (versions map[int]bool, fresh bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	ns := v.namespaces[nsName]
	if ns == nil || !ns.synced {
		return nil, false
	}
	versions = map[int]bool{}
	if j := ns.jobs[id]; j != nil {
		for _, a := range j.allocs {
			if a.Ended() {
				continue
			}
			c, ok := j.content(a)
			if !ok {
				return nil, false
			}
			versions[c.Release] = true
		}
	}
	return versions, true
}

// Marked lists the jobs that carry an owner mark, of this installation or another.
func (v *View) Marked() []jobs.JobInfo {
	v.mu.RLock()
	defer v.mu.RUnlock()
	var out []jobs.JobInfo
	for _, ns := range v.namespaces {
		for _, j := range ns.jobs {
			if j.present && j.info.Installation != "" {
				out = append(out, j.info)
			}
		}
	}
	return out
}

// Dynos gives the dynos of an app, given what is wanted. All that they depend on besides is in the jobs of the app and its runs, and
// in the health of their allocations: what changes those calls touch.
func (v *View) Dynos(state dynomad.AppState, now time.Time) dynomad.DynoPicture {
	v.mu.RLock()
	defer v.mu.RUnlock()
	in, version := v.input(state, now)
	dynos := jobs.Dynos(in)
	return dynomad.DynoPicture{Dynos: dynos, Version: version, Until: in.Now.Until()}
}

// Explain implements reconcile.Live.
func (v *View) Explain(state dynomad.AppState, now time.Time) jobs.Explained {
	v.mu.RLock()
	defer v.mu.RUnlock()
	in, _ := v.input(state, now)
	out := jobs.Explained{Dynos: jobs.Explain(in), Unplaced: map[string]string{}}
	for group, metric := range in.Blocked {
		out.Unplaced[group] = jobs.PlacementProblem(metric)
	}
	return out
}

// Owed implements reconcile.Live.
func (v *View) Owed(state dynomad.AppState, now time.Time) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	in, _ := v.input(state, now)
	return jobs.Owed(in)
}

// input gives what an app's dynos are made of, and its version. v.mu is held.
func (v *View) input(state dynomad.AppState, now time.Time) (jobs.AppInput, uint64) {
	in := jobs.AppInput{Settings: v.Settings, State: state, Health: map[string]jobs.Health{}, Now: jobs.At(now)}
	j := v.jobOf(state.App)
	if j != nil && j.info.AppID == state.App.ID {
		for id, a := range j.allocs {
			in.Allocs = append(in.Allocs, a)
			in.Health[id] = v.health[id]
		}
		in.Contents, in.Blocked = j.contents, j.blocked.Failed
	}
	for _, run := range state.Runs {
		in.Runs = append(in.Runs, v.sight(state.App, run))
	}
	return in, v.version(state.App)
}

// version gives the version of what Dynos shows of an app. v.mu is held.
func (v *View) version(app dynomad.App) uint64 {
	return max(v.jobOf(app).seen(), v.runs[app.ID])
}

// DynosVersion gives the version of what Dynos would give now.
func (v *View) DynosVersion(app dynomad.App) uint64 {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.version(app)
}

// jobOf finds the job of an app's name; nil if there is none. v.mu is held.
func (v *View) jobOf(app dynomad.App) *job {
	if ns := v.namespaceOf(app); ns != nil {
		return ns.jobs[jobs.JobID(app)]
	}
	return nil
}

// namespaceOf finds the namespace of an app's jobs; nil if it was never followed. v.mu is held.
func (v *View) namespaceOf(app dynomad.App) *namespace {
	if app.NomadNamespace != "" {
		return v.namespaces[app.NomadNamespace]
	}
	return v.namespaces[v.Namespace]
}

// seen gives a job's version. Of no job there is nothing to see, today as ever: that is version 0.
func (j *job) seen() uint64 {
	if j == nil {
		return 0
	}
	return j.version
}

// touch gives a job that has changed a version that no job ever had. v.mu is held.
func (v *View) touch(j *job) {
	v.changes++
	j.version = v.changes
	if j.info.RunID != "" {
		v.runs[j.info.AppID] = v.changes
	}
}

// mark is touch for a change that may give the loop something to do where nothing was. What a dyno does that runs on is none.
// v.mu is held.
func (v *View) mark(j *job) {
	v.touch(j)
	j.marked = v.changes
}

// content gives what an allocation runs.
func (j *job) content(a jobs.Alloc) (jobs.GroupContent, bool) {
	c, ok := j.contents[a.JobVersion][a.Group]
	return c, ok && a.VersionKnown
}

package reconcile_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/jobs/reconcile"
	"github.com/dynomad/dynomad/jobs/view"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

const installation = "inst"

// world is a store, a loop, a view and a cluster, all in memory and in one synctest bubble.
type world struct {
	*testing.T
	store   *desired
	cluster *nomadtest.Fake
	view    *view.View
	loop    *reconcile.Loop
	log     hclog.Logger
	meter   meter
	end     func() // ends the loop that runs, as a crash would
	ids     atomic.Int64
	step    atomic.Int64 // by which the clock on the wall was set
}

// now is the time on the wall.
func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.step.Load())) }

// inWorld runs a test in a bubble, with every rollout a success until the test says otherwise.
func inWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Parallel()
	inWorldNow(t, test)
}

// inWorldNow is inWorld in its turn, not in parallel.
func inWorldNow(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		test(w)
		w.crash()
		if n := w.cluster.Orphans(); n != 0 {
			t.Errorf("%d jobs were purged before their dynos had ended", n)
		}
	})
}

// inWorldNamed is inWorld for one of several cases.
func inWorldNamed(t *testing.T, name string, test func(w *world)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { inWorld(t, test) })
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, store: &desired{apps: map[string]*record{}}, cluster: nomadtest.NewFake(), end: func() {}, log: hclog.NewNullLogger()}
	w.cluster.Outcome(badImage)
	w.boot()
	return w
}

// boot makes what a daemon has in memory: a loop, and a view that follows the cluster.
func (w *world) boot() {
	w.view = view.New(view.Config{
		Namespace: "default", Now: time.Now, Changed: func(id string) { w.loop.Wake(id) }, Ask: func(string) {},
	})
	w.loop = reconcile.New(reconcile.Config{
		Desired: w.store, Cluster: w.cluster, Live: sure{w.view}, Services: w.cluster, Settings: settings,
		Now: w.now, NewID: func() string { return "id-" + strconv.FormatInt(w.ids.Add(1), 10) }, Log: w.log, Meter: &w.meter,
	})
	w.cluster.Follow(w.view, "default")
}

// sure is a view whose marks count even where variables are not followed: most tests do not, and passes are to be left out in all.
type sure struct{ *view.View }

func (s sure) Mark(namespace, id string) (mark uint64, fresh bool) {
	mark, fresh = s.View.Mark(namespace, id)
	if _, listed := s.Variable(namespace, ""); !listed {
		_, _, fresh = s.Job(namespace, id)
		return 2 * mark, fresh
	}
	return 2*mark + 1, fresh
}

func settings() jobs.Settings {
	return jobs.Settings{
		Installation: installation, Namespace: "default", AppDomain: "apps.test", MinHealthyTime: time.Second,
		CheckInterval: time.Second, DeployTimeout: time.Minute, Sizes: dynomad.BuiltinSizes(), Oversubscription: true,
	}
}

// start runs the loop; one that ran before must have crashed.
func (w *world) start() {
	ctx, cancel := context.WithCancel(w.Context())
	ended := make(chan struct{})
	loop := w.loop
	go func() { loop.Run(ctx); close(ended) }()
	w.end = func() {
		cancel()
		<-ended
	}
}

// crash ends the daemon and makes another, with nothing remembered.
func (w *world) crash() {
	w.end()
	w.end = func() {}
	w.boot()
}

// settle lets everything happen that is due, and what follows from it within a while.
func (w *world) settle() {
	time.Sleep(10 * time.Second)
	synctest.Wait()
}

// app makes an app with a web type of one dyno and wakes nobody.
func (w *world) app(id string) *record {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	r := &record{
		app:    dynomad.App{ID: id, Name: "app" + id + "-default", SimpleName: "app" + id, Space: "default"},
		types:  []dynomad.DynoType{{ID: "t-" + id, AppID: id, Type: dynomad.Web, Quantity: 1, Size: "gp1", Port: 5000}},
		builds: map[string]dynomad.Build{}, configs: map[string]dynomad.ConfigVars{},
	}
	w.store.apps[id] = r
	return r
}

// release appends a release of an image with config vars of its own, and wakes the loop.
func (w *world) release(id, image string) int {
	w.store.mu.Lock()
	r := w.store.apps[id]
	version := len(r.releases) + 1
	n := strconv.Itoa(version)
	for i := range r.releases { // as the store does: a newer one came first
		if r.releases[i].Status == dynomad.ReleasePending {
			r.releases[i].Status = dynomad.ReleaseFailed
		}
	}
	r.builds["b"+n] = dynomad.Build{ID: "b" + n, Image: image}
	r.configs["c"+n+"-"+id] = dynomad.ConfigVars{"N": n}
	r.releases = append(r.releases, dynomad.Release{
		ID: "r" + n + "-" + id, AppID: id, Version: version, BuildID: "b" + n, ConfigID: "c" + n + "-" + id, Status: dynomad.ReleasePending,
	})
	w.store.mu.Unlock()
	w.loop.Wake(id)
	return version
}

// deploy makes an app with one release.
func (w *world) deploy(id string) *record {
	r := w.app(id)
	w.release(id, "good:1")
	return r
}

// change edits an app's record as a request would, and wakes the loop.
func (w *world) change(id string, change func(*record)) {
	w.edit(id, change)
	w.loop.Wake(id)
}

// edit is change without the wake.
func (w *world) edit(id string, change func(*record)) {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	change(w.store.apps[id])
}

// get reads an app's record.
func (w *world) get(id string) record {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	r := *w.store.apps[id]
	r.releases, r.types = slices.Clone(r.releases), slices.Clone(r.types) // the loop changes them in place
	r.runs, r.gone = slices.Clone(r.runs), slices.Clone(r.gone)
	return r
}

// running fails unless an app's job is registered, not stopped, ours and with one web of an image and count.
func (w *world) running(id, image string, count int) {
	w.Helper()
	job := w.cluster.Spec("app" + id + "-default")
	if job == nil || *job.Stop {
		w.Fatalf("app %s has no job", id)
	}
	if got := job.Meta["dynomad_app_id"]; got != id || len(job.TaskGroups) != 1 {
		w.Fatalf("app %s: the job is of app %s with %d groups", id, got, len(job.TaskGroups))
	}
	tg := job.TaskGroups[0]
	if got := fmt.Sprint(tg.Tasks[0].Config["image"]); got != image || *tg.Count != count {
		w.Errorf("app %s runs %d of %s, want %d of %s", id, *tg.Count, got, count, image)
	}
}

// status fails unless a release has a status.
func (w *world) status(id string, version int, want string) dynomad.Release {
	w.Helper()
	r := w.get(id).releases[version-1]
	if r.Status != want {
		w.Errorf("release v%d of %s: got %s (%s), want %s", version, id, r.Status, r.AdditionalInfo, want)
	}
	return r
}

// badImage makes rollouts of images that start with "bad" fail.
func badImage(job *api.Job) jobs.Rollout {
	for _, tg := range job.TaskGroups {
		if image := fmt.Sprint(tg.Tasks[0].Config["image"]); len(image) > 3 && image[:3] == "bad" {
			return jobs.Rollout{State: jobs.RolloutFailed, Reason: "Its dynos ended."}
		}
	}
	return jobs.Rollout{State: jobs.RolloutSucceeded}
}

var errInjected = dynomad.Errorf(dynomad.Unavailable, "The test says no.")

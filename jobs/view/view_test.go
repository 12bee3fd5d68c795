package view_test

import (
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/jobs/view"
)

const ns = "default"

// seen is a view and what it told.
type seen struct {
	*view.View
	mu      sync.Mutex
	now     time.Time
	changed []string
	asked   []string
}

func newSeen() *seen {
	s := &seen{now: time.Unix(1_700_000_000, 0)}
	s.View = view.New(view.Config{
		Settings: jobs.ViewSettings{StartGrace: time.Minute, Sizes: dynomad.BuiltinSizes()}, Namespace: ns,
		Now: func() time.Time {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.now
		},
		Changed: func(app string) { s.note(&s.changed, app) },
		Ask:     func(service string) { s.note(&s.asked, service) },
	})
	return s
}

// Dynos gives the dynos of a picture.
func (s *seen) Dynos(state dynomad.AppState, now time.Time) []dynomad.Dyno {
	return s.View.Dynos(state, now).Dynos
}

func (s *seen) note(list *[]string, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*list = append(*list, what)
}

// told gives the apps that changed since the last time, once each.
func (s *seen) told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := slices.Clone(s.changed)
	s.changed = nil
	slices.Sort(out)
	return slices.Compact(out)
}

// asks gives the services asked for since the last time.
func (s *seen) asks() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.asked
	s.asked = nil
	return out
}

func (s *seen) pass(d time.Duration) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
	return s.now
}

func info(index uint64) jobs.JobInfo {
	return jobs.JobInfo{Namespace: ns, ID: "x-default", Installation: "inst", AppID: "a1", ModifyIndex: index, CreateIndex: 5, Index: index}
}

func content(version uint64, release int) jobs.VersionContent {
	return jobs.VersionContent{
		JobID: "x-default", CreateIndex: 5, Version: version,
		Groups: map[string]jobs.GroupContent{
			"web":    {Release: release, Image: "i:" + strconv.Itoa(release), Count: 1, Checked: true, Number: 1_000_000_000 + uint64(release)},
			"worker": {Release: release, Image: "i:" + strconv.Itoa(release), Count: 1, Number: 2_000_000_000 + uint64(release)},
		},
	}
}

func alloc(id string, version, index uint64) jobs.Alloc {
	return jobs.Alloc{
		ID: id, Namespace: ns, JobID: "x-default", Group: "web", JobVersion: version, VersionKnown: true, ModifyIndex: index,
		Desired: api.AllocDesiredStatusRun, Client: api.AllocClientStatusRunning,
	}
}

func state() dynomad.AppState {
	return dynomad.AppState{
		App:    dynomad.App{ID: "a1", Name: "x-default"},
		Types:  []dynomad.DynoType{{Type: "web", Quantity: 1}},
		Wanted: &dynomad.Release{Version: 1}, Build: &dynomad.Build{},
	}
}

// full is a job at version 0 with one dyno.
func full() jobs.Snapshot {
	return jobs.Snapshot{
		Index: 10, Jobs: []jobs.JobInfo{info(7)}, Contents: []jobs.VersionContent{content(0, 1)}, Allocs: []jobs.Alloc{alloc("a", 0, 9)},
	}
}

func TestView_unsynced(t *testing.T) {
	t.Parallel()
	s := newSeen()
	if _, _, fresh := s.Job(ns, "x-default"); fresh {
		t.Error("a job of an empty view is fresh")
	}
	if _, fresh := s.Releases(ns, "x-default"); fresh {
		t.Error("releases of an empty view are fresh")
	}
	if s.Apply(ns, jobs.Delta{Job: new(info(7))}) || len(s.told()) != 0 {
		t.Error("a change before the first list was taken")
	}
	if got := s.StaleFor(s.pass(3 * time.Second)); got != 3*time.Second {
		t.Errorf("stale for %s, want 3 s", got)
	}
}

func TestView_resetReplaces(t *testing.T) {
	t.Parallel()
	s := newSeen()
	s.Reset(ns, full())
	got, ok, fresh := s.Job(ns, "x-default")
	if diff := cmp.Diff(got, info(7)); diff != "" || !ok || !fresh {
		t.Errorf("job: %t, %t (-got +want):\n%s", ok, fresh, diff)
	}
	if diff := cmp.Diff(s.told(), []string{"a1"}); diff != "" {
		t.Errorf("told (-got +want):\n%s", diff)
	}
	other := info(3)
	other.ID, other.AppID = "y-default", "a2"
	s.Reset(ns, jobs.Snapshot{Jobs: []jobs.JobInfo{other}})
	if _, ok, fresh := s.Job(ns, "x-default"); ok || !fresh {
		t.Errorf("a job that is not on the list: %t, %t; want none", ok, fresh)
	}
	if diff := cmp.Diff(s.told(), []string{"a1", "a2"}); diff != "" {
		t.Errorf("told (-got +want), who vanished must be too:\n%s", diff)
	}
	if n := len(s.Dynos(state(), s.now)); n != 1 { // the one that waits
		t.Errorf("%d dynos, want 1", n)
	}
}

func TestView_applyIgnoresOlder(t *testing.T) {
	t.Parallel()
	s := newSeen()
	s.Reset(ns, full())
	newer := info(12)
	newer.Stopped = true
	s.Apply(ns, jobs.Delta{Job: &newer})
	s.Apply(ns, jobs.Delta{Job: new(info(11))})
	if got, _, _ := s.Job(ns, "x-default"); got != newer {
		t.Errorf("got %+v, want the newer one", got)
	}
	back := info(7) // an older version, written later
	back.Index = 13
	s.Apply(ns, jobs.Delta{Job: &back})
	if got, _, _ := s.Job(ns, "x-default"); got != back {
		t.Errorf("got %+v, want the one written last", got)
	}
	newer.Index = 14
	s.Apply(ns, jobs.Delta{Job: &newer})
	older := info(99)
	older.CreateIndex = 4 // of one that was purged before
	s.Apply(ns, jobs.Delta{Job: &older})
	if got, _, _ := s.Job(ns, "x-default"); got != newer {
		t.Errorf("got %+v, want the one created last", got)
	}
	ended := alloc("a", 0, 20)
	ended.Client, ended.Desired, ended.Modified = api.AllocClientStatusComplete, api.AllocDesiredStatusStop, s.now.UnixNano()
	s.Apply(ns, jobs.Delta{Alloc: &ended})
	s.Apply(ns, jobs.Delta{Alloc: new(alloc("a", 0, 15))})
	if got := s.Dynos(state(), s.now)[0].State; got != dynomad.StateStopped {
		t.Errorf("the dyno is %s, want stopped", got)
	}
}

// TestView_mergesAcrossResync keeps what only the earlier list knew: Nomad's own record of an allocation's events is short.
func TestView_mergesAcrossResync(t *testing.T) {
	t.Parallel()
	s := newSeen()
	first := full()
	first.Allocs[0].Task.Restarts, first.Allocs[0].Health = 4, jobs.Healthy
	first.Allocs[0].Task.Exit.At, first.Allocs[0].Task.Exit.Code = 77, 3
	s.Reset(ns, first)
	s.Lost(ns)
	again := full()
	again.Allocs[0].ModifyIndex = 30
	again.Allocs[0].Task.Restarts = 5
	s.Reset(ns, again)
	crashed := alloc("a", 0, 31)
	crashed.VersionKnown, crashed.Client = false, api.AllocClientStatusFailed
	crashed.Task.Restarts = 5
	if s.Apply(ns, jobs.Delta{Alloc: &crashed}) {
		t.Error("the version is unknown, though it was told before")
	}
	d := s.Dynos(state(), s.now)[0]
	if d.Restarts != 5 || d.ExitCode == nil || *d.ExitCode != 3 || d.ReleaseVersion != 1 {
		t.Errorf("got %+v, want 5 restarts and exit code 3", d)
	}
}

func TestView_lostIsStale(t *testing.T) {
	t.Parallel()
	s := newSeen()
	s.Reset(ns, full())
	s.ResetHealth(map[string]jobs.Health{})
	if got := s.StaleFor(s.now); got != 0 {
		t.Errorf("all is followed, and stale for %s", got)
	}
	s.Lost(ns)
	s.pass(5 * time.Second)
	s.Lost(ns) // the next try failed too
	s.LostHealth()
	if got := s.StaleFor(s.pass(5 * time.Second)); got != 10*time.Second {
		t.Errorf("stale for %s, want 10 s", got)
	}
	if _, _, fresh := s.Job(ns, "x-default"); fresh {
		t.Error("a lost namespace's job is fresh")
	}
	if _, fresh := s.Releases(ns, "x-default"); fresh {
		t.Error("a lost namespace's releases are fresh")
	}
	if d := s.Dynos(state(), s.now); len(d) != 1 || d[0].ID != "a" {
		t.Errorf("what was known is not shown on: %+v", d)
	}
	s.Reset(ns, full())
	if got := s.StaleFor(s.now); got != 5*time.Second {
		t.Errorf("stale for %s, want 5 s of health", got)
	}
	s.ResetHealth(map[string]jobs.Health{})
	if got := s.StaleFor(s.now); got != 0 {
		t.Errorf("back again, and stale for %s", got)
	}
	s.Lost("other") // never followed at all
	if got := s.StaleFor(s.now); got != time.Second {
		t.Errorf("stale for %s, want the least that is shown", got)
	}
}

func TestView_purgedAndRecreated(t *testing.T) {
	t.Parallel()
	s := newSeen()
	s.Reset(ns, full())
	s.told()
	s.Apply(ns, jobs.Delta{Removed: "x-default"})
	if _, ok, fresh := s.Job(ns, "x-default"); ok || !fresh {
		t.Errorf("a purged job: %t, %t; want none", ok, fresh)
	}
	if diff := cmp.Diff(s.told(), []string{"a1"}); diff != "" {
		t.Errorf("told (-got +want):\n%s", diff)
	}
	if d := s.Dynos(state(), s.now); len(d) != 1 || d[0].ReleaseVersion != 1 {
		t.Errorf("the purged job's dyno, still up: %+v", d)
	}
	if versions, fresh := s.Releases(ns, "x-default"); !fresh || !versions[1] {
		t.Errorf("the purged job's dyno runs %v, %t", versions, fresh)
	}
	anew, c := info(40), content(0, 8) // versions start anew
	anew.CreateIndex, c.CreateIndex = 40, 40
	s.Apply(ns, jobs.Delta{Job: &anew, Content: &c})
	late := content(0, 1) // of the one before
	s.Apply(ns, jobs.Delta{Job: new(info(7)), Content: &late})
	b := alloc("b", 0, 41)
	s.Apply(ns, jobs.Delta{Alloc: &b})
	got, ok, _ := s.Job(ns, "x-default")
	if !ok || got != anew {
		t.Errorf("job: %+v, %t", got, ok)
	}
	for _, d := range s.Dynos(state(), s.now) {
		if d.ID == "b" && d.ReleaseVersion != 8 {
			t.Errorf("the new dyno runs release %d, want 8", d.ReleaseVersion)
		}
	}
}

func TestView_unknownVersions(t *testing.T) {
	t.Parallel()
	s := newSeen()
	s.Reset(ns, full())
	b := alloc("b", 0, 20)
	b.VersionKnown = false // as the event stream tells it
	if !s.Apply(ns, jobs.Delta{Alloc: &b}) {
		t.Error("a new allocation's version is known")
	}
	if _, fresh := s.Releases(ns, "x-default"); fresh {
		t.Error("releases are fresh, though one is not known")
	}
	b.VersionKnown, b.JobVersion = true, 1
	if !s.Apply(ns, jobs.Delta{Alloc: &b}) {
		t.Error("what version 1 runs is known")
	}
	s.Apply(ns, jobs.Delta{Job: new(info(21)), Content: new(content(1, 2))})
	if s.Apply(ns, jobs.Delta{Alloc: &b}) {
		t.Error("all is known, and it asks")
	}
	versions, fresh := s.Releases(ns, "x-default")
	if diff := cmp.Diff(versions, map[int]bool{1: true, 2: true}); diff != "" || !fresh {
		t.Errorf("releases: %t (-got +want):\n%s", fresh, diff)
	}
	b.Client, b.ModifyIndex = api.AllocClientStatusComplete, 22
	s.Apply(ns, jobs.Delta{Alloc: &b})
	if versions, _ := s.Releases(ns, "x-default"); len(versions) != 1 {
		t.Errorf("an ended dyno's release counts: %v", versions)
	}
}

// TestView_unread tells variables that no live dyno reads from those that one does, whatever release it says it is of.
func TestView_unread(t *testing.T) {
	t.Parallel()
	s := newSeen()
	reads := func(version uint64, path string) jobs.VersionContent {
		c := content(version, 1)
		c.Groups = map[string]jobs.GroupContent{"web": {Release: 1, ConfigPath: "dynomad/x-default/" + path}}
		return c
	}
	ended := alloc("b", 1, 9)
	ended.Client = api.AllocClientStatusComplete
	s.Reset(ns, jobs.Snapshot{
		Index: 10, Jobs: []jobs.JobInfo{info(7)}, Contents: []jobs.VersionContent{reads(0, "old"), reads(1, "ended")},
		Allocs: []jobs.Alloc{alloc("a", 0, 9), ended},
	})
	if _, fresh := s.Unread(ns, "x-default"); fresh {
		t.Error("fresh before the variables were listed")
	}
	s.Variables(ns, map[string]bool{"dynomad/x-default/old": true, "dynomad/x-default/ended": true, "dynomad/x-default/1": true, "dynomad/x-default2/1": true})
	got, fresh := s.Unread(ns, "x-default")
	if diff := cmp.Diff(got, []string{"dynomad/x-default/1", "dynomad/x-default/ended"}); diff != "" || !fresh {
		t.Errorf("unread: %t (-got +want):\n%s", fresh, diff)
	}
	b := alloc("c", 0, 20)
	b.VersionKnown = false
	s.Apply(ns, jobs.Delta{Alloc: &b})
	if _, fresh := s.Unread(ns, "x-default"); fresh {
		t.Error("fresh, though nobody knows what a dyno reads")
	}
}

// TestView_foreign passes over the allocations of jobs that are not ours: nothing is kept of them, and nobody asked.
func TestView_foreign(t *testing.T) {
	t.Parallel()
	s := newSeen()
	foreign := jobs.JobInfo{Namespace: ns, ID: "db", ModifyIndex: 3, CreateIndex: 3}
	others := jobs.JobInfo{Namespace: ns, ID: "other", Installation: "other", AppID: "o1", ModifyIndex: 3, CreateIndex: 3}
	snapshot := full()
	snapshot.Jobs = append(snapshot.Jobs, foreign, others)
	s.Reset(ns, snapshot)
	s.told()
	for _, job := range []string{"db", "other", "unheard-of"} {
		a := alloc("f-"+job, 0, 30)
		a.JobID, a.VersionKnown = job, false
		if s.Apply(ns, jobs.Delta{Alloc: &a}) {
			t.Errorf("asks for the version of an allocation of %s", job)
		}
	}
	if told, asked := s.told(), s.asks(); len(told)+len(asked) != 0 {
		t.Errorf("told %v, asked %v", told, asked)
	}
	if got, ok, _ := s.Job(ns, "db"); !ok || got.Installation != "" {
		t.Errorf("a foreign job must be seen: %+v, %t", got, ok)
	}
	if got := len(s.Marked()); got != 2 {
		t.Errorf("%d jobs carry an owner mark, want 2", got)
	}
}

// TestView_asksOnlyForChecked reads no service because a worker changed.
func TestView_asksOnlyForChecked(t *testing.T) {
	t.Parallel()
	s := newSeen()
	s.Reset(ns, full())
	worker := alloc("w", 0, 30)
	worker.Group = "worker"
	s.Apply(ns, jobs.Delta{Alloc: &worker})
	if got := s.asks(); len(got) != 0 {
		t.Errorf("asked for %v", got)
	}
	s.Apply(ns, jobs.Delta{Alloc: new(alloc("a", 0, 31))})
	if diff := cmp.Diff(s.asks(), []string{"x-default"}); diff != "" {
		t.Errorf("asked (-got +want):\n%s", diff)
	}
}

func TestView_health(t *testing.T) {
	t.Parallel()
	s := newSeen()
	s.Reset(ns, full())
	at := func() dynomad.Dyno { return s.Dynos(state(), s.now)[0] }
	failing := jobs.Health{Known: true, Output: "refused"}
	passing := jobs.Health{Known: true, Passing: true}
	s.ResetHealth(map[string]jobs.Health{"a": failing})
	if d := at(); d.State != dynomad.StateRunning || d.Ready {
		t.Errorf("a check that never passed: %s, ready %t", d.State, d.Ready)
	}
	s.SetHealth(map[string]jobs.Health{"a": passing})
	if d := at(); !d.Ready {
		t.Error("a check that passes: not ready")
	}
	s.SetHealth(map[string]jobs.Health{"a": failing})
	if d := at(); d.State != dynomad.StateProbeFailure {
		t.Errorf("a check that passed once and fails: %s", d.State)
	}
	s.LostHealth()
	s.ResetHealth(map[string]jobs.Health{"a": failing}) // Consul was away
	if d := at(); d.State != dynomad.StateProbeFailure {
		t.Errorf("that it passed once is forgotten: %s", d.State)
	}
	s.SetHealth(map[string]jobs.Health{"a": {}})
	if d := at(); d.State != dynomad.StateRunning || d.Ready {
		t.Errorf("a check that is gone: %s, ready %t", d.State, d.Ready)
	}
}

func TestView_blocked(t *testing.T) {
	t.Parallel()
	s := newSeen()
	s.Reset(ns, jobs.Snapshot{Jobs: []jobs.JobInfo{info(7)}, Contents: []jobs.VersionContent{content(0, 1)}})
	full := map[string]*api.AllocationMetric{"web": {NodesEvaluated: 1, DimensionExhausted: map[string]int{"memory": 1}}}
	problem := func() string { return s.Dynos(state(), s.now)[0].AdditionalInfo }
	block := func(b jobs.Blocked) {
		b.JobID = "x-default"
		s.Apply(ns, jobs.Delta{Blocked: &b})
	}
	unknown := problem()
	block(jobs.Blocked{EvalID: "e1", Index: 10, Failed: full})
	blocked := problem()
	if blocked == unknown || !s.Unfit(ns, "x-default") || s.Unfit(ns, "y-default") || s.Unfit("elsewhere", "x-default") {
		t.Fatalf("a blocked dyno says %q; unfit: %t", blocked, s.Unfit(ns, "x-default"))
	}
	block(jobs.Blocked{EvalID: "e0", Index: 9})
	block(jobs.Blocked{EvalID: "e2", Index: 11, Cancelled: true})
	if got := problem(); got != blocked {
		t.Errorf("after an older one and another's end: %q", got)
	}
	block(jobs.Blocked{EvalID: "e1", Index: 12, Cancelled: true})
	if got := problem(); got != unknown || s.Unfit(ns, "x-default") {
		t.Errorf("after its end: %q; unfit: %t", got, s.Unfit(ns, "x-default"))
	}
}

func TestView_forget(t *testing.T) {
	t.Parallel()
	s := newSeen()
	s.Reset(ns, full())
	ended := alloc("b", 0, 20)
	ended.Desired, ended.Client, ended.Modified = api.AllocDesiredStatusStop, api.AllocClientStatusComplete, s.now.UnixNano()
	s.Apply(ns, jobs.Delta{Alloc: &ended})
	s.SetHealth(map[string]jobs.Health{"b": {Known: true}})
	s.Forget(s.pass(30 * time.Second))
	if n := len(s.Dynos(state(), s.now.Add(-time.Minute))); n != 2 {
		t.Errorf("%d dynos half a minute after one ended, want 2", n)
	}
	now := s.pass(time.Minute)
	s.Forget(now)
	if n := len(s.Dynos(state(), now.Add(-90*time.Second))); n != 1 {
		t.Errorf("%d dynos a minute and a half after one ended, want 1", n)
	}
	if _, ok, _ := s.Job(ns, "x-default"); !ok {
		t.Error("a job that is registered was forgotten")
	}
}

// TestView_forgetsVersions scales an app for years on one event stream: what old versions ran goes, but for those in use.
func TestView_forgetsVersions(t *testing.T) {
	t.Parallel()
	s := newSeen()
	s.Reset(ns, full())
	for v := uint64(1); v <= 500; v++ {
		s.Apply(ns, jobs.Delta{Job: new(info(7 + v)), Content: new(content(v, int(v)))})
	}
	s.Forget(s.now)
	if versions, fresh := s.Releases(ns, "x-default"); !fresh || !versions[1] {
		t.Errorf("the oldest version, in use, was forgotten: %v, %t", versions, fresh)
	}
	for id, want := range map[string]bool{"450": true, "500": true, "300": false} {
		v, _ := strconv.ParseUint(id, 10, 64)
		if known := !s.Apply(ns, jobs.Delta{Alloc: new(alloc(id, v, 900))}); known != want {
			t.Errorf("version %d is known: %t, want %t", v, known, want)
		}
	}
}

// TestView_concurrent uses every method at once, for the race detector.
func TestView_concurrent(t *testing.T) {
	t.Parallel()
	s := newSeen()
	const rounds = 200
	var wg sync.WaitGroup
	for _, work := range []func(i uint64){
		func(uint64) { s.Reset(ns, full()) },
		func(i uint64) {
			s.Apply(ns, jobs.Delta{Alloc: new(alloc("a"+strconv.FormatUint(i%5, 10), i%3, i))})
			s.Apply(ns, jobs.Delta{Job: new(info(i)), Content: new(content(i, 1))})
		},
		func(i uint64) { s.Apply(ns, jobs.Delta{Removed: "x-default"}) },
		func(uint64) { s.Lost(ns) },
		func(uint64) { s.ResetHealth(map[string]jobs.Health{"a": {Known: true}}) },
		func(i uint64) { s.SetHealth(map[string]jobs.Health{"a": {Known: i%2 == 0, Passing: true}}) },
		func(uint64) { s.LostHealth() },
		func(uint64) { s.Forget(s.pass(time.Millisecond)) },
		func(uint64) { s.Dynos(state(), time.Now()) },
		func(uint64) { s.Job(ns, "x-default") },
		func(uint64) { s.Releases(ns, "x-default") },
		func(uint64) { s.Marked() },
		func(uint64) { s.StaleFor(time.Now()) },
	} {
		wg.Go(func() {
			for i := range uint64(rounds) {
				work(i)
			}
		})
	}
	wg.Wait()
}

// TestMark moves a job's mark with what may matter to the loop, and with nothing else.
func TestMark(t *testing.T) {
	t.Parallel()
	s := newSeen()
	if _, fresh := s.Mark(ns, "x-default"); fresh {
		t.Error("nothing is followed, but the mark is fresh")
	}
	info := jobs.JobInfo{Namespace: ns, ID: "x-default", Installation: "i", AppID: "x", CreateIndex: 1, ModifyIndex: 2}
	content := jobs.VersionContent{JobID: "x-default", CreateIndex: 1, Groups: map[string]jobs.GroupContent{"web": {Release: 1}}}
	up := jobs.Alloc{ID: "a", JobID: "x-default", Group: "web", VersionKnown: true, ModifyIndex: 3, Desired: "run", Client: "running"}
	s.Reset(ns, jobs.Snapshot{Jobs: []jobs.JobInfo{info}, Contents: []jobs.VersionContent{content}, Allocs: []jobs.Alloc{up}})
	s.Variables(ns, map[string]bool{"dynomad/x-default/1": true, "dynomad/y-default/1": true})
	last := uint64(0)
	moved := func(what string, want bool) {
		t.Helper()
		mark, fresh := s.Mark(ns, "x-default")
		if !fresh || (mark != last) != want {
			t.Errorf("%s: the mark was %d and is %d, fresh %t; want it to move: %t", what, last, mark, fresh, want)
		}
		last = mark
	}
	apply := func(change func(*jobs.Alloc)) {
		up.ModifyIndex++
		change(&up)
		alloc := up
		s.Apply(ns, jobs.Delta{Alloc: &alloc})
	}
	moved("a full list", true)
	moved("nothing", false)
	apply(func(a *jobs.Alloc) { a.Task.Restarts++ })
	moved("a restart", false)
	s.SetHealth(map[string]jobs.Health{"a": {Known: true}})
	moved("its health", false)
	s.Variables(ns, map[string]bool{"dynomad/x-default/1": true, "dynomad/y-default/2": true})
	moved("another job's variable", false)
	s.Variables(ns, map[string]bool{"dynomad/x-default/2": true, "dynomad/y-default/2": true})
	moved("its variable", true)
	s.VariablesLost(ns)
	if _, fresh := s.Mark(ns, "x-default"); fresh {
		t.Error("variables are not followed, but the mark is fresh")
	}
	s.Variables(ns, map[string]bool{"dynomad/x-default/2": true})
	moved("the same variable, listed again", false)
	apply(func(a *jobs.Alloc) { a.Desired = "stop" })
	moved("a stop", true)
	apply(func(a *jobs.Alloc) { a.Client = "complete" })
	moved("its end", true)
	info.ModifyIndex++
	s.Apply(ns, jobs.Delta{Job: &info})
	moved("the job", true)
	s.Apply(ns, jobs.Delta{Removed: "x-default"})
	moved("its removal", true)
	s.Lost(ns)
	if _, fresh := s.Mark(ns, "x-default"); fresh {
		t.Error("the namespace is lost, but the mark is fresh")
	}
	snapshot := jobs.Snapshot{Jobs: []jobs.JobInfo{info}, Contents: []jobs.VersionContent{content}, Allocs: []jobs.Alloc{up}}
	s.Reset(ns, snapshot)
	moved("another list", true)
	up.Task.Restarts++
	up.ModifyIndex++
	snapshot.Allocs = []jobs.Alloc{up}
	s.Reset(ns, snapshot)
	moved("the same list again, with a restart", false)
	snapshot.Contents[0].Groups = map[string]jobs.GroupContent{"web": {Release: 2}}
	s.Reset(ns, snapshot)
	moved("a list with another content", true)
	snapshot.Allocs = nil
	s.Reset(ns, snapshot)
	moved("a list without its allocation", true)
}

// TestResetHealth_sameAgain keeps the version of apps whose health is listed anew and is as it was.
func TestResetHealth_sameAgain(t *testing.T) {
	t.Parallel()
	s := newSeen()
	snapshot := jobs.Snapshot{}
	for _, name := range []string{"x", "y", "z"} {
		id := name + "-default"
		snapshot.Jobs = append(snapshot.Jobs, jobs.JobInfo{Namespace: ns, ID: id, Installation: "i", AppID: name, CreateIndex: 1})
		snapshot.Allocs = append(snapshot.Allocs, jobs.Alloc{ID: "alloc-" + name, JobID: id, Group: "web", Desired: "run", Client: "running"})
	}
	s.Reset(ns, snapshot)
	good := jobs.Health{Known: true, Passing: true}
	s.ResetHealth(map[string]jobs.Health{"alloc-x": good, "alloc-y": good})
	version := func(name string) uint64 { return s.DynosVersion(dynomad.App{ID: name, Name: name + "-default"}) }
	x, y, z := version("x"), version("y"), version("z")
	s.ResetHealth(map[string]jobs.Health{"alloc-x": good, "alloc-z": good})
	if version("x") != x {
		t.Error("the same health moved the version")
	}
	if version("y") == y || version("z") == z {
		t.Error("health that came, or went, did not move the version")
	}
}

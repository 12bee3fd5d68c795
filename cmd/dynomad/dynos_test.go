package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/jobs/view"
	"github.com/dynomad/dynomad/server"
	"github.com/dynomad/dynomad/store"
)

// pictured has all that GET dynos is made of, real but for the cluster and the time.
type pictured struct {
	tb      testing.TB
	api     http.Handler
	config  server.Config
	store   *store.Store
	view    *view.View
	app     string // its id
	index   uint64 // of Nomad
	release int    // that the job runs

	mu  sync.Mutex
	now time.Time
}

func (*pictured) Expect(context.Context, string) {}
func (*pictured) Wake(context.Context, string)   {}

func (s *pictured) time() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *pictured) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// newPictured has the app x-default with a web and a worker, which nobody runs yet.
func newPictured(tb testing.TB) *pictured {
	tb.Helper()
	s := &pictured{tb: tb, now: time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC), index: 100}
	kept, err := store.Open(tb.Context(), store.Config{
		Path: filepath.Join(tb.TempDir(), "dynomad.db"), Key: store.Key(strings.Repeat("k", 32)), Now: s.time,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := kept.Close(); err != nil {
			tb.Error(err)
		}
	})
	s.store = kept
	if err := kept.EnsureRoot(tb.Context(), dynomad.EnsureRoot(s.now, uuid.NewString(), "root")); err != nil {
		tb.Fatal(err)
	}
	config := defaultConfig()
	config.Sizes = dynomad.BuiltinSizes()
	s.view = view.New(view.Config{
		Settings: jobs.ViewSettings{StartGrace: config.StartGrace, MinHealthyTime: config.MinHealthyTime, UIURL: "http://nomad/ui", Sizes: config.Sizes},
		Now:      s.time, Namespace: "default", Changed: func(string) {}, Ask: func(string) {},
	})
	platform := dynomad.NewPlatform(config.rules(), dynomad.Parts{Store: kept, View: s.view, Loop: s, Now: s.time, NewID: uuid.NewString})
	s.config = server.Config{Platform: platform, Now: s.time, NewID: uuid.NewString, NewToken: uuid.NewString}
	s.api = server.New(s.config).Handler()
	s.create()
	return s
}

func (s *pictured) create() {
	s.do(http.MethodPost, "/apps", `{"name":"x"}`)
	s.do(http.MethodPost, "/apps/x-default/formation", `{"type":"web","command":"/app \"web\""}`)
	s.do(http.MethodPost, "/apps/x-default/formation", `{"type":"worker","command":"/app worker","quantity":2}`)
	s.do(http.MethodPost, "/apps/x-default/builds", `{"url":"x:1"}`)
	_, body := s.ask(s.api, "/apps/x-default", "")
	_, id, _ := strings.Cut(body, `"id":"`)
	s.app, s.release = id[:36], 1
}

func (s *pictured) do(method, path, body string) {
	s.tb.Helper()
	rec := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(s.tb.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "root")
	s.api.ServeHTTP(rec, r)
	if rec.Code >= 400 {
		s.tb.Fatalf("%s %s %s: %d %s", method, path, body, rec.Code, rec.Body)
	}
}

// ask gives an answer's headers and body.
func (s *pictured) ask(api http.Handler, path, accept string) (http.Header, string) {
	s.tb.Helper()
	rec := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(s.tb.Context(), http.MethodGet, path, nil)
	r.Header.Set("Authorization", "root")
	r.Header.Set("Accept", accept)
	api.ServeHTTP(rec, r)
	return rec.Header(), rec.Body.String()
}

// dynos asks for the app's dynos, in both dialects, and checks that what the server has kept is what a server that has kept
// nothing makes.
func (s *pictured) dynos(after string) string {
	s.tb.Helper()
	var akkeris string
	for _, accept := range []string{"application/vnd.heroku+json; version=3", "application/json"} {
		header, body := s.ask(s.api, "/apps/x-default/dynos", accept)
		fresh, want := s.ask(server.New(s.config).Handler(), "/apps/x-default/dynos", accept)
		if body != want {
			s.tb.Errorf("after %s, as %s (-kept +anew):\n%s", after, accept, cmp.Diff(body, want))
		}
		for _, h := range []http.Header{header, fresh} {
			h.Del("Request-Id")
		}
		if diff := cmp.Diff(header, fresh); diff != "" {
			s.tb.Errorf("headers after %s (-kept +anew):\n%s", after, diff)
		}
		akkeris = body
	}
	return akkeris
}

func (s *pictured) next() uint64 { s.index++; return s.index }

// feed gives the view a change.
func (s *pictured) feed(d jobs.Delta) { s.view.Apply("default", d) }

func (s *pictured) job() jobs.JobInfo {
	return jobs.JobInfo{Namespace: "default", ID: "x-default", Installation: "i", AppID: s.app, ModifyIndex: s.next(), CreateIndex: 5}
}

func (s *pictured) content() jobs.VersionContent {
	return jobs.VersionContent{JobID: "x-default", CreateIndex: 5, Version: uint64(s.release), Groups: map[string]jobs.GroupContent{
		"web":    {Release: s.release, Image: "x:1", Command: []string{"/app", "web"}, Checked: true, Number: 1_000_000_000 + uint64(s.release)},
		"worker": {Release: s.release, Image: "x:1", Command: []string{"/app", "worker"}, Number: 2_000_000_000},
	}}
}

// alloc is one of few allocations, some of which run, just started.
func (s *pictured) alloc(group string, n int, change func(*jobs.Alloc)) jobs.Alloc {
	now := s.time().UnixNano()
	a := jobs.Alloc{
		ID: group + strconv.Itoa(n), Namespace: "default", JobID: "x-default", Group: group, Index: int32(n),
		JobVersion: uint64(s.release), VersionKnown: true, ModifyIndex: s.next(), Created: now, Modified: now,
		Desired: api.AllocDesiredStatusRun, Client: api.AllocClientStatusRunning, NodeName: "n1",
		Task: jobs.TaskSummary{State: "running", Started: now},
	}
	if change != nil {
		change(&a)
	}
	return a
}

func (s *pictured) put(group string, n int, change func(*jobs.Alloc)) {
	a := s.alloc(group, n, change)
	s.feed(jobs.Delta{Alloc: &a})
}

func (s *pictured) reset(allocs ...jobs.Alloc) {
	s.view.Reset("default", jobs.Snapshot{Jobs: []jobs.JobInfo{s.job()}, Contents: []jobs.VersionContent{s.content()}, Allocs: allocs})
}

// failRollout records that what is wanted of the web has failed, as the loop does.
func (s *pictured) failRollout() {
	s.tb.Helper()
	state, err := s.store.AppState(s.tb.Context(), s.app)
	if err != nil {
		s.tb.Fatal(err)
	}
	web, _ := state.Type(dynomad.Web)
	_, err = s.store.EndRollout(s.tb.Context(), s.app, dynomad.RolloutEnd{Records: []dynomad.TypeRecord{
		{TypeID: web.ID, Failed: new(web.Definition()), Reason: "It crashed.", State: dynomad.StateAppCrashed},
	}})
	if err != nil {
		s.tb.Fatal(err)
	}
}

func stop(a *jobs.Alloc) {
	a.Desired, a.Client = api.AllocDesiredStatusStop, api.AllocClientStatusComplete
	a.Task.State, a.Task.Finished = "dead", a.Modified
}

func crash(a *jobs.Alloc) {
	a.Task.Exit, a.Task.Restarts = jobs.Exit{At: a.Modified - 1, Code: 3}, 1
}

// TestDynos_kept changes one thing after the other that a list of dynos is made of: each change shows at the next request,
// though lists are kept, and while nothing changes the very same list is sent.
func TestDynos_kept(t *testing.T) {
	t.Parallel()
	s := newPictured(t)
	failing, passing := jobs.Health{Known: true, Output: "refused"}, jobs.Health{Known: true, Passing: true}
	before := s.dynos("nothing")
	for _, step := range []struct {
		what string
		do   func()
	}{
		{"the first full list", func() { s.reset(s.alloc("web", 0, nil)) }},
		{"a full list with another dyno", func() { s.reset(s.alloc("web", 0, nil), s.alloc("worker", 0, nil)) }},
		{"a dyno's event", func() { s.put("worker", 1, nil) }},
		{"a check", func() { s.view.SetHealth(map[string]jobs.Health{"web0": passing}) }},
		{"another output of a check", func() { s.view.SetHealth(map[string]jobs.Health{"web0": failing}) }},
		{"the end of a check", func() { s.view.SetHealth(map[string]jobs.Health{"web0": {}}) }},
		{"all checks", func() { s.view.ResetHealth(map[string]jobs.Health{"web0": failing}) }},
		{"all checks, now none", func() { s.view.ResetHealth(map[string]jobs.Health{}) }},
		{"a check that fails", func() { s.view.SetHealth(map[string]jobs.Health{"web0": failing}) }},
		{"the end of the start grace", func() { s.pass(30 * time.Second) }},
		{"a clock that was set back", func() { s.pass(-10 * time.Second) }},
		{"a crash", func() { s.put("worker", 1, crash) }},
		{"enough time since", func() { s.pass(11 * time.Second) }},
		{"a stop", func() { s.put("worker", 1, stop) }},
		{"a minute since", func() { s.pass(time.Minute + 1) }},
		{"why there is no room", func() {
			s.feed(jobs.Delta{Blocked: &jobs.Blocked{JobID: "x-default", EvalID: "e", Index: s.next(), Failed: map[string]*api.AllocationMetric{
				"worker": {NodesEvaluated: 1, DimensionExhausted: map[string]int{"memory": 1}},
			}}})
		}},
		{"a quantity", func() { s.do(http.MethodPatch, "/apps/x-default/formation/worker", `{"quantity":3}`) }},
		{"a size", func() { s.do(http.MethodPatch, "/apps/x-default/formation/worker", `{"size":"gp3"}`) }},
		{"how a command is spelled", func() { s.do(http.MethodPatch, "/apps/x-default/formation/web", `{"command":"'/app' web"}`) }},
		{"a release", func() { s.do(http.MethodPatch, "/apps/x-default/config-vars", `{"A":"1"}`) }},
		{"a new version of the job and its dyno", func() {
			s.release = 2
			info, content := s.job(), s.content()
			s.feed(jobs.Delta{Job: &info, Content: &content})
			s.put("web", 0, nil)
		}},
		{"another release in the same version", func() { // as when a job was purged and made anew
			info, content := s.job(), s.content()
			content.Groups["web"] = jobs.GroupContent{Release: 1, Checked: true, Number: 77}
			s.feed(jobs.Delta{Job: &info, Content: &content})
		}},
		{"a one-off dyno", func() { s.do(http.MethodPost, "/apps/x-default/dynos", `{"command":"ls"}`) }},
		{"its allocation", func() { s.putRun(nil) }},
		{"its process's end", func() { s.putRun(crash) }},
		{"what is recorded of it", s.endRun},
		{"an hour since", func() { s.pass(dynomad.RunListed) }},
		{"another one", func() { s.do(http.MethodPost, "/apps/x-default/dynos", `{"command":"ls"}`) }},
		{"its stop", func() { s.do(http.MethodPost, "/apps/x-default/dynos/run.1002/actions/stop", "") }},
		{"its end", s.endRun},
		{"maintenance", func() { s.do(http.MethodPatch, "/apps/x-default", `{"maintenance":true}`) }},
		{"its end", func() { s.do(http.MethodPatch, "/apps/x-default", `{"maintenance":false}`) }},
		{"a type less", func() { s.do(http.MethodDelete, "/apps/x-default/formation/worker", "") }},
		{"the name's next app", func() { s.do(http.MethodDelete, "/apps/x-default", ""); s.create() }},
		{"a rollout that failed", s.failRollout},
		{"its job", func() { s.release = 1; s.reset(s.alloc("worker", 0, nil)) }},
		{"no job any more", func() { s.view.Reset("default", jobs.Snapshot{}) }},
	} {
		step.do()
		after := s.dynos(step.what)
		if after == before {
			t.Errorf("%s changes nothing: %s", step.what, after)
		}
		if again := s.dynos(step.what + ", once more"); again != after {
			t.Errorf("%s, once more: %s", step.what, cmp.Diff(again, after))
		}
		before = after
	}
}

// TestDynos_stale has the header follow the time, though the list stays.
func TestDynos_stale(t *testing.T) {
	t.Parallel()
	s := newPictured(t)
	s.reset()
	s.view.ResetHealth(map[string]jobs.Health{})
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() {}, ""},
		{func() { s.view.Lost("default") }, "1"},
		{func() { s.pass(5 * time.Second) }, "5"},
		{func() { s.reset() }, ""},
		{s.view.LostHealth, "1"},
		{func() { s.pass(9 * time.Second) }, "9"},
		{func() { s.view.ResetHealth(map[string]jobs.Health{}) }, ""},
	} {
		step.do()
		s.dynos("a step")
		if header, _ := s.ask(s.api, "/apps/x-default/dynos", ""); header.Get("Dynomad-Stale") != step.want {
			t.Errorf("Dynomad-Stale is %q, want %q", header.Get("Dynomad-Stale"), step.want)
		}
	}
}

// TestDynos_random does what may happen, in any order.
func TestDynos_random(t *testing.T) {
	t.Parallel()
	s := newPictured(t)
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test's
	group := func() string { return []string{"web", "worker"}[random.IntN(2)] }
	changes := []func(*jobs.Alloc){nil, stop, crash, func(a *jobs.Alloc) { a.VersionKnown = false }}
	health := func() map[string]jobs.Health {
		return map[string]jobs.Health{group() + strconv.Itoa(random.IntN(3)): {Known: random.IntN(3) > 0, Passing: random.IntN(2) > 0}}
	}
	ops := []func(){
		func() { s.reset(s.alloc(group(), random.IntN(3), nil)) },
		func() { s.put(group(), random.IntN(3), changes[random.IntN(len(changes))]) },
		func() { s.put(group(), random.IntN(3), changes[random.IntN(len(changes))]) },
		func() { s.view.SetHealth(health()) },
		func() { s.view.ResetHealth(health()) },
		func() { s.view.Lost("default") },
		s.view.LostHealth,
		func() { s.view.Forget(s.time()) },
		func() { s.feed(jobs.Delta{Removed: "x-default"}) },
		func() { s.pass(time.Duration(random.IntN(70)) * time.Second) },
		func() { s.pass(time.Duration(random.IntN(7000)) * time.Millisecond) },
		func() {
			s.do(http.MethodPatch, "/apps/x-default/formation/"+group(), fmt.Sprintf(`{"quantity":%d}`, random.IntN(4)))
		},
	}
	before, changed := "", 0
	for range 400 {
		n := random.IntN(len(ops))
		ops[n]()
		after := s.dynos(fmt.Sprintf("operation %d, seed %d", n, seed))
		if after != before {
			before = after
			changed++
		}
		if t.Failed() {
			return
		}
	}
	if changed < 50 {
		t.Errorf("only %d operations changed anything; seed %d", changed, seed)
	}
}

// TestDynos_noStaleRead has many readers while something changes: who asks after a change sees it.
func TestDynos_noStaleRead(t *testing.T) {
	t.Parallel()
	s := newPictured(t)
	s.reset()
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					s.ask(s.api, "/apps/x-default/dynos", "")
				}
			}
		})
	}
	for i := range 200 {
		want := 1 + i%3
		s.do(http.MethodPatch, "/apps/x-default/formation/worker", fmt.Sprintf(`{"quantity":%d}`, want))
		if _, body := s.ask(s.api, "/apps/x-default/dynos", ""); strings.Count(body, `"type":"worker"`) != want {
			t.Errorf("after a quantity of %d: %s", want, body)
			break
		}
		s.put("web", 0, func(a *jobs.Alloc) { a.NodeName = fmt.Sprintf("node-%d", i) })
		if _, body := s.ask(s.api, "/apps/x-default/dynos", ""); !strings.Contains(body, fmt.Sprintf(`"node-%d"`, i)) {
			t.Errorf("after a move to node-%d: %s", i, body)
			break
		}
	}
	close(done)
	readers.Wait()
}

// BenchmarkDynos_kept answers GET dynos, without the network, for an app with twenty.
func BenchmarkDynos_kept(b *testing.B) {
	s := newPictured(b)
	s.do(http.MethodPatch, "/apps/x-default/formation/web", `{"quantity":20}`)
	var allocs []jobs.Alloc
	for n := range 20 {
		allocs = append(allocs, s.alloc("web", n, nil))
	}
	s.reset(allocs...)
	b.Run("kept", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.ask(s.api, "/apps/x-default/dynos", "")
		}
	})
	b.Run("anew", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.pass(-time.Nanosecond) // at no time that a list was made for
			s.ask(s.api, "/apps/x-default/dynos", "")
		}
	})
}

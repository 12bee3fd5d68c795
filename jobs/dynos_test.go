package jobs_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

var dynosNow = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// alloc makes an allocation that runs since a minute, changed as asked.
func alloc(id, group string, index int32, change func(*jobs.Alloc)) jobs.Alloc {
	began := dynosNow.Add(-time.Minute).UnixNano()
	a := jobs.Alloc{
		ID: id, JobID: "api-default", Group: group, Index: index, VersionKnown: true, Created: began, Modified: began,
		Desired: "run", Client: "running", Task: jobs.TaskSummary{State: "running", Started: began},
	}
	if change != nil {
		change(&a)
	}
	return a
}

func ended(client, desired string) func(*jobs.Alloc) {
	return func(a *jobs.Alloc) {
		a.Client, a.Desired = client, desired
		a.Task = jobs.TaskSummary{State: "dead", Started: a.Created, Finished: dynosNow.Add(-30 * time.Second).UnixNano()}
		a.Task.Exit = jobs.Exit{At: a.Task.Finished, Code: 1}
	}
}

func older(a jobs.Alloc) jobs.Alloc {
	a.Created -= int64(time.Hour)
	return a
}

func appInput(maintenance bool, types []dynomad.DynoType, allocs ...jobs.Alloc) jobs.AppInput {
	return jobs.AppInput{
		Settings: viewSettings(), Allocs: allocs, Now: jobs.At(dynosNow),
		State: dynomad.AppState{
			App: dynomad.App{ID: "a1", Name: "api-default", Maintenance: maintenance}, Types: types,
			Wanted: &dynomad.Release{Version: 2}, Build: &dynomad.Build{Image: "x:1", ProcessTypes: map[string]string{"worker": "w"}},
		},
		Contents: map[uint64]map[string]jobs.GroupContent{0: {
			"web": {Release: 1, Checked: true, Number: 1234567890}, "worker": {Release: 1, Number: 1234567891},
		}},
	}
}

// ofTwoVersions adds a version 1 of the job in which dynos of web run something else.
func ofTwoVersions(in jobs.AppInput) jobs.AppInput {
	in.Contents[1] = map[string]jobs.GroupContent{"web": {Release: 2, Checked: true, Number: 1234567899}}
	return in
}

func TestDynos(t *testing.T) {
	t.Parallel()
	two := web()
	two.Quantity = 2
	none := worker()
	none.Quantity = 0
	tests := []struct {
		name string
		in   jobs.AppInput
		want []string
	}{
		{"nothing", appInput(false, nil), nil},
		{"not placed", appInput(false, []dynomad.DynoType{two, worker()}), []string{"web.1 waiting", "web.2 waiting", "worker.1 waiting"}},
		{
			"one of two", appInput(false, []dynomad.DynoType{two}, alloc("b", "web", 1, nil)),
			[]string{"web.1 waiting", "web.2 running"},
		},
		{
			"sorted by type, index, age", appInput(false, []dynomad.DynoType{two, worker()},
				alloc("w", "worker", 0, nil), alloc("new", "web", 1, nil), older(alloc("old", "web", 1, nil)), alloc("c", "web", 0, nil)),
			[]string{"web.1 running", "web.2 running", "web.2 running", "worker.1 running"},
		},
		{
			"stopping leaves its place", appInput(false, []dynomad.DynoType{web()}, alloc("a", "web", 0, func(a *jobs.Alloc) { a.Desired = "stop" })),
			[]string{"web.1 stopping", "web.1 waiting"},
		},
		{
			"crashed keeps its place", appInput(false, []dynomad.DynoType{worker()}, alloc("a", "worker", 0, ended("failed", "run"))),
			[]string{"worker.1 app-crashed"},
		},
		{
			"crashed with a successor", appInput(false, []dynomad.DynoType{worker()},
				older(alloc("a", "worker", 0, ended("failed", "run"))), alloc("b", "worker", 0, nil)),
			[]string{"worker.1 running"},
		},
		{
			"crashed with a successor that was withdrawn", appInput(false, []dynomad.DynoType{worker()},
				older(alloc("a", "worker", 0, ended("failed", "run"))), alloc("b", "worker", 0, ended("failed", "stop"))),
			[]string{"worker.1 app-crashed", "worker.1 stopped"},
		},
		{"crashed and scaled away", appInput(false, []dynomad.DynoType{none}, alloc("a", "worker", 0, ended("failed", "run"))), nil},
		{"crashed and type deleted", appInput(false, nil, alloc("a", "worker", 0, ended("failed", "run"))), nil},
		{
			"of a version not known yet", appInput(false, []dynomad.DynoType{worker()}, alloc("a", "worker", 0, func(a *jobs.Alloc) { a.VersionKnown = false })),
			[]string{"worker.1 waiting"},
		},
		{
			"two with one index after a node came back", appInput(false, []dynomad.DynoType{two}, alloc("a", "web", 0, nil), older(alloc("b", "web", 0, nil))),
			[]string{"web.1 running", "web.1 running"},
		},
		{
			"old and new of a rollout with one index", ofTwoVersions(appInput(false, []dynomad.DynoType{two},
				alloc("a", "web", 0, nil), older(alloc("b", "web", 0, func(a *jobs.Alloc) { a.JobVersion = 1 })))),
			[]string{"web.1 running", "web.1 running", "web.2 waiting"},
		},
		{
			"out of sight beside its successor", appInput(false, []dynomad.DynoType{two},
				alloc("a", "web", 0, nil), older(alloc("b", "web", 0, func(a *jobs.Alloc) { a.Client = "unknown" }))),
			[]string{"web.1 waiting", "web.1 running", "web.2 waiting"},
		},
		{"maintenance", appInput(true, []dynomad.DynoType{two}), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, d := range jobs.Dynos(tt.in) {
				got = append(got, d.TypeN+" "+string(d.State))
			}
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("dynos (-got +want):\n%s", diff)
			}
		})
	}
}

// The answer does not hang on the order of the allocations.
func TestDynos_steady(t *testing.T) {
	t.Parallel()
	allocs := []jobs.Alloc{alloc("a", "web", 0, nil), alloc("b", "web", 0, nil), alloc("c", "worker", 0, nil), alloc("d", "web", 10, nil)}
	want := jobs.Dynos(appInput(false, []dynomad.DynoType{web()}, allocs...))
	slices.Reverse(allocs)
	if diff := cmp.Diff(jobs.Dynos(appInput(false, []dynomad.DynoType{web()}, allocs...)), want); diff != "" {
		t.Errorf("dynos differ:\n%s", diff)
	}
}

func TestDynos_leftOut(t *testing.T) {
	t.Parallel()
	in := appInput(false, []dynomad.DynoType{web(), worker()})
	bad := worker()
	definition := bad.Definition()
	in.State.Types[1].Record = dynomad.TypeRecord{Failed: &definition, State: dynomad.StateAppCrashed, Reason: "It ended."}
	got := jobs.Dynos(in)
	if len(got) != 2 || got[0].Type != "web" || got[1].State != dynomad.StateAppCrashed || got[1].AdditionalInfo != "left out until it is changed: It ended." {
		t.Errorf("dynos are %+v, want a web and one of the worker that crashed", got)
	}
	in.State.Wanted = nil
	if got := jobs.Dynos(in); got == nil || len(got) != 0 {
		t.Errorf("dynos without a release are %+v", got)
	}
}

func TestOwed(t *testing.T) {
	t.Parallel()
	two := web()
	two.Quantity = 2
	one := alloc("b", "web", 1, nil)
	tests := map[string]struct {
		change func(in *jobs.AppInput)
		want   bool
	}{
		"one of two":           {func(*jobs.AppInput) {}, true},
		"both":                 {func(in *jobs.AppInput) { in.Allocs = append(in.Allocs, alloc("a", "web", 0, nil)) }, false},
		"its node lost it":     {func(in *jobs.AppInput) { in.Allocs[0].Desired, in.Allocs[0].Client = "stop", "lost" }, true},
		"in maintenance":       {func(in *jobs.AppInput) { in.State.App.Maintenance = true }, false},
		"no release":           {func(in *jobs.AppInput) { in.State.Wanted = nil }, false},
		"Nomad says why":       {func(in *jobs.AppInput) { in.Blocked = map[string]*api.AllocationMetric{"web": {}} }, false},
		"… of another type":    {func(in *jobs.AppInput) { in.Blocked = map[string]*api.AllocationMetric{"worker": {}} }, true},
		"not told of it":       {func(in *jobs.AppInput) { in.State.Trial = trialOf(1) }, false},
		"told of it":           {func(in *jobs.AppInput) { in.State.Trial = trialOf(2) }, true},
		"one crashes":          {func(in *jobs.AppInput) { in.Allocs = append(in.Allocs, alloc("a", "web", 0, ended("failed", "run"))) }, false},
		"a type that runs one": {func(in *jobs.AppInput) { in.State.Types[0].Quantity = 1 }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := appInput(false, []dynomad.DynoType{two}, one)
			tt.change(&in)
			if got := jobs.Owed(in); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}

// trialOf gives a rollout that Nomad was told to run so many web dynos of.
func trialOf(count int) *dynomad.Rollout {
	return &dynomad.Rollout{Version: 2, Trial: true, Types: []dynomad.RenderedType{{Type: "web", Count: count}}}
}

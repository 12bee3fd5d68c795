package jobs_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// The list's row and the whole allocation tell the same, as far as they know it.
func TestAllocFromStub_likeWhole(t *testing.T) {
	t.Parallel()
	stub, _ := readAlloc(t, "../testdata/allocs/crash-failed-stub/alloc.json", true)
	whole, _ := readAlloc(t, "../testdata/allocs/crash-failed/alloc.json", false)
	if diff := cmp.Diff(stub, whole); diff != "" {
		t.Errorf("allocations (-stub +whole):\n%s", diff)
	}
}

// What the event stream sends is merged with what was known.
func TestMerge_event(t *testing.T) {
	t.Parallel()
	known, _ := readAlloc(t, "../testdata/allocs/crash-failed/alloc.json", false)
	event, _ := readAlloc(t, "../testdata/allocs/crash-event/alloc.json", false)
	if event.VersionKnown {
		t.Fatal("the event's allocation has a job version")
	}
	known.JobVersion, known.ModifyIndex = 4, event.ModifyIndex-1
	known.Task = jobs.TaskSummary{}
	got := jobs.Merge(known, event)
	if got.JobVersion != 4 || !got.VersionKnown || got.Task.Exit.Code != 3 || got.ModifyIndex != event.ModifyIndex {
		t.Errorf("merged: %+v", got)
	}
	if diff := cmp.Diff(jobs.Merge(event, known), got); diff != "" {
		t.Errorf("the order matters:\n%s", diff)
	}
}

// Nomad forgets all but ten events; the last exit is remembered.
func TestMerge_keepsExit(t *testing.T) {
	t.Parallel()
	exit := jobs.Exit{At: 5, Code: 3, OOM: true}
	earlier := jobs.Alloc{ModifyIndex: 1, Health: jobs.Healthy, Task: jobs.TaskSummary{State: "running", Restarts: 2, Started: 4, Exit: exit}}
	later := jobs.Alloc{ModifyIndex: 2, Task: jobs.TaskSummary{State: "running", Started: 7}}
	got := jobs.Merge(earlier, later)
	if got.Task.Exit != exit || got.Task.Restarts != 2 || got.Task.Started != 7 || got.Health != jobs.Healthy {
		t.Errorf("merged: %+v", got)
	}
}

// That a process of it once ran is remembered too: what init says of a missing command later is then the application's word.
func TestMerge_keepsRan(t *testing.T) {
	t.Parallel()
	exit := func(at int64) jobs.Exit { return jobs.Exit{At: at, Code: 127, Up: 1} }
	missing := jobs.Alloc{ModifyIndex: 2, VersionKnown: true, Client: "pending", Desired: "run", Task: jobs.TaskSummary{State: "pending", Exit: exit(9)}}
	ran := jobs.Alloc{ModifyIndex: 1, Task: jobs.TaskSummary{State: "pending", Ran: true, Exit: exit(3)}}
	for want, a := range map[dynomad.DynoState]jobs.Alloc{"start-failure": missing, "app-crashed": jobs.Merge(ran, missing)} {
		if d := jobs.Dyno(jobs.DynoInput{Settings: viewSettings(), Alloc: a, Now: jobs.At(time.Unix(0, 10))}); d.State != want {
			t.Errorf("got %s, want %s: %+v", d.State, want, a)
		}
	}
}

// Where the start of an early process is forgotten, nobody knows how long it was up: its end does not say that it ran.
func TestAllocFromAPI_startForgotten(t *testing.T) {
	t.Parallel()
	missing := map[string]string{"exit_code": "127"}
	events := []*api.TaskEvent{
		{Type: api.TaskTerminated, Time: 3, Details: missing},
		{Type: api.TaskStarted, Time: 4},
		{Type: api.TaskTerminated, Time: 5, Details: missing},
	}
	a := jobs.AllocFromAPI(&api.Allocation{
		TaskGroup: "worker", ClientStatus: "pending", DesiredStatus: "run",
		TaskStates: map[string]*api.TaskState{"worker": {State: "pending", Events: events}},
	})
	if d := jobs.Dyno(jobs.DynoInput{Settings: viewSettings(), Alloc: a, Now: jobs.At(time.Unix(0, 6))}); d.State != "start-failure" {
		t.Errorf("dyno is %+v", d)
	}
}

func TestAllocFromAPI_restartByOrder(t *testing.T) {
	t.Parallel()
	events := []*api.TaskEvent{
		{Type: api.TaskStarted, Time: 1},
		{Type: api.TaskRestartSignal, Time: 2, DisplayMessage: "User requested running tasks to restart"},
		{Type: api.TaskTerminated, Time: 3, Details: map[string]string{"exit_code": "143", "signal": "0"}},
		{Type: api.TaskStarted, Time: 4},
	}
	a := jobs.AllocFromAPI(&api.Allocation{
		Name: "x-default.worker[2]", TaskGroup: "worker", ClientStatus: "running", DesiredStatus: "run",
		TaskStates: map[string]*api.TaskState{"worker": {State: "running", StartedAt: time.Unix(0, 4), Events: events}},
	})
	if exit := a.Task.Exit; !exit.ByOrder || exit.Code != 143 || a.Index != 2 {
		t.Errorf("allocation is %+v", a)
	}
	d := jobs.Dyno(jobs.DynoInput{Settings: viewSettings(), Alloc: a, Now: jobs.At(time.Unix(0, 5))})
	if d.State != "running" || d.TypeN != "worker.3" {
		t.Errorf("dyno is %+v", d)
	}
}

// A dyno keeps its name over what Nomad changes in place, and has another one after what replaces it.
func TestContent_number(t *testing.T) {
	t.Parallel()
	number := func(change func(*jobs.Input)) uint64 {
		t.Helper()
		in := baseInput(web())
		if change != nil {
			change(&in)
		}
		job, err := jobs.Spec(in)
		if err != nil {
			t.Fatal(err)
		}
		return jobs.Content(job)["web"].Number
	}
	first := number(nil)
	if first < 1_000_000_000 || first > 9_999_999_999 {
		t.Errorf("%d has not ten digits", first)
	}
	for name, change := range map[string]func(*jobs.Input){
		"count": func(in *jobs.Input) { in.Groups[0].Count = 9 },
		"drain": func(in *jobs.Input) { in.Drain++ },
		"tags":  func(in *jobs.Input) { in.RouterTags = "other" },
		"link":  func(in *jobs.Input) { in.APIURL = "" },
	} {
		if number(change) != first {
			t.Errorf("%s is changed in place but changes the name", name)
		}
	}
	for name, change := range map[string]func(*jobs.Input){
		"release": func(in *jobs.Input) { in.Groups[0].ReleaseVersion = 9 },
		"restart": func(in *jobs.Input) { in.Groups[0].RestartID = "x" },
		"retry":   func(in *jobs.Input) { in.Groups[0].Retry = 1 },
		"image":   func(in *jobs.Input) { in.Groups[0].Image = "other:1" },
		"command": func(in *jobs.Input) { in.Groups[0].Command = text("other") },
		"config":  func(in *jobs.Input) { in.Groups[0].ConfigPath += "2" },
		"size":    func(in *jobs.Input) { in.Groups[0].Type.Size = "gp4" },
		"port":    func(in *jobs.Input) { in.Groups[0].Type.Port++ },
		"check":   func(in *jobs.Input) { in.Groups[0].Type.Healthcheck = text("/") },
	} {
		if number(change) == first {
			t.Errorf("%s replaces the dyno but keeps the name", name)
		}
	}
}

package jobs_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// RunGoldens reads every case of testdata/runs, which are as those of testdata/jobs.
func RunGoldens(tb testing.TB) []Golden {
	tb.Helper()
	inputs, err := filepath.Glob("../testdata/runs/*/input.json")
	if err != nil || len(inputs) == 0 {
		tb.Fatalf("no golden runs found: %v", err)
	}
	goldens := make([]Golden, len(inputs))
	for i, input := range inputs {
		file := filepath.Join(filepath.Dir(input), "job.json")
		job, err := os.ReadFile(filepath.Clean(file))
		if err != nil && !os.IsNotExist(err) {
			tb.Fatal(err)
		}
		goldens[i] = Golden{Name: filepath.Base(filepath.Dir(input)), Job: job, file: file}
	}
	return goldens
}

func TestRunSpec_goldens(t *testing.T) {
	t.Parallel()
	for _, g := range RunGoldens(t) {
		t.Run(g.Name, func(t *testing.T) {
			t.Parallel()
			in := struct {
				Settings jobs.Settings
				App      dynomad.App
				Run      dynomad.Run
			}{Settings: baseSettings()}
			decodeFile(t, filepath.Join(filepath.Dir(g.file), "input.json"), &in)
			job, err := jobs.RunSpec(jobs.RunInput{Settings: in.Settings, App: in.App, Run: in.Run})
			if err != nil {
				t.Fatal(err)
			}
			got := encode(t, job)
			compareGolden(t, g.file, got, g.Job)
			for _, value := range in.Run.Env {
				if strings.Contains(string(got), value) {
					t.Errorf("the job shows the value %q", value)
				}
			}
		})
	}
}

func aRun() dynomad.Run {
	command := "echo hi"
	return dynomad.Run{
		ID: "r1", Number: 1001, Type: dynomad.RunType, Command: &command, Image: "i:1", Size: "gp1", ConfigID: "c1",
		CreatedAt: time.Unix(1000, 0).UTC(), ReleaseVersion: 3,
	}
}

func anApp() dynomad.App { return dynomad.App{ID: "a1", Name: "api-default", Space: "default"} }

func TestRunNumber(t *testing.T) {
	t.Parallel()
	scheduled := aRun()
	scheduled.Type, scheduled.Scheduled = "nightly", time.Unix(0, 0)
	for id, want := range map[string]int{
		jobs.RunJobID(anApp(), aRun()): 1001, jobs.RunJobID(anApp(), scheduled): 0, "api-default": 0, "api-default_run_x": 0, "api-default_run_-1": 0,
	} {
		if got := jobs.RunNumber(id); got != want {
			t.Errorf("%s: got %d, want %d", id, got, want)
		}
	}
}

func TestRunSpec_refused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*jobs.RunInput){
		"no id":            func(in *jobs.RunInput) { in.Run.ID = "" },
		"no image":         func(in *jobs.RunInput) { in.Run.Image = "" },
		"template in name": func(in *jobs.RunInput) { in.App.Name = "{{ x }}" },
		"template in type": func(in *jobs.RunInput) { in.Run.Type = "{{ x }}" },
		"no such size":     func(in *jobs.RunInput) { in.Run.Size = "huge" },
		"bad command":      func(in *jobs.RunInput) { bad := "a && b"; in.Run.Command = &bad },
	} {
		in := jobs.RunInput{Settings: baseSettings(), App: anApp(), Run: aRun()}
		change(&in)
		if _, err := jobs.RunSpec(in); err == nil {
			t.Errorf("%s: rendered", name)
		}
	}
}

// Words reach Nomad such that it gives them back, whichever way the command is meant.
func FuzzRunSpec_words(f *testing.F) {
	f.Add("echo hi", false)
	f.Add("echo $A && date; ${B} %{C} $${D}", true)
	f.Fuzz(func(t *testing.T, command string, shell bool) {
		rules := dynomad.Rules{Sizes: dynomad.BuiltinSizes(), DefaultSize: "gp2"}
		state := dynomad.AppState{App: anApp(), Build: &dynomad.Build{Image: "i:1"}, Wanted: &dynomad.Release{Version: 1, ConfigID: "c1"}}
		run, err := rules.NewRun(state, dynomad.NewRun{Command: dynomad.Some(command), Shell: shell})
		if err != nil {
			t.Skip()
		}
		run.ID, run.Number = "r1", 1001
		job, err := jobs.RunSpec(jobs.RunInput{Settings: baseSettings(), App: anApp(), Run: run})
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"/bin/sh", "-c", command}
		if !shell {
			if want, err = dynomad.SplitCommand("command", command); err != nil {
				t.Fatal(err)
			}
		}
		text, err := json.Marshal(job)
		if err != nil {
			t.Fatal(err)
		}
		var fetched api.Job
		if err := json.Unmarshal(text, &fetched); err != nil {
			t.Fatal(err)
		}
		if got := jobs.Content(&fetched)["run"].Command; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// runAlloc is an allocation of a run that is up since second 1010.
func runAlloc(change ...func(*jobs.Alloc)) jobs.Alloc {
	second := int64(time.Second)
	a := jobs.Alloc{
		ID: "alloc", Group: "run", NodeName: "n1", Created: 1005 * second, Modified: 1010 * second, VersionKnown: true,
		Desired: api.AllocDesiredStatusRun, Client: api.AllocClientStatusRunning,
		Task: jobs.TaskSummary{State: "running", Started: 1010 * second},
	}
	for _, f := range change {
		f(&a)
	}
	return a
}

func exited(code int32, client string) func(*jobs.Alloc) {
	return func(a *jobs.Alloc) {
		a.Client, a.Task.State, a.Task.Finished = client, "dead", 1020*int64(time.Second)
		a.Task.Exit = jobs.Exit{At: a.Task.Finished, Code: code}
	}
}

func byOrder(a *jobs.Alloc) { a.Task.Exit.ByOrder, a.Desired = true, api.AllocDesiredStatusStop }

// neverStarted is what becomes of an image that cannot be pulled.
func neverStarted(a *jobs.Alloc) {
	a.Client, a.Task = api.AllocClientStatusFailed, jobs.TaskSummary{State: "dead", Failed: true, Failure: "Failed to pull `i:1`", Finished: 1020 * int64(time.Second)}
}

func TestRunDyno(t *testing.T) {
	t.Parallel()
	placed := func(r *dynomad.Run) { r.AllocID = "alloc" }
	stopping := func(r *dynomad.Run) { r.AllocID, r.StopReason = "alloc", "Enough." }
	tests := map[string]struct {
		run    func(*dynomad.Run)
		allocs []jobs.Alloc
		state  dynomad.DynoState
		code   int // -1 is none
		info   string
	}{
		"not placed":           {func(*dynomad.Run) {}, nil, dynomad.StateWaiting, -1, "Nomad has not placed it yet."},
		"not placed, stopping": {func(r *dynomad.Run) { r.StopReason = "Enough." }, nil, dynomad.StateStopping, -1, "Enough."},
		"placed": {
			func(*dynomad.Run) {},
			[]jobs.Alloc{runAlloc(func(a *jobs.Alloc) { a.Client, a.Task = "pending", jobs.TaskSummary{} })},
			dynomad.StatePending, -1, "It was placed on the node n1.",
		},
		"running":      {placed, []jobs.Alloc{runAlloc()}, dynomad.StateRunning, -1, ""},
		"told to end":  {stopping, []jobs.Alloc{runAlloc()}, dynomad.StateStopping, -1, "Enough."},
		"ended":        {placed, []jobs.Alloc{runAlloc(exited(0, "complete"))}, dynomad.StateStopped, 0, "Its process ended with exit code 0."},
		"failed":       {placed, []jobs.Alloc{runAlloc(exited(7, "failed"))}, dynomad.StateStopped, 7, "Its process ended with exit code 7."},
		"about to end": {placed, []jobs.Alloc{runAlloc(exited(7, "running"))}, dynomad.StateStopped, 7, "Its process ended with exit code 7."},
		"about to end, not found": {
			placed,
			[]jobs.Alloc{runAlloc(exited(127, "running"), func(a *jobs.Alloc) { a.Task.State = "running" })},
			dynomad.StateStopped, 127, "It could not start: command not found (exit code 127).",
		},
		"ended by order": {
			stopping, []jobs.Alloc{runAlloc(exited(143, "complete"), byOrder)}, dynomad.StateStopped, 143, "Enough.",
		},
		"ended by an order that came as it started": {
			stopping, []jobs.Alloc{runAlloc(exited(143, "complete"), func(a *jobs.Alloc) { a.Desired = "stop" })}, dynomad.StateStopped, 143, "Enough.",
		},
		"ended before the order": {stopping, []jobs.Alloc{runAlloc(exited(3, "failed"))}, dynomad.StateStopped, 3, "Its process ended with exit code 3."},
		"drained": {
			placed,
			[]jobs.Alloc{runAlloc(exited(143, "complete"), byOrder)},
			dynomad.StateStopped, 143,
			"It was ended on Nomad, as when its node is drained. It is not run again.",
		},
		"node down": {
			placed,
			[]jobs.Alloc{runAlloc(func(a *jobs.Alloc) { a.Client, a.Desired = "lost", "stop" })},
			dynomad.StateStopped, -1,
			"Its node n1 is down. It is not run again.",
		},
		"node down before it started": {
			placed,
			[]jobs.Alloc{runAlloc(func(a *jobs.Alloc) { a.Client, a.Desired, a.Task = "lost", "stop", jobs.TaskSummary{} })},
			dynomad.StateStartFailure, -1, "Its node n1 is down. It is not run again.",
		},
		"image missing": {
			placed, []jobs.Alloc{runAlloc(neverStarted)}, dynomad.StateStartFailure, -1, "It could not start: Failed to pull `i:1`.",
		},
		"attached, its container ended": {
			func(r *dynomad.Run) { r.AllocID, r.Attach = "alloc", true },
			[]jobs.Alloc{runAlloc(exited(137, "failed"))},
			dynomad.StateStopped, -1, "Its container ended, and its command with it.",
		},
		"attached, killed with a reason": {
			func(r *dynomad.Run) { r.AllocID, r.Attach, r.StopReason = "alloc", true, "Enough." },
			[]jobs.Alloc{runAlloc(exited(137, "failed"))},
			dynomad.StateStopped, -1, "Enough.",
		},
		"attached, out of memory": {
			func(r *dynomad.Run) { r.AllocID, r.Attach = "alloc", true },
			[]jobs.Alloc{runAlloc(exited(137, "failed"), func(a *jobs.Alloc) { a.Task.Exit.OOM = true })},
			dynomad.StateStopped, -1, "It was killed for using more memory than its limit (exit code 137).",
		},
		"attached to an image without sleep": {
			func(r *dynomad.Run) { r.AllocID, r.Attach = "alloc", true },
			[]jobs.Alloc{runAlloc(exited(127, "failed"))},
			dynomad.StateStartFailure, -1, "It could not start: the image has no sleep, which attached dynos need.",
		},
		"another allocation is none of its": {
			placed, []jobs.Alloc{runAlloc(func(a *jobs.Alloc) { a.ID = "other" })}, dynomad.StateWaiting, -1, "Nomad has not placed it yet.",
		},
		"the end that is recorded counts": {
			func(r *dynomad.Run) {
				r.Ended = &dynomad.RunEnd{At: time.Unix(1020, 0), State: dynomad.StateStopped, Info: "Recorded."}
			},
			[]jobs.Alloc{runAlloc()},
			dynomad.StateStopped, -1, "Recorded.",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := aRun()
			tt.run(&run)
			in := jobs.RunView{Settings: viewSettings(), App: anApp(), Run: run, Sight: jobs.RunSight{Allocs: tt.allocs}, Now: jobs.At(time.Unix(1030, 0))}
			d, listed := jobs.RunDyno(in)
			code := -1
			if d.ExitCode != nil {
				code = *d.ExitCode
			}
			if !listed || d.State != tt.state || code != tt.code || d.AdditionalInfo != tt.info {
				t.Errorf("got %s, %d, %q", d.State, code, d.AdditionalInfo)
			}
			if d.ID != "r1" || d.Name != "run.1001" || d.Type != "run" || d.ReleaseVersion != 3 || *d.Command != "echo hi" || d.Size != "gp1" {
				t.Errorf("it is called %+v", d)
			}
		})
	}
}

// A run is listed for an hour after its end, and its list holds no longer.
func TestRunDyno_listed(t *testing.T) {
	t.Parallel()
	run := aRun()
	run.Ended = &dynomad.RunEnd{At: run.CreatedAt, State: dynomad.StateStopped}
	for _, tt := range []struct {
		after  time.Duration
		listed bool
	}{{0, true}, {dynomad.RunListed - time.Second, true}, {dynomad.RunListed, false}, {48 * time.Hour, false}} {
		now := jobs.At(run.CreatedAt.Add(tt.after))
		if _, listed := jobs.RunDyno(jobs.RunView{Run: run, Now: now}); listed != tt.listed {
			t.Errorf("%s after its end: listed %t", tt.after, listed)
		}
		if want := run.CreatedAt.Add(dynomad.RunListed); tt.listed && !now.Until().Equal(want) {
			t.Errorf("holds until %s, want %s", now.Until(), want)
		}
	}
}

func TestRunLost(t *testing.T) {
	t.Parallel()
	unknown := runAlloc(func(a *jobs.Alloc) { a.Client = api.AllocClientStatusUnknown })
	for after, want := range map[time.Duration]bool{time.Minute: false, 6 * time.Minute: true} {
		in := jobs.RunView{Run: aRun(), Now: jobs.At(time.Unix(0, unknown.Modified).Add(after))}
		if end, lost := jobs.RunLost(in, unknown); lost != want || lost && !strings.Contains(end.Info, "n1") {
			t.Errorf("%s: %t, %+v", after, lost, end)
		}
	}
	if _, lost := jobs.RunLost(jobs.RunView{Run: aRun(), Now: jobs.At(time.Now())}, runAlloc()); lost {
		t.Error("one that is in sight is lost")
	}
}

// Runs are among an app's dynos, in the place that their names have.
func TestDynos_runs(t *testing.T) {
	t.Parallel()
	second := aRun()
	second.ID, second.Number = "r2", 1002
	in := jobs.AppInput{
		Settings: viewSettings(), State: dynomad.AppState{App: anApp(), Runs: []dynomad.Run{second, aRun()}},
		Runs: make([]jobs.RunSight, 2), Now: jobs.At(time.Unix(1030, 0)),
	}
	var names []string
	for _, d := range jobs.Dynos(in) {
		names = append(names, d.Name)
	}
	if diff := cmp.Diff(names, []string{"run.1001", "run.1002"}); diff != "" {
		t.Errorf("dynos (-got +want):\n%s", diff)
	}
}

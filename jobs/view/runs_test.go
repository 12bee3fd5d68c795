package view_test

import (
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// oneOff is a run of the app x-default, with what Nomad tells of its job.
func oneOff() (dynomad.App, dynomad.Run, jobs.JobInfo, jobs.VersionContent, jobs.Alloc) {
	app := dynomad.App{ID: "a1", Name: "x-default"}
	run := dynomad.Run{ID: "r1", Number: 1001, Type: dynomad.RunType}
	i, c, a := info(50), content(0, 1), alloc("A", 0, 51)
	i.ID, i.RunID = "x-default_run_1001", run.ID
	c.JobID, c.Groups = i.ID, map[string]jobs.GroupContent{"run": {Release: 1, Image: "i:1"}}
	a.JobID, a.Group = i.ID, "run"
	return app, run, i, c, a
}

// A run's job is seen, moves the version of its app's dynos, and is forgotten when it was removed.
func TestRuns(t *testing.T) {
	t.Parallel()
	s := newSeen()
	app, run, i, c, a := oneOff()
	if _, fresh := s.Run(app, run); fresh {
		t.Error("fresh before anything was seen")
	}
	s.Reset(ns, jobs.Snapshot{})
	if sight, fresh := s.Run(app, run); !fresh || sight.Exists {
		t.Errorf("got %+v, %t", sight, fresh)
	}
	versions := []uint64{s.DynosVersion(app)}
	step := func(what string, d jobs.Delta) jobs.RunSight {
		t.Helper()
		s.told()
		s.Apply(ns, d)
		if told := s.told(); !slices.Equal(told, []string{"a1"}) {
			t.Errorf("%s: told %v", what, told)
		}
		if asked := s.asks(); len(asked) > 0 {
			t.Errorf("%s: asked Consul for %v", what, asked)
		}
		version := s.DynosVersion(app)
		if slices.Contains(versions, version) {
			t.Errorf("%s: the version is %d again", what, version)
		}
		versions = append(versions, version)
		sight, _ := s.Run(app, run)
		return sight
	}
	if got := step("job", jobs.Delta{Job: &i, Content: &c}); !got.Exists || got.Stopped {
		t.Errorf("got %+v", got)
	}
	event := a
	event.VersionKnown, event.JobVersion = false, 0
	if got := step("event", jobs.Delta{Alloc: &event}); len(got.Allocs) != 1 {
		t.Errorf("got %+v", got)
	}
	state := dynomad.AppState{App: app, Runs: []dynomad.Run{run}}
	if dynos := s.Dynos(state, s.Now()); len(dynos) != 1 || dynos[0].ID != "r1" || dynos[0].State != dynomad.StateRunning {
		t.Errorf("dynos are %+v", dynos)
	}
	other := run
	other.ID = "r2"
	if sight, _ := s.Run(app, other); sight.Exists || len(sight.Allocs) > 0 {
		t.Errorf("another run has its job: %+v", sight)
	}
	a.ModifyIndex, a.Client = 60, api.AllocClientStatusFailed
	step("end", jobs.Delta{Alloc: &a})
	if got := step("purge", jobs.Delta{Removed: i.ID}); got.Exists || len(got.Allocs) != 1 {
		t.Errorf("got %+v", got)
	}
	s.Forget(s.pass(time.Second))
	if sight, _ := s.Run(app, run); len(sight.Allocs) > 0 || slices.Contains(versions, s.DynosVersion(app)) {
		t.Errorf("after it was forgotten: %+v, version %d", sight, s.DynosVersion(app))
	}
}

// A job that a new full list no longer has moves the version too.
func TestRuns_goneFromTheList(t *testing.T) {
	t.Parallel()
	s := newSeen()
	app, run, i, c, a := oneOff()
	s.Reset(ns, jobs.Snapshot{Jobs: []jobs.JobInfo{i}, Contents: []jobs.VersionContent{c}, Allocs: []jobs.Alloc{a}})
	before := s.DynosVersion(app)
	s.told()
	s.Reset(ns, jobs.Snapshot{})
	if sight, _ := s.Run(app, run); sight.Exists || s.DynosVersion(app) <= before {
		t.Errorf("got %+v, version %d after %d", sight, s.DynosVersion(app), before)
	}
	if told := s.told(); !slices.Equal(told, []string{"a1"}) {
		t.Errorf("told %v", told)
	}
}

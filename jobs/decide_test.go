package jobs_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	app := dynomad.App{ID: "a1", Name: "x-default"}
	run := jobs.Want{App: app, Job: &api.Job{}, Hash: "h"}
	idle := jobs.Want{App: app}
	gone := jobs.Want{App: app, Remove: true}
	fits := jobs.Have{
		Exists: true, Ours: true, AppID: "a1", ModifyIndex: 7,
		Applied: dynomad.AppliedState{SpecHash: "h", ModifyIndex: 7},
	}
	have := func(change func(*jobs.Have)) jobs.Have {
		h := fits
		change(&h)
		return h
	}
	foreign := have(func(h *jobs.Have) { h.Ours, h.AppID = false, "" })
	deleted := have(func(h *jobs.Have) { h.AppID, h.AppDeleted = "a0", true })
	unknown := have(func(h *jobs.Have) { h.AppID = "a0" })
	unapplied := have(func(h *jobs.Have) { h.Applied = dynomad.AppliedState{} })

	drifts := map[string]bool{
		"absent, wanted, was there": true, "ours, stopped": true, "ours, changed by others": true, "ours, index anew after a purge": true,
	}
	tests := []struct {
		name string
		want jobs.Want
		have jobs.Have
		verb jobs.Verb
		at   uint64
	}{
		{"absent, wanted", run, jobs.Have{}, jobs.Register, 0},
		{"absent, wanted, was there", run, jobs.Have{Applied: fits.Applied}, jobs.Register, 0},
		{"absent, idle", idle, jobs.Have{}, jobs.Nothing, 0},
		{"absent, deleted", gone, jobs.Have{}, jobs.Nothing, 0},

		{"foreign, wanted", run, foreign, jobs.Foreign, 0},
		{"foreign, idle", idle, foreign, jobs.Nothing, 0},
		{"foreign, deleted", gone, foreign, jobs.Nothing, 0},

		{"of a deleted app, wanted", run, deleted, jobs.Deregister, 0},
		{"of a deleted app, idle", idle, deleted, jobs.Deregister, 0},
		{"of a newer app, deleted", gone, unknown, jobs.Nothing, 0},
		{"of an unknown app, wanted", run, unknown, jobs.Foreign, 0},
		{"of an unknown app, idle", idle, unknown, jobs.Nothing, 0},

		{"ours, deleted", gone, fits, jobs.Deregister, 0},
		{"ours, deleted with a job left", jobs.Want{App: app, Remove: true, Job: &api.Job{}}, fits, jobs.Deregister, 0},
		{"ours, deleted, never applied", gone, unapplied, jobs.Deregister, 0},
		{"ours, idle", idle, fits, jobs.Deregister, 0},
		{"ours, idle, never applied", idle, unapplied, jobs.Foreign, 0},

		{"ours, as wanted", run, fits, jobs.Nothing, 0},
		{"ours, never applied", run, unapplied, jobs.Register, 7},
		{"ours, stopped", run, have(func(h *jobs.Have) { h.Stopped = true }), jobs.Register, 7},
		{"ours, changed by others", run, have(func(h *jobs.Have) { h.ModifyIndex = 9 }), jobs.Register, 9},
		{"ours, index anew after a purge", run, have(func(h *jobs.Have) { h.ModifyIndex = 3 }), jobs.Register, 3},
		{"ours, other rendering", jobs.Want{App: app, Job: &api.Job{}, Hash: "h2"}, fits, jobs.Register, 7},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := jobs.Decide(tt.want, tt.have)
			want := jobs.Action{Verb: tt.verb, Index: tt.at, Drift: drifts[tt.name]}
			if diff := cmp.Diff(got, want, cmpopts.IgnoreFields(jobs.Action{}, "Text")); diff != "" {
				t.Errorf("action (-got +want):\n%s", diff)
			}
			if (got.Text == "") != (tt.verb == jobs.Nothing) || (tt.verb == jobs.Foreign && !strings.Contains(got.Text, "x-default")) {
				t.Errorf("%s has the text %q", got.Verb, got.Text)
			}
		})
	}
}

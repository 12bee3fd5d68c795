package jobs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// rolled is an app with types a, b … whose rollout ends, built up by the test cases.
type rolled struct{ dynomad.Wanted }

var concluded = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// rolling makes an app of release v2 on trial, with types at their definitions "size <name>2" that were good at "<name>1".
func rolling(status string, types ...string) *rolled {
	r := &rolled{}
	r.Wanted.Wanted = &dynomad.Release{ID: "r2", Version: 2, Status: status}
	r.Applied = dynomad.AppliedState{SpecHash: "h", ModifyIndex: 7, RollingOut: true}
	r.Applied.Rollout = dynomad.Rollout{ReleaseID: "r2", Version: 2, Trial: true}
	for _, name := range types {
		t := dynomad.DynoType{ID: "id-" + name, Type: name, Quantity: 1, Size: name + "2"}
		r.Types = append(r.Types, t)
		r.Applied.Rollout.Types = append(r.Applied.Rollout.Types, dynomad.RenderedType{
			TypeID: t.ID, Type: name, Definition: t.Definition(), Count: 1,
		})
	}
	return r
}

func (r *rolled) each(names string, change func(*dynomad.DynoType)) *rolled {
	for i := range r.Types {
		if strings.Contains(names, r.Types[i].Type) {
			change(&r.Types[i])
		}
	}
	return r
}

// was gives types another good definition than the one that rolls out.
func (r *rolled) was(names string) *rolled {
	return r.each(names, func(t *dynomad.DynoType) { t.Record.Good = &dynomad.Definition{Size: t.Type + "1"} })
}

// proven makes what rolls out of types their good definition.
func (r *rolled) proven(names string) *rolled {
	return r.each(names, func(t *dynomad.DynoType) { d := t.Definition(); t.Record.Good = &d })
}

// heldFor has types held in an earlier rollout of a release.
func (r *rolled) heldFor(names, release string) *rolled {
	return r.each(names, func(t *dynomad.DynoType) { d := t.Definition(); t.Record.Failed, t.Record.FailedIn = &d, release })
}

func (r *rolled) failing(names ...string) *rolled {
	for _, name := range names {
		r.Applied.Rollout.Troubles = append(r.Applied.Rollout.Troubles, dynomad.Trouble{
			Type: name, State: dynomad.StateAppCrashed, Info: "It ended with exit code 3.",
		})
	}
	return r
}

func (r *rolled) tried(n int) *rolled { r.Applied.Rollout.Tries = n; return r }

func (r *rolled) noTrial() *rolled { r.Applied.Rollout.Trial = false; return r }

func (r *rolled) superseded() *rolled {
	r.Wanted.Wanted = &dynomad.Release{ID: "r3", Version: 3, Status: dynomad.ReleasePending}
	return r
}

// summary is what an end comes to: the release's new status, and for each record written good/failed/failed-in.
type summary struct {
	release string
	records map[string]string
	retry   time.Duration
}

func summarize(end dynomad.RolloutEnd) summary {
	s := summary{records: map[string]string{}}
	if end.Release != nil {
		s.release = end.Release.From + ">" + end.Release.Status
	}
	for _, r := range end.Records {
		text := func(d *dynomad.Definition) string {
			if d == nil {
				return "-"
			}
			return d.Size
		}
		s.records[strings.TrimPrefix(r.TypeID, "id-")] = text(r.Good) + " " + text(r.Failed) + " " + r.FailedIn
	}
	if at := end.Applied.Rollout.RetryAt; !at.IsZero() {
		s.retry = at.Sub(concluded)
	}
	return s
}

func TestConclude(t *testing.T) {
	t.Parallel()
	pending, succeeded, failed := dynomad.ReleasePending, dynomad.ReleaseSucceeded, dynomad.ReleaseFailed
	type records = map[string]string
	tests := []struct {
		name   string
		of     *rolled
		failed bool
		want   summary
	}{
		{"first release is good", rolling(pending, "a", "b"), false, summary{"pending>succeeded", records{"a": "a2 - ", "b": "b2 - "}, 0}},
		{"release is good", rolling(pending, "a").proven("a"), false, summary{"pending>succeeded", records{}, 0}},
		{"type is good", rolling(succeeded, "a").was("a"), false, summary{"", records{"a": "a2 - "}, 0}},
		{"failed one is good at last", rolling(failed, "a").tried(3), false, summary{"failed>succeeded", records{"a": "a2 - "}, 0}},
		{"release is good without a held type", rolling(pending, "a", "b").proven("a").was("b").heldFor("b", "r2").at("b", "b1"), false, summary{"pending>succeeded", records{"b": "b1 b2 "}, 0}},
		{"superseded one is good", rolling(pending, "a").superseded(), false, summary{"", records{"a": "a2 - "}, 0}},

		{"first release is bad", rolling(pending, "a").failing("a"), true, summary{"pending>failed", records{}, 10 * time.Second}},
		{"first release is bad again", rolling(failed, "a").failing("a").tried(2), true, summary{"", records{}, 40 * time.Second}},
		{"… and again", rolling(failed, "a").failing("a").tried(40), true, summary{"", records{}, 5 * time.Minute}},
		{"first release with one bad type", rolling(pending, "a", "b").failing("b"), true, summary{"", records{"b": "- b2 r2"}, 0}},
		{"first release with bad types only", rolling(pending, "a", "b").failing("a", "b"), true, summary{"pending>failed", records{}, 10 * time.Second}},
		{"first release, nobody knows which", rolling(pending, "a", "b"), true, summary{"pending>failed", records{}, 10 * time.Second}},
		{"release is bad", rolling(pending, "a", "b").proven("ab").failing("a"), true, summary{"pending>failed", records{}, 0}},
		{"release with a new definition", rolling(pending, "a", "b").proven("a").was("b").failing("b"), true, summary{"", records{"b": "b1 b2 r2"}, 0}},
		{"release with a new definition of its only type", rolling(pending, "a").was("a").failing("a"), true, summary{"", records{"a": "a1 a2 r2"}, 0}},
		{"release with a new definition, another fails too", rolling(pending, "a", "b").proven("a").was("b").failing("a", "b"), true, summary{"pending>failed", records{}, 0}},
		{"release with a new type that is bad", rolling(pending, "a", "b").proven("a").failing("b"), true, summary{"", records{"b": "- b2 r2"}, 0}},
		{"release is bad without a held type too", rolling(pending, "a", "b").proven("a").was("b").heldFor("b", "r2").failing("a"), true, summary{"pending>failed", records{"b": "b1 - "}, 0}},
		{"release is bad, a type was held before", rolling(pending, "a", "b").proven("a").was("b").heldFor("b", "r1").failing("a"), true, summary{"pending>failed", records{}, 0}},
		{"definition is bad", rolling(succeeded, "a", "b").proven("a").was("b").failing("b"), true, summary{"", records{"b": "b1 b2 "}, 0}},
		{"new type is bad", rolling(succeeded, "a", "b").proven("a").failing("b"), true, summary{"", records{"b": "- b2 "}, 0}},
		{"only type never ran", rolling(succeeded, "a").failing("a"), true, summary{"", records{}, 10 * time.Second}},
		{"scale is bad", rolling(succeeded, "a").proven("a").noTrial().tried(1).failing("a"), true, summary{"", records{}, 20 * time.Second}},
		{"superseded one is bad", rolling(pending, "a").superseded().failing("a"), true, summary{"", records{}, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			end := jobs.Conclude(tt.of.Wanted, tt.failed, "Nomad said so.", concluded)
			if diff := cmp.Diff(summarize(end), tt.want, cmp.AllowUnexported(summary{})); diff != "" {
				t.Errorf("end (-got +want):\n%s", diff)
			}
			if end.Applied.RollingOut || (end.Applied.FailedHash == "h") != tt.failed || (end.Applied.Problem == "") == tt.failed {
				t.Errorf("applied: %+v", end.Applied)
			}
			if end.Release != nil && tt.failed && (!strings.Contains(end.Release.Info, "exit code 3") && end.Release.Info != "Nomad said so.") {
				t.Errorf("the release says %q", end.Release.Info)
			}
		})
	}
}

// at has a type rolled out at another definition than it wants.
func (r *rolled) at(name, size string) *rolled {
	for i, t := range r.Applied.Rollout.Types {
		if t.Type == name {
			r.Applied.Rollout.Types[i].Definition = dynomad.Definition{Size: size}
		}
	}
	return r
}

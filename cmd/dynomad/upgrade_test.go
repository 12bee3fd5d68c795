package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/nomad"
	"github.com/dynomad/dynomad/store"
)

// An earlier version left, in a folder of testdata/upgrade: its backup of the data folder, with the key; cluster.json, what it
// ran on the cluster; and contents.txt, what its records say. "make upgrade-fixture" writes one, on a real cluster.
const (
	leftBackup   = "backup.tar"
	leftClusters = "cluster.json"
	leftContents = "contents.txt"
)

// leftRunning is what a version ran on its cluster.
type leftRunning struct {
	Settings map[string]string  // of the daemon, as environment variables
	Jobs     map[string]leftJob // by app
}

// leftJob is an app's job.
type leftJob struct {
	ModifyIndex uint64 // Nomad's JobModifyIndex
	Spec        *api.Job
}

// TestUpgrade has this version take over from every earlier one that left a folder: it reads all records, and its plan for the
// cluster replaces no dyno.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob("../../testdata/upgrade/*/" + leftBackup)
	if err != nil || len(folders) == 0 {
		t.Fatalf("nothing is left of earlier versions: %v", err)
	}
	for _, file := range folders {
		left := filepath.Dir(file)
		t.Run(filepath.Base(left), func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			if err := restore(t.Context(), restoreOptions{DataDir: data, File: file}, io.Discard); err != nil {
				t.Fatal(err)
			}
			s := openDir(t, data)
			want, err := os.ReadFile(filepath.Join(left, leftContents))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), contents(t, s)); diff != "" {
				t.Errorf("the records are read otherwise (-then +now):\n%s", diff)
			}
			checkPlans(t, s, readRunning(t, filepath.Join(left, leftClusters)))
		})
	}
}

func readRunning(t *testing.T, file string) leftRunning {
	t.Helper()
	text, err := os.ReadFile(file)
	var running leftRunning
	if err == nil {
		err = json.Unmarshal(text, &running)
	}
	if err != nil {
		t.Fatal(err)
	}
	return running
}

// checkPlans compares what would be registered with what runs.
func checkPlans(t *testing.T, s *store.Store, running leftRunning) {
	t.Helper()
	apps, err := s.Apps(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	planned := 0
	for _, st := range apps {
		have, ok := running.Jobs[st.App.Name]
		action, want := planFor(t, s, running.Settings, st.App, have.ModifyIndex, ok)
		switch {
		case !ok && action.Verb != jobs.Nothing:
			t.Errorf("%s: %s: %s", st.App.Name, action.Verb, action.Text)
		case !ok:
		case action.Verb != jobs.Nothing && action.Verb != jobs.Register:
			t.Errorf("%s: %s: %s", st.App.Name, action.Verb, action.Text)
		default:
			planned++
			if diff := cmp.Diff(replacing(t, have.Spec), replacing(t, want)); diff != "" {
				t.Errorf("%s: its dynos would be replaced (-then +now):\n%s", st.App.Name, diff)
			}
		}
	}
	if planned == 0 || planned != len(running.Jobs) {
		t.Errorf("of %d jobs that run %d are planned for", len(running.Jobs), planned)
	}
}

// planFor gives what the loop would do with an app's job of that index, and the job that it wants.
func planFor(t *testing.T, s *store.Store, env map[string]string, app dynomad.App, index uint64, exists bool) (jobs.Action, *api.Job) {
	t.Helper()
	installation, err := s.Installation(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := s.Wanted(t.Context(), app.ID)
	if err != nil {
		t.Fatal(err)
	}
	settings := configFrom(t, env).jobSettings(installation, "default", nomad.Facts{Oversubscription: true})
	want := jobs.Want{App: app}
	if input, ok := jobs.InputFor(settings, wanted); ok {
		if want.Job, err = jobs.Spec(input); err != nil {
			t.Fatal(err)
		}
		want.Hash = jobs.Hash(want.Job)
	}
	have := jobs.Have{Exists: exists, Ours: exists, AppID: app.ID, ModifyIndex: index, Applied: wanted.Applied}
	return jobs.Decide(want, have), want.Job
}

// replacing takes out of a copy of a job what Nomad changes without replacing a dyno (scheduler/util.go, tasksUpdated, compares
// all that it does not). What is not named here is taken to replace them, so that nothing new slips through.
func replacing(t *testing.T, job *api.Job) *api.Job {
	t.Helper()
	text, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	var rest api.Job
	if err := json.Unmarshal(text, &rest); err != nil {
		t.Fatal(err)
	}
	rest.UI, rest.Update, rest.Spreads = nil, nil, nil
	for _, group := range rest.TaskGroups {
		group.Count, group.Update, group.RestartPolicy, group.ReschedulePolicy, group.Disconnect = nil, nil, nil, nil, nil
		group.Services, group.ShutdownDelay, group.Spreads = nil, nil, nil // a check's kind and path stand in the group's meta
		for _, task := range group.Tasks {
			task.KillTimeout, task.RestartPolicy = nil, nil
		}
	}
	return &rest
}

// contents tells what a store has, in a form that does not change with the version.
func contents(t *testing.T, s *store.Store) string {
	t.Helper()
	var out strings.Builder
	spaces, err := s.Spaces(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, space := range spaces {
		fmt.Fprintf(&out, "space %s %q\n", space.Name, space.Description)
	}
	tokens, err := s.Authorizations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range tokens {
		fmt.Fprintf(&out, "token %q %v %.8s\n", token.Description, token.Scopes, token.TokenHash)
	}
	apps, err := s.Apps(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range apps {
		if st, err = s.AppState(t.Context(), st.App.ID); err != nil { // with its runs
			t.Fatal(err)
		}
		appContents(t, s, st, &out)
	}
	schedules, err := s.Schedules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, y := range schedules {
		fmt.Fprintf(&out, "\nschedule %s seen to until %s\n", y.Expr, y.SeenUntil.UTC().Format(time.RFC3339))
	}
	return out.String()
}

func appContents(t *testing.T, s *store.Store, st dynomad.AppState, out io.Writer) {
	t.Helper()
	ctx := t.Context()
	say(out, "\napp %s in %s, maintenance %t, auto-release %t\n", st.App.Name, st.App.Space, st.App.Maintenance, st.App.AutoRelease)
	for _, y := range st.Types {
		say(out, "  type %s %d × %s port %d command %s check %s one-off %t schedule %s held %t options %v\n",
			y.Type, y.Quantity, y.Size, y.Port, known(y.Command), known(y.Healthcheck), y.OneOff, known(y.Schedule), y.Record.Failed != nil, optionsOf(y))
	}
	releases, err := s.Releases(ctx, st.App.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range releases {
		say(out, "  release v%d %s current %t %q: %s; %s\n", r.Version, r.Status, r.Current, r.Description, imageOf(ctx, t, s, r), varsOf(ctx, t, s, r.ConfigID))
	}
	say(out, "  config %s\n", varsOf(ctx, t, s, st.ConfigID))
	for _, r := range st.Runs {
		say(out, "  run of %s, scheduled %t: command %s, release v%d, %s\n", r.Type, !r.Scheduled.IsZero(), known(r.Command), r.ReleaseVersion, howEnded(r))
	}
	audits, err := s.Audits(ctx, dynomad.AuditFilter{AppID: st.App.ID})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range audits {
		say(out, "  audit %s: %s\n", a.Action, a.Details)
	}
}

func optionsOf(y dynomad.DynoType) dynomad.Options {
	if y.Options == nil {
		return dynomad.Options{}
	}
	return *y.Options
}

func known(text *string) string {
	if text == nil {
		return "-"
	}
	return fmt.Sprintf("%q", *text)
}

func imageOf(ctx context.Context, t *testing.T, s *store.Store, r dynomad.Release) string {
	t.Helper()
	if r.BuildID == "" {
		return "no image"
	}
	build, err := s.Build(ctx, r.AppID, r.BuildID)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s %v", build.Image, build.ProcessTypes)
}

// varsOf gives config vars, which fmt sorts.
func varsOf(ctx context.Context, t *testing.T, s *store.Store, configID string) string {
	t.Helper()
	if configID == "" {
		return "no config vars"
	}
	vars, err := s.ConfigVars(ctx, configID)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%q", vars)
}

func howEnded(r dynomad.Run) string {
	switch {
	case r.Ended == nil:
		return "under way"
	case r.Ended.ExitCode == nil:
		return fmt.Sprintf("%s without an exit code", r.Ended.State)
	}
	return fmt.Sprintf("%s with exit code %d", r.Ended.State, *r.Ended.ExitCode)
}

package jobs_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// fetched gives a job as Nomad would: through JSON, and with what is left out filled in.
func fetched(tb testing.TB, job []byte) *api.Job {
	tb.Helper()
	var j api.Job
	if err := json.Unmarshal(job, &j); err != nil {
		tb.Fatal(err)
	}
	namespace := j.Namespace
	j.Canonicalize()
	j.Namespace = namespace // "default" is the settings' to say
	return &j
}

// recovered reads a job back and renders it again as the daemon would: from the state that the store is to have.
func recovered(tb testing.TB, s jobs.Settings, job []byte) (jobs.Recovered, []byte) {
	tb.Helper()
	installation := s.Installation
	s.Installation = ""
	r, err := jobs.Recover(s, fetched(tb, job))
	if err != nil {
		tb.Fatal(err)
	}
	if r.Installation != installation {
		tb.Errorf("it is of the installation %q, want %q", r.Installation, installation)
	}
	s.Installation = r.Installation
	input, ok := jobs.InputFor(s, dynomad.Wanted{AppState: r.State})
	if !ok {
		tb.Fatal("what was recovered has nothing to run")
	}
	again, err := jobs.Spec(input)
	if err != nil {
		tb.Fatal(err)
	}
	return r, encode(tb, again)
}

// TestRecover_goldens reads every golden job back: what is made of it is the same job.
func TestRecover_goldens(t *testing.T) {
	t.Parallel()
	for _, g := range Goldens(t) {
		t.Run(g.Name, func(t *testing.T) {
			t.Parallel()
			r, again := recovered(t, g.Input.Settings, g.Job)
			if g.Name == "retry" { // how often a first rollout was tried is in no release
				if !slices.Equal(r.Replaced, []string{"web"}) || !strings.Contains(strings.Join(r.Notes, "\n"), "tried again") {
					t.Errorf("nothing is said of the retries: %v, %q", r.Replaced, r.Notes)
				}
				return
			}
			if diff := cmp.Diff(string(again), string(g.Job)); diff != "" {
				t.Errorf("the job made of what was recovered (-got +want):\n%s", diff)
			}
			if len(r.Replaced) > 0 {
				t.Errorf("it would replace the dynos of %v", r.Replaced)
			}
		})
	}
}

func TestRecover_state(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	dt := web()
	dt.Quantity, dt.Size, dt.Healthcheck, dt.RestartID, dt.Command = 3, "gp2", text("/health?x=1"), "r1", text(`sh -c 'echo "$X"'`)
	in := baseInput(dt, worker())
	in.Groups[0].ReleaseVersion, in.Groups[1].ReleaseVersion, in.Groups[0].RestartID = 7, 7, "r1"
	in.App.NomadNamespace, in.Namespace = "team", "default"
	job := rendered(t, in)
	job.Stable, job.SubmitTime = new(true), new(at.UnixNano())
	r, err := jobs.Recover(in.Settings, job)
	if err != nil {
		t.Fatal(err)
	}
	release := dynomad.Release{
		AppID: "a1", AppName: "api-default", Version: 7, ConfigID: "c1", Status: dynomad.ReleaseSucceeded, CreatedAt: at, UpdatedAt: at,
	}
	want := jobs.Recovered{
		Installation: in.Installation,
		State: dynomad.AppState{
			App: dynomad.App{
				ID: "a1", Name: "api-default", SimpleName: "api", Space: "default", NomadNamespace: "team", AutoRelease: true,
			},
			Types: []dynomad.DynoType{
				{
					AppID: "a1", Type: "web", Command: dt.Command, Quantity: 3, Size: "gp2", Port: 9000, Healthcheck: dt.Healthcheck,
					RestartID: "r1",
				},
				{AppID: "a1", Type: "worker", Quantity: 1, Size: "gp1"},
			},
			Last: &release, Wanted: &release, ConfigID: "c1", Builds: 1,
			Build: &dynomad.Build{
				AppID: "a1", AppName: "api-default", Number: 1, Image: "nginx:1.27", URL: "nginx:1.27", Status: dynomad.BuildSucceeded,
			},
		},
		Notes: []string{"The size of worker is one of gp1, gp1-prod, which have the same resources; it is taken for gp1."},
	}
	for i, t := range want.State.Types { // it runs well
		good := t.Definition()
		want.State.Types[i].Record.Good = &good
	}
	if diff := cmp.Diff(r, want); diff != "" {
		t.Errorf("recovered (-got +want):\n%s", diff)
	}
}

// TestRecover_onTrial reads back a job whose rollout has not ended: what is good is what the version before it had.
func TestRecover_onTrial(t *testing.T) {
	t.Parallel()
	bad := worker()
	bad.Size = "gp4"
	in, before := baseInput(web(), bad), baseInput(worker())
	r, err := jobs.Recover(in.Settings, rendered(t, in))
	if err != nil || r.State.Wanted.Status != dynomad.ReleasePending {
		t.Fatalf("the release is %+v, %v; want it pending", r.State.Wanted, err)
	}
	goods := func() []*dynomad.Definition {
		return []*dynomad.Definition{r.State.Types[0].Record.Good, r.State.Types[1].Record.Good}
	}
	if diff := cmp.Diff(goods(), []*dynomad.Definition{nil, nil}); diff != "" {
		t.Errorf("good without a proof (-got +want):\n%s", diff)
	}
	stable := rendered(t, before)
	stable.Stable = new(true)
	r.Prove(in.Settings, stable)
	good := worker().Definition()
	if diff := cmp.Diff(goods(), []*dynomad.Definition{nil, &good}); diff != "" || r.State.Types[1].Size != "gp4" {
		t.Errorf("good, of a worker of size %s (-got +want):\n%s", r.State.Types[1].Size, diff)
	}
	stable.Meta = nil
	if r.Prove(in.Settings, stable); !strings.Contains(strings.Join(r.Notes, "\n"), "cannot be read: it has no owner mark") {
		t.Errorf("nothing is said of a version that cannot be read: %q", r.Notes)
	}
}

// rendered renders a job and gives it as Nomad would.
func rendered(tb testing.TB, in jobs.Input) *api.Job {
	tb.Helper()
	job, err := jobs.Spec(in)
	if err != nil {
		tb.Fatal(err)
	}
	return fetched(tb, encode(tb, job))
}

// TestRecover_uncertain has jobs of which something cannot be told or kept.
func TestRecover_uncertain(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		input    func(*jobs.Input)
		settings func(*jobs.Settings)
		job      func(*api.Job)
		replaced []string
		note     string
		pending  bool
	}{
		"pending":  {job: func(j *api.Job) { j.Stable = nil }, pending: true},
		"stopped":  {job: func(j *api.Job) { j.Stop = new(true) }, note: "stopped by hand"},
		"at zero":  {input: func(in *jobs.Input) { in.Groups[0].Count, in.Groups[1].Count = 0, 0 }, note: "quantities are lost"},
		"releases": {input: func(in *jobs.Input) { in.Groups[0].ReleaseVersion = 9 }, note: "worker runs release v1, the app v9", replaced: []string{"worker"}},
		"oversubscription": {
			settings: func(s *jobs.Settings) { s.Oversubscription = false }, replaced: []string{"web"},
		},
		"another table of sizes": {
			settings: func(s *jobs.Settings) {
				s.Sizes = dynomad.Sizes{{Name: "small", CPU: 50, MemoryMB: 256, MemoryLimitMB: 256}, {Name: "mine", CPU: 100, MemoryMB: 256, MemoryLimitMB: 512}}
			},
		},
		"datacenters": {settings: func(s *jobs.Settings) { s.Datacenters = []string{"dc2"} }, replaced: []string{"web", "worker"}},
		"node pool":   {settings: func(s *jobs.Settings) { s.NodePool = "apps" }, replaced: []string{"web", "worker"}},
		"meta":        {job: func(j *api.Job) { j.Meta["mine"] = "1" }, replaced: []string{"web", "worker"}},
		"by hand":     {job: func(j *api.Job) { j.TaskGroups[1].Tasks[0].Config["pids_limit"] = 9 }, replaced: []string{"worker"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			big := web()
			big.Size = "gp2"
			in := baseInput(big, worker())
			apply(tt.input, &in)
			job := rendered(t, in)
			job.Stable = new(true)
			apply(tt.job, job)
			apply(tt.settings, &in.Settings)
			r, err := jobs.Recover(in.Settings, job)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(r.Replaced, tt.replaced) {
				t.Errorf("replaced are %v, want %v", r.Replaced, tt.replaced)
			}
			if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, tt.note) {
				t.Errorf("notes are %q, want one with %q", notes, tt.note)
			}
			if pending := r.State.Wanted.Status == dynomad.ReleasePending; pending != tt.pending {
				t.Errorf("the release is %s", r.State.Wanted.Status)
			}
		})
	}
}

func apply[T any](change func(*T), v *T) {
	if change != nil {
		change(v)
	}
}

// TestRecover_errors has jobs that are no app's, or not one that could be rendered again.
func TestRecover_errors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*api.Job)
		want   string
	}{
		"no mark":      {func(j *api.Job) { j.Meta = nil }, "owner mark"},
		"no app":       {func(j *api.Job) { delete(j.Meta, "dynomad_app_id") }, "owner mark"},
		"batch":        {func(j *api.Job) { j.Type = new("batch") }, "type batch"},
		"no space":     {func(j *api.Job) { delete(j.Meta, "dynomad_space") }, "space"},
		"other space":  {func(j *api.Job) { j.Meta["dynomad_space"] = "blue" }, "space"},
		"name":         {func(j *api.Job) { j.ID = new("a-b-default") }, "letters"},
		"no groups":    {func(j *api.Job) { j.TaskGroups = nil }, "no groups"},
		"group":        {func(j *api.Job) { j.TaskGroups[0].Name = new("db") }, "no dyno type's"},
		"type":         {func(j *api.Job) { j.TaskGroups[0].Name, j.TaskGroups[0].Meta["dynomad_type"] = new("run"), "run" }, "one-off"},
		"tasks":        {func(j *api.Job) { j.TaskGroups[0].Tasks = nil }, "no dyno type's"},
		"release":      {func(j *api.Job) { j.TaskGroups[0].Meta["dynomad_release"] = "x" }, "no release"},
		"image":        {func(j *api.Job) { delete(j.TaskGroups[0].Tasks[0].Config, "image") }, "no image"},
		"command":      {func(j *api.Job) { j.TaskGroups[0].Tasks[0].Config["entrypoint"] = []any{"e\u0301"} }, "NFC"},
		"long command": {func(j *api.Job) { j.TaskGroups[0].Tasks[0].Config["entrypoint"] = []any{strings.Repeat("'", 9000)} }, "longer"},
		"config":       {func(j *api.Job) { j.TaskGroups[0].Tasks[0].Templates = nil }, "no config vars"},
		"other config": {func(j *api.Job) {
			j.TaskGroups[0].Tasks[0].Templates[0].EmbeddedTmpl = new(`{{ with nomadVar "dynomad/other-default/c1" }}`)
		}, "this app has none"},
		"no config id": {func(j *api.Job) {
			j.TaskGroups[0].Tasks[0].Templates[0].EmbeddedTmpl = new(`{{ with nomadVar "dynomad/api-default/" }}`)
		}, "this app has none"},
		"size": {func(j *api.Job) { j.TaskGroups[0].Tasks[0].Resources.CPU = new(7) }, "none of the sizes"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := rendered(t, baseInput(web()))
			tt.change(job)
			if r, err := jobs.Recover(baseSettings(), job); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Recover = %+v, %v, want an error with %q", r, err, tt.want)
			}
		})
	}
}

func TestConfigVars(t *testing.T) {
	t.Parallel()
	want := dynomad.ConfigVars{"A": "1", "EMPTY": ""}
	if diff := cmp.Diff(jobs.ConfigVars(jobs.ConfigItems(dynomad.App{Name: "x-y", Space: "y"}, want)), want); diff != "" {
		t.Errorf("config vars (-got +want):\n%s", diff)
	}
}

func TestOfApp(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{"api-default": true, "api-default_run_1234": false, "api-default_clock": false} {
		if got := jobs.OfApp(jobs.JobInfo{ID: id}); got != want {
			t.Errorf("OfApp(%s) = %t", id, got)
		}
	}
}

// Whatever formation the rules let through, its job tells enough to be rendered again as it is.
func FuzzRecover(f *testing.F) {
	f.Add("api", "default", "web", 3, "gp2", 9000, "npm start", "/health?x=1", "myimage:1", 7, "", true)
	f.Add("a", "blue-green", "worker", 0, "mp1-prod", 0, "sh -c 'echo ${A} $${B} %{c}'", "", "r.example.org/x@sha256:"+strings.Repeat("0", 64), 1, "r1", false)
	f.Add("x9", "9", "clock", 20, "gp1", 0, "", "", "x:y", 123456, "5ed1a0c2-0000-4000-8000-000000000001", true)
	f.Add("x9", "9", "web", 1, "gp1", 1024, `a '' "b'c" \$ $$${ '${"x"}' '`+"\ufeff"+`é'`, "/%20", "x:y", 2, "", true)
	f.Fuzz(func(t *testing.T, name, space, dynoType string, quantity int, size string, port int, command, check, image string, release int, restart string, over bool) {
		app := dynomad.NewApp{Name: name, Space: space}
		image, err := dynomad.ParseImage("url", image)
		if err != nil || app.Validate() != nil || release < 1 || strings.Count(command, "#") > 20 { // each # costs a parse
			t.Skip()
		}
		spec := dynomad.TypeSpec{
			Type: dynoType, Quantity: dynomad.Some(dynomad.Quantity{N: quantity}), Size: dynomad.Some(size), Command: dynomad.Some(command),
		}
		if port != 0 {
			spec.Port = dynomad.Some(port)
		}
		if check != "" {
			spec.Healthcheck = dynomad.Some(check)
		}
		rules := dynomad.Rules{Sizes: dynomad.BuiltinSizes(), DefaultSize: "gp2", DefaultPort: 9000, MaxQuantity: 20}
		dt, err := rules.NewType(spec)
		if err != nil || !json.Valid([]byte(`"`+restart+`"`)) {
			t.Skip()
		}
		in := baseInput(dt)
		in.Groups[0].RestartID = restart
		in.Oversubscription = over
		in.App = dynomad.App{ID: "a1", Name: app.FullName(), SimpleName: name, Space: space}
		in.Groups[0].ReleaseVersion, in.Groups[0].Image, in.Groups[0].ConfigPath = release, image, jobs.ConfigPath(app.FullName(), "c1")
		job, err := jobs.Spec(in)
		if err != nil {
			t.Fatal(err)
		}
		if words, _ := dynomad.SplitCommand("command", command); len(strings.Join(words, "'\\''")) > dynomad.MaxCommand/4 {
			t.Skip() // quoted, it could be longer than a command may be
		}
		want := encode(t, job)
		r, again := recovered(t, in.Settings, want)
		if diff := cmp.Diff(string(again), string(want)); diff != "" {
			t.Errorf("the job made of what was recovered (-got +want):\n%s", diff)
		}
		if len(r.Replaced) > 0 {
			t.Errorf("it would replace the dynos of %v", r.Replaced)
		}
	})
}

package jobs_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

func baseInput(types ...dynomad.DynoType) jobs.Input {
	in := jobs.Input{
		Settings: baseSettings(),
		App:      dynomad.App{ID: "a1", Name: "api-default", SimpleName: "api", Space: "default"},
	}
	for _, t := range types {
		in.Groups = append(in.Groups, jobs.Group{
			Type: t, Count: t.Quantity, ReleaseVersion: 1, Image: "nginx:1.27", Command: t.Command, ConfigPath: jobs.ConfigPath("api-default", "c1"),
		})
	}
	return in
}

func web() dynomad.DynoType {
	return dynomad.DynoType{Type: dynomad.Web, Quantity: 1, Size: "gp1", Port: 9000}
}

func worker() dynomad.DynoType { return dynomad.DynoType{Type: "worker", Quantity: 1, Size: "gp1"} }

func TestSpec_errors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*jobs.Input)
		want   string
	}{
		"no groups":       {func(in *jobs.Input) { in.Groups = nil }, "no dyno types"},
		"no app":          {func(in *jobs.Input) { in.App = dynomad.App{} }, "no name"},
		"no installation": {func(in *jobs.Input) { in.Installation = "" }, "installation"},
		"timeout":         {func(in *jobs.Input) { in.DeployTimeout = 0 }, "deploy timeout"},
		"healthy time":    {func(in *jobs.Input) { in.MinHealthyTime = in.DeployTimeout }, "minimum healthy time"},
		"interval":        {func(in *jobs.Input) { in.CheckInterval = 1 }, "check interval"},
		"drain":           {func(in *jobs.Input) { in.Drain = -1 }, "drain"},
		"tags":            {func(in *jobs.Input) { in.RouterTags = "{{.Nope}}" }, "router's tags"},
		"tags broken":     {func(in *jobs.Input) { in.RouterTags = "{{" }, "router's tags"},
		"name":            {func(in *jobs.Input) { in.App.Name = "a`) || Host(`b" }, "characters"},
		"space":           {func(in *jobs.Input) { in.App.Space = "{{" }, "characters"},
		"twice":           {func(in *jobs.Input) { in.Groups = append(in.Groups, in.Groups[0]) }, "twice"},
		"type":            {func(in *jobs.Input) { in.Groups[0].Type.Type = `x"}}` }, "characters"},
		"size":            {func(in *jobs.Input) { in.Groups[0].Type.Size = "xl" }, `size "xl"`},
		"count":           {func(in *jobs.Input) { in.Groups[0].Count = -1 }, "negative"},
		"image":           {func(in *jobs.Input) { in.Groups[0].Image = "" }, "no image"},
		"path":            {func(in *jobs.Input) { in.Groups[0].ConfigPath = `x"` }, "path"},
		"command":         {func(in *jobs.Input) { in.Groups[0].Command = text("a && b") }, "sh -c"},
		"health check":    {func(in *jobs.Input) { in.Groups[0].Type.Healthcheck = text("/${x}") }, "health check"},
		"one-off":         {func(in *jobs.Input) { in.Groups[0].Type.OneOff = true }, "kept up"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := baseInput(web())
			tt.change(&in)
			job, err := jobs.Spec(in)
			if err == nil || job != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Spec = %v, %v, want an error with %q", job, err, tt.want)
			}
		})
	}
}

func TestInputFor_nothingToRun(t *testing.T) {
	t.Parallel()
	full := func() dynomad.Wanted {
		return dynomad.Wanted{AppState: dynomad.AppState{
			Types: []dynomad.DynoType{web()}, Wanted: &dynomad.Release{Version: 1}, Build: &dynomad.Build{Image: "x:1"},
		}}
	}
	if _, ok := jobs.InputFor(baseSettings(), full()); !ok {
		t.Error("a release with a type should run")
	}
	for name, change := range map[string]func(*dynomad.Wanted){
		"deleted":    func(w *dynomad.Wanted) { w.Deleted = true },
		"no release": func(w *dynomad.Wanted) { w.Wanted = nil },
		"no slug":    func(w *dynomad.Wanted) { w.Build = nil },
		"no types":   func(w *dynomad.Wanted) { w.Types = nil },
		"one-offs":   func(w *dynomad.Wanted) { w.Types = []dynomad.DynoType{{Type: "migrate", OneOff: true}} },
	} {
		w := full()
		change(&w)
		if _, ok := jobs.InputFor(baseSettings(), w); ok {
			t.Errorf("%s: there should be nothing to run", name)
		}
	}
}

func TestHash(t *testing.T) {
	t.Parallel()
	hash := func(in jobs.Input) string {
		t.Helper()
		job, err := jobs.Spec(in)
		if err != nil {
			t.Fatal(err)
		}
		return jobs.Hash(job)
	}
	want := hash(baseInput(web(), worker()))
	if got := hash(baseInput(worker(), web())); got != want {
		t.Error("the order of groups changes the hash")
	}
	if len(want) != 64 {
		t.Errorf("the hash %q is no sha256", want)
	}
	changed := baseInput(web(), worker())
	changed.Groups[0].Count++
	if hash(changed) == want {
		t.Error("another count has the same hash")
	}
}

func TestConfigItems(t *testing.T) {
	t.Parallel()
	vars := dynomad.ConfigVars{"A": "1"}
	got := jobs.ConfigItems(dynomad.App{Name: "api-default", Space: "default"}, vars)
	want := map[string]string{"A": "1", "DYNOMAD_APP": "api-default", "DYNOMAD_SPACE": "default"}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("items (-got +want):\n%s", diff)
	}
	if len(vars) != 1 {
		t.Error("the config vars were changed")
	}
	if len(jobs.ConfigItems(dynomad.App{}, nil)) == 0 {
		t.Error("no items: Nomad refuses such a variable")
	}
}

// Any formation that the rules let through gives a job, and what the job runs can be read back from it.
func FuzzSpec_validFormations(f *testing.F) {
	f.Add("web", 3, "gp2", 9000, "npm start", "/health?x=1", "myimage:1")
	f.Add("worker", 0, "mp1-prod", 0, "sh -c 'echo ${A} $${B} %{c}'", "", "r.example.org/x@sha256:"+strings.Repeat("0", 64))
	f.Add("clock", 20, "gp1", 0, "", "", "x:y")
	f.Fuzz(func(t *testing.T, name string, quantity int, size string, port int, command, check, image string) {
		image, err := dynomad.ParseImage("url", image)
		if err != nil {
			t.Skip()
		}
		spec := dynomad.TypeSpec{
			Type: name, Quantity: dynomad.Some(dynomad.Quantity{N: quantity}), Size: dynomad.Some(size), Command: dynomad.Some(command),
		}
		if port != 0 {
			spec.Port = dynomad.Some(port)
		}
		if check != "" {
			spec.Healthcheck = dynomad.Some(check)
		}
		rules := dynomad.Rules{Sizes: dynomad.BuiltinSizes(), DefaultSize: "gp2", DefaultPort: 9000, MaxQuantity: 20}
		dt, err := rules.NewType(spec)
		if err != nil {
			t.Skip()
		}
		in := baseInput(dt)
		in.Groups[0].Image = image
		checkContent(t, in)
	})
}

// checkContent renders a job of one group and reads it back as if Nomad had given it.
func checkContent(t *testing.T, in jobs.Input) {
	t.Helper()
	job, err := jobs.Spec(in)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	var fetched api.Job
	if err := json.Unmarshal(encoded, &fetched); err != nil {
		t.Fatal(err)
	}
	g := in.Groups[0]
	got := jobs.Content(&fetched)[g.Type.Type]
	if diff := cmp.Diff(got, jobs.Content(job)[g.Type.Type]); diff != "" {
		t.Errorf("content differs once it went through JSON:\n%s", diff)
	}
	if got.Image != g.Image || got.Count != g.Count || got.Release != g.ReleaseVersion || got.Checked != (g.Type.Type == dynomad.Web) {
		t.Errorf("content is %+v, of the group %+v", got, g)
	}
	if g.Command == nil {
		return
	}
	words, err := dynomad.SplitCommand("command", *g.Command)
	if err != nil || !slices.Equal(words, got.Command) {
		t.Errorf("the command %q came back as %q, %v", words, got.Command, err)
	}
}

func text(s string) *string { return &s }

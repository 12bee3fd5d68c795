package main

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/nomad"
	"github.com/dynomad/dynomad/store"
)

// leftCluster is a cluster whose daemon lost its database.
type leftCluster struct {
	config    *Config
	jobs      map[string]*api.Job // by namespace and id
	stable    map[string]*api.Job // … the last one that was rolled out well, if it is not that
	variables map[string]map[string]string
	away      bool
}

func newLeftCluster(t *testing.T) *leftCluster {
	t.Helper()
	config := defaultConfig()
	config.DataDir = t.TempDir()
	if err := config.finish(noEnv); err != nil {
		t.Fatal(err)
	}
	return &leftCluster{config: config, jobs: map[string]*api.Job{}, stable: map[string]*api.Job{}, variables: map[string]map[string]string{}}
}

func (c *leftCluster) Namespace() string { return "default" }

func (c *leftCluster) Facts(context.Context) (nomad.Facts, error) {
	if c.away {
		return nomad.Facts{}, dynomad.Errorf(dynomad.Unavailable, "Nomad does not answer.")
	}
	return nomad.Facts{Oversubscription: true}, nil
}

func (c *leftCluster) Jobs(_ context.Context, namespace string) ([]jobs.JobInfo, error) {
	var list []jobs.JobInfo
	for _, job := range c.jobs {
		if namespace == "*" || namespace == *job.Namespace {
			list = append(list, jobs.InfoFromJob(job))
		}
	}
	return list, nil
}

func (c *leftCluster) JobSpec(_ context.Context, namespace, id string) (*api.Job, error) {
	return c.jobs[namespace+"/"+id], nil
}

func (c *leftCluster) StableJob(_ context.Context, namespace, id string) (*api.Job, error) {
	if job, ok := c.stable[namespace+"/"+id]; ok {
		return job, nil
	}
	return nil, dynomad.Errorf(dynomad.NotFound, "There is no good version of %s.", id)
}

func (c *leftCluster) Variable(_ context.Context, namespace, path string) (map[string]string, error) {
	items, ok := c.variables[namespace+"/"+path]
	if !ok {
		return nil, dynomad.Errorf(dynomad.NotFound, "There is no variable %s.", path)
	}
	return items, nil
}

// left makes the state of an app that runs.
func left(id, name, space, namespace string) dynomad.AppState {
	command, check := `sh -c 'echo "$A"'`, "/health"
	return dynomad.AppState{
		App: dynomad.App{ID: id, Name: name + "-" + space, SimpleName: name, Space: space, NomadNamespace: namespace},
		Types: []dynomad.DynoType{
			{Type: "web", Quantity: 2, Size: "gp2", Port: 9000, Healthcheck: &check, RestartID: "r1"},
			{Type: "worker", Quantity: 1, Size: "gp3", Command: &command},
		},
		Wanted: &dynomad.Release{Version: 7, ConfigID: "config-" + id}, Build: &dynomad.Build{Image: "shop:3"},
	}
}

// run registers an app's job, with its variable.
func (c *leftCluster) run(t *testing.T, installation string, st dynomad.AppState) *api.Job {
	t.Helper()
	input, _ := jobs.InputFor(c.config.jobSettings(installation, "default", nomad.Facts{Oversubscription: true}), dynomad.Wanted{AppState: st})
	job, err := jobs.Spec(input)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	var stored api.Job
	if err := json.Unmarshal(text, &stored); err != nil {
		t.Fatal(err)
	}
	stored.Canonicalize()
	stored.Stable = new(true)
	namespace := *stored.Namespace
	c.jobs[namespace+"/"+st.App.Name] = &stored
	c.variables[namespace+"/"+jobs.ConfigPath(st.App.Name, st.Wanted.ConfigID)] = jobs.ConfigItems(st.App, dynomad.ConfigVars{"A": "\"quoted\"\nline", "B": ""})
	return &stored
}

// rebuild runs the command and gives what it says.
func (c *leftCluster) rebuild(t *testing.T, installation string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	r := &rebuilder{config: c.config, cluster: c, installation: installation, out: &out}
	err := r.run(t.Context())
	return out.String(), err
}

func (c *leftCluster) open(t *testing.T) *store.Store {
	t.Helper()
	return openDir(t, c.config.DataDir)
}

func wantSaid(t *testing.T, said string, want ...string) {
	t.Helper()
	for _, text := range want {
		if !strings.Contains(said, text) {
			t.Errorf("nothing is said of %q:\n%s", text, said)
		}
	}
}

// TestRebuild reads two apps back into an empty folder: the daemon would render the jobs that are there.
func TestRebuild(t *testing.T) {
	t.Parallel()
	c := newLeftCluster(t)
	c.run(t, "i1", left("a1", "api", "default", ""))
	c.run(t, "i1", left("a2", "shop", "blue", "team"))
	c.run(t, "i1", left("a1", "api_run_7", "default", "")) // a run of the app
	c.jobs["default/other"] = &api.Job{ID: new("other"), Namespace: new("default")}
	said, err := c.rebuild(t, "")
	if err != nil {
		t.Fatal(err, said)
	}
	wantSaid(t, said, "Installation i1: 2 apps", "api-default: release v7 of shop:3 with 2 config vars; web 2 × gp2, worker 1 × gp3",
		"shop-blue", "Not read back", "tokens", "no other daemon")
	if strings.Contains(said, "WARNING") || strings.Contains(said, "quoted") {
		t.Errorf("it says\n%s", said)
	}
	s := c.open(t)
	if id, err := s.Installation(t.Context()); err != nil || id != "i1" {
		t.Errorf("the installation is %s, %v", id, err)
	}
	ids, err := s.AppIDs(t.Context())
	if err != nil || len(ids) != 2 {
		t.Fatalf("the apps are %v, %v", ids, err)
	}
	settings := c.config.jobSettings("i1", "default", nomad.Facts{Oversubscription: true})
	for _, id := range ids {
		w, err := s.Wanted(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w.Config, dynomad.ConfigVars{"A": "\"quoted\"\nline", "B": ""}); diff != "" {
			t.Errorf("config vars (-got +want):\n%s", diff)
		}
		input, _ := jobs.InputFor(settings, w)
		job, err := jobs.Spec(input)
		if err != nil {
			t.Fatal(err)
		}
		namespace := "default"
		if w.App.NomadNamespace != "" {
			namespace = w.App.NomadNamespace
		}
		if diff := cmp.Diff(jobs.Content(job), jobs.Content(c.jobs[namespace+"/"+w.App.Name])); diff != "" {
			t.Errorf("the job of %s would differ (-new +old):\n%s", w.App.Name, diff)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	said, err = c.rebuild(t, "")
	if err != nil || !strings.Contains(said, "0 apps in Nomad that the database does not have, 2 that it has") {
		t.Errorf("once more: %v\n%s", err, said)
	}
}

// TestRebuild_onTrial reads back an app in the middle of a rollout: the definitions on record as good are those of the job's last
// good version.
func TestRebuild_onTrial(t *testing.T) {
	t.Parallel()
	c := newLeftCluster(t)
	before := left("a1", "api", "default", "")
	c.stable["default/api-default"] = c.run(t, "i1", before)
	trial := left("a1", "api", "default", "")
	trial.Wanted.Version, trial.Types[1].Size = 8, "gp4"
	c.run(t, "i1", trial).Stable = new(false)
	first := c.run(t, "i1", left("a2", "shop", "default", "")) // never ran well
	first.Stable = new(false)
	if said, err := c.rebuild(t, ""); err != nil {
		t.Fatal(err, said)
	}
	s := c.open(t)
	for name, want := range map[string]string{"api-default": "gp3", "shop-default": ""} {
		st, err := s.AppState(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if good := st.Types[1].Record.Good; good != nil {
			got = good.Size
		}
		if got != want || st.Wanted.Status != dynomad.ReleasePending {
			t.Errorf("%s: the good size of %s is %q, its release %s; want %q and pending", name, st.Types[1].Type, got, st.Wanted.Status, want)
		}
	}
}

// TestRebuild_oldDatabase adds what an old database lacks, and leaves what it has.
func TestRebuild_oldDatabase(t *testing.T) {
	t.Parallel()
	c := newLeftCluster(t)
	s := c.open(t)
	known, taken := addApp(t, s, "api"), addApp(t, s, "taken")
	own, err := s.Installation(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c.run(t, own, left(known.ID, "api", "default", ""))
	c.run(t, own, left("a2", "shop", "default", ""))
	c.run(t, own, left("a3", "taken", "default", ""))
	c.run(t, "other", left("a4", "theirs", "default", ""))
	said, err := c.rebuild(t, "")
	fails(t, err, "1 of 2 apps could not be taken in")
	wantSaid(t, said, "2 apps in Nomad that the database does not have, 1 that it has", "taken-default: NOT taken in", "already exists", "shop-default: release v7")
	s = c.open(t)
	all, err := s.Apps(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, st := range all {
		ids = append(ids, st.App.ID)
	}
	slices.Sort(ids)
	want := []string{"a2", known.ID, taken.ID}
	slices.Sort(want)
	if !slices.Equal(ids, want) {
		t.Errorf("the apps are %v, want %v", ids, want)
	}
	if st, err := s.AppState(t.Context(), "api-default"); err != nil || st.Wanted != nil {
		t.Errorf("an app that the database has was changed: %+v, %v", st, err)
	}
}

// TestRebuild_notTakenIn has apps that must be left alone, and says why.
func TestRebuild_notTakenIn(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil func(*leftCluster, *api.Job)
		want  string
	}{
		"config vars": {func(c *leftCluster, _ *api.Job) { clear(c.variables) }, "its config vars: There is no variable"},
		"size":        {func(_ *leftCluster, j *api.Job) { j.TaskGroups[0].Tasks[0].Resources.CPU = new(7) }, "same table of sizes"},
		"mark":        {func(_ *leftCluster, j *api.Job) { delete(j.Meta, "dynomad_space") }, "space"},
		"namespace": {func(c *leftCluster, j *api.Job) {
			j.Namespace = new("elsewhere")
			c.jobs["elsewhere/api-default"] = j
			delete(c.jobs, "default/api-default")
			c.variables["elsewhere/dynomad/api-default/config-a1"] = map[string]string{"A": "1"}
		}, "NOMAD_NAMESPACE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newLeftCluster(t)
			tt.spoil(c, c.run(t, "i1", left("a1", "api", "default", "")))
			said, err := c.rebuild(t, "")
			fails(t, err, "1 of 1 app could not be taken in")
			wantSaid(t, said, "api-default: NOT taken in", tt.want)
			if all, err := c.open(t).Apps(t.Context()); err != nil || len(all) > 0 {
				t.Errorf("the apps are %v, %v", all, err)
			}
		})
	}
}

// TestRebuild_replaced warns where the dynos would not stay.
func TestRebuild_replaced(t *testing.T) {
	t.Parallel()
	c := newLeftCluster(t)
	c.run(t, "i1", left("a1", "api", "default", "")).TaskGroups[0].Tasks[0].Config["pids_limit"] = 3
	said, err := c.rebuild(t, "")
	if err != nil {
		t.Fatal(err)
	}
	wantSaid(t, said, "WARNING", "the dynos of web are replaced")
}

func TestRebuild_away(t *testing.T) {
	t.Parallel()
	c := newLeftCluster(t)
	c.away = true
	_, err := c.rebuild(t, "")
	fails(t, err, "does not answer")
	wantFiles(t, c.config.DataDir)
	c.away = false
	c.run(t, "i1", left("a1", "api", "default", ""))
	release, err := lockDataDir(c.config.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.rebuild(t, "")
	fails(t, err, "another dynomad runs")
	wantFiles(t, c.config.DataDir)
	if err := release(); err != nil {
		t.Fatal(err)
	}
}

// TestRebuild_files leaves the folder as the daemon has it.
func TestRebuild_files(t *testing.T) {
	t.Parallel()
	c := newLeftCluster(t)
	c.run(t, "i1", left("a1", "api", "default", ""))
	if _, err := c.rebuild(t, ""); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, c.config.DataDir, databaseFile, keyFile)
	for _, name := range []string{databaseFile, keyFile} {
		wantMode(t, filepath.Join(c.config.DataDir, name))
	}
}

func TestChooseInstallation(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		asked, own string
		used       bool
		found      map[string]int
		want, err  string
	}{
		"the only one":       {own: "fresh", found: map[string]int{"a": 2}, want: "a"},
		"none":               {own: "fresh", err: "no app's job"},
		"several":            {own: "fresh", found: map[string]int{"b": 1, "a": 2}, err: "a (2 apps), b (1 app)"},
		"several, asked":     {asked: "b", own: "fresh", found: map[string]int{"b": 1, "a": 2}, want: "b"},
		"several, own":       {own: "b", found: map[string]int{"b": 1, "a": 2}, want: "b"},
		"own, used":          {own: "b", used: true, found: map[string]int{"a": 2}, want: "b"},
		"asked, not there":   {asked: "c", own: "fresh", found: map[string]int{"a": 2}, err: "found were a (2 apps)"},
		"asked, none there":  {asked: "c", own: "fresh", err: "found were none"},
		"asked, other, used": {asked: "a", own: "b", used: true, found: map[string]int{"a": 2}, err: "empty data folder"},
		"asked, own, used":   {asked: "b", own: "b", used: true, found: map[string]int{"b": 2}, want: "b"},
	} {
		got, err := chooseInstallation(tt.asked, tt.own, tt.used, tt.found)
		if tt.err != "" {
			fails(t, err, tt.err)
			continue
		}
		if got != tt.want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, tt.want)
		}
	}
}

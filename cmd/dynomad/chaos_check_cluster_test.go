//go:build integration

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	nomadapi "github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// fetch reads what must be answered with 200.
func (d *daemon) fetch(ctx context.Context, path string, out any) error {
	status, body, err := d.try(ctx, http.MethodGet, path, "")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("GET %s: %d %s", path, status, body)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(body, out)
}

// world reads all that the daemon keeps of the apps with a prefix.
func (d *daemon) world(ctx context.Context, prefix string) (world, error) {
	var apps []struct {
		Name, Description string
		Maintenance       bool
	}
	if err := d.fetch(ctx, "/apps", &apps); err != nil {
		return nil, err
	}
	w := world{}
	for _, app := range apps {
		if !strings.HasPrefix(app.Name, prefix) {
			continue
		}
		a := &worldApp{Description: app.Description, Maintenance: app.Maintenance, Types: map[string]worldType{}}
		if err := d.readApp(ctx, app.Name, a); err != nil {
			return nil, err
		}
		w[app.Name] = a
	}
	return w, nil
}

func (d *daemon) readApp(ctx context.Context, name string, a *worldApp) error {
	var feature struct{ Enabled bool }
	var types []struct {
		Type, Size           string
		Quantity             int
		Command, Healthcheck *string
	}
	var builds []struct {
		ID, Image    string
		Number       int
		ProcessTypes map[string]string `json:"process_types"`
	}
	err := errors.Join(
		d.fetch(ctx, "/apps/"+name+"/features/auto-release", &feature),
		d.fetch(ctx, "/apps/"+name+"/config-vars", &a.Config),
		d.fetch(ctx, "/apps/"+name+"/formation", &types),
		d.fetch(ctx, "/apps/"+name+"/builds", &builds),
	)
	if err != nil {
		return err
	}
	a.AutoRelease = feature.Enabled
	for _, t := range types {
		a.Types[t.Type] = worldType{Quantity: t.Quantity, Size: t.Size, Command: orEmpty(t.Command), Healthcheck: orEmpty(t.Healthcheck)}
	}
	for i, b := range builds {
		if b.Number != i+1 {
			return fmt.Errorf("build %d of %s is at place %d", b.Number, name, i+1)
		}
		a.Builds = append(a.Builds, worldBuild{b.ID, b.Image, b.ProcessTypes})
	}
	a.Releases, err = d.readReleases(ctx, name, a.Builds)
	return err
}

// readReleases reads an app's releases without their config vars.
func (d *daemon) readReleases(ctx context.Context, name string, builds []worldBuild) ([]worldRelease, error) {
	var releases []struct {
		Version     int
		Description string
		Slug        *struct{ ID string }
	}
	if err := d.fetch(ctx, "/apps/"+name+"/releases", &releases); err != nil {
		return nil, err
	}
	var out []worldRelease
	for i, r := range releases {
		if r.Version != i+1 {
			return nil, fmt.Errorf("release v%d of %s is at place %d", r.Version, name, i+1)
		}
		n := 0
		if r.Slug != nil {
			n = 1 + slices.IndexFunc(builds, func(b worldBuild) bool { return b.ID == r.Slug.ID })
		}
		out = append(out, worldRelease{Build: n, Description: r.Description})
	}
	return out, nil
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// differs compares what was read with what should be there. What no answer tells is passed over.
func differs(got, want world) string {
	return cmp.Diff(got, want, cmpopts.EquateEmpty(),
		cmpopts.IgnoreFields(worldType{}, "FromSlug"), cmpopts.IgnoreFields(worldBuild{}, "ID"), cmpopts.IgnoreFields(worldRelease{}, "Config"))
}

// learn takes the ids of builds from what was read; the two do not differ.
func (w world) learn(got world) {
	for name, a := range w {
		for i := range a.Builds {
			a.Builds[i].ID = got[name].Builds[i].ID
		}
	}
}

// checkLedger reads what is kept of each release, build and deleted app beside that: config vars, how releases ended, audits.
func (d *daemon) checkLedger(ctx context.Context, w world) error {
	for name, a := range w {
		for i, r := range a.Releases {
			var config map[string]string
			if err := d.fetch(ctx, fmt.Sprintf("/apps/%s/releases/%d/config-vars", name, i+1), &config); err != nil {
				return err
			}
			if !maps.Equal(config, r.Config) {
				return fmt.Errorf("config vars of v%d of %s: %v, want %v", i+1, name, config, r.Config)
			}
		}
		var audits []struct{ Action string }
		if err := d.fetch(ctx, "/apps/"+name+"/audits", &audits); err != nil {
			return err
		}
		n := map[string]int{}
		for _, audit := range audits {
			n[audit.Action]++
		}
		if n["app.create"] != 1 || n["build.create"] != len(a.Builds) || n["release.create"] != len(a.Releases) {
			return fmt.Errorf("%s has %d builds and %d releases, its audits have %v", name, len(a.Builds), len(a.Releases), n)
		}
	}
	return nil
}

// waitSettledWorld waits until the cluster is what the world wants, whole and nothing else, and gives how long that took.
func (d *daemon) waitSettledWorld(w world, prefix string, within time.Duration) time.Duration {
	d.tb.Helper()
	start := time.Now()
	nomadtest.Eventually(d.tb, within, func(ctx context.Context) error {
		time.Sleep(200 * time.Millisecond) // a look is dear
		reaped, err := d.cluster.Reap(ctx)
		if len(reaped) > 0 {
			d.tb.Logf("containers that Nomad had forgotten when its client was killed: %v", reaped)
		}
		if err != nil {
			return err
		}
		return errors.Join(d.checkJobs(ctx, w, prefix), d.checkDynos(ctx, w), d.checkTraces(ctx, w, prefix))
	})
	return time.Since(start)
}

// checkJobs compares the jobs in Nomad, and the variables that they read, with what is wanted.
func (d *daemon) checkJobs(ctx context.Context, w world, prefix string) error {
	list, err := d.listJobs(ctx, prefix)
	if err != nil {
		return err
	}
	return d.compareJobs(ctx, w, list, jobGroup.same)
}

// checkTold compares what Nomad was told with what is wanted. Unlike for checkJobs a job that was told to end is one that is gone,
// and its name need not be its next app's yet: when its dynos end is up to Nomad. And counts may be lower: higher ones wait for the
// end of the rollout that runs.
func (d *daemon) checkTold(ctx context.Context, w world, prefix string) error {
	list, err := d.listJobs(ctx, prefix)
	if err != nil {
		return err
	}
	w = maps.Clone(w)
	list = slices.DeleteFunc(list, func(stub *nomadapi.JobListStub) bool {
		if stub.Stop {
			delete(w, stub.ID)
		}
		return stub.Stop
	})
	return d.compareJobs(ctx, w, list, jobGroup.told)
}

func (d *daemon) listJobs(ctx context.Context, prefix string) ([]*nomadapi.JobListStub, error) {
	list, _, err := d.cluster.NomadClient().Jobs().List((&nomadapi.QueryOptions{Prefix: prefix}).WithContext(ctx))
	return list, err
}

func (d *daemon) compareJobs(ctx context.Context, w world, list []*nomadapi.JobListStub, equal func(got, want jobGroup) bool) error {
	var got, want, wrong []string
	for _, stub := range list {
		got = append(got, stub.ID)
	}
	for name, a := range w {
		if len(a.runs()) > 0 {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		wrong = append(wrong, fmt.Sprintf("Nomad has the jobs %v, want %v", got, want))
	}
	for _, name := range want {
		if slices.Contains(got, name) {
			if err := d.checkJob(ctx, name, w[name], equal); err != nil {
				wrong = append(wrong, err.Error())
			}
		}
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "\n"))
	}
	return nil
}

// jobGroup is what a job says of a dyno type.
type jobGroup struct {
	Count      int
	Image      string
	Entrypoint []string
	Release    string
	Check      string
	Config     map[string]string
}

func (g jobGroup) same(want jobGroup) bool { return cmp.Equal(g, want, cmpopts.EquateEmpty()) }

func (g jobGroup) told(want jobGroup) bool {
	g.Count = max(g.Count, want.Count)
	return g.same(want)
}

func (d *daemon) checkJob(ctx context.Context, name string, a *worldApp, equal func(got, want jobGroup) bool) error {
	opts := (&nomadapi.QueryOptions{}).WithContext(ctx)
	job, _, err := d.cluster.NomadClient().Jobs().Info(name, opts)
	if err != nil {
		return fmt.Errorf("job %s: %w", name, err)
	}
	if *job.Stop {
		return fmt.Errorf("job %s is stopped", name)
	}
	got, want := map[string]jobGroup{}, map[string]jobGroup{}
	for _, g := range job.TaskGroups {
		if got[*g.Name], err = d.readGroup(ctx, g); err != nil {
			return fmt.Errorf("job %s: %w", name, err)
		}
	}
	for dynoType, t := range a.runs() {
		words, err := dynomad.SplitCommand("command", a.command(dynoType))
		if err != nil {
			return err
		}
		config := maps.Clone(a.last().Config)
		config["DYNOMAD_APP"], config["DYNOMAD_SPACE"] = name, "default"
		want[dynoType] = jobGroup{
			Count: a.count(dynoType), Image: a.Builds[a.last().Build-1].Image, Entrypoint: words, Release: fmt.Sprint(len(a.Releases)),
			Check: t.Healthcheck, Config: config,
		}
	}
	if !maps.EqualFunc(got, want, equal) {
		return fmt.Errorf("job %s (-got +want):\n%s", name, cmp.Diff(got, want, cmpopts.EquateEmpty()))
	}
	return nil
}

var variablePath = regexp.MustCompile(`nomadVar "([^"]+)"`)

func (d *daemon) readGroup(ctx context.Context, g *nomadapi.TaskGroup) (jobGroup, error) {
	task := g.Tasks[0]
	out := jobGroup{Count: *g.Count, Release: g.Meta["dynomad_release"]}
	out.Image, _ = task.Config["image"].(string)
	words, _ := task.Config["entrypoint"].([]any)
	for _, word := range words {
		out.Entrypoint = append(out.Entrypoint, fmt.Sprint(word))
	}
	if len(g.Services) > 0 {
		out.Check = g.Services[0].Checks[0].Path
	}
	path := variablePath.FindStringSubmatch(*task.Templates[0].EmbeddedTmpl)
	if path == nil {
		return out, fmt.Errorf("the template of %s reads no variable", *g.Name)
	}
	v, _, err := d.cluster.NomadClient().Variables().Read(path[1], (&nomadapi.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return out, fmt.Errorf("the variable of %s: %w", *g.Name, err)
	}
	out.Config = v.Items
	return out, nil
}

// checkDynos compares the dynos that the API shows with what is wanted: all ready, of the newest release, and that one has
// succeeded.
func (d *daemon) checkDynos(ctx context.Context, w world) error {
	for name, a := range w {
		list, err := d.dynos(ctx, name)
		if err != nil {
			return err
		}
		n := map[string]int{}
		for _, y := range list {
			switch {
			case y.State == "stopped":
			case y.State != "running" || !y.Ready || y.Release.Version != len(a.Releases):
				return fmt.Errorf("dyno of %s: %+v, want it running v%d", name, y, len(a.Releases))
			default:
				n[y.Type]++
			}
		}
		for dynoType := range a.Types {
			if n[dynoType] != a.count(dynoType) {
				return fmt.Errorf("dynos of %s: %v, want %d of %s", name, n, a.count(dynoType), dynoType)
			}
			delete(n, dynoType)
		}
		if len(n) > 0 {
			return fmt.Errorf("dynos of %s that are not wanted: %v", name, n)
		}
		if err := d.checkEnds(ctx, name, a); err != nil {
			return err
		}
	}
	return nil
}

// checkEnds wants the newest release of an app to have succeeded, and no other to have failed for what it is.
func (d *daemon) checkEnds(ctx context.Context, name string, a *worldApp) error {
	var releases []struct {
		Version        int
		Status         string
		AdditionalInfo string `json:"additional_info"`
	}
	if err := d.fetch(ctx, "/apps/"+name+"/releases", &releases); err != nil {
		return err
	}
	for _, r := range releases {
		superseded := r.Status == "failed" && strings.HasPrefix(r.AdditionalInfo, "superseded by v") && r.Version < len(a.Releases)
		if r.Status != "succeeded" && !superseded {
			return fmt.Errorf("release v%d of %s: %s %q", r.Version, name, r.Status, r.AdditionalInfo)
		}
	}
	return nil
}

// checkTraces looks for what the apps, also those that are no more, have on the cluster beside their jobs: each exactly what
// its dynos need.
func (d *daemon) checkTraces(ctx context.Context, w world, prefix string) error {
	variables, err := d.variables(ctx, prefix)
	if err != nil {
		return err
	}
	containers := d.appContainers(prefix)
	services, err := d.instances(ctx, prefix)
	if err != nil {
		return err
	}
	return tracesDiffer(w, containers, services, variables)
}

// tracesDiffer tells how what there is on the cluster differs from what is wanted: the containers, instances and variables of each app. It takes
// what it has seen out of these.
func tracesDiffer(w world, containers map[string][]string, services, variables map[string]int) error {
	for name, a := range w {
		dynos := 0
		for dynoType := range a.runs() {
			dynos += a.count(dynoType)
		}
		if got := containers[name]; len(got) != dynos {
			return fmt.Errorf("containers of %s: %v, want %d", name, got, dynos)
		}
		if got, want := services[name], a.count(webType); got != want {
			return fmt.Errorf("instances of %s in Consul: %d, want %d", name, got, want)
		}
		if got := variables[name]; got > 1 || (got == 0 && len(a.runs()) > 0) {
			return fmt.Errorf("variables of %s: %d, want one", name, got)
		}
		delete(containers, name)
		delete(services, name)
		delete(variables, name)
	}
	if len(containers)+len(services)+len(variables) > 0 {
		return fmt.Errorf("of apps that were deleted are left: containers %v, instances %v, variables %v", containers, services, variables)
	}
	return nil
}

// variables counts the apps' variables in Nomad.
func (d *daemon) variables(ctx context.Context, prefix string) (map[string]int, error) {
	list, _, err := d.cluster.NomadClient().Variables().PrefixList("dynomad/"+prefix, (&nomadapi.QueryOptions{}).WithContext(ctx))
	n := map[string]int{}
	for _, v := range list {
		n[strings.Split(v.Path, "/")[1]]++
	}
	return n, err
}

// instances counts the apps' instances in Consul.
func (d *daemon) instances(ctx context.Context, prefix string) (map[string]int, error) {
	names, _, err := d.cluster.ConsulClient().Catalog().Services(nil)
	if err != nil {
		return nil, err
	}
	n := map[string]int{}
	for name := range names {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		entries, _, err := d.cluster.ConsulClient().Health().Service(name, "", false, nil)
		if err != nil {
			return nil, err
		}
		n[name] = len(entries)
	}
	return n, ctx.Err()
}

// appContainers lists the running containers of the apps' dynos, by the environment that they were started with: Nomad may not
// know them any more.
func (d *daemon) appContainers(prefix string) map[string][]string {
	d.tb.Helper()
	ids := strings.Fields(d.docker(d.tb, "ps", "--quiet", "--filter", "label=com.hashicorp.nomad.alloc_id"))
	found := map[string][]string{}
	for _, id := range ids {
		env, err := d.inspect(id)
		if err != nil {
			continue // it has ended
		}
		for _, variable := range env {
			if name, ok := strings.CutPrefix(variable, "DYNOMAD_APP="); ok && strings.HasPrefix(name, prefix) {
				found[name] = append(found[name], id)
			}
		}
	}
	return found
}

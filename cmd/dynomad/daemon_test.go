//go:build integration

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// onCluster says whether the tests on a cluster are built, too.
const onCluster = true

// shared is the one cluster of these tests. With DYNOMAD_TEST_ACL it has ACLs on, in Nomad and in Consul, and the daemon has
// exactly the rights that docs/policies/ names: make cluster runs the tests both ways.
var shared = nomadtest.Shared{Config: nomadtest.Config{ACL: guarded()}}

func guarded() bool { return os.Getenv("DYNOMAD_TEST_ACL") != "" }

func TestMain(m *testing.M) {
	code := shared.Run(m)
	if builtIn != "" {
		_ = os.RemoveAll(builtIn)
	}
	os.Exit(code)
}

// benching reports whether the daemon is to be as fast as it is shipped.
func benching() bool { return os.Getenv("DYNOMAD_TEST_BENCH") != "" }

// binary builds the daemon once, with the race detector. Benchmarks use what "make build" has built, as it is shipped.
var binary = sync.OnceValues(func() (string, error) {
	if benching() {
		return tool("dynomad")
	}
	var err error
	if builtIn, err = os.MkdirTemp("", "dynomad-bin-"); err != nil {
		return "", err
	}
	path := filepath.Join(builtIn, "dynomad")
	out, err := exec.Command("go", "build", "-race", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the daemon: %w\n%s", err, out)
	}
	return path, nil
})

// builtIn is the folder with what binary has built.
var builtIn string

// tool is the path of a program in bin.
func tool(name string) (string, error) {
	root, err := nomadtest.RepoRoot()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", name)
	_, err = os.Stat(path)
	return path, err
}

// daemon is a running daemon under test, used through its API.
type daemon struct {
	tb      testing.TB
	cluster *nomadtest.Cluster
	process *nomadtest.Process
	url     string
	token   string
	dir     string
}

// quick are settings that make rollouts short; everything else is as shipped.
func quick() []string {
	return []string{
		"DYNOMAD_MIN_HEALTHY_TIME=1s", "DYNOMAD_CHECK_INTERVAL=1s", "DYNOMAD_DRAIN=2s", "DYNOMAD_DEPLOY_TIMEOUT=60s",
		"DYNOMAD_START_GRACE=3s",
	}
}

// startDaemon starts a daemon on a data folder of its own and ends it, and all its apps, with the test.
func startDaemon(tb testing.TB, env ...string) *daemon {
	tb.Helper()
	cluster := shared.Cluster(tb)
	if guarded() {
		env = append(env, grant(tb, cluster)...)
	}
	return startDaemonOn(tb, cluster, env...)
}

// startDaemonOn is startDaemon on a cluster of the test's own.
func startDaemonOn(tb testing.TB, cluster *nomadtest.Cluster, env ...string) *daemon {
	tb.Helper()
	path, err := binary()
	if err != nil {
		tb.Fatal(err)
	}
	return startProgram(tb, cluster, path, env...)
}

// startProgram is startDaemonOn with a daemon that was built otherwise.
func startProgram(tb testing.TB, cluster *nomadtest.Cluster, path string, env ...string) *daemon {
	tb.Helper()
	var err error
	dir := tb.TempDir()
	d := &daemon{tb: tb, cluster: cluster, dir: dir, url: "http://" + nomadtest.FreeAddr(tb), token: "root-token-" + rand.Text()}
	env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir,
		"DYNOMAD_LISTEN=" + strings.TrimPrefix(d.url, "http://"), "DYNOMAD_DATA_DIR=" + filepath.Join(dir, "data"),
		"DYNOMAD_ROOT_TOKEN=" + d.token, "DYNOMAD_LOG_LEVEL=debug",
		"NOMAD_ADDR=http://" + cluster.NomadAddr(), "CONSUL_HTTP_ADDR=" + cluster.ConsulAddr(),
	}, env...)
	for _, setting := range env {
		if token, own := strings.CutPrefix(setting, "DYNOMAD_ROOT_TOKEN="); own {
			d.token = token
		}
	}
	d.process, err = nomadtest.StartProcess(tb.Context(), nomadtest.Command{
		Name: "dynomad", Path: path, Args: []string{"server"}, Env: env, Log: filepath.Join(dir, "dynomad.log"),
		Ready: func(ctx context.Context) error { return d.ready(ctx) },
	})
	if err != nil {
		text, _ := os.ReadFile(filepath.Join(dir, "dynomad.log"))
		tb.Fatalf("starting the daemon: %v\n%s", err, text)
	}
	tb.Cleanup(d.end)
	return d
}

// ready is nil when the daemon is, and is this one: no other has its token.
func (d *daemon) ready(ctx context.Context) error {
	for _, path := range []string{"/readyz", "/account"} {
		status, body, err := d.try(ctx, http.MethodGet, path, "")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%s: %d %s", path, status, body)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// end deletes the apps that the test left, waits until the cluster is rid of them, and stops the daemon.
func (d *daemon) end() {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	if d.process.Running() {
		apps := d.names(ctx)
		for _, app := range apps {
			_, _, _ = d.try(ctx, http.MethodDelete, "/apps/"+app, "")
		}
		for _, app := range apps {
			d.waitGone(ctx, app)
		}
		if err := d.process.Stop(ctx); err != nil {
			d.tb.Errorf("stopping the daemon: %v", err)
		}
	}
	log, err := os.ReadFile(d.process.LogPath())
	if err != nil {
		d.tb.Errorf("reading the daemon's log: %v", err)
	}
	if bytes.Contains(log, []byte("DATA RACE")) || bytes.Contains(log, []byte("panic:")) || d.tb.Failed() {
		d.tb.Errorf("the daemon's log:\n%s", log)
	}
}

func (d *daemon) names(ctx context.Context) []string {
	var apps []struct{ Name string }
	_, body, err := d.try(ctx, http.MethodGet, "/apps", "")
	if err == nil {
		err = json.Unmarshal(body, &apps)
	}
	if err != nil {
		d.tb.Errorf("listing the apps: %v", err)
	}
	names := make([]string, len(apps))
	for i, a := range apps {
		names[i] = a.Name
	}
	return names
}

// logged counts the lines of the daemon's log that have a text.
func (d *daemon) logged(text string) int {
	d.tb.Helper()
	log, err := os.ReadFile(d.process.LogPath())
	if err != nil {
		d.tb.Fatal(err)
	}
	return strings.Count(string(log), text)
}

// try sends a request and gives the answer's status and body.
func (d *daemon) try(ctx context.Context, method, path, body string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, d.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+d.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, text, err
}

// do sends a request that must be answered with a status, and decodes the answer into out unless that is nil.
func (d *daemon) do(method, path, body string, want int, out any) {
	d.tb.Helper()
	status, text, err := d.try(d.tb.Context(), method, path, body)
	if err != nil {
		d.tb.Fatalf("%s %s: %v", method, path, err)
	}
	if status != want {
		d.tb.Fatalf("%s %s %s: got %d %s, want %d", method, path, body, status, text, want)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			d.tb.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
}

// dyno is a dyno as the API shows it.
type dyno struct {
	ID, Name, Type, State, Command, Size string
	Ready                                bool
	AdditionalInfo                       string `json:"additional_info"`
	Release                              struct{ Version int }
}

func (d *daemon) dynos(ctx context.Context, app string) ([]dyno, error) {
	var list []dyno
	status, body, err := d.try(ctx, http.MethodGet, "/apps/"+app+"/dynos", "")
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("dynos: %d %s", status, body)
	}
	return list, json.Unmarshal(body, &list)
}

// waitDynos waits until the app's dynos of a type that were not told to stop satisfy ok, and gives them.
func (d *daemon) waitDynos(app, dynoType string, within time.Duration, ok func([]dyno) bool) []dyno {
	d.tb.Helper()
	var got []dyno
	nomadtest.Eventually(d.tb, within, func(ctx context.Context) error {
		list, err := d.dynos(ctx, app)
		if err != nil {
			return err
		}
		got = slices.DeleteFunc(list, func(y dyno) bool {
			return y.Type != dynoType || y.State == "stopping" || y.State == "stopped"
		})
		if !ok(got) {
			return fmt.Errorf("dynos of %s: %+v", dynoType, list)
		}
		return nil
	})
	return got
}

// allReady gives a condition: n dynos, all running and ready.
func allReady(n int) func([]dyno) bool {
	return func(list []dyno) bool {
		return len(list) == n && !slices.ContainsFunc(list, func(y dyno) bool { return y.State != "running" || !y.Ready })
	}
}

// visit asks the router for a page of an app.
func (d *daemon) visit(ctx context.Context, app, path string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.cluster.RouterAddr()+path, nil)
	if err != nil {
		return 0, "", err
	}
	req.Host = app + ".apps.localhost"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// page waits until the router serves a page of an app, and gives it.
func (d *daemon) page(app, path string) string {
	d.tb.Helper()
	var page string
	nomadtest.Eventually(d.tb, 30*time.Second, func(ctx context.Context) error {
		status, body, err := d.visit(ctx, app, path)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("GET %s of %s: %d %s", path, app, status, body)
		}
		page = body
		return err
	})
	return page
}

// waitGone waits until nothing of an app is left on the cluster: no job, service, variable or container.
func (d *daemon) waitGone(ctx context.Context, app string) {
	d.tb.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		left := d.traces(ctx, app)
		if len(left) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			d.tb.Errorf("of app %s is left: %v", app, left)
			return
		case <-tick.C:
		}
	}
}

// traces lists what the cluster has of an app.
func (d *daemon) traces(ctx context.Context, app string) []string {
	var left []string
	nomad := d.cluster.NomadClient()
	if _, _, err := nomad.Jobs().Info(app, nil); err == nil {
		left = append(left, "job")
	}
	if runs, _, err := nomad.Jobs().PrefixList(app + "_"); err != nil || len(runs) > 0 {
		left = append(left, fmt.Sprintf("%d jobs of runs (%v)", len(runs), err))
	}
	if vars, _, err := nomad.Variables().PrefixList("dynomad/"+app+"/", nil); err != nil || len(vars) > 0 {
		left = append(left, fmt.Sprintf("%d variables (%v)", len(vars), err))
	}
	entries, _, err := d.cluster.ConsulClient().Health().Service(app, "", false, nil)
	if err != nil || len(entries) > 0 {
		left = append(left, fmt.Sprintf("%d services (%v)", len(entries), err))
	}
	if ids := d.containers(ctx, app); len(ids) > 0 {
		left = append(left, fmt.Sprintf("containers %v", ids))
	}
	return left
}

// containers lists the running containers of an app's dynos, by Nomad's label.
func (d *daemon) containers(ctx context.Context, app string) []string {
	cmd := exec.CommandContext(ctx, "docker", "ps", "--no-trunc", "--format", "{{.ID}} {{.Names}}", "--filter", "label=com.hashicorp.nomad.alloc_id")
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+d.cluster.DockerHost())
	out, err := cmd.Output()
	if err != nil {
		d.tb.Errorf("listing containers: %v", err)
	}
	allocs, _, err := d.cluster.NomadClient().Allocations().List(nil)
	if err != nil {
		d.tb.Errorf("listing allocations: %v", err)
	}
	var ids []string
	for _, a := range allocs {
		if own := a.JobID == app || strings.HasPrefix(a.JobID, app+"_"); own && strings.Contains(string(out), a.ID) {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

//go:build integration

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestState_lookUps finds dynos by each of their keys, before and after the daemon was killed.
func TestState_lookUps(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	d.do(http.MethodPost, "/apps", `{"name":"keys"}`, http.StatusCreated, nil)
	for _, body := range []string{`{"type":"web","quantity":2}`, `{"type":"worker","command":"/app worker"}`} {
		d.do(http.MethodPost, "/apps/keys-default/formation", body, http.StatusOK, nil)
	}
	d.do(http.MethodPost, "/apps/keys-default/builds", `{"url":"`+d.cluster.Image(t, "hello")+`"}`, http.StatusCreated, nil)
	d.waitDynos("keys-default", "web", time.Minute, allReady(2))
	d.waitDynos("keys-default", "worker", time.Minute, allReady(1))
	// Last, since its dyno is replaced by another one when Nomad has restarted it twice.
	d.do(http.MethodPost, "/apps/keys-default/formation", `{"type":"faulty","command":"/app crash 3"}`, http.StatusOK, nil)
	faulty := func(list []dyno) bool { return len(list) == 1 && list[0].State == "app-crashed" }
	d.waitDynos("keys-default", "faulty", time.Minute, faulty)

	before := d.lookUps(t, "keys-default")
	if len(before) != 4 {
		t.Fatalf("got dynos %v, want four", before)
	}
	if err := d.process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := d.process.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.waitDynos("keys-default", "web", time.Minute, allReady(2))
	d.waitDynos("keys-default", "faulty", time.Minute, faulty)
	for key, id := range d.lookUps(t, "keys-default") {
		if before[key] != id {
			t.Errorf("after the daemon was killed %s is %s, was %s", key, id, before[key])
		}
	}
	states := map[string]string{}
	for _, y := range d.herokuDynos(t, "keys-default") {
		states[y.Name] = y.State
	}
	want := map[string]string{"web.1": "up", "web.2": "up", "worker.1": "up", "faulty.1": "crashed"}
	if diff := cmp.Diff(states, want); diff != "" {
		t.Errorf("Heroku's clients see (-got +want):\n%s", diff)
	}
}

// lookUps finds each of an app's dynos by all its keys, and gives their ids by "type.N type.name".
func (d *daemon) lookUps(tb testing.TB, app string) map[string]string {
	tb.Helper()
	list, err := d.dynos(tb.Context(), app)
	if err != nil {
		tb.Fatal(err)
	}
	found, count := map[string]string{}, map[string]int{}
	for _, y := range list {
		count[y.Type]++
		typeN := fmt.Sprintf("%s.%d", y.Type, count[y.Type])
		for _, key := range []string{y.ID, y.Name, y.Type + "." + y.Name, typeN} {
			for _, path := range []string{"/dynos/", "/dyno/"} {
				var got dyno
				d.do(http.MethodGet, "/apps/"+app+path+key, "", http.StatusOK, &got)
				if got.ID != y.ID || got.Name != y.Name {
					tb.Errorf("GET %s%s gives %s %s, want %s %s", path, key, got.ID, got.Name, y.ID, y.Name)
				}
			}
		}
		found[typeN+" "+y.Type+"."+y.Name] = y.ID
	}
	unknown := []string{
		"web", "web.0", "web.3", "web.01", "nothere.1", "%2e", "00000000-0000-4000-8000-000000000000", "worker." + list[len(list)-2].Name,
	}
	for _, key := range unknown {
		status, body, err := d.try(tb.Context(), http.MethodGet, "/apps/"+app+"/dynos/"+key, "")
		if err != nil || status != http.StatusNotFound {
			tb.Errorf("GET dynos/%s: %d %s %v, want 404", key, status, body, err)
		}
	}
	return found
}

// herokuDynos lists an app's dynos as Heroku's clients do.
func (d *daemon) herokuDynos(tb testing.TB, app string) []dyno {
	tb.Helper()
	var list []dyno
	d.heroku(tb, "/apps/"+app+"/dynos", &list)
	return list
}

func (d *daemon) herokuDyno(tb testing.TB, app, key string) dyno {
	tb.Helper()
	var y dyno
	d.heroku(tb, "/apps/"+app+"/dynos/"+key, &y)
	return y
}

func (d *daemon) heroku(tb testing.TB, path string, out any) {
	tb.Helper()
	status, body := get(tb, d.url+path, "Authorization", "Bearer "+d.token, "Accept", "application/vnd.heroku+json; version=3")
	if status != http.StatusOK {
		tb.Fatalf("GET %s: %d %s", path, status, body)
	}
	if err := json.Unmarshal([]byte(body), out); err != nil {
		tb.Fatalf("GET %s: %v in %s", path, err, body)
	}
}

// get reads a page. Headers are names and values in turn.
func get(tb testing.TB, url string, headers ...string) (int, string) {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, url, nil)
	if err != nil {
		tb.Fatal(err)
	}
	for pair := range slices.Chunk(headers, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

const (
	away       = 8 * time.Second  // long enough for the daemon to be at its longest pause between two tries
	backWithin = 10 * time.Second // that the view may take to be right again once Nomad or Consul is back
)

// TestCluster_agentsKilled kills Nomad, then Consul, under a running daemon, while something happens to a dyno. When the agent
// is back the view is soon right again, with the same dynos. Its Consul does not put off for minutes what a check puts out.
func TestCluster_agentsKilled(t *testing.T) {
	// not in parallel: it is about seconds
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cluster := startCluster(ctx, t, nomadtest.Config{NoTraefik: true, CheckUpdateInterval: "2s"})
	d := startDaemonOn(t, cluster, quick()...)
	d.do(http.MethodPost, "/apps", `{"name":"blink"}`, http.StatusCreated, nil)
	for _, body := range []string{
		`{"type":"web","healthcheck":"/health"}`, `{"type":"worker","command":"/app worker"}`, `{"type":"moved","command":"/app worker"}`,
	} {
		d.do(http.MethodPost, "/apps/blink-default/formation", body, http.StatusOK, nil)
	}
	d.do(http.MethodPost, "/apps/blink-default/builds", `{"url":"`+cluster.Image(t, "hello")+`"}`, http.StatusCreated, nil)
	web := d.waitDynos("blink-default", "web", time.Minute, allReady(1))[0]
	worker := d.waitDynos("blink-default", "worker", time.Minute, allReady(1))[0]
	moved := d.waitDynos("blink-default", "moved", time.Minute, allReady(1))[0]
	d.waitRelease("blink-default", 1, "succeeded")
	address := d.address(t, "blink-default")
	y := d.follow("blink-default")

	kill(t, cluster.Nomad)
	d.waitStale("blink-default", true)
	time.Sleep(away) // an outage, not a wait for a condition
	d.endContainer(t, worker.ID)
	d.rightAgain(ctx, t, y, comeback{
		agent: cluster.Nomad,
		// Of this Nomad's servers know at once, of the worker's end only when its client has told them.
		change: func(ctx context.Context) error {
			_, err := cluster.NomadClient().Allocations().Stop(&api.Allocation{ID: moved.ID}, (&api.QueryOptions{}).WithContext(ctx))
			return err
		},
		want: map[string]func(sighting) bool{web.ID: is("running ready", ""), moved.ID: toldToStop},
	})
	// Nomad's client tells its servers nothing before they have answered it, some 6 s after its start. That can take longer than
	// its pause before it starts the process again: then the end shows in the restarts alone.
	awaitEnd(t, cluster, worker.ID)
	y.await(t, backWithin, "that has ended", func(s sighting) bool {
		return s.ID == worker.ID && (is("app-crashed", "signal 9 (exit code 137)")(s) || s.Restarts == 1)
	})
	y.await(t, time.Minute, "worker that runs again", func(s sighting) bool { return s.ID == worker.ID && s.what() == "running ready" && s.Restarts == 1 })

	kill(t, cluster.Consul)
	d.waitStale("blink-default", true)
	time.Sleep(away)
	get(t, "http://"+address+"/health/fail")
	d.rightAgain(ctx, t, y, comeback{agent: cluster.Consul, want: map[string]func(sighting) bool{
		web.ID: is("probe-failure", "Its health check fails"), worker.ID: is("running ready", ""),
	}})
	y.await(t, backWithin, "of which is told what its check put out", is("probe-failure", "told to be sick"))
	get(t, "http://"+address+"/health/ok")
	y.await(t, backWithin, "that is well again", func(s sighting) bool { return s.ID == web.ID && s.what() == "running ready" })
	y.blinked(t, web.ID, worker.ID)
}

// blinked checks what the dynos did while Nomad and Consul were away one after the other.
func (y *diary) blinked(tb testing.TB, web, worker string) {
	tb.Helper()
	for id, did := range y.stories() {
		switch id {
		case web:
			if diff := cmp.Diff(did, []string{"running ready", "probe-failure", "running ready"}); diff != "" {
				tb.Errorf("what web did (-got +want):\n%s", diff)
			}
		case worker:
			if !inOrder(did, []string{"running ready", "app-crashed", "running ready"}) {
				tb.Errorf("the worker did %v, want it to crash at most once", did)
			}
		default: // the one that was moved, its successor, and its place while that is empty
			if !inOrder(did, []string{"waiting", "pending", "running ready", "stopping", "stopped"}) {
				tb.Errorf("the dyno %s did %v", id, did)
			}
		}
	}
	y.check(tb)
}

func kill(tb testing.TB, p *nomadtest.Process) {
	tb.Helper()
	if err := p.Kill(); err != nil {
		tb.Fatal(err)
	}
}

func restart(ctx context.Context, tb testing.TB, p *nomadtest.Process) {
	tb.Helper()
	if err := p.Restart(ctx); err != nil {
		tb.Fatal(err)
	}
}

// comeback is the return of an agent that was killed.
type comeback struct {
	agent  *nomadtest.Process
	change func(context.Context) error    // made as soon as the agent is back; nil is that enough has changed while it was away
	want   map[string]func(sighting) bool // by dyno
}

// rightAgain starts an agent again and waits until nothing is old any more and each dyno is as it should be. One at least must not
// have been so in the picture from before: that would else do, were it never renewed.
func (d *daemon) rightAgain(ctx context.Context, tb testing.TB, y *diary, c comeback) {
	tb.Helper()
	old := 0
	for id, ok := range c.want {
		if slices.ContainsFunc(y.latest(), func(s sighting) bool { return s.ID == id && ok(s) }) {
			old++
		}
	}
	if old == len(c.want) {
		tb.Fatalf("the picture from before shows all that is wanted: %+v", y.latest())
	}
	restart(ctx, tb, c.agent)
	back := time.Now()
	if c.change != nil {
		nomadtest.Eventually(tb, backWithin, c.change)
	}
	for id, ok := range c.want {
		y.await(tb, backWithin-time.Since(back), "as it should be after "+c.agent.Name()+" is back", func(s sighting) bool { return s.ID == id && ok(s) })
	}
	d.waitStale(y.app, false)
	took := time.Since(back)
	tb.Logf("right again %s after %s was back", took.Round(time.Millisecond), c.agent.Name())
	if took > backWithin {
		tb.Errorf("right again only %s after %s was back", took, c.agent.Name())
	}
}

// awaitEnd waits until Nomad's servers know that the process of an allocation has ended, running again or not.
func awaitEnd(tb testing.TB, cluster *nomadtest.Cluster, id string) {
	tb.Helper()
	nomadtest.Eventually(tb, time.Minute, func(ctx context.Context) error {
		alloc, _, err := cluster.NomadClient().Allocations().Info(id, (&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return err
		}
		for _, task := range alloc.TaskStates {
			if slices.ContainsFunc(task.Events, func(e *api.TaskEvent) bool { return e.Type == api.TaskTerminated }) {
				return nil
			}
		}
		return errors.New("nomad does not know of any end of " + id)
	})
}

// endContainer kills the container of a dyno, as the kernel could.
func (d *daemon) endContainer(tb testing.TB, id string) {
	tb.Helper()
	names := d.docker(tb, "ps", "--quiet", "--filter", "label=com.hashicorp.nomad.alloc_id="+id)
	if len(names) == 0 {
		tb.Fatalf("dyno %s has no container", id)
	}
	d.docker(tb, "kill", names)
}

// docker runs a command of Docker on the cluster's, and gives the one word it prints.
func (d *daemon) docker(tb testing.TB, args ...string) string {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+d.cluster.DockerHost())
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("docker %v: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}

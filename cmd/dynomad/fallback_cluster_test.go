//go:build integration

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	consulapi "github.com/hashicorp/consul/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// front is a daemon with a domain of its own, seen through the router: the fallback pages of the other daemons are not in its
// way.
type front struct {
	*daemon
	domain string
}

func startFront(t *testing.T, domain string, env ...string) front {
	t.Helper()
	env = append(append(quick(), "DYNOMAD_APP_DOMAIN="+domain), env...)
	return front{daemon: startDaemon(t, env...), domain: domain}
}

// told is what a visitor of an app got: the status, and the id of a JSON answer.
type told struct {
	status int
	id     string
}

func (f front) get(ctx context.Context, app, path, accept string) (told, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+f.cluster.RouterAddr()+path, nil)
	if err != nil {
		return told{}, "", err
	}
	req.Host = app + "." + f.domain
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return told{}, "", err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(resp.Body)
	var answer struct{ ID string }
	_ = json.Unmarshal(body, &answer) // an app's page is none
	return told{resp.StatusCode, answer.ID}, string(body), err
}

// sees waits until a visitor of an app gets an answer, and gives how long that took.
func (f front) sees(app string, want told) time.Duration {
	f.tb.Helper()
	start := time.Now()
	nomadtest.Eventually(f.tb, time.Minute, func(ctx context.Context) error {
		got, body, err := f.get(ctx, app, "/", "*/*")
		if err == nil && got != want {
			err = fmt.Errorf("%s: got %d %.200s, want %+v", app, got.status, body, want)
		}
		return err
	})
	return time.Since(start).Round(10 * time.Millisecond)
}

var (
	works       = told{status: http.StatusOK}
	noApp       = told{http.StatusNotFound, "not_found"}
	maintained  = told{http.StatusServiceUnavailable, "maintenance"}
	startingUp  = told{http.StatusServiceUnavailable, "starting"}
	notThere    = told{http.StatusServiceUnavailable, "unavailable"}
	browserSays = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"
)

// TestCluster_fallback visits an app through the router while it is away for every reason that its owner can have.
func TestCluster_fallback(t *testing.T) {
	t.Parallel()
	f := startFront(t, "Fall.localhost") // in capitals: hosts have none
	t.Logf("the pages after %s", f.sees("none-default", noApp))
	got, page, err := f.get(t.Context(), "none-default", "/any/path?x=1", browserSays)
	if err != nil || got.status != http.StatusNotFound || !strings.Contains(page, "<h1>No such app</h1>") {
		t.Errorf("a browser got %d %s, %v", got.status, page, err)
	}
	f.sees("x.y.none-default", noApp)

	f.do(http.MethodPost, "/apps", `{"name":"fall"}`, http.StatusCreated, nil)
	f.sees("fall-default", notThere)
	f.do(http.MethodPost, "/apps/fall-default/formation", `{"type":"web","healthcheck":"/health"}`, http.StatusOK, nil)
	f.do(http.MethodPost, "/apps/fall-default/builds", `{"url":"`+f.cluster.Image(t, "hello")+`"}`, http.StatusCreated, nil)
	f.sees("fall-default", works)
	f.sees("FALL-Default", works)
	f.waitRelease("fall-default", 1, "succeeded")

	for _, c := range []struct{ path, off, on string }{
		{"/apps/fall-default", `{"maintenance":true}`, `{"maintenance":false}`},
		{"/apps/fall-default/formation/web", `{"quantity":0}`, `{"quantity":1}`},
	} {
		f.do(http.MethodPatch, c.path, c.off, http.StatusOK, nil)
		off := f.sees("fall-default", maintained)
		_, page, _ := f.get(t.Context(), "fall-default", "/", browserSays)
		f.do(http.MethodPatch, c.path, c.on, http.StatusOK, nil)
		t.Logf("%s: the page after %s, the app again after %s", c.off, off, f.sees("fall-default", works))
		if !strings.Contains(page, "<h1>Under maintenance</h1>") {
			t.Errorf("%s: a browser got %s", c.off, page)
		}
	}

	// It falls ill: the router drops its dyno, and takes it up again when it is well.
	well := f.waitDynos("fall-default", "web", time.Minute, allReady(1))
	if got, body, err := f.get(t.Context(), "fall-default", "/health/fail", "*/*"); err != nil || got.status != http.StatusOK {
		t.Fatalf("making the app sick: %+v %s %v", got, body, err)
	}
	t.Logf("a sick app: the page after %s", f.sees("fall-default", notThere))
	if status, body := get(t, "http://"+f.address(t, "fall-default")+"/health/ok"); status != http.StatusOK {
		t.Fatalf("making the app well: %d %s", status, body)
	}
	f.sees("fall-default", works)
	if after := f.waitDynos("fall-default", "web", time.Minute, allReady(1)); after[0].ID != well[0].ID {
		t.Errorf("the dyno was replaced: %+v, was %+v", after, well)
	}
	f.do(http.MethodDelete, "/apps/fall-default", "", http.StatusOK, nil)
	f.sees("fall-default", noApp)
}

// TestCluster_fallbackNeverReady deploys a web that opens no port.
func TestCluster_fallbackNeverReady(t *testing.T) {
	t.Parallel()
	f := startFront(t, "never.localhost", "DYNOMAD_DEPLOY_TIMEOUT=15s")
	f.do(http.MethodPost, "/apps", `{"name":"never"}`, http.StatusCreated, nil)
	f.do(http.MethodPost, "/apps/never-default/formation", `{"type":"web","command":"/app silent"}`, http.StatusOK, nil)
	f.do(http.MethodPost, "/apps/never-default/builds", `{"url":"`+f.cluster.Image(t, "hello")+`"}`, http.StatusCreated, nil)
	f.sees("never-default", startingUp)
	nomadtest.Eventually(t, 2*time.Minute, func(ctx context.Context) error { // the rollout fails by its deadline, a minute later at most
		got, body, err := f.get(ctx, "never-default", "/", "*/*")
		if err == nil && got != notThere {
			err = fmt.Errorf("got %d %.200s", got.status, body)
		}
		return err
	})
	f.waitRelease("never-default", 1, "failed")
}

// registered lists what Consul has of the daemon's pages, passing or not.
func (f front) registered(ctx context.Context, installation string) (addresses []string, err error) {
	q := (&consulapi.QueryOptions{}).WithContext(ctx)
	entries, _, err := f.cluster.ConsulClient().Health().Service("dynomad-fallback-"+installation, "", false, q)
	for _, e := range entries {
		addresses = append(addresses, fmt.Sprintf("%s:%d %s", e.Service.Address, e.Service.Port, e.Checks.AggregatedStatus()))
	}
	return addresses, err
}

// TestCluster_fallbackKilled kills the daemon, starts it again and ends it: it has one registration, then none.
func TestCluster_fallbackKilled(t *testing.T) {
	t.Parallel()
	f := startFront(t, "killed.localhost")
	f.sees("none-default", noApp)
	installation := f.installation()
	before := f.waitRegistered(installation, 1)
	if err := f.process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := f.process.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.sees("none-default", noApp)
	after := f.waitRegistered(installation, 1)
	if before[0] == after[0] || !strings.HasSuffix(after[0], "passing") {
		t.Errorf("registered as %v, before %v: want the new listener", after, before)
	}
	if err := f.process.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.waitRegistered(installation, 0)
}

func (f front) waitRegistered(installation string, n int) []string {
	f.tb.Helper()
	var got []string
	nomadtest.Eventually(f.tb, 30*time.Second, func(ctx context.Context) (err error) {
		if got, err = f.registered(ctx, installation); err == nil && len(got) != n {
			err = fmt.Errorf("registered: %v, want %d", got, n)
		}
		return err
	})
	return got
}

// TestCluster_consulForgets ends Consul and starts it again, first with what it knew, then with nothing.
func TestCluster_consulForgets(t *testing.T) {
	t.Parallel()
	if guarded() {
		t.Skip("the tokens go with what Consul knew; the run without ACLs has this test")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cluster := startCluster(ctx, t, nomadtest.Config{})
	f := front{startDaemonOn(t, cluster, append(quick(), "DYNOMAD_APP_DOMAIN=forgets.localhost")...), "forgets.localhost"}
	f.sees("none-default", noApp)
	for _, forget := range []bool{false, true} {
		if err := cluster.Consul.Kill(); err != nil {
			t.Fatal(err)
		}
		if forget {
			if err := os.RemoveAll(filepath.Join(cluster.Dir(), "consul")); err != nil {
				t.Fatal(err)
			}
		}
		if err := cluster.Consul.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		nomadtest.Eventually(t, time.Minute, func(ctx context.Context) error { return f.ready(ctx) })
		nomadtest.Eventually(t, 30*time.Second, func(ctx context.Context) error {
			got, err := f.registered(ctx, f.installation())
			if err == nil && (len(got) != 1 || !strings.HasSuffix(got[0], "passing")) {
				err = fmt.Errorf("forgetting %t: registered as %v", forget, got)
			}
			return err
		})
		t.Logf("forgetting %t: the pages after %s", forget, f.sees("none-default", noApp))
	}
}

// TestCluster_consulIdle counts what a daemon asks of Consul while nothing happens: the same whatever it has to run.
func TestCluster_consulIdle(t *testing.T) {
	t.Parallel()
	cluster := shared.Cluster(t)
	consul := proxyTo(t, cluster.ConsulAddr())
	d := startDaemon(t, append(quick(), "CONSUL_HTTP_ADDR="+consul.Addr())...)
	d.do(http.MethodPost, "/apps", `{"name":"calm"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/calm-default/builds", `{"url":"`+cluster.Image(t, "hello")+`"}`, http.StatusCreated, nil)
	d.waitDynos("calm-default", "web", time.Minute, allReady(1))
	d.waitRelease("calm-default", 1, "succeeded")
	consul.Reset()
	time.Sleep(25 * time.Second) // a stretch of idleness, not a wait for a condition
	requests := consul.Requests()
	for _, prefix := range []string{"PUT /v1/session/renew/", "GET /v1/kv/dynomad/", "PUT /v1/agent/check/update/"} {
		n := 0
		for what, times := range requests {
			if strings.HasPrefix(what, prefix) {
				n += times
			}
		}
		if n < 1 || n > 3 {
			t.Errorf("%d of %s… in 25 s, want 2 or 3", n, prefix)
		}
	}
	for what := range requests {
		if strings.Contains(what, "/v1/session/create") || strings.Contains(what, "acquire") || strings.Contains(what, "/register") {
			t.Errorf("an idle daemon sent %s", what)
		}
	}
	t.Logf("in 25 s: %v", requests)
}

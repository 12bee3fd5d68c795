//go:build integration

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestCluster_firstDeploy is the tour of the README: create, build, look, visit, scale, delete.
func TestCluster_firstDeploy(t *testing.T) {
	t.Parallel()
	d := startDaemon(t)
	image := d.cluster.Image(t, "hello")
	d.do(http.MethodPost, "/apps", `{"name":"first"}`, http.StatusCreated, nil)
	start := time.Now()
	d.do(http.MethodPost, "/apps/first-default/builds", `{"url":"docker://`+image+`"}`, http.StatusCreated, nil)

	first := d.waitDynos("first-default", "web", time.Minute, allReady(1))[0]
	page := d.page("first-default", "/")
	t.Logf("from POST builds to the first 200 through the router: %s (settings as shipped)", time.Since(start).Round(10*time.Millisecond))
	if !strings.Contains(page, "web.1") || !strings.Contains(page, "v1") {
		t.Errorf("the page does not tell its dyno and release: %s", page)
	}
	if first.Release.Version != 1 || first.Size != "gp2" {
		t.Errorf("got dyno %+v, want release 1 and size gp2", first)
	}
	d.waitRelease("first-default", 1, "succeeded")

	d.do(http.MethodPatch, "/apps/first-default/formation", `[{"type":"web","quantity":3}]`, http.StatusOK, nil)
	three := d.waitDynos("first-default", "web", time.Minute, allReady(3))
	if !slices.ContainsFunc(three, func(y dyno) bool { return y.ID == first.ID && y.Name == first.Name }) {
		t.Errorf("scaling replaced the first dyno %s: %+v", first.ID, three)
	}

	d.do(http.MethodDelete, "/apps/first-default", "", http.StatusOK, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d.waitGone(ctx, "first-default")
}

func (d *daemon) waitRelease(app string, version int, status string) {
	d.tb.Helper()
	d.waitReleaseWithin(app, version, status, time.Minute)
}

func (d *daemon) waitReleaseWithin(app string, version int, status string, within time.Duration) {
	d.tb.Helper()
	nomadtest.Eventually(d.tb, within, func(ctx context.Context) error {
		_, body, err := d.try(ctx, http.MethodGet, fmt.Sprintf("/apps/%s/releases/%d", app, version), "")
		if err != nil {
			return err
		}
		var r struct{ Status string }
		if err := json.Unmarshal(body, &r); err != nil {
			return err
		}
		if r.Status != status {
			return fmt.Errorf("release v%d: %s", version, body)
		}
		return nil
	})
}

// TestCluster_hardening looks out of a dyno as an attacker would, on a cluster without ACLs: the task API's socket is masked.
func TestCluster_hardening(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	image := d.cluster.Image(t, "hello")
	d.do(http.MethodPost, "/apps", `{"name":"sock"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/sock-default/formation", `{"type":"web","command":"/app sock"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/sock-default/builds", `{"url":"`+image+`"}`, http.StatusCreated, nil)
	d.waitDynos("sock-default", "web", time.Minute, allReady(1))
	page := d.page("sock-default", "/")
	if !strings.Contains(page, "refused") {
		t.Errorf("the task API's socket answered from inside a dyno: %s", page)
	}
}

// TestCluster_commandWords sends a command with everything that Nomad, HCL or a shell could expand.
func TestCluster_commandWords(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	image := d.cluster.Image(t, "hello")
	words := []string{
		"/app", "web", "${COLOR}", "${X:-y}", "%{http_code}", "$${Z}", "%%{a}", "a b", `c"d`, `e\f`, "#g", "$(h)", "`i`", "ä✓", "*",
		"~", "${node.unique.id}", "{{ key }}", "line\nbreak", "tab\there", "$", "%", "$$", "$$$${Q}", "",
	}
	quotedWords := make([]string, len(words))
	for i, w := range words {
		quotedWords[i] = "'" + w + "'"
	}
	body, err := json.Marshal(map[string]any{"type": "web", "command": strings.Join(quotedWords, " ")})
	if err != nil {
		t.Fatal(err)
	}
	d.do(http.MethodPost, "/apps", `{"name":"words"}`, http.StatusCreated, nil)
	d.do(http.MethodPatch, "/apps/words-default/config-vars", `{"COLOR":"red; echo INJECTED"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/words-default/formation", string(body), http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/words-default/builds", `{"url":"`+image+`"}`, http.StatusCreated, nil)
	d.waitDynos("words-default", "web", time.Minute, allReady(1))
	var got []string
	if err := json.Unmarshal([]byte(d.page("words-default", "/args")), &got); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, words) {
		t.Errorf("words arrived changed:\ngot  %q\nwant %q", got, words)
	}
}

// TestCluster_neverListens deploys a web that opens no port: it is never ready.
func TestCluster_neverListens(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	image := d.cluster.Image(t, "hello")
	d.do(http.MethodPost, "/apps", `{"name":"mute"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/mute-default/formation", `{"type":"web","command":"/app silent"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/mute-default/builds", `{"url":"`+image+`"}`, http.StatusCreated, nil)
	d.waitDynos("mute-default", "web", time.Minute, func(list []dyno) bool {
		for _, y := range list {
			if y.Ready {
				t.Fatalf("a dyno that listens on nothing is ready: %+v", y)
			}
		}
		return len(list) == 1 && list[0].State == "probe-failure"
	})
}

// TestCluster_daemonKilled kills the daemon and starts it again: the dynos are the same ones.
func TestCluster_daemonKilled(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	image := d.cluster.Image(t, "hello")
	d.do(http.MethodPost, "/apps", `{"name":"kill"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/kill-default/builds", `{"url":"`+image+`"}`, http.StatusCreated, nil)
	d.do(http.MethodPatch, "/apps/kill-default/formation/web", `{"quantity":"2"}`, http.StatusOK, nil)
	before := d.waitDynos("kill-default", "web", time.Minute, allReady(2))
	if err := d.process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := d.process.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := d.waitDynos("kill-default", "web", time.Minute, allReady(2))
	for i := range before {
		if before[i] != after[i] {
			t.Errorf("dyno %d changed over a restart of the daemon:\nbefore %+v\nafter  %+v", i, before[i], after[i])
		}
	}
}

// TestCluster_nomadAway cuts the daemon off from Nomad and Consul: writes are accepted at once, reads go on and say how old
// they are, and everything is made up for when the connection is back.
func TestCluster_nomadAway(t *testing.T) {
	t.Parallel()
	cluster := shared.Cluster(t)
	nomad, consul := proxyTo(t, cluster.NomadAddr()), proxyTo(t, cluster.ConsulAddr())
	d := startDaemon(t, append(quick(), "NOMAD_ADDR=http://"+nomad.Addr(), "CONSUL_HTTP_ADDR="+consul.Addr())...)
	image := cluster.Image(t, "hello")
	d.do(http.MethodPost, "/apps", `{"name":"away"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/away-default/builds", `{"url":"`+image+`"}`, http.StatusCreated, nil)
	before := d.waitDynos("away-default", "web", time.Minute, allReady(1))

	for _, p := range []*nomadtest.Proxy{nomad, consul} {
		if err := p.Cut(); err != nil {
			t.Fatal(err)
		}
	}
	d.waitStale("away-default", true)
	d.do(http.MethodPatch, "/apps/away-default/formation/web", `{"quantity":2}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps", `{"name":"awaytoo"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/awaytoo-default/builds", `{"url":"`+image+`"}`, http.StatusCreated, nil)
	if list, err := d.dynos(t.Context(), "away-default"); err != nil || !slices.ContainsFunc(list, func(y dyno) bool { return y.ID == before[0].ID }) {
		t.Errorf("while cut off the last known dyno is not shown: %+v, %v", list, err)
	}

	for _, p := range []*nomadtest.Proxy{nomad, consul} {
		if err := p.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	d.waitDynos("away-default", "web", time.Minute, allReady(2))
	d.waitDynos("awaytoo-default", "web", time.Minute, allReady(1))
	d.waitStale("away-default", false)
}

func proxyTo(tb testing.TB, target string) *nomadtest.Proxy {
	tb.Helper()
	p, err := nomadtest.NewProxy(tb.Context(), target)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Error(err)
		}
	})
	return p
}

// waitStale waits until the answer about an app's dynos says, or no longer says, that it is old.
func (d *daemon) waitStale(app string, want bool) {
	d.tb.Helper()
	nomadtest.Eventually(d.tb, 30*time.Second, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+"/apps/"+app+"/dynos", nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", d.token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close() //nolint:errcheck // its header is wanted
		if stale := resp.Header.Get("Dynomad-Stale"); (stale != "") != want {
			return fmt.Errorf("Dynomad-Stale is %q", stale)
		}
		return nil
	})
}

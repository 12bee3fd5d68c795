//go:build integration

package main

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// counting is a worker that counts on both its streams until it is told to end.
const counting = `sh -c 'trap "echo bye; exit 0" TERM; i=0; while true; do i=$((i+1)); echo "out $i"; echo "err $i" >&2; sleep 0.2; done'`

// TestCluster_logs reads an app's logs while it is scaled, while the connection to Nomad breaks, and while the client comes back.
func TestCluster_logs(t *testing.T) {
	t.Parallel()
	cluster := shared.Cluster(t)
	nomad := proxyTo(t, cluster.NomadAddr())
	d := startDaemon(t, append(quick(), "NOMAD_ADDR=http://"+nomad.Addr())...)
	d.do(http.MethodPost, "/apps", `{"name":"logs"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/logs-default/formation", asJSON(t, map[string]any{"type": "worker", "quantity": 2, "command": counting}), http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/logs-default/builds", `{"url":"`+cluster.Image(t, "busybox")+`"}`, http.StatusCreated, nil)
	d.waitDynos("logs-default", "worker", time.Minute, allReady(2))

	all := d.tail(t, "/apps/logs-default/logs?tail=1&lines=1000", "")
	var session struct {
		URL string `json:"logplex_url"`
	}
	d.do(http.MethodPost, "/apps/logs-default/log-sessions", `{"tail":true,"lines":"0","dyno":"worker.2","source":"app"}`, http.StatusCreated, &session)
	one := d.tail(t, session.URL, "")
	all.wait(t, 20*time.Second, `^dynomad\[release\]: Released v1: Deploy .* by root@dynomad.local$`)
	all.wait(t, 20*time.Second, `^app\[worker.2\]: out 10$`)

	if err := nomad.Cut(); err != nil {
		t.Fatal(err)
	}
	d.do(http.MethodPatch, "/apps/logs-default/formation/worker", `{"quantity":3}`, http.StatusOK, nil)
	all.wait(t, 10*time.Second, `^dynomad\[formation\]: .*worker.*by root@dynomad.local$`)
	d.waitStale("logs-default", true)
	if err := nomad.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	all.wait(t, 30*time.Second, `^dynomad\[worker.3\]: state changed from \w+ to running|^dynomad\[worker.3\]: state is running`)
	all.wait(t, 30*time.Second, `^app\[worker.3\]: err 5$`)

	first := all.all(t)
	all.close()
	rest := first[len(first)/2:]
	again := d.tail(t, "/apps/logs-default/logs?tail=1", rest[0].id)
	again.wait(t, 20*time.Second, `^app\[worker.3\]: out 20$`)
	d.do(http.MethodPatch, "/apps/logs-default/formation/worker", `{"quantity":1}`, http.StatusOK, nil)
	again.wait(t, 30*time.Second, `^app\[worker.2\]: bye$`)
	again.wait(t, 30*time.Second, `^app\[worker.3\]: bye$`)
	again.wait(t, 30*time.Second, `^dynomad\[worker.3\]: state changed from stopping to stopped`)

	whole := append(first[:len(first)/2+1:len(first)/2+1], again.all(t)...)
	last := countedLines(t, whole)
	for _, key := range []string{"app[worker.1] out", "app[worker.1] err", "app[worker.3] out", "app[worker.3] err"} {
		if last[key] < 10 {
			t.Errorf("%s comes to %d: %v", key, last[key], last)
		}
	}
	if i := slices.IndexFunc(whole, func(e logEvent) bool { return e.from == "app[worker.3]" }); whole[i].text != "out 1" && whole[i].text != "err 1" {
		t.Errorf("the first line of worker.3 is %q", whole[i].text)
	}
	for i, e := range whole[:len(rest)] {
		if i < len(first) && e.id != first[i].id {
			t.Errorf("line %d was %s %s, is %s %s", i, first[i].id, first[i].text, e.id, e.text)
			break
		}
	}
	filtered := one.all(t)
	countedLines(t, filtered)
	if len(filtered) < 10 || slices.ContainsFunc(filtered, func(e logEvent) bool { return e.from != "app[worker.2]" }) {
		t.Errorf("the session of worker.2 gives %+v", filtered)
	}
	if status, text := get(t, d.url+"/apps/logs-default/logs?lines=30&source=app", "Authorization", d.token); status != http.StatusOK || strings.Count(text, "\n") != 30 {
		t.Errorf("the last 30 lines: %d %s", status, text)
	}
	d.do(http.MethodDelete, "/apps/logs-default", "", http.StatusOK, nil)
	<-again.done // the app is gone
}

// TestCluster_logLines writes what is no plain line, and ends: it is read as it comes, from the ring, and by a daemon that has just
// been started. That Nomad starts a dyno again is told, too.
func TestCluster_logLines(t *testing.T) {
	t.Parallel()
	// A process that Nomad hears of late is not taken for one that is well again.
	d := startDaemon(t, append(quick(), "DYNOMAD_MIN_HEALTHY_TIME=10s")...)
	again := d.crashing("again")
	const script = `printf "é\377é\000\033[1m\r\n"; head -c 25000 /dev/zero | tr "\000" x; echo; echo; echo done; exec sleep 1000`
	d.do(http.MethodPost, "/apps", `{"name":"lines"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/lines-default/formation", asJSON(t, map[string]any{"type": "worker", "command": "sh -c '" + script + "'"}), http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/lines-default/formation", asJSON(t, map[string]any{"type": "short", "command": "sh -c 'echo started; sleep 1; echo dying; exit 7'"}), http.StatusOK, nil)
	live := d.tail(t, "/apps/lines-default/logs?tail=1", "")
	d.do(http.MethodPost, "/apps/lines-default/builds", `{"url":"`+d.cluster.Image(t, "busybox")+`"}`, http.StatusCreated, nil)
	live.wait(t, time.Minute, `^app\[worker.1\]: done$`)
	live.wait(t, time.Minute, `^app\[short.1\]: dying$`)
	live.wait(t, time.Minute, `^dynomad\[short.1\]: state changed from running to app-crashed: .*exit code 7`)
	var got []string
	for _, e := range live.all(t) {
		if e.from == "app[worker.1]" {
			got = append(got, e.text)
		}
	}
	x := strings.Repeat("x", 10_000)
	want := []string{"é\ufffdé\x00\x1b[1m", x, x, x[:5000], "", "done"}
	if !slices.Equal(got, want) {
		t.Errorf("got %.200q, want %.200q", got, want)
	}
	live.close()
	look := func(ctx context.Context) error {
		_, body, err := d.try(ctx, http.MethodGet, "/apps/lines-default/logs?lines=1500&source=app", "")
		for _, line := range append(want, "dying") {
			if !strings.Contains(string(body), "]: "+line+"\n") {
				return fmt.Errorf("%.100q is missing in %.1000q (%w)", line, body, err)
			}
		}
		return err
	}
	nomadtest.Eventually(t, time.Second, look)
	again()
	if err := d.process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := d.process.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	nomadtest.Eventually(t, 20*time.Second, look)
}

// crashing starts an app whose worker ends whenever Nomad starts it, and gives how to wait for the logs to tell of that.
func (d *daemon) crashing(name string) (told func()) {
	d.tb.Helper()
	app := name + "-default"
	d.do(http.MethodPost, "/apps", `{"name":"`+name+`"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/"+app+"/formation", `{"type":"worker","command":"sh -c 'exit 7'"}`, http.StatusOK, nil)
	live := d.tail(d.tb, "/apps/"+app+"/logs?tail=1", "")
	d.do(http.MethodPost, "/apps/"+app+"/builds", `{"url":"`+d.cluster.Image(d.tb, "busybox")+`"}`, http.StatusCreated, nil)
	return func() {
		d.tb.Helper()
		const line = "dynomad[worker.1]: started again (2), state is app-crashed: Its process ended with exit code 7. It was restarted 2 times."
		live.wait(d.tb, time.Minute, "^"+regexp.QuoteMeta(line)+"$")
		live.close()
		if status, text := get(d.tb, d.url+"/apps/"+app+"/logs", "Authorization", d.token); status != http.StatusOK || strings.Count(text, " "+line+"\n") != 1 {
			d.tb.Errorf("the logs do not say %q once: %d %s", line, status, text)
		}
		allocs, _, err := d.cluster.NomadClient().Jobs().Allocations(app, false, nil)
		if err != nil || !slices.ContainsFunc(allocs, restartedTwice) {
			d.tb.Errorf("nomad has restarted no worker twice: %+v, %v", allocs, err)
		}
	}
}

func restartedTwice(a *api.AllocationListStub) bool {
	worker := a.TaskStates["worker"]
	return worker != nil && worker.Restarts == 2
}

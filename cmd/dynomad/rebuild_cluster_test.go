//go:build integration

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// rebuilt is one app of the test: how it came about and what it must have again.
type rebuilt struct {
	name    string
	release int
	counts  map[string]int
	dynos   map[string]string
	shown   map[string]any // what the API shows of it, by path
	version uint64         // of the job
	index   uint64         // JobModifyIndex
}

// TestCluster_rebuild loses the data folder of a daemon with three apps and reads them back: the same dynos run on, the jobs are not
// even changed, and everything works as before.
func TestCluster_rebuild(t *testing.T) {
	t.Parallel()
	d := startTooled(t)
	apps := d.makeApps()
	for _, a := range apps {
		d.remember(a)
	}
	installation := d.job(apps[0].name).Meta["dynomad"]
	if out, err := d.tool("rebuild"); err == nil || !strings.Contains(out, "another dynomad runs") {
		t.Errorf("a rebuild under a running daemon: %v %s", err, out)
	}
	d.stop()
	if err := os.RemoveAll(d.dataDir()); err != nil {
		t.Fatal(err)
	}

	d.start() // on an empty folder: it stops nothing, and says whose the jobs are
	if got := d.names(t.Context()); len(got) != 0 {
		t.Fatalf("an empty database has the apps %v", got)
	}
	nomadtest.Eventually(t, 30*time.Second, func(ctx context.Context) error {
		_, body, err := d.try(ctx, http.MethodGet, "/readyz", "")
		if err == nil && !strings.Contains(string(body), "3 jobs of another installation ("+installation+")") {
			err = fmt.Errorf("readyz: %s", body)
		}
		return err
	})
	d.stop()

	out := d.mustTool("rebuild", "--installation", installation)
	if strings.Contains(out, "WARNING") || strings.Contains(out, "NOT taken in") || strings.Contains(out, awkward()["LONG"]) {
		t.Errorf("rebuild says\n%s", out)
	}
	d.start()
	for _, a := range apps {
		d.checkSame(a)
	}
	d.watchStill(apps)
	d.checkUsable(apps)
}

// makeApps makes three apps, with all that could make a difference to a job.
func (d tooled) makeApps() []*rebuilt {
	d.tb.Helper()
	hello, busybox := d.cluster.Image(d.tb, "hello"), d.cluster.Image(d.tb, "busybox")
	vars, err := json.Marshal(awkward())
	if err != nil {
		d.tb.Fatal(err)
	}
	worker, err := json.Marshal(map[string]any{
		"type": "worker", "size": "gp1", "command": `sh -c 'echo "${HASH}" ${X:-y} %{z} $$$${Q} '\''it'\'' ; sleep 1000' 'a b' ''`, // as it is written when it is read back
	})
	if err != nil {
		d.tb.Fatal(err)
	}
	d.do(http.MethodPost, "/apps", `{"name":"rebweb"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/rebweb-default/formation", `{"type":"web","quantity":2,"healthcheck":"/health","size":"gp2-prod"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/rebweb-default/builds", `{"url":"`+hello+`"}`, http.StatusCreated, nil)
	d.settled("rebweb-default", 1, map[string]int{"web": 2})
	d.do(http.MethodPatch, "/apps/rebweb-default/config-vars", `{"GREETING":"hi"}`, http.StatusOK, nil)
	first := d.settled("rebweb-default", 2, map[string]int{"web": 2})
	d.do(http.MethodDelete, "/apps/rebweb-default/dynos", "", http.StatusAccepted, nil) // a restart id
	nomadtest.Eventually(d.tb, time.Minute, func(ctx context.Context) error {
		for id := range d.settled("rebweb-default", 2, map[string]int{"web": 2}) {
			if _, old := first[id]; old {
				return fmt.Errorf("not restarted yet")
			}
		}
		return ctx.Err()
	})
	d.do(http.MethodPatch, "/apps/rebweb-default/formation/web", `{"quantity":3}`, http.StatusOK, nil)

	d.do(http.MethodPost, "/apps", `{"name":"rebwork"}`, http.StatusCreated, nil)
	d.do(http.MethodPatch, "/apps/rebwork-default/config-vars", string(vars), http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/rebwork-default/formation", string(worker), http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/rebwork-default/builds", `{"url":"`+busybox+`"}`, http.StatusCreated, nil)

	d.do(http.MethodPost, "/spaces", `{"name":"reb"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps", `{"name":"rebboth","space":"reb"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/rebboth-reb/formation", `{"type":"web","command":"httpd -f -p 8123","port":8123,"size":"gp3"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/rebboth-reb/formation", `{"type":"clock","quantity":0,"command":"sleep 1000"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/rebboth-reb/builds", `{"url":"docker://`+busybox+`"}`, http.StatusCreated, nil)
	return []*rebuilt{
		{name: "rebweb-default", release: 2, counts: map[string]int{"web": 3}},
		{name: "rebwork-default", release: 2, counts: map[string]int{"worker": 1}},
		{name: "rebboth-reb", release: 1, counts: map[string]int{"web": 1}},
	}
}

// remember waits until an app has settled and keeps what it is.
func (d tooled) remember(a *rebuilt) {
	d.tb.Helper()
	a.dynos = d.settled(a.name, a.release, a.counts)
	a.shown = d.shows(a)
	job := d.job(a.name)
	a.version, a.index = *job.Version, *job.JobModifyIndex
}

// shows gives what the API shows of an app, without what no job tells of: ids of types and releases, times and texts.
func (d tooled) shows(a *rebuilt) map[string]any {
	d.tb.Helper()
	shown := map[string]any{}
	for path, keys := range map[string][]string{
		"": {"id", "name", "simple_name", "image", "web_url", "maintenance"}, "/config-vars": nil,
		"/formation":                                       {"type", "command", "quantity", "size", "port", "healthcheck", "oneoff", "schedule"},
		fmt.Sprintf("/releases/%d", a.release):             {"version", "status", "current"},
		fmt.Sprintf("/releases/%d/config-vars", a.release): nil,
	} {
		var answer any
		d.do(http.MethodGet, "/apps/"+a.name+path, "", http.StatusOK, &answer)
		shown[path] = only(answer, keys)
	}
	return shown
}

// only keeps some keys of an object, or of a list's objects; nil keys are all.
func only(answer any, keys []string) any {
	switch answer := answer.(type) {
	case []any:
		for i := range answer {
			answer[i] = only(answer[i], keys)
		}
	case map[string]any:
		kept := map[string]any{}
		for _, key := range keys {
			kept[key] = answer[key]
		}
		if keys != nil {
			return kept
		}
	}
	return answer
}

// checkSame wants an app to be what it was, with the same dynos.
func (d tooled) checkSame(a *rebuilt) {
	d.tb.Helper()
	if got := d.settled(a.name, a.release, a.counts); !maps.Equal(got, a.dynos) {
		d.tb.Errorf("%s: dynos (-got +want):\n%s", a.name, cmp.Diff(got, a.dynos))
	}
	if diff := cmp.Diff(d.shows(a), a.shown); diff != "" {
		d.tb.Errorf("%s shows (-got +want):\n%s", a.name, diff)
	}
}

// watchStill watches the loop do nothing for as long as it takes to look at every app by itself, and a little more.
func (d tooled) watchStill(apps []*rebuilt) {
	d.tb.Helper()
	for end := time.Now().Add(35 * time.Second); time.Now().Before(end); time.Sleep(time.Second) { // a stretch, not a wait
		for _, a := range apps {
			job := d.job(a.name)
			if *job.Version != a.version || *job.JobModifyIndex != a.index {
				d.tb.Fatalf("the job %s was changed: version %d to %d, index %d to %d", a.name, a.version, *job.Version, a.index, *job.JobModifyIndex)
			}
		}
	}
	for _, a := range apps {
		d.checkSame(a)
	}
}

// checkUsable scales, configures, builds and rolls back.
func (d tooled) checkUsable(apps []*rebuilt) {
	d.tb.Helper()
	webApp, work, both := apps[0], apps[1], apps[2]
	d.do(http.MethodPatch, "/apps/"+webApp.name+"/formation/web", `{"quantity":4}`, http.StatusOK, nil)
	four := d.settled(webApp.name, 2, map[string]int{"web": 4})
	for id, what := range webApp.dynos {
		if four[id] != what {
			d.tb.Errorf("scaling replaced the dyno %s", id)
		}
	}
	d.do(http.MethodPost, "/apps/"+work.name+"/builds", `{"url":"`+d.cluster.Image(d.tb, "busybox")+`"}`, http.StatusCreated, nil)
	d.settled(work.name, 3, work.counts)
	d.do(http.MethodPatch, "/apps/"+both.name+"/config-vars", `{"NEW":"1"}`, http.StatusOK, nil)
	d.settled(both.name, 2, both.counts)
	d.do(http.MethodPost, "/apps/"+both.name+"/releases", `{"release":"1"}`, http.StatusCreated, nil)
	for id := range d.settled(both.name, 3, both.counts) {
		if got, has := d.environment(dyno{ID: id, Type: "web"})["NEW"]; has {
			d.tb.Errorf("after the rollback NEW is %q", got)
		}
	}
	d.do(http.MethodPatch, "/apps/"+both.name+"/formation/clock", `{"quantity":1}`, http.StatusOK, nil)
	d.settled(both.name, 3, map[string]int{"web": 1, "clock": 1})
	for id := range d.settled(work.name, 3, work.counts) {
		env := d.environment(dyno{ID: id, Type: "worker"})
		for name, value := range awkward() {
			if env[name] != value {
				d.tb.Errorf("%s arrived as %q, want %q", name, env[name], value)
			}
		}
	}
}

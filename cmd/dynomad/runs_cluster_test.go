//go:build integration

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// runDyno is a one-off dyno as the API shows it.
type runDyno struct {
	dyno
	ExitCode *int   `json:"exit_code"`
	NomadURL string `json:"nomad_url"`
}

func (y runDyno) exit() int {
	if y.ExitCode == nil {
		return -1
	}
	return *y.ExitCode
}

// run runs a dyno once, as the fields say.
func (d *daemon) run(app string, fields map[string]any) runDyno {
	d.tb.Helper()
	body, err := json.Marshal(fields)
	if err != nil {
		d.tb.Fatal(err)
	}
	var y runDyno
	d.do(http.MethodPost, "/apps/"+app+"/dynos", string(body), http.StatusCreated, &y)
	return y
}

// waitRun waits until a one-off dyno is in one of some states.
func (d *daemon) waitRun(app string, y runDyno, within time.Duration, states ...string) runDyno {
	d.tb.Helper()
	var now runDyno
	nomadtest.Eventually(d.tb, within, func(ctx context.Context) error {
		status, body, err := d.try(ctx, http.MethodGet, "/apps/"+app+"/dynos/"+y.Name, "")
		if err != nil {
			return err
		}
		now = runDyno{}
		if err := json.Unmarshal(body, &now); err != nil {
			return err
		}
		if status != http.StatusOK || !slices.Contains(states, now.State) {
			return fmt.Errorf("%s: %d %s", y.Name, status, body)
		}
		return nil
	})
	if now.ID != y.ID {
		d.tb.Errorf("%s has the id %s, had %s", y.Name, now.ID, y.ID)
	}
	return now
}

// oneOffApp makes an app of busybox with a one-off type and nothing that is kept up.
func (d *daemon) oneOffApp(name string) string {
	d.tb.Helper()
	image := d.cluster.Image(d.tb, "busybox")
	d.do(http.MethodPost, "/apps", `{"name":"`+name+`"}`, http.StatusCreated, nil)
	app := name + "-default"
	d.do(http.MethodPatch, "/apps/"+app+"/config-vars", `{"COLOR":"blue","MODE":"app"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/"+app+"/formation",
		`{"type":"migrate","oneoff":true,"size":"gp1","command":"sleep 1000","options":{"env":{"MODE":"type","STEP":"type"}}}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/"+app+"/builds", `{"url":"`+image+`"}`, http.StatusCreated, nil)
	return app
}

// TestCluster_runs runs dynos once, in every way, beside each other.
func TestCluster_runs(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	app := d.oneOffApp("once")
	d.do(http.MethodPost, "/apps/"+app+"/formation", asJSON(t, map[string]any{
		"type": "other", "oneoff": true, "size": "gp1", "command": "/app crash 3", "options": map[string]string{"image": d.cluster.Image(t, "hello")},
	}), http.StatusOK, nil)
	var made sync.WaitGroup
	for name, tt := range map[string]struct {
		fields map[string]any
		state  string
		exit   int
		info   string
	}{
		"exit code":     {map[string]any{"command": "sh -c 'echo hi; exit 7'"}, "stopped", 7, "Its process ended with exit code 7."},
		"time to live":  {map[string]any{"command": "sleep 1000", "time_to_live": 5}, "stopped", 143, "Its time to live of 5s is over."},
		"no image":      {map[string]any{"command": "x", "image": "127.0.0.1:1/nothere:1"}, "start-failure", -1, "127.0.0.1:1/nothere:1"},
		"no command":    {map[string]any{"command": "no-such-command"}, "stopped", 127, "127"},
		"config vars":   {map[string]any{"command": `sh -c 'test "$COLOR$MODE$DYNOMAD_RELEASE" = blueappv2'`}, "stopped", 0, "Its process ended with exit code 0."},
		"its own wins":  {map[string]any{"command": `sh -c 'test "$MODE" = mine'`, "env": map[string]any{"MODE": "mine"}, "size": "gp1"}, "stopped", 0, ""},
		"of the type":   {map[string]any{"type": "migrate", "command": `sh -c 'test "$MODE$STEP" = typemine'`, "env": map[string]any{"STEP": "mine"}}, "stopped", 0, ""},
		"another image": {map[string]any{"type": "other"}, "stopped", 3, "Its process ended with exit code 3."}, // the app's own has no /app
		"out of memory": {map[string]any{"command": "tail /dev/zero", "size": "gp1"}, "stopped", 137, "It was killed for using more than its limit of 256 MiB"},
	} {
		made.Go(func() {
			y := d.waitRun(app, d.run(app, tt.fields), 90*time.Second, "stopped", "start-failure")
			for range 3 {
				if name != "time to live" || y.exit() != -1 {
					break // else a busy node had not started it by then: the next one's has a longer life
				}
				tt.fields["time_to_live"], tt.info = 20, "Its time to live of 20s is over."
				y = d.waitRun(app, d.run(app, tt.fields), 90*time.Second, "stopped", "start-failure")
			}
			if y.State != tt.state || y.exit() != tt.exit || !strings.Contains(y.AdditionalInfo, tt.info) {
				t.Errorf("%s: it ended %s with %d, %q", name, y.State, y.exit(), y.AdditionalInfo)
			}
			if name == "exit code" {
				d.checkRunLogs(app, y)
			}
		})
	}
	made.Go(func() { d.checkRunBytes(app) })
	made.Wait()
	d.once(app)
}

// checkRunLogs reads what one-off dynos that have ended wrote, of the first whose output Nomad has itself: of a container that is over
// before Nomad knows that it was started, as on a busy node, Nomad's Docker driver may keep nothing. The next one lasts longer.
func (d *daemon) checkRunLogs(app string, y runDyno) {
	d.tb.Helper()
	const tries = 3
	for range tries {
		told, kept := d.runLogs(app, y)
		if told {
			return
		}
		if kept == "hi\n" || d.tb.Failed() {
			d.tb.Errorf("the logs of %s have nothing, Nomad has %q", y.Name, kept)
			return
		}
		d.tb.Logf("Nomad kept nothing of %s: %s", y.Name, kept)
		y = d.waitRun(app, d.run(app, map[string]any{"command": "sh -c 'echo hi; sleep 2; exit 7'"}), 90*time.Second, "stopped")
	}
	d.tb.Errorf("of %d dynos that wrote a line Nomad kept nothing", tries)
}

// runLogs reads the logs of a one-off dyno until they have its line, and gives what Nomad has of it if they do not get it: an app whose logs
// were read before is followed, and a line takes its time to get there.
func (d *daemon) runLogs(app string, y runDyno) (told bool, kept string) {
	d.tb.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		status, text := get(d.tb, d.url+"/apps/"+app+"/logs?source=app&dyno="+y.Name, "Authorization", d.token)
		switch {
		case status == http.StatusOK && strings.HasSuffix(text, " app["+y.Name+"]: hi\n") && strings.Count(text, "\n") == 1:
			return true, ""
		case status != http.StatusOK || text != "":
			d.tb.Errorf("the logs of %s are %d %q", y.Name, status, text)
			return false, ""
		}
		time.Sleep(200 * time.Millisecond) // between two looks
	}
	return false, string(d.nomadAnswer("/v1/client/fs/logs/" + path.Base(y.NomadURL) + "?plain=true&type=stdout&task=" + y.Type))
}

// checkRunBytes reads the environment of a one-off dyno back, byte for byte, and stops it.
func (d *daemon) checkRunBytes(app string) {
	want := awkward()
	y := d.waitRun(app, d.run(app, map[string]any{"type": "migrate", "env": want}), 90*time.Second, "running")
	want["DYNO"], want["COLOR"], want["MODE"] = y.Name, "blue", "type"
	onNomad := y.dyno
	onNomad.ID = path.Base(y.NomadURL)
	got := d.environment(onNomad)
	for name, value := range want {
		if got[name] != value {
			d.tb.Errorf("%s arrived as %q, want %q", name, got[name], value)
		}
	}
	d.do(http.MethodPost, "/apps/"+app+"/dynos/"+y.Name+"/actions/stop", "", http.StatusAccepted, nil)
	if y = d.waitRun(app, y, time.Minute, "stopped"); y.exit() != 143 || y.AdditionalInfo != "It was stopped by request." {
		d.tb.Errorf("it ended with %d, %q", y.exit(), y.AdditionalInfo)
	}
}

// once fails if a job of an app's runs had more than one process.
func (d *daemon) once(app string) {
	d.tb.Helper()
	allocs, _, err := d.cluster.NomadClient().Allocations().List(nil)
	if err != nil {
		d.tb.Fatal(err)
	}
	started := map[string]int{}
	for _, a := range allocs {
		for _, state := range a.TaskStates {
			for _, e := range state.Events {
				if strings.HasPrefix(a.JobID, app+"_") && e.Type == api.TaskStarted {
					started[a.JobID]++
				}
			}
		}
	}
	for job, n := range started {
		if n > 1 {
			d.tb.Errorf("%s was started %d times", job, n)
		}
	}
	if len(started) == 0 {
		d.tb.Error("nothing was started")
	}
}

// runAtOnce asks for so many one-off dynos at once. The first ends with exit code 0, the next with 1, and so on.
func (d *daemon) runAtOnce(app string, many int) []runDyno {
	d.tb.Helper()
	all := make([]runDyno, many)
	var asked sync.WaitGroup
	for i := range all {
		asked.Go(func() {
			all[i] = d.run(app, map[string]any{"command": fmt.Sprintf("sh -c 'exit %d'", i), "size": "gp1"})
		})
	}
	asked.Wait()
	names, ids := map[string]bool{}, map[string]bool{}
	for _, y := range all {
		names[y.Name], ids[y.ID] = true, true
	}
	if len(names) != many || len(ids) != many {
		d.tb.Fatalf("%d dynos have %d names and %d ids", many, len(names), len(ids))
	}
	return all
}

// TestCluster_runsOutliveTheDaemon kills the daemon while runs that were asked for at once are on their way: each is run once, and its end is
// recorded. At last the app is deleted with a run that is up. The long form has a hundred.
func TestCluster_runsOutliveTheDaemon(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	app := d.oneOffApp("outlive")
	many := 30
	if soak() {
		many = 100
	}
	up := d.waitRun(app, d.run(app, map[string]any{"command": "sh -c 'sleep 8; exit 5'", "size": "gp1"}), time.Minute, "running")
	start := time.Now()
	all := d.runAtOnce(app, many)
	asked := time.Since(start)
	if err := d.process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := d.process.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if y := d.waitRun(app, up, time.Minute, "stopped"); y.exit() != 5 {
		t.Errorf("the one that was up ended with %d, %q", y.exit(), y.AdditionalInfo)
	}
	for i, y := range all {
		if y = d.waitRun(app, y, 2*time.Minute, "stopped", "start-failure"); y.exit() != i {
			t.Errorf("%s ended %s with %d, %q; want %d", y.Name, y.State, y.exit(), y.AdditionalInfo, i)
		}
	}
	t.Logf("%d dynos were asked for in %s, and had ended after %s", many, asked.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
	if list, err := d.dynos(t.Context(), app); err != nil || len(list) != many+1 {
		t.Errorf("%d dynos are listed, want %d (%v)", len(list), many+1, err)
	}
	d.once(app)
	last := d.waitRun(app, d.run(app, map[string]any{"type": "migrate"}), time.Minute, "running")
	d.do(http.MethodDelete, "/apps/"+app, "", http.StatusOK, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d.waitGone(ctx, app)
	if jobs, _, err := d.cluster.NomadClient().Jobs().PrefixList(app + "_"); err != nil || len(jobs) > 0 {
		t.Errorf("of %s is left: %v, %v", last.Name, jobs, err)
	}
}

// TestCluster_runsUntouched restarts and scales an app while one-off dynos of it run: they run on as they were, and nobody counts them.
func TestCluster_runsUntouched(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	app := d.oneOffApp("beside")
	web := "/apps/" + app + "/formation/web"
	d.do(http.MethodPost, "/apps/"+app+"/formation", `{"type":"web","command":"httpd -f -p 9000"}`, http.StatusOK, nil)
	runs := []runDyno{d.run(app, map[string]any{"type": "migrate"}), d.run(app, map[string]any{"command": "sleep 1000"})}
	first := ids(d.waitDynos(app, "web", time.Minute, allReady(1)))
	const process = "{{.Id}} {{.State.StartedAt}} {{.State.Pid}}"
	before := make([]string, len(runs))
	for i := range runs {
		runs[i] = d.waitRun(app, runs[i], time.Minute, "running")
		before[i] = d.ofContainer(path.Base(runs[i].NomadURL), process)
	}
	counts := d.counts(app)

	d.do(http.MethodDelete, "/apps/"+app+"/dynos", "", http.StatusAccepted, nil)
	d.waitDynos(app, "web", time.Minute, func(list []dyno) bool { return allReady(1)(list) && list[0].ID != first[0] })
	d.do(http.MethodPatch, web, `{"quantity":"+2"}`, http.StatusOK, nil)
	d.waitDynos(app, "web", time.Minute, allReady(3))
	d.do(http.MethodPatch, web, `{"quantity":"-2"}`, http.StatusOK, nil)
	d.waitSettled(app, 1+len(runs))

	for i, was := range runs {
		if is := d.waitRun(app, was, time.Minute, "running"); is != was {
			t.Errorf("a one-off dyno was %+v, is %+v", was, is)
		}
		if now := d.ofContainer(path.Base(was.NomadURL), process); now != before[i] {
			t.Errorf("the process of %s was %s, is %s", was.Name, before[i], now)
		}
	}
	if now := d.counts(app); now != counts {
		t.Errorf("the formation was %s, is %s", counts, now)
	}
	d.once(app)
}

// counts gives how many dynos of each type an app has: as its formation says, and as Nomad's job does.
func (d *daemon) counts(app string) string {
	d.tb.Helper()
	var types []struct {
		Type     string
		Quantity int
	}
	d.do(http.MethodGet, "/apps/"+app+"/formation", "", http.StatusOK, &types)
	job, _, err := d.cluster.NomadClient().Jobs().Info(app, nil)
	if err != nil {
		d.tb.Fatal(err)
	}
	groups := map[string]int{}
	for _, g := range job.TaskGroups {
		groups[*g.Name] = *g.Count
	}
	return fmt.Sprint(types, groups)
}

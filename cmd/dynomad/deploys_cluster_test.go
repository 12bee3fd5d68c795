//go:build integration

package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
	_ "github.com/mattn/go-sqlite3"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// serving starts an app of web dynos that serve, and gives their ids.
func (d *daemon) serving(app string, quantity int) []string {
	d.tb.Helper()
	d.do(http.MethodPost, "/apps", `{"name":"`+app+`"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/"+app+"-default/formation", fmt.Sprintf(`{"type":"web","quantity":%d}`, quantity), http.StatusOK, nil)
	d.build(app+"-default", "")
	list := d.waitDynos(app+"-default", "web", time.Minute, allReady(quantity))
	d.page(app+"-default", "/")
	d.waitRelease(app+"-default", 1, "succeeded")
	return ids(list)
}

// build builds, and so releases, the sample app; its web runs a command of the slug's, or the image's own.
func (d *daemon) build(app, web string) {
	d.tb.Helper()
	body := `{"url":"` + d.cluster.Image(d.tb, "hello") + `"}`
	if web != "" {
		body = `{"url":"` + d.cluster.Image(d.tb, "hello") + `","process_types":{"web":"` + web + `"}}`
	}
	d.do(http.MethodPost, "/apps/"+app+"/builds", body, http.StatusCreated, nil)
}

// reason gives what a release that failed says.
func (d *daemon) reason(app string, version int) string {
	d.tb.Helper()
	var r struct {
		AdditionalInfo string `json:"additional_info"`
	}
	d.do(http.MethodGet, fmt.Sprintf("/apps/%s/releases/%d", app, version), "", http.StatusOK, &r)
	return r.AdditionalInfo
}

// TestDeploy_badReleases releases what cannot run, in four ways: the dynos that were there stay and lose no request, the
// release says why it failed, and the job in Nomad is the good one.
func TestDeploy_badReleases(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, append(quick(), "DYNOMAD_DEPLOY_TIMEOUT=25s", "DYNOMAD_DRAIN=4s")...)
	t.Cleanup(d.deleteAll)
	tests := []struct {
		app    string
		body   string
		reason []string
	}{
		{"badexit", `{"url":"` + d.cluster.Image(t, "hello") + `","process_types":{"web":"/app crash 3"}}`, []string{"web is app-crashed", "exit code 3"}},
		{"badmute", `{"url":"` + d.cluster.Image(t, "hello") + `","process_types":{"web":"/app silent"}}`, []string{"web is probe-failure"}},
		{"badimage", `{"url":"dynomad.local/absent:7"}`, []string{"web is start-failure", "dynomad.local/absent:7"}},
	}
	before := make([][]string, len(tests))
	for i, tt := range tests {
		before[i] = d.serving(tt.app, 2)
	}
	for i, tt := range tests {
		t.Run(tt.app, func(t *testing.T) {
			t.Parallel()
			mine := *d
			mine.tb = t
			app := tt.app + "-default"
			visitors := mine.visitors(app, 2)
			began := time.Now()
			mine.do(http.MethodPost, "/apps/"+app+"/builds", tt.body, http.StatusCreated, nil)
			mine.waitRelease(app, 2, "failed")
			t.Logf("called after %s", time.Since(began).Round(100*time.Millisecond))
			for _, part := range tt.reason {
				if got := mine.reason(app, 2); !strings.Contains(got, part) {
					t.Errorf("the release says %q, want %q in it", got, part)
				}
			}
			mine.waitSettled(app, 2)
			total, failed := visitors()
			if failed != "" || total < 50 {
				t.Errorf("of %d requests failed: %s", total, failed)
			}
			list := mine.waitDynos(app, "web", time.Minute, allReady(2))
			if got := ids(list); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(before[i]))) {
				t.Errorf("the dynos are %v, were %v", got, before[i])
			}
			if job, _, err := d.cluster.NomadClient().Jobs().Info(app, nil); err != nil || job.TaskGroups[0].Meta["dynomad_release"] != "1" {
				t.Errorf("the job in Nomad is not the good one: %v", err)
			}
			mine.build(app, "") // a good one after it
			mine.waitRelease(app, 3, "succeeded")
		})
	}
}

// TestDeploy_badSize changes a size to one that fits nowhere: the type is held as it was, and says what it lacks.
func TestDeploy_badSize(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, append(quick(), "DYNOMAD_DEPLOY_TIMEOUT=12s", "DYNOMAD_SIZES="+stateSizesFile(t))...)
	before := d.serving("badsize", 2)
	d.do(http.MethodPatch, "/apps/badsize-default/formation/web", `{"size":"huge"}`, http.StatusOK, nil)
	notice := d.waitNotice("badsize-default", "web", "held at the last good definition")
	if !strings.Contains(notice, "needs room for 2 new dynos beside the 2 old") || !strings.Contains(notice, "memory") {
		t.Errorf("the type says %q", notice)
	}
	if got := ids(d.waitDynos("badsize-default", "web", time.Minute, allReady(2))); !slices.Equal(got, before) {
		t.Errorf("the dynos are %v, were %v", got, before)
	}
	d.build("badsize-default", "")
	d.waitRelease("badsize-default", 2, "succeeded")
	d.do(http.MethodPatch, "/apps/badsize-default/formation/web", `{"size":"gp2"}`, http.StatusOK, nil)
	if notice := d.waitNotice("badsize-default", "web", ""); notice != "" {
		t.Errorf("the type says %q", notice)
	}
}

// TestDeploy_badWorker breaks a worker: web is untouched, and the next release goes on while the worker stays as it was. A
// worker that never ran is left out, and says so.
func TestDeploy_badWorker(t *testing.T) {
	t.Parallel()
	// On a busy node Nomad may take a second to notice that a process has ended: it was healthy then, for whom a second is enough.
	d := startDaemon(t, append(quick(), "DYNOMAD_MIN_HEALTHY_TIME=4s")...)
	const app = "badworker-default"
	web := d.serving("badworker", 1)
	d.do(http.MethodPost, "/apps/"+app+"/formation", `{"type":"worker","command":"/app worker"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/"+app+"/formation", `{"type":"mistake","command":"/app crash 4"}`, http.StatusOK, nil)
	if notice := d.waitNotice(app, "mistake", "left out"); !strings.Contains(notice, "exit code 4") {
		t.Errorf("the type that never ran says %q", notice)
	}
	d.waitDynos(app, "mistake", time.Minute, func(list []dyno) bool {
		return len(list) == 1 && list[0].State == "app-crashed" && strings.Contains(list[0].AdditionalInfo, "exit code 4")
	})
	d.waitDeployed(app)
	worker := d.waitDynos(app, "worker", time.Minute, allReady(1)) // Nomad's revert may have replaced the first one
	d.do(http.MethodPatch, "/apps/"+app+"/formation/worker", `{"command":"/app crash 5"}`, http.StatusOK, nil)
	if notice := d.waitNotice(app, "worker", "held at the last good"); !strings.Contains(notice, "exit code 5") || !strings.Contains(notice, "/app worker") {
		t.Errorf("the worker says %q", notice)
	}
	if got := ids(d.waitDynos(app, "web", time.Minute, allReady(1))); !slices.Equal(got, web) {
		t.Errorf("web's dynos are %v, were %v", got, web)
	}
	if got := ids(d.waitDynos(app, "worker", time.Minute, allReady(1))); !slices.Equal(got, ids(worker)) {
		t.Errorf("the worker's dynos are %v, were %v", got, ids(worker))
	}
	d.build(app, "")
	d.waitRelease(app, 2, "succeeded")
	held := d.waitDynos(app, "worker", time.Minute, allReady(1))[0]
	if held.Release.Version != 2 || held.Command != "/app worker" {
		t.Errorf("the worker runs %+v", held)
	}
	d.do(http.MethodPatch, "/apps/"+app+"/formation/mistake", `{"command":"/app worker"}`, http.StatusOK, nil)
	d.waitDynos(app, "mistake", time.Minute, allReady(1))
}

// waitDeployed waits until Nomad calls an app's newest deployment successful, and the loop has had a look at that.
func (d *daemon) waitDeployed(app string) {
	d.tb.Helper()
	nomadtest.Eventually(d.tb, time.Minute, func(context.Context) error {
		newest, _, err := d.cluster.NomadClient().Jobs().LatestDeployment(app, nil)
		if err == nil && (newest == nil || newest.Status != "successful") {
			err = fmt.Errorf("the newest deployment of %s is %+v", app, newest)
		}
		return err
	})
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(d.dir, "data", "dynomad.db")+"?mode=ro")
	if err != nil {
		d.tb.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // read only
	nomadtest.Eventually(d.tb, time.Minute, func(ctx context.Context) error {
		var rolls bool
		err := db.QueryRowContext(ctx, `SELECT rolling_out FROM applied JOIN apps ON apps.id = app_id WHERE name = ? AND deleted_at IS NULL`, app).Scan(&rolls)
		if err == nil && rolls {
			err = fmt.Errorf("the rollout of %s was not seen to end", app)
		}
		return err
	})
}

// TestDeploy_scaleAroundBadRelease scales from 2 to 4 just before, during and just after a bad release.
func TestDeploy_scaleAroundBadRelease(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	t.Cleanup(d.deleteAll)
	when := []string{"before", "during", "after"}
	for _, w := range when {
		d.serving("scale"+w, 2)
	}
	for _, w := range when {
		t.Run(w, func(t *testing.T) {
			t.Parallel()
			mine := *d
			mine.tb = t
			app := "scale" + w + "-default"
			scale := func(at string) {
				if at == w {
					mine.do(http.MethodPatch, "/apps/"+app+"/formation/web", `{"quantity":4}`, http.StatusOK, nil)
				}
			}
			scale("before")
			mine.build(app, "/app crash 3")
			mine.waitDynos(app, "web", time.Minute, func(list []dyno) bool {
				return slices.ContainsFunc(list, func(y dyno) bool { return y.Release.Version == 2 })
			})
			scale("during")
			if w == "during" {
				mine.waitDynos(app, "web", 10*time.Second, func(list []dyno) bool {
					return slices.ContainsFunc(list, func(y dyno) bool { return y.AdditionalInfo == "It waits for the end of the rollout of v2." })
				})
			}
			mine.waitRelease(app, 2, "failed")
			scale("after")
			list := mine.waitDynos(app, "web", 90*time.Second, allReady(4))
			if slices.ContainsFunc(list, func(y dyno) bool { return y.Release.Version != 1 }) {
				t.Errorf("dynos: %+v", list)
			}
		})
	}
}

// testDeploysUnderLoad releases, changes config vars and a size, and rolls back, with one dyno and with four.
func testDeploysUnderLoad(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, append(quick(), "DYNOMAD_DRAIN=6s")...)
	t.Cleanup(d.deleteAll)
	for _, quantity := range []int{1, 4} {
		app := fmt.Sprintf("loaded%d", quantity)
		d.serving(app, quantity)
		t.Run(app, func(t *testing.T) {
			t.Parallel()
			mine := *d
			mine.tb = t
			mine.changeUnderLoad(t, app+"-default", quantity)
		})
	}
}

func (d *daemon) changeUnderLoad(t *testing.T, app string, quantity int) {
	t.Helper()
	visitors := d.visitors(app, 4)
	d.build(app, "")
	d.waitRelease(app, 2, "succeeded")
	d.do(http.MethodPatch, "/apps/"+app+"/config-vars", `{"COLOR":"red"}`, http.StatusOK, nil)
	d.waitRelease(app, 3, "succeeded")
	d.do(http.MethodPatch, "/apps/"+app+"/formation/web", `{"size":"gp3"}`, http.StatusOK, nil)
	d.waitDynos(app, "web", time.Minute, func(list []dyno) bool {
		return allReady(quantity)(list) && !slices.ContainsFunc(list, func(y dyno) bool { return y.Size != "gp3" })
	})
	d.do(http.MethodPost, "/apps/"+app+"/releases", `{"release":"1"}`, http.StatusCreated, nil)
	d.waitRelease(app, 4, "succeeded")
	d.waitSettled(app, quantity)
	total, failed := visitors()
	t.Logf("%d dynos: %d requests", quantity, total)
	if failed != "" || total < 100 {
		t.Errorf("%d dynos: of %d requests failed: %s", quantity, total, failed)
	}
	if page := d.page(app, "/env"); strings.Contains(page, "COLOR") {
		t.Errorf("rolled back to v1, dynos have %s", page)
	}
}

// TestDeploy_crashIsCalledSoon has a release crash at the settings as shipped. It is called long before its deadline.
func TestDeploy_crashIsCalledSoon(t *testing.T) {
	t.Parallel()
	d := startDaemon(t)
	d.serving("soon", 1)
	began := time.Now()
	d.build("soon-default", "/app crash 3")
	d.waitRelease("soon-default", 2, "failed")
	took := time.Since(began)
	t.Logf("a crash is called after %s", took.Round(100*time.Millisecond))
	if took > time.Minute { // the deadline is five
		t.Errorf("a crash was called after %s", took)
	}
}

// TestDeploy_movedMeanwhile has a release's new dyno told to go elsewhere on Nomad, as by a node's drain, before it has proved good. Its process ends
// by order, and another dyno takes its place: the release succeeds.
func TestDeploy_movedMeanwhile(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, append(quick(), "DYNOMAD_MIN_HEALTHY_TIME=5s")...)
	const app = "moved-default"
	d.serving("moved", 1)
	d.build(app, "")
	isNew := func(y dyno) bool { return y.Release.Version == 2 && y.State == string(dynomad.StateRunning) }
	list := d.waitDynos(app, "web", time.Minute, func(list []dyno) bool { return slices.ContainsFunc(list, isNew) })
	moved := list[slices.IndexFunc(list, isNew)]
	if _, err := d.cluster.NomadClient().Allocations().Stop(&api.Allocation{ID: moved.ID}, nil); err != nil {
		t.Fatal(err)
	}
	d.waitRelease(app, 2, dynomad.ReleaseSucceeded)
	d.waitSettled(app, 1)
	if now := d.waitDynos(app, "web", time.Minute, allReady(1)); now[0].ID == moved.ID {
		t.Error("the dyno was not moved")
	}
}

// TestDeploy_firstReleaseIsTriedAgain has an app whose first release cannot run until somebody pushes its image.
func TestDeploy_firstReleaseIsTriedAgain(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	const app = "tried-default"
	d.do(http.MethodPost, "/apps", `{"name":"tried"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/"+app+"/builds", `{"url":"dynomad.local/late:1"}`, http.StatusCreated, nil)
	d.waitRelease(app, 1, "failed")
	if got := d.reason(app, 1); !strings.Contains(got, "web is start-failure") || !strings.Contains(got, "dynomad.local/late:1") {
		t.Errorf("the release says %q", got)
	}
	d.waitDynos(app, "web", time.Minute, func(list []dyno) bool { return len(list) == 1 && list[0].State == "start-failure" })
	d.docker(t, "tag", d.cluster.Image(t, "hello"), "dynomad.local/late:1")
	d.waitDynos(app, "web", 2*time.Minute, allReady(1))
	d.waitRelease(app, 1, "succeeded")
}

//go:build integration

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	nomadapi "github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestCluster_underLoad has visitors come without pause, none of whom may be lost. Nothing runs beside these tests but they.
func TestCluster_underLoad(t *testing.T) {
	t.Run("restarts", testRestartsUnderLoad)
	t.Run("deploys", testDeploysUnderLoad)
}

// testRestartsUnderLoad restarts all, a type and single dynos, with three dynos and with one.
func testRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, append(quick(), "DYNOMAD_DRAIN=6s")...)
	d.do(http.MethodPost, "/apps", `{"name":"load"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/load-default/formation", `{"type":"web","quantity":3,"healthcheck":"/health"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/load-default/builds", `{"url":"`+d.cluster.Image(t, "hello")+`"}`, http.StatusCreated, nil)
	d.waitDynos("load-default", "web", time.Minute, allReady(3))
	d.page("load-default", "/")

	visitors := d.visitors("load-default", 8)
	d.restart("load-default", 3, 3, http.MethodDelete, "/dynos")
	d.restart("load-default", 3, 3, http.MethodDelete, "/dynos/web")
	d.restart("load-default", 3, 1, http.MethodDelete, "/dynos/web.2")
	d.restart("load-default", 3, 1, http.MethodPost, "/dynos/web.1/actions/stop")
	d.do(http.MethodPatch, "/apps/load-default/formation/web", `{"quantity":1}`, http.StatusOK, nil)
	d.waitSettled("load-default", 1)
	d.restart("load-default", 1, 1, http.MethodDelete, "/dynos")
	d.restart("load-default", 1, 1, http.MethodDelete, "/dynos/web.1")
	total, failed := visitors()
	t.Logf("%d requests during six restarts and a scaling down", total)
	if failed != "" || total < 100 {
		t.Errorf("of %d requests failed: %s", total, failed)
	}
	d.do(http.MethodDelete, "/apps/load-default/dynos/nothing", "", http.StatusNotFound, nil)
}

// restart asks for a restart and waits for its end: n dynos are ready, of which replaced are new ones, and none is stopping.
func (d *daemon) restart(app string, n, replaced int, method, path string) {
	d.tb.Helper()
	before := ids(d.waitDynos(app, "web", time.Minute, allReady(n)))
	d.do(method, "/apps/"+app+path, "", http.StatusAccepted, nil)
	d.waitDynos(app, "web", time.Minute, func(list []dyno) bool {
		kept := 0
		for _, id := range ids(list) {
			if slices.Contains(before, id) {
				kept++
			}
		}
		return allReady(n)(list) && kept == n-replaced
	})
	d.waitSettled(app, n)
}

// waitSettled waits until an app has n web dynos ready and none that is stopping.
func (d *daemon) waitSettled(app string, n int) {
	d.tb.Helper()
	nomadtest.Eventually(d.tb, time.Minute, func(ctx context.Context) error {
		list, err := d.dynos(ctx, app)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(list, func(y dyno) bool { return y.State == "stopping" }) {
			return errors.New("dynos are still stopping")
		}
		if up := slices.DeleteFunc(list, func(y dyno) bool { return y.State == "stopped" }); !allReady(n)(up) {
			return fmt.Errorf("dynos: %+v", up)
		}
		return nil
	})
}

// TestCluster_restartTwice restarts twice at once, which makes one or two rollouts, and then during a rollout. Never is one stuck.
func TestCluster_restartTwice(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	d.do(http.MethodPost, "/apps", `{"name":"twice"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/twice-default/formation", `{"type":"web","quantity":2}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/twice-default/builds", `{"url":"`+d.cluster.Image(t, "hello")+`"}`, http.StatusCreated, nil)
	before := ids(d.waitDynos("twice-default", "web", time.Minute, allReady(2)))
	d.waitRelease("twice-default", 1, "succeeded")
	d.restartTwice(t, "twice-default", before)

	before = ids(d.waitDynos("twice-default", "web", time.Minute, allReady(2)))
	d.do(http.MethodDelete, "/apps/twice-default/dynos", "", http.StatusAccepted, nil)
	d.do(http.MethodDelete, "/apps/twice-default/dynos", "", http.StatusAccepted, nil)
	d.do(http.MethodPatch, "/apps/twice-default/config-vars", `{"A":"1"}`, http.StatusOK, nil)
	d.do(http.MethodDelete, "/apps/twice-default/dynos/web.1", "", http.StatusAccepted, nil)
	d.do(http.MethodDelete, "/apps/twice-default/dynos/web", "", http.StatusAccepted, nil)
	d.waitDynos("twice-default", "web", 2*time.Minute, func(list []dyno) bool {
		return allReady(2)(list) && !slices.ContainsFunc(list, func(y dyno) bool { return slices.Contains(before, y.ID) || y.Release.Version != 2 })
	})
	d.waitSettled("twice-default", 2)
	d.waitRelease("twice-default", 2, "succeeded")
	d.notStuck(t, "twice-default")
}

// restartTwice has two clients restart an app of two dynos at the same time, and counts what rollouts that makes.
func (d *daemon) restartTwice(tb testing.TB, app string, before []string) {
	tb.Helper()
	earlier := d.rollouts(tb, app)
	d.notStuck(tb, app)
	var clients sync.WaitGroup
	for range 2 {
		clients.Go(func() {
			if status, body, err := d.try(tb.Context(), http.MethodDelete, "/apps/"+app+"/dynos", ""); err != nil || status != http.StatusAccepted {
				tb.Errorf("DELETE dynos: %d %s %v", status, body, err)
			}
		})
	}
	clients.Wait()
	d.waitDynos(app, "web", time.Minute, func(list []dyno) bool {
		return allReady(2)(list) && !slices.ContainsFunc(list, func(y dyno) bool { return slices.Contains(before, y.ID) })
	})
	d.waitSettled(app, 2) // the drain of the old ones outlasts the daemon's work at the rollout's end
	d.notStuck(tb, app)
	made := d.rollouts(tb, app) - earlier
	tb.Logf("two restarts at once made %d rollouts", made)
	if made != 1 && made != 2 {
		tb.Errorf("two restarts at once made %d rollouts, want one or two", made)
	}
}

// rollouts counts what was rolled out of an app whose quantities stay: each is a version of its job. Deployments that are over, without
// allocations that run, Nomad may have forgotten by now: it collects garbage while other tests purge their jobs.
func (d *daemon) rollouts(tb testing.TB, app string) int {
	tb.Helper()
	job, _, err := d.cluster.NomadClient().Jobs().Info(app, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return int(*job.Version) + 1 //nolint:gosec // a handful
}

// notStuck wants the last of an app's deployments to have succeeded, and none to be under way.
func (d *daemon) notStuck(tb testing.TB, app string) {
	tb.Helper()
	list, _, err := d.cluster.NomadClient().Jobs().Deployments(app, true, nil) // newest first
	if err != nil {
		tb.Fatal(err)
	}
	for i, r := range list {
		if ended := r.Status == nomadapi.DeploymentStatusSuccessful || (i > 0 && r.Status == nomadapi.DeploymentStatusCancelled); !ended {
			tb.Errorf("the rollout of the job's version %d, newest but %d, is %s: %s", r.JobVersion, i, r.Status, r.StatusDescription)
		}
	}
}

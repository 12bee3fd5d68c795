//go:build integration

package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestForgotten has Nomad forget the failed deployment of a first release, as it does by itself every few minutes, and so place anew what the
// daemon is about to try again. One dyno is tried at a time, and what runs one day is given a rollout, by which the release succeeds.
func TestForgotten(t *testing.T) {
	// not in parallel: all of Nomad's garbage is collected
	const app = "forgotten-default"
	d := startDaemon(t, quick()...)
	t.Cleanup(d.deleteAll)
	d.do(http.MethodPost, "/apps", `{"name":"forgotten"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/"+app+"/formation", `{"type":"worker","command":"/app crash 3"}`, http.StatusOK, nil)
	diary := d.follow(app)
	d.do(http.MethodPost, "/apps/"+app+"/builds", `{"url":"`+d.cluster.Image(t, "hello")+`"}`, http.StatusCreated, nil)
	d.waitRelease(app, 1, "failed")
	client := d.cluster.NomadClient()
	nomadtest.Eventually(t, 5*time.Second, func(context.Context) error { // of the ten that Nomad waits
		if err := client.System().GarbageCollect(); err != nil {
			return err
		}
		list, _, err := client.Jobs().Deployments(app, true, nil)
		if err == nil && len(list) > 0 {
			err = fmt.Errorf("Nomad knows of %d deployments", len(list))
		}
		return err
	})
	nomadtest.Eventually(t, 2*time.Minute, func(context.Context) error {
		if crashed := diary.crashed(); len(crashed) < 3 {
			return fmt.Errorf("%d dynos have crashed: %v", len(crashed), diary.stories())
		}
		return nil
	})
	diary.never(t, 2)
	job, _, err := client.Jobs().Info(app, nil)
	if err != nil || *job.Version != 0 {
		t.Errorf("the daemon has tried besides: version %d, %v", *job.Version, err)
	}
	d.do(http.MethodPatch, "/apps/"+app+"/formation/worker", `{"command":"/app worker"}`, http.StatusOK, nil)
	d.waitRelease(app, 1, "succeeded")
	d.waitDynos(app, "worker", time.Minute, allReady(1))
}

// crashed gives the dynos that were seen to crash.
func (y *diary) crashed() []string {
	var ids []string
	for id, story := range y.stories() {
		if slices.Contains(story, "app-crashed") {
			ids = append(ids, id)
		}
	}
	return ids
}

// never fails if there were ever so many dynos at once that were not told to stop.
func (y *diary) never(tb testing.TB, many int) {
	tb.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, rows := range y.course {
		if len(rows) >= many {
			tb.Errorf("app %s had %d dynos at once: %+v", y.app, len(rows), rows)
		}
	}
}

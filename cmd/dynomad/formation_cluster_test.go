//go:build integration

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	nomadapi "github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestCluster_typesApart changes one dyno type and sees the other one's dynos stay; scaling restarts nothing; a changed
// health check path is a rollout that loses no request. The drain is longer than in the other tests: Traefik takes up changes
// at most every two seconds (providersThrottleDuration), and other tests change their apps at the same time.
func TestCluster_typesApart(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, append(quick(), "DYNOMAD_DRAIN=6s")...)
	d.do(http.MethodPost, "/apps", `{"name":"apart"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/apart-default/formation", `{"type":"web","quantity":2,"healthcheck":"/health"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/apart-default/formation", `{"type":"worker","command":"/app worker"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/apart-default/builds", `{"url":"`+d.cluster.Image(t, "hello")+`"}`, http.StatusCreated, nil)
	web := d.waitDynos("apart-default", "web", time.Minute, allReady(2))
	worker := d.waitDynos("apart-default", "worker", time.Minute, allReady(1))
	d.waitRelease("apart-default", 1, "succeeded")

	d.do(http.MethodPatch, "/apps/apart-default/formation/worker", `{"command":"/app worker again"}`, http.StatusOK, nil)
	d.waitDynos("apart-default", "worker", time.Minute, func(list []dyno) bool { return allReady(1)(list) && list[0].ID != worker[0].ID })
	if after := d.waitDynos("apart-default", "web", time.Minute, allReady(2)); !slices.Equal(ids(web), ids(after)) {
		t.Errorf("a change of the worker's command replaced web: %v, was %v", ids(after), ids(web))
	}

	worker = d.waitDynos("apart-default", "worker", time.Minute, allReady(1))
	d.do(http.MethodPatch, "/apps/apart-default/formation", `{"updates":[{"type":"worker","quantity":"+2"},{"type":"web","quantity":1}]}`, http.StatusOK, nil)
	scaled := d.waitDynos("apart-default", "worker", time.Minute, allReady(3))
	if !slices.Contains(ids(scaled), worker[0].ID) {
		t.Errorf("scaling replaced the worker %s: %v", worker[0].ID, ids(scaled))
	}
	one := d.waitDynos("apart-default", "web", time.Minute, allReady(1))
	if !slices.Contains(ids(web), one[0].ID) {
		t.Errorf("scaling replaced web: %v, were %v", ids(one), ids(web))
	}

	visitors := d.visitors("apart-default", 4)
	d.do(http.MethodPatch, "/apps/apart-default/formation/web", `{"healthcheck":"/health?deep=1"}`, http.StatusOK, nil)
	d.waitDynos("apart-default", "web", time.Minute, func(list []dyno) bool { return allReady(1)(list) && list[0].ID != one[0].ID })
	nomadtest.Eventually(t, 30*time.Second, func(ctx context.Context) error {
		list, err := d.dynos(ctx, "apart-default")
		if err == nil && slices.ContainsFunc(list, func(y dyno) bool { return y.State == "stopping" }) {
			err = errors.New("the old dyno has not ended")
		}
		return err
	})
	if total, failed := visitors(); failed != "" || total < 20 {
		t.Errorf("of %d requests during the rollout failed: %s", total, failed)
	}
}

func ids(list []dyno) []string {
	out := make([]string, len(list))
	for i, y := range list {
		out[i] = y.ID
	}
	slices.Sort(out)
	return out
}

// visitorPause is what a visitor takes to look at a page. Visitors without one take half of a small machine, and the tests beside them
// wait: those of "make soak", which runs one test at a time, do not look.
const visitorPause = 25 * time.Millisecond

// visitors sends requests to an app, each visitor one after the other, until the function it gives is called, which tells how many there were
// and what went wrong.
func (d *daemon) visitors(app string, n int) func() (total int, failed string) {
	ctx, cancel := context.WithTimeout(d.tb.Context(), 3*time.Minute)
	var wg sync.WaitGroup
	var mu sync.Mutex
	total, failures := 0, map[string]int{}
	for range n {
		wg.Go(func() {
			for ctx.Err() == nil {
				status, body, err := d.visit(ctx, app, "/")
				if ctx.Err() != nil {
					return
				}
				mu.Lock()
				total++
				if err != nil {
					failures[err.Error()]++
				} else if status != http.StatusOK {
					failures[fmt.Sprintf("%d %.60s", status, body)]++
				}
				mu.Unlock()
				if !soak() {
					time.Sleep(visitorPause)
				}
			}
		})
	}
	d.tb.Cleanup(func() { cancel(); wg.Wait() })
	return func() (int, string) {
		cancel()
		wg.Wait()
		var failed []string
		for what, times := range failures {
			failed = append(failed, fmt.Sprintf("%d × %s", times, what))
		}
		return total, strings.Join(failed, "; ")
	}
}

// TestCluster_maintenance puts an app into maintenance and out of it: all goes to 0 and comes back.
func TestCluster_maintenance(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	d.do(http.MethodPost, "/apps", `{"name":"maint"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/maint-default/builds", `{"url":"`+d.cluster.Image(t, "hello")+`","process_types":{"web":"/app","worker":"/app worker"}}`, http.StatusCreated, nil)
	d.do(http.MethodPatch, "/apps/maint-default/formation", `[{"type":"web","quantity":2},{"type":"worker","quantity":1}]`, http.StatusOK, nil)
	d.waitDynos("maint-default", "web", time.Minute, allReady(2))
	d.do(http.MethodPatch, "/apps/maint-default", `{"maintenance":true}`, http.StatusOK, nil)
	d.waitDynos("maint-default", "web", time.Minute, allReady(0))
	d.waitDynos("maint-default", "worker", time.Minute, allReady(0))
	d.do(http.MethodPatch, "/apps/maint-default/formation", `[{"type":"web","quantity":1}]`, http.StatusConflict, nil)
	d.do(http.MethodPatch, "/apps/maint-default/config-vars", `{"A":"1"}`, http.StatusOK, nil)
	d.waitRelease("maint-default", 2, "succeeded")
	d.do(http.MethodPatch, "/apps/maint-default", `{"maintenance":false}`, http.StatusOK, nil)
	for _, y := range d.waitDynos("maint-default", "web", time.Minute, allReady(2)) {
		if y.Release.Version != 2 {
			t.Errorf("after maintenance dyno %s runs v%d, want v2", y.Name, y.Release.Version)
		}
	}
	d.waitDynos("maint-default", "worker", time.Minute, allReady(1))
}

// TestCluster_otherInstallation starts a daemon with an empty data folder beside the live apps of another one.
func TestCluster_otherInstallation(t *testing.T) {
	t.Parallel()
	first := startDaemon(t, quick()...)
	image := first.cluster.Image(t, "hello")
	apps := []string{"live1", "live2", "live3"}
	before := map[string][]string{}
	for _, app := range apps {
		first.do(http.MethodPost, "/apps", `{"name":"`+app+`"}`, http.StatusCreated, nil)
		first.do(http.MethodPost, "/apps/"+app+"-default/builds", `{"url":"`+image+`"}`, http.StatusCreated, nil)
	}
	for _, app := range apps {
		before[app] = ids(first.waitDynos(app+"-default", "web", time.Minute, allReady(1)))
	}
	second := startDaemon(t, quick()...)
	nomadtest.Eventually(t, 30*time.Second, func(ctx context.Context) error {
		_, body, err := second.try(ctx, http.MethodGet, "/readyz", "")
		if err == nil && !strings.Contains(string(body), "of another installation") {
			err = fmt.Errorf("readyz says nothing of the others: %s", body)
		}
		return err
	})
	// The same name on the second: refused by its release, the first one's job untouched.
	second.do(http.MethodPost, "/apps", `{"name":"live1"}`, http.StatusCreated, nil)
	second.do(http.MethodPost, "/apps/live1-default/builds", `{"url":"`+image+`"}`, http.StatusCreated, nil)
	second.waitRelease("live1-default", 1, "failed")
	second.do(http.MethodDelete, "/apps/live1-default", "", http.StatusOK, nil)
	for _, app := range apps {
		if after := ids(first.waitDynos(app+"-default", "web", time.Minute, allReady(1))); !slices.Equal(before[app], after) {
			t.Errorf("the dynos of %s changed: %v, were %v", app, after, before[app])
		}
	}
}

// TestCluster_foreign deploys apps whose names a job and a service of somebody else have.
func TestCluster_foreign(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	image := d.cluster.Image(t, "hello")
	nomad, consul := d.cluster.NomadClient(), d.cluster.ConsulClient()
	job := nomadapi.NewServiceJob("foreign-default", "foreign-default", "global", 50).AddDatacenter("*")
	group := nomadapi.NewTaskGroup("x", 0)
	task := nomadapi.NewTask("x", "docker").SetConfig("image", image)
	job.AddTaskGroup(group.AddTask(task))
	if _, _, err := nomad.Jobs().Register(job, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _, _ = nomad.Jobs().Deregister("foreign-default", true, nil) })
	service := &api.CatalogRegistration{Node: "elsewhere", Address: "127.0.0.1", Service: &api.AgentService{ID: "x", Service: "taken-default", Port: 1}}
	if _, err := consul.Catalog().Register(service, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = consul.Catalog().Deregister(&api.CatalogDeregistration{Node: "elsewhere"}, nil) })

	for app, reason := range map[string]string{"foreign": "A job named foreign-default", "taken": "A Consul service named taken-default"} {
		d.do(http.MethodPost, "/apps", `{"name":"`+app+`"}`, http.StatusCreated, nil)
		d.do(http.MethodPost, "/apps/"+app+"-default/builds", `{"url":"`+image+`"}`, http.StatusCreated, nil)
		d.waitRelease(app+"-default", 1, "failed")
		var r struct {
			AdditionalInfo string `json:"additional_info"`
		}
		d.do(http.MethodGet, "/apps/"+app+"-default/releases/1", "", http.StatusOK, &r)
		if !strings.Contains(r.AdditionalInfo, reason) {
			t.Errorf("release of %s says %q, want %q", app, r.AdditionalInfo, reason)
		}
	}
	after, _, err := nomad.Jobs().Info("foreign-default", nil)
	if err != nil || *after.Version != 0 || *after.Stop {
		t.Errorf("the foreign job was touched: %v, %+v", err, after)
	}
	d.do(http.MethodDelete, "/apps/foreign-default", "", http.StatusOK, nil)
	d.do(http.MethodDelete, "/apps/taken-default", "", http.StatusOK, nil)
	if _, _, err := nomad.Jobs().Info("foreign-default", nil); err != nil {
		t.Errorf("deleting the app ended the foreign job: %v", err)
	}
}

//go:build integration

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestDeploy_startOverlooked deletes a dyno type just when another one's new dyno has started: now and then Nomad misses the start. All the
// same the new type rolls out, and is scaled when it has.
func TestDeploy_startOverlooked(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, append(quick(), "DYNOMAD_DEPLOY_TIMEOUT=4m")...) // nothing is to end for its deadline
	const times = 6
	app := func(i int) string { return fmt.Sprintf("missed%d-default", i) }
	worker := func(i int) string { return fmt.Sprintf("w%d", i) } // of its own: Docker shows no app
	for i := range times {
		d.do(http.MethodPost, "/apps", fmt.Sprintf(`{"name":"missed%d"}`, i), http.StatusCreated, nil)
		d.build(app(i), "")
	}
	for i := range times {
		d.waitRelease(app(i), 1, dynomad.ReleaseSucceeded)
	}
	for i := range times {
		path, name := "/apps/"+app(i)+"/formation", worker(i)
		d.do(http.MethodPost, path, `{"type":"`+name+`","command":"/app worker","quantity":1}`, http.StatusOK, nil)
		nomadtest.Eventually(t, 30*time.Second, func(context.Context) error { // before Nomad's servers know
			if d.docker(t, "ps", "-q", "--filter", "name="+name+"-") == "" {
				return errors.New("its container does not run")
			}
			return nil
		})
		d.do(http.MethodDelete, path+"/web", "", http.StatusOK, nil)
		d.do(http.MethodPatch, path+"/"+name, `{"quantity":2}`, http.StatusOK, nil)
	}
	for i := range times {
		d.waitDynos(app(i), worker(i), time.Minute, func(list []dyno) bool {
			return len(list) == 2 && list[0].State == string(dynomad.StateRunning) && list[1].State == list[0].State
		})
	}
	t.Logf("nomad overlooked %d dynos", d.logged("had it look again"))
}

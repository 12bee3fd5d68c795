//go:build integration

package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestCluster_restore backs up under writes, changes everything, and restores: the app that the backup knows is brought to what it
// was, the one made since runs on, is reported, and is taken in by rebuild.
func TestCluster_restore(t *testing.T) {
	t.Parallel()
	d := startTooled(t)
	image := d.cluster.Image(t, "busybox")
	d.do(http.MethodPost, "/apps", `{"name":"bakold"}`, http.StatusCreated, nil)
	d.do(http.MethodPatch, "/apps/bakold-default/config-vars", `{"COLOR":"green"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/bakold-default/formation", `{"type":"web","quantity":2,"command":"httpd -f -p 9000"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/bakold-default/builds", `{"url":"`+image+`"}`, http.StatusCreated, nil)
	d.settled("bakold-default", 2, map[string]int{"web": 2})

	file := filepath.Join(t.TempDir(), "backup.db")
	writes := d.backUpUnderWrites(file, "bakold-default")
	t.Logf("%d writes were answered during the backup", writes)

	d.do(http.MethodPatch, "/apps/bakold-default/config-vars", `{"COLOR":"red"}`, http.StatusOK, nil)
	d.do(http.MethodPatch, "/apps/bakold-default/formation/web", `{"quantity":1}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps", `{"name":"baknew"}`, http.StatusCreated, nil)
	d.do(http.MethodPatch, "/apps/baknew-default/config-vars", `{"SHAPE":"round"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/baknew-default/formation", `{"type":"worker","command":"sleep 1000"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/baknew-default/builds", `{"url":"`+image+`"}`, http.StatusCreated, nil)
	changed := d.settled("bakold-default", 3, map[string]int{"web": 1})
	fresh := d.settled("baknew-default", 2, map[string]int{"worker": 1})

	if out, err := d.tool("restore", "--force", file); err == nil || !strings.Contains(out, "another dynomad runs") {
		t.Errorf("a restore under a running daemon: %v %s", err, out)
	}
	d.stop()
	if out, err := d.tool("restore", file); err == nil || !strings.Contains(out, "--force") {
		t.Errorf("a restore over a database without --force: %v %s", err, out)
	}
	d.mustTool("restore", "--force", file)
	d.start()

	back := d.settled("bakold-default", 2, map[string]int{"web": 2})
	for id := range back {
		if _, kept := changed[id]; kept {
			t.Errorf("dyno %s of the later release still runs", id)
		}
		if got := d.environment(dyno{ID: id, Type: "web"})["COLOR"]; got != "green" {
			t.Errorf("after the restore COLOR is %q", got)
		}
	}
	nomadtest.Eventually(t, 30*time.Second, func(ctx context.Context) error { // the later config version is in no record
		n, err := d.variables(ctx, "bakold-default")
		if err == nil && n["bakold-default"] != 1 {
			err = fmt.Errorf("variables: %v, want one", n)
		}
		return err
	})
	d.do(http.MethodGet, "/apps/baknew-default", "", http.StatusNotFound, nil)
	d.waitUnknown(1, "baknew-default")

	// Its name is free in the records, but its job is in nobody's hands.
	d.do(http.MethodPost, "/apps", `{"name":"baknew"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/baknew-default/builds", `{"url":"`+image+`"}`, http.StatusCreated, nil)
	d.waitRelease("baknew-default", 1, "failed")
	d.do(http.MethodDelete, "/apps/baknew-default", "", http.StatusOK, nil)
	nomadtest.Eventually(t, 30*time.Second, func(context.Context) error {
		if d.logged("app is gone from the cluster: app=baknew-default") == 0 {
			return fmt.Errorf("the app of the same name is not cleaned up")
		}
		return nil
	})
	if got, want := d.allocs("baknew-default"), slices.Sorted(maps.Keys(fresh)); !slices.Equal(got, want) {
		t.Errorf("the app made since runs %v, want %v", got, want)
	}
	if n := d.logged("are of apps or runs that are not in the records"); n != 1 {
		t.Errorf("the log tells of unknown jobs %d times, want once", n)
	}

	d.stop()
	d.mustTool("rebuild")
	d.start()
	if got := d.settled("baknew-default", 2, map[string]int{"worker": 1}); !maps.Equal(got, fresh) {
		t.Errorf("taken in are the dynos %v, want %v", got, fresh)
	}
	d.waitUnknown(0, "baknew-default")
	var vars map[string]string
	d.do(http.MethodGet, "/apps/baknew-default/config-vars", "", http.StatusOK, &vars)
	if len(vars) != 1 || vars["SHAPE"] != "round" {
		t.Errorf("its config vars are %v", vars)
	}
}

// backUpUnderWrites makes a backup while an app is written without pause, and gives how many writes were answered meanwhile.
func (d tooled) backUpUnderWrites(file, app string) int {
	d.tb.Helper()
	stop := make(chan struct{})
	answered := 0
	var writing sync.WaitGroup
	writing.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			body := fmt.Sprintf(`{"description":"write %d"}`, answered)
			if status, text, err := d.try(d.tb.Context(), http.MethodPatch, "/apps/"+app, body); err != nil || status != http.StatusOK {
				d.tb.Errorf("a write during the backup: %d %s %v", status, text, err)
				return
			}
			answered++
		}
	})
	d.mustTool("backup", file)
	close(stop)
	writing.Wait()
	return answered
}

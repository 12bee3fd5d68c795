//go:build integration

package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// TestCluster_repair changes by hand what belongs to an app: it is put back within seconds, and audited. A purge is not among it:
// Nomad's client could miss the end of the dynos, and take no orders for minutes (see nomad.Client.Purge).
func TestCluster_repair(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	const app = "repaired-default"
	d.serving("repaired", 2)
	nomad := d.cluster.NomadClient()
	damages := []struct {
		name, audit string
		do          func() error
		mended      func(context.Context) error
	}{
		{"edited", "job.repair", func() error {
			job, _, err := nomad.Jobs().Info(app, nil)
			if err != nil {
				return err
			}
			job.TaskGroups[0].Count = new(5)
			_, _, err = nomad.Jobs().Register(job, nil)
			return err
		}, d.count(app, 2)},
		{"scaled", "job.repair", func() error {
			_, _, err := nomad.Jobs().Scale(app, "web", new(1), "by hand", false, nil, nil)
			return err
		}, d.count(app, 2)},
		{"stopped", "job.repair", func() error {
			_, _, err := nomad.Jobs().Deregister(app, false, nil)
			return err
		}, d.count(app, 2)},
		{"config vars deleted", "config.repair", func() error {
			for path := range d.configPaths(app) {
				if _, err := nomad.Variables().Delete(path, nil); err != nil {
					return err
				}
			}
			return nil
		}, func(context.Context) error {
			if len(d.configPaths(app)) == 0 {
				return fmt.Errorf("%s has no variable", app)
			}
			return nil
		}},
	}
	for _, damage := range damages {
		before := d.audits(app, damage.audit)
		if err := damage.do(); err != nil {
			t.Fatalf("%s: %v", damage.name, err)
		}
		began := time.Now()
		nomadtest.Eventually(t, 30*time.Second, func(ctx context.Context) error {
			if n := d.audits(app, damage.audit); n <= before {
				return fmt.Errorf("%s: it was not repaired", damage.name)
			}
			return damage.mended(ctx)
		})
		t.Logf("%s: repaired after %s", damage.name, time.Since(began).Round(10*time.Millisecond))
		d.waitDynos(app, "web", time.Minute, allReady(2))
		d.waitDeployed(app)
	}
}

// count gives a condition: the app's job runs, with so many web dynos wanted.
func (d *daemon) count(app string, want int) func(context.Context) error {
	return func(ctx context.Context) error {
		job, _, err := d.cluster.NomadClient().Jobs().Info(app, (&api.QueryOptions{}).WithContext(ctx))
		if err == nil && (*job.Stop || *job.TaskGroups[0].Count != want) {
			err = fmt.Errorf("%s is stopped (%t) or has a count of %d", app, *job.Stop, *job.TaskGroups[0].Count)
		}
		return err
	}
}

// configPaths gives the paths of an app's variables.
func (d *daemon) configPaths(app string) map[string]bool {
	d.tb.Helper()
	list, _, err := d.cluster.NomadClient().Variables().PrefixList("dynomad/"+app+"/", nil)
	if err != nil {
		d.tb.Fatal(err)
	}
	paths := map[string]bool{}
	for _, v := range list {
		paths[v.Path] = true
	}
	return paths
}

// audits counts an app's audits of an action.
func (d *daemon) audits(app, action string) int {
	d.tb.Helper()
	var list []struct{ Action string }
	d.do(http.MethodGet, "/apps/"+app+"/audits", "", http.StatusOK, &list)
	return len(slices.DeleteFunc(list, func(a struct{ Action string }) bool { return !strings.HasPrefix(a.Action, action) }))
}

//go:build integration

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// tooled is a daemon under test whose other commands are used too, with the daemon's settings.
type tooled struct {
	*daemon
	env []string
}

func startTooled(t *testing.T) tooled {
	t.Helper()
	cluster := shared.Cluster(t)
	env := quick()
	if guarded() {
		env = append(env, grant(t, cluster)...)
	}
	return tooled{startDaemonOn(t, cluster, env...), env}
}

func (d tooled) dataDir() string { return filepath.Join(d.dir, "data") }

// tool runs a command of the binary and gives what it says, which must not have any of the secrets.
func (d tooled) tool(args ...string) (string, error) {
	d.tb.Helper()
	path, err := binary()
	if err != nil {
		d.tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(d.tb.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "DYNOMAD_DATA_DIR=" + d.dataDir(),
		"DYNOMAD_LISTEN=" + strings.TrimPrefix(d.url, "http://"),
		"NOMAD_ADDR=http://" + d.cluster.NomadAddr(), "CONSUL_HTTP_ADDR=" + d.cluster.ConsulAddr(),
	}, d.env...)
	out, err := cmd.CombinedOutput()
	d.tb.Logf("dynomad %s\n%s", strings.Join(args, " "), out)
	return string(out), err
}

// mustTool is tool for a command that must succeed.
func (d tooled) mustTool(args ...string) string {
	d.tb.Helper()
	out, err := d.tool(args...)
	if err != nil {
		d.tb.Fatalf("dynomad %v: %v", args, err)
	}
	return out
}

func (d tooled) stop() {
	d.tb.Helper()
	if err := d.process.Stop(d.tb.Context()); err != nil {
		d.tb.Fatal(err)
	}
}

func (d tooled) start() {
	d.tb.Helper()
	if err := d.process.Restart(d.tb.Context()); err != nil {
		d.tb.Fatal(err)
	}
}

// settled waits until the newest release of an app is the one given and has succeeded, and its types have so many dynos, and gives
// those by id with what they run.
func (d tooled) settled(app string, release int, counts map[string]int) map[string]string {
	d.tb.Helper()
	d.waitRelease(app, release, "succeeded")
	var got map[string]string
	nomadtest.Eventually(d.tb, time.Minute, func(ctx context.Context) error {
		list, err := d.dynos(ctx, app)
		if err != nil {
			return err
		}
		got = map[string]string{}
		have := map[string]int{}
		for _, y := range list {
			switch {
			case y.State == "stopped":
				continue
			case y.State != "running" || !y.Ready || y.Release.Version != release:
				return fmt.Errorf("not settled: %+v", list)
			}
			have[y.Type]++
			got[y.ID] = fmt.Sprintf("%s %s %s %q v%d", y.Name, y.Type, y.Size, y.Command, y.Release.Version)
		}
		if len(have) != len(counts) {
			return fmt.Errorf("not settled: %+v", list)
		}
		for dynoType, n := range counts {
			if have[dynoType] != n {
				return fmt.Errorf("not settled: %+v", list)
			}
		}
		return nil
	})
	return got
}

// allocs gives the allocations of a job that Nomad runs, sorted.
func (d tooled) allocs(job string) []string {
	d.tb.Helper()
	stubs, _, err := d.cluster.NomadClient().Jobs().Allocations(job, false, nil)
	if err != nil {
		d.tb.Fatal(err)
	}
	var ids []string
	for _, a := range stubs {
		if a.ClientStatus == "running" && a.DesiredStatus == "run" {
			ids = append(ids, a.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// job gives a job as Nomad has it.
func (d tooled) job(id string) *api.Job {
	d.tb.Helper()
	job, _, err := d.cluster.NomadClient().Jobs().Info(id, nil)
	if err != nil {
		d.tb.Fatal(err)
	}
	return job
}

// waitUnknown waits until /readyz, the metrics and the log tell of so many jobs that no record is of.
func (d tooled) waitUnknown(n int, name string) {
	d.tb.Helper()
	gauge := regexp.MustCompile(fmt.Sprintf(`(?m)^dynomad_unknown_jobs %d$`, n))
	nomadtest.Eventually(d.tb, 30*time.Second, func(ctx context.Context) error {
		status, ready, err := d.try(ctx, http.MethodGet, "/readyz", "")
		if err != nil || status != http.StatusOK {
			return errors.Join(err, fmt.Errorf("readyz: %d %s", status, ready))
		}
		_, metrics, err := d.try(ctx, http.MethodGet, "/metrics", "")
		if err != nil {
			return err
		}
		if !gauge.Match(metrics) || strings.Contains(string(ready), "("+name+")") != (n > 0) {
			return fmt.Errorf("readyz says %s, and the metric is not %d", ready, n)
		}
		return nil
	})
}

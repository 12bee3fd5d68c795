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
	"testing"
	"time"

	consul "github.com/hashicorp/consul/api"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// How many deploys are measured of each kind, of how many dynos, and how much longer than the others the daemon may take. Consul makes its
// first check at any time within the interval of a second, so that ten runs can miss by chance: then there are more.
const (
	deployRuns  = 10
	deployMost  = 30
	deployDynos = 4
	timesOthers = 1.10
)

// deployer starts a job's dynos in its own way.
type deployer struct {
	name    string
	prepare func(b *testing.B, job string)              // not measured
	start   func(ctx context.Context, job string) error // returns when it has nothing more to do
	check   func(b *testing.B, made *api.Job)           // that it was the same job; not measured
	remove  func(b *testing.B, job string)              // not measured
	had     []time.Duration                             // from the start until Nomad had the job
	first   []time.Duration                             // from the start to the first dyno that passes its check
	all     []time.Duration                             // … to the last
}

// benchDeploys measures the time from a request to ready dynos: a build that is posted to the daemon, "nomad job run" and Levant on
// the same job, by turns.
func benchDeploys(b *testing.B, found *board) {
	d := benchDaemon(b)
	image := d.cluster.Image(b, "hello")
	model := d.modelJob(b, image)
	all := []*deployer{d.buildDeployer(image), d.fileDeployer(b, model, "nomad"), d.fileDeployer(b, model, "levant")}
	for run := range deployMost {
		if run%deployRuns == 0 && run > 0 && worstRatio(all) <= timesOthers {
			break
		}
		names := make([]string, len(all))
		for i := range all {
			at := (run + i) % len(all) // none is always first
			names[at] = fmt.Sprintf("%s%d-default", all[at].name, run)
			d.measureDeploy(b, all[at], names[at])
		}
		for i := len(all) - 1; i >= 0; i-- {
			all[i].remove(b, names[i])
		}
	}
	reportDeploys(b, found, all)
}

// worstRatio is the largest ratio of the daemon's medians to those of another one.
func worstRatio(all []*deployer) float64 {
	worst := 0.0
	for _, other := range all[1:] {
		worst = max(worst, ratio(all[0].first, other.first), ratio(all[0].all, other.all))
	}
	return worst
}

// ratio is that of two medians.
func ratio(ours, theirs []time.Duration) float64 {
	return median(ours).Seconds() / median(theirs).Seconds()
}

// reportDeploys prints what was measured, and judges the medians.
func reportDeploys(b *testing.B, found *board, all []*deployer) {
	b.Helper()
	rows := [][]string{{
		fmt.Sprintf("%d deploys", len(all[0].first)), "Nomad has the job: median", "first ready: median", "least", "most", "all ready: median", "least", "most",
	}}
	for _, y := range all {
		rows = append(rows, []string{
			y.name, short(median(y.had)), short(median(y.first)), short(quantile(y.first, 0)), short(quantile(y.first, 1)), short(median(y.all)), short(quantile(y.all, 0)), short(quantile(y.all, 1)),
		})
	}
	fmt.Printf("%s\n", table(rows))
	ours := all[0]
	for _, other := range all[1:] {
		for _, r := range []struct {
			what         string
			ours, theirs []time.Duration
		}{
			{"the first ready dyno", ours.first, other.first}, {fmt.Sprintf("all %d ready", deployDynos), ours.all, other.all},
		} {
			f := inTimes(fmt.Sprintf("deploy to %s, of %s's time", r.what, other.name), ratio(r.ours, r.theirs))
			f.more = fmt.Sprintf(" (%s : %s)", short(median(r.ours)), short(median(r.theirs)))
			found.check(b, f, atMost(timesOthers))
		}
	}
}

// measureDeploy deploys once, and waits until Nomad is through with it.
func (d *daemon) measureDeploy(b *testing.B, y *deployer, job string) {
	b.Helper()
	y.prepare(b, job)
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	index, err := passingNow(ctx, d.cluster.ConsulClient(), job)
	if err != nil {
		b.Fatal(err)
	}
	start, done := time.Now(), make(chan error, 1)
	go func() { done <- y.start(ctx, job) }()
	first, all, err := waitPassing(ctx, d.cluster.ConsulClient(), job, index)
	if err != nil {
		b.Fatalf("%s: %v; its start: %v", job, err, ended(done))
	}
	y.first, y.all = append(y.first, first.Sub(start)), append(y.all, all.Sub(start))
	nomadtest.Eventually(b, time.Minute, func(context.Context) error {
		deployment, _, err := d.cluster.NomadClient().Jobs().LatestDeployment(job, nil)
		if err == nil && (deployment == nil || deployment.Status != api.DeploymentStatusSuccessful) {
			err = fmt.Errorf("the deployment of %s: %+v", job, deployment)
		}
		return err
	})
	if err := <-done; err != nil {
		b.Fatalf("%s: %v", job, err)
	}
	made, _, err := d.cluster.NomadClient().Jobs().Info(job, nil)
	if err != nil {
		b.Fatal(err)
	}
	y.had = append(y.had, time.Unix(0, *made.SubmitTime).Sub(start))
	y.check(b, made)
}

// ended gives what a start that may go on has come to.
func ended(done <-chan error) error {
	select {
	case err := <-done:
		return err
	default:
		return errors.New("it goes on")
	}
}

// passingNow makes sure that no instance of a service passes, and gives Consul's index.
func passingNow(ctx context.Context, client *consul.Client, service string) (uint64, error) {
	entries, meta, err := client.Health().Service(service, "", true, (&consul.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return 0, err
	}
	if len(entries) > 0 {
		return 0, fmt.Errorf("%d instances of %s pass already", len(entries), service)
	}
	return meta.LastIndex, nil
}

// waitPassing waits for a service's instances to pass their checks, and tells when the first and when the last did.
func waitPassing(ctx context.Context, client *consul.Client, service string, index uint64) (first, all time.Time, err error) {
	for {
		query := &consul.QueryOptions{WaitIndex: index, WaitTime: time.Minute}
		entries, meta, err := client.Health().Service(service, "", true, query.WithContext(ctx))
		now := time.Now()
		if err != nil {
			return first, all, fmt.Errorf("%d instances pass: %w", len(entries), err)
		}
		if first.IsZero() && len(entries) > 0 {
			first = now
		}
		if len(entries) >= deployDynos {
			return first, now, nil
		}
		index = meta.LastIndex
	}
}

// modelJob has the daemon deploy an app, and gives its job as Nomad has it.
func (d *daemon) modelJob(b *testing.B, image string) *api.Job {
	b.Helper()
	y := d.buildDeployer(image)
	const name = "model-default"
	y.prepare(b, name)
	if err := y.start(b.Context(), name); err != nil {
		b.Fatal(err)
	}
	d.waitDynos(name, "web", time.Minute, allReady(deployDynos))
	d.waitRelease(name, 1, "succeeded")
	job, _, err := d.cluster.NomadClient().Jobs().Info(name, nil)
	if err != nil {
		b.Fatal(err)
	}
	// The app stays, since the copies read its config vars; its dynos would only be in the way.
	d.do(http.MethodPatch, "/apps/"+name+"/formation/web", `{"quantity":0}`, http.StatusOK, nil)
	d.waitDynos(name, "web", time.Minute, allReady(0))
	return job
}

// buildDeployer is the daemon.
func (d *daemon) buildDeployer(image string) *deployer {
	const size = `{"type":"web","size":"tiny","quantity":%d}`
	return &deployer{
		name: "dynomad",
		prepare: func(_ *testing.B, job string) {
			app := job[:len(job)-len("-default")]
			d.do(http.MethodPost, "/apps", `{"name":"`+app+`"}`, http.StatusCreated, nil)
			d.do(http.MethodPost, "/apps/"+job+"/formation", fmt.Sprintf(size, deployDynos), http.StatusOK, nil)
		},
		start: func(ctx context.Context, job string) error {
			status, body, err := d.try(ctx, http.MethodPost, "/apps/"+job+"/builds", `{"url":"`+image+`"}`)
			if err == nil && status != http.StatusCreated {
				err = fmt.Errorf("POST builds: %d %s", status, body)
			}
			return err
		},
		check: func(_ *testing.B, made *api.Job) { d.waitRelease(*made.ID, 1, "succeeded") },
		remove: func(b *testing.B, job string) {
			d.do(http.MethodDelete, "/apps/"+job, "", http.StatusOK, nil)
			ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
			defer cancel()
			d.waitGone(ctx, job)
		},
	}
}

// fileDeployer is "nomad job run", told not to wait for the end, or "levant deploy".
func (d *daemon) fileDeployer(b *testing.B, model *api.Job, name string) *deployer {
	b.Helper()
	path, err := tool(name)
	if err != nil {
		b.Fatal(err)
	}
	levant := name == "levant"
	dir := b.TempDir()
	file := func(job string) string { return filepath.Join(dir, job+".hcl") }
	words := func(job string) []string { return []string{"job", "run", "-detach", file(job)} }
	if levant {
		words = func(job string) []string { return []string{"deploy", file(job)} }
	}
	return &deployer{
		name: name,
		prepare: func(b *testing.B, job string) {
			if err := os.WriteFile(file(job), jobFile(b, model, job, levant), 0o600); err != nil {
				b.Fatal(err)
			}
		},
		start: func(ctx context.Context, job string) error {
			cmd := exec.CommandContext(ctx, path, words(job)...)
			cmd.Dir = dir
			cmd.Env = []string{
				"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "NOMAD_ADDR=http://" + d.cluster.NomadAddr(), "CONSUL_HTTP_ADDR=" + d.cluster.ConsulAddr(),
			}
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w\n%s", name, err, out)
			}
			return nil
		},
		check: func(b *testing.B, made *api.Job) {
			if diff := sameJob(b, model, made, levant); diff != "" {
				b.Errorf("%s has made another job than the daemon: %s", name, diff)
			}
		},
		remove: func(b *testing.B, job string) { d.cluster.RemoveJob(b, job) },
	}
}

//go:build integration && release

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// deployed is a daemon that Nomad runs from the image, deployed as docs/install.md says.
type deployed struct {
	*daemon
	image  string
	volume string // its id
	port   int
}

// TestRelease_job has Nomad run the daemon that manages it, and an app deployed through that. The daemon's allocation is stopped,
// killed and upgraded, and its records are restored: nothing is lost, and no dyno is another.
func TestRelease_job(t *testing.T) {
	cluster := shared.Cluster(t)
	_, port, _ := strings.Cut(nomadtest.FreeAddr(t), ":")
	d := deployed{daemon: &daemon{tb: t, cluster: cluster, token: "root-token-of-the-test"}}
	d.port, _ = strconv.Atoi(port)
	d.load()
	d.prepare()
	first := d.run("", "")

	d.newApp("inside")
	before := d.waitDynos("inside-default", "web", time.Minute, allReady(1))
	d.page("inside-default", "/")

	d.nomad("alloc", "stop", first)
	second := d.waitAlloc(first)
	d.unchanged(before)
	d.kill(second)
	d.unchanged(before)
	d.docker("tag", d.image, "dynomad:upgraded")
	d.run("dynomad:upgraded", second)
	d.unchanged(before)
	d.do(http.MethodPatch, "/apps/inside-default/formation/web", `{"quantity":2}`, http.StatusOK, nil)
	before = d.waitDynos("inside-default", "web", time.Minute, allReady(2))

	file := d.backup()
	d.do(http.MethodPost, "/apps", `{"name":"later"}`, http.StatusCreated, nil)
	d.restore(file)
	d.run("dynomad:upgraded", "")
	d.unchanged(before)
	d.do(http.MethodGet, "/apps/later-default", "", http.StatusNotFound, nil)
}

// load loads the image of the release into the cluster's Docker.
func (d *deployed) load() {
	d.tb.Helper()
	out := d.docker("load", "--input", dist(d.tb, "dynomad-*-image-amd64.tar"))
	found := regexp.MustCompile(`Loaded image: (\S+)`).FindStringSubmatch(out)
	if found == nil {
		d.tb.Fatalf("docker load says %q", out)
	}
	d.image = found[1]
	if out := d.docker("run", "--rm", "--read-only", "--network", "none", d.image, "--version"); !strings.Contains(out, "dynomad version") {
		d.tb.Errorf("the image says %q", out)
	}
	d.tb.Cleanup(func() { d.docker("image", "rm", "--force", d.image, "dynomad:upgraded") })
}

func (d *deployed) docker(args ...string) string {
	d.tb.Helper()
	return commandAfter(d.tb, []string{"DOCKER_HOST=" + d.cluster.DockerHost()}, "docker", args...)
}

// nomad runs Nomad's own program, as an administrator.
func (d *deployed) nomad(args ...string) string {
	d.tb.Helper()
	root, err := nomadtest.RepoRoot()
	if err != nil {
		d.tb.Fatal(err)
	}
	env := []string{"NOMAD_ADDR=http://" + d.cluster.NomadAddr(), "NOMAD_TOKEN=" + d.cluster.NomadToken}
	return commandAfter(d.tb, env, filepath.Join(root, "bin", "nomad"), args...)
}

// commandAfter is command that works in a test's cleanup, too.
func commandAfter(tb testing.TB, env []string, name string, args ...string) string {
	tb.Helper()
	return commandIn(context.WithoutCancel(tb.Context()), tb, env, name, args...)
}

// prepare makes the volume and the settings, and has both removed with the test.
func (d *deployed) prepare() {
	d.tb.Helper()
	items := append([]string{"DYNOMAD_ROOT_TOKEN=" + d.token}, quick()...)
	if guarded() {
		items = append(items, grant(d.tb, d.cluster)...)
	}
	d.nomad(append([]string{"var", "put", "-force", "nomad/jobs/dynomad"}, items...)...)
	out := d.nomad("volume", "create", "../../docs/nomad/dynomad.volume.hcl")
	d.volume = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`).FindString(out)
	if d.volume == "" {
		d.tb.Fatalf("nomad volume create says %q", out)
	}
	d.tb.Cleanup(func() {
		d.cluster.RemoveJob(d.tb, "dynomad")
		d.nomad("var", "purge", "nomad/jobs/dynomad")
		d.nomad("volume", "delete", "-type", "host", d.volume)
	})
	d.tb.Cleanup(d.deleteApps) // before that
}

func (d *deployed) deleteApps() {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	if d.url == "" {
		return
	}
	for _, app := range d.names(ctx) {
		_, _, _ = d.try(ctx, http.MethodDelete, "/apps/"+app, "")
		d.waitGone(ctx, app)
	}
	if d.tb.Failed() {
		d.tb.Logf("the daemon's log:\n%s", d.nomad("alloc", "logs", "-stderr", "-job", "dynomad"))
	}
}

// run runs the job file, waits until its deployment has succeeded, and gives its allocation, which is another than old.
func (d *deployed) run(image, old string) string {
	d.tb.Helper()
	if image == "" {
		image = d.image
	}
	d.nomad("job", "run", "-var", "image="+image, "-var", "port="+strconv.Itoa(d.port), "-var", "nomad_addr=http://"+d.cluster.NomadAddr(),
		"-var", "consul_addr="+d.cluster.ConsulAddr(), "../../docs/nomad/dynomad.nomad.hcl")
	return d.waitAlloc(old)
}

// waitAlloc waits until one allocation runs, another than old, its daemon is ready, and gives it.
func (d *deployed) waitAlloc(old string) string {
	d.tb.Helper()
	var id string
	nomadtest.Eventually(d.tb, 2*time.Minute, func(ctx context.Context) error {
		allocs, _, err := d.cluster.NomadClient().Jobs().Allocations("dynomad", false, (&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return err
		}
		var up []string
		for _, a := range allocs {
			if a.ClientStatus == api.AllocClientStatusRunning {
				up = append(up, a.ID)
			}
		}
		if len(up) != 1 || up[0] == old {
			return fmt.Errorf("allocations %v run, before %s", up, old)
		}
		id = up[0]
		if err := d.find(ctx); err != nil {
			return err
		}
		return d.ready(ctx)
	})
	return id
}

// find looks the API up in Consul, as anybody would.
func (d *deployed) find(ctx context.Context) error {
	entries, _, err := d.cluster.ConsulClient().Health().Service("dynomad", "", true, nil)
	if err != nil {
		return err
	}
	if len(entries) != 1 {
		return fmt.Errorf("%d services dynomad pass their check", len(entries))
	}
	d.url = fmt.Sprintf("http://%s:%d", entries[0].Service.Address, entries[0].Service.Port)
	return ctx.Err()
}

// kill kills the daemon's container, and waits until Nomad has started it again in the same allocation.
func (d *deployed) kill(alloc string) {
	d.tb.Helper()
	before := d.restarts(alloc)
	d.docker("kill", "dynomad-"+alloc)
	nomadtest.Eventually(d.tb, time.Minute, func(context.Context) error {
		if d.restarts(alloc) == before {
			return errors.New("the daemon is not started again")
		}
		return nil
	})
	if again := d.waitAlloc(""); again != alloc {
		d.tb.Errorf("allocation %s took the place of %s", again, alloc)
	}
}

// restarts counts how often Nomad has started the daemon again in an allocation.
func (d *deployed) restarts(alloc string) uint64 {
	d.tb.Helper()
	info, _, err := d.cluster.NomadClient().Allocations().Info(alloc, nil)
	if err != nil {
		d.tb.Fatal(err)
	}
	return info.TaskStates["dynomad"].Restarts
}

// newApp makes an app and deploys the sample to it.
func (d *deployed) newApp(name string) {
	d.tb.Helper()
	d.do(http.MethodPost, "/apps", `{"name":"`+name+`"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/"+name+"-default/builds", `{"url":"`+d.cluster.Image(d.tb, "hello")+`"}`, http.StatusCreated, nil)
}

// unchanged wants the dynos that there were.
func (d *deployed) unchanged(before []dyno) {
	d.tb.Helper()
	after := d.waitDynos("inside-default", "web", time.Minute, allReady(len(before)))
	if diff := cmp.Diff(before, after); diff != "" {
		d.tb.Errorf("the dynos are others (-before +after):\n%s", diff)
	}
}

// backup takes a backup out of the allocation.
func (d *deployed) backup() (file string) {
	d.tb.Helper()
	d.nomad("alloc", "exec", "-job", "dynomad", "/usr/bin/dynomad", "backup", "--force", "--with-key", "/alloc/data/dynomad.tar")
	file = filepath.Join(d.tb.TempDir(), "dynomad.tar")
	if err := os.WriteFile(file, []byte(d.nomad("alloc", "fs", "-job", "dynomad", "alloc/data/dynomad.tar")), 0o600); err != nil {
		d.tb.Fatal(err)
	}
	return file
}

// restore stops the job and puts a backup into its volume, as the user of the image has it.
func (d *deployed) restore(file string) {
	d.tb.Helper()
	d.nomad("job", "stop", "dynomad")
	d.waitEnd()
	found := regexp.MustCompile(`(?m)^Host Path += (\S+)$`).FindStringSubmatch(d.nomad("volume", "status", d.volume))
	if found == nil {
		d.tb.Fatal("nomad volume status tells no path")
	}
	folder, name := filepath.Split(file)
	out := d.docker("run", "--rm", "--network", "none", "--user", "0", "-v", found[1]+":/var/lib/dynomad", "-v", folder+":/backup", d.image,
		"restore", "--force", "/backup/"+name)
	if !strings.Contains(out, "1 app") {
		d.tb.Errorf("restoring the backup says %q", out)
	}
}

// waitEnd waits until no allocation of the daemon is up.
func (d *deployed) waitEnd() {
	d.tb.Helper()
	nomadtest.Eventually(d.tb, time.Minute, func(ctx context.Context) error {
		allocs, _, err := d.cluster.NomadClient().Jobs().Allocations("dynomad", true, (&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return err
		}
		for _, a := range allocs {
			if a.ClientStatus == api.AllocClientStatusRunning || a.ClientStatus == api.AllocClientStatusPending {
				return fmt.Errorf("allocation %s is %s", a.ID, a.ClientStatus)
			}
		}
		return nil
	})
}

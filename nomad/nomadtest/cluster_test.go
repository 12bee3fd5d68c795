//go:build integration

package nomadtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	consul "github.com/hashicorp/consul/api"
	"github.com/hashicorp/nomad/api"
)

const jobWithin = time.Minute // for a job to run, and for things to come back after an outage

var shared Shared

func TestMain(m *testing.M) {
	if helper := os.Getenv(helperVariable); helper != "" {
		os.Exit(runHelper(helper))
	}
	os.Exit(shared.Run(m))
}

func TestNomadKilled_keepsAllocations(t *testing.T) {
	c := shared.Cluster(t)
	before := runWeb(t, c, "killnomad")

	pid := c.Nomad.PID()
	if err := c.Nomad.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := getOK(t.Context(), "http://"+c.NomadAddr()+"/v1/status/leader"); err == nil {
		t.Error("nomad answers after it was killed")
	}
	if err := visit(t.Context(), c, "killnomad"); err != nil {
		t.Errorf("without nomad: %v", err)
	}
	if err := c.Nomad.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.Nomad.PID() == pid {
		t.Error("nomad has the same process id after a restart")
	}
	after := runningAlloc(t, c, "killnomad")
	if after.ID != before.ID || after.TaskStates["web"].Restarts != 0 {
		t.Errorf("got allocation %s with %d restarts, want %s with none", after.ID, after.TaskStates["web"].Restarts, before.ID)
	}
}

// TestReap_knowsWhatAKillLeft makes containers that look like those of a client that was killed before it noted them: what is removed is
// what was made shortly before a kill, by this cluster, for allocations that do not run.
func TestReap_knowsWhatAKillLeft(t *testing.T) {
	c := shared.Cluster(t)
	alloc := runWeb(t, c, "reap")
	unknown, others := dangling(t, c, c.dir), dangling(t, c, t.TempDir())
	if err := c.Nomad.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := c.Nomad.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	runningAlloc(t, c, "reap")
	later := dangling(t, c, c.dir) // by its age it is not the kill's
	if reaped, err := c.Reap(t.Context()); err != nil || !slices.Equal(reaped, []string{unknown}) {
		t.Errorf("reaped %v, %v; want %s", reaped, err, unknown)
	}
	all, err := c.engine.api.allocContainers(t.Context(), false)
	if err != nil || !slices.ContainsFunc(all, func(a allocContainer) bool { return a.Labels[allocLabel] == alloc.ID && a.below(c.dir) }) {
		t.Errorf("the container of allocation %s is not known by its folder: %+v, %v", alloc.ID, all, err)
	}
	for _, id := range []string{others, later} {
		if err := c.engine.api.removeContainer(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	if err := visit(t.Context(), c, "reap"); err != nil {
		t.Errorf("after the containers that nobody knows: %v", err)
	}
}

// dangling starts a container that looks like one of an allocation of a cluster in a directory, and that Nomad does not know.
func dangling(t *testing.T, c *Cluster, dir string) (id string) {
	t.Helper()
	mount := filepath.Join(dir, "dangling")
	if err := os.MkdirAll(mount, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "docker", "run", "--detach", "--volume", mount+":/alloc", "--label", allocLabel+"="+uuid.NewString(), c.Image(t, "hello"), "/app", "worker")
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+c.DockerHost())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestConsulKilled_keepsCatalog(t *testing.T) {
	c := shared.Cluster(t)
	runWeb(t, c, "killconsul")

	if err := c.Consul.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := visit(t.Context(), c, "killconsul"); err != nil {
		t.Errorf("without consul: %v", err)
	}
	if err := c.Consul.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The agent compares its own list with the catalog as it comes back. An empty one would take Nomad longer to fill again.
	Eventually(t, 10*time.Second, func(ctx context.Context) error {
		services, _, err := c.ConsulClient().Catalog().Service("killconsul", "", (&consul.QueryOptions{}).WithContext(ctx))
		if err != nil || len(services) != 1 {
			return fmt.Errorf("services in the catalog: got %d, %v; want 1", len(services), err) //nolint:errorlint // there may be none
		}
		if ip := services[0].ServiceAddress; strings.HasPrefix(ip, "127.") {
			t.Errorf("the service is on the loopback address %s, where Docker's proxy answers for the dead", ip)
		}
		return nil
	})
}

func TestRouterStopped_keepsItsPort(t *testing.T) {
	c := shared.Cluster(t)
	runWeb(t, c, "stoprouter")
	if err := c.Traefik.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := visit(t.Context(), c, "stoprouter"); err == nil {
		t.Error("the stopped router answers")
	}
	if err := c.Traefik.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	Eventually(t, jobWithin, func(ctx context.Context) error { return visit(ctx, c, "stoprouter") })
}

func TestPause_silencesAndContinueWakes(t *testing.T) {
	c := shared.Cluster(t)
	if err := c.Nomad.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	err := getOK(ctx, "http://"+c.NomadAddr()+"/v1/status/leader")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("paused nomad: got %v, want no answer", err)
	}
	if err := c.Nomad.Continue(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, jobWithin, c.Servers[0].ready)
}

func TestImage_isBuiltOnce(t *testing.T) {
	c := shared.Cluster(t)
	tag := c.Image(t, "busybox")
	var image, again struct{ ID string }
	if err := c.engine.api.call(t.Context(), http.MethodGet, "/images/"+tag+"/json", nil, &image); err != nil {
		t.Fatal(err)
	}
	clear(c.images)
	c.Image(t, "busybox")
	if err := c.engine.api.call(t.Context(), http.MethodGet, "/images/"+tag+"/json", nil, &again); err != nil {
		t.Fatal(err)
	}
	if again.ID != image.ID {
		t.Errorf("built again from the same files: %s, then %s", image.ID, again.ID)
	}
}

func TestBuildImage_reportsBadDockerfile(t *testing.T) {
	c := shared.Cluster(t)
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/Dockerfile", []byte("FROM scratch\nCOPY nothing /\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := c.BuildImage(t.Context(), "dynomad.local/bad:1", dir)
	if err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("got %v, want an error that names the missing file", err)
	}
}

// runWeb runs one container of the sample web app, reachable through the router, and waits until it is served.
func runWeb(t *testing.T, c *Cluster, name string) *api.Allocation {
	t.Helper()
	if _, _, err := c.NomadClient().Jobs().Register(webJob(name, c.Image(t, "hello")), nil); err != nil {
		t.Fatal(err)
	}
	if c == shared.cluster {
		t.Cleanup(func() { c.RemoveJob(t, name) })
	}
	alloc := runningAlloc(t, c, name)
	Eventually(t, jobWithin, func(ctx context.Context) error { return visit(ctx, c, name) })
	return alloc
}

func runningAlloc(t *testing.T, c *Cluster, job string) *api.Allocation {
	t.Helper()
	var running *api.Allocation
	Eventually(t, jobWithin, func(ctx context.Context) error {
		opts := (&api.QueryOptions{}).WithContext(ctx)
		allocs, _, err := c.NomadClient().Jobs().Allocations(job, false, opts)
		if err != nil {
			return err
		}
		for _, a := range allocs {
			if a.ClientStatus == api.AllocClientStatusRunning {
				running, _, err = c.NomadClient().Allocations().Info(a.ID, opts)
				return err
			}
		}
		return fmt.Errorf("job %s has no running allocation among %d", job, len(allocs))
	})
	return running
}

// visit asks the router for the app, by its Host header.
func visit(ctx context.Context, c *Cluster, name string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.RouterAddr()+"/health", nil)
	if err != nil {
		return err
	}
	req.Host = name + ".test"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("router: %s", resp.Status)
	}
	return nil
}

func webJob(name, image string) *api.Job {
	task := api.NewTask("web", "docker").
		SetConfig("image", image).
		SetConfig("ports", []string{"http"}).
		SetConfig("init", true)
	task.Env = map[string]string{"PORT": "9000"}
	task.Resources = &api.Resources{CPU: ptr(50), MemoryMB: ptr(64)}
	group := api.NewTaskGroup("web", 1).AddTask(task)
	group.EphemeralDisk = &api.EphemeralDisk{SizeMB: ptr(110)}
	group.Networks = []*api.NetworkResource{{DynamicPorts: []api.Port{{Label: "http", To: 9000}}}}
	group.Services = []*api.Service{{
		Name:      name,
		PortLabel: "http",
		Tags:      []string{"traefik.enable=true", "traefik.http.routers." + name + ".rule=Host(`" + name + ".test`)"},
		Checks: []api.ServiceCheck{{
			Type: "http", Path: "/health", Interval: time.Second, Timeout: time.Second,
		}},
	}}
	task.LogConfig = &api.LogConfig{MaxFiles: ptr(2), MaxFileSizeMB: ptr(10)}
	return api.NewServiceJob(name, name, "global", 50).AddTaskGroup(group)
}

func ptr[T any](v T) *T { return &v }

//go:build integration

package nomadtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const helperVariable = "NOMADTEST_HELPER" // makes the test binary run a helper instead of tests

func TestClose_leavesNothing(t *testing.T) {
	c := startCluster(t, Config{})
	alloc := runWeb(t, c, "leavenothing")
	pids := []int{c.Consul.PID(), c.Nomad.PID(), c.Traefik.PID()}
	if helpers, err := markedPIDs(dirMark(c.Dir())); err != nil || len(helpers) <= len(pids) {
		t.Fatalf("marked processes: got %v, %v; want nomad's helpers among them", helpers, err)
	}
	if mounts, err := mountsUnder(c.Dir()); err != nil || len(mounts) == 0 {
		t.Fatalf("mounts: got %v, %v; want the task's secrets", mounts, err)
	}

	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	checkNothingLeft(t, c.Dir(), alloc.ID)
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d: got %v, want none", pid, err)
		}
	}
}

func TestClose_afterNomadWasKilled(t *testing.T) {
	c := startCluster(t, Config{NoTraefik: true})
	if _, _, err := c.NomadClient().Jobs().Register(webJob("orphan", c.Image(t, "hello")), nil); err != nil {
		t.Fatal(err)
	}
	alloc := runningAlloc(t, c, "orphan")
	if err := c.Nomad.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	checkNothingLeft(t, c.Dir(), alloc.ID)
}

func TestACL(t *testing.T) {
	c := startCluster(t, Config{ACL: true})
	runWeb(t, c, "withacl")
	if err := getOK(t.Context(), "http://"+c.NomadAddr()+"/v1/jobs"); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("nomad without a token: got %v, want 403", err)
	}
	if err := getOK(t.Context(), "http://"+c.ConsulAddr()+"/v1/agent/self"); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("consul without a token: got %v, want 403", err)
	}
	if err := c.Nomad.Restart(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLastingDataDir_bringsJobsBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	c := startCluster(t, Config{DataDir: dir})
	runWeb(t, c, "lasting")
	ports := c.Ports()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}

	c = startCluster(t, Config{DataDir: dir})
	if c.Ports() != ports {
		t.Errorf("ports: got %+v, want %+v", c.Ports(), ports)
	}
	c.Image(t, "hello") // if Docker was started by us, its images went with it
	Eventually(t, jobWithin, func(ctx context.Context) error { return visit(ctx, c, "lasting") })
	if _, err := Start(t.Context(), Config{DataDir: dir}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second cluster in the same directory: got %v, want an error", err)
	}
}

func TestStart_portTaken(t *testing.T) {
	c := shared.Cluster(t)
	_, err := Start(t.Context(), Config{Ports: Ports{NomadHTTP: c.Ports().NomadHTTP}})
	if !errors.Is(err, errPortTaken) {
		t.Errorf("got %v, want that the port is taken", err)
	}
}

// TestKilledProgram runs a cluster in another process, kills that, and sees what is left.
func TestKilledProgram_endsAgentsAndIsSweptUp(t *testing.T) {
	shared.Cluster(t) // keeps Docker
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), helperVariable+"=cluster")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var dir, alloc string
	if _, err := fmt.Fscanln(out, &dir, &alloc); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed

	Eventually(t, 5*time.Second, func(context.Context) error { return noAgents(dir) })
	c := startCluster(t, Config{NoTraefik: true})
	checkNothingLeft(t, dir, alloc)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// runHelper is the other process of TestKilledProgram: it prints its directory and allocation, and waits for its end.
func runHelper(string) int {
	ctx := context.Background()
	c, err := Start(ctx, Config{NoTraefik: true})
	if err != nil {
		complain("starting the helper", err)
		return 1
	}
	if _, _, err = c.NomadClient().Jobs().Register(webJob("helper", "dynomad.local/hello:1"), nil); err != nil {
		complain("registering", err)
		return 1
	}
	for {
		allocs, _, err := c.NomadClient().Jobs().Allocations("helper", false, nil)
		if err == nil && len(allocs) == 1 && allocs[0].ClientStatus == "running" {
			fmt.Println(c.Dir(), allocs[0].ID)
			select {}
		}
		<-time.After(pollEvery)
	}
}

// noAgents wants no agent of the cluster in dir; Nomad's helpers may be there.
func noAgents(dir string) error {
	pids, err := markedPIDs(dirMark(dir))
	if err != nil {
		return err
	}
	for _, pid := range pids {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.Contains(string(line), "\x00agent\x00") {
			return fmt.Errorf("agent %d is still there", pid)
		}
	}
	return nil
}

func checkNothingLeft(t *testing.T, dir, alloc string) {
	t.Helper()
	if pids, err := markedPIDs(dirMark(dir)); err != nil || len(pids) > 0 {
		t.Errorf("processes: got %v, %v; want none", pids, err)
	}
	if mounts, err := mountsUnder(dir); err != nil || len(mounts) > 0 {
		t.Errorf("mounts: got %v, %v; want none", mounts, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("data directory: got %v, want none", err)
	}
	if containers, err := shared.Cluster(t).containers(t.Context(), alloc); err != nil || len(containers) > 0 {
		t.Errorf("containers: got %v, %v; want none", containers, err)
	}
}

// containers lists the containers of an allocation, of whatever cluster.
func (c *Cluster) containers(ctx context.Context, alloc string) ([]string, error) {
	filter := url.Values{"all": {"1"}, "filters": {fmt.Sprintf("{%q:[%q]}", "label", allocLabel+"="+alloc)}}
	var containers []struct{ ID string }
	err := c.engine.api.call(ctx, http.MethodGet, "/containers/json", filter, &containers)
	ids := make([]string, len(containers))
	for i := range containers {
		ids[i] = containers[i].ID
	}
	return ids, err
}

// startCluster starts a cluster beside the shared one, so that checkNothingLeft can ask Docker after its end.
func startCluster(t *testing.T, config Config) *Cluster {
	t.Helper()
	shared.Cluster(t)
	c, err := Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

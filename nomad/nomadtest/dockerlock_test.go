//go:build integration

package nomadtest

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestSweepDockers is about a Docker that was killed together with its reaper: the network of a dead container is kept
// by its mount, and a shim runs on.
func TestSweepDockers(t *testing.T) {
	temp := t.TempDir()
	dir := filepath.Join(temp, dockerDirPrefix+"killed")
	network := filepath.Join(dir, "exec", "netns", "container")
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %q: %v: %s", name, args, err, out)
		}
	}
	if err := os.MkdirAll(filepath.Dir(network), 0o700); err != nil {
		t.Fatal(err)
	}
	err := errors.Join(os.WriteFile(network, nil, 0o600), hostBefore{hadBridge: true, forwardPolicy: "ACCEPT"}.record(dir))
	if err != nil {
		t.Fatal(err)
	}
	run("unshare", "--net="+network, "true")
	run("ip", "link", "add", "ntswept", "type", "veth", "peer", "name", "ntsweptpeer")
	t.Cleanup(func() { _ = exec.CommandContext(context.Background(), "ip", "link", "delete", "ntswept").Run() })
	run("ip", "link", "set", "ntsweptpeer", "netns", network)
	shim := exec.CommandContext(t.Context(), "sh", "-c", "sleep 600; true", "shim", filepath.Join(dir, "exec", "containerd.sock"))
	if err := shim.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- shim.Wait() }()

	if err := sweepDockers(t.Context(), temp); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("the shim ended by itself; want it killed")
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v; want it gone", dir, err)
	}
	Eventually(t, 10*time.Second, func(context.Context) error {
		if _, err := net.InterfaceByName("ntswept"); err == nil {
			return errors.New("the container's network is still there")
		}
		return nil
	})
}

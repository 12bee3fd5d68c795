package nomadtest

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestProcess_endedBeforeReady(t *testing.T) {
	t.Parallel()
	command := shell(t, "echo the reason; exit 3")
	command.Ready = func(context.Context) error { return errors.New("not yet") }
	_, err := StartProcess(t.Context(), command)
	if !errors.Is(err, errEnded) || !strings.Contains(err.Error(), "the reason") {
		t.Errorf("got %v, want that it ended, with the end of its log", err)
	}
}

func TestProcess_restartIsAnother(t *testing.T) {
	t.Parallel()
	p := startShell(t, "touch $BEGUN; exec sleep 60")
	first := p.PID()
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if p.Running() {
		t.Error("running after Kill")
	}
	if err := p.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !p.Running() || p.PID() == first {
		t.Errorf("after Restart: running %v, process id %d as before", p.Running(), p.PID())
	}
}

func TestProcess_stopKillsThoseThatDoNotListen(t *testing.T) {
	t.Parallel()
	p := startShell(t, "trap '' TERM; touch $BEGUN; while :; do sleep 0.05; done")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := p.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want that it did not stop in time", err)
	}
	if p.Running() {
		t.Error("running after Stop")
	}
}

func TestProcess_stopWakesThePaused(t *testing.T) {
	t.Parallel()
	p := startShell(t, "trap 'echo bye; exit' TERM; touch $BEGUN; while :; do sleep 0.05; done")
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := lastLines(p.LogPath(), 1); got != "bye" {
		t.Errorf("last words: got %q, want that its trap ran", got)
	}
}

func TestReservePorts_blocksAreDisjoint(t *testing.T) {
	t.Parallel()
	seen := make(map[int]bool)
	for range 3 {
		ports, held, err := reservePorts(t.Context(), Ports{Router: 0})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = held.Close() })
		for _, port := range ports.fields() {
			if seen[*port] {
				t.Errorf("port %d was given twice", *port)
			}
			seen[*port] = true
		}
		if ports.DynamicMin <= ports.RouterAPI || ports.DynamicMax <= ports.DynamicMin {
			t.Errorf("dynamic ports %d to %d overlap with the agents'", ports.DynamicMin, ports.DynamicMax)
		}
	}
}

func TestPickMore_isOfTheBlock(t *testing.T) {
	t.Parallel()
	ports, held, err := reservePorts(t.Context(), Ports{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = held.Close() })
	more, err := pickMore(t.Context(), held, 12)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[int]bool)
	for _, port := range ports.fields() {
		seen[*port] = true
	}
	for _, port := range more {
		if seen[port] || port >= ports.DynamicMin {
			t.Errorf("port %d is one of %+v", port, ports)
		}
		seen[port] = true
	}
	if _, err := pickMore(t.Context(), held, morePorts+1); err == nil {
		t.Error("more ports were picked than the block has")
	}
}

func TestConfig_several(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		config Config
		ok     bool
	}{
		{Config{}, true},
		{Config{Servers: 3, Clients: 2}, true},
		{Config{DataDir: "x"}, true},
		{Config{Servers: 3}, false},
		{Config{Clients: 1}, false},
		{Config{Servers: 1, Clients: 1, DataDir: "x"}, false},
	} {
		if err := tt.config.checkAgents(); (err == nil) != tt.ok {
			t.Errorf("%+v: got %v, want it to be valid: %t", tt.config, err, tt.ok)
		}
	}
}

func TestReservePorts_fixedOneIsTaken(t *testing.T) {
	t.Parallel()
	taken, err := listenLoopback(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	address, ok := taken.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("%v is no TCP address", taken.Addr())
	}
	p := Ports{NomadHTTP: address.Port}
	if _, _, err := reservePorts(t.Context(), p); !errors.Is(err, errPortTaken) {
		t.Errorf("got %v, want that the port is taken", err)
	}
}

func TestRecall_isWhatWasSaved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	want := remembered{Ports: Ports{NomadHTTP: 4646, DynamicMin: 1, DynamicMax: 2}, NomadToken: newToken()}
	if err := want.save(dir); err != nil {
		t.Fatal(err)
	}
	got, err := recall(dir)
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	asked := Ports{NomadHTTP: 1111}.or(got.Ports)
	if asked.NomadHTTP != 1111 || asked.DynamicMax != 2 {
		t.Errorf("got %+v, want the asked port and the remembered range", asked)
	}
}

// startShell starts a script, which makes the file $BEGUN when it has begun.
func startShell(t *testing.T, script string) *Process {
	t.Helper()
	begun := filepath.Join(t.TempDir(), "begun")
	command := shell(t, script)
	command.Env = append(os.Environ(), "BEGUN="+begun)
	command.Ready = func(context.Context) error {
		_, err := os.Stat(begun)
		return err
	}
	p, err := StartProcess(t.Context(), command)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func shell(t *testing.T, script string) Command {
	t.Helper()
	return Command{Name: "script", Path: "/bin/sh", Args: []string{"-c", script}, Log: filepath.Join(t.TempDir(), "log")}
}

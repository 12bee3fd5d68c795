package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// soak asks for the long form of tests that have one: make soak, make chaos.
func soak() bool { return os.Getenv("DYNOMAD_TEST_SOAK") != "" }

// seed gives the seed of a test's choices: DYNOMAD_TEST_SEED has one replayed, as far as the clock allows.
func seed(tb testing.TB) uint64 {
	tb.Helper()
	n := rand.Uint64N(1_000_000)
	if text := os.Getenv("DYNOMAD_TEST_SEED"); text != "" {
		var err error
		if n, err = strconv.ParseUint(text, 10, 64); err != nil {
			tb.Fatal(err)
		}
	}
	tb.Logf("DYNOMAD_TEST_SEED=%d", n)
	return n
}

// childVar has the command line that a process of this test program runs, in place of tests.
const childVar = "DYNOMAD_TEST_CHILD"

// TestChild is no test: it is what such a process runs. Faults happen to a process of its own, whose files, memory and end are told
// from those of the tests.
func TestChild(t *testing.T) {
	args := os.Getenv(childVar)
	if args == "" {
		t.Skip("for processes that tests start")
	}
	ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx, strings.Fields(args), os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, "dynomad: "+err.Error())
		os.Exit(1)
	}
}

// alone is a daemon in a process of its own, whose Nomad and Consul do not answer.
type alone struct {
	tb      testing.TB
	process *nomadtest.Process
	addr    string
	token   string
	command nomadtest.Command
}

// newAlone prepares a daemon on a data folder; start starts it. Tests that use one are the same with a cluster and without: make unit
// runs them.
func newAlone(t *testing.T, dataDir string) *alone {
	t.Helper()
	if onCluster {
		t.Skip("a part of make unit")
	}
	a := &alone{tb: t, addr: nomadtest.FreeAddr(t), token: "root-token-of-the-test"}
	a.command = nomadtest.Command{
		Name: "dynomad", Path: os.Args[0], Args: []string{"-test.run=^TestChild$", "-test.timeout=20m"},
		Log: filepath.Join(t.TempDir(), "dynomad.log"),
		Env: []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), childVar + "=server", "DYNOMAD_LISTEN=" + a.addr,
			"DYNOMAD_DATA_DIR=" + dataDir, "DYNOMAD_ROOT_TOKEN=" + a.token,
			"NOMAD_ADDR=http://" + nomadtest.FreeAddr(t), "CONSUL_HTTP_ADDR=" + nomadtest.FreeAddr(t),
		},
		Ready: func(ctx context.Context) error {
			status, body, err := a.try(ctx, http.MethodGet, "/healthz", "")
			if err == nil && status != http.StatusOK {
				err = fmt.Errorf("healthz: %d %s", status, body)
			}
			return err
		},
	}
	return a
}

// start starts the daemon, for the first time or again.
func (a *alone) start() {
	a.tb.Helper()
	if a.process != nil {
		if err := a.process.Restart(a.tb.Context()); err != nil {
			a.tb.Fatalf("starting the daemon again: %v\n%s", err, a.log())
		}
		return
	}
	var err error
	if a.process, err = nomadtest.StartProcess(a.tb.Context(), a.command); err != nil {
		a.tb.Fatalf("starting the daemon: %v\n%s", err, a.log())
	}
	a.tb.Cleanup(func() {
		if a.process.Running() {
			a.stop()
		}
		if log := a.log(); strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic:") || a.tb.Failed() {
			a.tb.Errorf("the daemon's log:\n%s", last(log, 20_000))
		}
	})
}

// stop ends the daemon in good order.
func (a *alone) stop() {
	a.tb.Helper()
	if err := a.process.Stop(context.WithoutCancel(a.tb.Context())); err != nil {
		a.tb.Errorf("stopping the daemon: %v", err)
	}
}

// kill ends the daemon as a crash does.
func (a *alone) kill() {
	a.tb.Helper()
	if err := a.process.Kill(); err != nil {
		a.tb.Fatalf("killing the daemon: %v", err)
	}
}

// refuses starts a daemon that must not start, and gives what it says.
func (a *alone) refuses() string {
	a.tb.Helper()
	ctx, cancel := context.WithTimeout(a.tb.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, a.command.Path, a.command.Args...)
	cmd.Env = a.command.Env
	out, err := cmd.CombinedOutput()
	if err == nil || ctx.Err() != nil {
		a.tb.Errorf("the daemon started: %v\n%s", err, out)
	}
	return string(out)
}

func (a *alone) log() string {
	text, err := os.ReadFile(a.command.Log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// last gives the end of a text.
func last(text string, n int) string { return text[max(0, len(text)-n):] }

// try sends a request and gives the answer's status and body.
func (a *alone) try(ctx context.Context, method, path, body string) (int, string, error) {
	status, _, text, err := a.full(ctx, method, path, body)
	return status, text, err
}

func (a *alone) full(ctx context.Context, method, path, body string) (int, http.Header, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+a.addr+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, "", err
	}
	req.Header.Set("Authorization", a.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(text), err
}

// do sends a request that must be answered with a status, and gives the body.
func (a *alone) do(method, path, body string, want int) string {
	a.tb.Helper()
	status, text, err := a.try(a.tb.Context(), method, path, body)
	if err != nil || status != want {
		a.tb.Fatalf("%s %s %.100s: got %d %s (%v), want %d\n%s", method, path, body, status, text, err, want, last(a.log(), 5000))
	}
	return text
}

// get decodes what must be answered with 200.
func (a *alone) get(path string, out any) {
	a.tb.Helper()
	if err := json.Unmarshal([]byte(a.do(http.MethodGet, path, "", http.StatusOK)), out); err != nil {
		a.tb.Fatalf("GET %s: %v", path, err)
	}
}

// metric reads one of the daemon's metrics that has no labels.
func (a *alone) metric(name string) int {
	a.tb.Helper()
	for line := range strings.Lines(a.do(http.MethodGet, "/metrics", "", http.StatusOK)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				a.tb.Fatal(err)
			}
			return int(n)
		}
	}
	a.tb.Fatalf("there is no metric %s", name)
	return 0
}

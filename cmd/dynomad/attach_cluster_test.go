//go:build integration

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// attached is the answer of an attach.
type attached struct {
	Stdout, Stderr string
	ExitCode       *int `json:"exit_code"`
}

func (d *daemon) attach(path, body string) attached {
	d.tb.Helper()
	var a attached
	d.do(http.MethodPost, path, body, http.StatusAccepted, &a)
	if a.ExitCode == nil {
		d.tb.Fatalf("%s %s: no exit code in %+v", path, body, a)
	}
	return a
}

// signaled reports whether the command sent its signal and said nothing. A dyno that ends at once can take the command with it
// before that has told its own exit code: it is 137 then.
func (a attached) signaled() bool {
	return (*a.ExitCode == 0 || *a.ExitCode == 137) && a.Stdout == "" && a.Stderr == ""
}

// TestCluster_attachSignal sends signals to workers by every name they have: the process gets them, whatever words the command
// was cut into. The worker ends with 7 at SIGTERM.
func TestCluster_attachSignal(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	d.do(http.MethodPost, "/apps", `{"name":"signal"}`, http.StatusCreated, nil)
	const worker = `{"type":"worker","quantity":4,"command":"sh -c 'trap \"echo got it; exit 7\" TERM; while :; do sleep 0.1; done'"}`
	d.do(http.MethodPost, "/apps/signal-default/formation", worker, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/signal-default/builds", `{"url":"`+d.cluster.Image(t, "busybox")+`"}`, http.StatusCreated, nil)
	list := d.waitDynos("signal-default", "worker", time.Minute, allReady(4))
	d.waitRelease("signal-default", 1, "succeeded")

	const app = "/apps/signal-default"
	last := list[3] // worker.4
	if a := d.attach(app+"/dynos/"+last.ID+"/actions/attach", `{"command":["sh","-c","kill -99 -1"],"stdin":"x"}`); *a.ExitCode == 0 || a.Stderr == "" {
		t.Errorf("a signal that does not exist: %+v", a)
	}
	for i, sent := range []struct{ path, words string }{
		{"/dynos/worker.1", `["sh","-c","kill -15 -1"]`},
		{"/dynos/worker." + list[1].Name, `["sh","-c","kill","-15","-1"]`},
		{"/worker." + list[2].Name, `["sh -c kill -15 -1"]`},
	} {
		a := d.attach(app+sent.path+"/actions/attach", `{"command":`+sent.words+`}`)
		if !a.signaled() {
			t.Errorf("%s: got %+v with exit code %d", sent.words, a, *a.ExitCode)
		}
		d.waitCrash(list[i].ID, "exit code 7")
	}
	d.attachRefusals(app, last)
	if a := d.attach(app+"/dynos/"+last.Name+"/actions/attach", `{"command":["sh","-c","kill -9 -1"],"alias":null}`); !a.signaled() {
		t.Errorf("kill -9: %+v with exit code %d", a, *a.ExitCode)
	}
	d.waitCrash(last.ID, "exit code 137")
	d.attachRecorded(app)
}

// waitCrash waits until Nomad says that a dyno's process has ended, and how.
func (d *daemon) waitCrash(id, how string) {
	d.tb.Helper()
	nomadtest.Eventually(d.tb, 20*time.Second, func(context.Context) error {
		alloc, _, err := d.cluster.NomadClient().Allocations().Info(id, nil)
		if err != nil {
			return err
		}
		var events []string
		for _, e := range alloc.TaskStates["worker"].Events {
			events = append(events, e.DisplayMessage)
		}
		if text := strings.ToLower(strings.Join(events, "; ")); !strings.Contains(text, strings.ReplaceAll(how, "exit code ", "exit code: ")) {
			return fmt.Errorf("dyno %s: %s", id, text)
		}
		return nil
	})
}

// attachRefusals sends what is not run.
func (d *daemon) attachRefusals(app string, y dyno) {
	d.tb.Helper()
	path := app + "/dynos/" + y.Name + "/actions/attach"
	for _, tt := range []struct {
		path, body, says string
		status           int
	}{
		{path, `{"command":["echo","Hello"],"stdin":""}`, "echo Hello", http.StatusForbidden},
		{path, `{"command":["sh","-c","kill -15 -1; id"]}`, "allowed", http.StatusForbidden},
		{path, `{"command":["sh","-c","kill -15 -1\n"]}`, "allowed", http.StatusForbidden},
		{path, `{"alias":"thread_dump"}`, "thread_dump", http.StatusForbidden},
		{path, `{}`, `"field":"command"`, http.StatusUnprocessableEntity},
		{path, `{"command":["sh","-c","kill -15 -1"],"alias":"java_heap_dump"}`, `"field":"alias"`, http.StatusUnprocessableEntity},
		{path, `{"command":"sh -c kill -15 -1"}`, `"field":"command"`, http.StatusUnprocessableEntity},
		{path, `{"command":["sh","-c","kill -15 -1"],"stdin":1}`, `"field":"stdin"`, http.StatusUnprocessableEntity},
		{app + "/dynos/worker.9/actions/attach", `{"command":["sh","-c","kill -15 -1"]}`, "worker.9", http.StatusNotFound},
		{"/apps/nowhere/dynos/web.1/actions/attach", `{"command":["sh","-c","kill -15 -1"]}`, "nowhere", http.StatusNotFound},
	} {
		status, body, err := d.try(d.tb.Context(), http.MethodPost, tt.path, tt.body)
		if err != nil || status != tt.status || !strings.Contains(string(body), tt.says) {
			d.tb.Errorf("%s: %d %s (%v), want %d with %q", tt.body, status, body, err, tt.status, tt.says)
		}
	}
	if list, err := d.dynos(d.tb.Context(), strings.TrimPrefix(app, "/apps/")); err != nil || !strings.Contains(fmt.Sprint(list), y.ID+" "+y.Name+" worker running") {
		d.tb.Errorf("what was refused changed the dyno %s: %+v, %v", y.ID, list, err)
	}
}

// attachRecorded checks that the audits and the log have every command that was run.
func (d *daemon) attachRecorded(app string) {
	d.tb.Helper()
	var audits []struct{ Action, Details string }
	d.do(http.MethodGet, app+"/audits", "", http.StatusOK, &audits)
	n := 0
	for _, a := range audits {
		if a.Action == "dyno.attach" && strings.HasPrefix(a.Details, "Ran sh -c kill -") {
			n++
		}
	}
	if logged := d.logged("running a command in a dyno"); n != 5 || logged != 5 {
		d.tb.Errorf("of 5 commands %d are in the audits and %d in the log", n, logged)
	}
}

// TestCluster_attachNotRunning attaches to dynos that have no process, or no shell.
func TestCluster_attachNotRunning(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	const kill = `{"command":["sh","-c","kill -15 -1"]}`
	d.do(http.MethodPost, "/apps", `{"name":"notrun"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/notrun-default/formation", `{"type":"worker","command":"/app crash 3"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/notrun-default/formation", `{"type":"silent","command":"/app silent"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/notrun-default/builds", `{"url":"`+d.cluster.Image(t, "hello")+`"}`, http.StatusCreated, nil)
	crashed := d.waitDynos("notrun-default", "worker", time.Minute, func(list []dyno) bool {
		return len(list) == 1 && list[0].State == "app-crashed"
	})
	d.do(http.MethodPost, "/apps/notrun-default/dynos/"+crashed[0].Name+"/actions/attach", kill, http.StatusConflict, nil)
	d.waitDynos("notrun-default", "silent", time.Minute, allReady(1))
	a := d.attach("/apps/notrun-default/dynos/silent.1/actions/attach", kill)
	if *a.ExitCode != 126 && *a.ExitCode != 127 || !strings.Contains(a.Stderr, "sh") || a.Stdout != "" {
		t.Errorf("without a shell: exit code %d, %+v", *a.ExitCode, a)
	}
	a = d.attach("/apps/notrun-default/dynos/silent.1/actions/attach", `{"alias":"java_heap_dump"}`)
	if *a.ExitCode == 0 || a.Stdout != "" {
		t.Errorf("a heap dump without a shell: exit code %d, %+v", *a.ExitCode, a)
	}
}

// TestCluster_attachHeapDump takes heap dumps of a JVM, two at once: they are whole, and nothing is left in the dyno.
func TestCluster_attachHeapDump(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	d.do(http.MethodPost, "/apps", `{"name":"heap"}`, http.StatusCreated, nil)
	d.do(http.MethodPost, "/apps/heap-default/formation", `{"type":"jvm"}`, http.StatusOK, nil)
	d.do(http.MethodPatch, "/apps/heap-default/config-vars", `{"JAVA_TOOL_OPTIONS":"-Xms64m"}`, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/heap-default/builds", `{"url":"`+d.cluster.Image(t, "java")+`"}`, http.StatusCreated, nil)
	d.waitDynos("heap-default", "jvm", time.Minute, allReady(1))
	results := make(chan error, 2)
	for range cap(results) {
		go func() { results <- d.heapDump("/apps/heap-default/dynos/jvm.1/actions/attach") }()
	}
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	d.clientGone("/apps/heap-default/dynos/jvm.1/actions/attach", d.waitDynos("heap-default", "jvm", time.Minute, allReady(1))[0].ID)
	a := d.attach("/apps/heap-default/dynos/jvm.1/actions/attach", `{"command":["sh","-c","kill -15 -1"]}`)
	if !a.signaled() {
		t.Errorf("kill: %+v with exit code %d", a, *a.ExitCode)
	}
}

// TestCluster_attachTooLong runs a command that does not end: it is ended when its time is over, and nothing of it is left in the
// dyno, which goes on.
func TestCluster_attachTooLong(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, quick()...)
	d.do(http.MethodPost, "/apps", `{"name":"slow"}`, http.StatusCreated, nil)
	const worker = `{"type":"worker","command":"sh -c 'printf \"#!/bin/sh\\nsleep 617 & sleep 618\\n\" >/bin/jcmd; chmod 755 /bin/jcmd; exec sleep 619'"}`
	d.do(http.MethodPost, "/apps/slow-default/formation", worker, http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/slow-default/builds", `{"url":"`+d.cluster.Image(t, "busybox")+`"}`, http.StatusCreated, nil)
	y := d.waitDynos("slow-default", "worker", time.Minute, allReady(1))[0]

	type answer struct {
		status int
		body   string
		err    error
		took   time.Duration
	}
	answers, start := make(chan answer, 1), time.Now()
	go func() {
		status, body, err := d.try(t.Context(), http.MethodPost, "/apps/slow-default/dynos/worker.1/actions/attach", `{"alias":"java_heap_dump"}`)
		answers <- answer{status, string(body), err, time.Since(start)}
	}()
	// As lines of their own: init has the dyno's whole command among its words.
	d.waitInside(y.ID, 30*time.Second, "the command runs", func(processes string) bool {
		return strings.Contains(processes, "\nsleep 617") && strings.Contains(processes, "\nsleep 618") && strings.Contains(processes, "dynomad-")
	})
	got := <-answers
	const soonest, latest = 60 * time.Second, 75 * time.Second // the contract's limit, and time to end the command
	if got.err != nil || got.status != http.StatusGatewayTimeout || !strings.Contains(got.body, `"id":"timeout"`) || got.took < soonest || got.took > latest {
		t.Errorf("after %s: %d %s (%v), want 504 after %s", got.took, got.status, got.body, got.err, soonest)
	}
	d.waitInside(y.ID, 2*time.Second, "only the dyno's own process is left", func(processes string) bool {
		return strings.Contains(processes, "\nsleep 619") &&
			!strings.Contains(processes, "\nsleep 617") && !strings.Contains(processes, "\nsleep 618") && !strings.Contains(processes, "dynomad-")
	})
	if after := d.waitDynos("slow-default", "worker", time.Minute, allReady(1))[0]; after != y {
		t.Errorf("the dyno is %+v, was %+v", after, y)
	}
}

// waitInside waits until the processes in a worker, and the files that attach makes there, are as they should be.
func (d *daemon) waitInside(id string, within time.Duration, what string, ok func(string) bool) {
	d.tb.Helper()
	seen := "nothing was seen"
	nomadtest.Eventually(d.tb, within, func(ctx context.Context) error {
		var out bytes.Buffer
		look := []string{"sh", "-c", "ls -d /alloc/tmp/*; ps -o args"}
		code, err := d.cluster.NomadClient().Allocations().Exec(ctx, &api.Allocation{ID: id}, "worker", false, look, strings.NewReader(""), &out, io.Discard, nil, nil)
		if out.Len() > 0 {
			seen = out.String()
		}
		if err != nil || !ok(out.String()) {
			return fmt.Errorf("not so that %s: %d, %w, seen last: %s", what, code, err, seen)
		}
		return nil
	})
}

// clientGone asks for a heap dump and does not wait for it: soon nothing of it is left in the dyno.
func (d *daemon) clientGone(path, id string) {
	d.tb.Helper()
	ctx, cancel := context.WithTimeout(d.tb.Context(), 400*time.Millisecond)
	defer cancel()
	if _, _, err := d.try(ctx, http.MethodPost, path, `{"alias":"java_heap_dump"}`); !errors.Is(err, context.DeadlineExceeded) {
		d.tb.Errorf("the client should have gone: %v", err)
	}
	nomadtest.Eventually(d.tb, 10*time.Second, func(ctx context.Context) error {
		var out bytes.Buffer
		alloc := &api.Allocation{ID: id}
		look := []string{"sh", "-c", "ls -d /alloc/tmp/*; ps -o args"}
		code, err := d.cluster.NomadClient().Allocations().Exec(ctx, alloc, "jvm", false, look, strings.NewReader(""), &out, io.Discard, nil, nil)
		if text := out.String(); err != nil || !strings.Contains(text, "java") || strings.Contains(text, "jcmd") || strings.Contains(text, "dynomad-") {
			return fmt.Errorf("in the dyno: %d, %w, %s", code, err, text)
		}
		return nil
	})
}

// heapDump takes a heap dump and looks into it.
func (d *daemon) heapDump(path string) error {
	start := time.Now()
	status, body, err := d.try(d.tb.Context(), http.MethodPost, path, `{"alias":"java_heap_dump"}`)
	if err != nil || status != http.StatusAccepted {
		return fmt.Errorf("%d %.500s (%w)", status, body, err)
	}
	var a attached
	if err := json.Unmarshal(body, &a); err != nil {
		return err
	}
	compressed, err := base64.StdEncoding.DecodeString(a.Stdout)
	if err != nil {
		return fmt.Errorf("%w; stderr %q", err, a.Stderr)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return fmt.Errorf("%w; stderr %q", err, a.Stderr)
	}
	dump, err := io.ReadAll(unzipped)
	if err != nil {
		return err
	}
	if *a.ExitCode != 0 || !bytes.HasPrefix(dump, []byte("JAVA PROFILE")) || !bytes.Contains(dump, []byte("held in the heap 1023")) {
		return errors.New("no heap dump: " + a.Stderr)
	}
	d.tb.Logf("a heap dump of %d bytes (%d as text) took %s; stderr: %s", len(dump), len(a.Stdout), time.Since(start).Round(time.Millisecond), a.Stderr)
	return nil
}

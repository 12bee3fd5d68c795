//go:build integration

package nomad_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/nomad"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// target is a dyno to run scripts in.
type target struct {
	tb       testing.TB
	executor *nomad.Executor
	dyno     dynomad.Dyno
	log      *bytes.Buffer
}

// startTarget runs a script of busybox as a dyno would, and waits until it runs.
func startTarget(tb testing.TB, name, script string) target {
	tb.Helper()
	cluster := shared.Cluster(tb)
	raw := cluster.NomadClient()
	task := api.NewTask(name, "docker").SetConfig("image", cluster.Image(tb, "busybox")).SetConfig("init", true).
		SetConfig("entrypoint", []string{"sh", "-c", script})
	task.RestartPolicy = &api.RestartPolicy{Attempts: new(0), Mode: new("fail")}
	group := api.NewTaskGroup(name, 1).AddTask(task)
	group.ReschedulePolicy = &api.ReschedulePolicy{Attempts: new(0), Unlimited: new(false)}
	job := &api.Job{ID: &name, Name: &name, Type: new(api.JobTypeService), Datacenters: []string{"*"}, TaskGroups: []*api.TaskGroup{group}}
	if _, _, err := raw.Jobs().Register(job, nil); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { cluster.RemoveJob(tb, name) })
	t := target{tb: tb, log: &bytes.Buffer{}}
	nomadtest.Eventually(tb, time.Minute, func(context.Context) error {
		allocs, _, err := raw.Jobs().Allocations(name, false, nil)
		if err != nil || len(allocs) == 0 || allocs[0].ClientStatus != api.AllocClientStatusRunning {
			return fmt.Errorf("no dyno of %s runs: %w", name, err)
		}
		t.dyno = dynomad.Dyno{AllocID: allocs[0].ID, Name: name, Type: name}
		return nil
	})
	log := hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: t.log, Mutex: &sync.Mutex{}})
	t.executor = nomad.NewExecutor(client(tb, cluster.NomadAddr()), log)
	return t
}

// exec runs a script that must give an exit code.
func (t target) exec(in dynomad.Exec) (stdout, stderr string, code int) {
	t.tb.Helper()
	stdout, stderr, code, err := t.try(t.tb.Context(), in)
	if err != nil {
		t.tb.Fatalf("%.60q: %v", in.Script, err)
	}
	return stdout, stderr, code
}

func (t target) try(ctx context.Context, in dynomad.Exec) (stdout, stderr string, code int, err error) {
	in.Dyno, in.Name = t.dyno, "test"
	done, err := t.executor.Exec(ctx, in)
	if err != nil {
		return "", "", 0, err
	}
	defer done.Close()
	out, outErr := io.ReadAll(done.Stdout)
	text, textErr := io.ReadAll(done.Stderr)
	return string(out), string(text), done.ExitCode, errors.Join(outErr, textErr)
}

func TestExec_streams(t *testing.T) {
	t.Parallel()
	d := startTarget(t, "exec-streams", "sleep 600")
	long := strings.Repeat("0123456789abcdef", 200<<10/16)
	tests := []struct {
		in             dynomad.Exec
		stdout, stderr string
		code           int
	}{
		{dynomad.Exec{Script: "echo out; echo err >&2; (exit 7)"}, "out\n", "err\n", 7},
		{dynomad.Exec{Script: "true"}, "", "", 0},
		{dynomad.Exec{Script: "printf 'no end'; printf 12345 >&2"}, "no end", "12345", 0},
		{dynomad.Exec{Script: "cat"}, "", "", 0},
		{dynomad.Exec{Script: "cat", Stdin: "line\n\x00\xff'\"$(x)"}, "line\n\x00\xff'\"$(x)", "", 0},
		{dynomad.Exec{Script: "cat", Stdin: long}, long, "", 0},
		{dynomad.Exec{Script: "true", Stdin: long}, "", "", 0},
		{dynomad.Exec{Script: "ls -ld /alloc/tmp | cut -c1-10"}, "drwxrwxrwx\n", "", 0}, // for users other than root
		{dynomad.Exec{Script: "kill -0 $$ && echo alive"}, "alive\n", "", 0},
		{dynomad.Exec{Script: "ls /alloc/tmp | wc -l", Stdin: "x"}, "1\n", "", 0},
		{dynomad.Exec{Script: "mkdir $scratch; sleep 605 & kill -9 $$"}, "", "", 137},
		{dynomad.Exec{Script: "mkdir $scratch; echo x >$scratch/x; cat $scratch/x"}, "x\n", "", 0},
	}
	for _, tt := range tests {
		stdout, stderr, code := d.exec(tt.in)
		if stdout != tt.stdout || stderr != tt.stderr || code != tt.code {
			t.Errorf("%q: got %.80q, %.80q, %d; want %.80q, %.80q, %d", tt.in.Script, stdout, stderr, code, tt.stdout, tt.stderr, tt.code)
		}
	}
	d.nothingLeft()
}

// nothingLeft checks that the dyno runs what it ran before, and that no script left files.
func (t target) nothingLeft() {
	t.tb.Helper()
	stdout, _, _ := t.exec(dynomad.Exec{Script: `ls /alloc/tmp; ps -o args >"$scratch"; grep -c ^sleep "$scratch"; grep -c '^sh -c echo' "$scratch"`})
	if stdout != "1\n1\n" { // what it runs, and the shell that looks
		t.tb.Errorf("a script left files or processes: %s", stdout)
	}
}

// TestExec_large has outputs that do not fit into memory, of bytes that are no text, and two scripts at once.
func TestExec_large(t *testing.T) {
	t.Parallel()
	d := startTarget(t, "exec-large", "sleep 600")
	const block = `head -c 3145728 /dev/zero | tr '\0' '\377'; printf '\1end'; echo err >&2`
	want := strings.Repeat("\xff", 3<<20) + "\x01end"
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 3 {
				stdout, stderr, code, err := d.try(t.Context(), dynomad.Exec{Script: block})
				if err != nil || stdout != want || stderr != "err\n" || code != 0 {
					t.Errorf("got %d bytes, %q, %d, %v; want %d bytes", len(stdout), stderr, code, err, len(want))
				}
			}
		})
	}
	wg.Wait()
	d.nothingLeft()
}

// TestExec_cutOff ends scripts by a deadline, by a client that is gone, and by an output that is too long: what they started
// is ended too.
func TestExec_cutOff(t *testing.T) {
	t.Parallel()
	d := startTarget(t, "exec-cutoff", "sleep 600")
	const slow = `mkdir "$scratch"; echo x >"$scratch/x"; sleep 601 | sleep 602; echo never`
	tests := []struct {
		name, script string
		context      func(context.Context) (context.Context, context.CancelFunc)
		kind         dynomad.Kind
	}{
		{"too slow", slow, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 2*time.Second)
		}, dynomad.Timeout},
		{"deaf", "trap '' TERM HUP INT; " + slow, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 2*time.Second)
		}, dynomad.Timeout},
		{"client gone", slow, func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		}, dynomad.Canceled},
		{"client gone at once", slow, func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(10*time.Millisecond, cancel)
			return ctx, cancel
		}, dynomad.Canceled},
		{"too long", "mkdir $scratch; yes", context.WithCancel, dynomad.Conflict},
	}
	nomad.LimitOutput(d.executor, 1<<10, 1<<20)
	for _, tt := range tests {
		ctx, cancel := tt.context(t.Context())
		_, _, _, err := d.try(ctx, dynomad.Exec{Script: tt.script, Stdin: "input"})
		cancel()
		var e *dynomad.Error
		if !errors.As(err, &e) || e.Kind != tt.kind || e.Cause != nil && !errors.Is(e.Cause, context.Canceled) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.kind)
		}
		d.nothingLeft()
	}
}

// TestExec_dynoGone runs scripts in a dyno that ends, and in one that has ended.
func TestExec_dynoGone(t *testing.T) {
	t.Parallel()
	d := startTarget(t, "exec-gone", "trap 'exit 7' USR1; while :; do sleep 0.1; done")
	_, _, code := d.exec(dynomad.Exec{Script: "kill -10 -1; sleep 600"})
	if code != 137 {
		t.Errorf("in a dyno that ended: exit code %d, want 137", code)
	}
	for range 20 {
		_, _, _, err := d.try(t.Context(), dynomad.Exec{Script: "true"})
		if dynomad.KindOf(err) != dynomad.Conflict {
			t.Errorf("in a dyno that has ended: %v, want a conflict", err)
		}
	}
	d.dyno.AllocID = "00000000-0000-4000-8000-000000000000"
	if _, _, _, err := d.try(t.Context(), dynomad.Exec{Script: "true"}); dynomad.KindOf(err) != dynomad.Conflict {
		t.Errorf("in a dyno that never was: %v, want a conflict", err)
	}
	d.executor = nomad.NewExecutor(client(t, deadAddress), hclog.NewNullLogger())
	if _, _, _, err := d.try(t.Context(), dynomad.Exec{Script: "true"}); dynomad.KindOf(err) != dynomad.Unavailable {
		t.Errorf("without Nomad: %v, want unavailable", err)
	}
}

// TestExec_log checks that the log has what was run where, and nothing of input and output.
func TestExec_log(t *testing.T) {
	t.Parallel()
	d := startTarget(t, "exec-log", "sleep 600")
	d.exec(dynomad.Exec{Script: "cat; echo secret-error >&2", Stdin: "secret-input"})
	if log := d.log.String(); strings.Contains(log, "secret") || strings.Count(log, "command=test dyno=exec-log") != 2 {
		t.Errorf("the log is %s", log)
	}
}

//go:build integration

package nomad_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs/logs"
	"github.com/dynomad/dynomad/nomad"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// printed is how many lines the script of TestCluster_logRotation prints.
const printed = 30_000

// TestCluster_logRotation follows a task whose output goes over several of Nomad's files, while connections break: each line comes once,
// in order.
func TestCluster_logRotation(t *testing.T) {
	t.Parallel()
	cluster := shared.Cluster(t)
	proxy, err := nomadtest.NewProxy(t.Context(), cluster.NomadAddr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	script := fmt.Sprintf(`i=0; while [ $i -lt %d ]; do i=$((i+1)); echo "line $i %s"; [ $((i %% 1000)) != 0 ] || sleep 0.1; done; exec sleep 1000`, printed, strings.Repeat("x", 100))
	output := startPrinter(t, cluster, script)
	reader := nomad.NewLogs(client(t, proxy.Addr()), hclog.NewNullLogger())

	var mu sync.Mutex
	next, at, wrong := 1, logs.Position{}, ""
	end := make(chan struct{})
	wish := func() logs.Follow {
		mu.Lock()
		defer mu.Unlock()
		return logs.Follow{
			Output: output, From: at, End: end, Missed: func(text string) { t.Error(text) },
			Emit: func(lines []logs.Line, after logs.Position) {
				mu.Lock()
				defer mu.Unlock()
				for _, l := range lines {
					if !strings.HasPrefix(l.Text, fmt.Sprintf("line %d x", next)) && wrong == "" {
						wrong = fmt.Sprintf("%.20q comes as line %d", l.Text, next)
					}
					next++
				}
				at = after
			},
		}
	}
	come := func() int { mu.Lock(); defer mu.Unlock(); return next - 1 }
	for part := 1; part <= 3; part++ {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- reader.Follow(ctx, wish()) }()
		nomadtest.Eventually(t, 30*time.Second, func(context.Context) error { return atLeast(come(), (2*part-1)*printed/7) })
		err := errors.Join(proxy.Cut(), proxy.Resume(t.Context()))
		nomadtest.Eventually(t, 30*time.Second, func(context.Context) error { return atLeast(come(), 2*part*printed/7) })
		cancel()
		if followed := <-done; err != nil || !errors.Is(followed, context.Canceled) {
			t.Error(err, followed)
		}
	}
	done := make(chan error, 1)
	go func() { done <- reader.Follow(t.Context(), wish()) }()
	nomadtest.Eventually(t, 30*time.Second, func(context.Context) error { return atLeast(come(), printed) })
	close(end)
	if err := <-done; wrong != "" || err != nil || come() != printed || at.Stdout.File < 2 {
		t.Errorf("at the end: %v; %d lines to %+v; %s", err, come(), at, wrong)
	}
	lines, tail, err := reader.Tail(t.Context(), output, 3)
	if err != nil || len(lines) != 3 || tail != at || !strings.HasPrefix(lines[2].Text, fmt.Sprintf("line %d x", printed)) {
		t.Errorf("the last lines: %.300v, %+v, %v", lines, tail, err)
	}
}

func atLeast(got, want int) error {
	if got < want {
		return fmt.Errorf("%d lines have come, want %d", got, want)
	}
	return nil
}

// startPrinter runs a script of busybox whose output is kept in small files, and waits until it runs.
func startPrinter(tb testing.TB, cluster *nomadtest.Cluster, script string) logs.Output {
	tb.Helper()
	const name = "printer"
	task := api.NewTask(name, "docker").SetConfig("image", cluster.Image(tb, "busybox")).SetConfig("init", true).SetConfig("entrypoint", []string{"sh", "-c", script})
	task.LogConfig = &api.LogConfig{MaxFiles: new(10), MaxFileSizeMB: new(1)}
	job := &api.Job{
		ID: new(name), Name: new(name), Type: new(api.JobTypeService), Datacenters: []string{"*"},
		TaskGroups: []*api.TaskGroup{api.NewTaskGroup(name, 1).AddTask(task)},
	}
	raw := cluster.NomadClient()
	if _, _, err := raw.Jobs().Register(job, nil); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { cluster.RemoveJob(tb, name) })
	output := logs.Output{Task: name}
	nomadtest.Eventually(tb, time.Minute, func(context.Context) error {
		allocs, _, err := raw.Jobs().Allocations(name, false, nil)
		if err != nil || len(allocs) == 0 || allocs[0].ClientStatus != api.AllocClientStatusRunning {
			return fmt.Errorf("the printer does not run: %w", err)
		}
		output.Alloc = allocs[0].ID
		return nil
	})
	return output
}

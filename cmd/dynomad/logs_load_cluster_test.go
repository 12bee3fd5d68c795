//go:build integration

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// The load of the test and the benchmark: so many tails of an app whose dynos write so much.
const (
	loadTails = 10
	loadDynos = 20
	loadRate  = 50  // lines a second of each dyno
	loadLines = 500 // of each dyno
)

// maxMemory is how much memory the daemon may take meanwhile.
const maxMemory = 150 << 20

// TestCluster_logsUnderLoad reads the logs of an app with twenty dynos, 1,000 lines a second, ten times over: every line comes once to
// every reader, in each dyno's order, and Nomad is asked for each stream once.
func TestCluster_logsUnderLoad(t *testing.T) {
	t.Parallel()
	if !soak() {
		t.Skip("a part of make soak: it takes all of a small machine")
	}
	underLogLoad(t)
}

// benchLogs is the same, with the daemon as it is shipped and nothing else running, and measures.
func benchLogs(b *testing.B, found *board) {
	p99, memory := underLogLoad(b)
	found.check(b, fmt.Sprintf("logs, %d readers of %d dynos: p99 of a line", loadTails, loadDynos), short(p99), "at most 1 s", p99 <= time.Second)
	found.check(b, "logs, the daemon's memory meanwhile", fmt.Sprintf("%d MiB", memory>>20), fmt.Sprintf("at most %d MiB", maxMemory>>20), memory <= maxMemory)
}

// underLogLoad gives the p99 of the time from writing to reading a line, and the most memory that the daemon took.
func underLogLoad(tb testing.TB) (p99 time.Duration, memory int) {
	tb.Helper()
	cluster := shared.Cluster(tb)
	nomad := proxyTo(tb, cluster.NomadAddr())
	d := startDaemon(tb, append(quick(), "NOMAD_ADDR=http://"+nomad.Addr(), "DYNOMAD_LOG_LEVEL=info", "DYNOMAD_DEPLOY_TIMEOUT=5m",
		"DYNOMAD_SIZES="+tinySizes(tb), "DYNOMAD_DEFAULT_SIZE=tiny")...)
	d.do(http.MethodPost, "/apps", `{"name":"load"}`, http.StatusCreated, nil)
	command := fmt.Sprintf("/app lines %d %d", loadRate, loadLines)
	d.do(http.MethodPost, "/apps/load-default/formation", asJSON(tb, map[string]any{"type": "worker", "quantity": 0, "command": command}), http.StatusOK, nil)
	d.do(http.MethodPost, "/apps/load-default/builds", `{"url":"`+cluster.Image(tb, "hello")+`"}`, http.StatusCreated, nil)
	d.waitRelease("load-default", 1, "succeeded")
	tails := make([]*logTail, loadTails)
	for i := range tails {
		tails[i] = d.tail(tb, "/apps/load-default/logs?tail=1&lines=0", "")
	}
	nomad.Reset()
	d.do(http.MethodPatch, "/apps/load-default/formation/worker", fmt.Sprintf(`{"quantity":%d}`, loadDynos), http.StatusOK, nil)
	nomadtest.Eventually(tb, 2*time.Minute, func(context.Context) error {
		memory = max(memory, d.memory(tb))
		for i, l := range tails {
			if last := lastLines(l.all(tb)); len(last) < loadDynos || slices.Min(last) < loadLines {
				return fmt.Errorf("reader %d has %d dynos' lines, so many of each: %v", i, len(last), last)
			}
		}
		return nil
	})
	var took []time.Duration
	for i, l := range tails {
		events := l.all(tb)
		took = append(took, checkLoad(tb, i, events)...)
	}
	slices.Sort(took)
	p99 = took[len(took)*99/100]
	streams := 0
	for request, n := range nomad.Requests() {
		if strings.HasPrefix(request, "GET /v1/client/fs/logs/") {
			streams += n
		}
	}
	tb.Logf("from a line's writing to its reading: p50 %s, p99 %s, most %s; the daemon took %d MiB; %d streams of Nomad's for %d readers of %d dynos",
		took[len(took)/2].Round(time.Millisecond), p99.Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond), memory>>20, streams, loadTails, loadDynos)
	if streams != 2*loadDynos {
		tb.Errorf("%d streams were opened, want %d", streams, 2*loadDynos)
	}
	return p99, memory
}

// lastLines gives how many lines of "line N" each dyno has written.
func lastLines(events []logEvent) []int {
	last := map[string]int{}
	for _, e := range events {
		if strings.HasPrefix(e.text, "line ") {
			last[e.from]++
		}
	}
	var all []int
	for _, n := range last {
		all = append(all, n)
	}
	return all
}

// checkLoad checks what one reader got: of each dyno and each of its streams all lines in order, once. It gives how long each took.
func checkLoad(tb testing.TB, reader int, events []logEvent) []time.Duration {
	tb.Helper()
	var took []time.Duration
	seen, last := map[string]int{}, map[string]int{}
	for _, e := range events {
		fields := strings.Fields(e.text)
		if len(fields) != 4 || fields[0] != "line" {
			continue
		}
		n, _ := strconv.Atoi(fields[1])
		nanos, _ := strconv.ParseInt(fields[3], 10, 64)
		stream := fmt.Sprintf("%s %t", e.from, n%10 == 0)
		if n <= last[stream] {
			tb.Errorf("reader %d: %s %d comes after %d", reader, e.from, n, last[stream])
		}
		last[stream] = n
		seen[e.from]++
		took = append(took, e.at.Sub(time.Unix(0, nanos)))
	}
	for from, n := range seen {
		if n != loadLines {
			tb.Errorf("reader %d: %d lines of %s, want %d", reader, n, from, loadLines)
		}
	}
	return took
}

// memory is what the daemon has of the machine's memory, in bytes (proc(5), VmRSS).
func (d *daemon) memory(tb testing.TB) int {
	tb.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.process.PID()))
	if err != nil {
		tb.Fatal(err)
	}
	for _, line := range strings.Split(string(status), "\n") {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmRSS:" {
			kib, err := strconv.Atoi(fields[1])
			if err != nil {
				tb.Fatal(err)
			}
			return kib << 10
		}
	}
	tb.Fatalf("no VmRSS in %s", status)
	return 0
}

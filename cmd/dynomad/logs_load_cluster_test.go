//go:build integration

package main

import (
	"context"
	"fmt"
	"maps"
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

// logsStart is what the benchmark calls the p99 of all lines.
const logsStart = "logs, the same from the dynos' start on"

// loadTimes is how often the benchmark does it; the medians count, and the most memory.
const loadTimes = 3

// benchLogs is the same, with the daemon as it is shipped and nothing else running, and measures.
func benchLogs(b *testing.B, found *board) {
	var all, steady []time.Duration
	most := 0
	for i := range loadTimes {
		b.Run(strconv.Itoa(i+1), func(b *testing.B) { // each with a daemon of its own
			lines, taken := underLogLoad(b)
			together := whileAllWrite(lines)
			if len(together) == 0 {
				b.Fatal("the dynos never wrote all at once")
			}
			b.Logf("%.0f%% of them were written while all dynos wrote: %s", 100*float64(len(together))/float64(len(lines)), spread(durations(together)))
			all, steady = append(all, quantile(durations(lines), 0.99)), append(steady, quantile(durations(together), 0.99))
			most = max(most, taken)
		})
	}
	found.check(b, inSeconds(fmt.Sprintf("logs, %d readers of %d dynos: p99 of a line", loadTails, loadDynos), median(steady)), atMost(1))
	found.check(b, inSeconds(logsStart, median(all)), atMost(1))
	found.check(b, inBytes("logs, the daemon's memory meanwhile", float64(most)), atMost(maxMemory))
}

// underLogLoad gives what the tails have read, from the dynos' start on, and the most memory that the daemon took.
func underLogLoad(tb testing.TB) (lines []readLine, memory int) {
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
	for i, l := range tails {
		lines = append(lines, checkLoad(tb, i, l.all(tb))...)
	}
	streams := 0
	for request, n := range nomad.Requests() {
		if strings.HasPrefix(request, "GET /v1/client/fs/logs/") {
			streams += n
		}
	}
	tb.Logf("from a line's writing to its reading: %s; the daemon took %d MiB; %d streams of Nomad's for %d readers of %d dynos",
		spread(durations(lines)), memory>>20, streams, loadTails, loadDynos)
	if streams != 2*loadDynos {
		tb.Errorf("%d streams were opened, want %d", streams, 2*loadDynos)
	}
	return lines, memory
}

// spread words durations.
func spread(took []time.Duration) string {
	const ms = time.Millisecond
	return fmt.Sprintf("p50 %s, p99 %s, most %s", quantile(took, 0.5).Round(ms), quantile(took, 0.99).Round(ms), quantile(took, 1).Round(ms))
}

// readLine is a line that a reader has got.
type readLine struct {
	from    string // the dyno, as the logs name it
	written time.Time
	took    time.Duration // until it was read
}

// durations are how long lines took.
func durations(lines []readLine) []time.Duration {
	took := make([]time.Duration, len(lines))
	for i, l := range lines {
		took[i] = l.took
	}
	return took
}

// whileAllWrite leaves out what was written before all dynos had begun to, or after the first had ended.
func whileAllWrite(lines []readLine) []readLine {
	first, last := map[string]time.Time{}, map[string]time.Time{}
	for _, l := range lines {
		if at, ok := first[l.from]; !ok || l.written.Before(at) {
			first[l.from] = l.written
		}
		if l.written.After(last[l.from]) {
			last[l.from] = l.written
		}
	}
	begin := slices.MaxFunc(slices.Collect(maps.Values(first)), time.Time.Compare)
	end := slices.MinFunc(slices.Collect(maps.Values(last)), time.Time.Compare)
	return slices.DeleteFunc(slices.Clone(lines), func(l readLine) bool { return l.written.Before(begin) || l.written.After(end) })
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

// checkLoad checks what one reader got: of each dyno and each of its streams all lines in order, once. It gives them.
func checkLoad(tb testing.TB, reader int, events []logEvent) []readLine {
	tb.Helper()
	var lines []readLine
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
		written := time.Unix(0, nanos)
		lines = append(lines, readLine{from: e.from, written: written, took: e.at.Sub(written)})
	}
	for from, n := range seen {
		if n != loadLines {
			tb.Errorf("reader %d: %d lines of %s, want %d", reader, n, from, loadLines)
		}
	}
	return lines
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

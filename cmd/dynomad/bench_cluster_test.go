//go:build integration

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/mux"

	"github.com/dynomad/dynomad/nomad/nomadtest"
	"github.com/dynomad/dynomad/server"
)

// How much there is on the cluster, and how it is measured.
const (
	benchApps   = 10
	benchDynos  = 20 // of each app
	benchRounds = 5
	benchRound  = 2 * time.Second // of each target, in each round
)

// What is wanted with benchClients clients.
const (
	benchClients   = 8
	timesNomad     = 6.0 // Nomad's requests a second, at least
	partOfNomadP99 = 1.0 / 3
	partOfBare     = 0.5 // of the bare handler's requests a second, at least
)

// BenchmarkCluster measures the daemon beside what it stands in front of, on one cluster, and prints what was found and what
// was wanted. What is missed fails it, unless docs/benchmarks.md says why and it is no worse than it was.
func BenchmarkCluster(b *testing.B) {
	if !benching() {
		b.Skip("run it with make bench")
	}
	found := &board{known: map[string]knownMiss{
		"GET dynos uncompressed, requests/s of Nomad's":         {"a bare handler's are 5 to 8 times Nomad's here, see Lists of dynos", atLeast(3)},
		"GET dynos, 16 writers, requests/s of a bare handler's": {"the daemon has the writers to answer too, see Lists of dynos", atLeast(0.4)},
		logsStart: {"the first second of a dyno waits for Nomad to tell of its start, see Logs", atMost(1.5)},
		patchBusy: {"the disk and the processors are Docker's meanwhile, see Writes", atMost(0.25)},
	}}
	for _, part := range []struct {
		name string
		run  func(*testing.B, *board)
	}{
		{"dynos", benchGetDynos}, {"logs", benchLogs}, {"deploys", benchDeploys}, {"writes", benchWrites}, {"attach", benchAttach}, {"tails", benchTails},
	} {
		b.Run(part.name, func(b *testing.B) { part.run(b, found) })
	}
	fmt.Printf("\n%s\n", found)
}

// benchDaemon starts a daemon that is as shipped, but for dynos that take next to nothing and rollouts that are short.
func benchDaemon(b *testing.B, env ...string) *daemon {
	b.Helper()
	return startDaemon(b, slices.Concat(quick(), []string{
		"DYNOMAD_LOG_LEVEL=info", "DYNOMAD_DEPLOY_TIMEOUT=5m", "DYNOMAD_SIZES=" + tinySizes(b), "DYNOMAD_DEFAULT_SIZE=tiny",
	}, env)...)
}

// benchGetDynos asks, side by side, the daemon for an app's dynos, Nomad for the same allocations, and a handler
// that has nothing to do for the same bytes; then again while the daemon has many writers.
func benchGetDynos(b *testing.B, found *board) {
	d := benchDaemon(b)
	d.deployMany(benchApps, benchDynos)
	b.Logf("before anything is measured, the machine of %d cores is %.0f%% busy", runtime.NumCPU(), 100*busy(b, 5*time.Second))
	for _, gzip := range []bool{true, false} {
		compareLists(b, found, d, gzip, nil)
	}
	w := newWrites(d, benchApps)
	for _, gzip := range []bool{true, false} {
		compareLists(b, found, d, gzip, w)
	}
}

// compareLists measures the lists with few clients and with many; with writes, that are made without pause, to all apps, that of the list among
// them.
func compareLists(b *testing.B, found *board, d *daemon, gzip bool, w *writes) {
	b.Helper()
	what, targets := "GET dynos", benchTargets(b, d, writeApp(0), gzip)
	if !gzip {
		what += " uncompressed"
	}
	if w != nil {
		what += fmt.Sprintf(", %d writers", manyWriters)
	}
	for _, clients := range []int{1, benchClients, 64} {
		end := func() reading { return reading{} }
		if w != nil {
			end = w.begin(b, manyWriters, func(ctx context.Context, i, n int) (time.Duration, error) { return w.change(ctx, i%benchApps, n) })
		}
		readings := measure(b, what, targets, clients)
		written := end()
		if clients != benchClients {
			continue
		}
		judge(b, found, what, readings)
		if w != nil {
			found.note(what+", writes a second", fmt.Sprintf("%.0f", written.perSecond()))
		}
	}
}

// busy is how much of the machine's processors is in use.
func busy(tb testing.TB, over time.Duration) float64 {
	tb.Helper()
	used, all := processors(tb)
	time.Sleep(over) // what is measured is how much happens in that time
	usedThen, allThen := processors(tb)
	return (usedThen - used) / (allThen - all)
}

// processors reads the time that the processors have had, and used, since the machine's start (proc(5), /proc/stat).
func processors(tb testing.TB) (used, all float64) {
	tb.Helper()
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		tb.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	for i, field := range strings.Fields(first)[1:9] { // what follows is counted in these already
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			tb.Fatal(err)
		}
		all += n
		if i != 3 && i != 4 { // idle, and waiting for disks
			used += n
		}
	}
	return used, all
}

// tinySizes makes a file with a size of which a node has room for hundreds.
func tinySizes(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "sizes.hcl")
	const sizes = `size "tiny" {
  cpu    = 5
  memory = 16
}`
	if err := os.WriteFile(path, []byte(sizes), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// deployMany makes apps with a number of workers each, and waits until all run.
func (d *daemon) deployMany(apps, workers int) {
	d.tb.Helper()
	image := d.cluster.Image(d.tb, "hello")
	start := time.Now()
	for i := range apps {
		app := fmt.Sprintf("/apps/many%d-default", i)
		d.do(http.MethodPost, "/apps", fmt.Sprintf(`{"name":"many%d"}`, i), http.StatusCreated, nil)
		d.do(http.MethodPost, app+"/formation", fmt.Sprintf(`{"type":"worker","command":"/app silent","quantity":%d}`, workers), http.StatusOK, nil)
		d.do(http.MethodPost, app+"/builds", `{"url":"`+image+`"}`, http.StatusCreated, nil)
	}
	for i := range apps {
		app := fmt.Sprintf("many%d-default", i)
		d.waitDynos(app, "worker", 5*time.Minute, allReady(workers))
		d.waitReleaseWithin(app, 1, "succeeded", 3*time.Minute)
	}
	d.tb.Logf("%d dynos run after %s", apps*workers, time.Since(start).Round(time.Second))
}

// benchTargets are the daemon, Nomad and the bare handler, in this order. They are asked for answers in gzip, as the clients of Akkeris
// and Nomad ask, or for plain ones.
func benchTargets(b *testing.B, d *daemon, app string, gzip bool) []target {
	b.Helper()
	path := "/apps/" + app + "/dynos"
	plain, body := d.rawList(path, ""), d.rawList(path, "gzip")
	if !gzip {
		body = plain
	} else if len(body) >= len(plain) {
		b.Fatalf("%d bytes in gzip, %d without", len(body), len(plain))
	}
	nomad := "/v1/job/" + app + "/allocations"
	var allocs []struct{ ID string }
	_, list := get(b, "http://"+d.cluster.NomadAddr()+nomad)
	if err := json.Unmarshal([]byte(list), &allocs); err != nil || len(allocs) != benchDynos {
		b.Fatalf("GET %s: %d allocations, %v", nomad, len(allocs), err)
	}
	return []target{
		{name: "dynomad", addr: strings.TrimPrefix(d.url, "http://"), path: path, token: d.token, gzip: gzip},
		{name: "nomad", addr: d.cluster.NomadAddr(), path: nomad, gzip: gzip},
		{name: "bare", addr: startBare(b, body), path: path, gzip: gzip},
	}
}

// rawList gives the bytes of a list as they come over the wire for an Accept-Encoding header.
func (d *daemon) rawList(path, codings string) []byte {
	d.tb.Helper()
	r, err := http.NewRequestWithContext(d.tb.Context(), http.MethodGet, d.url+path, nil)
	if err != nil {
		d.tb.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+d.token)
	r.Header.Set("Accept-Encoding", codings) // said here, net/http does not unpack
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		d.tb.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Encoding") != codings {
		d.tb.Fatalf("GET %s: %d, %v, %v", path, answer.StatusCode, answer.Header, err)
	}
	return body
}

// measure gives what the targets do with so many clients, in rounds by turns so that what else the machine does falls on all,
// and prints the medians.
func measure(b *testing.B, what string, targets []target, clients int) map[string]*rounds {
	b.Helper()
	readings := map[string]*rounds{}
	for range benchRounds {
		for _, t := range targets {
			if readings[t.name] == nil {
				readings[t.name] = &rounds{}
			}
			readings[t.name].wrk(b.Context(), b, t, clients, benchRound)
		}
	}
	rows := [][]string{{fmt.Sprintf("%s, %d clients", what, clients), "requests/s", "p50", "p99", "of nomad", "of bare"}}
	for _, t := range targets {
		r := readings[t.name]
		rows = append(rows, []string{
			t.name, fmt.Sprintf("%.0f", r.rate()), short(median(r.p50)), short(median(r.p99)),
			fmt.Sprintf("%.2f", r.rate()/readings["nomad"].rate()), fmt.Sprintf("%.2f", r.rate()/readings["bare"].rate()),
		})
	}
	fmt.Printf("%s\n", table(rows))
	return readings
}

// judge fails the benchmark if the daemon is not as fast as wanted.
func judge(b *testing.B, found *board, what string, readings map[string]*rounds) {
	b.Helper()
	ours, nomad, bare := readings["dynomad"], readings["nomad"], readings["bare"]
	found.check(b, inTimes(what+", requests/s of Nomad's", ours.rate()/nomad.rate()), atLeast(timesNomad))
	found.check(b, inTimes(what+", p99 of Nomad's", median(ours.p99).Seconds()/median(nomad.p99).Seconds()), atMost(partOfNomadP99))
	found.check(b, inTimes(what+", requests/s of a bare handler's", ours.rate()/bare.rate()), atLeast(partOfBare))
}

// bareBody is the environment variable with the file that the bare handler sends. It is there in the process that serves it.
const bareBody = "DYNOMAD_TEST_BARE_BODY"

// startBare has this program, in a process of its own as the daemon is, send the same bytes to everybody.
func startBare(b *testing.B, body []byte) (addr string) {
	b.Helper()
	dir, addr := b.TempDir(), nomadtest.FreeAddr(b)
	file := filepath.Join(dir, "body")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		b.Fatal(err)
	}
	p, err := nomadtest.StartProcess(b.Context(), nomadtest.Command{
		Name: "bare", Path: os.Args[0], Args: []string{"-test.run=^TestBareHandler$", "-test.timeout=10m"}, Log: filepath.Join(dir, "bare.log"),
		Env: []string{bareBody + "=" + file, "DYNOMAD_TEST_BARE_ADDR=" + addr},
		Ready: func(ctx context.Context) error {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
			if err == nil {
				err = conn.Close()
			}
			return err
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := p.Kill(); err != nil {
			b.Error(err)
		}
	})
	return addr
}

// TestBareHandler serves until it is killed; see startBare.
func TestBareHandler(t *testing.T) {
	file := os.Getenv(bareBody)
	if file == "" {
		t.Skip("a part of BenchmarkCluster")
	}
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	router := mux.NewRouter()
	router.HandleFunc("/apps/{app}/dynos", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	}).Methods(http.MethodGet)
	srv := server.HTTPServer(router, nil)
	srv.Addr = os.Getenv("DYNOMAD_TEST_BARE_ADDR")
	t.Fatal(srv.ListenAndServe())
}

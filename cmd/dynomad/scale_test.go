package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// How many apps there are, of ten dynos each, at first and then.
const (
	scaleApps  = 1000
	scaleMore  = 10
	scaleDynos = 10
)

// scaleStarts is how often the daemon is started; the median counts.
const scaleStarts = 3

// What is known to be missed, see At scale in docs/benchmarks.md: what a start with scaleMore times as many apps may grow by, and what a daemon
// may take then when nothing happens.
const (
	scaleStartGrowth = 12.5
	scaleIdleMore    = 0.05
)

// What is wanted of a daemon with scaleApps apps; the lag and what it takes when idle are wanted with more as well.
const (
	scaleStart  = 3 * time.Second       // from its start to the first right answer
	scaleMemory = 200 << 20             // bytes resident, at most
	scaleP99    = 5 * time.Millisecond  // of GET dynos, with scaleClients clients
	scaleLag    = time.Second           // from an allocation's change to an answer that shows it, at scaleChurn changes a second
	scaleIdle   = 0.01                  // of one processor
	scaleOver   = 121 * time.Second     // for which an idle daemon is watched: Go collects its garbage every two minutes, and its own slowest timer is a minute
	scaleSettle = 62 * time.Second      // until what has ended is no longer shown
	scaleLook   = 20 * time.Millisecond // between two changes whose lag is measured

	scaleRequests = 12 // more a minute, however many apps: a timer may be due once more in what is watched

	scaleClients = 8
	scaleChurn   = 500
)

// TestScale has a daemon, in a process of its own, run fifty apps on a simulated cluster: it shows all of them, follows what changes,
// and, having nothing to do, does nothing.
func TestScale(t *testing.T) {
	t.Parallel()
	s := newScale(t, 50, 4)
	s.startHere()
	for _, app := range s.apps {
		s.await(time.Minute, app, allUp(s.dynos))
	}
	ctx, cancel := context.WithCancel(t.Context())
	churned := make(chan int, 1)
	go func() { churned <- s.churn(ctx, 100) }()
	for i := range 5 {
		s.crash(s.apps[i])
	}
	if r := s.load(2, 200*time.Millisecond); len(r.took) == 0 {
		t.Error("nothing was answered")
	}
	cancel()
	if n := <-churned; n == 0 {
		t.Error("nothing changed")
	}
	id := s.webDyno(s.apps[7])
	s.sim.Fail(id, "connection refused")
	s.await(time.Minute, s.apps[7], func(list []scaleDyno) bool { return !upAs(list, id).Ready })
	s.sim.Fail(id, "")
	s.await(time.Minute, s.apps[7], func(list []scaleDyno) bool { return upAs(list, id).Ready })
	if now, most := s.resident(); now == 0 || most < now || s.processor() == 0 {
		t.Errorf("the daemon's memory is %f, at most %f bytes, its time %s", now, most, s.processor())
	}
	for kind := range s.sim.Requests() {
		if strings.Contains(kind, "PUT /v1/jobs") || strings.Contains(kind, "DELETE") {
			t.Errorf("a daemon that has nothing to do did %s", kind)
		}
	}
}

func allUp(n int) func([]scaleDyno) bool {
	return func(list []scaleDyno) bool {
		return len(list) == n && !slices.ContainsFunc(list, func(d scaleDyno) bool { return d.State != "running" || !d.Ready })
	}
}

func upAs(list []scaleDyno, id string) scaleDyno {
	for _, d := range list {
		if d.ID == id {
			return d
		}
	}
	return scaleDyno{}
}

// webDyno gives a web dyno of an app: the first ones are.
func (s *scale) webDyno(app string) string {
	for _, id := range s.sim.AllocIDs("default", app) {
		if s.sim.Checked(id) {
			return id
		}
	}
	s.tb.Fatalf("no dyno of %s is checked", app)
	return ""
}

// figures are what a benchmark found.
type figures struct {
	start            time.Duration
	memory, most     float64 // bytes, at rest and ever
	quiet, busy      reading // of GET dynos, while nothing changes and while much does
	lag              reading // from a change to its being shown
	churn, churnTime float64 // changes a second; processors used meanwhile
	idle             float64 // of one processor
	requests         string
	requestsNumber   float64
}

// BenchmarkScale measures a daemon with a thousand apps, and with ten thousand, on a simulated cluster, and prints what was found and what was
// wanted. "make bench" runs it.
func BenchmarkScale(b *testing.B) {
	if os.Getenv("DYNOMAD_TEST_BENCH") == "" {
		b.Skip("run it with make bench")
	}
	found := &board{known: map[string]knownMiss{
		ofGrowth("start"):               {"garbage is collected of more while more is read, see At scale", atMost(scaleStartGrowth)},
		idleWith(scaleMore * scaleApps): {"the lists that are read anew now and then are ten times as long, see At scale", atMost(scaleIdleMore)},
	}}
	var small figures
	for _, apps := range []int{scaleApps, scaleMore * scaleApps} {
		b.Run(fmt.Sprintf("apps=%d", apps), func(b *testing.B) {
			for range b.N {
				s := newScale(b, apps, scaleDynos)
				f := measureScale(s)
				f.report(apps)
				f.judgeAny(b, found, apps)
				switch {
				case apps == scaleApps:
					small = f
					f.judge(b, found)
				case small.start > 0: // it was not left out
					f.judgeGrowth(b, found, small, startGrowth(newScale(b, scaleApps, scaleDynos), s))
				}
			}
		})
	}
	fmt.Printf("\n%s\n", found)
}

// measureScale takes about four minutes.
func measureScale(s *scale) figures {
	s.tb.Helper()
	var f figures
	var starts []time.Duration
	for range scaleStarts {
		if s.process != nil {
			s.stop()
		}
		starts = append(starts, s.startBuilt())
	}
	f.start = median(starts)
	s.settle()
	f.quiet = s.load(scaleClients, 5*time.Second)
	s.underChurn(&f)
	time.Sleep(scaleSettle) // what changed is shown for so long
	s.settle()
	s.sim.Requests()
	before := s.processor()
	time.Sleep(scaleOver) // what is measured is what happens in that time
	f.idle = (s.processor() - before).Seconds() / scaleOver.Seconds()
	f.memory, f.most = s.resident()
	requests := s.sim.Requests()
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(requests)) {
		kinds = append(kinds, fmt.Sprintf("%s: %d", kind, requests[kind]))
		f.requestsNumber += float64(requests[kind])
	}
	f.requestsNumber *= time.Minute.Seconds() / scaleOver.Seconds()
	f.requests = strings.Join(kinds, "\n")
	return f
}

// startGrowth starts a daemon with few apps, then the one with many, as often as scaleStarts says, and gives the median of how many times
// as long the second took. What slows the machine down for minutes slows down both.
func startGrowth(few, many *scale) float64 {
	many.tb.Helper()
	many.stop()
	grew := make([]float64, scaleStarts)
	for i := range grew {
		base := few.startBuilt()
		few.stop()
		grew[i] = many.startBuilt().Seconds() / base.Seconds()
		many.stop()
	}
	fmt.Printf("  starts, one right after the other, in turn %.1f times as long\n", grew)
	return median(grew)
}

// settle waits until the daemon uses next to no time for a while.
func (s *scale) settle() {
	s.tb.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		before := s.processor()
		time.Sleep(time.Second) // what is measured is what happens in that time
		if s.processor()-before < 100*time.Millisecond {
			return
		}
	}
	s.tb.Log("the daemon does not come to rest")
}

// underChurn measures while allocations change, for ten seconds.
func (s *scale) underChurn(f *figures) {
	s.tb.Helper()
	ctx, cancel := context.WithCancel(s.tb.Context())
	churned, read := make(chan int, 1), make(chan reading, 1)
	began, before := time.Now(), s.processor()
	go func() { churned <- s.churn(ctx, scaleChurn) }()
	go func() { read <- s.load(1, 10*time.Second) }()
	for i := 0; time.Since(began) < 10*time.Second; i++ {
		if lag := s.crash(s.apps[(i*7919)%len(s.apps)]); lag > 0 {
			f.lag.took = append(f.lag.took, lag)
		}
		time.Sleep(scaleLook) // changes are spread over the time
	}
	cancel()
	over := time.Since(began).Seconds() // the clients of load go on for a second
	f.churn, f.churnTime = float64(<-churned)/over, (s.processor()-before).Seconds()/over
	f.busy = <-read
}

// report prints all that was found.
func (f figures) report(apps int) {
	us := time.Microsecond
	fmt.Printf("%d apps, %d dynos, %d cores\n", apps, apps*scaleDynos, runtime.NumCPU())
	fmt.Printf("  start to the first right answer   %s\n", f.start.Round(time.Millisecond))
	fmt.Printf("  memory at rest, at most           %s, %s\n", mebibytes(int(f.memory)), mebibytes(int(f.most)))
	fmt.Printf("  GET dynos, %d clients, at rest     %.0f/s, p50 %s, p99 %s\n", scaleClients, f.quiet.perSecond(), f.quiet.quantile(0.5).Round(us), f.quiet.quantile(0.99).Round(us))
	fmt.Printf("  GET dynos, 1 client, under change %.0f/s, p50 %s, p99 %s\n", f.busy.perSecond(), f.busy.quantile(0.5).Round(us), f.busy.quantile(0.99).Round(us))
	fmt.Printf("  %.0f changes/s                     seen after p50 %s, p99 %s, at most %s, %d looked at, with %.0f %% of a core\n",
		f.churn, f.lag.quantile(0.5).Round(us), f.lag.quantile(0.99).Round(us), f.lag.quantile(1).Round(us), len(f.lag.took), 100*f.churnTime)
	fmt.Printf("  idle                              %.2f %% of a core, %.0f requests a minute\n%s\n", 100*f.idle, f.requestsNumber, f.requests)
}

// judge fails the benchmark if a daemon with a thousand apps is not as wanted.
func (f figures) judge(b *testing.B, found *board) {
	b.Helper()
	with := fmt.Sprintf(" with %d apps", scaleApps)
	found.check(b, inSeconds("start to the first right answer"+with, f.start), atMost(scaleStart.Seconds()))
	found.check(b, inBytes("resident memory, the most,"+with, f.most), atMost(scaleMemory))
	found.check(b, inSeconds("GET dynos, p99,"+with, f.quiet.quantile(0.99)), atMost(scaleP99.Seconds()))
	found.check(b, inSeconds("GET dynos under changes, p99,"+with, f.busy.quantile(0.99)), atMost(scaleP99.Seconds()))
}

// judgeAny fails the benchmark if a daemon is not as wanted with any number of apps.
func (f figures) judgeAny(b *testing.B, found *board, apps int) {
	b.Helper()
	with := fmt.Sprintf(" with %d apps", apps)
	found.check(b, inNumber("changes a second"+with, f.churn), atLeast(0.98*scaleChurn))
	found.check(b, inSeconds("… seen after at most,"+with, f.lag.quantile(1)), atMost(scaleLag.Seconds()))
	found.check(b, inPercent(idleWith(apps), f.idle), atMost(scaleIdle))
}

// idleWith names the row of what an idle daemon takes of a processor.
func idleWith(apps int) string { return fmt.Sprintf("idle, of a core, with %d apps", apps) }

// ofGrowth names the row of how much a figure grew with the number of apps.
func ofGrowth(what string) string {
	return fmt.Sprintf("%s, with %d apps of that with %d", what, scaleMore*scaleApps, scaleApps)
}

// judgeGrowth notes what a daemon with more apps does, and fails the benchmark if anything grew more than their number, or if what must not grow
// at all did. start is how much that grew.
func (f figures) judgeGrowth(b *testing.B, found *board, small figures, start float64) {
	b.Helper()
	with := fmt.Sprintf(" with %d apps", scaleMore*scaleApps)
	found.note("start to the first right answer"+with, short(f.start))
	found.note("resident memory, the most,"+with, mebibytes(int(f.most)))
	spans := func(what string, few, many reading) {
		found.note(what+", p99,"+with, short(many.quantile(0.99)))
		found.check(b, inTimes(ofGrowth(what+", p99"), many.quantile(0.99).Seconds()/few.quantile(0.99).Seconds()), atMost(scaleMore))
	}
	spans("GET dynos", small.quiet, f.quiet)
	spans("GET dynos under changes", small.busy, f.busy)
	spans("changes seen after", small.lag, f.lag)
	found.check(b, inTimes(ofGrowth("start"), start), atMost(scaleMore))
	found.check(b, inTimes(ofGrowth("resident memory, the most"), f.most/small.most), atMost(scaleMore))
	found.check(b, inTimes(ofGrowth("idle, of a core"), f.idle/max(small.idle, 0.001)), atMost(scaleMore))
	found.note("requests a minute of an idle daemon"+fmt.Sprintf(" with %d apps", scaleApps), fmt.Sprintf("%.0f", small.requestsNumber))
	found.check(b, inNumber("requests a minute of an idle daemon"+with, f.requestsNumber), atMost(small.requestsNumber+scaleRequests))
}

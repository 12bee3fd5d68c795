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

// scaleStartGrowth is what the start may grow by. No more than scaleMore is wanted, and missed: docs/benchmarks.md says why.
const scaleStartGrowth = 12.5

// What is wanted of a daemon with scaleApps apps.
const (
	scaleStart  = 3 * time.Second       // from its start to the first right answer
	scaleMemory = 200.0                 // MiB resident, at most
	scaleP99    = 5 * time.Millisecond  // of GET dynos, with scaleClients clients
	scaleLag    = time.Second           // from an allocation's change to an answer that shows it, at scaleChurn changes a second
	scaleIdle   = 0.01                  // of one processor
	scaleOver   = 121 * time.Second     // for which an idle daemon is watched: Go collects its garbage every two minutes, and its own slowest timer is a minute
	scaleSettle = 62 * time.Second      // until what has ended is no longer shown
	scaleLook   = 20 * time.Millisecond // between two changes whose lag is measured

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
		t.Errorf("the daemon's memory is %f, at most %f MiB, its time %s", now, most, s.processor())
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
	memory, most     float64 // MiB, at rest and ever
	quiet, busy      reading // of GET dynos, while nothing changes and while much does
	lag              reading // from a change to its being shown
	churn, churnTime float64 // changes a second; processors used meanwhile
	idle             float64 // of one processor
	requests         string
	requestsNumber   float64
}

// BenchmarkScale measures a daemon with a thousand apps, and with ten thousand, on a simulated cluster. "make bench" runs it.
func BenchmarkScale(b *testing.B) {
	if os.Getenv("DYNOMAD_TEST_BENCH") == "" {
		b.Skip("run it with make bench")
	}
	var small figures
	for _, apps := range []int{scaleApps, scaleMore * scaleApps} {
		b.Run(fmt.Sprintf("apps=%d", apps), func(b *testing.B) {
			for range b.N {
				s := newScale(b, apps, scaleDynos)
				f := measureScale(s)
				f.report(b, apps)
				switch {
				case apps == scaleApps:
					small = f
					f.judge(b)
				case small.start > 0: // it was not left out
					f.judgeGrowth(b, small, startGrowth(newScale(b, scaleApps, scaleDynos), s))
				}
			}
		})
	}
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
	f.busy = <-read
	over := time.Since(began).Seconds()
	f.churn, f.churnTime = float64(<-churned)/over, (s.processor()-before).Seconds()/over
}

func (f figures) report(b *testing.B, apps int) {
	b.Helper()
	us := time.Microsecond
	fmt.Printf("%d apps, %d dynos, %d cores\n", apps, apps*scaleDynos, runtime.NumCPU())
	fmt.Printf("  start to the first right answer   %s\n", f.start.Round(time.Millisecond))
	fmt.Printf("  memory at rest, at most           %.0f MiB, %.0f MiB\n", f.memory, f.most)
	fmt.Printf("  GET dynos, %d clients, at rest     %.0f/s, p50 %s, p99 %s\n", scaleClients, f.quiet.perSecond(), f.quiet.quantile(0.5).Round(us), f.quiet.quantile(0.99).Round(us))
	fmt.Printf("  GET dynos, 1 client, under change %.0f/s, p50 %s, p99 %s\n", f.busy.perSecond(), f.busy.quantile(0.5).Round(us), f.busy.quantile(0.99).Round(us))
	fmt.Printf("  %.0f changes/s                     seen after p50 %s, p99 %s, at most %s, %d looked at, with %.0f %% of a core\n",
		f.churn, f.lag.quantile(0.5).Round(us), f.lag.quantile(0.99).Round(us), f.lag.quantile(1).Round(us), len(f.lag.took), 100*f.churnTime)
	fmt.Printf("  idle                              %.2f %% of a core, %.0f requests a minute\n%s\n", 100*f.idle, f.requestsNumber, f.requests)
}

// judge fails the benchmark if a daemon with a thousand apps is not as wanted.
func (f figures) judge(b *testing.B) {
	b.Helper()
	for what, bad := range map[string]bool{
		"the start is too slow":                          f.start > scaleStart,
		"too much memory":                                f.most > scaleMemory,
		"the p99 of GET dynos is too high":               f.quiet.quantile(0.99) > scaleP99,
		"the p99 of GET dynos under changes is too high": f.busy.quantile(0.99) > scaleP99,
		"the view is too far behind":                     f.lag.quantile(1) > scaleLag,
		"the changes were not made":                      f.churn < 0.9*scaleChurn,
		"an idle daemon does too much":                   f.idle > scaleIdle,
	} {
		if bad {
			b.Error(what)
		}
	}
}

// judgeGrowth fails the benchmark if anything but the start grew more than the number of apps, or if what must not grow at all did.
func (f figures) judgeGrowth(b *testing.B, small figures, start float64) {
	b.Helper()
	for what, grew := range map[string]struct{ by, most float64 }{
		"start":  {start, scaleStartGrowth},
		"memory": {f.most / small.most, scaleMore},
		"idle":   {f.idle / max(small.idle, 0.001), scaleMore},
	} {
		fmt.Printf("  %s: %.1f times that with %d apps\n", what, grew.by, scaleApps)
		if grew.by > grew.most {
			b.Errorf("%s grew by %.1f, the apps by %d", what, grew.by, scaleMore)
		}
	}
	for what, bad := range map[string]bool{
		"the requests of an idle daemon grew": f.requestsNumber > small.requestsNumber+12,
		"the view is too far behind":          f.lag.quantile(1) > scaleLag,
	} {
		if bad {
			b.Error(what)
		}
	}
}

//go:build integration

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// The load of the tails. One reads what a dyno writes, faster and faster; many read what dynos write at a rate. An app may have 30
// readers, so many are spread over two apps.
const (
	tailRuns  = 3
	floodTime = 3 // seconds for which a dyno writes at each rate
	manyTails = 50
	tailApps  = 2
	tailRate  = 1000 // lines a second of each dyno
	tailLines = 8000 // of each dyno
)

// floodRates are lines a second of one dyno. Faster ones fill Docker's own log files, of which Nomad gives parts twice.
func floodRates() []int { return []int{2_500, 5_000, 10_000, 20_000} }

// benchTails measures which rate one tail keeps up with, and how many lines a second come through fifty, beside as many readers of
// Nomad's own logs.
func benchTails(b *testing.B, found *board) {
	d := benchDaemon(b)
	image := d.cluster.Image(b, "hello")
	d.lineApps("tail", image)
	d.lineApps("plain", image) // nobody tails these, which would go on for a minute
	d.benchOneTail(b, found)
	d.benchManyTails(b, found)
}

// benchOneTail has a dyno write faster and faster, until its reader is overtaken and cut off.
func (d *daemon) benchOneTail(b *testing.B, found *board) {
	b.Helper()
	best, whole := 0, true
	rows := [][]string{{"lines a second written, one tail", "dynomad", "nomad"}}
	for _, rate := range floodRates() {
		load := lineLoad{daemon: d, apps: 1, dynoType: floodType(rate), lines: rate * floodTime, readers: 1}
		ours, err := load.measure(b, "tail", load.tail)
		if whole = whole && err == nil; whole {
			best = rate
		}
		theirs, otherErr := load.measure(b, "plain", load.nomadLogs)
		rows = append(rows, []string{strconv.Itoa(rate), load.outcome(ours, err), load.outcome(theirs, otherErr)})
	}
	found.note(fmt.Sprintf("lines a second that one tail keeps up with, up to %d", floodRates()[len(floodRates())-1]), strconv.Itoa(best))
	fmt.Printf("%s\n", table(rows))
}

// outcome words how fast all lines were read, or that they were not.
func (l lineLoad) outcome(took time.Duration, err error) string {
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%.0f read", float64(l.lines*l.readers*l.apps)/took.Seconds())
}

func (d *daemon) benchManyTails(b *testing.B, found *board) {
	b.Helper()
	load := lineLoad{daemon: d, apps: tailApps, dynoType: "steady", lines: tailLines, readers: manyTails / tailApps}
	var ours, theirs []time.Duration
	for range tailRuns {
		our, err := load.measure(b, "tail", load.tail)
		their, otherErr := load.measure(b, "plain", load.nomadLogs)
		if err = errors.Join(err, otherErr); err != nil {
			b.Fatal(err)
		}
		ours, theirs = append(ours, our), append(theirs, their)
	}
	all := float64(load.lines * manyTails)
	perSecond, others := all/median(ours).Seconds(), all/median(theirs).Seconds()
	name := fmt.Sprintf("lines a second through %d tails", manyTails)
	fmt.Printf("%s\n", table([][]string{
		{name + ", median", "dynomad", "nomad", "ratio"},
		{"", fmt.Sprintf("%.0f", perSecond), fmt.Sprintf("%.0f", others), fmt.Sprintf("%.2f", perSecond/others)},
	}))
	found.note(name+" (of Nomad's own)", fmt.Sprintf("%.0f (%.2f)", perSecond, perSecond/others))
}

// floodType names the dyno type that writes so many lines a second.
func floodType(rate int) string { return fmt.Sprintf("flood%d", rate) }

// lineApp names an app whose lines are read.
func lineApp(name string, i int) string { return fmt.Sprintf("%s%d-default", name, i) }

// lineApps makes apps of a name with dyno types that write lines.
func (d *daemon) lineApps(name, image string) {
	d.tb.Helper()
	for i := range tailApps {
		app := lineApp(name, i)
		d.do(http.MethodPost, "/apps", fmt.Sprintf(`{"name":"%s%d"}`, name, i), http.StatusCreated, nil)
		for _, rate := range floodRates() {
			flood := fmt.Sprintf(`{"type":"%s","quantity":0,"command":"/app lines %d %d"}`, floodType(rate), rate, rate*floodTime)
			d.do(http.MethodPost, "/apps/"+app+"/formation", flood, http.StatusOK, nil)
		}
		steady := fmt.Sprintf(`{"type":"steady","quantity":0,"command":"/app lines %d %d"}`, tailRate, tailLines)
		d.do(http.MethodPost, "/apps/"+app+"/formation", steady, http.StatusOK, nil)
		d.do(http.MethodPost, "/apps/"+app+"/builds", `{"url":"`+image+`"}`, http.StatusCreated, nil)
		d.waitRelease(app, 1, "succeeded")
	}
}

// lineLoad is dynos, one of each app, whose lines so many readers read.
type lineLoad struct {
	*daemon
	apps     int
	dynoType string
	lines    int // of each dyno
	readers  int // of each app
}

// lineReader reads an app's lines until it has all, and gives when the first was written and the last was read.
type lineReader func(ctx context.Context, app string) (written, read time.Time, err error)

// measure starts the dynos and gives how long it took from the first line's writing until all readers had all.
func (l lineLoad) measure(b *testing.B, name string, reader lineReader) (time.Duration, error) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	type span struct{ written, read time.Time }
	spans := make([]span, l.apps*l.readers)
	readers, readCtx := errgroup.WithContext(ctx)
	for i := range spans {
		readers.Go(func() error {
			written, read, err := reader(readCtx, lineApp(name, i%l.apps))
			spans[i] = span{written, read}
			return err
		})
	}
	l.scale(name, 1)
	err := readers.Wait()
	l.stop(b, name)
	written, read := spans[0].written, spans[0].read
	for _, s := range spans {
		if s.written.Before(written) {
			written = s.written
		}
		if s.read.After(read) {
			read = s.read
		}
	}
	return read.Sub(written), err
}

// stop stops the dynos, and waits until they are gone.
func (l lineLoad) stop(b *testing.B, name string) {
	b.Helper()
	l.scale(name, 0)
	for i := range l.apps {
		app := lineApp(name, i)
		l.waitDynos(app, l.dynoType, time.Minute, allReady(0))
		nomadtest.Eventually(b, time.Minute, func(ctx context.Context) error {
			if ids := l.containers(ctx, app); len(ids) > 0 {
				return fmt.Errorf("containers %v run", ids)
			}
			return nil
		})
	}
}

func (l lineLoad) scale(name string, quantity int) {
	for i := range l.apps {
		l.do(http.MethodPatch, "/apps/"+lineApp(name, i)+"/formation/"+l.dynoType, fmt.Sprintf(`{"quantity":%d}`, quantity), http.StatusOK, nil)
	}
}

// tail reads through the daemon.
func (l lineLoad) tail(ctx context.Context, app string) (written, read time.Time, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url+"/apps/"+app+"/logs?tail=1&lines=0", nil)
	if err != nil {
		return written, read, err
	}
	req.Header.Set("Authorization", "Bearer "+l.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return written, read, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return written, read, fmt.Errorf("GET logs: %s", resp.Status)
	}
	return readLines(resp.Body, "]: line ", l.lines)
}

// nomadLogs reads both streams of the app's dyno from Nomad.
func (l lineLoad) nomadLogs(ctx context.Context, app string) (written, read time.Time, err error) {
	alloc, err := l.running(ctx, app)
	if err != nil {
		return written, read, err
	}
	cancel := make(chan struct{})
	defer close(cancel)
	out, in := io.Pipe()
	defer out.Close() //nolint:errcheck // ends the two below
	for _, stream := range []string{"stdout", "stderr"} {
		frames, errs := l.cluster.NomadClient().AllocFS().Logs(alloc, true, l.dynoType, stream, "start", 0, cancel, (&api.QueryOptions{}).WithContext(ctx))
		go copyFrames(in, frames, errs)
	}
	return readLines(out, "line ", l.lines)
}

// copyFrames writes what comes of one stream. A frame ends anywhere, so whole lines are written at once.
func copyFrames(to *io.PipeWriter, frames <-chan *api.StreamFrame, errs <-chan error) {
	var rest []byte
	for {
		select {
		case frame, ok := <-frames:
			if !ok {
				return
			}
			rest = append(rest, frame.Data...)
			end := strings.LastIndexByte(string(rest), '\n') + 1
			if _, err := to.Write(rest[:end]); err != nil {
				return
			}
			rest = append([]byte(nil), rest[end:]...)
		case err := <-errs:
			_ = to.CloseWithError(err) // never fails
			return
		}
	}
}

// running waits until the app's dyno runs.
func (l lineLoad) running(ctx context.Context, app string) (*api.Allocation, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		stubs, _, err := l.cluster.NomadClient().Jobs().Allocations(app, false, (&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return nil, err
		}
		for _, stub := range stubs {
			if stub.TaskGroup == l.dynoType && stub.ClientStatus == api.AllocClientStatusRunning && stub.DesiredStatus == api.AllocDesiredStatusRun {
				return &api.Allocation{ID: stub.ID, NodeID: stub.NodeID, Namespace: stub.Namespace}, nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// readLines reads until so many lines "line N at NANOSECONDS" have come. One may come twice: Docker's reader of its own files sometimes begins
// anew, and then Nomad writes them twice.
func readLines(from io.Reader, mark string, want int) (written, read time.Time, err error) {
	lines := bufio.NewScanner(from)
	seen := make([]bool, want+1)
	for left := want; left > 0; {
		if !lines.Scan() {
			return written, read, errors.Join(fmt.Errorf("%d of %d lines are missing", left, want), lines.Err())
		}
		_, rest, ok := strings.Cut(lines.Text(), mark)
		if !ok {
			continue // the platform's
		}
		number, at, _ := strings.Cut(rest, " at ")
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > want {
			return written, read, fmt.Errorf("the line %q should not come", lines.Text())
		}
		if seen[n] {
			continue
		}
		seen[n] = true
		if left--; n == 1 {
			nanos, err := strconv.ParseInt(at, 10, 64)
			if err != nil {
				return written, read, err
			}
			written = time.Unix(0, nanos)
		}
	}
	return written, time.Now(), nil
}

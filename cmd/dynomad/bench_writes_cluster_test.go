//go:build integration

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// What is written, and how fast answers have to come.
const (
	restApps    = 50 // on the cluster, each with a dyno
	writeApps   = 20 // … that are written to
	writeTurns  = 250
	writePause  = 200 * time.Millisecond // between two writes of the same kind: about what one node's Docker can follow
	writeRounds = 3
	writeRound  = 2 * time.Second
	manyWriters = 16
	patchP99    = 20 * time.Millisecond
	lostAfter   = 10 * time.Second // a change that Nomad has not got by then is counted as lost
)

// patchBusy is what the benchmark calls the p99 of a PATCH while dynos start and end.
const patchBusy = "PATCH formation while Nomad schedules, p99"

// benchWrites measures PATCH formation beside a register of the same job, while Nomad schedules and its nodes start and end dynos;
// and before that what the daemon takes at rest.
func benchWrites(b *testing.B, found *board) {
	d := benchDaemon(b)
	d.deployMany(restApps, 1)
	d.benchRest(b, found)
	w := newWrites(d, writeApps)
	w.copyJobs(b)
	w.schedule(b, found)
	w.asManyAsPossible(b, found)
	for _, job := range w.bare {
		if _, _, err := d.cluster.NomadClient().Jobs().DeregisterOpts(*job.ID, &api.DeregisterOptions{}, nil); err != nil {
			b.Error(err)
		}
	}
	for _, job := range w.bare {
		d.cluster.RemoveJob(b, *job.ID)
	}
}

func writeApp(i int) string { return fmt.Sprintf("many%d-default", i) }

// writes sends the same change to the daemon and, of copies of its jobs, to Nomad.
type writes struct {
	*daemon
	client *http.Client
	bare   []*api.Job
}

// newWrites adds a type that nobody runs to the first apps of deployMany.
func newWrites(d *daemon, apps int) *writes {
	d.tb.Helper()
	for i := range apps {
		d.do(http.MethodPost, "/apps/"+writeApp(i)+"/formation", `{"type":"idle","command":"/app silent","quantity":0}`, http.StatusOK, nil)
	}
	return &writes{daemon: d, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: manyWriters}}}
}

// copyJobs makes a copy of the job of each app that is written to, and waits until all run.
func (w *writes) copyJobs(b *testing.B) {
	b.Helper()
	nomad := w.cluster.NomadClient()
	for i := range writeApps {
		var job *api.Job
		nomadtest.Eventually(b, time.Minute, func(context.Context) error {
			var err error
			if job, _, err = nomad.Jobs().Info(writeApp(i), nil); err == nil && len(job.TaskGroups) != 2 {
				err = fmt.Errorf("%s has %d groups", *job.ID, len(job.TaskGroups))
			}
			return err
		})
		job = copyJob(b, job, fmt.Sprintf("bare%d-default", i))
		if _, _, err := nomad.Jobs().Register(job, nil); err != nil {
			b.Fatal(err)
		}
		w.bare = append(w.bare, job)
	}
	for i := range writeApps {
		w.settled(b, writeApp(i))
		w.settled(b, *w.bare[i].ID)
	}
}

// settled waits until a job's last rollout has ended well.
func (w *writes) settled(b *testing.B, job string) {
	b.Helper()
	nomadtest.Eventually(b, 2*time.Minute, func(context.Context) error {
		deployment, _, err := w.cluster.NomadClient().Jobs().LatestDeployment(job, nil)
		if err == nil && (deployment == nil || deployment.Status != api.DeploymentStatusSuccessful) {
			err = fmt.Errorf("the deployment of %s: %+v", job, deployment)
		}
		return err
	})
}

// patch changes a dyno type of an app, and gives how long the answer took.
func (w *writes) patch(ctx context.Context, app, dynoType, body string) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, w.url+"/apps/"+app+"/formation/"+dynoType, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	start := time.Now()
	resp, err := w.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(resp.Body)
	took := time.Since(start)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("PATCH %s: %d %s", req.URL.Path, resp.StatusCode, text)
	}
	return took, err
}

// register registers a job, and gives how long that took.
func (w *writes) register(ctx context.Context, job *api.Job) (time.Duration, error) {
	start := time.Now()
	_, _, err := w.cluster.NomadClient().Jobs().Register(job, (&api.WriteOptions{}).WithContext(ctx))
	return time.Since(start), err
}

// groupOf finds the group of a dyno type.
func groupOf(job *api.Job, dynoType string) *api.TaskGroup {
	for _, g := range job.TaskGroups {
		if *g.Name == dynoType {
			return g
		}
	}
	return &api.TaskGroup{Count: new(int)}
}

// schedule scales apps from one to two dynos and back, by turns with copies of their jobs, so that Nomad schedules and dynos start
// and end all the time. Nomad can lose a change that comes in the instant in which the job's last rollout ends: it marks the version
// that has rolled out as stable, and thereby makes it the job again (state_store.go, updateJobStabilityImpl).
func (w *writes) schedule(b *testing.B, found *board) {
	b.Helper()
	seen := w.watchJobs(b)
	var answers, registers, ours, theirs, syncs, pings []time.Duration
	lost := map[string]int{}
	tick := time.NewTicker(writePause)
	defer tick.Stop()
	for turn := range writeTurns {
		<-tick.C // the pace of what is measured
		i, quantity := turn%writeApps, 2-(turn/writeApps)%2
		arrival := seen.expect(writeApp(i), quantity)
		start := time.Now()
		took, err := w.patch(b.Context(), writeApp(i), "worker", fmt.Sprintf(`{"quantity":%d}`, quantity))
		if err != nil {
			b.Fatal(err)
		}
		answers = append(answers, took)
		if took, ok := since(start, arrival); ok {
			ours = append(ours, took)
		} else {
			lost["dynomad"]++
		}

		job := w.bare[i]
		*groupOf(job, "worker").Count = quantity
		arrival = seen.expect(*job.ID, quantity)
		start = time.Now()
		if took, err = w.register(b.Context(), job); err != nil {
			b.Fatal(err)
		}
		registers = append(registers, took)
		if took, ok := since(start, arrival); ok {
			theirs = append(theirs, took)
		} else {
			lost["nomad"]++
		}
		syncs, pings = append(syncs, w.sync(b)), append(pings, w.ping(b))
	}
	row := func(name string, took []time.Duration) []string {
		return []string{name, short(quantile(took, 0.5)), short(quantile(took, 0.99)), short(quantile(took, 1))}
	}
	fmt.Printf("%s\n", table([][]string{
		{fmt.Sprintf("%d changes of a quantity, while Nomad schedules", writeTurns), "p50", "p99", "longest"},
		row("dynomad: answer to PATCH formation", answers), row("dynomad: until Nomad has the job", ours),
		row("nomad: answer to a register", registers), row("nomad: until Nomad has the job", theirs),
		row("beside it: 4 KiB written and synced", syncs), row("beside it: dynomad's answer to GET /healthz", pings),
	}))
	b.Logf("not in Nomad after %s: %v", lostAfter, lost)
	found.check(b, inSeconds(patchBusy, quantile(answers, 0.99)), atMost(patchP99.Seconds()))
	found.note("PATCH formation, until Nomad has the job, p50 (of a bare register's)",
		fmt.Sprintf("%s (%.2f)", short(median(ours)), median(ours).Seconds()/median(theirs).Seconds()))
}

// sync writes a page to the disk that the database is on, and gives how long that took: no write can be acknowledged sooner.
func (w *writes) sync(b *testing.B) time.Duration {
	b.Helper()
	file, err := os.OpenFile(filepath.Join(w.dir, "synced"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	_, err = file.Write(make([]byte, 4096))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// ping gives how long the daemon's least answer takes: what goes beyond that at rest is waiting for a processor.
func (w *writes) ping(b *testing.B) time.Duration {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, w.url+"/healthz", http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	resp, err := w.client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// asManyAsPossible has one writer, then many, change types that nobody runs; by turns with registers of the same.
func (w *writes) asManyAsPossible(b *testing.B, found *board) {
	b.Helper()
	rows := [][]string{{"writes to distinct apps", "a second", "p50", "p99"}}
	for _, writers := range []int{1, manyWriters} {
		var ours, theirs reading
		for range writeRounds {
			ours = ours.add(w.hammer(b, writers, w.change))
			theirs = theirs.add(w.hammer(b, writers, func(ctx context.Context, i, n int) (time.Duration, error) {
				groupOf(w.bare[i], "idle").Tasks[0].Config["entrypoint"] = []string{"/app", "silent", fmt.Sprint(n)}
				return w.register(ctx, w.bare[i])
			}))
		}
		row := func(name string, r reading) []string {
			return []string{fmt.Sprintf("%s, writers: %d", name, writers), fmt.Sprintf("%.0f", r.perSecond()), short(r.quantile(0.5)), short(r.quantile(0.99))}
		}
		rows = append(rows, row("dynomad: PATCH formation", ours), row("nomad: register", theirs))
		found.note(fmt.Sprintf("PATCH formation a second, writers: %d (of bare registers)", writers),
			fmt.Sprintf("%.0f (%.1f)", ours.perSecond(), ours.perSecond()/theirs.perSecond()))
	}
	fmt.Printf("%s\n", table(rows))
}

// change changes the command of the type that nobody runs, so that Nomad has to look at the change and to start nothing.
func (w *writes) change(ctx context.Context, app, n int) (time.Duration, error) {
	return w.patch(ctx, writeApp(app), "idle", fmt.Sprintf(`{"command":"/app silent %d"}`, n))
}

// hammer has so many writers write for a round, each to an app of its own, and then waits until Nomad has nothing left to do.
func (w *writes) hammer(b *testing.B, writers int, write func(ctx context.Context, i, n int) (time.Duration, error)) reading {
	b.Helper()
	end := w.begin(b, writers, write)
	time.Sleep(writeRound) // what is measured is how much is written in that time
	return end()
}

// begin has so many writers write without pause until end, which waits until Nomad has nothing left to do.
func (w *writes) begin(b *testing.B, writers int, write func(ctx context.Context, i, n int) (time.Duration, error)) (end func() reading) {
	b.Helper()
	parts := make([][]time.Duration, writers)
	var group errgroup.Group
	var over atomic.Bool
	start := time.Now()
	for i := range writers {
		group.Go(func() error {
			for !over.Load() {
				took, err := write(b.Context(), i, int(time.Since(start)))
				if err != nil {
					return err
				}
				parts[i] = append(parts[i], took)
			}
			return nil
		})
	}
	return func() reading {
		b.Helper()
		over.Store(true)
		if err := group.Wait(); err != nil {
			b.Fatal(err)
		}
		all := reading{over: time.Since(start)}
		for _, part := range parts {
			all.took = append(all.took, part...)
		}
		w.calm(b)
		return all
	}
}

// calm waits until Nomad has looked at every change.
func (w *writes) calm(b *testing.B) {
	b.Helper()
	nomadtest.Eventually(b, 2*time.Minute, func(context.Context) error {
		pending, _, err := w.cluster.NomadClient().Evaluations().List(&api.QueryOptions{Filter: `Status == "pending"`})
		if err == nil && len(pending) > 0 {
			err = fmt.Errorf("%d evaluations are pending", len(pending))
		}
		return err
	})
}

// arrivals tells when Nomad has a job with a certain number of workers, by its events.
type arrivals struct {
	mu     sync.Mutex
	wanted map[string]arrival // by job
}

type arrival struct {
	count int
	at    chan time.Time
}

// watchJobs starts to read Nomad's events of jobs.
func (w *writes) watchJobs(b *testing.B) *arrivals {
	b.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	topics := map[api.Topic][]string{api.TopicJob: {"*"}}
	events, err := w.cluster.NomadClient().EventStream().Stream(ctx, topics, 0, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		cancel()
		b.Fatal(err)
	}
	a, done := &arrivals{wanted: map[string]arrival{}}, make(chan struct{})
	go func() {
		defer close(done)
		for batch := range events {
			for _, event := range batch.Events {
				if job, err := event.Job(); err == nil && job != nil {
					a.saw(job)
				}
			}
		}
	}()
	b.Cleanup(func() { cancel(); <-done })
	return a
}

func (a *arrivals) saw(job *api.Job) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if wanted, ok := a.wanted[*job.ID]; ok && *groupOf(job, "worker").Count == wanted.count {
		wanted.at <- time.Now()
		delete(a.wanted, *job.ID)
	}
}

// expect gives where the time will come at which the job has so many workers.
func (a *arrivals) expect(job string, count int) <-chan time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := make(chan time.Time, 1)
	a.wanted[job] = arrival{count: count, at: at}
	return at
}

// since waits for an arrival, and gives how long it took; ok is false if it did not come.
func since(start time.Time, arrival <-chan time.Time) (took time.Duration, ok bool) {
	select {
	case at := <-arrival:
		return at.Sub(start), true
	case <-time.After(lostAfter):
		return 0, false
	}
}

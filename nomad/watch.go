package nomad

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs"
)

// Bounds of watching. Nomad sends a heartbeat every 30 s on a quiet stream.
const (
	streamSilence = 75 * time.Second
	minBackoff    = 250 * time.Millisecond
	maxBackoff    = 2 * time.Second
)

// Sink takes what a Watcher sees. Its methods are called by one goroutine a namespace and must not block for long.
type Sink interface {
	// Reset replaces all that is known of a namespace.
	Reset(namespace string, s jobs.Snapshot)
	// Apply takes one change. Changes may come twice, or be older than what a Reset told. It reports whether the change
	// is of an allocation whose job version it does not know.
	Apply(namespace string, d jobs.Delta) (unknown bool)
	// Lost says that the namespace is no longer followed, until the next Reset.
	Lost(namespace string)
}

// Watcher follows one namespace of a cluster: a stream of events over a full list.
type Watcher struct {
	Client       *Client
	Namespace    string
	Installation string // only jobs with this owner mark are looked into
	Sink         Sink
	Log          hclog.Logger

	silence time.Duration // the longest that Nomad may be silent; 0 is streamSilence

	mu     sync.Mutex
	giveUp context.CancelFunc // ends what is followed now
}

// Doubt has the watcher begin anew at once. A half-open connection brings nothing and does not break: who has another reason to think that
// it is one need not wait until it has been silent for too long. Connections that nobody uses now may be no better: they are closed.
func (w *Watcher) Doubt() {
	w.Client.api.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.giveUp != nil {
		w.giveUp()
	}
}

// Run follows until ctx ends. After every break it starts anew with a full list, after a pause with jitter that grows to
// maxBackoff and is reset by success.
func (w *Watcher) Run(ctx context.Context) {
	pause := minBackoff
	for ctx.Err() == nil {
		synced, err := w.once(ctx)
		w.Sink.Lost(w.Namespace)
		if ctx.Err() != nil {
			return
		}
		w.Client.api.Close() // what lost this connection may have lost those that nobody uses now
		if synced {
			pause = minBackoff
		}
		w.Log.Warn("lost sight of nomad, will look again", "namespace", w.Namespace, "error", err, "pause", pause)
		sleep(ctx, pause/2+rand.N(pause/2)) //nolint:gosec // jitter, no secret
		pause = min(2*pause, maxBackoff)
	}
}

// once opens the stream first, then lists, then follows: an event between list and stream cannot be missed, and one that
// the list knows already is harmless.
func (w *Watcher) once(ctx context.Context) (synced bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.mu.Lock()
	w.giveUp = cancel
	w.mu.Unlock()
	// A half-open connection and a frozen server give no error, only silence, from the first byte on. Nomad answers at once with a
	// heartbeat, so that who opens a stream need not wait for longer than any other call does.
	bound := cmp.Or(w.silence, streamSilence)
	silence := time.AfterFunc(min(bound, callTimeout), cancel)
	defer silence.Stop()
	stream, err := w.open(ctx)
	silence.Stop() // the lists have deadlines of their own
	if err != nil {
		return false, err
	}
	defer func() { _ = stream.Close() }()
	snapshot, err := w.snapshot(ctx)
	if err != nil {
		return false, err
	}
	w.Sink.Reset(w.Namespace, snapshot)
	w.Log.Debug("following nomad", "namespace", w.Namespace, "index", snapshot.Index, "jobs", len(snapshot.Jobs), "allocs", len(snapshot.Allocs))
	silence.Reset(bound)
	return true, w.follow(ctx, stream, snapshot.Index, func() { silence.Reset(bound) })
}

func (w *Watcher) open(ctx context.Context) (io.ReadCloser, error) {
	q := (&api.QueryOptions{Namespace: w.Namespace}).WithContext(ctx)
	stream, err := w.Client.api.Raw().Response("/v1/event/stream?topic=Allocation&topic=Job&topic=Evaluation", q)
	return stream, translate("opening the event stream", err)
}

// event is one of Nomad's events; its payload is read when the topic is known.
type event struct {
	Topic   string
	Type    string
	Key     string
	Index   uint64
	Payload struct {
		Allocation *api.Allocation
		Job        *api.Job
		Evaluation *api.Evaluation
	}
}

func (w *Watcher) follow(ctx context.Context, stream io.Reader, after uint64, heard func()) error {
	dec := json.NewDecoder(stream)
	var last uint64
	for {
		var batch struct {
			Index  uint64
			Events []event
			Error  *struct{ Message string }
		}
		if err := dec.Decode(&batch); err != nil {
			return fmt.Errorf("reading the event stream: %w", err)
		}
		heard()
		if batch.Error != nil {
			return errors.New("nomad ended the event stream: " + batch.Error.Message)
		}
		if batch.Index != 0 && batch.Index < last { // a heartbeat has none
			return fmt.Errorf("the event stream's index went back from %d to %d", last, batch.Index)
		}
		last = max(last, batch.Index)
		unknown := map[string]bool{}
		for i := range batch.Events {
			if e := &batch.Events[i]; e.Index > after {
				if err := w.take(ctx, e, unknown); err != nil {
					return err
				}
			}
		}
		if err := w.learn(ctx, unknown, batch.Index); err != nil {
			return err
		}
	}
}

// learn reads the job versions of new allocations, which events do not tell: one list for each of their jobs.
func (w *Watcher) learn(ctx context.Context, unknown map[string]bool, index uint64) error {
	for jobID := range unknown {
		q, done := w.Client.seen(ctx, w.Namespace, index)
		stubs, _, err := w.Client.api.Jobs().Allocations(jobID, true, q)
		done()
		if err := ignoreMissing(translate("listing the allocations of job "+jobID, err)); err != nil {
			return err
		}
		for _, stub := range jobs.Present(stubs) {
			alloc := jobs.AllocFromStub(stub)
			w.Sink.Apply(w.Namespace, jobs.Delta{Alloc: &alloc})
		}
	}
	return nil
}

// take passes one event on. Jobs with allocations of which more must be known are added to unknown.
func (w *Watcher) take(ctx context.Context, e *event, unknown map[string]bool) error {
	switch {
	case e.Payload.Allocation != nil:
		alloc := jobs.AllocFromAPI(e.Payload.Allocation)
		if w.Sink.Apply(w.Namespace, jobs.Delta{Alloc: &alloc}) {
			unknown[alloc.JobID] = true
		}
	case e.Payload.Evaluation != nil:
		if b, ok := blockedFrom(e.Payload.Evaluation); ok {
			w.Sink.Apply(w.Namespace, jobs.Delta{Blocked: &b})
		}
	case e.Topic == "Job":
		return w.takeJob(ctx, e)
	}
	return nil
}

// takeJob passes on a job's new state. An event of a job that was ended shows it as it was before and does not tell whether
// it was purged, so that is asked.
func (w *Watcher) takeJob(ctx context.Context, e *event) error {
	job := e.Payload.Job
	if job == nil || job.ID == nil || strings.HasSuffix(e.Type, "Deregistered") { // JobBatchDeregistered is Nomad's garbage collection
		var err error
		q, done := w.Client.seen(ctx, w.Namespace, e.Index)
		job, err = w.Client.job(e.Key, q)
		done()
		if err != nil {
			if err = ignoreMissing(err); err == nil {
				w.Sink.Apply(w.Namespace, jobs.Delta{Removed: e.Key})
			}
			return err
		}
	}
	info := jobs.InfoFromJob(job)
	delta := jobs.Delta{Job: &info}
	if w.owned(info) {
		content := versionContent(job)
		delta.Content = &content
	}
	w.Sink.Apply(w.Namespace, delta)
	return nil
}

// blockedFrom tells what an evaluation says of placements: it is blocked, or it ended with or without failures.
func blockedFrom(e *api.Evaluation) (jobs.Blocked, bool) {
	b := jobs.Blocked{Namespace: e.Namespace, JobID: e.JobID, EvalID: e.ID, Index: e.ModifyIndex}
	switch e.Status {
	case "blocked":
		b.Failed = e.FailedTGAllocs
	case "complete":
		b.Failed = e.FailedTGAllocs
	case "canceled":
		b.Cancelled = true
	default:
		return b, false
	}
	return b, true
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// owned reports whether a job is one of ours.
func (w *Watcher) owned(info jobs.JobInfo) bool {
	return info.Installation != "" && info.Installation == w.Installation
}

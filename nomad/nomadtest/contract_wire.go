package nomadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	consul "github.com/hashicorp/consul/api"
	"github.com/hashicorp/nomad/api"
)

// Bounds that the adapters set: an answer that took longer is none to them.
const (
	wireAnswer  = 10 * time.Second // nomad's and consul's callTimeout
	wireSilence = 75 * time.Second // nomad's streamSilence
)

// WireCluster is a ContractCluster that speaks HTTP as Nomad and Consul do.
type WireCluster struct {
	ContractCluster
	WireAPIs
}

// WireAPIs are a cluster's APIs, and what has a web dyno listen there.
type WireAPIs struct {
	Nomad   *api.Client
	Consul  *consul.Client
	Web     string                             // an image whose "/app web" listens on PORT, and whose "/app silent" does not
	Listens func(allocID string, listens bool) // has what the command of an allocation of Web says be so
}

// WireContract says what the adapters rely on of the APIs of Nomad and Consul beyond what Contract says: of the stream of events, of lists in
// pages, and of Consul's checks. It is run against the Sim and against Nomad and Consul; the Fake speaks no HTTP.
func WireContract(t *testing.T, open func(t *testing.T) WireCluster) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *wire){
		"events come in order":                          testEvents,
		"no event is missed between a stream and lists": testEventsOverLists,
		"a quiet stream of events has a heartbeat":      testHeartbeat,
		"a list in pages is whole and in order":         testPages,
		"critical checks are waited for":                testCritical,
		"a service has instances with checks":           testInstances,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := open(t)
			test(t, &wire{contract: newContract(t, cluster.ContractCluster), WireAPIs: cluster.WireAPIs})
		})
	}
}

// wire is one test.
type wire struct {
	*contract
	WireAPIs
}

// wireEvent is an event as nomad.Watcher reads it.
type wireEvent struct {
	Topic, Type, Key string
	Index            uint64
	Payload          struct {
		Allocation *api.Allocation
		Job        *api.Job
	}
}

// wireStream is what has come of a stream of events.
type wireStream struct {
	mu     sync.Mutex
	events []wireEvent
	beats  int   // batches without an event
	err    error // why it ended, or what was wrong with it
}

// stream reads the events of topics from now on, until the test ends.
func (w *wire) stream(topics ...string) *wireStream {
	w.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	q := (&api.QueryOptions{Namespace: api.DefaultNamespace}).WithContext(ctx)
	body, err := w.Nomad.Raw().Response("/v1/event/stream?"+url.Values{"topic": topics}.Encode(), q)
	if err != nil {
		cancel()
		w.Fatal(err)
	}
	s, ended := &wireStream{}, make(chan struct{})
	go func() {
		defer close(ended)
		s.read(body)
	}()
	w.Cleanup(func() {
		cancel() // ends what reads, beside which it must not be closed
		<-ended
		_ = body.Close() // only read
	})
	return s
}

// read keeps what comes, as far as it is in order: nomad.Watcher begins anew when an index goes back.
func (s *wireStream) read(body io.Reader) {
	dec := json.NewDecoder(body)
	var last uint64
	for {
		var batch struct {
			Index  uint64
			Events []wireEvent
			Error  *struct{ Message string }
		}
		err := dec.Decode(&batch)
		switch {
		case err != nil:
		case batch.Error != nil:
			err = errors.New(batch.Error.Message)
		case len(batch.Events) > 0 && batch.Index < last:
			err = fmt.Errorf("the index went back from %d to %d", last, batch.Index)
		case len(batch.Events) == 0 && batch.Index != 0:
			err = fmt.Errorf("a heartbeat has the index %d", batch.Index)
		}
		for _, e := range batch.Events {
			if e.Index != batch.Index {
				err = errors.Join(err, fmt.Errorf("an event of index %d in a batch of index %d", e.Index, batch.Index))
			}
		}
		s.mu.Lock()
		if s.err = err; len(batch.Events) == 0 {
			s.beats++
		}
		s.events = append(s.events, batch.Events...)
		s.mu.Unlock()
		if err != nil {
			return
		}
		last = max(last, batch.Index)
	}
}

// comes waits for an event and gives it, with how many came before it.
func (w *wire) comes(s *wireStream, what string, ok func(wireEvent) bool) (found wireEvent, before int) {
	w.Helper()
	Eventually(w, contractWithin, func(context.Context) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, e := range s.events {
			if ok(e) {
				found, before = e, i
				return nil
			}
		}
		if s.err != nil {
			return permanentError{fmt.Errorf("before an event of %s: %w", what, s.err)}
		}
		return fmt.Errorf("no event of %s among %d", what, len(s.events))
	})
	return found, before
}

// ofJob reports whether an event is of the test's job.
func (w *wire) ofJob(e wireEvent) bool { return e.Topic == "Job" && e.Key == w.id }

// testEvents follows a job from its registration to its removal.
func testEvents(t *testing.T, w *wire) {
	s := w.stream("Allocation", "Job", "Evaluation")
	Eventually(t, wireAnswer, func(context.Context) error { // else a connection that is half-open would not be told from one that is quiet
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.beats+len(s.events) == 0 {
			return errors.New("nothing comes of a stream that was just opened")
		}
		return s.err
	})
	applied := w.register(w.job(1, forever), 0)
	w.ends(applied)
	w.began(s, applied.ModifyIndex, w.Allocs(w.id)[0].ID)
	gone := func(e wireEvent) bool { return w.ofJob(e) && strings.HasSuffix(e.Type, "Deregistered") }
	w.Stop(w.id)
	stopped := w.index()
	w.comes(s, "the stop", func(e wireEvent) bool { return gone(e) && e.Index == stopped })
	w.remove(t.Context())
	w.comes(s, "the removal", func(e wireEvent) bool { return gone(e) && e.Index > stopped })
}

// began checks the events of a job's register, and of its allocation until that runs.
func (w *wire) began(s *wireStream, modifyIndex uint64, alloc string) {
	w.Helper()
	registered, first := w.comes(s, "the register", w.ofJob)
	job := registered.Payload.Job
	if registered.Index != modifyIndex || job == nil || *job.JobModifyIndex != modifyIndex || len(job.TaskGroups) != 1 {
		w.Errorf("the register at %d is told of at %d with %+v", modifyIndex, registered.Index, job)
	}
	_, placed := w.comes(s, "the allocation", func(e wireEvent) bool { return e.Topic == "Allocation" && e.Key == alloc })
	running, later := w.comes(s, "a running allocation", func(e wireEvent) bool {
		a := e.Payload.Allocation
		return e.Topic == "Allocation" && e.Key == alloc && a != nil && a.ClientStatus == api.AllocClientStatusRunning
	})
	if a := running.Payload.Allocation; a.ID != alloc || a.JobID != w.id || a.ModifyIndex > running.Index || a.TaskStates["worker"] == nil {
		w.Errorf("an event of allocation %s at %d: %+v", alloc, running.Index, a)
	}
	if placed < first || later < placed {
		w.Errorf("event %d is the register, %d the placing, %d that it runs", first, placed, later)
	}
}

// testEventsOverLists opens a stream, lists, and has something change after that: it comes with an index above the lists', and the lists have
// all that comes with one that is not.
func testEventsOverLists(t *testing.T, w *wire) {
	s := w.stream("Allocation", "Job", "Evaluation")
	before := w.register(w.job(0, forever), 0)
	q := &api.QueryOptions{WaitIndex: before.ModifyIndex - 1, WaitTime: wireAnswer} // as what was told of is read
	job, meta, err := w.Nomad.Jobs().Info(w.id, q.WithContext(t.Context()))
	if err != nil || *job.JobModifyIndex != before.ModifyIndex || meta.LastIndex < before.ModifyIndex {
		t.Fatalf("read at index %d: %+v, %v; want what was registered at %d", meta.LastIndex, job, err, before.ModifyIndex)
	}
	list, meta, err := w.Nomad.Jobs().ListOptions(&api.JobListOptions{Fields: &api.JobListFields{Meta: true}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	listed := uint64(0)
	for _, stub := range list {
		if stub.ID == w.id && stub.Meta["contract"] == w.id {
			listed = stub.JobModifyIndex
		}
	}
	if listed != before.ModifyIndex || meta.LastIndex < listed {
		t.Errorf("listed at %d of index %d, want %d", meta.LastIndex, listed, before.ModifyIndex)
	}
	w.Edit(w.id, func(job *api.Job) { job.TaskGroups[0].Meta = map[string]string{"edited": "yes"} })
	edited := w.index()
	e, _ := w.comes(s, "the edit", func(e wireEvent) bool { return w.ofJob(e) && e.Index == edited })
	if e.Index <= meta.LastIndex {
		t.Errorf("the edit came at %d, the list before it was of %d", e.Index, meta.LastIndex)
	}
	w.comes(s, "the register", func(e wireEvent) bool { return w.ofJob(e) && e.Index == listed })
}

// testHeartbeat reads a topic of which next to nothing comes.
func testHeartbeat(t *testing.T, w *wire) {
	s := w.stream("NodePool")
	Eventually(t, wireSilence, func(context.Context) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.err != nil {
			return permanentError{s.err}
		}
		if s.beats < 2 { // the first comes as it is opened
			return fmt.Errorf("%d heartbeats", s.beats)
		}
		return nil
	})
}

// testPages lists all allocations two by two.
func testPages(t *testing.T, w *wire) {
	const each, size = 3, 2
	w.ends(w.register(w.job(each, forever), 0))
	seen := map[string]int{}
	var last uint64
	for token, pages := "", 0; ; pages++ {
		q := &api.QueryOptions{PerPage: size, NextToken: token}
		var stubs []*api.AllocationListStub
		meta, err := w.Nomad.Raw().Query("/v1/allocations", &stubs, q.WithContext(t.Context())) // Nomad's own client sorts each page
		if err != nil {
			t.Fatal(err)
		}
		if len(stubs) > size || meta.LastIndex == 0 || meta.NextToken != "" && len(stubs) < size {
			t.Errorf("page %d has %d rows, the index %d and a next one %q", pages, len(stubs), meta.LastIndex, meta.NextToken)
		}
		for _, stub := range stubs {
			if stub.CreateIndex < last {
				t.Errorf("%s, made at %d, comes after one made at %d", stub.ID, stub.CreateIndex, last)
			}
			last = stub.CreateIndex
			if stub.JobID == w.id {
				seen[stub.ID]++
			}
		}
		if token = meta.NextToken; token == "" {
			break
		}
	}
	for id, times := range seen {
		if times != 1 {
			t.Errorf("%s was listed %d times", id, times)
		}
	}
	if len(seen) != each {
		t.Errorf("%d allocations were listed, want %d", len(seen), each)
	}
}

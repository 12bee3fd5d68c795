package nomad

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/jobs/view"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// standIn speaks Nomad's wire format: it answers with what was recorded in testdata.
type standIn struct {
	*testing.T
	server *httptest.Server

	mu       sync.Mutex
	requests []string          // paths, in order
	answers  map[string]string // path -> file of testdata; "" is a 404
	gone     map[string]uint64 // path -> since when it is a 404 for those who wait until that can be read, and for nobody else
	broken   bool              // lists are refused
	mute     bool              // the stream's request is never answered
	lines    chan string       // what the stream that is open sends
	ended    chan struct{}     // closed to end the stream that is open
	opened   int               // streams so far
}

func newStandIn(t *testing.T) *standIn {
	t.Helper()
	s := &standIn{T: t, answers: map[string]string{
		"/v1/jobs": "jobs", "/v1/allocations": "allocations", "/v1/evaluations": "evaluations",
		"/v1/job/fix-default/versions": "versions", "/v1/job/fix-default/allocations": "job-allocations",
		"/v1/job/fix-default": "job-stopped",
	}}
	s.server = httptest.NewServer(s)
	t.Cleanup(s.server.Close)
	return s
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.URL.Path)
	file, broken := s.answers[r.URL.Path], s.broken
	if gone := s.gone[r.URL.Path]; gone > 0 && r.FormValue("index") == strconv.FormatUint(gone-1, 10) {
		file = ""
	}
	s.mu.Unlock()
	switch {
	case r.URL.Path == "/v1/event/stream":
		s.stream(w, r)
	case broken:
		http.Error(w, "No cluster leader", http.StatusInternalServerError)
	case file == "":
		http.Error(w, "job not found", http.StatusNotFound)
	default:
		s.answer(w, file)
	}
}

func (s *standIn) answer(w http.ResponseWriter, file string) {
	text, err := os.ReadFile("testdata/" + file + ".json")
	if err != nil {
		s.Error(err)
	}
	var recorded struct {
		Index uint64
		Body  json.RawMessage
	}
	if err := json.Unmarshal(text, &recorded); err != nil {
		s.Error(err)
	}
	w.Header().Set("X-Nomad-Index", strconv.FormatUint(recorded.Index, 10))
	_, _ = w.Write(recorded.Body)
}

// stream sends a heartbeat, as Nomad does at once, and then the lines that the test sends.
func (s *standIn) stream(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.opened++
	lines, ended := make(chan string), make(chan struct{})
	s.lines, s.ended = lines, ended
	mute := s.mute
	s.mu.Unlock()
	if mute {
		<-r.Context().Done()
		return
	}
	line := "{}"
	for {
		_, _ = w.Write([]byte(line + "\n"))
		w.(http.Flusher).Flush()
		select {
		case line = <-lines:
		case <-ended:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// send sends a line over the stream that is open.
func (s *standIn) send(line string) {
	s.Helper()
	s.mu.Lock()
	lines := s.lines
	s.mu.Unlock()
	select {
	case lines <- line:
	case <-time.After(10 * time.Second):
		s.Fatal("nobody reads the event stream")
	}
}

// taken waits until the watcher has taken all that was sent: it sends news of one more job, and waits for that.
func (s *standIn) taken(f *follower) {
	s.Helper()
	s.send(`{"Index":99,"Events":[{"Topic":"Job","Type":"JobRegistered","Key":"last","Index":99,"Payload":{"Job":{"ID":"last","CreateIndex":99}}}]}`)
	nomadtest.Eventually(s, 10*time.Second, func(context.Context) error {
		if _, ok, _ := f.Job("default", "last"); !ok {
			return errors.New("the last event was not taken")
		}
		return nil
	})
}

// cut ends the stream that is open.
func (s *standIn) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.ended)
}

func (s *standIn) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// count counts the requests for a path.
func (s *standIn) count(path string) int {
	n := 0
	for _, p := range s.asked() {
		if p == path {
			n++
		}
	}
	return n
}

func (s *standIn) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// events gives the recorded lines of the event stream by their index.
func events(t *testing.T) map[uint64]string {
	t.Helper()
	text, err := os.ReadFile("testdata/events.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[uint64]string{}
	for line := range bytes.Lines(text) {
		var batch struct{ Index uint64 }
		if err := json.Unmarshal(line, &batch); err != nil {
			t.Fatal(err)
		}
		lines[batch.Index] = strings.TrimSpace(string(line))
	}
	return lines
}

// follower is a view that counts what it is told.
type follower struct {
	watcher *Watcher

	*view.View
	mu     sync.Mutex
	resets []jobs.Snapshot
	deltas []jobs.Delta
	lost   int
}

func newFollower() *follower {
	return &follower{View: view.New(view.Config{
		Namespace: "default", Now: time.Now, Changed: func(string) {}, Ask: func(string) {},
	})}
}

func (f *follower) Reset(namespace string, s jobs.Snapshot) {
	f.mu.Lock()
	f.resets = append(f.resets, s)
	f.mu.Unlock()
	f.View.Reset(namespace, s)
}

func (f *follower) Apply(namespace string, d jobs.Delta) bool {
	f.mu.Lock()
	f.deltas = append(f.deltas, d)
	f.mu.Unlock()
	return f.View.Apply(namespace, d)
}

func (f *follower) Lost(namespace string) {
	f.mu.Lock()
	f.lost++
	f.mu.Unlock()
	f.View.Lost(namespace)
}

// counts gives how many resets and losses there were.
func (f *follower) counts() (resets, lost int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.resets), f.lost
}

// removed reports whether the view was told that a job is gone.
func (f *follower) removed(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.deltas, func(d jobs.Delta) bool { return d.Removed == id })
}

// watch runs a watcher until the test ends.
func watch(t *testing.T, s *standIn, silence time.Duration) *follower {
	t.Helper()
	return watchAt(t, s.server.URL, silence)
}

func watchAt(t *testing.T, url string, silence time.Duration) *follower {
	t.Helper()
	client, err := New(&api.Config{Address: url})
	if err != nil {
		t.Fatal(err)
	}
	f := newFollower()
	w := &Watcher{
		Client: client, Namespace: "default", Installation: "inst", Sink: f, Log: hclog.NewNullLogger(), silence: silence,
	}
	f.watcher = w
	ended := make(chan struct{})
	go func() { w.Run(t.Context()); close(ended) }()
	t.Cleanup(func() { // the context ended just before
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Error("the watcher does not end with its context")
		}
	})
	return f
}

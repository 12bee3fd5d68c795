package nomad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/jobs/logs"
)

// logNode is a node with the files of one task's output, as Nomad 1.10.5 serves them (client/fs_endpoint.go).
type logNode struct {
	t *testing.T

	mu      sync.Mutex
	files   map[string][]string // by stream; the first one's number is in oldest
	oldest  map[string]int
	gone    bool // the allocation was removed
	changed chan struct{}
	chance  *rand.Rand
	cuts    float64 // how likely a frame is followed by the end of the connection
	opened  int     // streams
}

func newLogNode(t *testing.T) *logNode {
	t.Helper()
	return &logNode{
		t: t, files: map[string][]string{"stdout": {""}, "stderr": {""}}, oldest: map[string]int{}, changed: make(chan struct{}),
		chance: rand.New(rand.NewPCG(1, 2)), //nolint:gosec // a test's chance
	}
}

// logs starts the node's server, and gives a reader of it.
func (n *logNode) logs() *Logs {
	n.t.Helper()
	server := httptest.NewServer(n)
	n.t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	client, err := New(&api.Config{Address: server.URL})
	if err != nil {
		n.t.Fatal(err)
	}
	l := NewLogs(client, hclog.NewNullLogger())
	l.times = logTimes{silence: 5 * time.Second, quiet: 300 * time.Millisecond, giveUp: 5 * time.Second}
	return l
}

func (n *logNode) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	close(n.changed)
	n.changed = make(chan struct{})
}

// write appends to a stream's last file, or begins a new one.
func (n *logNode) write(stream, text string, rotate bool) {
	n.change(func() {
		if rotate {
			n.files[stream] = append(n.files[stream], "")
		}
		n.files[stream][len(n.files[stream])-1] += text
	})
}

// purge removes a stream's oldest file.
func (n *logNode) purge(stream string) {
	n.change(func() { n.files[stream] = n.files[stream][1:]; n.oldest[stream]++ })
}

// removed is how many of a stream's files are gone.
func (n *logNode) removed(stream string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.oldest[stream]
}

func (n *logNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	gone := n.gone
	n.mu.Unlock()
	switch {
	case gone:
		http.Error(w, "unknown allocation", http.StatusNotFound)
	case strings.HasPrefix(r.URL.Path, "/v1/client/fs/ls/alloc-1"):
		n.list(w)
	case strings.HasPrefix(r.URL.Path, "/v1/client/fs/logs/alloc-1"):
		n.stream(w, r)
	default:
		n.t.Errorf("asked for %s", r.URL)
	}
}

// modifiedAt is when a file was last written to.
func modifiedAt(number int) time.Time {
	return time.Date(2026, 1, 2, 3, 4, number, 0, time.UTC)
}

func (n *logNode) list(w http.ResponseWriter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	infos := []api.AllocFileInfo{{Name: "else"}, {Name: "web.stdout.fifo"}, {Name: "web.stdout.9", IsDir: true}, {Name: "webb.stdout.7", Size: 5}}
	for stream, files := range n.files {
		for i, text := range files {
			number := n.oldest[stream] + i
			infos = append(infos, api.AllocFileInfo{Name: fmt.Sprintf("web.%s.%d", stream, number), Size: int64(len(text)), ModTime: modifiedAt(number)})
		}
	}
	if err := json.NewEncoder(w).Encode(infos); err != nil {
		n.t.Error(err)
	}
}

// streams are how many were opened.
func (n *logNode) streams() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.opened
}

func (n *logNode) stream(w http.ResponseWriter, r *http.Request) {
	stream, follow := r.FormValue("type"), r.FormValue("follow") == "true"
	from, err := strconv.Atoi(r.FormValue("offset"))
	if err != nil || r.FormValue("task") != "web" || r.FormValue("origin") != "start" {
		n.t.Errorf("asked for %s", r.URL)
	}
	n.mu.Lock()
	n.opened++
	number := n.oldest[stream]
	for _, text := range n.files[stream] {
		if from <= len(text) || number == n.oldest[stream]+len(n.files[stream])-1 {
			break
		}
		from, number = from-len(text), number+1
	}
	n.mu.Unlock()
	out := json.NewEncoder(w)
	heartbeat := time.NewTicker(20 * time.Millisecond)
	defer heartbeat.Stop()
	for {
		n.mu.Lock()
		changed, cut := n.changed, n.chance.Float64() < n.cuts
		frame, more := n.frame(stream, &number, &from)
		n.mu.Unlock()
		if frame != nil {
			_ = out.Encode(frame)
			http.NewResponseController(w).Flush() //nolint:errcheck // the client has gone
		}
		switch {
		case cut && follow:
			panic(http.ErrAbortHandler)
		case more:
			continue
		case !follow:
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		case <-heartbeat.C:
			_ = out.Encode(struct{}{})
			http.NewResponseController(w).Flush() //nolint:errcheck // the client has gone
		}
	}
}

// frame gives the next frame of a stream, nil if nothing is to be told, and whether there may be another. n.mu is held.
func (n *logNode) frame(stream string, number, from *int) (frame *api.StreamFrame, more bool) {
	i := *number - n.oldest[stream]
	if i < 0 {
		*number, *from, i = n.oldest[stream], 0, 0
	}
	text := n.files[stream][i][*from:]
	if text == "" {
		if i+1 == len(n.files[stream]) {
			return nil, false
		}
		*number, *from = *number+1, 0
		return nil, true
	}
	text = text[:1+n.chance.IntN(len(text))]
	*from += len(text)
	// What Nomad says of the offset is that of the first piece in the frame.
	return &api.StreamFrame{Offset: int64(*from - n.chance.IntN(len(text))), Data: []byte(text), File: fmt.Sprintf("alloc/logs/web.%s.%d", stream, *number)}, true
}

// sink takes lines.
type sink struct {
	mu     sync.Mutex
	texts  []string
	at     logs.Position
	missed []string
}

func (s *sink) follow(from logs.Position, end <-chan struct{}) logs.Follow {
	return logs.Follow{
		Output: logs.Output{Alloc: "alloc-1", Task: "web"}, From: from, End: end,
		Emit: func(lines []logs.Line, at logs.Position) {
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, l := range lines {
				s.texts = append(s.texts, l.Text)
			}
			s.at = at
		},
		Missed: func(text string) { s.mu.Lock(); defer s.mu.Unlock(); s.missed = append(s.missed, text) },
	}
}

// of gives the lines that begin with a letter.
func (s *sink) of(first string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.texts), func(l string) bool { return !strings.HasPrefix(l, first) })
}

// TestLogs_follow writes to both streams over many files while connections break, and the following is ended and begun again: each
// line comes once and in its stream's order.
func TestLogs_follow(t *testing.T) {
	t.Parallel()
	n := newLogNode(t)
	n.cuts = 0.3
	l := n.logs()
	l.times.quiet, l.times.giveUp = 2*time.Second, 30*time.Second // as outside of tests: this one keeps a machine busy
	var s sink
	var want [2][]string
	end := make(chan struct{})
	writing := make(chan struct{})
	go func() {
		defer close(writing)
		chance := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // a test's chance
		for i := 0; i < 400 || n.streams() < 10; i++ {
			for j, stream := range []string{"stdout", "stderr"} {
				line := fmt.Sprintf("%s%d %s", stream[3:4], i, strings.Repeat("é", chance.IntN(40)))
				if i%100 == 50 {
					line += strings.Repeat("x", logs.MaxLine-len(line))
				}
				want[j] = append(want[j], line)
				half := chance.IntN(len(line))
				n.write(stream, line[:half], false)
				n.write(stream, line[half:]+"\n", chance.IntN(20) == 0)
			}
			time.Sleep(time.Millisecond) // a pace, no condition
		}
	}()
	for ended := false; !ended; {
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		select {
		case <-writing:
			ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
			ended = true
			close(end)
		default:
		}
		if err := l.Follow(ctx, s.follow(s.at, end)); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		cancel()
	}
	for i, letter := range []string{"o", "e"} {
		if diff := cmp.Diff(want[i], s.of(letter)); diff != "" {
			t.Errorf("lines (-want +got):\n%s", diff)
		}
	}
	if len(s.missed) > 0 {
		t.Errorf("missed: %q", s.missed)
	}
}

// TestLogs_unfinished gives out a line without its end when the dyno ends.
func TestLogs_unfinished(t *testing.T) {
	t.Parallel()
	n := newLogNode(t)
	l := n.logs()
	var s sink
	end, done := make(chan struct{}), make(chan error, 1)
	n.write("stdout", "first\nna", false)
	go func() { done <- l.Follow(t.Context(), s.follow(logs.Position{}, end)) }()
	waitFor(t, func() bool { return len(s.of("")) == 1 })
	n.write("stdout", "me? x\nthe e", false)
	waitFor(t, func() bool { return len(s.of("")) == 2 })
	close(end)
	n.write("stdout", "nd", false) // it comes after the end is told
	if err := <-done; err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"first", "name? x", "the end"}, s.of("")); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// waitFor waits until something is so.
func waitFor(t *testing.T, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to be")
		}
	}
}

// TestLogs_removed follows an output of which Nomad removes files that were not read, and then all.
func TestLogs_removed(t *testing.T) {
	t.Parallel()
	n := newLogNode(t)
	l := n.logs()
	for i := range 5 {
		n.write("stdout", fmt.Sprintf("line %d\n", i), i > 0)
	}
	all := []string{"line 1", "line 2", "line 3", "line 4"}
	for purged, from := range [][]logs.Place{1: {{}, {File: 0, Offset: 3}}, 2: {{}, {File: 0, Offset: 3}, {File: 1, Offset: 7}}} {
		for n.removed("stdout") < purged {
			n.purge("stdout")
		}
		for _, from := range from {
			var s sink
			end := make(chan struct{})
			close(end)
			if err := l.Follow(t.Context(), s.follow(logs.Position{Stdout: from}, end)); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(all[n.removed("stdout")-1:], s.of("")); diff != "" || len(s.missed) != 1 {
				t.Errorf("from %v: missed %q, lines (-want +got):\n%s", from, s.missed, diff)
			}
		}
	}
	n.change(func() { n.gone = true })
	var s sink
	end := make(chan struct{})
	close(end)
	if err := l.Follow(t.Context(), s.follow(logs.Position{}, end)); err != nil || len(s.texts) > 0 {
		t.Errorf("of what is gone: %q, %v", s.texts, err)
	}
}

// TestLogs_Tail reads the last lines that are there, and where they end.
func TestLogs_Tail(t *testing.T) {
	t.Parallel()
	n := newLogNode(t)
	l := n.logs()
	out := logs.Output{Alloc: "alloc-1", Task: "web"}
	if lines, at, err := l.Tail(t.Context(), out, 5); err != nil || len(lines) > 0 || at != (logs.Position{}) {
		t.Errorf("of nothing: %v, %v, %v", lines, at, err)
	}
	n.write("stdout", strings.Repeat("x", 2*maxTail)+"\none\n", false)
	n.write("stdout", "two\nthr", true)
	n.write("stderr", "oops\n", false)
	lines, at, err := l.Tail(t.Context(), out, 5)
	want := []logs.Line{{At: modifiedAt(0), Text: "one"}, {At: modifiedAt(0), Text: "oops"}, {At: modifiedAt(1), Text: "two"}}
	if diff := cmp.Diff(want, lines[max(0, len(lines)-3):]); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if want := (logs.Position{Stdout: logs.Place{File: 1, Offset: 4}, Stderr: logs.Place{Offset: 5}}); at != want {
		t.Errorf("it ends at %+v, want %+v", at, want)
	}
	n.write("stdout", "ee\n", false)
	var s sink
	end := make(chan struct{})
	close(end)
	if err := l.Follow(t.Context(), s.follow(at, end)); err != nil || !slices.Equal(s.texts, []string{"three"}) {
		t.Errorf("then comes %q, %v", s.texts, err)
	}
	n.write("stdout", "fo", false)
	n.write("stdout", "u", true)
	if _, at, err := l.Tail(t.Context(), out, 1); err != nil || at.Stdout != (logs.Place{File: 1, Offset: 10}) {
		t.Errorf("the line under way begins at %+v, %v", at, err)
	}
	n.write("stdout", "r\n", false)
	out.Ended = true
	n.write("stdout", "unfinished", false)
	if lines, _, err := l.Tail(t.Context(), out, 1); err != nil || len(lines) != 2 || lines[1].Text != "unfinished" {
		t.Errorf("of one that has ended: %v, %v", lines, err)
	}
}

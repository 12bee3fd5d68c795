package reconcile_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// logged is a logger whose lines can be read.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) lines(t *testing.T) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []map[string]any
	for line := range strings.Lines(l.b.String()) {
		var one map[string]any
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// deploy checks that all lines after the first skipped ones are those of a deploy, and that each has the app, the release and the request.
// A nil request is nobody's.
func (l *logged) deploy(t *testing.T, skipped int, request any, release float64) {
	t.Helper()
	messages := map[any]bool{}
	for _, line := range l.lines(t)[skipped:] {
		messages[line["@message"]] = true
		if line["request_id"] != request || line["app"] != "app1-default" || line["release"] != release {
			t.Errorf("a line is not of request %v and release %v: %v", request, release, line)
		}
	}
	if !messages["registered job"] || !messages["release succeeded"] {
		t.Errorf("lines of a deploy: %v", messages)
	}
}

// logged boots a daemon that logs to what it gives.
func (w *world) logged() *logged {
	var out logged
	w.log = hclog.New(&hclog.LoggerOptions{Output: &out, JSONFormat: true, Level: hclog.Debug})
	w.boot()
	return &out
}

// TestLog_request follows a request through the loop's lines: all that is done for it has its id, the app and the release, until nothing is
// left to do. What somebody else causes later has not.
func TestLog_request(t *testing.T) {
	inWorld(t, func(w *world) {
		out := w.logged()
		w.deploy("1")
		w.loop.Expect("1", "request-1")
		w.loop.WakeFor("1", "request-1")
		w.start()
		w.settle()
		out.deploy(t, 0, "request-1", 1)

		before := len(out.lines(t))
		w.release("1", "good:2") // wakes for no request
		w.settle()
		out.deploy(t, before, nil, 2)
	})
}

// TestLog_requestNotYetWoken has passes come between a request's change and its wake, as busy machines do: what they do for the change has
// the request's id, also when they find nothing to do before it.
func TestLog_requestNotYetWoken(t *testing.T) {
	inWorld(t, func(w *world) {
		out := w.logged()
		w.deploy("1")
		w.start()
		w.settle()
		before := len(out.lines(t))
		w.loop.Expect("1", "request-2")
		w.loop.Wake("1")
		w.settle()               // nothing was changed yet
		w.release("1", "good:2") // somebody else wakes the loop
		w.settle()               // all is done
		w.loop.WakeFor("1", "request-2")
		w.settle()
		out.deploy(t, before, "request-2", 2)

		before = len(out.lines(t))
		w.release("1", "good:3")
		w.settle()
		out.deploy(t, before, nil, 3)
	})
}

// TestLog_requestOvertaken has the later of two requests make its change before the wake of the earlier one: the lines about it are its own.
func TestLog_requestOvertaken(t *testing.T) {
	inWorld(t, func(w *world) {
		out := w.logged()
		w.deploy("1")
		w.loop.Expect("1", "request-1")
		w.loop.Expect("1", "request-2")
		w.loop.WakeFor("1", "request-1")
		w.start()
		w.settle()
		w.loop.WakeFor("1", "request-2")
		w.settle()
		out.deploy(t, 0, "request-2", 1)
	})
}

// TestLog_requestDuringPass has a request make its change, and wake the loop, while a pass that has read what was wanted before it finds
// nothing to do: the next one's lines have its id.
func TestLog_requestDuringPass(t *testing.T) {
	inWorld(t, func(w *world) {
		out := w.logged()
		w.deploy("1")
		w.start()
		w.settle()
		before := len(out.lines(t))
		w.loop.Expect("1", "request-2")
		read := w.reads()
		var once sync.Once
		w.store.onCall(func() error {
			if w.reads() > read {
				once.Do(func() {
					w.release("1", "good:2")
					w.loop.WakeFor("1", "request-2")
				})
			}
			return nil
		})
		w.edit("1", func(r *record) { r.app.UpdatedAt = w.now() }) // not calm, but nothing to do
		w.loop.Wake("1")
		w.settle()
		out.deploy(t, before, "request-2", 2)
	})
}

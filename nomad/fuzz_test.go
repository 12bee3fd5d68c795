package nomad

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
	"github.com/dynomad/dynomad/jobs/logs"
)

// sayer answers every request with the same text.
type sayer struct{ text atomic.Pointer[string] }

func (s *sayer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("X-Nomad-Index", "17")
	_, _ = io.WriteString(w, *s.text.Load())
}

// newSayer gives a client of a Nomad that says what the test sets.
func newSayer(f *testing.F) (*Client, *sayer) {
	f.Helper()
	s := &sayer{}
	server := httptest.NewServer(s)
	f.Cleanup(server.Close)
	client, err := New(&api.Config{Address: server.URL})
	if err != nil {
		f.Fatal(err)
	}
	return client, s
}

// recorded gives the body of a recorded answer.
func recorded(f *testing.F, name string) string {
	f.Helper()
	text, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		f.Fatal(err)
	}
	var r struct{ Body json.RawMessage }
	if err := json.Unmarshal(text, &r); err != nil {
		f.Fatal(err)
	}
	return string(r.Body)
}

// lookAround reads all that the view can tell.
func lookAround(f *follower) {
	now := time.Now()
	for _, id := range []string{"fix-default", "big-default", ""} {
		f.Job("default", id)
		f.Releases("default", id)
	}
	f.Dynos(dynomad.AppState{App: dynomad.App{ID: "a1", Name: "fix-default"}}, now)
	f.StaleFor(now)
	f.Forget(now.Add(24 * time.Hour))
	f.Dynos(dynomad.AppState{App: dynomad.App{ID: "a1", Name: "fix-default"}}, now)
}

// FuzzEvents has Nomad's event stream say anything, after a proper list, and answer anything to what is asked then. The watcher ends with an
// error, and the view can be read.
func FuzzEvents(f *testing.F) {
	text, err := os.ReadFile("testdata/events.ndjson")
	if err != nil {
		f.Fatal(err)
	}
	stub := recorded(f, "job-allocations")
	for line := range strings.Lines(string(text)) {
		f.Add(line, stub)
	}
	f.Add(`{"Index":99,"Events":[{"Topic":"Job","Index":99,"Key":"fix-default","Payload":{"Job":null}}]}`, "null")
	f.Add(`{"Index":99,"Events":[{"Topic":"Allocation","Index":99,"Payload":{"Allocation":{"ID":"x","JobID":"fix-default","TaskStates":{"web":null},"DeploymentStatus":null}}}]}`, "[null]")
	f.Add(`{"Index":99,"Events":[{"Topic":"Evaluation","Index":99,"Payload":{"Evaluation":{"Status":"blocked","JobID":"fix-default","FailedTGAllocs":{"web":null}}}}]}`, "[]")
	f.Add(`{"Index":99,"Events":[{"Topic":"Job","Index":99,"Key":"fix-default","Payload":{"Job":{"ID":"fix-default","Meta":{"dynomad":"inst"},"TaskGroups":[null]}}}]}`, "{}")
	f.Add(`{"Error":{"Message":"x"}}`, "")
	client, nomad := newSayer(f)
	all := fuzzedLists(f)
	f.Fuzz(func(t *testing.T, stream, answer string) {
		nomad.text.Store(&answer)
		seen := newFollower()
		seen.Reset("default", all)
		w := &Watcher{Client: client, Namespace: "default", Installation: "inst", Sink: seen, Log: hclog.NewNullLogger()}
		if err := w.follow(t.Context(), strings.NewReader(stream), 16, func() {}); err == nil {
			t.Errorf("%q has no end", stream)
		}
		lookAround(seen)
	})
}

// fuzzedLists is what Nomad's recorded lists say.
func fuzzedLists(f *testing.F) jobs.Snapshot {
	f.Helper()
	stand := &standIn{answers: map[string]string{
		"/v1/jobs": "jobs", "/v1/allocations": "allocations", "/v1/evaluations": "evaluations", "/v1/job/fix-default/versions": "versions",
	}}
	server := httptest.NewServer(stand)
	defer server.Close()
	client, err := New(&api.Config{Address: server.URL})
	if err != nil {
		f.Fatal(err)
	}
	w := &Watcher{Client: client, Namespace: "default", Installation: "inst"}
	s, err := w.snapshot(f.Context())
	if err != nil || len(s.Jobs) == 0 || len(s.Allocs) == 0 {
		f.Fatalf("%+v, %v", s, err)
	}
	return s
}

// FuzzLists has Nomad answer anything to every list.
func FuzzLists(f *testing.F) {
	for _, name := range []string{"jobs", "allocations", "evaluations", "versions", "job-allocations", "job-stopped"} {
		f.Add(recorded(f, name))
	}
	for _, seed := range []string{
		"null", "[null]", "{}", "[]", "", `{"Versions":[null]}`, `[{"ID":"x","Meta":{"dynomad":"inst"}}]`, `[{"ID":"x","JobID":"x","TaskStates":{"a":null},"Status":"blocked"}]`,
		`{"Versions":[{"ID":"x","Meta":{"dynomad":"inst"},"TaskGroups":[null,{"Tasks":[null]}]}]}`,
	} {
		f.Add(seed)
	}
	client, nomad := newSayer(f)
	f.Fuzz(func(t *testing.T, answer string) {
		nomad.text.Store(&answer)
		w := &Watcher{Client: client, Namespace: "default", Installation: "inst", Log: hclog.NewNullLogger()}
		if s, err := w.snapshot(t.Context()); err == nil {
			seen := newFollower()
			seen.Reset("default", s)
			lookAround(seen)
		}
		_, _ = client.contents(t.Context(), "default", "x") // without a panic
		if s, err := client.logFiles(t.Context(), logs.Output{Alloc: "x"}); err == nil {
			_, _ = offsetIn(filesOf(s, "web", "stdout"), 1, 1)
		}
	})
}

// FuzzLogFrames has a node stream anything as a dyno's output. Lines have no line ends, and places only go forward.
func FuzzLogFrames(f *testing.F) {
	for _, seed := range []string{
		`{"Data":"aGVsbG8Kd29ybGQ=","File":"alloc/logs/web.stdout.0","Offset":0}`, `{}`, `{"File":"web.stdout.9","Data":"Cg=="}{"File":"web.stdout.1","Data":"Cg=="}`,
		`{"Offset":-1,"Data":"/w==","FileEvent":"truncated"}`, `{"File":"..","Data":"DQo="}`, `null`, `{"File":"web.stdout.9223372036854775807","Data":"YQ=="}{"File":"web.stdout.-1","Data":"YQ=="}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, stream string) {
		s := &logStream{kind: "stdout", now: time.Now, missed: func(string) {}, emit: func(lines []logs.Line, at logs.Place) {
			for _, line := range lines {
				if strings.Contains(line.Text, "\n") {
					t.Errorf("a line of %q is %q", stream, line.Text)
				}
			}
			if at.Offset < 0 {
				t.Errorf("%q has come to %+v", stream, at)
			}
		}}
		for dec := json.NewDecoder(strings.NewReader(stream)); ; {
			var frame api.StreamFrame
			if dec.Decode(&frame) != nil {
				break
			}
			s.take(frame)
		}
		s.flush()
	})
}

// FuzzTalkOutput has a container's shell, which belongs to whoever made the image, say anything in the place of the wrapper, whose mark it may
// know. What comes of it is bounded.
func FuzzTalkOutput(f *testing.F) {
	for _, seed := range []string{
		"7\nMARK\nhello MARK 0\nmore", "OCI runtime exec failed\r\n", "-1\nMARK\nMARK x", "7\nMARKMARKMARK", "7\nMARK\nMARK 1\nMARK 2\n", "\n\n", "99999999999999999999\n",
		"7\nMARK\n" + "MARK " + strings.Repeat("0", 3000),
		"7\nMARK" + strings.Repeat("x", 3000),
	} {
		f.Add(seed, uint8(7), true)
		f.Add(seed, uint8(200), false)
	}
	f.Fuzz(func(t *testing.T, said string, size uint8, tty bool) {
		var stdout, stderr bytes.Buffer
		o := newTalkOutput(tty, &stdout, &stderr)
		said = strings.ReplaceAll(said, "MARK", o.mark)
		for rest := said; rest != ""; {
			part := rest[:min(len(rest), int(size)+1)]
			rest = rest[len(part):]
			_, _ = o.stdout.Write([]byte(part))
			_, _ = o.stderr.Write([]byte(part))
			for _, s := range []*talkStream{o.stdout, o.stderr} {
				if len(s.held) > maxComplaint+len(o.mark)+len(part) {
					t.Fatalf("%d bytes are held of %q", len(s.held), said)
				}
			}
		}
		if len(o.complaint()) > maxComplaint+256 || stdout.Len() > len(said) || stderr.Len() > len(said) {
			t.Errorf("%q became %q and %q", said, stdout.String(), stderr.String())
		}
	})
}

// FuzzExecOutput is FuzzTalkOutput for commands that are run once.
func FuzzExecOutput(f *testing.F) {
	for _, seed := range []string{"7\nhello\nMARK 0\n", "7\nMARK MARK MARK 0\n", "x", strings.Repeat("1", 100) + "\n", "7\nMARK 999999999999999999999\n", "\nMARK\n", "-0\nMARK 1\nMARK 2\n"} {
		f.Add(seed, uint8(3))
		f.Add(seed, uint8(255))
	}
	f.Fuzz(func(t *testing.T, said string, size uint8) {
		o := newOutput(spoolLimits{memory: 100, total: 1 << 20}, nil, func(error) {})
		said = strings.ReplaceAll(said, "MARK", o.mark)
		for rest := said; rest != ""; {
			part := rest[:min(len(rest), int(size)+1)]
			rest = rest[len(part):]
			_, _ = o.stdout.Write([]byte(part))
			_, _ = o.stderr.Write([]byte(part))
			if held := len(o.fromStdout.tail) + len(o.stderr.tail) + len(o.stdout.line); held > 2*(len(o.mark)+maxCode+1)+512 {
				t.Fatalf("%d bytes are held", held)
			}
		}
		done, err := o.executed(0)
		if err != nil {
			t.Fatal(err)
		}
		done.Close()
	})
}

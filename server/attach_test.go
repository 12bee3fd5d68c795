package server_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/dynomad/dynomad"
)

const attach = "/apps/api-default/dynos/web.1/actions/attach"

// fakeExec runs every script in a dyno at once, and remembers the last.
type fakeExec struct {
	mu     sync.Mutex
	last   dynomad.Exec
	stdout string
	stderr string
	code   int
	err    error
	broken error // how reading stdout ends
	end    time.Time

	talk  func(ctx context.Context, in dynomad.Session) (int, error) // what Talk does
	talks []dynomad.Session
	gone  chan struct{} // for a test to close
	lost  chan struct{} // for a test to close
}

func (e *fakeExec) Talk(ctx context.Context, in dynomad.Session) (int, error) {
	e.mu.Lock()
	e.talks = append(e.talks, in)
	talk := e.talk
	e.mu.Unlock()
	return talk(ctx, in)
}

func (e *fakeExec) Exec(ctx context.Context, in dynomad.Exec) (dynomad.Executed, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last = in
	e.end, _ = ctx.Deadline()
	stdout := io.Reader(strings.NewReader(e.stdout))
	if e.broken != nil {
		stdout = io.MultiReader(stdout, iotest.ErrReader(e.broken))
	}
	return dynomad.Executed{ExitCode: e.code, Stdout: io.NopCloser(stdout), Stderr: io.NopCloser(strings.NewReader(e.stderr))}, e.err
}

func TestAttach_refusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []refusal{
		{"POST", attach, ``, 400, ""},
		{"POST", attach, `[]`, 400, ""},
		{"POST", attach, `{}`, 422, "command"},
		{"POST", attach, `{"command":null,"alias":null}`, 422, "command"},
		{"POST", attach, `{"command":"sh -c kill -15 -1"}`, 422, "command"},
		{"POST", attach, `{"command":["sh","-c",15]}`, 422, "command"},
		{"POST", attach, `{"command":["sh","-c",null]}`, 422, "command"},
		{"POST", attach, `{"alias":["java_heap_dump"]}`, 422, "alias"},
		{"POST", attach, `{"alias":"java_heap_dump","stdin":["x"]}`, 422, "stdin"},
		{"POST", attach, `{"alias":"java_heap_dump","command":["sh","-c","kill -15 -1"]}`, 422, "alias"},
		{"POST", attach, `{"alias":"JAVA_HEAP_DUMP"}`, 403, ""},
		{"POST", attach, `{"command":["echo","Hello"], "stdin":""}`, 403, ""},
		{"POST", attach, `{"command":["sh","-c","kill -15 -1\u0000"]}`, 403, ""},
		{"POST", "/apps/api-default/dynos/web/actions/attach", `{"alias":"java_heap_dump"}`, 404, ""},
		{"POST", "/apps/api-default/web.7/actions/attach", `{"alias":"java_heap_dump"}`, 404, ""},
		{"POST", "/apps/api-default/dynos/worker.10/actions/attach", `{"alias":"java_heap_dump"}`, 409, ""},
		{"POST", "/apps/api-default/dynos/2281474389-1cu1p/actions/attach", `{"alias":"java_heap_dump"}`, 409, ""},
	} {
		a := w.ask(rootToken, tt.method, tt.path, tt.body)
		if field, _ := a.object(t)["field"].(string); a.status != tt.status || field != tt.field {
			t.Errorf("%s %s: %d %s, want %d %s", tt.path, tt.body, a.status, a.body, tt.status, tt.field)
		}
	}
	if w.exec.last.Script != "" {
		t.Errorf("ran %q", w.exec.last.Script)
	}
}

// TestAttach_output sends outputs that are hard to word as JSON.
func TestAttach_output(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	random := rand.New(rand.NewPCG(1, 2))
	bytes := make([]byte, 3<<20)
	for i := range bytes {
		bytes[i] = byte(random.Uint32())
	}
	for _, output := range []string{
		"", "Hello", "line\r\n\ttab \"quoted\" \\ </script> \u2028 \x00\x1b[1m", "\xff\xfe", "half a character \xe2\x82", "\xf0\x9f", "\x80",
		strings.Repeat("€𝄞é", 100_000), "x" + strings.Repeat("€𝄞é", 100_000), strings.Repeat("\xe2\x82", 50_000), string(bytes),
	} {
		w.exec.stdout, w.exec.stderr, w.exec.code = output, output+"\n", 137
		a := w.must(202, "POST", attach, `{"command":["sh","-c","kill -15 -1"],"stdin":"to it"}`).object(t)
		want := string([]rune(output)) // every byte that is of no character becomes U+FFFD
		if a["stdout"] != want || a["stderr"] != want+"\n" || a["exit_code"] != 137.0 || len(a) != 3 {
			t.Errorf("%.40q became %.80q and %.80q with %v", output, a["stdout"], a["stderr"], a["exit_code"])
		}
	}
	if last := w.exec.last; last.Script != "kill -15 -1" || last.Stdin != "to it" || last.Dyno.ID != seedDynoID || last.App.Name != "api-default" {
		t.Errorf("ran %+v", last)
	}
	if strings.Contains(w.logs.String(), "to it") {
		t.Error("the log has the input")
	}
	audits := w.must(200, "GET", "/apps/api-default/audits", "").list(t)
	want := "Ran sh -c kill -15 -1 in the dyno " + seedDynoName + " (web.1)."
	if last := audits[len(audits)-1]; last["action"] != "dyno.attach" || last["details"] != want {
		t.Errorf("the last audit is %v", last)
	}
}

// TestAttach_brokenOff has an output that cannot be read to its end: the client must notice.
func TestAttach_brokenOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec.stdout, w.exec.broken = strings.Repeat("x", 1<<20), errors.New("hidden-cause")
	srv := httptest.NewServer(w.handler)
	t.Cleanup(srv.Close)
	r, err := http.NewRequestWithContext(t.Context(), "POST", srv.URL+attach, strings.NewReader(`{"alias":"java_heap_dump"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", rootToken)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != 202 || err == nil || strings.Contains(string(body), "hidden-cause") {
		t.Errorf("%d with %d bytes, %v", resp.StatusCode, len(body), err)
	}
	if log := w.logs.String(); !strings.Contains(log, "hidden-cause") || !strings.Contains(log, "status=500") {
		t.Errorf("the log is %s", log)
	}
}

// TestAttach_deadlines checks that a command has its minute, and a long answer the time that it takes to read it.
func TestAttach_deadlines(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec.stdout = strings.Repeat("x", 5<<20)
	d := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequestWithContext(t.Context(), "POST", attach, strings.NewReader(`{"alias":"java_heap_dump"}`))
	r.Header.Set("Authorization", rootToken)
	w.handler.ServeHTTP(d, r)
	if d.Code != 202 || d.writes < 4 {
		t.Errorf("%d, %d write deadlines", d.Code, d.writes)
	}
	if left := time.Until(w.exec.end); left < 55*time.Second || left > time.Minute {
		t.Errorf("the command has %s", left)
	}
	for kind, status := range map[dynomad.Kind]int{dynomad.Timeout: 504, dynomad.Unavailable: 503, dynomad.Conflict: 409} {
		w.exec.err = dynomad.Errorf(kind, "It did not work.")
		rec := httptest.NewRecorder()
		r.Body = io.NopCloser(strings.NewReader(`{"alias":"java_heap_dump"}`))
		w.handler.ServeHTTP(rec, r)
		if rec.Code != status || !strings.Contains(rec.Body.String(), "It did not work.") {
			t.Errorf("%s: %d %s", kind, rec.Code, rec.Body)
		}
	}
}

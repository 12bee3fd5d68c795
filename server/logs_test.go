package server_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad"
)

const (
	logsPath    = "/apps/api-default/logs"
	sessionPath = "/apps/api-default/log-sessions"
)

// fakeLogs has a few lines for everybody, and remembers what was asked for.
type fakeLogs struct {
	mu    sync.Mutex
	lines []dynomad.LogLine
	more  chan dynomad.LogLine // if not nil a tail goes on with these
	err   error
	last  dynomad.LogOptions
	open  int
}

func newFakeLogs() *fakeLogs {
	at := time.Date(2026, 11, 22, 1, 2, 3, 456_000_000, time.UTC)
	return &fakeLogs{lines: []dynomad.LogLine{
		{ID: "ring-1", At: at, Source: dynomad.LogPlatform, Proc: "release", Text: "Released v1: Deploy nginx:1.27 by root@dynomad.local"},
		{ID: "ring-2", At: at, Source: dynomad.LogPlatform, Proc: "web.1", Text: "state changed from pending to running"},
		{ID: "ring-3", At: at.Add(time.Second), Source: dynomad.LogApp, Proc: "web.1", Text: "10 %\r20 % <é>"},
	}}
}

func (f *fakeLogs) Open(_ dynomad.App, o dynomad.LogOptions) (dynomad.LogReader, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return nil, f.err
	}
	f.last = o
	f.open++
	r := &fakeReader{hub: f, lines: f.lines}
	if o.After != "" {
		r.lines = nil
	}
	if o.Tail {
		r.more = f.more
	}
	return r, nil
}

func (f *fakeLogs) readers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}

type fakeReader struct {
	hub   *fakeLogs
	lines []dynomad.LogLine
	more  chan dynomad.LogLine
}

func (r *fakeReader) Next(ctx context.Context) ([]dynomad.LogLine, error) {
	if lines := r.lines; len(lines) > 0 {
		r.lines = nil
		return lines, nil
	}
	if r.more == nil {
		return nil, io.EOF
	}
	select {
	case line := <-r.more:
		return []dynomad.LogLine{line}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (r *fakeReader) Close() {
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	r.hub.open--
}

func TestLogs_refusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	long := strings.Repeat("x", 300)
	for _, tt := range []refusal{
		{"GET", logsPath + "?lines=1501", "", 422, "lines"},
		{"GET", logsPath + "?lines=-1", "", 422, "lines"},
		{"GET", logsPath + "?lines=many", "", 422, "lines"},
		{"GET", logsPath + "?lines=1e2", "", 422, "lines"},
		{"GET", logsPath + "?lines=99999999999999999999", "", 422, "lines"},
		{"GET", logsPath + "?tail=maybe", "", 422, "tail"},
		{"GET", logsPath + "?dyno=" + long, "", 422, "dyno"},
		{"GET", logsPath + "?type=a%00", "", 422, "type"},
		{"GET", logsPath + "?source=%0a", "", 422, "source"},
		{"GET", "/apps/nothere-default/logs", "", 404, ""},
		{"GET", "/log-sessions/nothere", "", 404, ""},
		{"POST", sessionPath, `[]`, 400, ""},
		{"POST", sessionPath, `{"lines":1501}`, 422, "lines"},
		{"POST", sessionPath, `{"lines":1.5}`, 422, "lines"},
		{"POST", sessionPath, `{"lines":[]}`, 422, "lines"},
		{"POST", sessionPath, `{"tail":"yes"}`, 422, "tail"},
		{"POST", sessionPath, `{"dyno":7}`, 422, "dyno"},
		{"POST", sessionPath, `{"dyno_name":{}}`, 422, "dyno_name"},
		{"POST", sessionPath, `{"type":"a\u0000"}`, 422, "type"},
		{"POST", sessionPath, `{"source":true}`, 422, "source"},
		{"POST", "/apps/nothere-default/log-sessions", `{}`, 404, ""},
	} {
		a := w.ask(rootToken, tt.method, tt.path, tt.body)
		if field, _ := a.object(t)["field"].(string); a.status != tt.status || field != tt.field {
			t.Errorf("%s %s %s: %d %s, want %d on %q", tt.method, tt.path, tt.body, a.status, a.body, tt.status, tt.field)
		}
	}
	w.hub.err = &dynomad.Error{Kind: dynomad.Unavailable, Message: "Too many.", RetryAfter: 7 * time.Second}
	if a := w.ask(rootToken, "GET", logsPath, ""); a.status != 503 || a.header.Get("Retry-After") != "7" {
		t.Errorf("too many readers: %d %v", a.status, a.header)
	}
}

func TestLogs_options(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	filter := func(source, kind, dyno string) dynomad.LogFilter {
		return dynomad.LogFilter{Source: source, Type: kind, Dyno: dyno}
	}
	for query, want := range map[string]dynomad.LogOptions{
		"":                             {Lines: 100},
		"?lines=&tail=0&x=y":           {Lines: 100},
		"?tail=1&lines=0":              {Tail: true},
		"?tail&lines=1500":             {Tail: true, Lines: 1500},
		"?dyno=worker.7&source=heroku": {Lines: 100, LogFilter: filter("heroku", "", "worker.7")},
		"?type=web&source=app":         {Lines: 100, LogFilter: filter("app", "web", "")},
	} {
		w.must(200, "GET", logsPath+query, "")
		if diff := cmp.Diff(want, w.hub.last); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	for body, want := range map[string]dynomad.LogOptions{
		"":                                {Lines: 100},
		`{"lines":null,"tail":null}`:      {Lines: 100},
		`{"lines":"250","tail":true}`:     {Lines: 250, Tail: true},
		`{"lines":20,"dyno":"web"}`:       {Lines: 20, LogFilter: filter("", "", "web")},
		`{"dyno_name":"web.1","type":""}`: {Lines: 100, LogFilter: filter("", "", "web.1")},
	} {
		url := w.must(201, "POST", sessionPath, body).object(t)["logplex_url"].(string)
		path := strings.TrimPrefix(url, "https://dynomad.example")
		for range 2 {
			if a := w.ask("", "GET", path, ""); a.status != 200 || !strings.Contains(a.body, "dynomad[release]: Released v1") {
				t.Errorf("%s: %d %s", url, a.status, a.body)
			}
		}
		if diff := cmp.Diff(want, w.hub.last); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

// TestLogSession_ends wants the URL to end with its time, its token and its app.
func TestLogSession_ends(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.must(201, "POST", "/oauth/authorizations", `{"scope":["read-protected"],"app":"api-default"}`).object(t)
	token := made["access_token"].(map[string]any)["token"].(string)
	session := func(token, path string) string {
		a := w.ask(token, "POST", path, `{"tail":true}`)
		if a.status != 201 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return strings.TrimPrefix(a.object(t)["logplex_url"].(string), "https://dynomad.example")
	}
	byToken, byRoot, ofShop := session(token, sessionPath), session(rootToken, sessionPath), session(rootToken, "/apps/shop-team/log-sessions")
	want := func(path string, status int) {
		t.Helper()
		if a := w.ask("", "GET", path, ""); a.status != status {
			t.Errorf("%s: %d %s, want %d", path, a.status, a.body, status)
		}
	}
	want(byToken, 200)
	w.must(200, "DELETE", "/oauth/authorizations/"+made["id"].(string), "")
	want(byToken, 404)
	want(byRoot, 200)
	want(ofShop, 200)
	w.must(200, "DELETE", "/apps/shop-team", "")
	want(ofShop, 404)
	w.clock.seconds.Add(290)
	want(byRoot, 200)
	w.clock.seconds.Add(10)
	want(byRoot, 404)
	if strings.Contains(w.logs.String(), "fresh-secret") {
		t.Error("a secret is in the log")
	}
}

func TestLogs_formats(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hub.lines = w.hub.lines[1:]
	plain := w.must(200, "GET", logsPath, "", "Last-Event-ID", "ring-3")
	const text = "2026-11-22T01:02:03.456Z dynomad[web.1]: state changed from pending to running\n" +
		"2026-11-22T01:02:04.456Z app[web.1]: 10 %\r20 % <é>\n"
	if diff := cmp.Diff(text, plain.body); diff != "" || plain.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%v (-want +got):\n%s", plain.header, diff)
	}
	events := w.must(200, "GET", logsPath, "", "Accept", "application/json;q=0.1, text/event-stream")
	const wantEvents = "id: ring-2\ndata: 2026-11-22T01:02:03.456Z dynomad[web.1]: state changed from pending to running\n\n" +
		"id: ring-3\ndata: 2026-11-22T01:02:04.456Z app[web.1]: 10 %␍20 % <é>\n\n"
	if diff := cmp.Diff(wantEvents, events.body); diff != "" || events.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%v (-want +got):\n%s", events.header, diff)
	}
	if a := w.must(204, "GET", logsPath, "", "Accept", "text/event-stream", "Last-Event-ID", "ring-3"); a.body != "" || w.hub.last.After != "ring-3" {
		t.Errorf("nothing new after %q: %q", w.hub.last.After, a.body)
	}
	if a := w.must(200, "HEAD", logsPath+"?tail=1", ""); a.body != "" {
		t.Errorf("HEAD: %q", a.body)
	}
}

// TestLogs_tail reads a tail over a connection: each line comes at once, the request is in the log and the metrics before the end,
// and the stream ends when the token does.
func TestLogs_tail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hub.more = make(chan dynomad.LogLine)
	server := httptest.NewServer(w.handler)
	t.Cleanup(server.Close)
	made := w.must(201, "POST", "/oauth/authorizations", `{"scope":["read-protected"]}`).object(t)
	read := func(ctx context.Context) (*bufio.Reader, func()) {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+logsPath+"?tail=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", made["access_token"].(map[string]any)["token"].(string))
		resp, err := http.DefaultClient.Do(r) //nolint:bodyclose // who reads it closes it
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		return bufio.NewReader(resp.Body), func() { _ = resp.Body.Close() }
	}
	line := func(from *bufio.Reader, want string) {
		t.Helper()
		if got, err := from.ReadString('\n'); err != nil || !strings.HasSuffix(got, want+"\n") {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone, _ := read(ctx)
	line(gone, "by root@dynomad.local")
	cancel()
	waitUntil(t, func() bool { return w.hub.readers() == 0 })

	from, done := read(t.Context())
	defer done()
	for _, want := range []string{"by root@dynomad.local", "to running", "20 % <é>"} {
		line(from, want)
	}
	w.hub.more <- dynomad.LogLine{Source: dynomad.LogApp, Proc: "web.1", Text: "more"}
	line(from, "app[web.1]: more")
	if got := strings.Count(w.logs.String(), "path=/apps/{app}/logs status=200"); got != 2 {
		t.Errorf("%d requests in the log: %s", got, w.logs.String())
	}
	w.must(200, "DELETE", "/oauth/authorizations/"+made["id"].(string), "")
	if rest, err := io.ReadAll(from); err != nil || len(rest) > 0 {
		t.Errorf("then came %q, %v", rest, err)
	}
	waitUntil(t, func() bool { return strings.Contains(w.logs.String(), "a stream has ended") && w.hub.readers() == 0 })
}

func waitUntil(t *testing.T, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(errors.New("it did not come to be"))
		}
	}
}

package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/client/stream"
	"github.com/dynomad/dynomad/server"
)

// upgrade is what asks for a WebSocket.
var upgrade = []string{
	"Connection", "keep-alive, Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==",
}

// unobserved is for a world with requests at the same time.
func unobserved(cfg *server.Config) { cfg.Observe = nil }

// newStreams is a world whose dynos are placed at once and whose attached commands end at once with 0, and the URL of a listener of it.
func newStreams(t *testing.T, change ...func(*server.Config)) (w *world, base string) {
	t.Helper()
	w = newWorld(t, append(change, unobserved)...)
	w.view.place()
	w.exec.talk = func(context.Context, dynomad.Session) (int, error) { return 0, nil }
	srv := httptest.NewServer(w.handler)
	t.Cleanup(srv.Close)
	return w, srv.URL
}

// attached makes a dyno to attach to, and gives the URL that it has on a listener of the test's.
func (w *world) attached(t *testing.T, base string) (url, id string) {
	t.Helper()
	return w.attachedAs(base, `{"command":"echo 'a b'","attach":true}`)
}

// attachedAs is attached with a request of the caller's.
func (w *world) attachedAs(base, body string, headers ...string) (url, id string) {
	w.tb.Helper()
	made := w.must(201, "POST", "/apps/api-default/dynos", body, headers...).object(w.tb)
	path, ok := strings.CutPrefix(made["attach_url"].(string), "wss://dynomad.example")
	if !ok {
		w.tb.Fatalf("the attach_url is %s", made["attach_url"])
	}
	return base + path, made["id"].(string)
}

func TestStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t, unobserved)
	srv := httptest.NewServer(w.handler)
	defer srv.Close()
	w.exec.talk = func(_ context.Context, in dynomad.Session) (int, error) {
		said, err := io.ReadAll(in.Terminal.Stdin)
		_, _ = fmt.Fprintf(in.Terminal.Stdout, "%d bytes", len(said))
		return 5, err
	}
	url, id := w.attached(t, srv.URL)
	if shown := w.must(200, "GET", "/apps/api-default/dynos/"+id, "").object(t)["attach_url"]; shown != "" {
		t.Errorf("the attach_url is shown again: %s", shown)
	}
	var out strings.Builder
	var states []string
	time.AfterFunc(100*time.Millisecond, w.view.place)
	code, err := stream.Talk(t.Context(), url, stream.Terminal{
		Stdin: strings.NewReader(strings.Repeat("x", 1<<20)), Stdout: &out,
		Progress: func(state, message string) { states = append(states, state+": "+message) },
	})
	if code != 5 || err != nil || out.String() != "1048576 bytes" {
		t.Errorf("got %d, %v, %q", code, err, out.String())
	}
	if diff := cmp.Diff([]string{"waiting: Nomad has not placed it yet."}, states); diff != "" {
		t.Error(diff)
	}
	equal(t, "ended", w.must(200, "GET", "/apps/api-default/dynos/run.1001", "").object(t), map[string]any{
		"state": "stopped", "exit_code": 5.0, "additional_info": "Its command ended with exit code 5.", "node": "node-1",
	})
	in := w.exec.talks[0]
	if diff := cmp.Diff([]string{"echo", "a b"}, in.Command); diff != "" || in.Terminal.TTY || in.AllocID != "alloc-of-run.1001" || in.App.Name != "api-default" {
		t.Errorf("ran %+v: %s", in, diff)
	}
	var refused *stream.Error
	if _, err := stream.Talk(t.Context(), url, stream.Terminal{}); !errors.As(err, &refused) || refused.ID != "unauthorized" {
		t.Errorf("the secret a second time: %v", err)
	}
	for range 200 {
		if log := w.logs.String(); strings.Contains(log, "path=/apps/{app}/dynos/{dyno}/stream status=101") {
			if strings.Contains(log, "fresh-secret") {
				t.Errorf("the log has the secret: %s", log)
			}
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("the log lacks the stream: %s", w.logs)
}

// TestStream_shell has Heroku's clients' commands run by a shell, and a terminal unless they want none.
func TestStream_shell(t *testing.T) {
	t.Parallel()
	w, base := newStreams(t)
	for i, body := range []string{`{"command":"echo $A | wc","attach":true}`, `{"command":"echo $A | wc","attach":true,"force_no_tty":true}`} {
		url, _ := w.attachedAs(base, body, "Accept", heroku)
		if code, err := stream.Talk(t.Context(), url, stream.Terminal{TTY: true}); code != 0 || err != nil {
			t.Fatal(code, err)
		}
		in := w.exec.talks[i]
		if diff := cmp.Diff([]string{"/bin/sh", "-c", "echo $A | wc"}, in.Command); diff != "" || in.Terminal.TTY != (i == 0) {
			t.Errorf("tty %t: %s", in.Terminal.TTY, diff)
		}
	}
}

// TestStream_refusals asks in every way that gives no stream, none of which uses up the secret.
func TestStream_refusals(t *testing.T) {
	t.Parallel()
	w, base := newStreams(t)
	url, id := w.attached(t, "")
	without := func(name string) []string {
		i := slices.Index(upgrade, name)
		return slices.Concat(upgrade[:i], upgrade[i+2:])
	}
	for _, tt := range []struct {
		name, method, path string
		headers            []string
		status             int
	}{
		{"no WebSocket", "GET", url, nil, 426},
		{"HEAD", "HEAD", url, upgrade, 426},
		{"no Connection", "GET", url, without("Connection"), 426},
		{"no Upgrade", "GET", url, without("Upgrade"), 426},
		{"no version", "GET", url, without("Sec-WebSocket-Version"), 426},
		{"no key", "GET", url, without("Sec-WebSocket-Key"), 426},
		{"POST", "POST", url, upgrade, 405},
		{"a bad tty", "GET", url + "&tty=yes", upgrade, 422},
		{"a wrong secret", "GET", url + "x", upgrade, 401},
		{"no secret", "GET", strings.Split(url, "?")[0], upgrade, 401},
		{"no secret, no dyno", "GET", "/apps/api-default/dynos/run.7/stream", upgrade, 401},
	} {
		a := w.ask("", tt.method, tt.path, "", tt.headers...)
		if a.status != tt.status || tt.method != "HEAD" && a.object(t)["message"] == "" {
			t.Errorf("%s: %d %s, want %d", tt.name, a.status, a.body, tt.status)
		}
		if tt.status == 426 && a.header.Get("Upgrade") != "websocket" {
			t.Errorf("%s: the headers are %v", tt.name, a.header)
		}
	}
	byID := base + strings.Replace(url, "run.1001", id, 1)
	if code, err := stream.Talk(t.Context(), byID, stream.Terminal{}); code != 0 || err != nil {
		t.Errorf("after all this: %d, %v", code, err)
	}

	url, _ = w.attached(t, "")
	other := strings.Replace(url, "api-default", "shop-team", 1)
	if a := w.ask("", "GET", other, "", upgrade...); a.status != 401 {
		t.Errorf("for another app: %d %s", a.status, a.body)
	}
	url, _ = w.attached(t, base)
	w.clock.seconds.Add(60)
	if _, err := stream.Talk(t.Context(), url, stream.Terminal{}); err == nil || !strings.Contains(err.Error(), "older than 60 s") {
		t.Errorf("after its time: %v", err)
	}
	for _, body := range []string{`{"attach":true}`, `{"attach":true,"command":" "}`} {
		if a := w.ask(rootToken, "POST", "/apps/api-default/dynos", body); a.status != 422 || a.object(t)["field"] != "command" {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	w.must(200, "PATCH", "/apps/api-default/formation/migrate", `{"remove-command":true}`)
	if a := w.ask(rootToken, "POST", "/apps/api-default/dynos", `{"type":"migrate","attach":true}`); a.status != 422 || a.object(t)["field"] != "command" {
		t.Errorf("the image's own command: %d %s", a.status, a.body)
	}
}

// TestStream_ends ends streams from outside. The dyno's record and the client are told why.
func TestStream_ends(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		end     func(w *world, hangUp func())
		info    string // in the dyno's record
		message string // for the client, if it is there
	}{
		{"the client goes", func(_ *world, hangUp func()) { hangUp() }, "Its client's connection was lost.", ""},
		{
			"the daemon stops", func(w *world, _ func()) { _ = w.server.StopStreams(w.tb.Context()) },
			"The daemon was stopped.", "The dyno run.1001 was ended. The daemon was stopped.",
		},
		{
			"it is stopped by request", func(w *world, _ func()) {
				w.must(202, "POST", "/apps/api-default/dynos/run.1001/actions/stop", "")
				close(w.exec.gone)
			}, "It was stopped by request.", "The dyno run.1001 was ended. It was stopped by request.",
		},
		{
			"the dyno cannot be reached", func(w *world, _ func()) { close(w.exec.lost) },
			"The connection to the dyno was lost.", "The connection to the dyno was lost.",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, base := newStreams(t)
			began, ended := make(chan struct{}), make(chan struct{})
			w.exec.gone, w.exec.lost = make(chan struct{}), make(chan struct{})
			w.exec.talk = func(ctx context.Context, _ dynomad.Session) (int, error) {
				close(began)
				defer close(ended)
				select {
				case <-w.exec.gone:
					return 137, nil
				case <-w.exec.lost:
					return 0, dynomad.Errorf(dynomad.Unavailable, "The connection to the dyno was lost.")
				case <-ctx.Done():
					return 0, context.Cause(ctx)
				}
			}
			url, id := w.attached(t, base)
			ctx, hangUp := context.WithCancel(t.Context())
			defer hangUp()
			attached := make(chan error, 1)
			reader, writer := io.Pipe()
			defer writer.Close() //nolint:errcheck // never fails
			go func() {
				_, err := stream.Talk(ctx, url, stream.Terminal{Stdin: reader})
				attached <- err
			}()
			<-began
			tt.end(w, hangUp)
			<-ended
			if err := <-attached; tt.message != "" && (err == nil || err.Error() != tt.message) {
				t.Errorf("the client was told: %v", err)
			}
			w.eventually(t, "/apps/api-default/dynos/"+id, map[string]any{"state": "stopping", "additional_info": tt.info, "exit_code": nil})
		})
	}
}

// TestStream_endsByItself has a dyno end under its session before that is on record: its client is told what the record says, once it does.
func TestStream_endsByItself(t *testing.T) {
	t.Parallel()
	w, base := newStreams(t)
	w.exec.talk = func(ctx context.Context, _ dynomad.Session) (int, error) {
		runs, err := w.store.AttachedRuns(ctx)
		if err != nil || len(runs) != 1 {
			return 0, fmt.Errorf("%d runs, %w", len(runs), err)
		}
		end := dynomad.RunEnd{At: w.clock.now(), State: dynomad.StateStartFailure, Info: "The image has no sleep."}
		time.AfterFunc(300*time.Millisecond, func() {
			if err := w.store.EndRun(w.tb.Context(), runs[0].AppID, runs[0].ID, end); err != nil {
				w.tb.Error(err)
			}
		})
		return 0, dynomad.Wrap(dynomad.Conflict, dynomad.ErrDynoEnded, "The dyno is not running any more.")
	}
	url, id := w.attached(t, base)
	_, err := stream.Talk(t.Context(), url, stream.Terminal{Stdin: strings.NewReader("")})
	if want := "The dyno run.1001 has ended. The image has no sleep."; err == nil || err.Error() != want {
		t.Errorf("the client was told %v, want %s", err, want)
	}
	w.eventually(t, "/apps/api-default/dynos/"+id, map[string]any{"state": "start-failure", "additional_info": "The image has no sleep.", "exit_code": nil})
}

// eventually waits until an answer has some fields.
func (w *world) eventually(t *testing.T, path string, want map[string]any) {
	t.Helper()
	var got map[string]any
	for range 200 {
		got = w.must(200, "GET", path, "").object(t)
		seen := maps.Clone(got)
		maps.DeleteFunc(seen, func(field string, _ any) bool { _, wanted := want[field]; return !wanted })
		if maps.Equal(seen, want) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	equal(t, path, got, want)
}

// TestStream_limits has more clients than there may be, and clients of a daemon that stops.
func TestStream_limits(t *testing.T) {
	t.Parallel()
	w, base := newStreams(t)
	began := make(chan struct{})
	w.exec.talk = func(ctx context.Context, _ dynomad.Session) (int, error) {
		began <- struct{}{}
		<-ctx.Done()
		return 0, context.Cause(ctx)
	}
	var wg sync.WaitGroup
	for range 32 {
		url, _ := w.attached(t, base)
		wg.Go(func() { _, _ = stream.Talk(t.Context(), url, stream.Terminal{}) })
		<-began
	}
	url, _ := w.attached(t, "")
	a := w.ask("", "GET", url, "", upgrade...)
	if a.status != 503 || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "Too many clients") {
		t.Errorf("one too many: %d %s", a.status, a.body)
	}
	if err := w.server.StopStreams(t.Context()); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if a := w.ask("", "GET", url, "", upgrade...); a.status != 503 || !strings.Contains(a.body, "is being stopped") {
		t.Errorf("while the daemon stops: %d %s", a.status, a.body)
	}
	if err := w.server.StopStreams(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestStream_cut cuts a client's connection without a word, with a request that was written by hand.
func TestStream_cut(t *testing.T) {
	t.Parallel()
	w, base := newStreams(t)
	began, ended := make(chan struct{}), make(chan error, 1)
	w.exec.talk = func(ctx context.Context, _ dynomad.Session) (int, error) {
		close(began)
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return 0, context.Cause(ctx)
	}
	path, _ := w.attached(t, "")
	raw, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintf(raw, "GET %s HTTP/1.1\r\nHost: x\r\nOrigin: https://elsewhere.example\r\n", path)
	for i := 0; i < len(upgrade); i += 2 {
		_, _ = fmt.Fprintf(raw, "%s: %s\r\n", upgrade[i], upgrade[i+1])
	}
	_, _ = io.WriteString(raw, "\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(raw), nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Request-Id") == "" {
		t.Fatalf("got %v, %v", answer, err)
	}
	_ = answer.Body.Close()
	<-began
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; dynomad.KindOf(err) != dynomad.Canceled {
		t.Errorf("ended for %v", err)
	}
}

// TestEndStrays ends attached dynos that nobody connects to.
func TestEndStrays(t *testing.T) {
	t.Parallel()
	w, base := newStreams(t)
	w.exec.talk = func(ctx context.Context, _ dynomad.Session) (int, error) {
		<-ctx.Done()
		return 0, context.Cause(ctx)
	}
	sweep := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		w.platform.EndStrays(ctx, func(err error) { t.Error(err) })
	}
	url, connected := w.attached(t, base)
	_, waiting := w.attached(t, "")
	w.must(201, "POST", "/apps/api-default/dynos", `{"command":"echo"}`) // not to be attached to
	go func() { _, _ = stream.Talk(t.Context(), url, stream.Terminal{}) }()
	w.eventually(t, "/apps/api-default/dynos/"+connected, map[string]any{"state": "running"})
	sweep()
	equal(t, "at first", w.must(200, "GET", "/apps/api-default/dynos/"+waiting, "").object(t), map[string]any{"state": "running"})
	w.clock.seconds.Add(61)
	sweep()
	sweep()
	equal(t, "in the end", w.must(200, "GET", "/apps/api-default/dynos/"+waiting, "").object(t), map[string]any{
		"state": "stopping", "additional_info": "No client connected to it within 60 s.",
	})
	for _, name := range []string{connected, "run.1003"} {
		equal(t, name, w.must(200, "GET", "/apps/api-default/dynos/"+name, "").object(t), map[string]any{"state": "running"})
	}
	w.clock.seconds.Add(1)
	w.platform = dynomad.NewPlatform(rules(), w.parts(w.store)) // of a daemon that was started anew
	sweep()
	sweep()
	equal(t, "after a start", w.must(200, "GET", "/apps/api-default/dynos/"+connected, "").object(t), map[string]any{
		"state": "stopping", "additional_info": "The daemon was started anew, and its client lost the connection.",
	})
	if n := strings.Count(w.must(200, "GET", "/apps/api-default/audits", "").body, `"dyno.stop"`); n != 2 {
		t.Errorf("%d stops were recorded, want 2", n)
	}
}

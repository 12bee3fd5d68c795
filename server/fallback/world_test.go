package fallback

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/dynomad/dynomad"
)

// now is the time in these tests.
var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// world is a store and a view of a few apps. It counts how often it is read.
type world struct {
	states map[string]dynomad.AppState
	dynos  map[string][]dynomad.Dyno // by app
	reads  int
}

// newWorld has one app for each condition.
func newWorld() *world {
	w := &world{states: map[string]dynomad.AppState{}, dynos: map[string][]dynomad.Dyno{}}
	w.app("down-default", 1, dynomad.ReleaseSucceeded, dyno(dynomad.StateAppCrashed))
	w.app("new-default", 1, dynomad.ReleasePending)
	w.app("zero-default", 0, dynomad.ReleaseSucceeded)
	w.app("kept-default", 1, dynomad.ReleaseSucceeded)
	kept := w.states["kept-default"]
	kept.App.Maintenance = true
	w.states["kept-default"] = kept
	return w
}

func (w *world) app(name string, quantity int, status string, dynos ...dynomad.Dyno) {
	w.states[name] = dynomad.AppState{
		App:    dynomad.App{ID: "id-of-" + name, Name: name},
		Types:  []dynomad.DynoType{{Type: dynomad.Web, Quantity: quantity}},
		Wanted: &dynomad.Release{Version: 1, Status: status},
		Config: dynomad.ConfigVars{"SECRET": "s3cret"},
	}
	w.dynos[name] = dynos
}

func dyno(s dynomad.DynoState) dynomad.Dyno {
	return dynomad.Dyno{Type: dynomad.Web, State: s, CreatedAt: now, AdditionalInfo: "exit code 137 on node n1"}
}

func (w *world) AppState(_ context.Context, name string) (dynomad.AppState, error) {
	w.reads++
	if name == "broken-default" {
		return dynomad.AppState{}, errors.New("disk on fire")
	}
	s, ok := w.states[name]
	if !ok {
		return s, dynomad.Errorf(dynomad.NotFound, "The app %s does not exist.", name)
	}
	return s, nil
}

func (w *world) Dynos(s dynomad.AppState, _ time.Time) dynomad.DynoPicture {
	return dynomad.DynoPicture{Dynos: w.dynos[s.App.Name]}
}

// serve serves the pages as the daemon does and gives their address.
func serve(t *testing.T, w *world) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handler := New(Config{Domain: "Apps.Test", Apps: w, Dynos: w, StartTime: time.Minute, Now: func() time.Time { return now }})
	srv := HTTPServer(handler, nil)
	ended := make(chan struct{})
	go func() { _ = srv.Serve(l); close(ended) }() // always ErrServerClosed
	t.Cleanup(func() {
		_ = srv.Close()
		<-ended
	})
	return l.Addr().String()
}

// got is an answer.
type got struct {
	status int
	header http.Header
	body   string
}

// ask sends a request and gives the answer, unfollowed.
func ask(t *testing.T, req *http.Request) got {
	t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got{resp.StatusCode, resp.Header, string(text)}
}

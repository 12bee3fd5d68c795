package server_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	_ "github.com/mattn/go-sqlite3" // to see whether a request wrote anything

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/server"
	"github.com/dynomad/dynomad/store"
)

// rootToken has all rights in every world.
const rootToken = "root-secret"

var testKey = store.Key(strings.Repeat("k", 32))

// world is the API over a real store, with a cluster that only exists in the test. It starts with the apps api-default (a
// web, a worker, a one-off, two releases) and shop-team (a web), a space without apps, and a token for each scope and tie.
type world struct {
	tb       testing.TB
	server   *server.Server
	handler  http.Handler
	platform *dynomad.Platform
	store    *store.Store
	view     *fakeView
	exec     *fakeExec
	hub      *fakeLogs
	watch    *sql.Conn // tells whether anything was written
	clock    *clock
	route    string // "METHOD template" of the last request
	logs     *syncBuffer
}

// clock gives a time that moves by a second with every request, and ids that count up.
type clock struct{ seconds, ids atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC).Add(time.Duration(c.seconds.Load()) * time.Second)
}

func (c *clock) id() string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", c.ids.Add(1)) }

// fakeView is a cluster that runs what it is told.
type fakeView struct {
	mu    sync.Mutex
	dynos map[string][]dynomad.Dyno // by app name
	stale time.Duration
	wakes int

	placed bool // dynos that run once are running
}

// Dynos gives a picture that holds for no time at all, since tests change what it is made of.
func (v *fakeView) Dynos(state dynomad.AppState, now time.Time) dynomad.DynoPicture {
	v.mu.Lock()
	defer v.mu.Unlock()
	dynos := append([]dynomad.Dyno(nil), v.dynos[state.App.Name]...)
	for _, run := range state.Runs {
		d := run.Dyno(state.App)
		if v.placed && d.State == dynomad.StateWaiting {
			d.State, d.AdditionalInfo, d.AllocID, d.Node = dynomad.StateRunning, "", "alloc-of-"+run.Name(), "node-1"
		}
		dynos = append(dynos, d)
	}
	return dynomad.DynoPicture{Dynos: dynos, Until: now}
}

// place has dynos that run once run.
func (v *fakeView) place() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.placed = true
}

func (v *fakeView) DynosVersion(dynomad.App) uint64 { return 0 }

func (v *fakeView) StaleFor(time.Time) time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.stale
}

func (v *fakeView) Expect(context.Context, string) {}

func (v *fakeView) Wake(context.Context, string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.wakes++
}

// syncBuffer collects log lines of several goroutines.
type syncBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// seeded is a database with all that a world starts with. Every world has a copy.
var seeded = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "dynomad-server-test")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	path, c := filepath.Join(dir, "seed.db"), &clock{}
	s, err := store.Open(context.Background(), store.Config{Path: path, Key: testKey, Now: c.now})
	if err != nil {
		return nil, err
	}
	if err := seed(dynomad.NewPlatform(rules(), dynomad.Parts{Store: s, View: &fakeView{}, Loop: &fakeView{}, Now: c.now, NewID: c.id}), s, c); err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func rules() dynomad.Rules {
	return dynomad.Rules{Sizes: dynomad.BuiltinSizes(), DefaultSize: "gp2", DefaultPort: 9000, MaxQuantity: 20}
}

// seedIDs is past every id that seeding takes.
const seedIDs = 500

func newWorld(tb testing.TB, change ...func(*server.Config)) *world {
	tb.Helper()
	content, err := seeded()
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(tb.TempDir(), "dynomad.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		tb.Fatal(err)
	}
	w := &world{tb: tb, clock: &clock{}, logs: &syncBuffer{}, view: &fakeView{dynos: seedDynos()}, exec: &fakeExec{stdout: "Hello\n"}, hub: newFakeLogs()}
	w.clock.seconds.Store(1000)
	w.clock.ids.Store(seedIDs)
	w.store, err = store.Open(tb.Context(), store.Config{Path: path, Key: testKey, Now: w.clock.now})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			tb.Error(err)
		}
	})
	w.watchWrites(path)
	w.platform = dynomad.NewPlatform(rules(), w.parts(w.store))
	w.serve(server.Config{Platform: w.platform}, change...)
	return w
}

// parts are what the world's platform works with, over one store or another.
func (w *world) parts(s dynomad.Store) dynomad.Parts {
	return dynomad.Parts{Store: s, View: w.view, Loop: w.view, Exec: w.exec, Logs: w.hub, Now: w.clock.now, NewID: w.clock.id}
}

// serve makes the handler; it is called again where a test needs a platform of its own.
func (w *world) serve(cfg server.Config, change ...func(*server.Config)) {
	var requests, secrets atomic.Int64
	cfg.AppDomain, cfg.WebURL, cfg.ExternalURL = "apps.localhost", "http://{host}", "https://dynomad.example/"
	cfg.NomadUIURL, cfg.Region, cfg.Version = "http://nomad.example/ui", "test", "1.2.3"
	cfg.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: w.logs})
	cfg.Now = w.clock.now
	cfg.NewID = func() string { return fmt.Sprintf("request-%d", requests.Add(1)) }
	cfg.NewToken = func() string { return fmt.Sprintf("fresh-secret-%d", secrets.Add(1)) }
	cfg.Ready = func(context.Context) map[string]string { return map[string]string{"store": "ok", "nomad": "ok"} }
	cfg.Notices = func() []string { return []string{"Nomad's ACLs are off."} }
	cfg.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("up 1\n")) })
	cfg.Observe = func(method, path string, _ int, _ time.Duration) {
		w.route = strings.Replace(method, "HEAD", "GET", 1) + " " + path
	}
	for _, f := range change {
		f(&cfg)
	}
	w.server = server.New(cfg)
	w.handler = w.server.Handler()
}

// watchWrites opens a connection of its own, which is told of every commit of the others.
func (w *world) watchWrites(path string) {
	w.tb.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro")
	if err != nil {
		w.tb.Fatal(err)
	}
	w.watch, err = db.Conn(w.tb.Context())
	if err != nil {
		w.tb.Fatal(err)
	}
	w.tb.Cleanup(func() {
		if err := w.watch.Close(); err != nil {
			w.tb.Error(err)
		}
		if err := db.Close(); err != nil {
			w.tb.Error(err)
		}
	})
}

// version changes with every commit that wrote something.
func (w *world) version() int {
	w.tb.Helper()
	var n int
	if err := w.watch.QueryRowContext(context.Background(), "PRAGMA data_version").Scan(&n); err != nil {
		w.tb.Fatal(err)
	}
	return n
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	wrote  bool // the request changed the store
}

// ask sends a request. Headers are given as names and values in turn.
func (w *world) ask(token, method, path, body string, headers ...string) answer {
	w.tb.Helper()
	w.clock.seconds.Add(1)
	var r *http.Request
	if body == "" {
		r = httptest.NewRequestWithContext(w.tb.Context(), method, "/", nil)
	} else {
		r = httptest.NewRequestWithContext(w.tb.Context(), method, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded") // as curl -d says
	}
	var err error
	if r.URL, err = url.Parse("http://evil.example" + path); err != nil {
		w.tb.Fatal(err)
	}
	r.Host = "evil.example"
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	before, rec := w.version(), httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	a := answer{status: rec.Code, header: rec.Header(), body: rec.Body.String(), wrote: w.version() != before}
	w.check(method+" "+path, a)
	return a
}

// check holds what is true of every answer.
func (w *world) check(what string, a answer) {
	w.tb.Helper()
	if a.header.Get("Request-Id") == "" || a.header.Get("RateLimit-Remaining") == "" {
		w.tb.Errorf("%s: a header is missing: %v", what, a.header)
	}
	if a.status >= 400 && a.wrote {
		w.tb.Errorf("%s: answered %d, yet changed the store", what, a.status)
	}
	if strings.Contains(a.body, "evil.example") {
		w.tb.Errorf("%s: the answer has the request's host: %s", what, a.body)
	}
	if a.status < 400 || strings.HasPrefix(what, "HEAD ") {
		return
	}
	var e struct{ ID, Message string }
	if err := json.Unmarshal([]byte(a.body), &e); err != nil || e.ID == "" || e.Message == "" {
		w.tb.Errorf("%s: %d with the body %q", what, a.status, a.body)
	}
}

// must is ask with the root token, for requests that succeed.
func (w *world) must(status int, method, path, body string, headers ...string) answer {
	w.tb.Helper()
	a := w.ask(rootToken, method, path, body, headers...)
	if a.status != status {
		w.tb.Fatalf("%s %s %s: %d %s, want %d", method, path, body, a.status, a.body, status)
	}
	return a
}

// object reads an answer that is an object.
func (a answer) object(tb testing.TB) map[string]any { return decoded[map[string]any](tb, a) }

// list reads an answer that is a list of objects.
func (a answer) list(tb testing.TB) []map[string]any { return decoded[[]map[string]any](tb, a) }

func decoded[T any](tb testing.TB, a answer) T {
	tb.Helper()
	var v T
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		tb.Fatalf("%d %q: %v", a.status, a.body, err)
	}
	return v
}

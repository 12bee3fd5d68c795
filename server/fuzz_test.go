package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/server"
)

// fuzzStreamTime is how long a fuzzed request may read a stream that has no end.
const fuzzStreamTime = 20 * time.Millisecond

// worldSecrets are what no answer and no line of the log may have, unless the request itself brought it.
var worldSecrets = []string{rootToken, "-token-of-", string(testKey), dynomad.HashToken(rootToken)}

// hiddenSecrets are shown to tokens with a -protected scope only, and never in a refusal.
var hiddenSecrets = []string{"hidden-config", "hidden-option"}

// fuzzed is a request that a fuzzer made up.
type fuzzed struct {
	route   server.Route
	scope   dynomad.Scope // of its token; "" is none
	request *http.Request
	text    string // all of it, to see what it brought itself
}

// fuzzRequest makes a request of a fuzzer's values; nil if no client could send it, as net/http refuses it before it reaches a handler.
// keys fill the path's variables, headers are lines.
func fuzzRequest(t *testing.T, route, token uint8, method, keys, query, headers, body string) *fuzzed {
	all := server.Routes()
	f := &fuzzed{route: all[int(route)%len(all)], text: strings.Join([]string{keys, query, headers, body}, "\n")}
	path := f.route.Path
	for _, key := range strings.Split(keys, "/") {
		from := strings.Index(path, "{")
		if from < 0 {
			break
		}
		path = path[:from] + key + path[from+strings.Index(path[from:], "}")+1:]
	}
	if query != "" {
		path += "?" + query
	}
	u, err := url.ParseRequestURI(path)
	if err != nil || strings.ContainsAny(method+path, " \t\r\n") {
		return nil
	}
	if method == "" {
		method = f.route.Method
	}
	ctx, cancel := context.WithTimeout(t.Context(), fuzzStreamTime)
	t.Cleanup(cancel)
	if !f.streams() {
		ctx = t.Context()
	}
	f.request = httptest.NewRequestWithContext(ctx, http.MethodGet, "/", strings.NewReader(body))
	f.request.Method, f.request.URL = method, u
	if f.scope = fuzzScope(token); f.scope != "" {
		f.request.Header.Set("Authorization", tokenFor(f.scope, "any"))
	}
	for line := range strings.Lines(headers) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if ok && name != "" && !strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' }) {
			f.request.Header.Add(name, strings.TrimSpace(value))
		}
	}
	if f.request.Header.Get("Authorization") != tokenFor(f.scope, "any") {
		f.scope = ""
	}
	return f
}

// streams reports whether a success has no end of its own.
func (f *fuzzed) streams() bool {
	return f.route.Method == http.MethodGet && (strings.Contains(f.route.Path, "/log") || strings.HasSuffix(f.route.Path, "/stream"))
}

func fuzzScope(token uint8) dynomad.Scope {
	if i := int(token) % 8; i < len(dynomad.Scopes()) {
		return dynomad.Scopes()[i]
	}
	return map[bool]dynomad.Scope{true: dynomad.ScopeGlobal}[token%8 != 7]
}

// brought reports whether a secret was in the request, so that an answer may repeat it.
func (f *fuzzed) brought(secret string) bool {
	plain, _ := url.PathUnescape(f.text)
	more, _ := url.QueryUnescape(f.text)
	return strings.Contains(f.text+"\n"+plain+"\n"+more, secret)
}

// FuzzRoutes sends requests that are made up to every route of the API, over a real store. None is answered by a 5xx but a 503 that says
// when to come again; what is refused says why and changes nothing; answers are JSON; no secret gets out.
func FuzzRoutes(f *testing.F) {
	all := server.Routes()
	for i, rt := range all {
		ex := examples[rt.Method+" "+rt.Path]
		path, query, _ := strings.Cut(ex.path, "?")
		f.Add(uint8(i), uint8(0), "", fuzzKeys(rt.Path, path), query, "Accept: application/vnd.heroku+json; version=3\nRange: name ..; max=2", ex.body) //nolint:gosec // there are fewer
		f.Add(uint8(i), uint8(i), "", "%00/%2F", "tail=1&lines=1&tty=2&secret=x", "Content-Type: text/plain; charset=latin1\nRange: ]..[", `[`)         //nolint:gosec // as above
	}
	f.Add(uint8(1), uint8(7), "BREW", "..", "%", "Authorization: Basic ::\nUpgrade: websocket\nConnection: upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: x", `null`)
	kept := &lasting{TB: f, dir: f.TempDir()}
	f.Cleanup(kept.close)
	f.Fuzz(func(t *testing.T, route, token uint8, method, keys, query, headers, body string) {
		in := fuzzRequest(t, route, token, method, keys, query, headers, body)
		if in == nil {
			return
		}
		w := kept.world(t)
		before, seen, rec := w.version(), len(w.logs.String()), httptest.NewRecorder()
		stopped := serveFuzzed(w, rec, in)
		a := answer{status: rec.Code, header: rec.Header(), body: rec.Body.String(), wrote: w.version() != before}
		in.check(t, w.logs.String()[seen:], a, stopped)
		if a.wrote {
			kept.close()
		}
	})
}

// lasting is a test that lasts longer than the run of one input, so that a world can serve the inputs that do not change it.
type lasting struct {
	testing.TB
	dir   string
	kept  *world
	asked int
	ends  []func()
}

func (l *lasting) Helper()                  {}
func (l *lasting) Context() context.Context { return context.Background() }
func (l *lasting) Cleanup(end func())       { l.ends = append(l.ends, end) }

func (l *lasting) TempDir() string {
	dir, err := os.MkdirTemp(l.dir, "")
	if err != nil {
		l.Fatal(err)
	}
	return dir
}

// world gives a world as it is at first.
func (l *lasting) world(t *testing.T) *world {
	t.Helper()
	const most = 100 // its log grows
	if l.asked++; l.asked > most {
		l.close()
	}
	l.TB = t
	if l.kept == nil {
		l.kept = newWorld(l)
		l.kept.exec.talk = func(context.Context, dynomad.Session) (int, error) { return 0, nil }
	}
	return l.kept
}

func (l *lasting) close() {
	for _, end := range slices.Backward(l.ends) {
		end()
	}
	l.ends, l.kept, l.asked = nil, nil, 0
}

// fuzzKeys gives what a path has in place of a template's variables.
func fuzzKeys(template, path string) string {
	var keys []string
	parts := strings.Split(path, "/")
	for i, part := range strings.Split(template, "/") {
		if strings.HasPrefix(part, "{") && i < len(parts) {
			keys = append(keys, parts[i])
		}
	}
	return strings.Join(keys, "/")
}

// serveFuzzed serves a request; it reports whether the answer was broken off, which is how a stream may end.
func serveFuzzed(w *world, rec *httptest.ResponseRecorder, in *fuzzed) (stopped bool) {
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler { //nolint:errorlint // the very value, as net/http compares it
				panic(p)
			}
			stopped = true
		}
	}()
	w.handler.ServeHTTP(rec, in.request)
	return false
}

func (f *fuzzed) check(t *testing.T, logs string, a answer, stopped bool) {
	t.Helper()
	what := f.request.Method + " " + f.request.URL.String()
	switch {
	case stopped && !f.streams():
		t.Errorf("%s: the answer was broken off", what)
	case a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "":
	case a.status >= 500 || strings.Contains(logs, "[ERROR]"):
		t.Errorf("%s: %d %s\n%s", what, a.status, a.body, logs)
	}
	if a.status >= 400 && a.wrote {
		t.Errorf("%s: answered %d, yet changed the store", what, a.status)
	}
	if f.request.Method != http.MethodHead && a.status != http.StatusNoContent && (!f.streams() || a.status >= 400) {
		f.checkBody(t, what, a)
	}
	for _, secret := range worldSecrets {
		if strings.Contains(a.body+logs, secret) && !f.brought(secret) {
			t.Errorf("%s: the answer or the log has %q: %d %s\n%s", what, secret, a.status, a.body, logs)
		}
	}
	may := dynomad.Principal{Scopes: []dynomad.Scope{f.scope}}.Has(dynomad.ScopeReadProtected) && a.status < 300
	for _, secret := range hiddenSecrets {
		if (strings.Contains(a.body, secret) && !may && f.route.Path != "/openapi.json" && f.route.Path != "/docs" || strings.Contains(logs, secret)) && !f.brought(secret) {
			t.Errorf("%s: the scope %q is shown %q: %d %s\n%s", what, f.scope, secret, a.status, a.body, logs)
		}
	}
}

// checkBody holds that an answer is JSON, and a refusal says why.
func (f *fuzzed) checkBody(t *testing.T, what string, a answer) {
	t.Helper()
	if a.status < 400 {
		if f.route.Path != "/metrics" && f.route.Path != "/docs" && !json.Valid([]byte(a.body)) {
			t.Errorf("%s: %d, which is no JSON: %q", what, a.status, a.body)
		}
		return
	}
	var e struct{ ID, Message, Field string }
	if err := json.Unmarshal([]byte(a.body), &e); err != nil || e.ID == "" || e.Message == "" || (a.status == http.StatusUnprocessableEntity && e.Field == "") {
		t.Errorf("%s: %d does not say why: %q", what, a.status, a.body)
	}
}

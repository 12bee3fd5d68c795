package server_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/server"
)

func TestPaths(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tests := []struct {
		path   string
		status int
	}{
		{"/apps/", 200},
		{"/apps/api-default/", 200},
		{"/apps/api-default/formation/web/", 200},
		{"/healthz/", 200},
		{"/apps/%61pi-default", 200}, // the same name, escaped
		{"/", 404},
		{"/nothere", 404},
		{"/APPS", 404},
		{"/apps//", 404},
		{"//apps", 404},
		{"/apps//formation", 404},
		{"/apps/api-default//formation", 404},
		{"/apps/../apps", 404},
		{"/apps/./api-default", 404},
		{"/apps/..", 404},
		{"/apps/%2e%2e", 404},
		{"/apps/api-default%2F", 404},
		{"/apps/api-default%2Fformation", 404},
		{"/apps%2Fapi-default", 404},
		{"/apps/api-default%00", 404},
		{"/apps/%ff", 404},
		{"/apps/a%0Ab", 404},
		{"/apps/api-default/formation/web/x", 404},
		{"/apps/api-default/dyno", 404},
		{"/foo/apps/api-default", 404},
		{"/apps/" + strings.Repeat("x", 10_000), 404},
	}
	for _, tt := range tests {
		a := w.ask(rootToken, "GET", tt.path, "")
		if a.status != tt.status {
			t.Errorf("%.80s: %d %.200s, want %d", tt.path, a.status, a.body, tt.status)
		}
		if len(a.body) > 2000 && a.status == 404 {
			t.Errorf("%.80s: the answer repeats %d bytes", tt.path, len(a.body))
		}
		if strings.Contains(a.body, `\u0000`) || strings.Contains(a.body, `a\nb`) {
			t.Errorf("%s: the answer repeats a control character: %s", tt.path, a.body)
		}
		if a.header.Get("Location") != "" {
			t.Errorf("%s is redirected", tt.path)
		}
	}
	if a := w.ask("", "GET", "/nothere", ""); a.status != 404 {
		t.Errorf("an unknown path without a token: %d", a.status)
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tests := []struct{ method, path, allow string }{
		{"PUT", "/apps", "GET, HEAD, POST"},
		{"DELETE", "/apps/", "GET, HEAD, POST"},
		{"OPTIONS", "/apps/api-default", "DELETE, GET, HEAD, PATCH"},
		{"PUT", "/apps/api-default/formation", "GET, HEAD, PATCH, POST"},
		{"POST", "/apps/api-default/formation/web", "DELETE, GET, HEAD, PATCH"},
		{"POST", "/healthz", "GET, HEAD"},
		{"BREW", "/sizes", "GET, HEAD"},
		{"get", "/sizes", "GET, HEAD"},
	}
	for _, tt := range tests {
		a := w.ask("", tt.method, tt.path, `{}`)
		if a.status != 405 || a.header.Get("Allow") != tt.allow {
			t.Errorf("%s %s: %d, Allow %q, want %q", tt.method, tt.path, a.status, a.header.Get("Allow"), tt.allow)
		}
	}
	for name, ex := range examples {
		if !strings.HasPrefix(name, "GET ") {
			continue
		}
		get, head := w.ask(rootToken, "GET", ex.path, ""), w.ask(rootToken, "HEAD", ex.path, "")
		if head.status != get.status || head.body != "" {
			t.Errorf("HEAD %s: %d with %d bytes, GET is %d", ex.path, head.status, len(head.body), get.status)
		}
		if length := get.header.Get("Content-Length"); length != head.header.Get("Content-Length") && ex.path != "/oauth/authorizations" {
			t.Errorf("HEAD %s: Content-Length %q, GET has %q", ex.path, head.header.Get("Content-Length"), length)
		}
		if ex.path != "/metrics" && ex.path != "/docs" && !strings.HasSuffix(ex.path, "/logs") && get.header.Get("Content-Type") != "application/json" {
			t.Errorf("GET %s: Content-Type %q", ex.path, get.header.Get("Content-Type"))
		}
	}
}

func TestAccept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tests := []struct {
		accept, path, token string
		status              int
	}{
		{"application/vnd.heroku+json; version=3", "/apps", rootToken, 200},
		{"application/vnd.heroku+json; version=3.sdk", "/apps", rootToken, 200},
		{"application/vnd.heroku+json; version=2", "/apps", rootToken, 406},
		{"application/vnd.heroku+json; version=2", "/apps", "", 406},
		{"application/vnd.heroku+json; version=edge", "/healthz", "", 406},
		{"text/html", "/apps", rootToken, 200},
		{"image/png;q=0.1", "/apps", rootToken, 200},
	}
	for _, tt := range tests {
		if a := w.ask(tt.token, "GET", tt.path, "", "Accept", tt.accept); a.status != tt.status {
			t.Errorf("%s: %d, want %d", tt.accept, a.status, tt.status)
		}
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	tests := []struct {
		authorization string
		status        int
	}{
		{rootToken, 200},
		{"Bearer " + rootToken, 200},
		{"bearer " + rootToken, 200},
		{basic("", rootToken), 200},
		{basic("anybody", rootToken), 200},
		{"", 401},
		{" ", 401},
		{"Bearer", 401},
		{"Bearer ", 401},
		{"Bearer wrong", 401},
		{basic(rootToken, ""), 401},
		{basic("x", "wrong"), 401},
		{"Basic ???", 401},
		{dynomad.HashToken(rootToken), 401},
		{"Bearer " + strings.Repeat("x", 30_000), 401},
		{"Bearer \x00' OR 1=1 --", 401},
	}
	for _, tt := range tests {
		a := w.ask("", "GET", "/account", "", "Authorization", tt.authorization)
		if a.status != tt.status {
			t.Errorf("%.60q: %d, want %d", tt.authorization, a.status, tt.status)
		}
		if a.status == 401 && a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%.60q: no WWW-Authenticate", tt.authorization)
		}
	}
	made := w.must(201, "POST", tokens, `{"scope":["read"],"description":"ci","expires_in":60,"app":"api-default"}`).object(t)
	access := made["access_token"].(map[string]any)
	if access["token"] != "fresh-secret-1" || access["expires_in"] != 60.0 {
		t.Errorf("made %v", access)
	}
	if a := w.ask("fresh-secret-1", "GET", "/apps", ""); a.status != 200 || len(a.list(t)) != 1 {
		t.Errorf("the new token: %d %s", a.status, a.body)
	}
	w.clock.seconds.Add(120)
	if a := w.ask("fresh-secret-1", "GET", "/apps", ""); a.status != 401 {
		t.Errorf("past its time: %d", a.status)
	}
	if a := w.must(200, "GET", tokens, ""); strings.Contains(a.body, "secret") {
		t.Errorf("the list shows a secret: %s", a.body)
	}
	id := made["id"].(string)
	w.must(200, "GET", tokens+"/"+id, "")
	w.must(200, "DELETE", tokens+"/"+id, "")
	w.must(404, "GET", tokens+"/"+id, "")
}

// TestTokens_noMore checks that nobody grants more than they hold.
func TestTokens_noMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tie := range []string{"app", "space"} {
		a := w.ask(tokenFor(dynomad.ScopeGlobal, tie), "POST", tokens, `{"scope":["global"]}`)
		if a.status != 201 {
			t.Fatalf("%s: %d %s", tie, a.status, a.body)
		}
		secret := a.object(t)["access_token"].(map[string]any)["token"].(string)
		if got := w.ask(secret, "GET", "/apps", "").list(t); len(got) != 1 || got[0]["name"] != "api-default" {
			t.Errorf("a token made by one tied to its %s sees %v", tie, got)
		}
		for _, body := range []string{`{"scope":["read"],"app":"shop-team"}`, `{"scope":["read"],"space":"team"}`} {
			if a := w.ask(tokenFor(dynomad.ScopeGlobal, tie), "POST", tokens, body); a.status != 404 {
				t.Errorf("tied to its %s: %s: %d", tie, body, a.status)
			}
		}
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	theirs := strings.Repeat("their-id,", 900)
	first := w.ask(rootToken, "GET", "/apps?secret=in-the-query", "", "Request-Id", theirs)
	second := w.ask(rootToken, "GET", "/apps/api-default", "", "Request-Id", "short\tid")
	a, b := first.header.Get("Request-Id"), second.header.Get("Request-Id")
	if a == b || strings.Contains(a, "their") {
		t.Errorf("ids %q and %q", a, b)
	}
	logs := w.logs.String()
	for _, want := range []string{
		"method=GET path=/apps status=200 duration=", "request_id=" + a, "request_id=" + b, "app=api-default",
		"their-id,their-id", "client_request_id=short?id",
	} {
		if !strings.Contains(logs, want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	if strings.Contains(logs, theirs[:200]) || strings.Contains(logs, "in-the-query") || strings.Contains(logs, rootToken) {
		t.Errorf("the log has too much:\n%s", logs)
	}
	w.ask(rootToken, "PATCH", configVars, `{"A":"in-the-body"}`)
	w.ask(rootToken, "PATCH", configVars, `{"A-B":"in-the-body"}`)
	w.ask(rootToken, "GET", "/apps/in%0Athe%0Apath", "")
	w.ask(rootToken, "GET", "/apps/"+rootToken+strings.Repeat("-", 30), "")
	logs = w.logs.String()
	if strings.Contains(logs, rootToken) || strings.Contains(logs, "in-the-body") || strings.Contains(logs, "in\nthe") || strings.Count(logs, "\n") != 6 {
		t.Errorf("one line each, without bodies:\n%s", logs)
	}
}

func TestObserve(t *testing.T) {
	t.Parallel()
	var seen []string
	w := newWorld(t, func(c *server.Config) {
		c.Observe = func(method, path string, status int, _ time.Duration) {
			seen = append(seen, method+" "+path+" "+http.StatusText(status))
		}
	})
	w.ask(rootToken, "GET", "/apps/api-default", "")
	w.ask("", "GET", "/apps/api-default", "")
	w.ask("", "GET", "/nothere/at/all", "")
	w.ask("", "WHATEVER", "/apps", "")
	want := []string{"GET /apps/{app} OK", "GET /apps/{app} Unauthorized", "GET  Not Found", "other /apps Method Not Allowed"}
	if !slices.Equal(seen, want) {
		t.Errorf("observed %q", seen)
	}
}

// badStore is a store whose list of apps goes wrong.
type badStore struct {
	dynomad.Store
	apps func(context.Context) error
}

func (s badStore) Apps(ctx context.Context) ([]dynomad.AppState, error) { return nil, s.apps(ctx) }

func TestFailures(t *testing.T) {
	t.Parallel()
	const inner = "inner-secret"
	tests := []struct {
		name   string
		apps   func(context.Context) error
		status int
	}{
		{"panic", func(context.Context) error { panic(inner) }, 500},
		{"runtime error", func(context.Context) error { return []error{}[len(inner)] }, 500},
		{"unknown error", func(context.Context) error { return errors.New(inner) }, 500},
		{"internal", func(context.Context) error { return dynomad.Errorf(dynomad.Internal, inner) }, 500},
		{"unavailable", func(context.Context) error {
			return dynomad.Wrap(dynomad.Unavailable, errors.New(inner), "The store is busy.")
		}, 503},
		{"deadline", func(context.Context) error { return context.DeadlineExceeded }, 504},
		{"has a deadline", func(ctx context.Context) error {
			if _, ok := ctx.Deadline(); !ok {
				return errors.New("no deadline")
			}
			return dynomad.Conflict
		}, 409},
	}
	for _, tt := range tests {
		w := newWorld(t)
		w.serve(server.Config{
			Platform: dynomad.NewPlatform(rules(), w.parts(badStore{w.store, tt.apps})),
		})
		a := w.ask(rootToken, "GET", "/apps", "")
		if a.status != tt.status || strings.Contains(a.body, inner) {
			t.Errorf("%s: %d %s", tt.name, a.status, a.body)
		}
		if a.status == 503 && a.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", tt.name)
		}
		if a.status == 500 && !strings.Contains(w.logs.String(), "[ERROR]") {
			t.Errorf("%s: not in the log: %s", tt.name, w.logs)
		}
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *server.Config) {
		c.Ready = func(context.Context) map[string]string {
			return map[string]string{"store": "ok", "nomad": "no answer", "consul": "no leader"}
		}
		c.Metrics = nil
	})
	a := w.ask("", "GET", "/readyz", "")
	got := a.object(t)
	if a.status != 503 || got["message"] != "Not ready: consul, nomad." || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := w.ask("", "GET", "/healthz", ""); a.status != 200 {
		t.Errorf("healthz: %d", a.status)
	}
	if a := w.ask("", "GET", "/metrics", ""); a.status != 404 {
		t.Errorf("metrics that are served elsewhere: %d", a.status)
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *server.Config) {
		c.RateLimit = 3
		c.Now = func() time.Time { return time.Unix(0, 0) }
	})
	for _, want := range []string{"2", "1", "0"} {
		if got := w.must(200, "GET", "/sizes", "").header.Get("RateLimit-Remaining"); got != want {
			t.Errorf("%s remaining, want %s", got, want)
		}
	}
	if a := w.ask(rootToken, "GET", "/sizes", ""); a.status != 429 || a.header.Get("Retry-After") != "20" {
		t.Errorf("one too many: %d, Retry-After %q", a.status, a.header.Get("Retry-After"))
	}
	if got := w.must(200, "GET", "/account/rate-limits", "").object(t)["remaining"]; got != 0.0 {
		t.Errorf("rate-limits says %v", got)
	}
	if a := w.ask(tokenFor(dynomad.ScopeRead, "any"), "GET", "/sizes", ""); a.status != 200 {
		t.Errorf("another token: %d", a.status)
	}
}

func TestStale(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.view.stale = 1500 * time.Millisecond
	for _, path := range []string{"/dynos", "/dyno/web.1"} {
		if got := w.must(200, "GET", "/apps/api-default"+path, "").header.Get("Dynomad-Stale"); got != "2" {
			t.Errorf("%s: Dynomad-Stale %q", path, got)
		}
	}
	w.view.stale = 0
	if h := w.must(200, "GET", "/apps/api-default/dynos", "").header; h.Get("Dynomad-Stale") != "" {
		t.Error("Dynomad-Stale is sent while the cluster answers")
	}
}

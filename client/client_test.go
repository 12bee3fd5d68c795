package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dynomad/dynomad/client"
	"github.com/dynomad/dynomad/cmd/apitest"
)

// TestClient walks through the life of an app against the real API.
func TestClient(t *testing.T) {
	t.Parallel()
	api := apitest.Start(t)
	c, err := client.New(client.Config{URL: api.URL + "/", Token: apitest.Token})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	app := must[client.App](t)(c.CreateApp(ctx, client.NewApp{Name: "api", Description: "the API"}))
	if app.Name != "api-default" || app.Description != "the API" || app.CreatedAt.IsZero() || app.ReleasedAt != nil {
		t.Errorf("created %+v", app)
	}
	build := must[client.Build](t)(c.CreateBuild(ctx, app.ID, client.NewBuild{URL: "hello:1", ProcessTypes: map[string]string{"web": "serve"}}))
	if build.Release == nil || build.ProcessTypes["web"] != "serve" {
		t.Errorf("built %+v", build)
	}
	types := must[[]client.DynoType](t)(c.UpdateTypes(ctx, app.Name, []client.TypeSpec{{Type: "web", Quantity: "+1", Size: "gp1"}}))
	if len(types) != 1 || types[0].Quantity != 2 || types[0].Size != "gp1" || *types[0].Port != 9000 {
		t.Errorf("scaled %+v", types)
	}
	red := "red"
	vars := must[map[string]string](t)(c.UpdateConfigVars(ctx, app.Name, map[string]*string{"COLOR": &red, "GONE": nil}))
	if vars["COLOR"] != "red" || len(vars) != 1 {
		t.Errorf("config vars %v", vars)
	}
	dynos := must[[]client.Dyno](t)(c.Dynos(ctx, app.Name))
	heroku := must[[]client.Dyno](t)(c.HerokuDynos(ctx, app.Name))
	if len(dynos) != 2 || len(heroku) != 2 || heroku[0].Name != "web.1" || heroku[0].ID != dynos[0].ID || dynos[0].State != client.StateRunning {
		t.Errorf("dynos %+v, Heroku's %+v", dynos, heroku)
	}
	one := must[client.Dyno](t)(c.Dyno(ctx, app.Name, "web.2"))
	if one.ID != dynos[1].ID || one.Release.Version != 2 {
		t.Errorf("web.2 is %+v", one)
	}
	token := must[client.Authorization](t)(c.CreateAuthorization(ctx, client.NewAuthorization{Scope: []string{"read"}, App: app.Name, ExpiresIn: time.Minute}))
	if token.AccessToken.Token == nil || token.AccessToken.ExpiresIn == nil || token.App.ID != app.ID {
		t.Errorf("token %+v", token)
	}
	rolled := must[client.Release](t)(c.CreateRelease(ctx, app.Name, client.NewRelease{Release: "v1"}))
	if rolled.Tag() != "v3" || rolled.Description != "Rollback to v1" {
		t.Errorf("rollback %+v", rolled)
	}
	if must[client.App](t)(c.DeleteApp(ctx, app.Name)).ID != app.ID {
		t.Error("another app was deleted")
	}
	if _, err := c.App(ctx, app.Name); !client.IsNotFound(err) {
		t.Errorf("a deleted app: %v", err)
	}
}

// TestClient_errors checks what of an error reaches the caller.
func TestClient_errors(t *testing.T) {
	t.Parallel()
	api := apitest.Start(t)
	c, err := client.New(client.Config{URL: api.URL, Token: apitest.Token})
	if err != nil {
		t.Fatal(err)
	}
	must[client.App](t)(c.CreateApp(t.Context(), client.NewApp{Name: "api"}))
	_, err = c.CreateType(t.Context(), "api-default", client.TypeSpec{Type: "web", Quantity: "21"})
	var e *client.Error
	if !errors.As(err, &e) || e.Status != 422 || e.ID != "invalid_params" || e.Field != "quantity" || e.RequestID == "" ||
		!strings.Contains(err.Error(), "from 0 to 20") {
		t.Errorf("got %#v", err)
	}
	before := api.Requests.Load()
	if _, err := c.Restart(t.Context(), "api-default", ""); err == nil {
		t.Error("a restart of nothing would be one of all dynos")
	}
	if _, err := c.DeleteApp(t.Context(), ".."); err == nil {
		t.Error("no error of an app ..")
	}
	if n := api.Requests.Load() - before; n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	stranger, err := client.New(client.Config{URL: api.URL, Token: "wrong"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Apps(t.Context()); !errors.As(err, &e) || e.Status != 401 {
		t.Errorf("got %v", err)
	}
	if strings.Contains(err2(stranger.Apps(t.Context())), "wrong") {
		t.Error("an error shows the token")
	}
}

func err2[T any](_ T, err error) string { return err.Error() }

// TestClient_keys checks that keys reach the daemon as they are.
func TestClient_keys(t *testing.T) {
	t.Parallel()
	var path atomic.Value
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path.Store(r.URL.EscapedPath())
		_, _ = w.Write([]byte("{}"))
	}))
	defer front.Close()
	c, err := client.New(client.Config{URL: front.URL + "/prefix/"})
	if err != nil {
		t.Fatal(err)
	}
	must[client.Dyno](t)(c.Dyno(t.Context(), "a/b c", "x?y%"))
	if got := path.Load(); got != "/prefix/apps/a%2Fb%20c/dynos/x%3Fy%25" {
		t.Errorf("got %s", got)
	}
}

// TestClient_retries checks that only reads are sent again, only when told when, and not for ever.
func TestClient_retries(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		method string
		status int
		after  string
		good   int64 // the request that succeeds; 0 is none
		sent   int64
	}{
		{"once more", "GET", 503, "1", 2, 2},
		{"not for ever", "GET", 503, "1", 0, 3},
		{"without a time", "GET", 503, "", 2, 1},
		{"too long", "GET", 503, "3600", 2, 1},
		{"another error", "GET", 500, "1", 2, 1},
		{"a write", "DELETE", 503, "1", 2, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var sent atomic.Int64
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if sent.Add(1) == tt.good {
					_, _ = w.Write([]byte("{}"))
					return
				}
				w.Header().Set("Retry-After", tt.after)
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(`{"id":"unavailable","message":"Nomad does not answer."}`))
			}))
			defer front.Close()
			c, err := client.New(client.Config{URL: front.URL})
			if err != nil {
				t.Fatal(err)
			}
			if tt.method == "GET" {
				_, err = c.App(t.Context(), "x")
			} else {
				_, err = c.DeleteApp(t.Context(), "x")
			}
			if (err == nil) != (tt.sent == tt.good) || sent.Load() != tt.sent {
				t.Errorf("sent %d times, want %d: %v", sent.Load(), tt.sent, err)
			}
		})
	}
}

// TestClient_canceled checks that waiting to try again ends with the context.
func TestClient_canceled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "15")
		w.WriteHeader(http.StatusServiceUnavailable)
		cancel()
	}))
	defer front.Close()
	c, err := client.New(client.Config{URL: front.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Apps(ctx); err == nil {
		t.Error("no error")
	}
}

// TestClient_strangers checks what becomes of answers that are not the API's.
func TestClient_strangers(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Store(true) }))
	defer other.Close()
	for name, answer := range map[string]http.HandlerFunc{
		"a page":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>welcome</html>")) },
		"not found":  http.NotFound,
		"a redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) },
	} {
		front := httptest.NewServer(answer)
		c, err := client.New(client.Config{URL: front.URL, Token: "secret"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Apps(t.Context()); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
		front.Close()
	}
	if elsewhere.Load() {
		t.Error("a redirect was followed")
	}
	for _, bad := range []string{"", "127.0.0.1:5000", "ftp://x", "http://", "http://u:p@x", "http://x?y", "http://x#y", "http://\x00"} {
		if _, err := client.New(client.Config{URL: bad}); err == nil {
			t.Errorf("no error of the URL %q", bad)
		}
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

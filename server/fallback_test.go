package server_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/server"
	"github.com/dynomad/dynomad/server/fallback"
)

// noApps is a store without apps, and a view without dynos.
type noApps struct{}

func (noApps) AppState(context.Context, string) (dynomad.AppState, error) {
	return dynomad.AppState{}, dynomad.NotFound
}

func (noApps) Dynos(dynomad.AppState, time.Time) dynomad.DynoPicture { return dynomad.DynoPicture{} }

// TestFallback_servesNothingOfTheAPI asks the fallback pages for every route, with every kind of host: they have none of them.
func TestFallback_servesNothingOfTheAPI(t *testing.T) {
	t.Parallel()
	pages := fallback.New(fallback.Config{Domain: "apps.test", Apps: noApps{}, Dynos: noApps{}})
	keys := strings.NewReplacer("{", "", "}", "")
	for _, rt := range server.Routes() {
		for _, host := range []string{"127.0.0.1:5000", "localhost", "x-default.apps.test", "apps.test", ""} {
			r := httptest.NewRequestWithContext(t.Context(), rt.Method, keys.Replace(rt.Path), strings.NewReader(`{"name":"x"}`))
			r.Host = host
			r.Header.Set("Authorization", "Bearer any-token-at-all")
			w := httptest.NewRecorder()
			pages.ServeHTTP(w, r)
			if w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "There is no app at this address.") {
				t.Errorf("%s %s at host %q: got %d %s", rt.Method, rt.Path, host, w.Code, w.Body)
			}
		}
	}
}

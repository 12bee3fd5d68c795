// Package apitest serves the API in a test: over a real listener and a real store, with a cluster that only exists in the test.
package apitest

import (
	"context"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/server"
	"github.com/dynomad/dynomad/store"
)

// Token has all rights.
const Token = "root-token-of-the-test"

// API is a running API.
type API struct {
	URL      string
	Cluster  *Cluster
	Requests atomic.Int64 // that were answered
}

// Start serves an API until the test ends. The ids and the clock are the test's own.
func Start(tb testing.TB) *API {
	tb.Helper()
	clock := &clock{}
	s, err := store.Open(tb.Context(), store.Config{
		Path: filepath.Join(tb.TempDir(), "dynomad.db"), Key: store.Key(strings.Repeat("k", 32)), Now: clock.now,
	})
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.EnsureRoot(tb.Context(), dynomad.EnsureRoot(clock.now(), clock.id(), Token)); err != nil {
		tb.Fatal(err)
	}
	api := &API{Cluster: &Cluster{tb: tb, store: s, now: clock.now, id: uuid.NewString}}
	platform := dynomad.NewPlatform(
		dynomad.Rules{Sizes: dynomad.BuiltinSizes(), DefaultSize: "gp2", DefaultPort: 9000, MaxQuantity: 20},
		dynomad.Parts{Store: s, View: api.Cluster, Loop: api.Cluster, Exec: api.Cluster, Logs: api.Cluster, Now: clock.now, NewID: clock.id},
	)
	handler := server.New(server.Config{
		Platform: platform, AppDomain: "apps.localhost", ExternalURL: "https://dynomad.example", NomadUIURL: "http://nomad.example/ui",
		Region: "test", Version: "1.2.3", Now: clock.now, NewID: uuid.NewString,
		NewToken: func() string { return "fresh-" + clock.id() },
		Ready:    func(context.Context) map[string]string { return map[string]string{"store": "ok"} },
		Observe:  func(string, string, int, time.Duration) { api.Requests.Add(1) },
	}).Handler()
	listener := httptest.NewServer(handler)
	api.URL = listener.URL
	tb.Cleanup(func() {
		listener.Close()
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return api
}

// DefaultSpace gives the id of the default space, which differs from one API to the next.
func (a *API) DefaultSpace(tb testing.TB) string {
	tb.Helper()
	space, err := a.Cluster.store.Space(tb.Context(), dynomad.DefaultSpace)
	if err != nil {
		tb.Fatal(err)
	}
	return space.ID
}

// clock gives a time that moves on by a microsecond with every look, and ids that count up: both depend on the requests alone.
type clock struct{ looks, ids atomic.Int64 }

// Began is when every API was started.
func Began() time.Time { return time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC) }

func (c *clock) now() time.Time { return Began().Add(time.Duration(c.looks.Add(1)) * time.Microsecond) }

func (c *clock) id() string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", c.ids.Add(1)) }

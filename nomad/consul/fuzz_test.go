package consul

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad/jobs"
)

// FuzzChecks has Consul answer anything: to the list of all checks, to that of the critical ones, and of a service. What comes of it is about
// allocations, and nothing panics.
func FuzzChecks(f *testing.F) {
	check := `[{"Node":"n1","ServiceID":"_nomad-task-` + one + `-group-web-x-http","ServiceName":"x","Status":"critical","Output":"no\nanswer"}]`
	entry := `[{"Node":{"Node":"n1"},"Service":{"ID":"_nomad-task-` + one + `-group-web-x-http"},"Checks":[{"Status":"passing"}]}]`
	for _, seed := range [][2]string{
		{check, entry},
		{"[]", "[]"},
		{"null", "null"},
		{"[null]", "[null]"},
		{check, `[{}]`},
		{check, `[{"Service":null,"Checks":[null]}]`},
		{"{}", "7"},
		{"", ""},
		{`[{"Node":"n1","Status":"critical"},` + check[1:], entry},
		{`[{"ServiceID":"_nomad-task-x-y"}]`, `[{"Service":{"ID":""}}]`},
	} {
		f.Add(seed[0], seed[1])
	}
	var checks, entries atomic.Pointer[string]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Consul-Index", "7")
		text := checks.Load()
		if r.URL.Path == "/v1/health/service/x" {
			text = entries.Load()
		}
		_, _ = io.WriteString(w, *text)
	}))
	f.Cleanup(server.Close)
	client, err := New(&api.Config{Address: server.URL})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, list, service string) {
		checks.Store(&list)
		entries.Store(&service)
		h := &heard{health: map[string]jobs.Health{}}
		w := NewWatcher(client, h, hclog.NewNullLogger())
		_ = w.resync(t.Context())
		if critical, _, err := client.checks(api.HealthCritical, &api.QueryOptions{}); err == nil {
			_ = w.takeCritical(t.Context(), critical)
		}
		_ = w.readService(t.Context(), "x")
		_, _ = client.Foreign(t.Context(), "x", "inst") // without a panic
		for alloc, health := range h.health {
			if len(alloc) != len(one) || len(health.Output) > 400 {
				t.Errorf("%q and %q: %q is %+v", list, service, alloc, health)
			}
		}
	})
}

// FuzzHolder reads what another daemon, or somebody else, wrote beside the lock.
func FuzzHolder(f *testing.F) {
	for _, seed := range []string{`{"host":"a","pid":7}`, "", "null", "[]", `{"pid":"x"}`, "\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		if text := (&HeldError{Holder: holderOf(value)}).Error(); text == "" {
			t.Errorf("%q is nobody", value)
		}
	})
}

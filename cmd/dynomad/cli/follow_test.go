package cli

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// away puts a front before the user's daemon, which cuts off the requests from one to another; then is called after the last.
func (w *world) away(from, to int64, then func()) {
	w.tb.Helper()
	base, err := url.Parse(w.api.URL)
	if err != nil {
		w.tb.Fatal(err)
	}
	var n atomic.Int64
	through := httputil.NewSingleHostReverseProxy(base)
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		i := n.Add(1)
		if i >= from && i <= to {
			panic(http.ErrAbortHandler)
		}
		through.ServeHTTP(rw, r)
		if i == to+1 && then != nil {
			then()
		}
	}))
	w.tb.Cleanup(front.Close)
	w.vars["DYNOMAD_URL"] = front.URL
}

// TestFollow_away follows a release while the daemon is away for some looks.
func TestFollow_away(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"deploy", "slow:1"}, {"ps:wait"}} {
		w := newWorld(t)
		w.must("apps:create", "api")
		w.must("deploy", "slow:0", "-a", "api", "--no-wait")
		w.away(5, 14, func() { w.api.Cluster.End("api-default") })
		if r := w.do(append(args, "-a", "api")...); r.code != 0 {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

// TestFollow_gone gives up when the daemon does not come back.
func TestFollow_gone(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"deploy", "slow:1"}, {"ps:wait"}} {
		w := newWorld(t)
		w.must("apps:create", "api")
		w.must("deploy", "slow:0", "-a", "api", "--no-wait")
		w.away(5, 1<<40, nil)
		if r := w.do(append(args, "-a", "api")...); r.code != exitUnavailable || !strings.Contains(r.err, "cannot be reached") {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

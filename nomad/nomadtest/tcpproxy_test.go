package nomadtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProxy_counts(t *testing.T) {
	t.Parallel()
	p := newTestProxy(t, func(http.ResponseWriter, *http.Request) {})
	for _, path := range []string{"/a?x=1", "/a?x=2", "/b"} {
		if err := getOK(t.Context(), p.URL()+path); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]int{"GET /a": 2, "GET /b": 1}
	if diff := cmp.Diff(want, p.Requests()); diff != "" {
		t.Error(diff)
	}
	if got := p.RequestCount("GET /"); got != 3 {
		t.Errorf("RequestCount: got %d, want 3", got)
	}
	if got := p.Connections(); got < 1 {
		t.Errorf("Connections: got %d, want at least 1", got)
	}
	p.Reset()
	if got := p.RequestCount(""); got != 0 {
		t.Errorf("after Reset: got %d requests, want 0", got)
	}
}

func TestProxy_cutEndsStreamsAndRefuses(t *testing.T) {
	t.Parallel()
	p := newTestProxy(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/stream") {
			_, _ = fmt.Fprintln(w, "first")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL()+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	buf := make([]byte, 64)
	if n, err := resp.Body.Read(buf); err != nil || string(buf[:n]) != "first\n" {
		t.Fatalf("first line of the stream: got %q, %v", buf[:n], err)
	}

	if err := p.Cut(); err != nil {
		t.Fatal(err)
	}
	if _, err := resp.Body.Read(buf); err == nil {
		t.Error("the stream outlived the cut")
	}
	if err := getOK(t.Context(), p.URL()+"/"); err == nil {
		t.Error("a cut proxy answered")
	}
	Eventually(t, time.Second, func(context.Context) error {
		if n := p.Open(); n != 0 {
			return fmt.Errorf("%d connections are open", n)
		}
		return nil
	})

	if err := p.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := getOK(t.Context(), p.URL()+"/"); err != nil {
		t.Errorf("after Resume: %v", err)
	}
}

func TestPoll_saysWhatWasMissing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	missing := errors.New("no leader")
	err := poll(ctx, func(context.Context) error { return missing })
	if !errors.Is(err, missing) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline and the last error", err)
	}
}

func newTestProxy(t *testing.T, handler http.HandlerFunc) *Proxy {
	t.Helper()
	target := httptest.NewServer(handler)
	t.Cleanup(target.Close)
	p, err := NewProxy(t.Context(), target.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

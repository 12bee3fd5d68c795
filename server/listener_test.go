package server_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dynomad/dynomad/server"
)

// TestListener sends over a real connection what a recorder cannot show.
func TestListener(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hs := server.HTTPServer(w.handler, nil)
	done := make(chan error, 1)
	go func() { done <- hs.Serve(listener) }()
	t.Cleanup(func() {
		if err := hs.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	base := "http://" + listener.Addr().String()
	send := func(method, path string, body io.Reader) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, base+path, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", rootToken)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close() //nolint:errcheck // only read
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	big := bytes.Repeat([]byte(" "), 1<<20+1)
	tests := []struct {
		name, method, path string
		body               io.Reader
		status             int
	}{
		{"too large, announced", "POST", "/apps", bytes.NewReader(big), 413},
		{"too large, in chunks", "POST", "/apps", io.MultiReader(bytes.NewReader(big)), 413},
		{"just small enough", "POST", "/apps", strings.NewReader(`{"name":"x"}` + strings.Repeat(" ", 1<<20-12)), 201},
		{"in chunks", "POST", "/apps", io.MultiReader(strings.NewReader(`{"name":`), strings.NewReader(`"y"}`)), 201},
		{"a body nobody reads", "GET", "/apps", bytes.NewReader(big), 200},
		{"after it", "GET", "/apps/x-default", nil, 200},
	}
	for _, tt := range tests {
		if status, body := send(tt.method, tt.path, tt.body); status != tt.status {
			t.Errorf("%s: %d %s", tt.name, status, body)
		}
	}
	if hs.ReadHeaderTimeout != 10*time.Second || hs.IdleTimeout == 0 || hs.MaxHeaderBytes == 0 || hs.WriteTimeout != 0 {
		t.Errorf("limits %+v", hs)
	}
}

// deadlines remembers what the adapter asks of a connection.
type deadlines struct {
	*httptest.ResponseRecorder
	read   []time.Time
	write  time.Time
	writes int // how often it was set
}

func (d *deadlines) SetReadDeadline(at time.Time) error { d.read = append(d.read, at); return nil }

func (d *deadlines) SetWriteDeadline(at time.Time) error { d.write = at; d.writes++; return nil }

// TestDeadlines checks that a body must arrive in time, and that the deadline does not outlive it: it would end the request.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/apps", strings.NewReader(`{"name":"x"}`))
	r.Header.Set("Authorization", rootToken)
	w.handler.ServeHTTP(d, r)
	if d.Code != 201 || len(d.read) != 2 || time.Until(d.read[0]) > 30*time.Second || time.Until(d.read[0]) < 20*time.Second {
		t.Errorf("%d, read deadlines %v", d.Code, d.read)
	}
	if len(d.read) == 2 && !d.read[1].IsZero() || d.write.IsZero() {
		t.Errorf("read deadlines %v, write deadline %v", d.read, d.write)
	}
	slow := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	r = httptest.NewRequestWithContext(t.Context(), "POST", "/apps", iotestErr{})
	r.Header.Set("Authorization", rootToken)
	w.handler.ServeHTTP(slow, r)
	if slow.Code != 400 {
		t.Errorf("a body that does not arrive: %d", slow.Code)
	}
}

// iotestErr is a body that breaks off.
type iotestErr struct{}

func (iotestErr) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

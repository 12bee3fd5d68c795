package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/server"
)

// from sends a request without a body from an address, and gives the answer. Headers are given as names and values in turn.
func (w *world) from(addr, token, path string, headers ...string) answer {
	w.tb.Helper()
	r := httptest.NewRequestWithContext(w.tb.Context(), "GET", path, nil)
	r.RemoteAddr = addr
	if token != "" {
		r.Header.Set("Authorization", token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return answer{status: rec.Code, header: rec.Header(), body: rec.Body.String()}
}

// TestRefusedLimit guesses tokens and secrets of every kind.
func TestRefusedLimit(t *testing.T) {
	t.Parallel()
	const guesser, other = "192.0.2.1:1000", "192.0.2.2:1000"
	tests := []struct {
		name, token, path string
		headers           []string
		status            int
	}{
		{"a wrong token", "wrong", "/apps", nil, 401},
		{"no token", "", "/apps", nil, 401},
		{"an expired token", "expired-token", "/apps", nil, 401},
		{"a wrong secret of logs", "", "/log-sessions/wrong", nil, 404},
		{"a wrong secret of a terminal", "", "/apps/api-default/dynos/run.1001/stream?secret=wrong", []string{
			"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "x",
		}, 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var seconds atomic.Int64
			w := newWorld(t, func(c *server.Config) {
				c.RefusedLimit = 3
				c.Now = func() time.Time { return time.Unix(1_800_000_000+seconds.Load(), 0) }
			})
			for range 3 {
				w.from(guesser, rootToken, "/apps") // is not counted
				if a := w.from(guesser, tt.token, tt.path, tt.headers...); a.status != tt.status {
					t.Fatalf("%d %s, want %d", a.status, a.body, tt.status)
				}
			}
			for _, token := range []string{tt.token, rootToken} { // even the right one is not looked up
				a := w.from(guesser, token, "/apps")
				if a.status != 429 || a.header.Get("Retry-After") != "20" || !strings.Contains(a.body, "This address") {
					t.Errorf("one too many: %d, Retry-After %q: %s", a.status, a.header.Get("Retry-After"), a.body)
				}
			}
			if a := w.from(guesser, tt.token, tt.path, tt.headers...); a.status != 429 {
				t.Errorf("one too many: %d %s", a.status, a.body)
			}
			if a := w.from(guesser, "", "/healthz"); a.status != 200 {
				t.Errorf("what needs no token: %d", a.status)
			}
			if a := w.from(other, rootToken, "/apps"); a.status != 200 {
				t.Errorf("another address: %d", a.status)
			}
			seconds.Add(20)
			if a := w.from(guesser, rootToken, "/apps"); a.status != 200 {
				t.Errorf("20 s later: %d %s", a.status, a.body)
			}
		})
	}
}

// TestRefusedLimit_proxy has many ask by way of one proxy.
func TestRefusedLimit_proxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *server.Config) {
		c.RefusedLimit = 1
		c.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		c.Now = func() time.Time { return time.Unix(0, 0) }
	})
	ask := func(token, theirs string) int {
		return w.from("10.0.0.1:1", token, "/apps", "X-Forwarded-For", theirs).status
	}
	if got := []int{ask("wrong", "192.0.2.1"), ask("wrong", "192.0.2.1"), ask(rootToken, "192.0.2.2")}; got[0] != 401 || got[1] != 429 || got[2] != 200 {
		t.Errorf("by a proxy that is trusted: %v", got)
	}
	if a := w.from("192.0.2.1:1", rootToken, "/apps", "X-Forwarded-For", "192.0.2.9"); a.status != 429 {
		t.Errorf("who is no proxy says that it is another, and gets %d", a.status)
	}
}

// TestTokenStreams has one token open as many streams as it may.
func TestTokenStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *server.Config) { c.TokenStreams = 2 })
	w.hub.more = make(chan dynomad.LogLine)
	srv := httptest.NewServer(w.handler)
	t.Cleanup(srv.Close)
	open := func(token, path string) (status int, retry string, leave context.CancelFunc) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		r, err := http.NewRequestWithContext(ctx, "GET", srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp.StatusCode, resp.Header.Get("Retry-After"), cancel
	}
	const tail = "/apps/api-default/logs?tail=1"
	session := w.must(201, "POST", "/apps/api-default/log-sessions", `{"tail":true}`).object(t)["logplex_url"].(string)
	first, _, leave := open(rootToken, tail)
	second, _, _ := open("", strings.TrimPrefix(session, "https://dynomad.example"))
	third, retry, _ := open(rootToken, tail)
	if first != 200 || second != 200 || third != 429 || retry != "10" {
		t.Errorf("answered %d, %d, %d with Retry-After %q", first, second, third, retry)
	}
	w.terminalRefused()
	if status, _, _ := open(tokenFor(dynomad.ScopeReadProtected, "any"), tail); status != 200 {
		t.Errorf("another token: %d", status)
	}
	leave()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		status, _, stop := open(rootToken, tail)
		if status == 200 {
			break
		}
		stop()
		if time.Now().After(end) {
			t.Fatalf("after one has left: %d", status)
		}
	}
}

// terminalRefused asks for a terminal with a good secret of a token that has too many streams. The secret stays good.
func (w *world) terminalRefused() {
	w.tb.Helper()
	w.view.place()
	path, _ := w.attachedAs("", `{"command":"sh","attach":true}`)
	for range 2 {
		a := w.ask("", "GET", path, "", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "x")
		if a.status != 429 {
			w.tb.Errorf("a terminal: %d %s", a.status, a.body)
		}
	}
}

// limited is a server with so many connections, whose handler waits on /wait until it may go on.
type limited struct {
	t    *testing.T
	addr string
	on   chan struct{}
	done chan error
	srv  *http.Server
}

func newLimited(t *testing.T, most int) *limited {
	t.Helper()
	l := &limited{t: t, on: make(chan struct{}), done: make(chan error, 1)}
	l.srv = server.HTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-l.on
		}
		_, _ = io.WriteString(w, "ok")
	}), nil)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.addr = listener.Addr().String()
	go func() { l.done <- l.srv.Serve(server.LimitConnections(listener, l.srv, most)) }()
	t.Cleanup(func() {
		_ = l.srv.Close()
		select {
		case err := <-l.done:
			if !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Error("a server without room does not end")
		}
	})
	return l
}

// dial connects and asks for a path; the answer is read by read.
func (l *limited) dial(path string) net.Conn {
	l.t.Helper()
	conn, err := (&net.Dialer{}).DialContext(l.t.Context(), "tcp", l.addr)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = conn.Close() })
	if path != "" {
		_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	}
	return conn
}

// read gives an answer's status, 0 if none comes within the time, -1 if the connection has ended.
func (l *limited) read(conn net.Conn, within time.Duration) int {
	l.t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(within))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return 0
	case err != nil:
		return -1
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

const soon, never = 10 * time.Second, 200 * time.Millisecond

// TestLimitConnections_busy has connections that are all at work: who comes waits.
func TestLimitConnections_busy(t *testing.T) {
	t.Parallel()
	l := newLimited(t, 2)
	first, second := l.dial("/wait"), l.dial("/wait")
	third := l.dial("/")
	if got := l.read(third, never); got != 0 {
		t.Errorf("a third connection is answered with %d", got)
	}
	close(l.on)
	for i, conn := range []net.Conn{first, second, third} {
		if got := l.read(conn, soon); got != 200 {
			t.Errorf("connection %d: %d", i+1, got)
		}
	}
}

// TestLimitConnections_idle has connections of which nothing is asked: they go for others.
func TestLimitConnections_idle(t *testing.T) {
	t.Parallel()
	l := newLimited(t, 2)
	for i := range 10 {
		if got := l.read(l.dial("/"), soon); got != 200 { // which stay open
			t.Fatalf("connection %d: %d", i+1, got)
		}
	}
}

// TestLimitConnections_gone has clients that go without a word.
func TestLimitConnections_gone(t *testing.T) {
	t.Parallel()
	l := newLimited(t, 2)
	for i := range 10 {
		conn := l.dial("")
		if i%2 == 0 {
			_, _ = io.WriteString(conn, "GET /")
		}
		_ = conn.Close()
	}
	if got := l.read(l.dial("/"), soon); got != 200 {
		t.Errorf("after they have gone: %d", got)
	}
}

// TestHeaders_tooLarge sends more headers than there may be.
func TestHeaders_tooLarge(t *testing.T) {
	t.Parallel()
	l := newLimited(t, 0)
	for size, want := range map[int]int{60 << 10: 200, 70 << 10: 431} {
		conn := l.dial("")
		_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Large: %s\r\n\r\n", strings.Repeat("x", size))
		if got := l.read(conn, soon); got != want {
			t.Errorf("%d bytes of headers: %d, want %d", size, got, want)
		}
	}
}

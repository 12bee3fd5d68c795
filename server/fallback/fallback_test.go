package fallback

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func request(t *testing.T, method, address, host, path string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	return req
}

// TestAnswers asks for each condition as a program and as a browser does.
func TestAnswers(t *testing.T) {
	t.Parallel()
	address := serve(t, newWorld())
	for host, want := range map[string]struct {
		status int
		id     string
		title  string
		retry  string
	}{
		"kept-default.apps.test":   {503, "maintenance", "Under maintenance", "60"},
		"zero-default.apps.test":   {503, "maintenance", "Under maintenance", "60"},
		"new-default.apps.test":    {503, "starting", "Starting", "5"},
		"down-default.apps.test":   {503, "unavailable", "Not available", "15"},
		"broken-default.apps.test": {503, "unavailable", "Not available", "15"},
		"none-default.apps.test":   {404, "not_found", "No such app", ""},
		"elsewhere.example":        {404, "not_found", "No such app", ""},
	} {
		resp := ask(t, request(t, http.MethodGet, address, host, "/"))
		var answer struct{ ID, Message, Field string }
		if err := json.Unmarshal([]byte(resp.body), &answer); err != nil {
			t.Errorf("%s: %v in %s", host, err, resp.body)
		}
		if resp.status != want.status || answer.ID != want.id || answer.Message == "" || resp.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: got %d %s, want %d %s as JSON", host, resp.status, resp.body, want.status, want.id)
		}
		checkHeaders(t, host, resp, want.retry)

		req := request(t, http.MethodGet, address, host, "/some/page?q=1")
		req.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
		page := ask(t, req)
		if page.status != want.status || !strings.Contains(page.body, "<h1>"+want.title+"</h1>") || !strings.Contains(page.body, answer.Message) {
			t.Errorf("%s: got %d %s, want %d and the page %q", host, page.status, page.body, want.status, want.title)
		}
		checkHeaders(t, host, page, want.retry)
		checkPage(t, page)
		for _, inner := range []string{"s3cret", "137", "n1", "fire", "id-of", "crash"} {
			if strings.Contains(page.body+resp.body, inner) {
				t.Errorf("%s: strangers are told %q: %s%s", host, inner, resp.body, page.body)
			}
		}
	}
}

func checkHeaders(t *testing.T, host string, answer got, retry string) {
	t.Helper()
	headers := map[string]string{}
	for _, name := range []string{"Retry-After", "Cache-Control", "X-Content-Type-Options", "Vary"} {
		headers[name] = answer.header.Get(name)
	}
	want := map[string]string{"Retry-After": retry, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Vary": "Accept"}
	if diff := cmp.Diff(want, headers); diff != "" {
		t.Errorf("%s: headers (-want +got):\n%s", host, diff)
	}
}

// checkPage wants a page that a browser shows whole under its own policy: one style, whose hash the policy has, and nothing
// from anywhere else.
func checkPage(t *testing.T, page got) {
	t.Helper()
	if got := page.header.Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Errorf("the page's type is %q", got)
	}
	_, rest, _ := strings.Cut(page.body, "<style>")
	style, _, found := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	policy := page.header.Get("Content-Security-Policy")
	if hash := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !found || !strings.Contains(policy, "style-src "+hash) {
		t.Errorf("the policy %q does not allow the page's style (%s)", policy, hash)
	}
	if !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("the policy %q allows more than it needs", policy)
	}
	for _, bad := range []string{"{{", "<script", "src=", "href=", "url(", "@import", " style=", "http:", "https:"} {
		if strings.Contains(page.body, bad) {
			t.Errorf("the page has %q: %s", bad, page.body)
		}
	}
}

// TestMethods sends every method, known or not, to odd paths.
func TestMethods(t *testing.T) {
	t.Parallel()
	address := serve(t, newWorld())
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "BREW"} {
		for _, path := range []string{"/", "//a/../b", "/%2e%2e/", "/apps", "/healthz", "/x%00", "/" + strings.Repeat("a", 5000)} {
			resp := ask(t, request(t, method, address, "kept-default.apps.test", path))
			if resp.status != http.StatusServiceUnavailable || (resp.body == "") != (method == "HEAD") {
				t.Errorf("%s %.20s: got %d %q", method, path, resp.status, resp.body)
			}
			if n, err := strconv.Atoi(resp.header.Get("Content-Length")); err != nil || n == 0 {
				t.Errorf("%s %.20s: Content-Length is %q", method, path, resp.header.Get("Content-Length"))
			}
		}
	}
}

// TestRaw sends what Go's client does not.
func TestRaw(t *testing.T) {
	t.Parallel()
	address := serve(t, newWorld())
	for request, want := range map[string]string{
		"OPTIONS * HTTP/1.1\r\nHost: kept-default.apps.test\r\n\r\n":          "503",
		"GET http://kept-default.apps.test/x HTTP/1.1\r\nHost: other\r\n\r\n": "503",
		"GET / HTTP/1.0\r\n\r\n": "404",
		"GET / HTTP/1.1\r\nHost: KEPT-Default.APPS.test:8080\r\n\r\n": "503",
		"GET / HTTP/1.1\r\n\r\n":                       "400",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n": "400",
		"GET / HTTP/1.1\r\nHost: kept-default.apps.test\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n": "503",
		"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + strings.Repeat("c", 80<<10) + "\r\n\r\n":              "431",
		"CONNECT kept-default.apps.test:80 HTTP/1.1\r\nHost: kept-default.apps.test:80\r\n\r\n":         "503",
	} {
		if got := status(t, address, request); got != want {
			t.Errorf("%.60q: got %s, want %s", request, got, want)
		}
	}
}

// status sends bytes and gives the status of the answer.
func status(t *testing.T, address, bytes string) string {
	t.Helper()
	conn := dial(t, address)
	go func() { _, _ = io.WriteString(conn, bytes) }() // an answer may come before all is taken
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatalf("%.60q: %v", bytes, err)
	}
	return strings.Fields(line)[1]
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestBody sends a body without end: the answer comes before it, and little of it is taken.
func TestBody(t *testing.T) {
	t.Parallel()
	conn := dial(t, serve(t, newWorld()))
	if _, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: kept-default.apps.test\r\nContent-Length: %d\r\n\r\n", 1<<40); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(line, "503") {
		t.Fatalf("got %q, %v; want 503 before the body", line, err)
	}
	var sent int
	chunk := make([]byte, 64<<10)
	for sent < 64<<20 {
		n, err := conn.Write(chunk)
		sent += n
		if err != nil {
			return // it was cut off
		}
	}
	t.Errorf("the server took %d MiB of a body that it does not read", sent>>20)
}

// TestExpect asks whether to send a body: it is not wanted.
func TestExpect(t *testing.T) {
	t.Parallel()
	got := status(t, serve(t, newWorld()), "POST / HTTP/1.1\r\nHost: kept-default.apps.test\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
	if got != "503" {
		t.Errorf("got %s, want 503 at once", got)
	}
}

func TestHTTPServer_limits(t *testing.T) {
	t.Parallel()
	s := HTTPServer(http.NotFoundHandler(), nil)
	if s.ReadHeaderTimeout == 0 || s.ReadTimeout == 0 || s.WriteTimeout == 0 || s.IdleTimeout <= 90*time.Second || s.MaxHeaderBytes == 0 {
		t.Errorf("a limit is missing: %+v", s)
	}
}

// TestReads wants the store left alone for hosts that no app can have.
func TestReads(t *testing.T) {
	t.Parallel()
	w := newWorld()
	h := New(Config{Domain: "apps.test", Apps: w, Dynos: w})
	for _, host := range []string{"", "apps.test", "x.apps.test", "a.b-c.apps.test", "elsewhere", strings.Repeat("a", 30) + "-default.apps.test"} {
		h.(*handler).condition(t.Context(), host)
	}
	if w.reads != 0 {
		t.Errorf("the store was read %d times", w.reads)
	}
}

func TestWantsPage(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "application/json": false, "text/html": true, "TEXT/HTML; charset=utf-8": true, "text/html;q=0": false,
		"application/json, text/html;q=0.5": true, "text/html;q=x": true, "application/xhtml+xml": true, ";;,,": false, "text/*": false,
	} {
		if got := wantsPage([]string{accept}); got != want {
			t.Errorf("%q: got %t", accept, got)
		}
	}
	if !wantsPage([]string{"application/json", "text/html"}) {
		t.Error("the second of two headers does not count")
	}
}

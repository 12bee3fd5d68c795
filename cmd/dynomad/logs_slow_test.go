package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// A printer's lines: so long, and so many at once.
const (
	printedBytes = 9_000
	printedOnce  = 20
)

// keptBytes is more than the daemon keeps of an app's lines (2 MiB), with what it has taken out to send.
const keptBytes = 3 << 20

// overflow is how many lines fit neither into what the daemon keeps nor into what the kernel takes off its hands for a client that does not
// read (tcp(7), tcp_wmem: the third number).
func overflow(tb testing.TB) int {
	tb.Helper()
	text, err := os.ReadFile("/proc/sys/net/ipv4/tcp_wmem")
	var least, usual, most int
	if err == nil {
		_, err = fmt.Sscan(string(text), &least, &usual, &most)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return (keptBytes + most) / printedBytes / printedOnce * printedOnce
}

// TestLogs_slowReader has one client of two stop reading an app's logs, over a connection that it keeps. It is told that it has missed lines, and
// its stream ends there, in good order; the other one has every line meanwhile.
func TestLogs_slowReader(t *testing.T) {
	t.Parallel()
	if onCluster {
		t.Skip("a part of make unit")
	}
	s := newScale(t, 1, 1)
	worker := newPrinter(t, s.sim.NomadURL())
	s.env = append(s.env, "NOMAD_ADDR="+worker.url)
	s.startHere()
	slow, fast := s.readLogs(s.apps[0]), s.readLogs(s.apps[0])
	all := overflow(t)
	for n := 1; n <= all; n += printedOnce {
		worker.print(n)
		for i := range printedOnce {
			fast.wants(n + i)
		}
		if n == 1 {
			slow.wants(1) // and then no more for now
		}
	}
	came := 1
	line := slow.line()
	for ; line.from == "app[worker.1]"; line = slow.line() {
		if came++; line.number != came {
			t.Fatalf("the slow reader gets line %d after %d", line.number, came-1)
		}
	}
	if line.from != "dynomad[logs]" || !strings.HasPrefix(line.text, "You read too slowly: lines were left out") || came == all {
		t.Errorf("after %d lines the slow reader gets %s: %.200s", came, line.from, line.text)
	}
	if rest, err := io.ReadAll(slow.body); err != nil || len(rest) > 0 {
		t.Errorf("after that come %d bytes, %v", len(rest), err)
	}
	worker.print(all + 1)
	fast.wants(all + 1)
	t.Logf("the slow reader was cut off after %d lines of %d", came, all)
}

// printer stands for Nomad where the daemon reads what a worker writes; all else goes on to the simulated cluster.
type printer struct {
	tb     testing.TB
	url    string
	pieces chan []byte // of stdout
}

func newPrinter(tb testing.TB, cluster string) *printer {
	tb.Helper()
	target, err := url.Parse(cluster)
	if err != nil {
		tb.Fatal(err)
	}
	p := &printer{tb: tb, pieces: make(chan []byte)}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /v1/client/fs/logs/{alloc}", p.stream)
	rest := httputil.NewSingleHostReverseProxy(target)
	rest.ErrorLog = log.New(io.Discard, "", 0) // streams end with the daemon
	routes.Handle("/", rest)
	server := httptest.NewServer(routes)
	tb.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	p.url = server.URL
	return p
}

// print writes lines from a number on, and waits until the daemon takes them.
func (p *printer) print(from int) {
	p.tb.Helper()
	var text bytes.Buffer
	for i := range printedOnce {
		fmt.Fprintf(&text, "%d %s\n", from+i, strings.Repeat("x", printedBytes))
	}
	select {
	case p.pieces <- text.Bytes():
	case <-time.After(20 * time.Second):
		p.tb.Fatal("the daemon does not follow what the worker writes")
	}
}

// stream sends what is written as Nomad does: in frames, with a heartbeat each second.
func (p *printer) stream(w http.ResponseWriter, r *http.Request) {
	var pieces <-chan []byte
	if r.FormValue("type") == "stdout" {
		pieces = p.pieces
	}
	heartbeat := time.NewTicker(time.Second)
	defer heartbeat.Stop()
	for frame, out := (api.StreamFrame{}), json.NewEncoder(w); ; {
		if out.Encode(frame) != nil || http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case frame.Data = <-pieces:
			frame.File = "alloc/logs/worker.stdout.0"
		case <-heartbeat.C:
			frame = api.StreamFrame{}
		}
	}
}

// socketReader reads an app's logs from a socket, and from nothing else: while it does not, nobody does.
type socketReader struct {
	tb   testing.TB
	body *bufio.Reader
}

func (s *scale) readLogs(app string) *socketReader {
	s.tb.Helper()
	conn, err := (&net.Dialer{}).DialContext(s.tb.Context(), "tcp", s.addr)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute)) // a test's end in any case
	const ask = "GET /apps/%s/logs?tail=1&source=app HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n"
	if _, err := fmt.Fprintf(conn, ask, app, s.token); err != nil {
		s.tb.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil) //nolint:bodyclose // it ends with its connection
	if err != nil || resp.StatusCode != http.StatusOK {
		s.tb.Fatalf("GET logs: %+v, %v", resp, err)
	}
	return &socketReader{s.tb, bufio.NewReader(resp.Body)}
}

// socketLine is a line of logs; the number is what it begins with.
type socketLine struct {
	from, text string
	number     int
}

func (r *socketReader) line() (l socketLine) {
	r.tb.Helper()
	text, err := r.body.ReadString('\n')
	if err != nil {
		r.tb.Fatalf("the stream ends with %.100q: %v", text, err)
	}
	_, text, _ = strings.Cut(text, " ") // when it was written
	l.from, l.text, _ = strings.Cut(text, ": ")
	_, _ = fmt.Sscan(l.text, &l.number)
	return l
}

// wants reads a worker's line that must have a number.
func (r *socketReader) wants(number int) {
	r.tb.Helper()
	if l := r.line(); l.from != "app[worker.1]" || l.number != number {
		r.tb.Fatalf("got %s: %.100s, want line %d", l.from, l.text, number)
	}
}

package nomadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Proxy stands between a program and a Nomad, Consul or Docker API that it uses. It counts connections and requests,
// and can be cut, as a network is, and resumed. Streams and upgraded connections (exec) pass through it.
type Proxy struct {
	address string // of its own listener, also while cut
	handler http.Handler

	mu          sync.Mutex // guards the fields below
	server      *http.Server
	open        map[net.Conn]bool
	connections int
	requests    map[string]int
}

// NewProxy starts a proxy on a free loopback port for the HTTP server at target, a host:port.
func NewProxy(ctx context.Context, target string) (*Proxy, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", loopback(0))
	if err != nil {
		return nil, fmt.Errorf("starting proxy: %w", err)
	}
	reverse := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: target}) },
		FlushInterval: -1, // event streams are passed on at once
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	p := &Proxy{
		address:  listener.Addr().String(),
		open:     make(map[net.Conn]bool),
		requests: make(map[string]int),
	}
	p.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.count(r)
		reverse.ServeHTTP(w, r)
	})
	p.serve(listener)
	return p, nil
}

// Addr is the proxy's host:port. It stays the same when the proxy is cut and resumed.
func (p *Proxy) Addr() string { return p.address }

// URL is the proxy's address as a URL.
func (p *Proxy) URL() string { return "http://" + p.address }

// Cut closes all connections and refuses new ones.
func (p *Proxy) Cut() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server == nil {
		return nil
	}
	err := p.server.Close()
	p.server = nil
	for conn := range p.open { // the server does not know the upgraded ones any more
		err = errors.Join(err, ignoreClosed(conn.Close()))
	}
	return err
}

// Resume ends a Cut.
func (p *Proxy) Resume(ctx context.Context) error {
	p.mu.Lock()
	running := p.server != nil
	p.mu.Unlock()
	if running {
		return nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.address)
	if err != nil {
		return fmt.Errorf("resuming proxy: %w", err)
	}
	p.serve(listener)
	return nil
}

// Close ends the proxy.
func (p *Proxy) Close() error { return p.Cut() }

// Connections is how many connections were accepted since the start or the last Reset.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.connections
}

// Open is how many connections are open now.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

// Requests are the numbers of requests since the start or the last Reset, by method and path: "GET /v1/jobs".
func (p *Proxy) Requests() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.requests)
}

// RequestCount is how many requests began with prefix: "" is all, "GET /v1/job/" those of jobs.
func (p *Proxy) RequestCount(prefix string) int {
	sum := 0
	for request, n := range p.Requests() {
		if strings.HasPrefix(request, prefix) {
			sum += n
		}
	}
	return sum
}

// Reset starts counting anew.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connections = 0
	clear(p.requests)
}

func (p *Proxy) count(r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests[r.Method+" "+r.URL.Path]++
}

func (p *Proxy) serve(listener net.Listener) {
	server := &http.Server{
		Handler:           p.handler,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	p.mu.Lock()
	p.server = server
	p.mu.Unlock()
	go func() { _ = server.Serve(countingListener{Listener: listener, proxy: p}) }() // always ErrServerClosed
}

// countingListener tells the proxy of each connection it accepts.
type countingListener struct {
	net.Listener
	proxy *Proxy
}

func (l countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	counted := &countedConn{Conn: conn, proxy: l.proxy}
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	l.proxy.connections++
	l.proxy.open[counted.Conn] = true
	return counted, nil
}

// countedConn tells the proxy when it is closed.
type countedConn struct {
	net.Conn
	proxy *Proxy
	once  sync.Once
}

// Close closes the connection. Cut holds the proxy's lock while the server closes its connections, hence the goroutine.
func (c *countedConn) Close() error {
	c.once.Do(func() { go c.proxy.forget(c.Conn) })
	return c.Conn.Close()
}

func (p *Proxy) forget(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, conn)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

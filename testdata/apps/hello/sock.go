package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// prober tries once a second to connect to a unix socket: the one that Nomad puts into every task, unless told
// otherwise. It answers every request with the last result.
type prober struct {
	path string

	mu   sync.Mutex
	last string
}

func newProber(ctx context.Context) *prober {
	p := &prober{path: cmp.Or(os.Getenv("SOCK"), "/secrets/api.sock")}
	p.try(ctx)
	go p.run(ctx)
	return p
}

func (p *prober) run(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			p.try(ctx)
		}
	}
}

func (p *prober) try(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	result := "connected to " + p.path
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", p.path)
	if err == nil {
		err = conn.Close()
	}
	if err != nil {
		result = err.Error()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = result
	fmt.Println(result)
}

// ServeHTTP answers with the last result, as text.
func (p *prober) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintln(w, p.last) // the client has gone
}

package nomadtest

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// Wire carries TCP connections to a server, byte for byte, and can be as bad as a network is: slow, cut, or half open. Unlike a Proxy it
// knows nothing of HTTP, and what is sent on a half-open connection vanishes while both ends believe that it is well.
type Wire struct {
	listener net.Listener
	target   string

	mu    sync.Mutex // guards the fields below
	pairs map[*pair]bool
	how   wireState
}

// wireState is how a wire is to connections that are made now; delay and pace are also for those that are there.
type wireState struct {
	delay time.Duration // of each piece of data, each way
	pace  int           // bytes a second, each way; 0 is no limit
	cut   bool
	deaf  bool
}

// pair is one connection: its two ends.
type pair struct {
	near, far net.Conn
	deaf      bool // nothing passes, for ever; guarded by the wire's lock
}

// NewWire starts a wire on a free loopback port to target, a host:port.
func NewWire(ctx context.Context, target string) (*Wire, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", loopback(0))
	if err != nil {
		return nil, fmt.Errorf("starting wire: %w", err)
	}
	w := &Wire{listener: listener, target: target, pairs: map[*pair]bool{}}
	go w.serve(context.WithoutCancel(ctx))
	return w, nil
}

// Addr is the wire's host:port.
func (w *Wire) Addr() string { return w.listener.Addr().String() }

// Slow has each piece of data delayed, and no more than pace bytes pass in a second, each way; 0 is no limit.
func (w *Wire) Slow(delay time.Duration, pace int) { w.set(wireState{delay: delay, pace: pace}) }

// Cut resets all connections, and every new one.
func (w *Wire) Cut() {
	w.set(wireState{cut: true})
	w.each((*pair).reset)
}

// Forget makes the connections that there are half open, for ever: what a firewall does that has lost its state. New ones are well.
func (w *Wire) Forget() { w.each(func(p *pair) { p.deaf = true }) }

// Swallow makes all connections half open, those that there are and new ones. They stay so after Heal.
func (w *Wire) Swallow() {
	w.set(wireState{deaf: true})
	w.Forget()
}

// Heal has new connections be well, and ends the slowness of those that there are.
func (w *Wire) Heal() { w.set(wireState{}) }

// Open is how many connections are open.
func (w *Wire) Open() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.pairs)
}

// Close ends the wire and all connections.
func (w *Wire) Close() error {
	err := w.listener.Close()
	w.each((*pair).reset)
	return err
}

func (w *Wire) set(how wireState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.how = how
}

func (w *Wire) each(do func(*pair)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.pairs {
		do(p)
	}
}

// reset ends a connection as an accident does: with a reset, not with an end of data.
func (p *pair) reset() {
	for _, conn := range []net.Conn{p.near, p.far} {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close() // it may be closed
	}
}

func (w *Wire) serve(ctx context.Context) {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return // closed
		}
		go w.carry(ctx, near)
	}
}

func (w *Wire) carry(ctx context.Context, near net.Conn) {
	far, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", w.target)
	if err != nil {
		_ = near.Close()
		return
	}
	p := &pair{near: near, far: far}
	w.mu.Lock()
	cut := w.how.cut
	p.deaf = w.how.deaf
	w.pairs[p] = true
	w.mu.Unlock()
	if cut {
		p.reset()
	}
	var both sync.WaitGroup
	both.Go(func() { w.pump(p, near, far) })
	both.Go(func() { w.pump(p, far, near) })
	both.Wait()
	w.mu.Lock()
	delete(w.pairs, p)
	w.mu.Unlock()
}

// pump passes on what one end sends, until one of them ends; a half-open connection does not tell the other end.
func (w *Wire) pump(p *pair, from, to net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		how, deaf := w.now(p)
		if n > 0 && !deaf {
			time.Sleep(how.delay)
			if how.pace > 0 {
				time.Sleep(time.Duration(n) * time.Second / time.Duration(how.pace))
			}
			if _, err := to.Write(buf[:n]); err != nil {
				_ = from.Close()
				return
			}
		}
		if err != nil {
			if !deaf {
				_ = to.Close()
			}
			return
		}
	}
}

func (w *Wire) now(p *pair) (wireState, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.how, p.deaf
}

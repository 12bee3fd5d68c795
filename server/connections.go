package server

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// LimitConnections has a server take at most so many connections at once of a listener; 0 is no limit. Where there is no room, the one
// whose client has asked nothing for longest is closed; if none is idle, who comes waits until another goes.
func LimitConnections(listener net.Listener, srv *http.Server, most int) net.Listener {
	if most <= 0 {
		return listener
	}
	l := &limitedListener{Listener: listener, room: make(chan struct{}, most), closed: make(chan struct{}), idle: map[net.Conn]time.Time{}}
	srv.ConnState = l.note
	return l
}

type limitedListener struct {
	net.Listener
	room   chan struct{} // has one for each connection
	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex
	idle map[net.Conn]time.Time // since when
	full bool                   // the next one that becomes idle is closed
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.room <- struct{}{}:
	default:
		l.makeRoom()
		select {
		case l.room <- struct{}{}:
		case <-l.closed:
			return nil, net.ErrClosed
		}
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &limitedConn{Conn: conn, leave: func() { <-l.room }}, nil
}

// Close implements net.Listener.
func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// note is told of every connection's state.
func (l *limitedListener) note(conn net.Conn, state http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case state != http.StateIdle:
		delete(l.idle, conn)
	case l.full:
		l.full = false
		go conn.Close() //nolint:errcheck // its client finds out
	default:
		l.idle[conn] = time.Now()
	}
}

// makeRoom closes the connection that has been idle for longest, or the next that becomes idle.
func (l *limitedListener) makeRoom() {
	l.mu.Lock()
	defer l.mu.Unlock()
	var oldest net.Conn
	for conn, since := range l.idle {
		if oldest == nil || since.Before(l.idle[oldest]) {
			oldest = conn
		}
	}
	if l.full = oldest == nil; !l.full {
		delete(l.idle, oldest)
		go oldest.Close() //nolint:errcheck // its client finds out
	}
}

// limitedConn makes room when it is closed.
type limitedConn struct {
	net.Conn
	once  sync.Once
	leave func()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	defer c.once.Do(c.leave)
	return c.Conn.Close()
}

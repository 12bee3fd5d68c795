package nomadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// echo serves connections that send back what they get.
func echo(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); _ = conn.Close() }()
		}
	}()
	return l.Addr().String()
}

func newTestWire(t *testing.T) *Wire {
	t.Helper()
	w, err := NewWire(t.Context(), echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// said sends a word and waits for it to come back.
func said(conn net.Conn, within time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("word")); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, 4))
	return err
}

func dialWire(t *testing.T, w *Wire) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestWire(t *testing.T) {
	t.Parallel()
	w := newTestWire(t)
	conn := dialWire(t, w)
	if err := said(conn, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	w.Slow(50*time.Millisecond, 0)
	start := time.Now()
	if err := said(conn, 5*time.Second); err != nil || time.Since(start) < 100*time.Millisecond {
		t.Errorf("over a slow wire: %v after %s", err, time.Since(start))
	}
	w.Heal()
	w.Forget()
	if err := said(conn, 200*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a half-open connection gives %v, want silence", err)
	}
	fresh := dialWire(t, w)
	if err := said(fresh, 5*time.Second); err != nil {
		t.Errorf("a new connection beside a half-open one: %v", err)
	}
	w.Swallow()
	for _, c := range []net.Conn{fresh, dialWire(t, w)} {
		if err := said(c, 200*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a wire that swallows gives %v, want silence", err)
		}
	}
	w.Cut()
	for _, c := range []net.Conn{conn, fresh, dialWire(t, w)} {
		if err := said(c, 5*time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a cut wire gives %v, want an error at once", err)
		}
	}
	Eventually(t, 5*time.Second, func(context.Context) error {
		if n := w.Open(); n != 0 {
			return fmt.Errorf("%d connections are open", n)
		}
		return nil
	})
	w.Heal()
	if err := said(dialWire(t, w), 5*time.Second); err != nil {
		t.Errorf("a healed wire: %v", err)
	}
}

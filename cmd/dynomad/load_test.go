package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// target is a page that clients ask for again and again.
type target struct {
	name, addr, path, token string
	gzip                    bool // ask for that
}

// request is what each client sends each time.
func (t target) request() []byte {
	return []byte("GET " + t.path + " HTTP/1.1\r\nHost: " + t.addr + "\r\nAuthorization: Bearer " + t.token + "\r\n\r\n")
}

// reading is what a load came to.
type reading struct {
	took []time.Duration // of each request
	over time.Duration   // the whole of it
	size int             // of the last body, in bytes
}

func (r reading) perSecond() float64 { return float64(len(r.took)) / r.over.Seconds() }

// quantile gives how long the q-th part of the requests took at most. It sorts them.
func (r reading) quantile(q float64) time.Duration { return quantile(r.took, q) }

// add joins what was read in two rounds.
func (r reading) add(other reading) reading {
	return reading{took: append(r.took, other.took...), over: r.over + other.over, size: other.size}
}

// hammer has so many clients ask for a while for what next gives, all of it of one server, each over one connection that it keeps. An
// answer other than 200 is an error. The first tenth of the time is not counted.
func hammer(ctx context.Context, clients int, over time.Duration, next func() target) (reading, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	parts := make([]reading, clients)
	var group errgroup.Group
	counted := time.Now().Add(over / 10)
	end := counted.Add(over)
	for i := range clients {
		group.Go(func() error {
			c, err := dial(ctx, next().addr)
			if err != nil {
				return err
			}
			defer c.conn.Close() //nolint:errcheck // all has been read
			parts[i], err = c.work(counted, end, next)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return reading{}, err
	}
	all := reading{over: over}
	for _, part := range parts {
		all.took, all.size = append(all.took, part.took...), part.size
	}
	if len(all.took) == 0 {
		return reading{}, errors.New("nothing was answered")
	}
	return all, nil
}

// loadClient asks as fast as it gets answers. It knows as much of HTTP as that takes, since it shares the machine with what
// is measured.
type loadClient struct {
	conn net.Conn
	in   *bufio.Reader
}

func dial(ctx context.Context, addr string) (*loadClient, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &loadClient{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}, nil
}

// work asks until the end, and notes how long each request took that began when it counted.
func (c *loadClient) work(counted, end time.Time, next func() target) (reading, error) {
	var r reading
	if err := c.conn.SetDeadline(end.Add(10 * time.Second)); err != nil {
		return r, err
	}
	for time.Now().Before(end) {
		request := next().request()
		start := time.Now()
		size, err := c.ask(request)
		if err != nil {
			return r, err
		}
		if !start.Before(counted) {
			r.took = append(r.took, time.Since(start))
		}
		r.size = size
	}
	return r, nil
}

// ask sends a request and gives the size of the answer's body.
func (c *loadClient) ask(request []byte) (int, error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("answered %q", line)
	}
	length, chunked := -1, false
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return 0, err
		}
		if len(line) <= len("\r\n") {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, err = strconv.Atoi(string(bytes.TrimSpace(value)))
		}
		chunked = chunked || bytes.HasPrefix(line, []byte("Transfer-Encoding: chunked"))
		if err != nil {
			return 0, err
		}
	}
	if chunked {
		return c.skipChunks()
	}
	if length < 0 {
		return 0, errors.New("the answer does not tell its length")
	}
	return c.in.Discard(length)
}

func (c *loadClient) skipChunks() (int, error) {
	for all := 0; ; {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return all, err
		}
		size, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return all, err
		}
		if _, err := c.in.Discard(int(size) + len("\r\n")); err != nil || size == 0 {
			return all, err
		}
		all += int(size)
	}
}

// TestHammer counts what a server of known answers gives.
func TestHammer(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"whole":   "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
		"refused": "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := answering(t, answer)
			r, err := hammer(t.Context(), 3, 50*time.Millisecond, func() target { return target{addr: addr, path: "/"} })
			if name == "refused" {
				if err == nil || !strings.Contains(err.Error(), "401") {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || r.size != 5 || len(r.took) == 0 || r.quantile(0.5) > r.quantile(0.99) {
				t.Errorf("%d requests of %d bytes: %v", len(r.took), r.size, err)
			}
		})
	}
}

// answering serves the same answer to every request.
func answering(tb testing.TB, answer string) (addr string) {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				in := bufio.NewReader(conn)
				for {
					line, err := in.ReadString('\n')
					if err != nil {
						return
					}
					if line == "\r\n" {
						_, _ = conn.Write([]byte(answer))
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}

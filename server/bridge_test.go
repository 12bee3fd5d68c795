package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/dynomad/dynomad"
)

// bridged is a client at one end of a bridge, and a command that the test plays at the other.
type bridged struct {
	tb       testing.TB
	conn     *websocket.Conn
	terminal dynomad.Terminal
	progress func(dynomad.Dyno)
	stop     chan struct{}
	cause    error         // why the command was ended, once over
	over     chan struct{} // closed when the bridge has left nothing behind
}

// patience is for what the tests do not mean to see happen.
var patience = bridgeTimes{ping: time.Minute, silence: time.Minute, goodbye: 10 * time.Second}

// startBridge connects a client whose command is play. A nil play waits until it is ended.
func startBridge(tb testing.TB, times bridgeTimes, play func(b *bridged, ctx context.Context) (int, error)) *bridged {
	tb.Helper()
	return startBridgeAs(tb, times, streamWish{tty: true}, play)
}

// startBridgeAs connects a client as it wishes.
func startBridgeAs(tb testing.TB, times bridgeTimes, wish streamWish, play func(b *bridged, ctx context.Context) (int, error)) *bridged {
	tb.Helper()
	c := &bridged{tb: tb, stop: make(chan struct{}), over: make(chan struct{})}
	began := make(chan struct{})
	listener := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	srv := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(c.over)
		b := newBridge(times, wish)
		conn, err := websocket.Accept(w, r, b.options())
		if err != nil {
			tb.Error(err)
			return
		}
		b.serve(r.Context(), conn, c.stop, func(ctx context.Context, t dynomad.Terminal, progress func(dynomad.Dyno)) (int, error) {
			c.terminal, c.progress = t, progress
			close(began)
			if play != nil {
				return play(c, ctx)
			}
			<-ctx.Done()
			c.cause = context.Cause(ctx)
			return 0, c.cause
		})
	})}
	go srv.Serve(listener) //nolint:errcheck // ends with the test
	tb.Cleanup(func() { _ = srv.Close() })
	client := &http.Client{Transport: &http.Transport{DialContext: listener.dial}}
	var err error
	c.conn, _, err = websocket.Dial(tb.Context(), "ws://test", &websocket.DialOptions{HTTPClient: client}) //nolint:bodyclose // it has none
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.conn.CloseNow() })
	<-began
	return c
}

// send sends a frame.
func (c *bridged) send(text string) {
	c.tb.Helper()
	if err := c.conn.Write(c.tb.Context(), websocket.MessageText, []byte(text)); err != nil {
		c.tb.Fatalf("%.80s: %v", text, err)
	}
}

// frames gives all that is received, up to the end, and how that was said.
func (c *bridged) frames() ([]string, websocket.StatusCode) {
	c.tb.Helper()
	var all []string
	for {
		_, text, err := c.conn.Read(c.tb.Context())
		if err != nil {
			return all, websocket.CloseStatus(err)
		}
		all = append(all, string(text))
	}
}

func (c *bridged) wait() {
	c.tb.Helper()
	select {
	case <-c.over:
	case <-time.After(time.Minute):
		c.tb.Fatal("the bridge did not end")
	}
}

func TestBridge(t *testing.T) {
	t.Parallel()
	c := startBridge(t, patience, func(c *bridged, _ context.Context) (int, error) {
		c.progress(dynomad.Dyno{State: dynomad.StatePending, AdditionalInfo: "The image is pulled."})
		all, err := io.ReadAll(c.terminal.Stdin)
		if err != nil {
			return 0, err
		}
		size := <-c.terminal.Sizes
		_, _ = fmt.Fprintf(c.terminal.Stdout, "%s of %d by %d\xff", all, size.Height, size.Width)
		_, _ = io.WriteString(c.terminal.Stderr, "err")
		return 7, nil
	})
	for _, text := range []string{
		`{}`, `{"tty_size":{"height":1,"width":1}}`, `{"tty_size":{"height":33,"width":111},"unknown":7}`,
		`{"tty_size":{"height":0,"width":80}}`, `{"tty_size":{"height":-1,"width":80}}`, `{"tty_size":{"height":24,"width":65536}}`,
		`{"stdin":{"data":"aGVs"}}`, `{"stdin":{}}`, `{"stdin":{"data":"bG8="}}`, `{"stdin":{"close":true}}`, `{"stdin":{"data":"bG8=","close":true}}`,
	} {
		c.send(text)
	}
	frames, status := c.frames()
	want := []string{
		`{"state":"pending","message":"The image is pulled."}`,
		`{"stdout":{"data":"aGVsbG8gb2YgMzMgYnkgMTEx/w=="}}`,
		`{"stderr":{"data":"ZXJy"}}`,
		`{"exited":true,"result":{"exit_code":7}}`,
	}
	if diff := cmp.Diff(want, frames); diff != "" || status != websocket.StatusNormalClosure {
		t.Errorf("ended with %d: %s", status, diff)
	}
	c.wait()
}

// TestBridge_ends ends bridges from outside, and checks what the client and the dyno's record are told.
func TestBridge_ends(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		times  bridgeTimes
		end    func(c *bridged)
		cause  *dynomad.Error
		frame  string // "" is none
		status websocket.StatusCode
	}{
		{
			"the daemon stops", patience, func(c *bridged) { close(c.stop) }, errStopping,
			`{"error":{"id":"unavailable","message":"The daemon was stopped."}}`, websocket.StatusGoingAway,
		},
		{
			"no frame", patience, func(c *bridged) { c.send("no JSON") }, errNoFrame,
			`{"error":{"id":"bad_request","message":"What its client sent is no frame."}}`, websocket.StatusInvalidFramePayloadData,
		},
		{
			"data that is no base64", patience, func(c *bridged) { c.send(`{"stdin":{"data":"%"}}`) }, errNoFrame,
			`{"error":{"id":"bad_request","message":"What its client sent is no frame."}}`, websocket.StatusInvalidFramePayloadData,
		},
		{"too large", patience, func(c *bridged) { c.send(strings.Repeat(" ", maxFrame+2)) }, errClientGone, "", -1},
		{"a close frame", patience, func(c *bridged) { go c.conn.Close(websocket.StatusNormalClosure, "") }, errClientGone, "", -1}, //nolint:errcheck // see frames
		{"a cut", patience, func(c *bridged) { _ = c.conn.CloseNow() }, errClientGone, "", -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := startBridge(t, tt.times, nil)
			tt.end(c)
			frames, status := c.frames()
			c.wait()
			var cause *dynomad.Error
			if !errors.As(c.cause, &cause) || cause.Message != tt.cause.Message || cause.Kind != tt.cause.Kind {
				t.Errorf("ended for %v, want %v", c.cause, tt.cause)
			}
			if got := strings.Join(frames, "\n"); got != tt.frame || tt.status > 0 && status != tt.status {
				t.Errorf("got %s and %d, want %s and %d", got, status, tt.frame, tt.status)
			}
		})
	}
}

// TestBridge_errors words what a command may end with.
func TestBridge_errors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		err  error
		want string
	}{
		{
			dynomad.Errorf(dynomad.Conflict, "The dyno run.7 was ended. Its time to live is over."),
			`{"error":{"id":"conflict","message":"The dyno run.7 was ended. Its time to live is over."}}`,
		},
		{errors.Join(dynomad.Wrap(dynomad.Unavailable, errors.New("inner"), "Lost."), errors.New("other")), `{"error":{"id":"unavailable","message":"Lost."}}`},
		{errors.New("inner"), `{"error":{"id":"internal","message":"` + internalText + `"}}`},
		{dynomad.Wrap("nobody knows", errors.New("inner"), "Odd."), `{"error":{"id":"internal","message":"` + internalText + `"}}`},
		{dynomad.Errorf(dynomad.Internal, "secret"), `{"error":{"id":"internal","message":"` + internalText + `"}}`},
	}
	for _, tt := range tests {
		c := startBridge(t, patience, func(*bridged, context.Context) (int, error) { return 0, tt.err })
		frames, status := c.frames()
		if got := strings.Join(frames, "\n"); got != tt.want || status != websocket.StatusInternalError {
			t.Errorf("%v: got %s and %d, want %s", tt.err, got, status, tt.want)
		}
	}
}

// TestBridge_slowClient checks that the command waits for a client that does not read, and that all arrives when it does.
func TestBridge_slowClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const parts, size = 2000, 1 << 10
		var written atomic.Int32
		part := bytes.Repeat([]byte("x"), size)
		c := startBridge(t, patience, func(c *bridged, _ context.Context) (int, error) {
			for range parts {
				if _, err := c.terminal.Stdout.Write(part); err != nil {
					return 0, err
				}
				written.Add(1)
			}
			return 0, nil
		})
		before := int32(-1)
		for now := written.Load(); now != before; now = written.Load() { // until it stands still
			before = now
			time.Sleep(200 * time.Millisecond)
		}
		if before == parts {
			t.Fatal("all was written before anything was read")
		}
		got := 0
		for range parts {
			_, text, err := c.conn.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var frame serverFrame
			if err := json.Unmarshal(text, &frame); err != nil || frame.Stdout == nil {
				t.Fatalf("got %.80s, %v", text, err)
			}
			got += len(frame.Stdout.Data)
		}
		if got != parts*size {
			t.Errorf("got %d bytes, want %d", got, parts*size)
		}
		c.frames()
		c.wait()
	})
}

// TestBridge_pager has a client that reads long after its command's end.
func TestBridge_pager(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := startBridge(t, streamTimes, func(c *bridged, _ context.Context) (int, error) {
			_, err := c.terminal.Stdout.Write([]byte("x"))
			return 4, err
		})
		go func() {
			for c.conn.Write(c.tb.Context(), websocket.MessageText, []byte(`{}`)) == nil {
				select {
				case <-c.over:
					return
				case <-time.After(streamTimes.ping):
				}
			}
		}()
		time.Sleep(10 * time.Minute)
		frames, status := c.frames()
		want := []string{`{"stdout":{"data":"eA=="}}`, `{"exited":true,"result":{"exit_code":4}}`}
		if diff := cmp.Diff(want, frames); diff != "" || status != websocket.StatusNormalClosure {
			t.Errorf("ended with %d: %s", status, diff)
		}
		c.wait()
	})
}

// TestBridge_slowCommand checks that a client waits for a command that does not read, is not taken for dead meanwhile, and that the
// command's end does not wait for its input.
func TestBridge_slowCommand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		enough := make(chan struct{})
		c := startBridge(t, streamTimes, func(_ *bridged, ctx context.Context) (int, error) {
			select {
			case <-enough:
				return 3, nil
			case <-ctx.Done():
				return 0, context.Cause(ctx)
			}
		})
		sent := c.flood()
		before := -1
		for now := sent(); now != before; now = sent() { // until it stands still
			before = now
			time.Sleep(3 * streamTimes.silence)
		}
		close(enough)
		frames, _ := c.frames()
		if got := strings.Join(frames, "\n"); got != `{"exited":true,"result":{"exit_code":3}}` {
			t.Errorf("got %s", got)
		}
		c.wait()
	})
}

// TestBridge_cutOffStuck cuts off a client whose input nobody takes, so that nothing is read of it.
func TestBridge_cutOffStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := startBridge(t, streamTimes, nil)
		sent := c.flood()
		for sent() < maxWaiting+1 {
			time.Sleep(time.Millisecond)
		}
		_ = c.conn.CloseNow()
		c.wait()
		if kind := dynomad.KindOf(c.cause); kind != dynomad.Canceled {
			t.Errorf("ended for %v", c.cause)
		}
	})
}

// flood sends input until nobody takes it any more, and counts the frames.
func (c *bridged) flood() (sent func() int) {
	part, err := json.Marshal(map[string]any{"stdin": map[string]any{"data": make([]byte, 4<<10)}})
	if err != nil {
		c.tb.Fatal(err)
	}
	var count atomic.Int32
	go func() {
		for c.conn.Write(c.tb.Context(), websocket.MessageText, part) == nil {
			count.Add(1)
		}
	}()
	return func() int { return int(count.Load()) }
}

// TestBridge_silence checks who is taken for dead, and when.
func TestBridge_silence(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		keep func(c *bridged)
		dead bool
	}{
		{"who says nothing", func(*bridged) {}, true},
		{"who reads, and so answers pings", func(c *bridged) { go c.conn.Read(c.tb.Context()) }, false}, //nolint:errcheck // ends with the test
		{"who says that it is there", func(c *bridged) {
			go func() {
				for c.conn.Write(c.tb.Context(), websocket.MessageText, []byte(`{}`)) == nil {
					select {
					case <-c.over:
						return
					case <-time.After(streamTimes.ping):
					}
				}
			}()
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, begun := startBridge(t, streamTimes, nil), time.Now()
				defer c.conn.CloseNow() //nolint:errcheck // it may be closed
				tt.keep(c)
				if tt.dead {
					<-c.over
					if took := time.Since(begun); !errors.Is(c.cause, error(errSilent)) || took > 50*time.Second {
						t.Errorf("ended after %s for %v", took, c.cause)
					}
					return
				}
				time.Sleep(10 * time.Minute)
				select {
				case <-c.over:
					t.Errorf("ended for %v", c.cause)
				default:
				}
				_ = c.conn.CloseNow()
				<-c.over
			})
		})
	}
}

// pipes is a listener whose connections are in memory, so that time can be the test's.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p.conns <- newBuffered(theirs)
	return newBuffered(ours), nil
}

// buffered is a pipe that takes some without being read, as a network does.
type buffered struct {
	net.Conn
	queue  chan []byte
	closed chan struct{}
	once   sync.Once
}

func newBuffered(conn net.Conn) *buffered {
	b := &buffered{Conn: conn, queue: make(chan []byte, 1000), closed: make(chan struct{})}
	go func() {
		defer b.Close() //nolint:errcheck // who writes finds out
		for {
			select {
			case part := <-b.queue:
				if _, err := conn.Write(part); err != nil {
					return
				}
			case <-b.closed:
				return
			}
		}
	}()
	return b
}

func (b *buffered) Write(p []byte) (int, error) {
	select {
	case <-b.closed:
		return 0, net.ErrClosed
	default:
	}
	select {
	case b.queue <- bytes.Clone(p):
		return len(p), nil
	case <-b.closed:
		return 0, net.ErrClosed
	}
}

func (b *buffered) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Conn.Close()
}

package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/dynomad/dynomad"
)

// How much of a client's input waits for its command at most: so many frames of so many bytes. Then the client waits.
const (
	maxFrame   = 64 << 10
	maxWaiting = 16
)

// bridgeTimes are how often a client is asked whether it is there, after how long a silence it is not, and how long saying goodbye to
// it may take.
type bridgeTimes struct{ ping, silence, goodbye time.Duration }

var streamTimes = bridgeTimes{ping: 10 * time.Second, silence: 30 * time.Second, goodbye: 3 * time.Second}

// Why a bridge ends before its command. These stand in the dyno's record.
var (
	errClientGone = dynomad.Errorf(dynomad.Canceled, "Its client's connection was lost.")
	errSilent     = dynomad.Errorf(dynomad.Canceled, "Nothing was heard of its client any more.")
	errNoFrame    = dynomad.Errorf(dynomad.Malformed, "What its client sent is no frame.")
	errStopping   = dynomad.Errorf(dynomad.Unavailable, "The daemon was stopped.")
)

// bridge joins a client's WebSocket and a command. Nothing piles up in it: output that the client does not take stops the command, and
// input that the command does not take stops the client.
type bridge struct {
	times bridgeTimes
	wish  streamWish
	conn  *websocket.Conn // once there is one
	heard atomic.Int64    // when the client was last heard of, in nanoseconds since the epoch
	stuck atomic.Bool     // the command does not take the client's input, so nothing is read of the client
	input chan []byte     // closed at the input's end
	done  chan struct{}   // closed when the command has ended: nobody takes input any more
	sizes chan dynomad.TerminalSize
	rest  []byte // of the input that the command has begun to take
}

// talker runs a command at the other end of a bridge, and gives its exit code. If ctx ends first it ends the command.
type talker func(ctx context.Context, terminal dynomad.Terminal, progress func(dynomad.Dyno)) (int, error)

func newBridge(times bridgeTimes, wish streamWish) *bridge {
	b := &bridge{
		times: times, wish: wish, input: make(chan []byte, maxWaiting), done: make(chan struct{}), sizes: make(chan dynomad.TerminalSize, 1),
	}
	b.hear()
	return b
}

// options are what the WebSocket is to be accepted with. The secret in the URL is all of a client's authority, and no cookie is looked at:
// so a page of any origin that has it may connect.
func (b *bridge) options() *websocket.AcceptOptions {
	return &websocket.AcceptOptions{InsecureSkipVerify: true, OnPongReceived: func(context.Context, []byte) { b.hear() }}
}

// serve runs a command for the client, until that ends, the client is lost, unless it wished otherwise, or stop is closed. It leaves nothing
// behind.
func (b *bridge) serve(ctx context.Context, conn *websocket.Conn, stop <-chan struct{}, talk talker) {
	b.conn = conn
	conn.SetReadLimit(maxFrame)
	talking, end := context.WithCancelCause(ctx)
	ctx, cut := context.WithCancel(ctx) // cuts the connection off
	lose := func(why error) {
		if !b.wish.keep {
			end(why)
		}
		cut()
		_ = conn.CloseNow() // the command may run on for long
	}
	var wg sync.WaitGroup
	wg.Go(func() { b.receive(ctx, talking, end, lose) })
	wg.Go(func() { b.keepAlive(ctx, talking, lose) })
	wg.Go(func() {
		select {
		case <-stop:
			end(errStopping)
		case <-talking.Done():
		}
	})
	code, err := talk(talking, b.terminal(ctx, talking), func(d dynomad.Dyno) { b.report(ctx, d) })
	close(b.done)
	if err == nil {
		b.exited(ctx, talking, code)
	}
	why := context.Cause(talking)
	end(nil)
	b.goodbye(ctx, cut, why, err)
	cut()
	_ = conn.CloseNow() // it is over
	wg.Wait()
}

// exited tells the client its command's exit code, and waits until it has read that: it may be slow, and what is on its way when the
// connection is closed may not arrive. A ping is answered in its turn.
func (b *bridge) exited(ctx, talking context.Context, code int) {
	if b.send(ctx, serverFrame{Exited: true, Result: &resultFrame{code}}) == nil {
		_ = b.conn.Ping(talking) // who does not answer is taken for dead
	}
}

// goodbye ends the connection. A client whose command did not end by itself is told why.
func (b *bridge) goodbye(ctx context.Context, cut context.CancelFunc, why, err error) {
	defer time.AfterFunc(b.times.goodbye, cut).Stop()
	status := websocket.StatusInternalError
	switch {
	case err == nil:
		_ = b.conn.Close(websocket.StatusNormalClosure, "") // whether or not the client says goodbye too
		return
	case errors.Is(why, error(errStopping)):
		status = websocket.StatusGoingAway
	case errors.Is(why, error(errNoFrame)):
		status = websocket.StatusInvalidFramePayloadData
	}
	if b.send(ctx, errorFrame(err)) == nil {
		_ = b.conn.Close(status, "") // as above
	}
}

// receive reads what the client sends, until there is no client or nobody for it to talk with. What a client that is lost has sent is all
// of the input there is.
func (b *bridge) receive(ctx, talking context.Context, end, lose func(why error)) {
	closed := false
	for {
		_, text, err := b.conn.Read(ctx)
		if err != nil {
			lose(dynomad.Wrap(errClientGone.Kind, err, "%s", errClientGone.Message))
			if b.wish.keep && !closed {
				close(b.input)
			}
			return
		}
		b.hear()
		var frame clientFrame
		if json.Unmarshal(text, &frame) != nil {
			end(errNoFrame)
			return
		}
		if size, ok := frame.size(); ok {
			b.resize(size)
		}
		if frame.Stdin == nil || closed {
			continue
		}
		if len(frame.Stdin.Data) > 0 && !b.offer(talking, frame.Stdin.Data) {
			return
		}
		if closed = frame.Stdin.Close; closed {
			close(b.input)
		}
	}
}

// resize keeps the window's last size for whoever asks.
func (b *bridge) resize(size dynomad.TerminalSize) {
	select {
	case <-b.sizes:
	default:
	}
	b.sizes <- size // has room: nobody else puts one there
}

// offer hands input on, or drops it when the command has ended. It reports whether there may be more.
func (b *bridge) offer(talking context.Context, data []byte) bool {
	b.stuck.Store(true)
	defer func() {
		b.hear()
		b.stuck.Store(false)
	}()
	select {
	case b.input <- data:
		return true
	case <-b.done:
		return true
	case <-talking.Done():
		return false
	}
}

// keepAlive asks the client whether it is there: any frame says so, and the answer to a ping. It keeps proxies from taking the connection
// for idle. A client that does not read, as one whose output goes to a pager, cannot answer, and may send empty frames instead.
func (b *bridge) keepAlive(ctx, talking context.Context, lose func(why error)) {
	tick := time.NewTicker(b.times.ping)
	defer tick.Stop()
	for {
		select {
		case <-talking.Done():
			return
		case <-tick.C:
		}
		if !b.stuck.Load() && time.Since(time.Unix(0, b.heard.Load())) > b.times.silence {
			lose(errSilent)
			return
		}
		if err := b.ping(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			lose(dynomad.Wrap(errClientGone.Kind, err, "%s", errClientGone.Message)) // seen by nobody else while nothing is read
			return
		}
	}
}

func (b *bridge) hear() { b.heard.Store(time.Now().UnixNano()) }

// ping asks the client whether it is there. The answer is noted when it comes.
func (b *bridge) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.times.ping)
	defer cancel()
	return b.conn.Ping(ctx)
}

// terminal is the client as the command sees it. What is put out is sent until ctx ends; input comes while they talk.
func (b *bridge) terminal(ctx, talking context.Context) dynomad.Terminal {
	return dynomad.Terminal{
		TTY: b.wish.tty, Sizes: b.sizes, Stdin: &bridgeInput{b, talking.Done()},
		Stdout: sender(func(p []byte) error { return b.put(ctx, serverFrame{Stdout: &outputFrame{p}}) }),
		Stderr: sender(func(p []byte) error { return b.put(ctx, serverFrame{Stderr: &outputFrame{p}}) }),
	}
}

// put sends what a command puts out. That of one that runs on without its client is thrown away.
func (b *bridge) put(ctx context.Context, frame serverFrame) error {
	if !b.wish.keep {
		return b.send(ctx, frame)
	}
	if ctx.Err() == nil {
		_ = b.send(ctx, frame) // that the client is lost, receive and keepAlive find out
	}
	return nil
}

// report tells the client what its dyno is doing.
func (b *bridge) report(ctx context.Context, d dynomad.Dyno) {
	_ = b.send(ctx, serverFrame{State: string(d.State), Message: d.AdditionalInfo}) // a client that is gone ends the bridge
}

// send sends a frame. It waits for a client that is slow.
func (b *bridge) send(ctx context.Context, frame serverFrame) error {
	text, err := json.Marshal(frame)
	if err != nil {
		return err
	}
	return b.conn.Write(ctx, websocket.MessageText, text)
}

// sender makes a writer of what sends.
type sender func([]byte) error

func (s sender) Write(p []byte) (int, error) {
	if err := s(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// bridgeInput is the client's input, up to its end. It is read by one goroutine at a time.
type bridgeInput struct {
	*bridge
	over <-chan struct{}
}

func (b *bridgeInput) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		select {
		case data, ok := <-b.input:
			if !ok {
				return 0, io.EOF
			}
			b.rest = data
		case <-b.over:
			return 0, errClientGone
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

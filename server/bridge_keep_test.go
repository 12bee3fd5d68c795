package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/dynomad/dynomad"
)

// kept wishes for a command that runs on without its client.
var kept = streamWish{tty: true, keep: true}

// TestBridge_keep loses clients in every way. Their commands find the end of their input after all that was sent, put out what they like,
// and end by themselves.
func TestBridge_keep(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		lose func(c *bridged)
	}{
		{"cut", func(c *bridged) { _ = c.conn.CloseNow() }},
		{"a close frame", func(c *bridged) { _ = c.conn.Close(websocket.StatusNormalClosure, "") }},
		{"too large", func(c *bridged) { c.send(string(make([]byte, maxFrame+2))) }},
		{"silence", func(*bridged) {}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const parts, size = 300, 64 << 10 // more than anything on the way holds
				var input []byte
				var window dynomad.TerminalSize
				var result error
				c := startBridgeAs(t, streamTimes, kept, func(c *bridged, ctx context.Context) (int, error) {
					var err error
					if input, err = io.ReadAll(c.terminal.Stdin); err != nil {
						return 0, err
					}
					window = <-c.terminal.Sizes
					c.progress(dynomad.Dyno{State: dynomad.StateRunning})
					part := bytes.Repeat([]byte("x"), size)
					for range parts {
						_, out := c.terminal.Stdout.Write(part)
						_, diag := c.terminal.Stderr.Write(part)
						result = errors.Join(result, out, diag)
					}
					time.Sleep(time.Hour)
					result = errors.Join(result, ctx.Err())
					return 7, nil
				})
				begun := time.Now()
				c.send(`{"tty_size":{"height":33,"width":111}}`)
				c.send(`{"stdin":{"data":"aGVsbG8="}}`)
				synctest.Wait()
				tt.lose(c)
				<-c.over
				if result != nil || string(input) != "hello" || window != (dynomad.TerminalSize{Height: 33, Width: 111}) {
					t.Errorf("the command met %v, read %q, and has a window of %v", result, input, window)
				}
				if took := time.Since(begun); took > time.Hour+time.Minute {
					t.Errorf("it ended after %s", took)
				}
			})
		})
	}
}

// TestBridge_keepBlocked loses a client that has long read nothing, so that its command waits for it.
func TestBridge_keepBlocked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const parts, size = 5000, 1 << 10
		var result error
		put := 0
		c := startBridgeAs(t, streamTimes, kept, func(c *bridged, _ context.Context) (int, error) {
			part := bytes.Repeat([]byte("x"), size)
			for range parts {
				n, err := c.terminal.Stdout.Write(part)
				put, result = put+n, errors.Join(result, err)
			}
			return 0, nil
		})
		begun := time.Now()
		<-c.over
		if took := time.Since(begun); result != nil || put != parts*size || took < streamTimes.silence || took > time.Minute {
			t.Errorf("it ended after %s with %v, and %d bytes were taken", took, result, put)
		}
	})
}

// TestBridge_keepStuck loses a client whose input nobody takes. What was read of it is there when the command comes to it, and so is the end.
func TestBridge_keepStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan struct{})
		var input []byte
		var err error
		c := startBridgeAs(t, streamTimes, kept, func(c *bridged, _ context.Context) (int, error) {
			<-gone
			input, err = io.ReadAll(c.terminal.Stdin)
			return 0, nil
		})
		sent := c.flood()
		for sent() < maxWaiting+1 {
			time.Sleep(time.Millisecond)
		}
		_ = c.conn.CloseNow()
		time.Sleep(10 * time.Minute)
		close(gone)
		<-c.over
		if err != nil || len(input) < maxWaiting*(4<<10) {
			t.Errorf("the command read %d bytes, %v", len(input), err)
		}
	})
}

// TestBridge_keepEnds ends commands that run on without their clients, and one whose client sends what is no frame.
func TestBridge_keepEnds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		end  func(c *bridged)
		want *dynomad.Error
	}{
		{"the daemon stops", func(c *bridged) {
			_ = c.conn.CloseNow()
			synctest.Wait()
			close(c.stop)
		}, errStopping},
		{"no frame", func(c *bridged) { c.send("no JSON") }, errNoFrame},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, begun := startBridgeAs(t, streamTimes, kept, nil), time.Now()
				tt.end(c)
				go c.frames()
				<-c.over
				if took := time.Since(begun); !errors.Is(c.cause, error(tt.want)) || took > streamTimes.goodbye {
					t.Errorf("ended after %s for %v, want %v", took, c.cause, tt.want)
				}
			})
		})
	}
}

// TestBridge_keepHears has a client that stays: it hears all, as any other.
func TestBridge_keepHears(t *testing.T) {
	t.Parallel()
	c := startBridgeAs(t, patience, streamWish{keep: true}, func(c *bridged, _ context.Context) (int, error) {
		if c.terminal.TTY {
			t.Error("it has a terminal")
		}
		_, err := io.WriteString(c.terminal.Stdout, "x")
		return 7, err
	})
	frames, status := c.frames()
	c.wait()
	if len(frames) != 2 || frames[0] != `{"stdout":{"data":"eA=="}}` || frames[1] != `{"exited":true,"result":{"exit_code":7}}` || status != websocket.StatusNormalClosure {
		t.Errorf("heard %q, and the end %d", frames, status)
	}
}

//go:build integration

package nomad_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// talking is a client that talks with a dyno.
type talking struct {
	target
	stdin  io.WriteCloser
	sizes  chan dynomad.TerminalSize
	stdout *nomadtest.Output
	stderr *nomadtest.Output
	hangUp context.CancelCauseFunc
	done   chan struct{}
	code   int // once done
	err    error
}

// talk starts a command.
func (t target) talk(tty bool, command ...string) *talking {
	t.tb.Helper()
	ctx, hangUp := context.WithCancelCause(t.tb.Context())
	reader, writer := io.Pipe()
	c := &talking{
		target: t, stdin: writer, sizes: make(chan dynomad.TerminalSize, 1), stdout: &nomadtest.Output{}, stderr: &nomadtest.Output{},
		hangUp: hangUp, done: make(chan struct{}),
	}
	in := dynomad.Session{Dyno: t.dyno.Name, AllocID: t.dyno.AllocID, Command: command, Terminal: dynomad.Terminal{
		TTY: tty, Sizes: c.sizes, Stdin: reader, Stdout: c.stdout, Stderr: c.stderr,
	}}
	go func() {
		defer close(c.done)
		defer reader.Close() //nolint:errcheck // never fails
		c.code, c.err = t.executor.Talk(ctx, in)
	}()
	return c
}

func (c *talking) say(text string) {
	c.tb.Helper()
	if _, err := io.WriteString(c.stdin, text); err != nil {
		c.tb.Fatalf("saying %.20q: %v", text, err)
	}
}

// hear waits until something was put out.
func (c *talking) hear(text string) {
	c.tb.Helper()
	nomadtest.Eventually(c.tb, 20*time.Second, func(context.Context) error {
		if !strings.Contains(c.stdout.String(), text) {
			return fmt.Errorf("there is no %q in %q", text, c.stdout.String())
		}
		return nil
	})
}

// end waits for the end.
func (c *talking) end() (int, error) {
	c.tb.Helper()
	select {
	case <-c.done:
	case <-time.After(20 * time.Second):
		c.tb.Fatalf("the command did not end; it said %q", c.stdout)
	}
	return c.code, c.err
}

func TestTalk_terminal(t *testing.T) {
	t.Parallel()
	d := startTarget(t, "talk-terminal", "sleep 600")
	c := d.talk(true, "sh")
	c.sizes <- dynomad.TerminalSize{Height: 33, Width: 111}
	c.hear("# ")
	if got := c.stdout.String(); strings.Contains(got, "33 111") || strings.Contains(got, "\x01") || strings.ContainsAny(got[:1], "0123456789") {
		t.Errorf("before the prompt there is %q", got)
	}
	c.say("tty; stty size; echo TERM=$TERM\n")
	c.hear("/dev/pts/")
	c.hear("\r\n33 111\r\n")
	c.hear("TERM=xterm")
	c.sizes <- dynomad.TerminalSize{Height: 44, Width: 122}
	c.say("until [ \"$(stty size)\" = '44 122' ]; do :; done; echo res''ized\n")
	c.hear("resized")
	c.say("sh -c \"echo slee''ping; exec sleep 600\"\n") // ^C ends what has the terminal: not before that is the command
	c.hear("sleeping\r\n")
	c.say("\x03")
	c.say("echo inter''rupted\n")
	c.hear("interrupted")
	c.say("exit 5\n")
	if code, err := c.end(); code != 5 || err != nil {
		t.Errorf("got %d, %v, want 5; it said %q", code, err, c.stdout)
	}

	c = d.talk(true, "cat") // whose client says no size
	c.say("line\n")
	c.hear("line\r\nline\r\n")
	_ = c.stdin.Close()
	if code, err := c.end(); code != 0 || err != nil {
		t.Errorf("after ^D: %d, %v", code, err)
	}
}

// TestTalk_whole checks that not a byte is lost of what a command puts out at its very beginning and end.
func TestTalk_whole(t *testing.T) {
	t.Parallel()
	d := startTarget(t, "talk-whole", "sleep 600")
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for range 5 {
				tty := worker%2 == 0
				c := d.talk(tty, "sh", "-c", "echo x; exit 3")
				want := "x\n"
				if tty {
					c.sizes, want = nil, "x\r\n"
				}
				if code, err := c.end(); code != 3 || err != nil || c.stdout.String() != want {
					t.Errorf("tty %t: got %d, %v, %q", tty, code, err, c.stdout)
				}
			}
		})
	}
	all := make([]byte, 1<<20)
	for i := range all {
		all[i] = byte(i * i >> 8 * 31)
	}
	c := d.talk(false, "sh", "-c", "cat; echo end >&2")
	c.say(string(all))
	_ = c.stdin.Close()
	code, err := c.end()
	if code != 0 || err != nil || c.stdout.String() != string(all) || c.stderr.String() != "end\n" {
		t.Errorf("got %d, %v, %d bytes, equal %t, and %q", code, err, len(c.stdout.String()), c.stdout.String() == string(all), c.stderr)
	}
	wg.Wait()
}

// TestTalk_hangUp checks that nothing runs on without its client: neither a job of an interactive shell nor what ignores signals.
func TestTalk_hangUp(t *testing.T) {
	t.Parallel()
	d := startTarget(t, "talk-hangup", "sleep 600")
	c := d.talk(true, "sh")
	c.say("trap '' HUP INT TERM; sleep 601 & sleep 602\n")
	c.hear("sleep 602\r\n")
	gone := errors.New("the client is gone")
	c.hangUp(gone)
	if _, err := c.end(); dynomad.KindOf(err) != dynomad.Canceled || !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	nomadtest.Eventually(t, 20*time.Second, func(context.Context) error {
		alloc, _, err := shared.Cluster(t).NomadClient().Allocations().Info(d.dyno.AllocID, nil)
		if err != nil || alloc.ClientStatus == api.AllocClientStatusRunning {
			return fmt.Errorf("the container runs on: %w", err)
		}
		return nil
	})
	c = d.talk(true, "sh")
	if _, err := c.end(); dynomad.KindOf(err) != dynomad.Conflict {
		t.Errorf("in a dyno that has ended: %v", err)
	}
}

// TestTalk_dynoEnds ends the container under a command.
func TestTalk_dynoEnds(t *testing.T) {
	t.Parallel()
	d := startTarget(t, "talk-ends", "sleep 600")
	c := d.talk(false, "sh", "-c", "echo x; kill -9 -1; sleep 600")
	if code, err := c.end(); (code != 137 || err != nil) && dynomad.KindOf(err) != dynomad.Conflict {
		t.Errorf("got %d, %v", code, err)
	}
}

package nomad

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
)

// maxTalks is how many sessions there are at once. Each takes a connection, as scripts do: see maxExecs.
const maxTalks = 32

// How long a session waits for its client to say how large its window is, and how long ending it may take.
const (
	sizeTime = time.Second
	hangTime = 5 * time.Second
)

// Talk runs a command that a client talks with, until it ends, and gives its exit code. The container is there for this command
// alone: if ctx ends first, everything in it is ended before Talk returns, with an error of the kind Canceled that wraps
// context.Cause.
func (e *Executor) Talk(ctx context.Context, in dynomad.Session) (int, error) {
	select {
	case e.talks <- struct{}{}:
		defer func() { <-e.talks }()
	default:
		return 0, unavailable(nil, "Too many clients are connected to dynos.")
	}
	log := e.logFor(ctx, "app", in.App.Name, "dyno", in.Dyno, "tty", in.Terminal.TTY)
	log.Info("a client talks with a dyno")
	start := time.Now()
	code, err := e.talk(ctx, in)
	took := time.Since(start).Round(time.Millisecond)
	if err != nil {
		log.Info("a client's talk with a dyno did not end by itself", "duration", took, "error", err)
		return 0, err
	}
	log.Info("a client's talk with a dyno has ended", "duration", took, "exit_code", code)
	return code, nil
}

func (e *Executor) talk(ctx context.Context, in dynomad.Session) (int, error) {
	at, err := e.placeSoon(ctx, in)
	if err != nil {
		return 0, err
	}
	for try := 1; ; try++ {
		code, err := e.tryTalk(ctx, at, in)
		if try == maxTries || !errors.Is(err, errNotStarted) {
			return code, err
		}
	}
}

// placeSoon finds the process of a dyno that has only just started: Nomad tells of that a moment before it can be read.
func (e *Executor) placeSoon(ctx context.Context, in dynomad.Session) (place, error) {
	for try := 1; ; try++ {
		at, err := e.client.place(ctx, in.App.NomadNamespace, in.AllocID, in.Dyno)
		if try == maxTries || dynomad.KindOf(err) != dynomad.Conflict {
			return at, err
		}
		select {
		case <-ctx.Done():
			return at, err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// tryTalk has one process started. Of the terminal nothing is used before that runs.
func (e *Executor) tryTalk(ctx context.Context, at place, in dynomad.Session) (int, error) {
	running, drop := context.WithCancel(context.WithoutCancel(ctx))
	defer drop()
	out := newTalkOutput(in.Terminal.TTY, in.Terminal.Stdout, in.Terminal.Stderr)
	sizes := make(chan api.TerminalSize)
	t := &talk{out: out, terminal: in.Terminal, over: running.Done(), sizes: sizes}
	over := make(chan struct{})
	var code int
	var err error
	go func() {
		defer close(over)
		streams := execStreams{tty: in.Terminal.TTY, stdin: t, stdout: out.stdout, stderr: out.stderr, sizes: sizes}
		command := append([]string{"sh", "-c", talker, "sh", out.mark}, in.Command...)
		code, err = e.client.run(running, at, command, streams)
	}()
	select {
	case <-out.ended:
		return out.code, nil
	case <-over:
		return e.talkCode(ctx, at, out, code, err)
	case <-ctx.Done():
		cause := context.Cause(ctx)
		err := e.hangUp(ctx, at, out)
		return 0, dynomad.Wrap(dynomad.Canceled, errors.Join(cause, err), "The dyno %s was ended.", in.Dyno)
	}
}

// talkCode finds how a talk has ended that did not end as it should: with its wrapper's mark. code and err are Nomad's.
func (e *Executor) talkCode(ctx context.Context, at place, out *talkOutput, code int, err error) (int, error) {
	begun := isClosed(out.begun)
	switch {
	case isClosed(out.ended):
		return out.code, nil
	case err == nil && isClosed(out.ready): // something has ended the wrapper, and the command with it
		return code, nil
	case err == nil && code == 0 && !begun:
		return 0, unavailable(errNotStarted, "The command could not be started.")
	case !e.client.sameProcess(ctx, at):
		return 0, dynomad.Wrap(dynomad.Conflict, errors.Join(dynomad.ErrDynoEnded, err), "The dyno is not running any more.")
	case !begun && (err == nil || strings.Contains(err.Error(), noExecutable)): // Docker's own complaint
		cause := errors.Join(fmt.Errorf("exit code %d: %s", code, out.complaint()), err)
		return 0, dynomad.Wrap(dynomad.Conflict, cause, "The image has no shell (sh), which attached dynos need.")
	}
	err = errors.Join(err, e.hangUp(ctx, at, out))
	return 0, unavailable(err, "The connection to the dyno was lost.")
}

// noExecutable is in what Docker says of a program that an image does not have.
const noExecutable = "executable file not found"

// hangUp ends all that runs in a container, and with it the container, even if ctx has ended.
func (e *Executor) hangUp(ctx context.Context, at place, out *talkOutput) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hangTime)
	defer cancel()
	pid := 0
	if isClosed(out.begun) {
		pid = out.pid
	}
	streams := execStreams{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
	_, err := e.client.run(ctx, at, []string{"sh", "-c", hanger, "sh", strconv.Itoa(pid)}, streams)
	if err != nil && !e.client.sameProcess(ctx, at) {
		return nil // it took the container with it before its own end was told
	}
	return err
}

// talk is the input of a wrapper: a line for the wrapper itself, then what the client says.
type talk struct {
	out      *talkOutput
	terminal dynomad.Terminal
	over     <-chan struct{}         // closed when nobody listens any more
	sizes    chan<- api.TerminalSize // read while somebody listens
	line     []byte                  // what is left of the wrapper's line
	asked    bool                    // the line was made
	closed   bool                    // the client says no more
}

// Read is called by one goroutine, as long as the wrapper's process is connected.
func (t *talk) Read(p []byte) (int, error) {
	if !t.asked {
		if err := t.await(t.out.begun); err != nil {
			return 0, err
		}
		t.asked, t.line = true, t.firstLine()
	}
	if len(t.line) > 0 {
		n := copy(p, t.line)
		t.line = t.line[n:]
		return n, nil
	}
	if err := t.await(t.out.ready); err != nil {
		return 0, err
	}
	if t.closed {
		return 0, t.await(nil)
	}
	n, err := t.terminal.Stdin.Read(p)
	if err == io.EOF && n == 0 && t.terminal.TTY {
		const endOfTransmission = 4 // ^D: to close a terminal would tell the command nothing
		p[0], t.closed = endOfTransmission, true
		return 1, nil
	}
	return n, err
}

// await waits for a moment of the wrapper's.
func (t *talk) await(moment <-chan struct{}) error {
	select {
	case <-moment:
		return nil
	case <-t.over:
		return context.Canceled
	}
}

// firstLine is what the wrapper waits for: the window's size. Later sizes go Nomad's way.
func (t *talk) firstLine() []byte {
	if !t.terminal.TTY {
		return []byte("0 0\n")
	}
	size := dynomad.DefaultTerminalSize
	select {
	case size = <-t.terminal.Sizes:
	case <-time.After(sizeTime):
	case <-t.over:
	}
	go t.resize(size)
	return fmt.Appendf(nil, "%d %d\n", size.Height, size.Width)
}

// resize tells Nomad the window's sizes. The first one is for images that have no stty.
func (t *talk) resize(size dynomad.TerminalSize) {
	for {
		select {
		case t.sizes <- api.TerminalSize{Height: size.Height, Width: size.Width}:
		case <-t.over:
			return
		}
		select {
		case size = <-t.terminal.Sizes:
		case <-t.over:
			return
		}
	}
}

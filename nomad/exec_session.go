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

// wrapper is what a dyno's shell runs: the script $3, and around it a conversation with us.
//
// It says its process id, by which it can be ended with all that it starts (Docker makes it the leader of a process group),
// and waits for a line. Nomad's Docker driver may find a process that has not started yet, take it for ended and drop it;
// that one gets no line, and does nothing.
//
// It ends with the mark $1 and the exit code on both streams, and waits for a line again: the driver passes on what it has
// read by the time that it finds the process ended, and loses the rest.
//
// The script runs in this shell and not below it, since kill -1 spares only the process that calls it. Its input is $2 bytes.
// What it makes is in the allocation's folder, which every image has and every user may write to.
const wrapper = `echo $$
read -r line || exit
scratch=/alloc/tmp/dynomad-$$ input=/dev/null
[ ! -e "$scratch" ] || rm -rf "$scratch"
[ "$2" = 0 ] || input=$scratch.in
[ "$2" = 0 ] || (umask 077; head -c "$2" >"$input") && eval "$3" <"$input"
code=$?
[ "$2" = 0 ] || rm -f "$input"
[ ! -e "$scratch" ] || rm -rf "$scratch"
echo "$1 $code"
echo "$1 $code" >&2
read -r line
exit $code`

// ender ends the process group $1 and removes what its wrapper made. Its exit code is enderGone if there was nothing to end; 0
// would be what Nomad says of a process that it dropped.
const ender = `code=1
kill -9 -"$1" || kill -9 "$1" || code=9
for made in "/alloc/tmp/dynomad-$1" "/alloc/tmp/dynomad-$1.in"; do
	[ ! -e "$made" ] || rm -rf "$made"
done
exit $code`

const enderGone = 9

// session is one run of a wrapper.
type session struct {
	drop   context.CancelFunc // ends the connection, and not what runs
	out    *output
	ended  chan struct{} // closed when the connection is over
	exited chan struct{} // closed when Nomad has told the exit code
	code   int           // once exited
	err    error         // once ended, if not exited
}

// start starts a script. What ends with ctx is only the connection.
func (e *Executor) start(ctx context.Context, at place, in dynomad.Exec, out *output) *session {
	ctx, cancel := context.WithCancel(ctx)
	s := &session{drop: cancel, out: out, ended: make(chan struct{}), exited: make(chan struct{})}
	command := []string{"sh", "-c", wrapper, "sh", out.mark, strconv.Itoa(len(in.Stdin)), in.Script}
	stdin := io.MultiReader(&line{when: out.begun, never: ctx.Done()}, strings.NewReader(in.Stdin), &line{when: out.complete, never: ctx.Done()})
	go func() {
		defer close(s.ended)
		streams := execStreams{stdin: stdin, stdout: out.stdout, stderr: out.stderr}
		if s.code, s.err = e.client.run(ctx, at, command, streams); s.err == nil {
			close(s.exited)
		}
	}()
	return s
}

// line is an empty line of input that comes when the time is there. Once the session is over it is an error: what would follow
// must not be taken for it.
type line struct {
	when, never <-chan struct{}
	sent        bool
}

func (l *line) Read(p []byte) (int, error) {
	if l.sent || len(p) == 0 {
		return 0, io.EOF
	}
	select {
	case <-l.when:
		l.sent = true
		return copy(p, "\n"), nil
	case <-l.never:
		return 0, context.Canceled
	}
}

// end ends a script with all that it started, by execs of its own. One that has not begun within the time never will. The end
// of a session comes after all of its output, which may be long: so the process is asked for too.
func (e *Executor) end(ctx context.Context, at place, s *session) error {
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	select {
	case <-s.exited:
		return nil
	case <-s.out.begun:
	case <-ctx.Done():
		return nil
	}
	for {
		gone, err := e.sweep(ctx, at, s)
		if gone {
			return nil
		}
		select {
		case <-s.exited:
			return nil
		case <-time.After(time.Second):
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("process %d may run on", s.out.pid), err)
		}
	}
}

// sweep kills what a script started and removes what its wrapper made. It says whether nothing was there to be killed.
func (e *Executor) sweep(ctx context.Context, at place, s *session) (gone bool, err error) {
	command := []string{"sh", "-c", ender, "sh", strconv.Itoa(s.out.pid)}
	streams := execStreams{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
	code, err := e.client.run(ctx, at, command, streams)
	return err == nil && code == enderGone, err
}

// execStreams are what a command in a container reads and writes.
type execStreams struct {
	tty            bool // it has a terminal, and all output comes on stdout
	stdin          io.Reader
	stdout, stderr io.Writer
	sizes          <-chan api.TerminalSize // of the terminal
}

// run runs a command in a dyno's container and gives its exit code. An error says that the code did not arrive; what became
// of the command is then unknown. The client's dialing does not heed ctx: hence the goroutine.
func (c *Client) run(ctx context.Context, at place, command []string, with execStreams) (int, error) {
	type result struct {
		code int
		err  error
	}
	done := make(chan result, 1)
	go func() {
		q := (&api.QueryOptions{Namespace: at.alloc.Namespace}).WithContext(ctx)
		code, err := c.api.Allocations().Exec(ctx, at.alloc, at.task, with.tty, command, with.stdin, with.stdout, with.stderr, with.sizes, q)
		done <- result{code, err}
	}()
	select {
	case r := <-done:
		return r.code, r.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

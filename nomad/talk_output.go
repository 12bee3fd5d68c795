package nomad

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
)

// talkOutput takes what a talk's wrapper says out of what its command says. What the command says is passed on at once: only what
// may be the beginning of a mark waits for more.
type talkOutput struct {
	mark  string        // nobody can guess it; its first character is one that text does not have
	begun chan struct{} // closed when pid is known
	ready chan struct{} // closed when the command is about to be started: input is for it from now on
	ended chan struct{} // closed when all output has been passed on, and code is known
	pid   int           // of the wrapper, in its container
	code  int           // the command's exit code

	stdout, stderr *talkStream
}

// newTalkOutput makes a talkOutput. With a terminal, all comes on stdout.
func newTalkOutput(tty bool, stdout, stderr io.Writer) *talkOutput {
	o := &talkOutput{
		mark: "\x01" + rand.Text(), begun: make(chan struct{}), ready: make(chan struct{}), ended: make(chan struct{}),
	}
	var open atomic.Int32
	open.Store(2)
	ended := func(code int) {
		if open.Add(-1) == 0 {
			o.code = code
			close(o.ended)
		}
	}
	o.stdout = &talkStream{out: o, next: stdout, ended: ended, step: (*talkStream).readPID}
	o.stderr = &talkStream{out: o, next: stderr, ended: ended, step: (*talkStream).pass}
	if tty {
		open.Store(1)
		o.stderr.step = (*talkStream).drop
	}
	return o
}

// complaint is what came instead of a process id: Docker tells so why there is no shell.
func (o *talkOutput) complaint() string {
	o.stdout.mu.Lock()
	defer o.stdout.mu.Unlock()
	return string(o.stdout.held)
}

// talkStream is one stream of a wrapper. Lines end as a terminal or a file has them.
type talkStream struct {
	out   *talkOutput
	next  io.Writer
	ended func(code int)

	mu   sync.Mutex // Nomad's client may write on for a moment when its exec has been cut off
	held []byte     // what has come and was not dealt with
	step func(*talkStream) (again bool, err error)
}

// Write gives an error if the client's end does.
func (s *talkStream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = append(s.held, p...)
	for again := true; again; {
		var err error
		if again, err = s.step(s); err != nil {
			s.step = (*talkStream).drop
			return 0, err
		}
	}
	return len(p), nil
}

// maxComplaint bounds what is kept of a complaint, in bytes.
const maxComplaint = 1 << 10

// readPID waits for the wrapper's first line.
func (s *talkStream) readPID() (bool, error) {
	pid, rest, ok := numberLine(s.held)
	if !ok {
		s.held = s.held[:min(len(s.held), maxComplaint)]
		return false, nil
	}
	s.held, s.out.pid, s.step = rest, pid, (*talkStream).awaitCommand
	close(s.out.begun)
	return true, nil
}

// errMark says that the mark came and the end of its line did not. Who made the image has made its shell, and may know the mark.
var errMark = errors.New("the dyno's shell says what no wrapper does")

// awaitCommand drops what a terminal shows of the wrapper's input, up to the line that says that the command comes.
func (s *talkStream) awaitCommand() (bool, error) {
	_, after, found := bytes.Cut(s.held, []byte(s.out.mark))
	if !found {
		s.held = s.held[len(s.held)-partOf(s.held, s.out.mark):]
		return false, nil
	}
	_, rest, whole := bytes.Cut(after, []byte("\n"))
	if !whole && len(after) > maxComplaint {
		return false, errMark
	}
	if !whole {
		return false, nil
	}
	s.held, s.step = rest, (*talkStream).pass
	close(s.out.ready)
	return true, nil
}

// pass passes on what is the command's, up to the mark with its exit code.
func (s *talkStream) pass() (bool, error) {
	at := bytes.Index(s.held, []byte(s.out.mark))
	if at < 0 {
		at = len(s.held) - partOf(s.held, s.out.mark)
	}
	if at > 0 {
		if _, err := s.next.Write(s.held[:at]); err != nil {
			return false, err
		}
		s.held = append(s.held[:0], s.held[at:]...)
	}
	after, found := bytes.CutPrefix(s.held, []byte(s.out.mark))
	code, _, whole := numberLine(after)
	if found && !whole && len(after) > maxComplaint {
		return false, errMark
	}
	if !found || !whole {
		return false, nil
	}
	s.step = (*talkStream).drop
	s.ended(code)
	return true, nil
}

// drop is for what comes after the end.
func (s *talkStream) drop() (bool, error) {
	s.held = nil
	return false, nil
}

// numberLine takes a line with a number off b, if there is one.
func numberLine(b []byte) (number int, rest []byte, ok bool) {
	line, rest, whole := bytes.Cut(b, []byte("\n"))
	number, err := strconv.Atoi(string(bytes.TrimSpace(line)))
	return number, rest, whole && err == nil
}

// partOf counts the bytes at the end of b that are the beginning of the mark.
func partOf(b []byte, mark string) int {
	for n := min(len(b), len(mark)-1); n > 0; n-- {
		if mark[0] == b[len(b)-n] && string(b[len(b)-n:]) == mark[:n] {
			return n
		}
	}
	return 0
}

package nomad

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/dynomad/dynomad"
)

// output takes both streams of a wrapper apart: into what is ours and what is the script's.
type output struct {
	mark     string        // ends both streams, with the exit code; nobody can guess it
	begun    chan struct{} // closed when pid is known
	complete chan struct{} // closed when both streams have ended with the mark
	pid      int

	stdout     *firstLine
	stderr     *stream
	fromStdout *stream // without its first line
}

// newOutput makes an output. stdout is kept as encode makes it; nil leaves it as it is. fail is told why output cannot be
// kept.
func newOutput(limits spoolLimits, encode func(io.Writer) io.WriteCloser, fail func(error)) *output {
	o := &output{mark: rand.Text(), begun: make(chan struct{}), complete: make(chan struct{})}
	var open atomic.Int32
	open.Store(2)
	marked := func() {
		if open.Add(-1) == 0 {
			close(o.complete)
		}
	}
	o.fromStdout = newStream(o.mark, limits, encode, marked, fail)
	o.stderr = newStream(o.mark, limits, nil, marked, fail)
	o.stdout = &firstLine{out: o}
	return o
}

// hasBegun reports whether the wrapper has said its process id.
func (o *output) hasBegun() bool { return isClosed(o.begun) }

// code gives the exit code that the wrapper wrote, if all that it wrote is here.
func (o *output) code() (int, bool) {
	if !isClosed(o.complete) {
		return 0, false
	}
	return o.stderr.code, true
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// executed gives what was kept. Nothing is added to it any more.
func (o *output) executed(code int) (dynomad.Executed, error) {
	stdout, outErr := o.fromStdout.finish()
	stderr, errErr := o.stderr.finish()
	if err := errors.Join(outErr, errErr); err != nil {
		o.discard()
		return dynomad.Executed{}, unavailable(err, "The command's output could not be kept.")
	}
	return dynomad.Executed{ExitCode: code, Stdout: stdout, Stderr: stderr}, nil
}

// discard frees what was kept. Nothing is added to it any more.
func (o *output) discard() {
	o.fromStdout.discard()
	o.stderr.discard()
}

// firstLine takes the first line off stdout: the process id. If it is anything else, no wrapper ran, and what comes is Docker's
// complaint: it goes to stderr.
type firstLine struct {
	out  *output
	line []byte
	next *stream // where the rest goes, once that is known
}

func (f *firstLine) Write(p []byte) (int, error) {
	if f.next != nil {
		return f.next.Write(p)
	}
	const most = 20
	f.line = append(f.line, p...)
	line, rest, whole := bytes.Cut(f.line, []byte("\n"))
	if !whole && len(f.line) < most {
		return len(p), nil
	}
	pid, err := strconv.Atoi(string(line))
	if !whole || err != nil {
		f.next, rest = f.out.stderr, f.line
	} else {
		f.next, f.out.pid = f.out.fromStdout, pid
		close(f.out.begun)
	}
	_, err = f.next.Write(rest)
	return len(p), err
}

// stream keeps one stream up to the wrapper's mark.
type stream struct {
	mark   []byte
	marked func()      // called when the mark has come
	fail   func(error) // called when the output cannot be kept
	sink   io.Writer   // leads to kept
	flush  func() error
	kept   *spool

	mu   sync.Mutex // Nomad's client may write on for a moment when its exec has been cut off
	tail []byte     // what may be the beginning of the mark
	code int        // once the mark has come
	done bool       // whatever comes is dropped
}

func newStream(mark string, limits spoolLimits, encode func(io.Writer) io.WriteCloser, marked func(), fail func(error)) *stream {
	kept := &spool{limits: limits}
	s := &stream{mark: []byte(mark + " "), marked: marked, fail: fail, sink: kept, flush: func() error { return nil }, kept: kept}
	if encode != nil {
		encoder := encode(kept)
		s.sink, s.flush = encoder, encoder.Close
	}
	return s
}

// maxCode is the longest that can follow the mark: "255\n".
const maxCode = 4

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return len(p), nil
	}
	s.tail = append(s.tail, p...)
	body, code, found := s.cutMark()
	if !found {
		body = s.tail[:max(0, len(s.tail)-len(s.mark)-maxCode)]
	}
	if _, err := s.sink.Write(body); err != nil {
		s.done = true
		s.fail(err)
		return 0, err
	}
	if found {
		s.code, s.done = code, true
		s.tail = nil
		s.marked()
		return len(p), nil
	}
	s.tail = append(s.tail[:0], s.tail[len(body):]...)
	return len(p), nil
}

// cutMark finds the mark at the end of what has come.
func (s *stream) cutMark() (body []byte, code int, found bool) {
	at := bytes.LastIndex(s.tail, s.mark)
	if at < 0 {
		return nil, 0, false
	}
	digits, ended := bytes.CutSuffix(s.tail[at+len(s.mark):], []byte("\n"))
	code, err := strconv.Atoi(string(digits))
	return s.tail[:at], code, ended && err == nil
}

// finish gives what was kept. Without the mark, that is all that has come.
func (s *stream) finish() (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
	_, err := s.sink.Write(s.tail)
	s.tail = nil
	if err = errors.Join(err, s.flush()); err != nil {
		return nil, err
	}
	return s.kept.reader()
}

func (s *stream) discard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
	s.kept.close()
}

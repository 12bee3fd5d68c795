package nomad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"strconv"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs/logs"
)

// maxLogBackoff is the longest pause before a stream is opened again.
const maxLogBackoff = 5 * time.Second

// logStream is one of the streams of a dyno's output as it is read. It knows by its own count where it is: the offsets in Nomad's
// frames are those of the first piece that was put into a frame.
type logStream struct {
	*Logs
	logs.Output
	kind   string // stdout or stderr
	end    <-chan struct{}
	emit   func([]logs.Line, logs.Place)
	missed func(string)
	now    func() time.Time

	file, offset int64 // what was read last is before this
	before       int64 // how long the file before was, if it was read to its end
	lines        logs.Assembler
	heard        time.Time // when data came last
	ending       time.Time // when it was seen that the end is told; zero if it is not
}

func (l *Logs) stream(o logs.Output, kind string, from logs.Place) *logStream {
	return &logStream{Logs: l, Output: o, kind: kind, now: time.Now, file: from.File, offset: from.Offset}
}

// place gives where the line under way begins.
func (s *logStream) place() logs.Place {
	pending := int64(s.lines.Pending())
	if pending <= s.offset {
		return logs.Place{File: s.file, Offset: s.offset - pending}
	}
	return logs.Place{File: s.file - 1, Offset: max(0, s.before-(pending-s.offset))}
}

// errEnded says that a stream has ended and all of it is read.
var errEnded = errors.New("the output has ended")

// follow reads on until the end, over all breaks.
func (s *logStream) follow(ctx context.Context) error {
	pause := minBackoff
	for {
		at := logs.Place{File: s.file, Offset: s.offset}
		last := s.isEnd() // what is read from now on is all
		err := s.read(ctx, !last)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errEnded), err == nil && last, last && dynomad.KindOf(err) == dynomad.NotFound:
			s.flush()
			return nil
		case last && time.Since(s.ending) > s.times.giveUp:
			return err
		}
		if at != (logs.Place{File: s.file, Offset: s.offset}) {
			pause = minBackoff
		}
		s.log.Debug("a stream of a dyno's output broke off, will go on", "alloc_id", s.Alloc, "stream", s.kind, "error", err, "pause", pause)
		sleep(ctx, pause/2+rand.N(pause/2)) //nolint:gosec // jitter, no secret
		pause = min(2*pause, maxLogBackoff)
	}
}

// isEnd reports whether nothing is written any more, and notes since when.
func (s *logStream) isEnd() bool {
	select {
	case <-s.end:
		if s.ending.IsZero() {
			s.ending = time.Now()
		}
		return true
	default:
		return false
	}
}

// read reads from where the stream is. If it follows, it reads until something breaks, or errEnded; else to the present end.
func (s *logStream) read(ctx context.Context, follow bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A half-open connection gives no error, only silence.
	silence := time.AfterFunc(s.times.silence, cancel)
	defer silence.Stop()
	body, err := s.open(ctx, follow)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	s.heard = time.Now()
	for dec := json.NewDecoder(body); ; {
		var frame api.StreamFrame
		switch err := dec.Decode(&frame); {
		case errors.Is(err, io.EOF) && !follow:
			return nil
		case err != nil:
			return fmt.Errorf("reading the output of a dyno: %w", err)
		}
		silence.Reset(s.times.silence)
		s.take(frame)
		if follow && s.isEnd() && s.isQuiet() {
			return errEnded
		}
	}
}

// isQuiet reports whether nothing has come for a while since the end was told. What a process wrote last may take some time to reach
// its file; heartbeats have it asked each second.
func (s *logStream) isQuiet() bool {
	return time.Since(s.heard) > s.times.quiet && time.Since(s.ending) > s.times.quiet
}

// open opens the stream where it was left. Nomad counts from the beginning of the oldest file, which may be removed meanwhile: so
// it is looked again which one that is when the stream is open.
func (s *logStream) open(ctx context.Context, follow bool) (io.ReadCloser, error) {
	if s.file == 0 && s.offset == 0 {
		return s.request(ctx, 0, follow)
	}
	const tries = 3
	for range tries {
		all, err := s.client.logFiles(ctx, s.Output)
		if err != nil {
			return nil, err
		}
		files := filesOf(all, s.Task, s.kind)
		from, ok := offsetIn(files, s.file, s.offset)
		if !ok {
			s.skip(files[0].number)
		}
		body, err := s.request(ctx, from, follow)
		if err != nil {
			return nil, err
		}
		if all, err = s.client.logFiles(ctx, s.Output); err == nil {
			again := filesOf(all, s.Task, s.kind)
			if len(files) == 0 || len(again) > 0 && again[0].number == files[0].number {
				return body, nil
			}
			err = errors.New("the files of a dyno's output change too fast")
		}
		_ = body.Close()
		if ctx.Err() != nil {
			return nil, err
		}
	}
	return nil, errors.New("the files of a dyno's output change too fast")
}

// skip goes to the beginning of a later file: what is in between is gone.
func (s *logStream) skip(file int64) {
	s.flush()
	s.file, s.offset = file, 0
	if s.missed != nil {
		s.missed("Lines are missing here: Nomad has removed them before they were read.")
	}
}

// request asks Nomad for the stream. The answer begins with the first frame or heartbeat.
func (s *logStream) request(ctx context.Context, from int64, follow bool) (io.ReadCloser, error) {
	params := url.Values{
		"task": {s.Task}, "type": {s.kind}, "origin": {"start"}, "offset": {strconv.FormatInt(from, 10)}, "follow": {strconv.FormatBool(follow)},
	}
	q := (&api.QueryOptions{Namespace: s.client.in(s.Namespace)}).WithContext(ctx)
	body, err := s.client.api.Raw().Response("/v1/client/fs/logs/"+url.PathEscape(s.Alloc)+"?"+params.Encode(), q)
	return body, translate("reading the output of a dyno", err)
}

// take takes a frame.
func (s *logStream) take(frame api.StreamFrame) {
	if len(frame.Data) == 0 {
		return
	}
	if _, file, ok := logFileName(frame.File); ok && file != s.file {
		if file > s.file+1 || s.offset == 0 { // the file that was to come is gone
			s.skip(file)
		}
		s.before = s.offset
		s.file, s.offset = file, 0
	}
	s.heard = time.Now()
	s.offset += int64(len(frame.Data))
	s.lineUp(func(emit func(string)) { s.lines.Write(frame.Data, emit) })
}

// flush gives out the line under way.
func (s *logStream) flush() { s.lineUp(s.lines.Flush) }

func (s *logStream) lineUp(write func(emit func(string))) {
	var lines []logs.Line
	now := s.now()
	write(func(text string) { lines = append(lines, logs.Line{At: now, Text: text}) })
	if len(lines) > 0 {
		s.emit(lines, s.place())
	}
}

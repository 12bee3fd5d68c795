package nomad

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs/logs"
)

// The streams of a dyno's output.
const (
	stdout = "stdout"
	stderr = "stderr"
)

// Logs reads what dynos write, out of the files in which Nomad's clients keep it. It implements logs.Outputs.
type Logs struct {
	client *Client
	log    hclog.Logger
	times  logTimes
}

// logTimes bound the reading of logs. Nomad sends a heartbeat each second on a quiet stream.
type logTimes struct {
	silence time.Duration // the longest that Nomad may be silent
	quiet   time.Duration // a dyno that has ended has said all when nothing has come for so long
	giveUp  time.Duration // after its end an output that cannot be read is tried for so long
}

// NewLogs makes a Logs.
func NewLogs(client *Client, log hclog.Logger) *Logs {
	return &Logs{client: client, log: log, times: logTimes{silence: 15 * time.Second, quiet: 2 * time.Second, giveUp: 30 * time.Second}}
}

// Follow implements logs.Outputs. Each stream is followed by itself, on a connection of its own.
func (l *Logs) Follow(ctx context.Context, f logs.Follow) error {
	var mu sync.Mutex
	position := f.From
	emit := func(place *logs.Place, lines []logs.Line, at logs.Place) {
		mu.Lock()
		defer mu.Unlock()
		*place = at
		f.Emit(lines, position)
	}
	missed := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		f.Missed(text)
	}
	var errs [2]error
	var both sync.WaitGroup
	for i, place := range []*logs.Place{&position.Stdout, &position.Stderr} {
		s := l.stream(f.Output, []string{stdout, stderr}[i], *place)
		s.end, s.missed = f.End, missed
		s.emit = func(lines []logs.Line, at logs.Place) { emit(place, lines, at) }
		both.Go(func() { errs[i] = s.follow(ctx) })
	}
	both.Wait()
	return errors.Join(errs[:]...)
}

// How much of each stream's end is read to find its last lines.
const (
	minTail = 16 << 10
	maxTail = 256 << 10
	perLine = 200
)

// Tail implements logs.Outputs. Nomad keeps no times: a line is given the time at which the file that it is in was last written to.
func (l *Logs) Tail(ctx context.Context, o logs.Output, lines int) ([]logs.Line, logs.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	all, err := l.client.logFiles(ctx, o)
	if err != nil {
		if dynomad.KindOf(err) == dynomad.NotFound && !o.Ended {
			err = nil // it has not started yet
		}
		return nil, logs.Position{}, err
	}
	out, at, err := l.tail(ctx, l.stream(o, stdout, logs.Place{}), all, lines)
	if err != nil {
		return nil, logs.Position{}, err
	}
	other, otherAt, err := l.tail(ctx, l.stream(o, stderr, logs.Place{}), all, lines)
	if err != nil {
		return nil, logs.Position{}, err
	}
	out = append(out, other...)
	slices.SortStableFunc(out, func(a, b logs.Line) int { return a.At.Compare(b.At) })
	return out, logs.Position{Stdout: at, Stderr: otherAt}, nil
}

// tail reads the last lines of one stream.
func (l *Logs) tail(ctx context.Context, s *logStream, all []logFile, lines int) ([]logs.Line, logs.Place, error) {
	files := filesOf(all, s.Task, s.kind)
	if len(files) == 0 {
		return nil, logs.Place{}, nil
	}
	want := min(max(int64(lines)*perLine, minTail), maxTail)
	var inside bool // of a line, perhaps
	s.file, s.offset, inside = backFrom(files, want)
	var got []logs.Line
	s.now = func() time.Time { return modified(files, s.file) }
	s.emit = func(lines []logs.Line, _ logs.Place) { got = append(got, lines...) }
	if err := s.read(ctx, false); err != nil {
		return nil, logs.Place{}, err
	}
	if s.Ended {
		s.flush()
	}
	if inside && len(got) > 0 {
		got = got[1:]
	}
	return got[max(0, len(got)-lines):], s.place(), nil
}

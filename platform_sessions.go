package dynomad

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ConnectTime is how long the client of an attached dyno has to connect to it.
const ConnectTime = time.Minute

// How often a session that waits for its dyno looks at it, how often dynos without a client are looked for, how long the record of a dyno
// that has ended by itself may take to appear, and how long recording an end may take, that wait included.
const (
	lookInterval  = 200 * time.Millisecond
	strayInterval = 5 * time.Second
	endedTime     = 3 * time.Second
	recordTime    = 6 * time.Second
)

// sessions are the attached dynos that have a client now, or had one whose command runs on without it.
type sessions struct {
	began time.Time // the clients of dynos from before that are gone

	mu   sync.Mutex
	open map[string]bool // by the run's id
}

func newSessions(now time.Time) *sessions { return &sessions{began: now, open: map[string]bool{}} }

// enter notes that a run has a client; leave undoes it. A run has one at most.
func (s *sessions) enter(runID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[runID] {
		return false
	}
	s.open[runID] = true
	return true
}

func (s *sessions) leave(runID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, runID)
}

// strays gives those of the attached dynos under way that have no client, and for how long they would have had time to get one.
func (s *sessions) strays(runs []Run, now time.Time) []Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	var strays []Run
	for _, r := range runs {
		if !s.open[r.ID] && (r.CreatedAt.Before(s.began) || now.Sub(r.CreatedAt) > ConnectTime) {
			strays = append(strays, r)
		}
	}
	return strays
}

// Talk connects a client with the command of an attached dyno: it waits until the dyno runs, telling progress what it does until then,
// starts the command and gives its exit code. The dyno ends with the command, with its time to live, and with ctx, whose cause may be an
// Error that says why.
func (p *Platform) Talk(ctx context.Context, appID, runID string, terminal Terminal, progress func(Dyno)) (int, error) {
	if !p.sessions.enter(runID) {
		return 0, Errorf(Conflict, "The dyno has a client already.")
	}
	defer p.sessions.leave(runID)
	_, run, err := p.openRun(ctx, appID, runID)
	if err != nil {
		return 0, err
	}
	if !run.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, run.Deadline.Sub(p.Now()), Errorf(Timeout, "%s", run.TimeIsOver()))
		defer cancel()
	}
	talking, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	// Why it ends is recorded first, or the container's end would seem to be one of its own.
	defer context.AfterFunc(ctx, func() {
		why := reasonOf(context.Cause(ctx))
		end(errors.Join(why, p.stopTalk(talking, run, why.Message)))
	})()
	code, err := p.talk(talking, run, terminal, progress)
	return code, p.endTalk(context.WithoutCancel(ctx), run, code, err)
}

// reasonOf gives why a session is ended by its client's side.
func reasonOf(cause error) *Error {
	var e *Error
	if errors.As(cause, &e) {
		return e
	}
	return Wrap(Canceled, cause, "Its client's connection was lost.")
}

func (p *Platform) talk(ctx context.Context, run Run, terminal Terminal, progress func(Dyno)) (int, error) {
	command, err := run.words()
	if err != nil {
		return 0, err
	}
	app, dyno, err := p.awaitDyno(ctx, run, progress)
	if err != nil {
		return 0, err
	}
	return p.exec.Talk(ctx, Session{App: app, Dyno: dyno.Name, AllocID: dyno.AllocID, Command: command, Terminal: terminal})
}

// words are the words of the run's command.
func (r Run) words() ([]string, error) {
	switch {
	case r.Command == nil:
		return nil, Invalidf("command", "A command is needed.")
	case r.Shell:
		return []string{"/bin/sh", "-c", *r.Command}, nil
	}
	return SplitCommand("command", *r.Command)
}

// openRun gives a run that is to have a client. It is a Conflict if it has ended or is to end.
func (p *Platform) openRun(ctx context.Context, appID, runID string) (AppState, Run, error) {
	s, err := p.apps.AppState(ctx, appID)
	if err != nil {
		return AppState{}, Run{}, err
	}
	run, ok := s.Run(runID)
	switch {
	case !ok:
		return AppState{}, Run{}, Errorf(NotFound, "The dyno does not exist any more.")
	case run.Ended != nil:
		return AppState{}, Run{}, Errorf(Conflict, "The dyno %s has ended. %s", run.Name(), run.Ended.Info)
	case run.StopReason != "":
		return AppState{}, Run{}, Errorf(Conflict, "The dyno %s was ended. %s", run.Name(), run.StopReason)
	}
	return s, run, nil
}

// awaitDyno waits until a run's dyno runs.
func (p *Platform) awaitDyno(ctx context.Context, run Run, progress func(Dyno)) (App, Dyno, error) {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	var told Dyno
	for {
		s, _, err := p.openRun(ctx, run.AppID, run.ID)
		if err != nil {
			return App{}, Dyno{}, err
		}
		d, ok := FindDyno(p.view.Dynos(s, p.Now()).Dynos, run.ID)
		if ok && d.State == StateRunning && d.AllocID != "" {
			return s.App, d, nil
		}
		if ok && (d.State != told.State || d.AdditionalInfo != told.AdditionalInfo) {
			told = d
			progress(d)
		}
		select {
		case <-ctx.Done():
			return App{}, Dyno{}, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// endTalk records how a session has ended, and gives what the client is told. If the dyno was ended from outside, its command did not end
// by itself, whatever its exit code says.
func (p *Platform) endTalk(ctx context.Context, run Run, code int, err error) error {
	ctx, cancel := context.WithTimeout(ctx, recordTime)
	defer cancel()
	s, _, stopped := p.openRun(ctx, run.AppID, run.ID)
	if stopped == nil && errors.Is(err, ErrDynoEnded) {
		stopped = p.awaitEnd(ctx, run)
	}
	switch {
	case stopped != nil:
		return stopped
	case err != nil:
		return errors.Join(err, p.stopTalk(ctx, run, reasonOf(err).Message))
	}
	end := RunEnd{At: p.Now(), State: StateStopped, ExitCode: &code, Info: fmt.Sprintf("Its command ended with exit code %d.", code)}
	if d, ok := FindDyno(p.view.Dynos(s, p.Now()).Dynos, run.ID); ok {
		end.Node, end.AllocID = d.Node, d.AllocID
	}
	change := p.announce(ctx, run.AppID)
	err = p.runs.EndRun(ctx, run.AppID, run.ID, end)
	p.wakeAfter(ctx, change)
	return err
}

// awaitEnd waits a moment for the record of how a dyno has ended that a session found ended: what it says of the reason is more than
// the session knows. A holder that the image cannot run, for instance, runs for an instant before it fails. It gives what openRun says of
// it then, nil if there is no record yet.
func (p *Platform) awaitEnd(ctx context.Context, run Run) error {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	late := time.NewTimer(endedTime)
	defer late.Stop()
	for {
		select {
		case <-late.C:
			return nil
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if _, _, err := p.openRun(ctx, run.AppID, run.ID); err != nil {
			return err
		}
	}
}

// stopTalk has a dyno ended that has lost its client, or never had one.
func (p *Platform) stopTalk(ctx context.Context, run Run, reason string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	change := p.announce(ctx, run.AppID)
	err := p.runs.StopRun(ctx, run.AppID, run.ID, reason, p.audit(ctx, "dyno.stop", "Stopped "+run.Name()+". "+reason))
	p.wakeAfter(ctx, change)
	return err
}

// EndStrays ends attached dynos that have no client and will have none, until ctx ends: nobody connected in time, or the daemon that had
// the connection is gone. trouble is told of what went wrong.
func (p *Platform) EndStrays(ctx context.Context, trouble func(error)) {
	tick := time.NewTicker(strayInterval)
	defer tick.Stop()
	for {
		if err := p.endStrays(ctx); err != nil && ctx.Err() == nil {
			trouble(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *Platform) endStrays(ctx context.Context) error {
	runs, err := p.runs.AttachedRuns(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range p.sessions.strays(runs, p.Now()) {
		reason := fmt.Sprintf("No client connected to it within %.0f s.", ConnectTime.Seconds())
		if r.CreatedAt.Before(p.sessions.began) {
			reason = "The daemon was started anew, and its client lost the connection."
		}
		errs = append(errs, p.stopTalk(ctx, r, reason))
	}
	return errors.Join(errs...)
}

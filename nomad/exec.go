package nomad

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
)

// maxExecs is how many scripts run at once. Each takes a connection, of which a Nomad agent allows one client 100
// (limits.http_max_conns_per_client), and may take disk for its output.
const maxExecs = 16

// How long it may take to end a script, and how long one that has said all may take to go.
const (
	endTime    = 10 * time.Second
	settleTime = 2 * time.Second
)

// Executor runs scripts in dynos, and commands that clients talk with.
type Executor struct {
	client *Client
	log    hclog.Logger
	slots  chan struct{} // of scripts
	talks  chan struct{} // of sessions
	limits spoolLimits
}

// NewExecutor makes an Executor. Its log has what was run where, and never input or output.
func NewExecutor(client *Client, log hclog.Logger) *Executor {
	return &Executor{
		client: client, log: log, slots: make(chan struct{}, maxExecs), talks: make(chan struct{}, maxTalks),
		limits: spoolLimits{memory: maxMemory, total: maxSpool},
	}
}

// logFor gives a logger whose lines have these keys, and the id of the request that they are for.
func (e *Executor) logFor(ctx context.Context, args ...any) hclog.Logger {
	if id := dynomad.RequestIDFrom(ctx); id != "" {
		args = append(args, "request_id", id)
	}
	return e.log.With(args...)
}

// Exec runs a script in a dyno. If ctx ends first, or the output gets too long, the script's processes are ended before Exec
// returns: to drop the connection would leave them running.
func (e *Executor) Exec(ctx context.Context, in dynomad.Exec) (dynomad.Executed, error) {
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	default:
		return dynomad.Executed{}, unavailable(nil, "Too many commands are running in dynos.")
	}
	log := e.logFor(ctx, "app", in.App.Name, "release", in.Dyno.ReleaseVersion, "dyno", in.Dyno.Name, "type", in.Dyno.Type, "command", in.Name)
	log.Info("running a command in a dyno")
	start := time.Now()
	done, err := e.exec(ctx, in)
	took := time.Since(start).Round(time.Millisecond)
	if err != nil {
		log.Warn("a command in a dyno did not end well", "duration", took, "error", err)
		return dynomad.Executed{}, err
	}
	log.Info("a command in a dyno has ended", "duration", took, "exit_code", done.ExitCode)
	return done, nil
}

func (e *Executor) exec(ctx context.Context, in dynomad.Exec) (dynomad.Executed, error) {
	at, err := e.client.place(ctx, in.App.NomadNamespace, in.Dyno.AllocID, in.Dyno.Name)
	if err != nil {
		return dynomad.Executed{}, err
	}
	for try := 1; ; try++ {
		done, err := e.try(ctx, at, in)
		if try == maxTries || !errors.Is(err, errNotStarted) {
			return done, err
		}
	}
}

// errNotStarted says that Nomad dropped a script before it began.
var errNotStarted = errors.New("nomad took the process for ended before it had started")

// maxTries is how often a script is started that Nomad drops.
const maxTries = 5

// try runs a script in a process.
func (e *Executor) try(ctx context.Context, at place, in dynomad.Exec) (dynomad.Executed, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	out := newOutput(e.limits, in.Encode, fail)
	s := e.start(context.WithoutCancel(ctx), at, in, out)
	defer s.drop()
	select {
	case <-s.ended:
	case <-out.complete:
		select {
		case <-s.ended:
		case <-time.After(settleTime):
		}
	case <-ctx.Done():
		err := e.end(context.WithoutCancel(ctx), at, s)
		out.discard()
		return dynomad.Executed{}, e.cutOff(ctx, in, err)
	}
	code, err := e.exitCode(ctx, at, s)
	if err != nil {
		out.discard()
		return dynomad.Executed{}, err
	}
	return out.executed(code)
}

// cutOff words why a script was ended; the cause has what went wrong with ending it.
func (e *Executor) cutOff(ctx context.Context, in dynomad.Exec, ending error) error {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, errTooLong):
		return dynomad.Wrap(dynomad.Conflict, ending, "The command was ended: its output is longer than %d MiB.", e.limits.total>>20)
	case errors.Is(cause, context.DeadlineExceeded):
		return dynomad.Wrap(dynomad.Timeout, ending, "The command was ended: it took longer than %.0f s.", dynomad.AttachTime.Seconds())
	case errors.Is(cause, context.Canceled):
		return dynomad.Wrap(dynomad.Canceled, ending, "Cut off while running a command in %s.", in.Dyno.Name)
	}
	return unavailable(errors.Join(cause, ending), "The command was ended: its output could not be kept.")
}

// place is where a script runs.
type place struct {
	alloc   *api.Allocation
	task    string
	started time.Time // when the task's present process started
}

// place finds the process of a dyno. It is a Conflict if there is none.
func (c *Client) place(ctx context.Context, namespace, allocID, dyno string) (place, error) {
	q, done := c.query(ctx, namespace)
	defer done()
	alloc, _, err := c.api.Allocations().Info(allocID, q)
	err = translate("looking for a dyno", err)
	if err != nil && dynomad.KindOf(err) != dynomad.NotFound {
		return place{}, err
	}
	if err == nil && alloc.ClientStatus == api.AllocClientStatusRunning {
		// A dyno's task has the name of its group.
		if state := alloc.TaskStates[alloc.TaskGroup]; state != nil && state.State == "running" {
			return place{alloc: alloc, task: alloc.TaskGroup, started: state.StartedAt}, nil
		}
	}
	return place{}, dynomad.Wrap(dynomad.Conflict, errors.Join(dynomad.ErrDynoEnded, err), "The dyno %s is not running any more.", dyno)
}

// killedCode is the exit code of a process that SIGKILL has ended.
const killedCode = 128 + 9

// exitCode finds how a script has ended. What the wrapper wrote counts most: nothing ended it from outside. If nothing tells,
// the container may have ended under the script, and the kernel then killed it.
func (e *Executor) exitCode(ctx context.Context, at place, s *session) (int, error) {
	if code, ok := s.out.code(); ok {
		return code, nil
	}
	begun := s.out.hasBegun()
	switch {
	case s.err == nil && begun: // something else has ended the shell: it cleaned nothing up
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
		defer cancel()
		_, _ = e.sweep(ctx, at, s) // fails if the whole container has ended
		return s.code, nil
	case s.err == nil && s.code == 0:
		return 0, unavailable(errNotStarted, "The command could not be started.")
	}
	gone := !e.client.sameProcess(ctx, at)
	switch {
	case gone && begun:
		return killedCode, nil
	case gone:
		return 0, dynomad.Wrap(dynomad.Conflict, s.err, "The dyno is not running any more.")
	case s.err == nil: // Docker's own complaint: there is no shell
		return s.code, nil
	case !begun:
		return 0, unavailable(s.err, "The command could not be started.")
	}
	ending := e.end(context.WithoutCancel(ctx), at, s)
	return 0, unavailable(errors.Join(s.err, ending), "The command's exit code did not arrive.")
}

// sameProcess reports whether the process of a dyno is still the one that it was. It looks for a while: a client tells its
// servers of what has ended with a delay.
func (c *Client) sameProcess(ctx context.Context, at place) bool {
	for range 10 {
		q, done := c.query(ctx, at.alloc.Namespace)
		now, _, err := c.api.Allocations().Info(at.alloc.ID, q)
		done()
		if err != nil {
			return dynomad.KindOf(translate("looking for a dyno", err)) != dynomad.NotFound
		}
		state := now.TaskStates[at.task]
		if state == nil || state.State != "running" || !state.StartedAt.Equal(at.started) {
			return false
		}
		select {
		case <-ctx.Done():
			return true
		case <-time.After(200 * time.Millisecond):
		}
	}
	return true
}

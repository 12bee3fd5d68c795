package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// A run goes through these steps, each recorded before or after it is taken so that a daemon that is killed at any point goes on:
//
//	recorded ──> registered ──> placed ──────────> started ─────> ended ──> removed
//	             its job is     one allocation is  the variable             no longer listed,
//	             in Nomad       recorded, and its  is removed               its job is purged
//	                            variable written
//
// The job is registered only where there is none of its name, so once. Its allocations wait for a variable with their own id in its
// path. That is written for the one that is recorded and for no other, so however often Nomad places the job, it runs once. And it is
// removed as soon as the process is up: a node that lost the process, as when it was started anew, would start it again otherwise.

// runsAtOnce is how many runs of one app are seen to at a time.
const runsAtOnce = 4

// runTarget is one run in one pass.
type runTarget struct {
	dynomad.Run
	app       dynomad.App
	deleted   bool // the app
	settings  jobs.Settings
	namespace string
	jobID     string
	request   string // as of target
}

// passRuns makes one look at an app's runs and does what they need. It gives when to look again by itself, 0 for not until woken, and
// how many runs there were. The trouble of one run stops no other; the first is the pass's.
func (l *Loop) passRuns(ctx context.Context, appID string) (again time.Duration, runs int, err error) {
	wanted, err := l.Desired.AppRuns(ctx, appID)
	if dynomad.KindOf(err) == dynomad.NotFound {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("reading what is to run once: %w", err)
	}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(runsAtOnce)
	for _, run := range wanted.Runs {
		g.Go(func() error {
			t := l.runTarget(wanted, run)
			pause, err := l.seeTo(ctx, &t)
			mu.Lock()
			defer mu.Unlock()
			again = soonest(again, pause)
			return err
		})
	}
	err = g.Wait()
	if wanted.Deleted {
		l.apps.wakeAt(appID, time.Now()) // it may have waited for these
	}
	return again, len(wanted.Runs), err
}

func (l *Loop) runTarget(wanted dynomad.AppRuns, run dynomad.Run) runTarget {
	settings := l.Settings()
	return runTarget{
		Run: run, app: wanted.App, deleted: wanted.Deleted, settings: settings, namespace: cmp.Or(wanted.App.NomadNamespace, settings.Namespace),
		jobID: jobs.RunJobID(wanted.App, run), request: l.runs.request(wanted.App.ID),
	}
}

// ownJob asks Nomad for the run's job; own is false if there is none, or the one of its name is somebody else's.
func (l *Loop) ownJob(ctx context.Context, t *runTarget) (info jobs.JobInfo, own bool, err error) {
	info, ok, err := l.Cluster.Job(ctx, t.namespace, t.jobID)
	return info, ok && info.RunID == t.ID, err
}

// seeTo does what one run needs now.
func (l *Loop) seeTo(ctx context.Context, t *runTarget) (time.Duration, error) {
	if t.Ended != nil {
		return l.tidy(ctx, t)
	}
	if err := l.expire(ctx, t); err != nil {
		return 0, err
	}
	if !t.Registered {
		if err := l.registerRun(ctx, t); err != nil {
			return l.untilDeadline(t), err
		}
	}
	if t.Ended == nil {
		again, err := l.followRun(ctx, t)
		if err != nil || t.Ended == nil {
			return soonest(again, l.untilDeadline(t)), err
		}
	}
	return l.tidy(ctx, t)
}

// expire has a run end whose time to live is over.
func (l *Loop) expire(ctx context.Context, t *runTarget) error {
	if t.Deadline.IsZero() || t.StopReason != "" || l.Now().Before(t.Deadline) {
		return nil
	}
	t.StopReason = t.TimeIsOver()
	audit := l.signed([]dynomad.Audit{{Action: "dyno.stop", Details: fmt.Sprintf("Stopped %s. %s", t.Name(), t.StopReason)}})[0]
	if err := l.Desired.StopRun(ctx, t.app.ID, t.ID, t.StopReason, audit); err != nil {
		return fmt.Errorf("recording that a run's time is over: %w", err)
	}
	return nil
}

// untilDeadline gives the time that a run has left; 0 if it has all, or none.
func (l *Loop) untilDeadline(t *runTarget) time.Duration {
	if t.Deadline.IsZero() || t.StopReason != "" {
		return 0
	}
	return max(t.Deadline.Sub(l.Now()), time.Millisecond)
}

// registerRun gives the run its job. One that is there already is its own from before the daemon was killed, or somebody else's.
func (l *Loop) registerRun(ctx context.Context, t *runTarget) error {
	if t.StopReason != "" || t.deleted {
		_, own, err := l.ownJob(ctx, t)
		switch {
		case err != nil:
			return err
		case !own:
			return l.endRun(ctx, t, dynomad.RunEnd{State: dynomad.StateStopped, Info: t.StopReason})
		}
		return l.registered(ctx, t)
	}
	if late := l.Now().Sub(t.Scheduled); !t.Scheduled.IsZero() && late > dynomad.SlotLate {
		return l.missRun(ctx, t)
	}
	job, err := jobs.RunSpec(jobs.RunInput{Settings: t.settings, App: t.app, Run: t.Run})
	if err != nil {
		return l.endRun(ctx, t, dynomad.RunEnd{State: dynomad.StateStartFailure, Info: fmt.Sprintf("It cannot be run: %s.", err)})
	}
	if err := l.putRunConfig(ctx, t); err != nil {
		return err
	}
	if err := l.registerOnce(ctx, t, job); err != nil || t.Ended != nil {
		return err
	}
	return l.registered(ctx, t)
}

// missRun ends a run of a schedule that could not be registered in time. Nomad may have its job all the same: then it is run.
func (l *Loop) missRun(ctx context.Context, t *runTarget) error {
	_, own, err := l.ownJob(ctx, t)
	switch {
	case err != nil:
		return err
	case own:
		return l.registered(ctx, t)
	}
	why := fmt.Sprintf("It was due at %s and could not be started within %s.", t.Scheduled.Format(time.RFC3339), dynomad.SlotLate)
	audit := dynomad.Audit{Action: "schedule.missed", Details: fmt.Sprintf("Missed %s. %s", t.Name(), why)}
	return l.endRun(ctx, t, dynomad.RunEnd{State: dynomad.StateStartFailure, Info: why}, audit)
}

// registerOnce registers a job where there is none of its name.
func (l *Loop) registerOnce(ctx context.Context, t *runTarget, job *api.Job) error {
	_, err := l.Cluster.Register(ctx, job, 0)
	switch dynomad.KindOf(err) {
	case dynomad.Invalid:
		return l.endRun(ctx, t, dynomad.RunEnd{State: dynomad.StateStartFailure, Info: "It could not start: " + err.Error()})
	case dynomad.Conflict:
	default:
		return err
	}
	info, ok, jobErr := l.Cluster.Job(ctx, t.namespace, t.jobID)
	switch {
	case jobErr != nil:
		return jobErr
	case !ok:
		return err // it went meanwhile: once more
	case info.RunID != t.ID:
		return l.endRun(ctx, t, dynomad.RunEnd{
			State: dynomad.StateStartFailure, Info: fmt.Sprintf("It could not start: a job named %s exists on Nomad that is not its own.", t.jobID),
		})
	}
	return nil
}

func (l *Loop) registered(ctx context.Context, t *runTarget) error {
	if err := l.Desired.RunRegistered(ctx, t.app.ID, t.ID); err != nil {
		return fmt.Errorf("recording that a run is registered: %w", err)
	}
	t.Registered = true
	l.logRun(t).Info("registered run", "job_id", t.jobID)
	return nil
}

// putRunConfig writes the variable with the config vars of the run's release, unless it is there.
func (l *Loop) putRunConfig(ctx context.Context, t *runTarget) error {
	path := jobs.ConfigPath(t.app.Name, t.ConfigID)
	if there, fresh := l.Live.Variable(t.namespace, path); there && fresh {
		return nil
	}
	vars, err := l.Desired.ConfigVars(ctx, t.ConfigID)
	if err != nil {
		return fmt.Errorf("reading a run's config vars: %w", err)
	}
	return l.writeConfig(ctx, t.namespace, t.app, t.ConfigID, vars)
}

package reconcile

import (
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
	t := runTarget{
		Run: run, app: wanted.App, deleted: wanted.Deleted, settings: l.Settings(), namespace: wanted.App.NomadNamespace,
		jobID: jobs.RunJobID(wanted.App, run),
	}
	if t.namespace == "" {
		t.namespace = t.settings.Namespace
	}
	return t
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
		info, ok, err := l.Cluster.Job(ctx, t.namespace, t.jobID)
		switch {
		case err != nil:
			return err
		case !ok || info.RunID != t.ID:
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
	info, ok, err := l.Cluster.Job(ctx, t.namespace, t.jobID)
	switch {
	case err != nil:
		return err
	case ok && info.RunID == t.ID:
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
	l.Log.Info("registered run", "app", t.app.Name, "run", t.Name(), "job_id", t.jobID)
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
	if err := l.Desired.ConfigWritten(ctx, t.app.ID, t.ConfigID); err != nil {
		return fmt.Errorf("recording a config version: %w", err)
	}
	return l.Cluster.PutVariable(ctx, t.namespace, path, jobs.ConfigItems(t.app, vars))
}

// followRun looks what has become of a run that is registered.
func (l *Loop) followRun(ctx context.Context, t *runTarget) (time.Duration, error) {
	sight, fresh := l.Live.Run(t.app, t.Run)
	if !fresh {
		return 0, nil
	}
	a, ok := sight.Alloc(t.Run)
	view := l.runView(t, sight)
	end, lost := jobs.RunLost(view, a)
	switch {
	case ok && a.Ended():
		return 0, l.endRun(ctx, t, jobs.RunEnding(view, a))
	case ok && lost:
		return 0, l.endRun(ctx, t, end)
	case !sight.Exists:
		return l.vanished(ctx, t)
	case t.AllocID != "" && !ok:
		return 0, l.endRun(ctx, t, dynomad.RunEnd{State: dynomad.StateStopped, Info: "Nomad has forgotten what became of it.", AllocID: t.AllocID})
	case t.StopReason != "":
		return l.stopRun(ctx, t, sight)
	case t.AllocID == "":
		return 0, l.placeRun(ctx, t, view)
	case a.Task.Lost():
		return 0, l.endRun(ctx, t, dynomad.RunEnd{
			State: dynomad.StateStopped, Info: "Its process was lost, as when its node is started anew. It is not run again.", Node: a.NodeName, AllocID: a.ID,
		})
	case a.Task.Started != 0:
		return 0, l.revokeGrant(ctx, t)
	}
	return 0, l.keepGrant(ctx, t, a)
}

func (l *Loop) runView(t *runTarget, sight jobs.RunSight) jobs.RunView {
	settings := jobs.ViewSettings{MinHealthyTime: t.settings.MinHealthyTime, Sizes: t.settings.Sizes}
	return jobs.RunView{Settings: settings, App: t.app, Run: t.Run, Sight: sight, Now: jobs.At(l.Now())}
}

// vanished ends a run whose job somebody removed: it is not run again. The view may only be late, so Nomad is asked.
func (l *Loop) vanished(ctx context.Context, t *runTarget) (time.Duration, error) {
	info, ok, err := l.Cluster.Job(ctx, t.namespace, t.jobID)
	switch {
	case err != nil:
		return 0, err
	case ok && info.RunID == t.ID:
		return rolloutGap, nil
	}
	end := dynomad.RunEnd{State: dynomad.StateStopped, Info: "Its job was removed from Nomad by somebody else. It is not run again.", AllocID: t.AllocID}
	switch {
	case t.StopReason != "":
		end.Info = t.StopReason
	case t.AllocID == "":
		end.State = dynomad.StateStartFailure
	}
	return 0, l.endRun(ctx, t, end)
}

// stopRun ends a run's job. What was never let run has ended with it.
func (l *Loop) stopRun(ctx context.Context, t *runTarget, sight jobs.RunSight) (time.Duration, error) {
	ended := sight.Quiet()
	if !sight.Stopped {
		var err error
		if ended, err = l.stopRunJob(ctx, t); err != nil {
			return 0, err
		}
		l.Log.Info("stopping run", "app", t.app.Name, "run", t.Name(), "why", t.StopReason)
	}
	if t.AllocID == "" && ended {
		return 0, l.endRun(ctx, t, dynomad.RunEnd{State: dynomad.StateStopped, Info: t.StopReason})
	}
	return rolloutGap, nil
}

// stopRunJob ends a run's job, if there is one of it, and reports whether all its allocations have ended.
func (l *Loop) stopRunJob(ctx context.Context, t *runTarget) (ended bool, err error) {
	info, ok, err := l.Cluster.Job(ctx, t.namespace, t.jobID)
	if err != nil || !ok || info.RunID != t.ID {
		return err == nil, err
	}
	return l.Cluster.StopJob(ctx, t.namespace, t.jobID, info.ModifyIndex)
}

// placeRun lets the allocation run that Nomad has placed. It is recorded before its variable is written.
func (l *Loop) placeRun(ctx context.Context, t *runTarget, view jobs.RunView) error {
	a, ok := view.Sight.Alloc(t.Run)
	if !ok {
		return l.unplaced(ctx, t, view)
	}
	allocID, err := l.Desired.RunPlaced(ctx, t.app.ID, t.ID, a.ID)
	if err != nil {
		return fmt.Errorf("recording a run's allocation: %w", err)
	}
	t.AllocID = allocID
	return l.putGrant(ctx, t)
}

// unplaced ends a run that Nomad will not place any more.
func (l *Loop) unplaced(ctx context.Context, t *runTarget, view jobs.RunView) error {
	for _, a := range view.Sight.Allocs {
		if a.Ended() && !a.Stopping() && a.Client != api.AllocClientStatusLost {
			return l.endRun(ctx, t, jobs.RunEnding(view, a)) // it failed before it asked to run
		}
	}
	if view.Sight.Stopped && view.Sight.Quiet() {
		return l.endRun(ctx, t, dynomad.RunEnd{State: dynomad.StateStopped, Info: "Its job was stopped on Nomad by somebody else."})
	}
	return nil
}

func (l *Loop) putGrant(ctx context.Context, t *runTarget) error {
	return l.Cluster.PutVariable(ctx, t.namespace, jobs.GrantPath(t.app, t.Run, t.AllocID), jobs.ConfigItems(t.app, t.Env))
}

// keepGrant puts variables back that the run waits for and that are not there: somebody deleted them, or the daemon was killed before
// it wrote them.
func (l *Loop) keepGrant(ctx context.Context, t *runTarget, a jobs.Alloc) error {
	if a.Client != api.AllocClientStatusPending {
		return nil
	}
	if err := l.putRunConfig(ctx, t); err != nil {
		return err
	}
	if there, fresh := l.Live.Variable(t.namespace, jobs.GrantPath(t.app, t.Run, t.AllocID)); there && fresh {
		return nil
	}
	return l.putGrant(ctx, t)
}

// revokeGrant removes the variable that let a run start, once it has.
func (l *Loop) revokeGrant(ctx context.Context, t *runTarget) error {
	l.mu.Lock()
	revoked := l.revoked[t.ID]
	l.mu.Unlock()
	if revoked {
		return nil
	}
	if err := l.Cluster.DeleteVariable(ctx, t.namespace, jobs.GrantPath(t.app, t.Run, t.AllocID)); err != nil {
		return err
	}
	l.mu.Lock()
	l.revoked[t.ID] = true
	l.mu.Unlock()
	return nil
}

// endRun records what became of a run.
func (l *Loop) endRun(ctx context.Context, t *runTarget, end dynomad.RunEnd, audits ...dynomad.Audit) error {
	if end.At.IsZero() {
		end.At = l.Now()
	}
	if err := l.Desired.EndRun(ctx, t.app.ID, t.ID, end, l.signed(audits)...); err != nil {
		return fmt.Errorf("recording a run's end: %w", err)
	}
	t.Ended = &end
	l.mu.Lock()
	delete(l.revoked, t.ID)
	l.mu.Unlock()
	l.Log.Info("run ended", "app", t.app.Name, "run", t.Name(), "state", end.State, "info", end.Info)
	return nil
}

// tidy sees to what is left of a run that has ended: nothing of it may start any more, and when it is no longer listed its job goes.
func (l *Loop) tidy(ctx context.Context, t *runTarget) (time.Duration, error) {
	sight, fresh := l.Live.Run(t.app, t.Run)
	if !fresh {
		return 0, nil
	}
	waits := t.Ended.At.Add(dynomad.RunListed).Sub(l.Now())
	if waits <= 0 || t.deleted {
		return l.removeRun(ctx, t, sight)
	}
	if idle := len(sight.Allocs) > 0 && sight.Quiet(); sight.Exists && !sight.Stopped && !idle {
		if _, err := l.stopRunJob(ctx, t); err != nil {
			return 0, err
		}
	}
	return waits, nil
}

// removeRun purges a run's job a while after its last allocation has ended (see nomad.Client.Purge), and then its variable.
func (l *Loop) removeRun(ctx context.Context, t *runTarget, sight jobs.RunSight) (time.Duration, error) {
	info, ok, err := l.Cluster.Job(ctx, t.namespace, t.jobID)
	if err != nil {
		return 0, err
	}
	if ok && info.RunID == t.ID {
		ended, err := l.Cluster.StopJob(ctx, t.namespace, t.jobID, info.ModifyIndex)
		if err != nil {
			return 0, err
		}
		quiet := ended && sight.Quiet()
		if !l.endedSince(t.ID, quiet, purgeDelay) {
			if quiet {
				return purgeDelay, nil
			}
			return Interval, nil // the view tells when it has ended
		}
		if err := l.Cluster.Purge(ctx, t.namespace, t.jobID, info.ModifyIndex); err != nil {
			return 0, err
		}
	}
	if t.AllocID != "" {
		if err := l.Cluster.DeleteVariable(ctx, t.namespace, jobs.GrantPath(t.app, t.Run, t.AllocID)); err != nil {
			return 0, err
		}
	}
	if err := l.Desired.RunRemoved(ctx, t.app.ID, t.ID); err != nil {
		return 0, fmt.Errorf("recording that a run is removed: %w", err)
	}
	l.Log.Debug("removed run", "app", t.app.Name, "run", t.Name())
	return 0, nil
}

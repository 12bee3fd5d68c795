package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

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
		return l.placeRun(ctx, t, view)
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
	_, own, err := l.ownJob(ctx, t)
	switch {
	case err != nil:
		return 0, err
	case own:
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
		l.logRun(t).Info("stopping run", "why", t.StopReason)
	}
	if t.AllocID == "" && ended {
		return 0, l.endRun(ctx, t, dynomad.RunEnd{State: dynomad.StateStopped, Info: t.StopReason})
	}
	return rolloutGap, nil
}

// stopRunJob ends a run's job, if there is one of it, and reports whether all its allocations have ended.
func (l *Loop) stopRunJob(ctx context.Context, t *runTarget) (ended bool, err error) {
	info, own, err := l.ownJob(ctx, t)
	if err != nil || !own {
		return err == nil, err
	}
	return l.Cluster.StopJob(ctx, t.namespace, t.jobID, info.ModifyIndex)
}

// placeRun lets the allocation run that Nomad has placed. It is recorded before its variable is written.
func (l *Loop) placeRun(ctx context.Context, t *runTarget, view jobs.RunView) (time.Duration, error) {
	a, ok := view.Sight.Alloc(t.Run)
	if !ok {
		if err := l.unplaced(ctx, t, view); err != nil || t.Ended != nil {
			return 0, err
		}
		return l.remindRun(ctx, t, view.Sight)
	}
	allocID, err := l.Desired.RunPlaced(ctx, t.app.ID, t.ID, a.ID)
	if err != nil {
		return 0, fmt.Errorf("recording a run's allocation: %w", err)
	}
	t.AllocID = allocID
	return 0, l.putGrant(ctx, t)
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

package reconcile

import (
	"context"
	"fmt"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// waitForEarlier has the pass of a deleted app end its job, whose name this app wants. No pass ends another app's job: it
// could be late, and end the one that came after.
func (l *Loop) waitForEarlier(t *target, have jobs.Have) {
	if t.want.Job == nil {
		return
	}
	t.again = rolloutGap
	l.Wake(have.AppID)
	if !have.Stopped {
		l.log(*t).Info("the job of an earlier app of this name has to end first")
	}
}

// deleted reports whether the job is one that a deleted app of the same name left behind.
func (l *Loop) deleted(ctx context.Context, t target, have jobs.Have) (bool, error) {
	if !have.Exists || !have.Ours || have.AppID == t.App.ID {
		return false, nil
	}
	other, err := l.Desired.Wanted(ctx, have.AppID)
	if dynomad.KindOf(err) == dynomad.NotFound {
		return false, nil
	}
	return other.Deleted, err
}

// deregister stops a job and, a while after its last dyno has ended, removes it. (See nomad.Client.Purge: done sooner, a node
// could be left with dynos that nobody knows of.)
func (l *Loop) deregister(ctx context.Context, t *target, a jobs.Action, have jobs.Have) error {
	if err := l.abandon(ctx, t, have); err != nil {
		return err
	}
	ended, err := l.Cluster.StopJob(ctx, t.namespace, t.name, have.ModifyIndex)
	if err != nil {
		return err
	}
	if !have.Stopped {
		l.log(*t).Info("ending job", "why", a.Text)
	}
	if !l.lasts(l.quiet, t.App.ID, ended, purgeDelay) {
		t.again = rolloutGap
		return nil
	}
	if err := l.Cluster.Purge(ctx, t.namespace, t.name, have.ModifyIndex); err != nil {
		return err
	}
	l.log(*t).Info("ended job")
	t.Applied = dynomad.AppliedState{}
	if t.Deleted {
		return nil
	}
	return l.save(ctx, *t)
}

// abandon records, before the job of an app that is not deleted is stopped, that nothing of it rolls out any more. Its dynos are about to
// end by order, and what is wanted may come back before the job is purged: the release that it belongs to must not fail for that.
func (l *Loop) abandon(ctx context.Context, t *target, have jobs.Have) error {
	if t.Deleted || (t.Applied.SpecHash == "" && t.Applied.Rollout.Version == 0) {
		return nil
	}
	l.superseded(t.App.ID, t.Applied)
	t.Applied = dynomad.AppliedState{ModifyIndex: have.ModifyIndex} // still ours
	return l.save(ctx, *t)
}

// superseded meters the end of a rollout that something else took the place of, if one ran.
func (l *Loop) superseded(appID string, before dynomad.AppliedState) {
	if before.RollingOut && before.Rollout.Trial {
		l.Meter.RolledOut(OutcomeSuperseded, l.rolledFor(appID, before.Rollout.StartedAt))
	}
}

// settle does what is left once the job is as wanted and nothing rolls out: a release that is still pending has ended, and
// config versions that no dyno can come to need are removed.
func (l *Loop) settle(ctx context.Context, t target) error {
	if err := l.endPending(ctx, t); err != nil {
		return err
	}
	versions, fresh := l.Live.Releases(t.namespace, t.name)
	if !fresh {
		return nil
	}
	for version := range versions {
		if r := t.AppState.Wanted; r == nil || r.Version != version {
			return nil // an old dyno still drains and could restart
		}
	}
	if err := l.removeConfigs(ctx, t, func(c dynomad.ConfigRef) bool { return c.Written && !c.Needed }); err != nil {
		return err
	}
	return l.sweep(ctx, t)
}

// endPending ends a release that has nothing to run any more, and a problem that there is no more.
func (l *Loop) endPending(ctx context.Context, t target) error {
	if t.failed() {
		return nil
	}
	end := dynomad.RolloutEnd{Applied: t.Applied}
	if t.matches {
		end.Applied.Problem = ""
	}
	if r := t.AppState.Wanted; t.pending() && (t.want.Job == nil || t.Applied.SpecHash == t.want.Hash) {
		end.Release = &dynomad.ReleaseEnd{
			ID: r.ID, From: r.Status, Status: dynomad.ReleaseSucceeded,
			Audit: dynomad.Audit{Action: "release.succeeded", Details: fmt.Sprintf("Release v%d succeeded.", r.Version)},
		}
	}
	if end.Release == nil && end.Applied.Problem == t.Applied.Problem {
		return nil
	}
	return l.end(ctx, t, end)
}

func (l *Loop) removeConfigs(ctx context.Context, t target, which func(dynomad.ConfigRef) bool) error {
	for _, c := range t.Configs {
		if !which(c) {
			continue
		}
		if err := l.Cluster.DeleteVariable(ctx, t.namespace, jobs.ConfigPath(t.name, c.ID)); err != nil {
			return err
		}
		if err := l.Desired.ConfigRemoved(ctx, t.App.ID, c.ID); err != nil {
			return fmt.Errorf("recording a config version's end: %w", err)
		}
	}
	return nil
}

// cleanUp ends a deleted app's traces once its job is gone.
func (l *Loop) cleanUp(ctx context.Context, t target) error {
	if t.Removed && t.Applied.IsZero() && len(t.Configs) == 0 {
		return nil
	}
	if err := l.removeConfigs(ctx, t, func(c dynomad.ConfigRef) bool { return c.Written }); err != nil {
		return err
	}
	if err := l.sweepDeleted(ctx, t); err != nil {
		return err
	}
	if err := l.Desired.AppRemoved(ctx, t.App.ID); err != nil {
		return fmt.Errorf("recording the app's end: %w", err)
	}
	l.log(t).Info("app is gone from the cluster")
	l.mu.Lock()
	delete(l.about, t.App.ID)
	delete(l.rolling, t.App.ID)
	delete(l.owed, t.App.ID)
	l.mu.Unlock()
	l.wakeNext(ctx, t)
	return nil
}

// wakeNext has the app looked at that has a deleted one's name now: it may have waited for the end of that one's job.
func (l *Loop) wakeNext(ctx context.Context, t target) {
	if next, err := l.Desired.AppIDByName(ctx, t.name); err == nil {
		l.Wake(next)
	}
}

package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

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
	delete(l.owed, t.ID)
	l.mu.Unlock()
	l.logRun(t).Info("run ended", "state", end.State, "info", end.Info)
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
	info, own, err := l.ownJob(ctx, t)
	if err != nil {
		return 0, err
	}
	if own {
		ended, err := l.Cluster.StopJob(ctx, t.namespace, t.jobID, info.ModifyIndex)
		if err != nil {
			return 0, err
		}
		quiet := ended && sight.Quiet()
		if !l.lasts(l.quiet, t.ID, quiet, purgeDelay) {
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
	l.logRun(t).Debug("removed run")
	return 0, nil
}

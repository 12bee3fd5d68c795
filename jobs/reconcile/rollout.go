package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// ownSlack is how much later than Nomad the loop tries again what Nomad may try by itself.
const ownSlack = 500 * time.Millisecond

// follow looks after what the last register began: its rollout, or what has to be tried again.
func (l *Loop) follow(ctx context.Context, t *target) error {
	switch {
	case t.want.Job == nil: // its dynos end by order, which tells nothing of a release
		return nil
	case t.Applied.Rollout.Lowered:
		return l.awaitLowered(ctx, t)
	case t.Applied.RollingOut:
		return l.track(ctx, t)
	case t.failed():
		return l.retry(ctx, t)
	}
	return nil
}

// failed reports whether the rollout of just what is wanted has failed.
func (t target) failed() bool { return t.want.Job != nil && t.Applied.FailedHash == t.want.Hash }

// track looks how far the rollout of the last register has come, and records its end.
func (l *Loop) track(ctx context.Context, t *target) error {
	rollout, err := l.Cluster.Rollout(ctx, t.namespace, t.name, t.Applied)
	if err != nil {
		return err
	}
	if rollout.State == jobs.RolloutRunning {
		if rollout, err = l.judge(ctx, t, rollout); err != nil {
			return err
		}
		if rollout.State == jobs.RolloutRunning {
			t.withheld = rollout.Withheld
			return l.rouse(ctx, *t, rollout)
		}
	}
	if rollout.State == jobs.RolloutFailed && len(t.Applied.Rollout.Troubles) == 0 {
		if t.Applied.Rollout.Troubles, err = l.troubles(ctx, *t, rollout, false); err != nil {
			return err
		}
	}
	failed := rollout.State == jobs.RolloutFailed
	end := jobs.Conclude(t.Wanted, failed, rollout.Reason, l.Now())
	ended, outcome := t.Applied.Rollout, OutcomeSucceeded
	if failed {
		outcome = OutcomeFailed
	}
	took := l.rolledFor(t.App.ID, ended.StartedAt)
	if err := l.end(ctx, *t, end); err != nil {
		return err
	}
	if ended.Trial {
		l.Meter.RolledOut(outcome, took)
	}
	return l.again(ctx, t)
}

// judge ends a rollout that cannot succeed any more: one of its new dynos has failed, or its time is over. Nomad waits for
// its own deadline, and has none for what it cannot place.
func (l *Loop) judge(ctx context.Context, t *target, rollout jobs.Rollout) (jobs.Rollout, error) {
	r := &t.Applied.Rollout
	late := l.rolledFor(t.App.ID, r.StartedAt) >= l.Settings().DeployTimeout
	if !r.Trial || (!late && !rollout.Unhealthy) {
		return rollout, nil
	}
	if len(r.Troubles) == 0 { // else recorded, and the daemon killed
		var err error
		if r.Troubles, err = l.troubles(ctx, *t, rollout, late); err != nil {
			return rollout, err
		}
		if len(r.Troubles) == 0 && !late {
			return rollout, nil // not seen yet which dyno it is
		}
		if err := l.save(ctx, *t); err != nil {
			return rollout, err
		}
	}
	if rollout.Deployment != "" {
		if err := l.Cluster.FailDeployment(ctx, t.namespace, rollout.Deployment); err != nil {
			return rollout, err
		}
	}
	rollout.State = jobs.RolloutFailed
	rollout.Reason = fmt.Sprintf("Its dynos were not healthy within %s.", l.Settings().DeployTimeout)
	return rollout, nil
}

// rolling is a rollout as this process has followed it.
type rolling struct {
	started time.Time            // as recorded
	before  time.Duration        // it had run by the clock on the wall when it was first seen
	seen    time.Time            // when that was
	well    map[string]time.Time // since when new allocations are overlooked, or when they were roused
}

// rolledFor tells how long a rollout has run. From when this process has seen it that is not asked of the clock on the wall, which may be
// set: a rollout must not fail for that.
func (l *Loop) rolledFor(appID string, started time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, known := l.rolling[appID]
	if !known || !r.started.Equal(started) {
		r = rolling{started: started, before: max(l.Now().Sub(started), 0), seen: time.Now()}
		l.rolling[appID] = r
	}
	return r.before + time.Since(r.seen)
}

// troubles says why a rollout's new dynos fail it.
func (l *Loop) troubles(ctx context.Context, t target, rollout jobs.Rollout, late bool) ([]dynomad.Trouble, error) {
	allocs, seen, err := l.newDynos(ctx, t, rollout)
	if err != nil {
		return nil, err
	}
	return jobs.Troubles(t.Applied.Rollout, allocs, seen, late), nil
}

// newDynos reads what allocations a rollout made, and how the app's dynos do.
func (l *Loop) newDynos(ctx context.Context, t target, rollout jobs.Rollout) ([]jobs.NewAlloc, jobs.Explained, error) {
	var allocs []jobs.NewAlloc
	if rollout.Deployment != "" {
		var err error
		if allocs, err = l.Cluster.NewAllocs(ctx, t.namespace, rollout.Deployment); err != nil {
			return nil, jobs.Explained{}, err
		}
	}
	return allocs, l.Live.Explain(t.AppState, l.Now()), nil
}

// end records the end of a rollout.
func (l *Loop) end(ctx context.Context, t target, end dynomad.RolloutEnd) error {
	end.Applied.UpdatedAt = l.Now()
	end.Audits = l.signed(end.Audits)
	if end.Release != nil {
		end.Release.Audit = l.signed([]dynomad.Audit{end.Release.Audit})[0]
	}
	done, err := l.Desired.EndRollout(ctx, t.App.ID, end)
	if err != nil {
		return fmt.Errorf("recording a rollout's end: %w", err)
	}
	l.mu.Lock()
	delete(l.rolling, t.App.ID)
	l.mu.Unlock()
	if done {
		l.log(t).Info("release "+end.Release.Status, "info", end.Release.Info)
	}
	for _, a := range end.Audits {
		l.log(t).Warn("dyno type failed", "info", a.Details)
	}
	return nil
}

// retry tries what failed and has nothing good before it once more, when it is time.
func (l *Loop) retry(ctx context.Context, t *target) error {
	r := &t.Applied.Rollout
	if r.RetryAt.IsZero() { // it failed, but was not wanted any more then
		r.RetryAt = l.Now().Add(jobs.RetryPause(r.Tries))
		return l.save(ctx, *t)
	}
	wait, tries := l.nextTry(*t)
	if wait > 0 {
		return nil
	}
	r.Tries = tries + 1
	r.RetryAt, t.Applied.FailedHash, t.Applied.SpecHash = time.Time{}, "", ""
	if err := l.save(ctx, *t); err != nil {
		return err
	}
	return l.again(ctx, t)
}

// untilRetry gives the time until what failed is tried again; 0 if it is not.
func (l *Loop) untilRetry(t target) time.Duration {
	if !t.failed() || t.Applied.Rollout.RetryAt.IsZero() {
		return 0
	}
	wait, _ := l.nextTry(t)
	return max(wait, time.Millisecond)
}

// nextTry tells how long what failed has to wait until it is tried again, and how many tries there were. Nomad's own count as the loop's: there is
// none beside them, and after one of them the pause is as after one of the loop's. Each pause is so much longer than Nomad's that Nomad comes first.
func (l *Loop) nextTry(t target) (wait time.Duration, tries int) {
	r := t.Applied.Rollout
	since := r.RetryAt.Add(-jobs.RetryPause(r.Tries))
	tried := l.Live.Tried(t.namespace, t.name, since)
	switch {
	case tried.Times == 0 || t.Wanted.Wanted == nil || t.Wanted.Wanted.Status != dynomad.ReleaseFailed:
		return l.waits(r.RetryAt.Add(ownSlack), r.Tries), r.Tries
	case !tried.Since.IsZero() && l.Now().Sub(tried.Since) < l.Settings().DeployTimeout:
		return rolloutGap, r.Tries
	}
	tries = r.Tries + tried.Times
	return l.waits(tried.Ended.Add(jobs.RetryPause(tries)+ownSlack), tries), tries
}

// waits tells how long a try has to wait; not at all if that is longer than any pause: the clock was set back.
func (l *Loop) waits(at time.Time, tries int) time.Duration {
	wait := max(at.Sub(l.Now()), 0)
	if wait > jobs.RetryPause(tries)+ownSlack+time.Second {
		return 0
	}
	return wait
}

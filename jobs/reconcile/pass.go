package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// target is one pass's subject: what is wanted of an app, rendered.
type target struct {
	dynomad.Wanted
	input        jobs.Input
	want         jobs.Want
	namespace    string
	name         string
	installation string
	request      string        // what is wanted is its doing; "" is none that is known
	matches      bool          // the job was found to be as it should
	again        time.Duration // over 0: something must end first; look again after so long
	withheld     bool          // its rollout waits for canaries that Nomad has not placed
	unlisted     bool          // the view does not show its config's variable, though it is there
}

// pass makes one look at an app and does what is needed. It gives when to look again by itself, 0 for not until woken. Into found
// it writes the job that it is about, and the view's mark of that from before anything was read of it.
func (l *Loop) pass(ctx context.Context, appID string, found *calmApp) (time.Duration, error) {
	wanted, err := l.Desired.Wanted(ctx, appID)
	if dynomad.KindOf(err) == dynomad.NotFound {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading what is wanted: %w", err)
	}
	t, err := l.render(wanted)
	if err != nil {
		return 0, l.reject(ctx, t, err.Error())
	}
	if mark, fresh := l.Live.Mark(t.namespace, t.name); fresh && !t.Deleted {
		found.namespace, found.name, found.mark = t.namespace, t.name, mark
	}
	if err := l.follow(ctx, &t); err != nil || t.again > 0 {
		return t.again, err
	}
	if err := l.apply(ctx, &t); err != nil || t.again > 0 {
		return t.again, err
	}
	switch {
	case t.Deleted && len(t.Runs) > 0:
		return rolloutGap, nil // their jobs have to go first
	case t.Deleted:
		return 0, l.cleanUp(ctx, t)
	}
	return l.tend(ctx, t, found)
}

// tend sees to what belongs to an app's job, which is as it should be now.
func (l *Loop) tend(ctx context.Context, t target, found *calmApp) (time.Duration, error) {
	if err := l.keepConfig(ctx, &t); err != nil {
		return 0, err
	}
	if t.unlisted {
		found.name = "" // what the view does not show has to be asked for each time
	}
	owed, err := l.remindApp(ctx, t)
	if err != nil {
		return 0, err
	}
	waits, err := l.stopDynos(ctx, t)
	if err != nil {
		return 0, err
	}
	if t.Applied.RollingOut || waits {
		return rolloutGap, nil
	}
	return soonest(soonest(l.untilRetry(t), t.again), owed), l.settle(ctx, t)
}

// soonest gives the smaller of two pauses, of which 0 is none.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return a + b
	}
	return min(a, b)
}

// render makes of what is wanted the job that should be registered, if any.
func (l *Loop) render(w dynomad.Wanted) (target, error) {
	settings := l.Settings()
	t := target{Wanted: w, namespace: cmp.Or(w.App.NomadNamespace, settings.Namespace), name: w.App.Name}
	t.installation, t.request = settings.Installation, l.apps.request(w.App.ID)
	l.know(w.App, w.Wanted)
	t.want = jobs.Want{App: w.App, Remove: w.Deleted}
	input, ok := jobs.InputFor(settings, w)
	if !ok {
		return t, nil
	}
	job, err := jobs.Spec(input)
	if err != nil {
		return t, err
	}
	t.input, t.want.Job, t.want.Hash = input, job, jobs.Hash(job)
	if r := w.Applied.Rollout; w.Applied.RollingOut && r.Trial {
		return t, t.awaitEnd(input.Capped(r))
	}
	return t, nil
}

// awaitEnd has higher counts wait for the end of the rollout that runs, if they are all that differs from it.
func (t *target) awaitEnd(capped jobs.Input) error {
	job, err := jobs.Spec(capped)
	if err != nil {
		return err
	}
	if hash := jobs.Hash(job); hash == t.Applied.SpecHash {
		t.input, t.want.Job, t.want.Hash = capped, job, hash
	}
	return nil
}

func (t target) pending() bool {
	return t.AppState.Wanted != nil && t.AppState.Wanted.Status == dynomad.ReleasePending
}

// again reads and renders what is wanted once more: the end of a rollout changes it.
func (l *Loop) again(ctx context.Context, t *target) error {
	wanted, err := l.Desired.Wanted(ctx, t.App.ID)
	if err != nil {
		return fmt.Errorf("reading what is wanted again: %w", err)
	}
	if *t, err = l.render(wanted); err != nil {
		return l.reject(ctx, *t, err.Error())
	}
	return nil
}

// apply makes the job in Nomad the wanted one. The view in memory may say that nothing is to be done; before anything is
// done Nomad itself is asked, and so it is before the record of an app that had a job is closed.
func (l *Loop) apply(ctx context.Context, t *target) error {
	closing := t.Deleted && !t.Applied.IsZero()
	if info, ok, fresh := l.Live.Job(t.namespace, t.name); fresh && !closing {
		have := t.have(info, ok)
		a := jobs.Decide(t.want, have)
		t.matches = a.Verb == jobs.Nothing
		stillForeign := a.Verb == jobs.Foreign && !have.Ours && a.Text == t.Applied.Problem && !t.pending()
		if t.matches || stillForeign {
			return nil
		}
	}
	const tries = 3
	var err error
	for range tries {
		if err = l.try(ctx, t); dynomad.KindOf(err) != dynomad.Conflict {
			return err
		}
	}
	return err
}

// try asks Nomad for the job and does what it needs.
func (l *Loop) try(ctx context.Context, t *target) error {
	info, ok, err := l.Cluster.Job(ctx, t.namespace, t.name)
	if err != nil {
		return err
	}
	if t.Applied.RollingOut && t.want.Job != nil && info.ModifyIndex != t.Applied.ModifyIndex {
		// The rollout may have failed since it was looked at, and Nomad put back the last stable job: no drift.
		if err := l.track(ctx, t); err != nil {
			return err
		}
	}
	have := t.have(info, ok)
	if have.AppDeleted, err = l.deleted(ctx, *t, have); err != nil {
		return err
	}
	a := jobs.Decide(t.want, have)
	if a.Verb == jobs.Deregister && have.AppID != t.App.ID {
		l.waitForEarlier(t, have)
		return nil
	}
	return l.act(ctx, t, a, have)
}

func (t target) have(info jobs.JobInfo, ok bool) jobs.Have {
	return jobs.Have{
		Exists: ok, Ours: info.Installation == t.installation, AppID: info.AppID, Stopped: info.Stopped,
		ModifyIndex: info.ModifyIndex, Applied: t.Applied,
	}
}

func (l *Loop) act(ctx context.Context, t *target, a jobs.Action, have jobs.Have) error {
	switch a.Verb {
	case jobs.Register:
		return l.register(ctx, t, a)
	case jobs.Deregister:
		return l.deregister(ctx, t, a, have)
	case jobs.Foreign:
		t.Applied.RollingOut = false // nothing of ours does
		return l.reject(ctx, *t, a.Text)
	case jobs.Nothing:
		t.matches = true
	}
	return nil
}

// reject records that what is wanted cannot be had, and fails the release that wants it.
func (l *Loop) reject(ctx context.Context, t target, problem string) error {
	rejected := dynomad.Errorf(dynomad.Invalid, "%s", problem)
	if t.Applied.Problem == problem && !t.pending() {
		return rejected
	}
	t.Applied.Problem = problem
	end := dynomad.RolloutEnd{Applied: t.Applied}
	if t.pending() {
		r := t.AppState.Wanted
		end.Release = &dynomad.ReleaseEnd{
			ID: r.ID, From: r.Status, Status: dynomad.ReleaseFailed, Info: problem,
			Audit: dynomad.Audit{Action: "release.failed", Details: fmt.Sprintf("Release v%d failed: %s", r.Version, problem)},
		}
	}
	if err := l.end(ctx, t, end); err != nil {
		return err
	}
	return rejected
}

func (l *Loop) save(ctx context.Context, t target, audits ...dynomad.Audit) error {
	t.Applied.UpdatedAt = l.Now()
	if err := l.Desired.SaveApplied(ctx, t.App.ID, t.Applied, l.signed(audits)...); err != nil {
		return fmt.Errorf("recording what was applied: %w", err)
	}
	return nil
}

// signed completes the audits of what the loop does by itself.
func (l *Loop) signed(audits []dynomad.Audit) []dynomad.Audit {
	for i := range audits {
		audits[i].ID, audits[i].UserEmail, audits[i].CreatedAt = l.NewID(), dynomad.RootEmail, l.Now()
	}
	return audits
}

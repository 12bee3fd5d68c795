package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// target is one pass's subject: what is wanted of an app, rendered.
type target struct {
	dynomad.Wanted
	want         jobs.Want
	namespace    string
	name         string
	installation string
	matches      bool // the job was found to be as it should
	ending       bool // a job that has to go first has dynos that have not ended
}

// pass makes one look at an app and does what is needed. It gives when to look again by itself, 0 for not until woken.
func (l *Loop) pass(ctx context.Context, appID string) (time.Duration, error) {
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
	if t.Applied.RollingOut && !t.Deleted {
		if err := l.track(ctx, &t); err != nil {
			return 0, err
		}
	}
	if err := l.apply(ctx, &t); err != nil {
		return 0, err
	}
	if t.ending {
		return rolloutGap, nil
	}
	if t.Deleted {
		return 0, l.cleanUp(ctx, t)
	}
	waits, err := l.stopDynos(ctx, t)
	if err != nil {
		return 0, err
	}
	if t.Applied.RollingOut || waits {
		return rolloutGap, nil
	}
	return 0, l.settle(ctx, t)
}

// render makes of what is wanted the job that should be registered, if any.
func (l *Loop) render(w dynomad.Wanted) (target, error) {
	settings := l.Settings()
	t := target{Wanted: w, namespace: w.App.NomadNamespace, name: w.App.Name}
	if t.namespace == "" {
		t.namespace = settings.Namespace
	}
	t.installation = settings.Installation
	t.want = jobs.Want{App: w.App, Remove: w.Deleted}
	input, ok := jobs.InputFor(settings, w)
	if !ok {
		return t, nil
	}
	job, err := jobs.Spec(input)
	if err != nil {
		return t, err
	}
	t.want.Job, t.want.Hash = job, jobs.Hash(job)
	return t, nil
}

// track looks how far the rollout of the last register has come. At its end it is recorded, and what is wanted read anew:
// the end of a release changes it.
func (l *Loop) track(ctx context.Context, t *target) error {
	rollout, err := l.Cluster.Rollout(ctx, t.namespace, t.name, t.Applied)
	if err != nil {
		return err
	}
	switch rollout.State {
	case jobs.RolloutRunning:
		return nil
	case jobs.RolloutSucceeded:
		t.Applied.FailedHash, t.Applied.Problem = "", ""
	case jobs.RolloutFailed:
		t.Applied.FailedHash, t.Applied.Problem = t.Applied.SpecHash, rollout.Reason
	}
	t.Applied.RollingOut = false
	if err := l.save(ctx, *t); err != nil {
		return err
	}
	// Killed from here on, settle ends the release.
	if t.Applied.SpecHash == t.want.Hash {
		if err := l.finishRelease(ctx, *t, rollout); err != nil {
			return err
		}
	}
	wanted, err := l.Desired.Wanted(ctx, t.App.ID)
	if err != nil {
		return fmt.Errorf("reading what is wanted again: %w", err)
	}
	if *t, err = l.render(wanted); err != nil {
		return l.reject(ctx, *t, err.Error())
	}
	return nil
}

// finishRelease ends the wanted release if it is pending.
func (l *Loop) finishRelease(ctx context.Context, t target, rollout jobs.Rollout) error {
	r := t.AppState.Wanted
	if !t.pending() {
		return nil
	}
	status, details := dynomad.ReleaseSucceeded, fmt.Sprintf("Release v%d succeeded.", r.Version)
	if rollout.State == jobs.RolloutFailed {
		status, details = dynomad.ReleaseFailed, fmt.Sprintf("Release v%d failed: %s", r.Version, rollout.Reason)
	}
	return l.endRelease(ctx, t, *r, status, rollout.Reason, details)
}

func (t target) pending() bool {
	return t.AppState.Wanted != nil && t.AppState.Wanted.Status == dynomad.ReleasePending
}

func (l *Loop) endRelease(ctx context.Context, t target, r dynomad.Release, status, info, details string) error {
	done, err := l.Desired.FinishRelease(ctx, r.ID, status, info, dynomad.Audit{
		ID: l.NewID(), AppID: t.App.ID, AppName: t.App.Name, Space: t.App.Space, Action: "release." + status,
		Details: details, UserEmail: dynomad.RootEmail, CreatedAt: l.Now(),
	})
	if err != nil {
		return fmt.Errorf("recording the end of release v%d: %w", r.Version, err)
	}
	if done {
		l.Log.Info("release "+status, "app", t.App.Name, "release", r.Version, "info", info)
	}
	return nil
}

// apply makes the job in Nomad the wanted one. The view in memory may say that nothing is to be done; before anything is
// done Nomad itself is asked, and so it is before the record of an app that had a job is closed.
func (l *Loop) apply(ctx context.Context, t *target) error {
	closing := t.Deleted && t.Applied != (dynomad.AppliedState{})
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
	if t.Applied.RollingOut && !t.Deleted && info.ModifyIndex != t.Applied.ModifyIndex {
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

// waitForEarlier has the pass of a deleted app end its job, whose name this app wants. No pass ends another app's job: it
// could be late, and end the one that came after.
func (l *Loop) waitForEarlier(t *target, have jobs.Have) {
	if t.want.Job == nil {
		return
	}
	t.ending = true
	l.Wake(have.AppID)
	if !have.Stopped {
		l.Log.Info("the job of an earlier app of this name has to end first", "app", t.name)
	}
}

func (t target) have(info jobs.JobInfo, ok bool) jobs.Have {
	return jobs.Have{
		Exists: ok, Ours: info.Installation == t.installation, AppID: info.AppID, Stopped: info.Stopped,
		ModifyIndex: info.ModifyIndex, Applied: t.Applied,
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

// register writes the config's variable, then the job, then records both. Killed in between, the next pass does it again: a
// variable is immutable, and an identical register changes nothing.
func (l *Loop) register(ctx context.Context, t *target, a jobs.Action) error {
	if a.Index == 0 {
		if err := l.checkService(ctx, *t); err != nil {
			return err
		}
	}
	if err := l.putConfig(ctx, *t); err != nil {
		return err
	}
	answer, err := l.Cluster.Register(ctx, t.want.Job, a.Index)
	if dynomad.KindOf(err) == dynomad.Invalid {
		return l.reject(ctx, *t, err.Error())
	}
	if err != nil {
		return err
	}
	l.Log.Info("registered job", "app", t.name, "why", a.Text, "modify_index", answer.ModifyIndex, "changed", answer.ModifyIndex != a.Index)
	// Followed even if nothing differed: a daemon killed after a register finds its own job here and the rollout running.
	t.Applied = dynomad.AppliedState{
		SpecHash: t.want.Hash, ModifyIndex: answer.ModifyIndex, EvalID: answer.EvalID, RollingOut: true,
		FailedHash: t.Applied.FailedHash,
	}
	return l.save(ctx, *t)
}

// checkService sees to it that a new job's service does not join one that is somebody else's.
func (l *Loop) checkService(ctx context.Context, t target) error {
	if _, ok := t.Type(dynomad.Web); !ok {
		return nil
	}
	foreign, err := l.Services.Foreign(ctx, t.name, t.installation)
	if err != nil {
		return err
	}
	if foreign {
		return l.reject(ctx, t, fmt.Sprintf("A Consul service named %s exists that is not this installation's.", t.name))
	}
	return nil
}

func (l *Loop) putConfig(ctx context.Context, t target) error {
	id := t.AppState.Wanted.ConfigID
	if err := l.Desired.ConfigWritten(ctx, t.App.ID, id); err != nil {
		return fmt.Errorf("recording a config version: %w", err)
	}
	return l.Cluster.PutVariable(ctx, t.namespace, jobs.ConfigPath(t.name, id), jobs.ConfigItems(t.App, t.Release))
}

// deregister stops a job and, a while after its last dyno has ended, removes it. (See nomad.Client.Purge: done sooner, a node
// could be left with dynos that nobody knows of.)
func (l *Loop) deregister(ctx context.Context, t *target, a jobs.Action, have jobs.Have) error {
	ended, err := l.Cluster.StopJob(ctx, t.namespace, t.name)
	if err != nil {
		return err
	}
	if !have.Stopped {
		l.Log.Info("ending job", "app", t.name, "why", a.Text)
	}
	if t.ending = !l.endedSince(t.App.ID, ended, purgeDelay); t.ending {
		return nil
	}
	if err := l.Cluster.Purge(ctx, t.namespace, t.name); err != nil {
		return err
	}
	l.Log.Info("ended job", "app", t.name)
	t.Applied = dynomad.AppliedState{}
	if t.Deleted {
		return nil
	}
	return l.save(ctx, *t)
}

// reject records that what is wanted cannot be had, and fails the release that wants it.
func (l *Loop) reject(ctx context.Context, t target, problem string) error {
	if err := l.finishRelease(ctx, t, jobs.Rollout{State: jobs.RolloutFailed, Reason: problem}); err != nil {
		return err
	}
	if t.Applied.Problem != problem {
		t.Applied.Problem = problem
		if err := l.save(ctx, t); err != nil {
			return err
		}
	}
	return dynomad.Errorf(dynomad.Invalid, "%s", problem)
}

func (l *Loop) save(ctx context.Context, t target) error {
	t.Applied.UpdatedAt = l.Now()
	if err := l.Desired.SaveApplied(ctx, t.App.ID, t.Applied); err != nil {
		return fmt.Errorf("recording what was applied: %w", err)
	}
	return nil
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
	return l.removeConfigs(ctx, t, func(c dynomad.ConfigRef) bool { return c.Written && !c.Needed })
}

// endPending ends a release whose rollout ended without saying so: nothing was to be rolled out, the daemon died before it
// could record it, or what failed before is wanted once more.
func (l *Loop) endPending(ctx context.Context, t target) error {
	if t.want.Job != nil && t.Applied.FailedHash == t.want.Hash {
		if t.pending() {
			defer l.Wake(t.App.ID) // an earlier release is wanted then
		}
		return l.finishRelease(ctx, t, jobs.Rollout{State: jobs.RolloutFailed, Reason: t.Applied.Problem})
	}
	if t.matches && t.Applied.Problem != "" {
		t.Applied.Problem = ""
		if err := l.save(ctx, t); err != nil {
			return err
		}
	}
	if t.want.Job == nil || t.Applied.SpecHash == t.want.Hash {
		return l.finishRelease(ctx, t, jobs.Rollout{State: jobs.RolloutSucceeded})
	}
	return nil
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
	if t.Removed && t.Applied == (dynomad.AppliedState{}) && len(t.Configs) == 0 {
		return nil
	}
	if err := l.removeConfigs(ctx, t, func(c dynomad.ConfigRef) bool { return c.Written }); err != nil {
		return err
	}
	if err := l.Desired.AppRemoved(ctx, t.App.ID); err != nil {
		return fmt.Errorf("recording the app's end: %w", err)
	}
	l.Log.Info("app is gone from the cluster", "app", t.name)
	return nil
}

package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// lowerGap is the pause between looks at whether lower counts have taken effect.
const lowerGap = 300 * time.Millisecond

// register writes the config's variable, if it is not there, then the job, then records both. Killed in between, the next pass does it
// again: a variable is immutable, and an identical register changes nothing.
func (l *Loop) register(ctx context.Context, t *target, a jobs.Action) error {
	if a.Index == 0 {
		if err := l.checkService(ctx, *t); err != nil {
			return err
		}
	}
	if lower := jobs.Lowered(t.input, t.Applied.Rollout); a.Index != 0 && len(lower) > 0 {
		return l.lower(ctx, t, a, lower)
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
	l.log(*t).Info("registered job", "why", a.Text, "modify_index", answer.ModifyIndex, "changed", answer.ModifyIndex != a.Index)
	if answer.ModifyIndex != t.Applied.ModifyIndex {
		l.superseded(t.App.ID, t.Applied)
	}
	// Followed even if nothing differed: a daemon killed after a register finds its own job here and the rollout running.
	t.Applied = dynomad.AppliedState{
		SpecHash: t.want.Hash, ModifyIndex: answer.ModifyIndex, EvalID: answer.EvalID, RollingOut: true,
		FailedHash: t.Applied.FailedHash, Rollout: jobs.Rendering(t.input, t.Wanted, l.Now()),
	}
	l.rolledFor(t.App.ID, t.Applied.Rollout.StartedAt) // from now on
	var audits []dynomad.Audit
	if a.Drift {
		audits = append(audits, dynomad.Audit{Action: "job.repair", Details: a.Text + " It was registered again."})
	}
	return l.save(ctx, *t, audits...)
}

// lower registers lower counts alone. What replaces dynos follows when Nomad has done that.
func (l *Loop) lower(ctx context.Context, t *target, a jobs.Action, counts map[string]int) error {
	answer, err := l.Cluster.Lower(ctx, t.namespace, t.name, counts, a.Index)
	if err != nil {
		return err
	}
	l.log(*t).Info("lowered counts first", "counts", counts, "modify_index", answer.ModifyIndex)
	t.Applied.SpecHash, t.Applied.ModifyIndex, t.Applied.EvalID = "", answer.ModifyIndex, answer.EvalID
	t.Applied.RollingOut, t.Applied.Rollout.Lowered = false, true
	for i, r := range t.Applied.Rollout.Types {
		if n, ok := counts[r.Type]; ok {
			t.Applied.Rollout.Types[i].Count = n
		}
	}
	t.again = lowerGap
	return l.save(ctx, *t)
}

func (l *Loop) awaitLowered(ctx context.Context, t *target) error {
	done, err := l.Cluster.Evaluated(ctx, t.namespace, t.Applied.EvalID)
	if err == nil && !done {
		t.again = lowerGap
	}
	return err
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

// configLag is how much later than the loop's own writes the list of variables may be.
const configLag = 3 * time.Second

// keepConfig puts the variable with the config vars back if somebody deleted it: dynos that start anew would wait for it.
func (l *Loop) keepConfig(ctx context.Context, t *target) error {
	if t.want.Job == nil || !t.matches {
		return nil
	}
	path := jobs.ConfigPath(t.name, t.AppState.Wanted.ConfigID)
	if there, fresh := l.Live.Variable(t.namespace, path); there || !fresh {
		return nil
	}
	if young := configLag - l.Now().Sub(t.Applied.UpdatedAt); young > 0 {
		t.again = young
		return nil
	}
	// The list is empty too, and no error, where the token may not list (nomad/variables_endpoint.go, List).
	if there, err := l.Cluster.HasVariable(ctx, t.namespace, path); err != nil || there {
		if t.unlisted = there; there {
			l.unlisted.Do(func() {
				l.log(*t).Warn("Nomad does not list a variable that is there: does the token's policy have list for dynomad/*?", "path", path)
			})
		}
		return err
	}
	if err := l.putConfig(ctx, *t); err != nil {
		return err
	}
	l.log(*t).Warn("put back a variable with config vars", "path", path)
	return l.save(ctx, *t, dynomad.Audit{Action: "config.repair", Details: "The variable " + path + " was deleted by somebody else. It was written again."})
}

// putConfig writes the variable with the config vars, but for one that the release has been registered with and that is seen to be there: what
// it holds never changes, and as long as the release is wanted nobody of ours removes it.
func (l *Loop) putConfig(ctx context.Context, t target) error {
	if t.Applied.Rollout.ReleaseID == t.AppState.Wanted.ID {
		path := jobs.ConfigPath(t.name, t.AppState.Wanted.ConfigID)
		if there, fresh := l.Live.Variable(t.namespace, path); there && fresh {
			return nil
		}
	}
	return l.writeConfig(ctx, t.namespace, t.App, t.AppState.Wanted.ConfigID, t.Release)
}

// writeConfig writes the variable with the config vars of a config version. It is recorded first, or nobody would know of it.
func (l *Loop) writeConfig(ctx context.Context, namespace string, app dynomad.App, id string, vars dynomad.ConfigVars) error {
	if err := l.Desired.ConfigWritten(ctx, app.ID, id); err != nil {
		return fmt.Errorf("recording a config version: %w", err)
	}
	return l.Cluster.PutVariable(ctx, namespace, jobs.ConfigPath(app.Name, id), jobs.ConfigItems(app, vars))
}

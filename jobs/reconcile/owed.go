package reconcile

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad/jobs"
)

// How long Nomad may leave a dyno unplaced and say nothing of it before it is reminded, and a rollout without its canaries before it is begun
// anew, which that may mend. A scheduler that is busy needs less.
const (
	owedFor     = 15 * time.Second
	withheldFor = 2 * owedFor
)

// remindApp reminds Nomad of an app's job if it owes it a dyno, and gives when to look again; 0 if it does not.
func (l *Loop) remindApp(ctx context.Context, t target) (time.Duration, error) {
	stands := t.want.Job != nil && t.matches && !t.failed() // of what has failed, Nomad places no more
	withheld := stands && t.withheld && !l.Live.Unfit(t.namespace, t.name)
	if l.lasts(l.withheld, t.App.ID, withheld, withheldFor) {
		return owedFor, l.renew(ctx, t)
	}
	owed := withheld || stands && l.Live.Owed(t.AppState, l.Now())
	return l.remind(ctx, reminder{id: t.App.ID, namespace: t.namespace, jobID: t.name, log: l.log(t)}, owed)
}

// renew begins a rollout anew that waits for canaries which Nomad never places. Of dynos that may stay, Nomad asks whether they still fit their
// node. They do not while two allocations there have the same port, for the moment that the one takes to end in whose place the other came;
// then it wants canaries, and by the time that it could place them no dyno has to be replaced. It keeps on wanting them, and until they are
// there places nothing else and fails the deployment at its deadline (nomad/scheduler/rank.go, "port collision";
// nomad/scheduler/reconcile.go, requiresCanaries and isCanarying).
func (l *Loop) renew(ctx context.Context, t target) error {
	answer, err := l.Cluster.Renew(ctx, t.namespace, t.name, t.Applied.ModifyIndex)
	if err != nil {
		return err
	}
	l.log(t).Warn("Nomad does not place the canaries that a rollout waits for, began it anew", "modify_index", answer.ModifyIndex)
	t.Applied.ModifyIndex, t.Applied.EvalID = answer.ModifyIndex, answer.EvalID
	return l.save(ctx, t)
}

// remindRun is remindApp for a run, of which Nomad has placed nothing.
func (l *Loop) remindRun(ctx context.Context, t *runTarget, sight jobs.RunSight) (time.Duration, error) {
	owed := len(sight.Allocs) == 0 && len(sight.Blocked) == 0 && !sight.Stopped
	return l.remind(ctx, reminder{id: t.ID, namespace: t.namespace, jobID: t.jobID, log: l.logRun(t)}, owed)
}

// reminder is a job that Nomad may be reminded of, and the id of the app or run that it is of.
type reminder struct {
	id, namespace, jobID string
	log                  hclog.Logger
}

// remind has Nomad evaluate a job again that it has owed a dyno for a while. Its schedulers work on one picture of the cluster and may get
// into each other's way: who loses too often puts the job off for a minute and does not say so in a way that operators would
// understand (nomad/scheduler/generic_sched.go, "max-plan-attempts"; nomad/leader.go, failedEvalUnblockInterval). A release has not so much time to waste.
func (l *Loop) remind(ctx context.Context, r reminder, owed bool) (time.Duration, error) {
	due := l.lasts(l.owed, r.id, owed, owedFor)
	if !owed {
		return 0, nil
	}
	if due {
		r.log.Warn("Nomad has not placed a dyno and does not say why, asking it to look again", "job_id", r.jobID)
		if err := l.Cluster.Evaluate(ctx, r.namespace, r.jobID); err != nil {
			return 0, err
		}
	}
	return owedFor, nil
}

package nomad

import (
	"cmp"
	"context"
	"sort"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// Rollout tells what became of the register that gave a job this ModifyIndex: by its newest deployment, or, if its evaluation
// ended without making one, by that.
func (c *Client) Rollout(ctx context.Context, namespace, jobID string, applied dynomad.AppliedState) (jobs.Rollout, error) {
	rollout, ok, err := c.deployment(ctx, namespace, jobID, applied.ModifyIndex)
	if ok || err != nil {
		return rollout, err
	}
	rollout, err = c.rolloutByEval(ctx, namespace, applied.EvalID)
	if err != nil || rollout.State != jobs.RolloutSucceeded {
		return rollout, err
	}
	// The evaluation may have ended, and its deployment begun, after the list was read.
	if begun, ok, err := c.deployment(ctx, namespace, jobID, applied.ModifyIndex); ok || err != nil {
		return begun, err
	}
	info, ok, err := c.Job(ctx, namespace, jobID)
	if err == nil && (!ok || info.ModifyIndex != applied.ModifyIndex) {
		// Purged or changed meanwhile, perhaps by Nomad after a failure too long ago to be told: no end either.
		rollout.State = jobs.RolloutRunning
	}
	return rollout, err
}

// deployment finds the rollout of the newest deployment of one register; ok is false if there is none.
func (c *Client) deployment(ctx context.Context, namespace, jobID string, modifyIndex uint64) (rollout jobs.Rollout, ok bool, err error) {
	q, done := c.query(ctx, namespace)
	defer done()
	list, _, err := c.api.Jobs().Deployments(jobID, false, q)
	if err != nil {
		return rollout, false, ignoreMissing(translate("listing the deployments of job "+jobID, err))
	}
	sort.Slice(list, func(i, j int) bool { return list[i].CreateIndex > list[j].CreateIndex })
	for _, d := range list {
		if d.JobSpecModifyIndex == modifyIndex {
			return rolloutOf(d), true, nil
		}
	}
	return rollout, false, nil
}

func rolloutOf(d *api.Deployment) jobs.Rollout {
	switch d.Status {
	case api.DeploymentStatusSuccessful:
		return jobs.Rollout{State: jobs.RolloutSucceeded}
	case api.DeploymentStatusFailed:
		return jobs.Rollout{State: jobs.RolloutFailed, Reason: d.StatusDescription}
	}
	// A cancelled one is no end: the job was changed or stopped by somebody, which the loop finds and repairs.
	return jobs.Rollout{State: jobs.RolloutRunning}
}

// rolloutByEval ends the rollout of a register that needed no new dynos, and so no deployment.
func (c *Client) rolloutByEval(ctx context.Context, namespace, evalID string) (jobs.Rollout, error) {
	if evalID == "" {
		return jobs.Rollout{State: jobs.RolloutSucceeded}, nil
	}
	q, done := c.query(ctx, namespace)
	defer done()
	eval, _, err := c.api.Evaluations().Info(evalID, q)
	err = translate("reading evaluation "+evalID, err)
	if dynomad.KindOf(err) == dynomad.NotFound {
		return jobs.Rollout{State: jobs.RolloutSucceeded}, nil // long ago: collected
	}
	if err != nil {
		return jobs.Rollout{}, err
	}
	next := cmp.Or(eval.NextEval, eval.BlockedEval)
	switch {
	case eval.Status == "complete":
		return jobs.Rollout{State: jobs.RolloutSucceeded}, nil
	case eval.Status == "canceled":
		return c.rolloutByOtherEval(ctx, namespace, eval.JobID)
	case eval.Status == "failed" && next != "": // Nomad tries again
		return c.rolloutByEval(ctx, namespace, next)
	case eval.Status == "failed":
		return jobs.Rollout{State: jobs.RolloutFailed, Reason: eval.StatusDescription}, nil
	}
	return jobs.Rollout{State: jobs.RolloutRunning}, nil
}

// rolloutByOtherEval ends a rollout whose evaluation was dropped for a later one of the same job, once none is to come.
func (c *Client) rolloutByOtherEval(ctx context.Context, namespace, jobID string) (jobs.Rollout, error) {
	q, done := c.query(ctx, namespace)
	defer done()
	evals, _, err := c.api.Jobs().Evaluations(jobID, q)
	if err != nil {
		return jobs.Rollout{}, translate("listing the evaluations of job "+jobID, err)
	}
	for _, e := range evals {
		if e.Status == "pending" {
			return jobs.Rollout{State: jobs.RolloutRunning}, nil
		}
	}
	return jobs.Rollout{State: jobs.RolloutSucceeded}, nil
}

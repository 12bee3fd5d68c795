package nomad

import (
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
	switch eval.Status {
	case "complete", "canceled":
		return jobs.Rollout{State: jobs.RolloutSucceeded}, nil
	case "failed":
		return jobs.Rollout{State: jobs.RolloutFailed, Reason: eval.StatusDescription}, nil
	}
	return jobs.Rollout{State: jobs.RolloutRunning}, nil
}

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
	q, done := c.query(ctx, namespace)
	defer done()
	list, _, err := c.api.Jobs().Deployments(jobID, false, q)
	err = ignoreMissing(translate("listing the deployments of job "+jobID, err))
	if err != nil {
		return jobs.Rollout{}, err
	}
	sort.Slice(list, func(i, j int) bool { return list[i].CreateIndex > list[j].CreateIndex })
	for _, d := range list {
		if d.JobSpecModifyIndex == applied.ModifyIndex {
			return rolloutOf(d), nil
		}
	}
	return c.rolloutByEval(ctx, namespace, applied.EvalID)
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

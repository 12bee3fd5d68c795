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
	list = jobs.Present(list)
	sort.Slice(list, func(i, j int) bool { return list[i].CreateIndex > list[j].CreateIndex })
	for _, d := range list {
		if d.JobSpecModifyIndex == modifyIndex {
			return rolloutOf(d), true, nil
		}
	}
	return rollout, false, nil
}

func rolloutOf(d *api.Deployment) jobs.Rollout {
	r := jobs.Rollout{Deployment: d.ID}
	switch d.Status {
	case api.DeploymentStatusSuccessful:
		r.State = jobs.RolloutSucceeded
	case api.DeploymentStatusFailed:
		r.State, r.Reason = jobs.RolloutFailed, d.StatusDescription
	case api.DeploymentStatusCancelled:
		// No end: the job was changed or stopped, by the loop or by somebody, whose change it repairs. Nomad counts what was stopped as unhealthy.
	default:
		for _, group := range d.TaskGroups {
			if group != nil {
				lacks := group.DesiredCanaries > 0 && len(group.PlacedCanaries) == 0 && !group.Promoted
				r.Unhealthy = r.Unhealthy || group.UnhealthyAllocs > 0
				r.Withheld = r.Withheld || lacks && d.Status == api.DeploymentStatusRunning // not paused by somebody
			}
		}
	}
	return r
}

// NewAllocs lists the allocations that a deployment made.
func (c *Client) NewAllocs(ctx context.Context, namespace, deployment string) ([]jobs.NewAlloc, error) {
	q, done := c.query(ctx, namespace)
	defer done()
	stubs, _, err := c.api.Deployments().Allocations(deployment, q)
	if err != nil {
		return nil, ignoreMissing(translate("listing the allocations of deployment "+deployment, err))
	}
	stubs = jobs.Present(stubs)
	list := make([]jobs.NewAlloc, len(stubs))
	for i, s := range stubs {
		a := jobs.AllocFromStub(s)
		list[i] = jobs.NewAlloc{ID: a.ID, Group: a.Group, Health: a.Health, Moved: a.Moved()}
	}
	return list, nil
}

// FailDeployment ends a deployment as failed; that it has ended already is no error. What it placed and did not promote ends,
// and Nomad registers the last stable version of the job, if there is one.
func (c *Client) FailDeployment(ctx context.Context, namespace, deployment string) error {
	w, done := c.write(ctx, namespace)
	defer done()
	_, _, err := c.api.Deployments().Fail(deployment, w)
	err = translate("failing deployment "+deployment, err)
	if err == nil || dynomad.KindOf(err) == dynomad.NotFound {
		return nil
	}
	q, read := c.query(ctx, namespace)
	defer read()
	d, _, infoErr := c.api.Deployments().Info(deployment, q)
	if infoErr == nil && d.Status != api.DeploymentStatusRunning && d.Status != api.DeploymentStatusPaused {
		return nil
	}
	return err
}

// Evaluated reports whether an evaluation has ended. One that Nomad has forgotten has.
func (c *Client) Evaluated(ctx context.Context, namespace, evalID string) (bool, error) {
	if evalID == "" {
		return true, nil
	}
	q, done := c.query(ctx, namespace)
	defer done()
	eval, _, err := c.api.Evaluations().Info(evalID, q)
	err = translate("reading evaluation "+evalID, err)
	if dynomad.KindOf(err) == dynomad.NotFound {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return eval.Status != "pending", nil
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

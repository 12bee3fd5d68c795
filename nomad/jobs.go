package nomad

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// Job gives a registered job; ok is false if there is none.
func (c *Client) Job(ctx context.Context, namespace, id string) (info jobs.JobInfo, ok bool, err error) {
	q, done := c.query(ctx, namespace)
	defer done()
	job, err := c.job(id, q)
	if err != nil {
		return jobs.JobInfo{}, false, ignoreMissing(err)
	}
	return jobs.InfoFromJob(job), true, nil
}

// job gives a registered job whole; NotFound if there is none.
func (c *Client) job(id string, q *api.QueryOptions) (*api.Job, error) {
	job, _, err := c.api.Jobs().Info(id, q)
	return job, translate("reading job "+id, err)
}

// Jobs lists the jobs of a namespace with their owner marks. It is one request, whatever the number of jobs.
func (c *Client) Jobs(ctx context.Context, namespace string) ([]jobs.JobInfo, error) {
	list, _, err := c.listJobs(ctx, namespace)
	return list, err
}

func (c *Client) listJobs(ctx context.Context, namespace string) ([]jobs.JobInfo, uint64, error) {
	q, done := c.query(ctx, namespace)
	defer done()
	stubs, meta, err := c.api.Jobs().ListOptions(&api.JobListOptions{Fields: &api.JobListFields{Meta: true}}, q)
	if err != nil {
		return nil, 0, translate("listing jobs", err)
	}
	stubs = jobs.Present(stubs)
	infos := make([]jobs.JobInfo, len(stubs))
	for i, s := range stubs {
		infos[i] = jobs.InfoFromStub(s)
	}
	return infos, meta.LastIndex, nil
}

// Register registers a job with check-and-set: modifyIndex is the JobModifyIndex that it must have now, 0 for none. It is a
// Conflict if it has another one.
func (c *Client) Register(ctx context.Context, job *api.Job, modifyIndex uint64) (jobs.Registered, error) {
	namespace := ""
	if job.Namespace != nil {
		namespace = *job.Namespace
	}
	w, done := c.write(ctx, namespace)
	defer done()
	opts := &api.RegisterOptions{EnforceIndex: true, ModifyIndex: modifyIndex}
	answer, _, err := c.api.Jobs().RegisterOpts(job, opts, w)
	if err != nil {
		return jobs.Registered{}, translate("registering job "+*job.ID, err)
	}
	return jobs.Registered{ModifyIndex: answer.JobModifyIndex, EvalID: answer.EvalID}, nil
}

// Lower registers a job as it is but for lower counts of some groups, with check-and-set as Register.
func (c *Client) Lower(ctx context.Context, namespace, id string, counts map[string]int, modifyIndex uint64) (jobs.Registered, error) {
	q, done := c.query(ctx, namespace)
	defer done()
	job, err := c.job(id, q)
	if err != nil {
		return jobs.Registered{}, err
	}
	for _, group := range jobs.Present(job.TaskGroups) {
		if group.Name == nil || group.Count == nil {
			continue
		}
		if n, ok := counts[*group.Name]; ok && n < *group.Count {
			group.Count = &n
		}
	}
	return c.Register(ctx, job, modifyIndex)
}

// Pauses between the nodes of a drain, of which Renew takes the one that a job does not have. Nomad's service scheduler has not used them since
// deployments came with 0.6; a job must have one all the same.
const (
	oneStagger   = 30 * time.Second // Nomad's default
	otherStagger = 31 * time.Second
)

// Renew registers a job once more, with check-and-set as Register, and otherwise than it is in nothing that matters: Nomad begins its
// deployment anew, which it does not for a job that is the same.
func (c *Client) Renew(ctx context.Context, namespace, id string, modifyIndex uint64) (jobs.Registered, error) {
	q, done := c.query(ctx, namespace)
	defer done()
	job, err := c.job(id, q)
	if err != nil {
		return jobs.Registered{}, err
	}
	for _, group := range jobs.Present(job.TaskGroups) {
		if u := group.Update; u != nil {
			stagger := oneStagger
			if u.Stagger != nil && *u.Stagger == oneStagger {
				stagger = otherStagger
			}
			u.Stagger = &stagger
		}
	}
	return c.Register(ctx, job, modifyIndex)
}

// StopJob ends a job, which stays in Nomad's records, and reports whether all its allocations have ended. modifyIndex is the
// JobModifyIndex that it was found to have; it is a Conflict if it has another one. That there is none is no error.
func (c *Client) StopJob(ctx context.Context, namespace, id string, modifyIndex uint64) (ended bool, err error) {
	info, ok, err := c.sameJob(ctx, namespace, id, modifyIndex)
	if err != nil || !ok {
		return err == nil, err
	}
	if !info.Stopped {
		if err := c.deregister(ctx, namespace, id, false); err != nil {
			return false, err
		}
	}
	q, done := c.query(ctx, namespace)
	defer done()
	allocs, _, err := c.api.Jobs().Allocations(id, true, q)
	if err != nil {
		return false, ignoreMissing(translate("listing the allocations of job "+id, err))
	}
	return !slices.ContainsFunc(jobs.Present(allocs), func(s *api.AllocationListStub) bool { return !jobs.AllocFromStub(s).Ended() }), nil
}

// sameJob gives a job that must have this JobModifyIndex; ok is false if there is none. It is called right before a job is
// ended: Nomad has no check-and-set for that, and the job could be somebody else's by now.
func (c *Client) sameJob(ctx context.Context, namespace, id string, modifyIndex uint64) (info jobs.JobInfo, ok bool, err error) {
	info, ok, err = c.Job(ctx, namespace, id)
	if err == nil && ok && info.ModifyIndex != modifyIndex {
		return jobs.JobInfo{}, false, dynomad.Errorf(dynomad.Conflict, "The job %s was changed by somebody else meanwhile.", id)
	}
	return info, ok, err
}

// Purge removes a job and its history, under the same condition as StopJob; that there is none is no error. All its allocations must have ended, and the clients
// know of it: Nomad forgets the allocations of a purged job at once, and a client is only told by their absence. One that
// looks at that moment may wait for them for minutes, and one that looks later misses it and has them run on until
// something else changes on its node (nomad/node_endpoint.go, GetClientAllocs; nomad/alloc_endpoint.go, GetAllocs).
func (c *Client) Purge(ctx context.Context, namespace, id string, modifyIndex uint64) error {
	if _, ok, err := c.sameJob(ctx, namespace, id, modifyIndex); err != nil || !ok {
		return err
	}
	return c.deregister(ctx, namespace, id, true)
}

func (c *Client) deregister(ctx context.Context, namespace, id string, purge bool) error {
	w, done := c.write(ctx, namespace)
	defer done()
	_, _, err := c.api.Jobs().DeregisterOpts(id, &api.DeregisterOptions{Purge: purge}, w)
	return ignoreMissing(translate("ending job "+id, err))
}

// Evaluate has the scheduler look at a job again, as its allocations stand; that there is none is no error. What runs as it should is left
// alone (Nomad's POST /v1/job/:job_id/evaluate).
func (c *Client) Evaluate(ctx context.Context, namespace, id string) error {
	w, done := c.write(ctx, namespace)
	defer done()
	_, _, err := c.api.Jobs().EvaluateWithOpts(id, api.EvalOptions{}, w)
	return ignoreMissing(translate("evaluating job "+id, err))
}

// contents gives what every version of a job that Nomad still keeps has dynos run.
func (c *Client) contents(ctx context.Context, namespace, id string) ([]jobs.VersionContent, error) {
	q, done := c.query(ctx, namespace)
	defer done()
	versions, _, _, err := c.api.Jobs().Versions(id, false, q)
	if err != nil {
		return nil, ignoreMissing(translate("reading the versions of job "+id, err))
	}
	versions = jobs.Present(versions)
	out := make([]jobs.VersionContent, len(versions))
	for i, j := range versions {
		out[i] = versionContent(j)
	}
	return out, nil
}

func versionContent(j *api.Job) jobs.VersionContent {
	v := jobs.VersionContent{JobID: jobs.InfoFromJob(j).ID, Groups: jobs.Content(j)}
	if j.Version != nil {
		v.Version = *j.Version
	}
	if j.CreateIndex != nil {
		v.CreateIndex = *j.CreateIndex
	}
	return v
}

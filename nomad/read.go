package nomad

import (
	"context"

	"github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad"
	"github.com/dynomad/dynomad/jobs"
)

// AllNamespaces stands for every namespace that the token may list jobs of, in Jobs.
const AllNamespaces = api.AllNamespacesNamespace

// JobSpec gives a registered job whole; NotFound if there is none.
func (c *Client) JobSpec(ctx context.Context, namespace, id string) (*api.Job, error) {
	q, done := c.query(ctx, namespace)
	defer done()
	return c.job(id, q)
}

// StableJob gives the newest version of a job that was rolled out well, of those that Nomad keeps; NotFound if there is none.
func (c *Client) StableJob(ctx context.Context, namespace, id string) (*api.Job, error) {
	q, done := c.query(ctx, namespace)
	defer done()
	versions, _, _, err := c.api.Jobs().Versions(id, false, q) // newest first
	if err != nil {
		return nil, translate("reading the versions of job "+id, err)
	}
	for _, job := range jobs.Present(versions) {
		if job.Stable != nil && *job.Stable {
			return job, nil
		}
	}
	return nil, dynomad.Errorf(dynomad.NotFound, "No version of the job %s was rolled out well.", id)
}

// Variable gives what a variable holds; NotFound if there is none. (Asked directly, as in HasVariable.)
func (c *Client) Variable(ctx context.Context, namespace, path string) (map[string]string, error) {
	q, done := c.query(ctx, namespace)
	defer done()
	var v api.Variable
	if _, err := c.api.Raw().Query("/v1/var/"+path, &v, q); err != nil {
		return nil, variableError("reading variable "+path, "read", err)
	}
	return v.Items, nil
}

package nomad

import (
	"context"

	"github.com/hashicorp/nomad/api"
)

// AllNamespaces stands for every namespace that the token may list jobs of, in Jobs.
const AllNamespaces = api.AllNamespacesNamespace

// JobSpec gives a registered job whole; NotFound if there is none.
func (c *Client) JobSpec(ctx context.Context, namespace, id string) (*api.Job, error) {
	q, done := c.query(ctx, namespace)
	defer done()
	return c.job(id, q)
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

package nomad

import (
	"context"

	"github.com/hashicorp/nomad/api"
)

// StopAlloc has an allocation replaced: it leaves Consul, drains and stops, and the scheduler places another one. That there is
// none is no error.
func (c *Client) StopAlloc(ctx context.Context, namespace, id string) error {
	q, done := c.query(ctx, namespace)
	defer done()
	_, err := c.api.Allocations().Stop(&api.Allocation{ID: id}, q)
	return ignoreMissing(translate("stopping allocation "+id, err))
}

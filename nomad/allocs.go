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

// rouseSignal is one that a running process does not notice unless it asks for it, and that Docker knows.
const rouseSignal = "SIGCONT"

// Rouse has Nomad's client look again at whether an allocation is healthy: a signal is an event of its tasks, with which the client hands
// their present state to what waits for their start. That there is no such allocation is no error.
func (c *Client) Rouse(ctx context.Context, namespace, id string) error {
	q, done := c.query(ctx, namespace)
	defer done()
	err := c.api.Allocations().Signal(&api.Allocation{ID: id}, q, "", rouseSignal)
	return ignoreMissing(translate("having Nomad look at allocation "+id, err))
}

package nomadtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// RemoveJob stops a job of the default namespace, waits until its allocations have ended, and purges it. That there is none
// is no error. Purged at once, its containers could run on, unknown to Nomad, and its node be deaf for minutes.
func (c *Cluster) RemoveJob(tb testing.TB, id string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), time.Minute)
	defer cancel()
	if err := c.removeJob(ctx, id); err != nil {
		tb.Errorf("removing job %s: %v", id, err)
	}
}

func (c *Cluster) removeJob(ctx context.Context, id string) error {
	write, query := (&api.WriteOptions{}).WithContext(ctx), (&api.QueryOptions{}).WithContext(ctx)
	stop := &api.DeregisterOptions{NoShutdownDelay: true}
	if _, _, err := c.NomadClient().Jobs().DeregisterOpts(id, stop, write); err != nil {
		var missing api.UnexpectedResponseError
		if errors.As(err, &missing) && missing.StatusCode() == 404 {
			return nil
		}
		return err
	}
	err := poll(ctx, func(context.Context) error {
		allocs, _, err := c.NomadClient().Jobs().Allocations(id, true, query)
		if err != nil {
			return err
		}
		return anyUp(allocs)
	})
	if err != nil {
		return err
	}
	_, _, err = c.NomadClient().Jobs().Deregister(id, true, write)
	return err
}

// anyUp tells of an allocation that has not ended.
func anyUp(allocs []*api.AllocationListStub) error {
	for _, a := range allocs {
		if !ended(a) {
			return fmt.Errorf("allocation %s of job %s is %s", a.ID, a.JobID, a.ClientStatus)
		}
	}
	return nil
}

package nomadtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"
)

// purgeWithin bounds how long Close waits for allocations to end by themselves before it takes their containers away.
const purgeWithin = 10 * time.Second

// Close ends the cluster and all that it caused; see the package comment for what that is. A lasting data directory
// stays, and so do the jobs in it. Further calls return what the first did.
func (c *Cluster) Close() error {
	c.closeOnce.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
		defer cancel()
		c.closeErr = errors.Join(c.closeParts(ctx), c.engine.close(ctx))
	})
	return c.closeErr
}

// closeParts ends all but Docker.
func (c *Cluster) closeParts(ctx context.Context) error {
	if !c.lasting() && len(c.Servers) > 0 && c.server().started() && c.server().Running() {
		if err := c.stopJobs(ctx); err != nil {
			c.config.Logger.Warn("stopping jobs; their containers are removed all the same", "error", err)
		}
	}
	errs := []error{c.stopAgents(ctx), c.clean(ctx)}
	if c.held != nil {
		errs = append(errs, c.held.Close())
	}
	if c.dirLock != nil {
		errs = append(errs, c.dirLock.release())
	}
	return errors.Join(errs...)
}

// clean removes what the agents left, and the data directory unless it is a lasting one.
func (c *Cluster) clean(ctx context.Context) error {
	if c.dir == "" {
		return nil
	}
	if err := sweep(ctx, c.engine.api, c.dir); err != nil || c.lasting() {
		return err
	}
	return os.RemoveAll(c.dir)
}

// stopAgents lets Nomad end in order, so that its data stays whole, and kills the two that need no care.
func (c *Cluster) stopAgents(ctx context.Context) error {
	var errs []error
	for _, p := range c.parts() {
		switch {
		case p == c.Docker:
		case p == c.Traefik, !c.lasting():
			errs = append(errs, p.Kill())
		default:
			errs = append(errs, p.Stop(ctx))
		}
	}
	return errors.Join(errs...)
}

// stopJobs removes every job of every namespace, and waits until their allocations have ended. Containers do not
// get their kill_timeout.
func (c *Cluster) stopJobs(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, purgeWithin)
	defer cancel()
	for _, a := range slices.Concat(c.Servers, c.Clients) {
		if a.started() {
			if err := a.Continue(); err != nil {
				return err
			}
		}
	}
	all := (&api.QueryOptions{Namespace: api.AllNamespacesNamespace}).WithContext(ctx)
	nomad := c.NomadClient()
	jobs, _, err := nomad.Jobs().List(all)
	if err != nil {
		return fmt.Errorf("listing jobs: %w", err)
	}
	options := &api.DeregisterOptions{NoShutdownDelay: true} // purged, their containers would be forgotten: see RemoveJob
	for _, job := range jobs {
		write := (&api.WriteOptions{Namespace: job.Namespace}).WithContext(ctx)
		if _, _, err := nomad.Jobs().DeregisterOpts(job.ID, options, write); err != nil {
			return fmt.Errorf("stopping job %s: %w", job.ID, err)
		}
	}
	return c.awaitNoAllocs(ctx, all)
}

func (c *Cluster) awaitNoAllocs(ctx context.Context, all *api.QueryOptions) error {
	return poll(ctx, func(ctx context.Context) error {
		allocs, _, err := c.NomadClient().Allocations().List(all)
		if err != nil {
			return err
		}
		for _, a := range allocs {
			if ended(a) || !c.nodeRuns(a.NodeName) {
				continue
			}
			err := c.engine.api.removeContainers(ctx, map[string]bool{a.ID: true})
			return errors.Join(fmt.Errorf("allocation %s of %s is %s", a.ID, a.JobID, a.ClientStatus), err)
		}
		return nil
	})
}

// nodeRuns says whether the client of a node is there to end its allocations.
func (c *Cluster) nodeRuns(node string) bool {
	a := c.client(node)
	return a != nil && a.Running()
}

func ended(a *api.AllocationListStub) bool {
	switch a.ClientStatus {
	case api.AllocClientStatusComplete, api.AllocClientStatusFailed, api.AllocClientStatusLost:
		return true
	}
	return false
}

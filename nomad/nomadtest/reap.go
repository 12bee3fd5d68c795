package nomadtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// begunWithin is how long before a client's end a container may have been made that the client had not noted yet.
const begunWithin = 10 * time.Second

// Reap does what Nomad's clients do of themselves every five minutes, and must not here, since several share a Docker (plugin "docker",
// gc, dangling_containers): it removes containers that a client was about to start when it was killed, and does not know of. Those are the
// ones that were made shortly before a kill, and whose allocations have ended or are forgotten. It gives their ids. Those of other clusters
// on the same Docker are left alone.
func (c *Cluster) Reap(ctx context.Context) ([]string, error) {
	kills := c.clientKills()
	if len(kills) == 0 {
		return nil, nil
	}
	containers, err := c.engine.api.allocContainers(ctx, false)
	if err != nil {
		return nil, err
	}
	var reaped []string
	for _, one := range containers {
		made := time.Unix(one.Created, 0)
		lost := slices.ContainsFunc(kills, func(k time.Time) bool { return made.Before(k) && k.Sub(made) < begunWithin })
		if !lost || !one.below(c.dir) {
			continue
		}
		up, err := c.allocUp(ctx, one.Labels[allocLabel])
		if err == nil && !up {
			reaped, err = append(reaped, one.ID), c.engine.api.removeContainer(ctx, one.ID)
		}
		if err != nil {
			return reaped, err
		}
	}
	return reaped, nil
}

// clientKills are the times at which the clients that there are were killed.
func (c *Cluster) clientKills() []time.Time {
	if !c.config.several() {
		return c.Nomad.kills()
	}
	var all []time.Time
	for _, a := range c.Clients {
		all = append(all, a.kills()...)
	}
	return all
}

// allocUp says whether an allocation is known and has not ended.
func (c *Cluster) allocUp(ctx context.Context, id string) (bool, error) {
	a, _, err := c.NomadClient().Allocations().Info(id, (&api.QueryOptions{}).WithContext(ctx))
	var answer api.UnexpectedResponseError
	switch {
	case errors.As(err, &answer) && answer.StatusCode() == http.StatusNotFound:
		return false, nil
	case err != nil:
		return false, fmt.Errorf("asking for allocation %s: %w", id, err)
	}
	return !ended(a.Stub()), nil
}

// allocContainer is a container that a Nomad client has made.
type allocContainer struct {
	ID      string `json:"Id"`
	Created int64  // Unix seconds
	Labels  map[string]string
	Mounts  []struct{ Source string }
}

// below reports whether something in a directory is mounted in the container, as an allocation's folders are.
func (a allocContainer) below(dir string) bool {
	return slices.ContainsFunc(a.Mounts, func(m struct{ Source string }) bool { return strings.HasPrefix(m.Source, dir+"/") })
}

// allocContainers lists the containers of allocations that run, or all.
func (d *dockerAPI) allocContainers(ctx context.Context, all bool) (list []allocContainer, err error) {
	query := url.Values{"filters": {`{"label":["` + allocLabel + `"]}`}}
	if all {
		query.Set("all", "1")
	}
	if err := d.call(ctx, http.MethodGet, "/containers/json", query, &list); err != nil {
		return nil, fmt.Errorf("listing containers: %w", err)
	}
	return list, nil
}

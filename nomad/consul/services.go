package consul

import (
	"context"
	"slices"

	"github.com/hashicorp/consul/api"

	"github.com/dynomad/dynomad/jobs"
)

// Foreign reports whether a service has instances that are not this installation's: traffic for two is never merged under a name.
func (c *Client) Foreign(ctx context.Context, name, installation string) (bool, error) {
	ctx, done := context.WithTimeout(ctx, callTimeout)
	defer done()
	entries, _, err := c.api.Health().Service(name, "", false, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return false, translate("reading service "+name, err)
	}
	for _, e := range present(entries) {
		if !owns(installation, e.Service.Meta) {
			return true, nil
		}
	}
	return false, nil
}

// present gives the entries that are of a service, without nulls: none must end the daemon.
func present(entries []*api.ServiceEntry) []*api.ServiceEntry {
	entries = slices.DeleteFunc(jobs.Present(entries), func(e *api.ServiceEntry) bool { return e.Service == nil })
	for _, e := range entries {
		e.Checks = jobs.Present(e.Checks)
	}
	return entries
}

func owns(installation string, meta map[string]string) bool {
	owner, _, ok := jobs.Owner(meta)
	return ok && owner == installation
}

package consul

import "github.com/hashicorp/consul/api"

// check is what is read of a check: there are as many as dynos, and each has much that is of no use here.
type check struct {
	Node, ServiceID, ServiceName, Status, Output string
}

// checks lists the checks of a state, and gives the list's index.
// See https://developer.hashicorp.com/consul/api-docs/health#list-checks-in-state.
func (c *Client) checks(state string, q *api.QueryOptions) ([]check, uint64, error) {
	var list []check
	meta, err := c.api.Raw().Query("/v1/health/state/"+state, &list, q)
	if err != nil {
		return nil, 0, err
	}
	return list, meta.LastIndex, nil
}

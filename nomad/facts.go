package nomad

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// Facts are what the daemon needs to know of the cluster before it may trust it.
type Facts struct {
	Oversubscription bool     // memory limits above the reservation are honoured
	Warnings         []string // what the operator should mend, each a sentence
}

// Facts reads the scheduler's configuration, whether ACLs are on, and what addresses the nodes publish ports on. What the
// token may not read is a warning, not an error.
func (c *Client) Facts(ctx context.Context) (Facts, error) {
	if err := c.Ping(ctx); err != nil {
		return Facts{}, err
	}
	var f Facts
	if err := c.scheduler(ctx, &f); err != nil {
		return Facts{}, err
	}
	c.acl(ctx, &f)
	c.nodes(ctx, &f)
	return f, nil
}

// scheduler asks for oversubscription. Only a refusal is taken for an answer: a no that is none would replace every dyno.
func (c *Client) scheduler(ctx context.Context, f *Facts) error {
	q, done := c.query(ctx, "")
	defer done()
	answer, _, err := c.api.Operator().SchedulerGetConfiguration(q)
	switch {
	case refused(err):
		f.Warnings = append(f.Warnings, "The daemon's token may not read the scheduler's configuration (operator:read), so memory oversubscription is taken for off: a dyno's memory limit is its request.")
	case err != nil:
		return translate("reading the scheduler's configuration", err)
	case !answer.SchedulerConfig.MemoryOversubscriptionEnabled:
		f.Warnings = append(f.Warnings, "Memory oversubscription is off in Nomad's scheduler configuration: a dyno's memory limit is its request.")
	default:
		f.Oversubscription = true
	}
	return nil
}

// acl warns of a cluster without ACLs: there any dyno that reaches Nomad's port owns the cluster. With ACLs a list of
// policies without a token is refused; without them the endpoint says that ACLs are disabled.
func (c *Client) acl(ctx context.Context, f *Facts) {
	q, done := c.query(ctx, "")
	defer done()
	_, _, err := c.api.ACLPolicies().List(q)
	if err != nil && strings.Contains(err.Error(), "ACL support disabled") {
		f.Warnings = append(f.Warnings, "ACLs are off in Nomad: a dyno that reaches Nomad's or Consul's port owns the cluster.")
	}
}

func (c *Client) nodes(ctx context.Context, f *Facts) {
	q, done := c.query(ctx, "")
	defer done()
	q.Params = map[string]string{"resources": "true"}
	nodes, _, err := c.api.Nodes().List(q)
	if err != nil {
		f.Warnings = append(f.Warnings, "The daemon's token may not list nodes (node:read): it cannot warn of nodes that publish ports on loopback.")
		return
	}
	for _, n := range nodes {
		if publishesOnLoopback(n) {
			f.Warnings = append(f.Warnings, fmt.Sprintf("Node %s publishes ports on a loopback address: TCP health checks prove nothing there, since Docker's proxy answers. Set network_interface in its client block.", n.Name))
		}
	}
}

func publishesOnLoopback(n *api.NodeListStub) bool {
	if n.NodeResources == nil {
		return false
	}
	for _, network := range n.NodeResources.Networks {
		if ip := net.ParseIP(network.IP); ip != nil && ip.IsLoopback() {
			return true
		}
	}
	return false
}

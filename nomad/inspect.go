package nomad

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"
)

// What follows is for dynomad doctor: it asks more than the daemon does, and once.

// Clock tells by how much the clock of Nomad's agent is ahead of this machine's, to about a second.
func (c *Client) Clock(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.api.Address()+"/v1/status/leader", nil)
	if err != nil {
		return 0, err
	}
	asked := time.Now()
	resp, err := c.api.Raw().Do(req)
	if err != nil {
		return 0, translate("asking for the time", err)
	}
	defer resp.Body.Close() //nolint:errcheck // its header is wanted
	theirs, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return 0, fmt.Errorf("nomad's answer has no date: %w", err)
	}
	ours := asked.Add(time.Since(asked) / 2).Round(0)
	return theirs.Add(time.Second / 2).Sub(ours), nil // the header has whole seconds, rounded down
}

// Version gives the version of the agent that is asked, which takes the right agent:read.
func (c *Client) Version(ctx context.Context) (string, error) {
	q, done := c.query(ctx, "")
	defer done()
	var self api.AgentSelf
	if _, err := c.api.Raw().Query("/v1/agent/self", &self, q); err != nil {
		return "", translate("asking for the version", err)
	}
	version, _ := self.Config["Version"].(map[string]any)
	text, _ := version["Version"].(string)
	return cmp.Or(text, self.Member.Tags["build"]), nil
}

// Node is a client node, as far as running dynos on it goes.
type Node struct {
	Name       string
	Datacenter string
	Pool       string
	Version    string
	Ready      bool // up, eligible, and not draining
	State      string
	Docker     bool   // the driver is there and healthy
	DockerSays string // of its health, when it is not
	Consul     string // the version of the node's Consul agent, as Nomad sees it; "" if it sees none
	Loopback   bool   // it publishes ports on a loopback address
}

// nodesAtOnce bounds the questions about single nodes.
const nodesAtOnce = 8

// Nodes lists the client nodes by name, each with what only a question about it tells.
func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	q, done := c.query(ctx, "")
	defer done()
	q.Params = map[string]string{"resources": "true"}
	stubs, _, err := c.api.Nodes().List(q)
	if err != nil {
		return nil, translate("listing nodes", err)
	}
	nodes := make([]Node, len(stubs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(nodesAtOnce)
	for i, stub := range stubs {
		nodes[i] = nodeOf(stub)
		g.Go(func() error {
			q, done := c.query(ctx, "")
			defer done()
			node, _, err := c.api.Nodes().Info(stub.ID, q)
			if err != nil {
				return ignoreMissing(translate("reading node "+stub.Name, err))
			}
			nodes[i].Consul = node.Attributes["consul.version"]
			return nil
		})
	}
	err = g.Wait()
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	return nodes, err
}

func nodeOf(stub *api.NodeListStub) Node {
	n := Node{
		Name: stub.Name, Datacenter: stub.Datacenter, Pool: stub.NodePool, Version: stub.Version, Loopback: publishesOnLoopback(stub),
		DockerSays: "it is not there", State: stub.Status,
	}
	switch {
	case stub.Status != api.NodeStatusReady:
	case stub.Drain:
		n.State = "draining"
	case stub.SchedulingEligibility != api.NodeSchedulingEligible:
		n.State = stub.SchedulingEligibility
	default:
		n.Ready = true
	}
	if driver := stub.Drivers["docker"]; driver != nil && driver.Detected {
		n.Docker, n.DockerSays = driver.Healthy, driver.HealthDescription
	}
	return n
}

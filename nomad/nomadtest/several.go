package nomadtest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"
)

// prepareSeveral writes the configuration of servers, of clients, and of the clients' Consul agents. Each client has one:
// a Nomad client ends all services of other Nomad clients that it finds in its Consul agent.
func (c *Cluster) prepareSeveral(ctx context.Context) error {
	const ofServer, ofClient = 3, 3
	ports, err := pickMore(ctx, c.held, (c.config.Servers-1)*ofServer+c.config.Clients*ofClient)
	if err != nil {
		return err
	}
	ports = append([]int{c.ports.NomadHTTP, c.ports.NomadRPC, c.ports.NomadSerf}, ports...)
	servers, ports := ports[:c.config.Servers*ofServer], ports[c.config.Servers*ofServer:]
	common := c.nomadValues()
	for i := range c.config.Servers {
		common.ServerRPC = append(common.ServerRPC, loopback(servers[i*ofServer+1]))
		common.ServerSerf = append(common.ServerSerf, loopback(servers[i*ofServer+2]))
	}
	for i := range c.config.Servers {
		v := common
		v.Name, v.Server = fmt.Sprintf("server%d", i+1), true
		v.HTTP, v.RPC, v.Serf = servers[i*ofServer], servers[i*ofServer+1], servers[i*ofServer+2]
		if err := c.addAgent(&c.Servers, v); err != nil {
			return err
		}
	}
	span := (c.ports.DynamicMax - c.ports.DynamicMin + 1) / c.config.Clients
	for i := range c.config.Clients {
		v := common
		v.Name, v.Client = fmt.Sprintf("client%d", i+1), true
		v.HTTP = ports[i*ofClient]
		v.DynamicMin = c.ports.DynamicMin + i*span // they share an address
		v.DynamicMax = v.DynamicMin + span - 1
		process, client, err := c.newConsulClient("consul-"+v.Name, ports[i*ofClient+1], ports[i*ofClient+2])
		if err != nil {
			return err
		}
		v.ConsulAddr = loopback(ports[i*ofClient+1])
		if err := c.addAgent(&c.Clients, v); err != nil {
			return err
		}
		c.Clients[i].Consul, c.Clients[i].consul = process, client
	}
	return nil
}

func (c *Cluster) addAgent(agents *[]*Agent, v nomadValues) error {
	v.DataDir = filepath.Join(c.dir, v.Name)
	agent, err := c.newAgent(v.Name, v)
	if err == nil {
		*agents = append(*agents, agent)
	}
	return err
}

// startNomad starts all agents at the same time: servers wait for one another, and clients for them.
func (c *Cluster) startNomad(ctx context.Context) error {
	if !c.config.several() {
		return c.Nomad.start(ctx)
	}
	var g errgroup.Group
	for _, a := range append(c.Servers[:len(c.Servers):len(c.Servers)], c.Clients...) {
		g.Go(func() error { return a.start(ctx) })
	}
	return g.Wait()
}

// Leader is the server that leads now.
func (c *Cluster) Leader(ctx context.Context) (*Agent, error) {
	var rpc string
	if _, err := c.NomadClient().Raw().Query("/v1/status/leader", &rpc, (&api.QueryOptions{}).WithContext(ctx)); err != nil {
		return nil, fmt.Errorf("asking for the leader: %w", err)
	}
	for _, a := range c.Servers {
		if loopback(a.values.RPC) == rpc {
			return a, nil
		}
	}
	return nil, errors.New("nomad has no leader")
}

// server is a server that runs, or the first one.
func (c *Cluster) server() *Agent {
	for _, a := range c.Servers {
		if a.started() && a.Running() {
			return a
		}
	}
	return c.Servers[0]
}

// client is the one of a node, by the node's name.
func (c *Cluster) client(node string) *Agent {
	for _, a := range c.Clients {
		if a.NodeName() == node {
			return a
		}
	}
	return nil
}

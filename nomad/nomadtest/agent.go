package nomadtest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	consul "github.com/hashicorp/consul/api"
	"github.com/hashicorp/nomad/api"
)

// Agent is a Nomad agent: a server, a client or, in a cluster of one, both.
type Agent struct {
	*Process
	Consul *Process // the Consul agent that it registers with; servers use the cluster's

	cluster *Cluster
	values  nomadValues
	nomad   *api.Client
	consul  *consul.Client // of its own Consul agent; nil is the cluster's
}

// Addr is host:port of the agent's HTTP API, which answers for the whole cluster.
func (a *Agent) Addr() string { return loopback(a.values.HTTP) }

// Client is a client of that API with the management token, if there are ACLs.
func (a *Agent) Client() *api.Client { return a.nomad }

// ConsulClient is a client of the Consul agent that it registers with, as Cluster.ConsulClient.
func (a *Agent) ConsulClient() *consul.Client {
	if a.consul == nil {
		return a.cluster.consul
	}
	return a.consul
}

// NodeName is the name of a client's node.
func (a *Agent) NodeName() string { return a.values.Name }

// NodeID is the id of a client's node, which must be running.
func (a *Agent) NodeID(ctx context.Context) (string, error) {
	var self struct {
		Stats map[string]map[string]string `json:"stats"`
	}
	if _, err := a.nomad.Raw().Query("/v1/agent/self", &self, (&api.QueryOptions{}).WithContext(ctx)); err != nil {
		return "", fmt.Errorf("asking %s for its node: %w", a.Name(), err)
	}
	id := self.Stats["client"]["node_id"]
	if id == "" {
		return "", fmt.Errorf("%s has no node", a.Name())
	}
	return id, nil
}

// start starts the agent, after its Consul agent if that is its own.
func (a *Agent) start(ctx context.Context) error {
	if a.Consul != a.cluster.Consul {
		if err := a.Consul.start(ctx); err != nil {
			return err
		}
	}
	return a.Process.start(ctx)
}

// ready wants a leader and, of a client, a ready node that can run containers and knows of Consul, without which no job
// with a service is placed.
func (a *Agent) ready(ctx context.Context) error {
	opts := (&api.QueryOptions{}).WithContext(ctx)
	var leader string
	if _, err := a.nomad.Raw().Query("/v1/status/leader", &leader, opts); err != nil {
		return err
	}
	if leader == "" {
		return errors.New("nomad has no leader")
	}
	if err := a.bootstrapACL(ctx); err != nil {
		return err
	}
	if !a.values.Client {
		return nil
	}
	id, err := a.NodeID(ctx)
	if err != nil {
		return err
	}
	node, _, err := a.nomad.Nodes().Info(id, opts)
	if err != nil {
		return err
	}
	if node.Status != api.NodeStatusReady {
		return fmt.Errorf("nomad's node is %s", node.Status)
	}
	return checkNode(node)
}

// Lose has a client of a cluster of several vanish as if its machine had lost power: the agent, its Consul agent, its
// helpers and all containers of its allocations end at once, and nobody is told.
func (a *Agent) Lose(ctx context.Context) error {
	// The agents first: they would see the containers end, tell of it and start them again.
	err := errors.Join(a.Kill(), a.Consul.Kill())
	if err == nil {
		err = killMarked(ctx, dirMark(a.cluster.dir), nameMark(a.Name()))
	}
	if err != nil {
		return fmt.Errorf("losing %s: %w", a.Name(), err)
	}
	ids, err := allocIDs(a.values.DataDir)
	if err != nil {
		return fmt.Errorf("losing %s: %w", a.Name(), err)
	}
	return a.cluster.engine.api.removeContainers(ctx, ids)
}

// Return starts a lost client again, with the data that it had.
func (a *Agent) Return(ctx context.Context) error { return a.start(ctx) }

// allocIDs are the allocations that have a directory under a Nomad client's data directory.
func allocIDs(dataDir string) (map[string]bool, error) {
	found, err := filepath.Glob(filepath.Join(dataDir, "alloc", "*"))
	if err != nil {
		return nil, err
	}
	ids := make(map[string]bool, len(found))
	for _, path := range found {
		ids[filepath.Base(path)] = true
	}
	return ids, nil
}

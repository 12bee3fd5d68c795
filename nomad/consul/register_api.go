package consul

import (
	"context"

	"github.com/hashicorp/consul/api"
)

// agentRegistry registers with the agent that the client talks to.
// See https://developer.hashicorp.com/consul/api-docs/agent/service.
type agentRegistry struct{ api *api.Client }

// register registers the service as passing, in the place of an earlier registration with the same id.
func (a agentRegistry) register(ctx context.Context, s Service) error {
	err := a.api.Agent().ServiceRegisterOpts(&api.AgentServiceRegistration{
		ID: s.Name, Name: s.Name, Address: s.Address, Port: s.Port, Tags: s.Tags, Meta: s.Meta,
		Check: &api.AgentServiceCheck{
			CheckID: s.Name, Name: s.Check, TTL: beatTTL.String(), Status: api.HealthPassing,
			DeregisterCriticalServiceAfter: beatForget.String(),
		},
	}, api.ServiceRegisterOpts{ReplaceExistingChecks: true}.WithContext(ctx))
	return answer("registering "+s.Name, err)
}

func (a agentRegistry) confirm(ctx context.Context, s Service) error {
	err := a.api.Agent().UpdateTTLOpts(s.Name, "", api.HealthPassing, (&api.QueryOptions{}).WithContext(ctx))
	return answer("confirming "+s.Name, err)
}

func (a agentRegistry) deregister(ctx context.Context, s Service) error {
	return answer("deregistering "+s.Name, a.api.Agent().ServiceDeregisterOpts(s.Name, (&api.QueryOptions{}).WithContext(ctx)))
}

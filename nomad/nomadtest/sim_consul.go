package nomadtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	consul "github.com/hashicorp/consul/api"
	"github.com/hashicorp/nomad/api"
)

// simHealth is what Consul knows of checks, guarded by Fake.mu.
type simHealth struct {
	critical map[string]string // allocation -> what its failing check says
	index    uint64            // of the last change of those
	agent    map[string]*consul.AgentServiceRegistration
}

func newSimHealth(index uint64) simHealth {
	return simHealth{critical: map[string]string{}, index: index, agent: map[string]*consul.AgentServiceRegistration{}}
}

// noteChange forgets the checks of an allocation that has gone: Nomad takes it out of Consul as it tells it to stop.
func (h *simHealth) noteChange(c fakeChange) {
	if c.alloc == nil || !c.alloc.Stopping() && !c.alloc.Ended() {
		return
	}
	if _, ok := h.critical[c.alloc.ID]; ok {
		delete(h.critical, c.alloc.ID)
		h.index = c.index
	}
}

// consulRoutes are the paths of Consul's API that the daemon uses (https://developer.hashicorp.com/consul/api-docs).
func (s *Sim) consulRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, get := range map[string]func(*http.Request) (any, error){
		"/v1/status/leader":         func(*http.Request) (any, error) { return "127.0.0.1:8300", nil },
		"/v1/health/state/any":      s.listChecks,
		"/v1/health/service/{name}": s.listInstances,
		"/v1/kv/{key...}":           s.getKey,
	} {
		mux.Handle("GET "+pattern, s.read("Consul", func() uint64 { return s.index }, get))
	}
	mux.Handle("GET /v1/health/state/critical", s.read("Consul", func() uint64 { return s.health.index }, s.listCritical))
	for pattern, do := range map[string]func(*http.Request) (any, error){
		"PUT /v1/session/create":                s.createSession,
		"PUT /v1/session/renew/{id}":            s.renewSession,
		"PUT /v1/session/destroy/{id}":          s.destroySession,
		"PUT /v1/kv/{key...}":                   s.putKey,
		"PUT /v1/agent/service/register":        s.registerService,
		"PUT /v1/agent/service/deregister/{id}": s.deregisterService,
		"PUT /v1/agent/check/update/{id}":       s.updateCheck,
	} {
		mux.Handle(pattern, s.write(do))
	}
	return mux
}

// Fail has an allocation's check fail and say why; "" has it pass again.
func (s *Sim) Fail(allocID, output string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health.critical[allocID] = output
	if output == "" {
		delete(s.health.critical, allocID)
	}
	s.health.index = s.next()
	s.wake()
}

// checked gives the service that an allocation is an instance of; nil if it is of none, or not up.
func (s *Sim) checked(a *fakeAlloc) *api.Service {
	j := s.jobs[fakeKey(a.Namespace, a.JobID)]
	if j == nil || a.forgotten || a.Stopping() || a.Client != api.AllocClientStatusRunning {
		return nil
	}
	for _, tg := range j.spec.TaskGroups {
		if *tg.Name == a.Group && len(tg.Services) > 0 {
			return tg.Services[0]
		}
	}
	return nil
}

// instanceID is how Nomad names an instance in Consul (client/serviceregistration/id.go).
func instanceID(a *fakeAlloc, service *api.Service) string {
	return fmt.Sprintf("_nomad-task-%s-group-%s-%s-%s", a.ID, a.Group, service.Name, service.PortLabel)
}

func (s *Sim) check(a *fakeAlloc, service *api.Service) *consul.HealthCheck {
	check := &consul.HealthCheck{
		Node: a.NodeName, CheckID: "_nomad-check-" + a.ID, Name: "service: \"" + service.Name + "\" check", Status: consul.HealthPassing,
		Output: "TCP connect 192.0.2.1:20000: Success", ServiceID: instanceID(a, service), ServiceName: service.Name, ServiceTags: service.Tags,
		Type: "tcp", CreateIndex: a.created, ModifyIndex: a.created,
	}
	if output, bad := s.health.critical[a.ID]; bad {
		check.Status, check.Output, check.ModifyIndex = consul.HealthCritical, output, s.health.index
	}
	return check
}

// listChecks lists all checks.
func (s *Sim) listChecks(*http.Request) (any, error) {
	list := consul.HealthChecks{}
	for _, a := range s.feed.order {
		if service := s.checked(a); service != nil {
			list = append(list, s.check(a, service))
		}
	}
	return list, nil
}

func (s *Sim) listCritical(*http.Request) (any, error) {
	list := consul.HealthChecks{}
	for _, id := range slices.Sorted(maps.Keys(s.health.critical)) {
		if a := s.feed.allocs[id]; a != nil {
			if service := s.checked(a); service != nil {
				list = append(list, s.check(a, service))
			}
		}
	}
	return list, nil
}

// listInstances lists the instances of a service, which is taken to have the name of its job, as the daemon's have.
func (s *Sim) listInstances(r *http.Request) (any, error) {
	name := r.PathValue("name")
	list := []*consul.ServiceEntry{}
	for _, namespace := range s.namespaces() {
		for _, a := range s.feed.ofJob[fakeKey(namespace, name)] {
			service := s.checked(a)
			if service == nil || service.Name != name {
				continue
			}
			list = append(list, &consul.ServiceEntry{
				Node: &consul.Node{Node: a.NodeName, Address: "192.0.2.1"},
				Service: &consul.AgentService{
					ID: instanceID(a, service), Service: name, Tags: service.Tags, Meta: service.Meta, Address: "192.0.2.1", Port: 20000,
				},
				Checks: consul.HealthChecks{
					{Node: a.NodeName, CheckID: "serfHealth", Name: "Serf Health Status", Status: consul.HealthPassing},
					s.check(a, service),
				},
			})
		}
	}
	return list, nil
}

// namespaces lists the namespaces that have ever had an allocation.
func (s *Sim) namespaces() []string { return slices.Sorted(maps.Keys(s.feed.namespaces)) }

func (s *Sim) registerService(r *http.Request) (any, error) {
	var in consul.AgentServiceRegistration
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.ID == "" {
		return nil, simError{http.StatusBadRequest, "Missing service name"}
	}
	s.health.agent[in.ID] = &in
	return nil, nil //nolint:nilnil // Consul's answer has no body
}

func (s *Sim) deregisterService(r *http.Request) (any, error) {
	if s.health.agent[r.PathValue("id")] == nil {
		return nil, notFound("Unknown service ID")
	}
	delete(s.health.agent, r.PathValue("id"))
	return nil, nil //nolint:nilnil // Consul's answer has no body
}

func (s *Sim) updateCheck(r *http.Request) (any, error) {
	if s.health.agent[r.PathValue("id")] == nil {
		return nil, notFound("Unknown check ID")
	}
	return nil, nil //nolint:nilnil // Consul's answer has no body
}

// Checked reports whether Consul has a check of an allocation.
func (s *Sim) Checked(allocID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.feed.allocs[allocID]
	return a != nil && s.checked(a) != nil
}

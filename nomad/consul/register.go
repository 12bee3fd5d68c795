package consul

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/dynomad/dynomad"
)

// Timing of a registration. What is not confirmed for beatTTL counts as failing, and is gone after beatForget: the daemon ended
// without a word and did not come back.
const (
	beatEvery  = 10 * time.Second
	beatTTL    = 30 * time.Second
	beatForget = 10 * time.Minute
	beatRetry  = 2 * time.Second
	beatTime   = 5 * time.Second // the longest that one request takes
	heldAgain  = 500 * time.Millisecond
)

// Service is what a daemon registers of itself.
type Service struct {
	Name    string // and id: one instance per name
	Address string // where routers reach it; "" is the address of the agent's node
	Port    int
	Tags    []string
	Meta    map[string]string
	Check   string // name of its check
}

// registry is what a registration needs of Consul.
type registry interface {
	register(ctx context.Context, s Service) error
	// confirm says that the service is well. It fails if the agent does not know the service.
	confirm(ctx context.Context, s Service) error
	deregister(ctx context.Context, s Service) error
}

// Registrar keeps a service registered: with a request each beatEvery that confirms it, by which it also notices that Consul
// has forgotten it.
type Registrar struct {
	api     registry
	service Service
	held    func() bool
	log     hclog.Logger

	registered bool // as far as is known; of Run's goroutine alone

	mu      sync.Mutex // guards the fields below
	said    string     // the last error, for the log
	problem string     // the same, without what only the log is told
}

// NewRegistrar makes a Registrar; Run starts it. It registers only while held says so.
func (c *Client) NewRegistrar(s Service, held func() bool, log hclog.Logger) *Registrar {
	return newRegistrar(agentRegistry{c.api}, s, held, log)
}

func newRegistrar(api registry, s Service, held func() bool, log hclog.Logger) *Registrar {
	return &Registrar{api: api, service: s, held: held, log: log}
}

// Run keeps the service registered until ctx ends, then deregisters it.
func (r *Registrar) Run(ctx context.Context) {
	for ctx.Err() == nil {
		sleep(ctx, r.beat(ctx))
	}
	r.leave(ctx)
}

// Problem says in a sentence fit for anybody why the service is not registered; "" if it is, or was not tried yet.
func (r *Registrar) Problem() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.problem
}

// beat confirms or registers the service and gives the pause before the next time.
func (r *Registrar) beat(ctx context.Context) time.Duration {
	if !r.held() {
		// Who is allowed to now registers under the same id, maybe with the same agent: ours is not to be taken away.
		r.registered = false
		return heldAgain
	}
	if r.registered && r.call(ctx, r.api.confirm) == nil {
		return beatEvery
	}
	err := r.call(ctx, r.api.register)
	if ctx.Err() != nil {
		return 0
	}
	r.note(err)
	r.registered = err == nil
	if err != nil {
		return beatRetry
	}
	return beatEvery
}

func (r *Registrar) call(ctx context.Context, f func(context.Context, Service) error) error {
	ctx, cancel := context.WithTimeout(ctx, beatTime)
	defer cancel()
	return f(ctx, r.service)
}

// leave deregisters the service, after ctx ended.
func (r *Registrar) leave(ctx context.Context) {
	if !r.registered || !r.held() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatRetry)
	defer cancel()
	if err := r.api.deregister(ctx, r.service); err != nil {
		r.log.Warn("cannot deregister", "service", r.service.Name, "error", err)
	}
}

// note logs what changed and keeps it for Problem.
func (r *Registrar) note(err error) {
	said, problem := "", ""
	if err != nil {
		said, problem = err.Error(), "Consul does not take the registration."
		var e *dynomad.Error
		if errors.As(err, &e) {
			problem = e.Message
		}
	}
	r.mu.Lock()
	before := r.said
	r.said, r.problem = said, problem
	r.mu.Unlock()
	switch {
	case err == nil:
		r.log.Info("registered", "service", r.service.Name, "address", r.service.Address, "port", r.service.Port)
	case said != before:
		r.log.Warn("cannot register, will try again", "service", r.service.Name, "error", err)
	}
}

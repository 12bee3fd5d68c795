package consul

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/dynomad/dynomad"
)

// agentSessions are the sessions and keys of Consul by way of an agent.
// See https://developer.hashicorp.com/consul/docs/dynamic-app-config/sessions.
type agentSessions struct{ api *api.Client }

// create makes a session that lives by being renewed only: an agent that fails its node's check for a moment costs no lock. Its
// key goes with it, and is free at once: who holds the lock stops by itself before Consul ends its session.
func (s agentSessions) create(ctx context.Context) (string, error) {
	id, _, err := s.api.Session().CreateNoChecks(&api.SessionEntry{
		Name: "dynomad", TTL: lockTTL.String(), Behavior: api.SessionBehaviorDelete, LockDelay: time.Millisecond,
	}, (&api.WriteOptions{}).WithContext(ctx))
	return id, answer("making a session", err)
}

func (s agentSessions) renew(ctx context.Context, id string) (bool, error) {
	entry, _, err := s.api.Session().Renew(id, (&api.WriteOptions{}).WithContext(ctx))
	return entry != nil, answer("renewing a session", err)
}

func (s agentSessions) destroy(ctx context.Context, id string) error {
	_, err := s.api.Session().Destroy(id, (&api.WriteOptions{}).WithContext(ctx))
	return answer("ending a session", err)
}

// read asks the leader, so that the answer is not older than the question.
func (s agentSessions) read(ctx context.Context, key string) (string, []byte, error) {
	pair, _, err := s.api.KV().Get(key, (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
	if err != nil || pair == nil {
		return "", nil, answer("reading the lock", err)
	}
	return pair.Session, pair.Value, nil
}

func (s agentSessions) acquire(ctx context.Context, key, session string, value []byte) (bool, error) {
	ok, _, err := s.api.KV().Acquire(&api.KVPair{Key: key, Session: session, Value: value}, (&api.WriteOptions{}).WithContext(ctx))
	return ok, answer("acquiring the lock", err)
}

// answer is translate for requests that need a right of their own: what Consul refuses is told from its silence.
func answer(doing string, err error) error {
	var status api.StatusError
	if errors.As(err, &status) && status.Code == http.StatusForbidden {
		return dynomad.Wrap(dynomad.Forbidden, err, "Consul refuses (%s): the daemon's token needs what docs/policies/consul-daemon.hcl has.", doing)
	}
	return translate(doing, err)
}

// Package nomad talks to Nomad: it registers jobs, keeps variables, lists and watches. It turns Nomad's errors into the
// platform's kinds and holds no state of the platform's. What jobs should look like is package jobs' business.
package nomad

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hashicorp/nomad/api"
)

// callTimeout bounds every call that does not wait on purpose.
const callTimeout = 10 * time.Second

// eventLag bounds the wait for a change, from the event that tells of it, to be readable: it is microseconds.
const eventLag = 2 * time.Second

// Client is one Nomad cluster. It is safe for concurrent use.
type Client struct {
	api       *api.Client
	pings     *api.Client // with connections of its own; see Ping
	namespace string
	leader    atomic.Value // of string; see Leader
}

// New makes a client. A nil config is read from the environment (NOMAD_ADDR, NOMAD_TOKEN, NOMAD_NAMESPACE …), as Nomad's own
// command does.
func New(config *api.Config) (*Client, error) {
	if config == nil {
		config = api.DefaultConfig()
	}
	own := *config // NewClient changes what it is given
	pings, err := api.NewClient(&own)
	if err != nil {
		return nil, err
	}
	c, err := api.NewClient(config)
	if err != nil {
		return nil, err
	}
	namespace := config.Namespace
	if namespace == "" {
		namespace = api.DefaultNamespace
	}
	return &Client{api: c, pings: pings, namespace: namespace}, nil
}

// Address gives Nomad's address, for links and messages.
func (c *Client) Address() string { return c.api.Address() }

// Namespace gives the namespace that jobs go to unless their space says otherwise.
func (c *Client) Namespace() string { return c.namespace }

// Ping asks whether Nomad answers and has a leader. It has a connection that nobody else uses, so that it is as old as those that are
// followed: when a firewall forgets them, this one is silent, too.
func (c *Client) Ping(ctx context.Context) error {
	q, done := c.query(ctx, "")
	defer done()
	var leader string
	_, err := c.pings.Raw().Query("/v1/status/leader", &leader, q)
	if err == nil && leader == "" {
		return unavailable(nil, "Nomad has no leader.")
	}
	if err == nil {
		c.leader.Store(leader)
	}
	return translate("asking for the leader", err)
}

// Leader gives the address of the leader that the last Ping that went well was told of, "" before the first.
func (c *Client) Leader() string {
	leader, _ := c.leader.Load().(string)
	return leader
}

// query makes options for a read in a namespace ("" is the client's own), with the usual deadline.
func (c *Client) query(ctx context.Context, namespace string) (*api.QueryOptions, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	return (&api.QueryOptions{Namespace: c.in(namespace)}).WithContext(ctx), cancel
}

// seen makes options for a read of what an event told of. Nomad tells of a change just before it can be read, so the read waits
// until the state has come to the event's index.
func (c *Client) seen(ctx context.Context, namespace string, index uint64) (*api.QueryOptions, context.CancelFunc) {
	q, done := c.query(ctx, namespace)
	if index > 1 {
		q.WaitIndex, q.WaitTime = index-1, eventLag
	}
	return q, done
}

// write makes options for a write, like query.
func (c *Client) write(ctx context.Context, namespace string) (*api.WriteOptions, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	return (&api.WriteOptions{Namespace: c.in(namespace)}).WithContext(ctx), cancel
}

func (c *Client) in(namespace string) string {
	if namespace == "" {
		return c.namespace
	}
	return namespace
}

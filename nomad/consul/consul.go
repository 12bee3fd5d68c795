// Package consul follows what Consul says of the health of the dynos that get traffic. The number of its requests does not
// grow with the number of apps: one blocking query follows all critical checks, and a service is read only when one of its
// instances changes.
package consul

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/dynomad/dynomad"
)

const (
	callTimeout = 10 * time.Second
	waitTime    = time.Minute // of the blocking query; Consul adds up to a sixteenth
	retryAfter  = 5 * time.Second
)

// Client is one Consul cluster, by way of one of its agents.
type Client struct {
	api   *api.Client
	http  *http.Client // has api's connections
	pings *api.Client  // with connections of its own; see Ping
}

// New makes a client. A nil config is read from the environment (CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN …), as Consul's own
// command does.
func New(config *api.Config) (*Client, error) {
	if config == nil {
		config = api.DefaultConfig()
	}
	own := *config // NewClient changes what it is given
	own.Transport = nil
	pings, err := api.NewClient(&own)
	if err != nil {
		return nil, err
	}
	c, err := api.NewClient(config)
	if err != nil {
		return nil, err
	}
	return &Client{api: c, http: config.HttpClient, pings: pings}, nil // NewClient has set it
}

// Ping asks whether Consul answers and has a leader. It has a connection that nobody else uses, so that it is as old as those that are
// followed: when a firewall forgets them, this one is silent, too.
func (c *Client) Ping(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, callTimeout)
	defer done()
	var leader string
	_, err := c.pings.Raw().Query("/v1/status/leader", &leader, (&api.QueryOptions{}).WithContext(ctx))
	if err == nil && leader == "" {
		return unavailable(nil, "Consul has no leader.")
	}
	return translate("asking for the leader", err)
}

func translate(doing string, err error) error {
	if err == nil {
		return nil
	}
	return unavailable(err, "Consul does not answer ("+doing+").")
}

func unavailable(cause error, message string) error {
	return &dynomad.Error{Kind: dynomad.Unavailable, Message: message, RetryAfter: retryAfter, Cause: cause}
}

// serviceIDPattern is how Nomad's clients name the instances of services (client/serviceregistration/id.go).
var serviceIDPattern = regexp.MustCompile(`^_nomad-task-([0-9a-f-]{36})-`)

// allocOf gives the allocation that registered an instance; "" if none of Nomad's did.
func allocOf(serviceID string) string {
	if m := serviceIDPattern.FindStringSubmatch(serviceID); m != nil {
		return m[1]
	}
	return ""
}

// oneLine makes a check's output fit for a sentence.
func oneLine(output string) string {
	const most = 300
	s := strings.Join(strings.Fields(output), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

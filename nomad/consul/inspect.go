package consul

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// What follows is for dynomad doctor: it asks more than the daemon does, and once.

// ErrNoACLs says that ACLs are off in Consul.
var ErrNoACLs = errors.New("ACLs are off in Consul")

// Probe asks a Consul cluster how it is.
type Probe struct {
	*Client
	http    *http.Client
	address string
	token   string
}

// NewProbe makes a Probe, as New makes a Client.
func NewProbe(config *api.Config) (*Probe, error) {
	if config == nil {
		config = api.DefaultConfig()
	}
	c, err := New(config) // which completes the config
	if err != nil {
		return nil, err
	}
	return &Probe{Client: c, http: config.HttpClient, address: config.Scheme + "://" + config.Address, token: config.Token}, nil
}

// Address gives Consul's address, for messages.
func (p *Probe) Address() string { return p.address }

// Clock tells by how much the clock of Consul's agent is ahead of this machine's, to about a second.
func (p *Probe) Clock(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.address+"/v1/status/leader", nil)
	if err != nil {
		return 0, err
	}
	asked := time.Now()
	resp, err := p.http.Do(req)
	if err != nil {
		return 0, translate("asking for the time", err)
	}
	defer resp.Body.Close() //nolint:errcheck // its header is wanted
	theirs, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return 0, fmt.Errorf("consul's answer has no date: %w", err)
	}
	ours := asked.Add(time.Since(asked) / 2).Round(0)
	return theirs.Add(time.Second / 2).Sub(ours), nil // the header has whole seconds, rounded down
}

// Versions lists the versions of Consul's servers, each once.
func (p *Probe) Versions(ctx context.Context) ([]string, error) {
	entries, err := p.service(ctx, "consul")
	if err != nil {
		return nil, err
	}
	var versions []string
	for _, e := range entries {
		if v := e.Service.Meta["version"]; v != "" && !slices.Contains(versions, v) {
			versions = append(versions, v)
		}
	}
	slices.Sort(versions)
	return versions, nil
}

func (p *Probe) service(ctx context.Context, name string) ([]*api.ServiceEntry, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	entries, _, err := p.api.Health().Service(name, "", false, (&api.QueryOptions{}).WithContext(ctx))
	return entries, translate("reading service "+name, err)
}

// Passing tells how many instances of a service there are, and how many of them pass their checks.
func (p *Probe) Passing(ctx context.Context, name string) (all, passing int, err error) {
	entries, err := p.service(ctx, name)
	for _, e := range entries {
		if e.Checks.AggregatedStatus() == api.HealthPassing {
			passing++
		}
	}
	return len(entries), passing, err
}

// SickNodes names the nodes whose own checks fail, with the checks' output. Consul counts those against every service on them.
func (p *Probe) SickNodes(ctx context.Context) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	checks, _, err := p.api.Health().State(api.HealthCritical, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return nil, translate("listing critical checks", err)
	}
	sick := map[string]string{}
	for _, c := range checks {
		if c.ServiceID == "" {
			sick[c.Node] = oneLine(c.Name + ": " + c.Output)
		}
	}
	return sick, nil
}

// LockHolder tells who holds an installation's lock; held is false if nobody does.
func (p *Probe) LockHolder(ctx context.Context, installation string) (holder Holder, held bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	pair, _, err := p.api.KV().Get(LockKey(installation), (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return holder, false, translate("reading the lock", err)
	}
	if pair == nil || pair.Session == "" {
		return holder, false, nil
	}
	_ = json.Unmarshal(pair.Value, &holder) // what cannot be read is an unknown process
	return holder, true, nil
}

// LockKey is the key of an installation's lock.
func LockKey(installation string) string { return "dynomad/" + installation + "/lock" }

// authorization asks whether the token may do something.
type authorization struct {
	Resource string
	Segment  string
	Access   string
	Allow    bool `json:",omitempty"`
}

// needed are the rights that the daemon's token needs: docs/policies/consul-daemon.hcl.
func needed(installation, node string) []authorization {
	return []authorization{
		{Resource: "service", Segment: "dynomad-doctor", Access: "read"},
		{Resource: "node", Segment: node, Access: "read"},
		{Resource: "service", Segment: "dynomad-fallback-" + installation, Access: "write"},
		{Resource: "key", Segment: LockKey(installation), Access: "read"},
		{Resource: "key", Segment: LockKey(installation), Access: "write"},
		{Resource: "session", Segment: node, Access: "write"},
	}
}

// MissingRights gives the rights that the token lacks: "service:write of dynomad-fallback-…". ErrNoACLs if there is nothing to lack.
func (p *Probe) MissingRights(ctx context.Context, installation string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var answers []authorization
	// The node whose session it would be is the agent's, which the token need not be able to ask for: any node stands for it.
	err := p.post(ctx, "/v1/internal/acl/authorize", needed(installation, p.someNode(ctx)), &answers)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, a := range answers {
		if !a.Allow {
			missing = append(missing, fmt.Sprintf("%s:%s of %s", a.Resource, a.Access, a.Segment))
		}
	}
	return missing, nil
}

func (p *Probe) someNode(ctx context.Context) string {
	if nodes, _, err := p.api.Catalog().Nodes((&api.QueryOptions{}).WithContext(ctx)); err == nil && len(nodes) > 0 {
		return nodes[0].Node
	}
	return "some-node"
}

// post sends what Consul's client has no method for.
func (p *Probe) post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.address+path, strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	req.Header.Set("X-Consul-Token", p.token)
	resp, err := p.http.Do(req)
	if err != nil {
		return translate("asking for the token's rights", err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text := readAll(resp.Body)
	switch {
	case strings.Contains(text, "ACL support disabled"):
		return ErrNoACLs
	case resp.StatusCode != http.StatusOK:
		return translate("asking for the token's rights", fmt.Errorf("status %d: %s", resp.StatusCode, oneLine(text)))
	}
	return json.Unmarshal([]byte(text), out)
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

func readAll(r io.Reader) string {
	text, err := io.ReadAll(io.LimitReader(r, maxAnswer))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

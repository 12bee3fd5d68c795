package nomad

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl"
	"github.com/hashicorp/nomad/api"
)

// Right is one right of a token in Nomad.
type Right struct {
	Name string // as policies have it: "submit-job", "variables:read", "node:read"
	For  string // what the daemon needs it for
}

// namespaceRights are what the daemon needs in each namespace that it uses. A test compares them with docs/policies/nomad-daemon.hcl.
var namespaceRights = []Right{
	{"list-jobs", "to see the jobs"},
	{"read-job", "to follow jobs and their dynos"},
	{"submit-job", "to run, change and stop apps"},
	{"dispatch-job", "to run what is dispatched"},
	{"read-logs", "for dynos' logs"},
	{"read-fs", "for dynos' logs, from where they were"},
	{"alloc-exec", "to attach to dynos"},
	{"alloc-lifecycle", "to replace single dynos and to have Nomad look at their health again"},
	{"scale-job", "to change quantities"},
	{"variables:write", "to give dynos their config vars"},
	{"variables:read", "to see to config vars"},
	{"variables:list", "to see to config vars"},
	{"variables:destroy", "to remove config vars that nobody needs"},
}

// clusterRights are what it needs of the cluster.
var clusterRights = []Right{
	{"node:read", "for nodes' names"},
	{"agent:read", "for Nomad's version"},
	{"operator:read", "to see whether memory oversubscription is on"},
}

// ownVariable is a path as those of config vars are.
const ownVariable = "dynomad/app/config"

// ErrNoACLs says that ACLs are off in Nomad.
var ErrNoACLs = errors.New("ACLs are off in Nomad")

// MissingRights gives the rights that the token lacks, by its policies: "submit-job in default". ErrNoACLs if there is nothing to lack.
func (c *Client) MissingRights(ctx context.Context, namespaces []string) ([]string, error) {
	q, done := c.query(ctx, "")
	defer done()
	self, _, err := c.api.ACLTokens().Self(q)
	switch {
	case aclsOff(err):
		return nil, ErrNoACLs
	case err != nil:
		return nil, translate("reading the token itself", err)
	case self.Type == "management":
		return nil, nil
	}
	policies, err := c.ownPolicies(ctx)
	switch {
	case aclsOff(err): // the endpoint of the token itself does not say so (Nomad 1.10)
		return nil, ErrNoACLs
	case err != nil:
		return nil, err
	}
	return lacking(policies, namespaces), nil
}

func aclsOff(err error) bool {
	return err != nil && strings.Contains(err.Error(), "ACL support disabled")
}

// ownPolicies reads the policies of the token: those are what Nomad lists to it.
func (c *Client) ownPolicies(ctx context.Context) ([]policy, error) {
	q, done := c.query(ctx, "")
	defer done()
	stubs, _, err := c.api.ACLPolicies().List(q)
	if err != nil {
		return nil, translate("listing the token's policies", err)
	}
	var all []policy
	for _, stub := range stubs {
		full, _, err := c.api.ACLPolicies().Info(stub.Name, q)
		if err != nil {
			return nil, translate("reading the policy "+stub.Name, err)
		}
		p, err := parsePolicy(full)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// policy is what a policy says, as far as the daemon's rights go (acl/policy.go).
type policy struct {
	Namespaces []policyNamespace `hcl:"namespace,expand"`
	Node       *policyLevel      `hcl:"node"`
	Agent      *policyLevel      `hcl:"agent"`
	Operator   *policyLevel      `hcl:"operator"`
}

type policyLevel struct{ Policy string }

type policyNamespace struct {
	Name         string `hcl:",key"`
	Policy       string
	Capabilities []string
	Variables    *policyVariables `hcl:"variables"`
}

type policyVariables struct {
	Paths []policyPath `hcl:"path"`
}

type policyPath struct {
	Spec         string `hcl:",key"`
	Capabilities []string
}

// parsePolicy reads a policy with the parser that Nomad reads it with.
func parsePolicy(p *api.ACLPolicy) (policy, error) {
	var out policy
	if err := hcl.Decode(&out, p.Rules); err != nil {
		return out, fmt.Errorf("the policy %s cannot be read: %w", p.Name, err)
	}
	return out, nil
}

// lacking gives what policies do not give of what the daemon needs.
func lacking(policies []policy, namespaces []string) []string {
	var missing []string
	for _, ns := range namespaces {
		given := inNamespace(policies, ns)
		for _, r := range namespaceRights {
			if !given[r.Name] {
				missing = append(missing, fmt.Sprintf("%s in namespace %s (%s)", r.Name, ns, r.For))
			}
		}
	}
	given := inCluster(policies)
	for _, r := range clusterRights {
		if !given[r.Name] {
			missing = append(missing, fmt.Sprintf("%s (%s)", r.Name, r.For))
		}
	}
	return missing
}

// levels are what the coarse words of a namespace stand for (acl/policy.go, expandNamespacePolicy), of what the daemon needs.
var levels = map[string][]string{
	"read":  {"list-jobs", "read-job"},
	"write": {"list-jobs", "read-job", "scale-job", "submit-job", "dispatch-job", "read-logs", "read-fs", "alloc-exec", "alloc-lifecycle"},
	"scale": {"scale-job"},
}

// inNamespace gives the rights in a namespace. Of patterns that fit, the one that says most counts (acl/acl.go, findClosestMatchingGlob).
func inNamespace(policies []policy, name string) map[string]bool {
	given := map[string]bool{}
	best := closest(name, func(see func(string)) {
		for _, p := range policies {
			for _, ns := range p.Namespaces {
				see(ns.Name)
			}
		}
	})
	for _, p := range policies {
		for _, ns := range p.Namespaces {
			if ns.Name != best {
				continue
			}
			if ns.Policy == "deny" || slices.Contains(ns.Capabilities, "deny") {
				return nil
			}
			for _, capability := range slices.Concat(levels[ns.Policy], ns.Capabilities) {
				given[capability] = true
			}
			if ns.Variables != nil {
				addVariables(given, ns.Variables.Paths)
			}
		}
	}
	return given
}

func addVariables(given map[string]bool, paths []policyPath) {
	best := closest(ownVariable, func(see func(string)) {
		for _, p := range paths {
			see(p.Spec)
		}
	})
	for _, p := range paths {
		if p.Spec != best {
			continue
		}
		for _, capability := range p.Capabilities {
			given["variables:"+capability] = true
			if capability == "read" {
				given["variables:list"] = true
			}
		}
	}
}

// closest gives the pattern that says most of those that fit a name: the name itself, else the one with the most that is no star.
func closest(name string, each func(see func(pattern string))) string {
	best, length := "", -1
	each(func(pattern string) {
		if pattern == name {
			best, length = pattern, len(name)+1
			return
		}
		if n := len(strings.ReplaceAll(pattern, "*", "")); strings.Contains(pattern, "*") && GlobFits(pattern, name) && n > length {
			best, length = pattern, n
		}
	})
	return best
}

// GlobFits reports whether a name fits a pattern in which a star stands for anything, as Nomad has them of datacenters and in policies.
func GlobFits(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return strings.HasSuffix(name, parts[len(parts)-1])
}

func inCluster(policies []policy) map[string]bool {
	given := map[string]bool{}
	for _, p := range policies {
		for name, level := range map[string]*policyLevel{"node": p.Node, "agent": p.Agent, "operator": p.Operator} {
			if level != nil && (level.Policy == "read" || level.Policy == "write") {
				given[name+":read"] = true
			}
		}
	}
	return given
}

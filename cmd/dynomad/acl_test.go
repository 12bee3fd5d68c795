//go:build integration

package main

import (
	"os"
	"path/filepath"
	"testing"

	consulapi "github.com/hashicorp/consul/api"
	nomadapi "github.com/hashicorp/nomad/api"

	"github.com/dynomad/dynomad/nomad/nomadtest"
)

// grant applies the policies of docs/policies to a cluster with ACLs, as docs/cluster.md says, and gives the variables with
// tokens of just those rights.
func grant(tb testing.TB, cluster *nomadtest.Cluster) []string {
	tb.Helper()
	nomad, consul := cluster.NomadClient(), cluster.ConsulClient()
	ok := func(what string, err error) {
		tb.Helper()
		if err != nil {
			tb.Fatalf("%s: %v", what, err)
		}
	}
	policies := []*nomadapi.ACLPolicy{
		{Name: "dynomad", Rules: policy(tb, "nomad-daemon.hcl")},
		{Name: "dynomad-apps", Rules: policy(tb, "nomad-apps.hcl"), JobACL: &nomadapi.JobACL{Namespace: "default"}},
	}
	for _, p := range policies {
		_, err := nomad.ACLPolicies().Upsert(p, nil)
		ok("applying Nomad's policy "+p.Name, err)
	}
	token, _, err := nomad.ACLTokens().Create(&nomadapi.ACLToken{Name: "dynomad", Type: "client", Policies: []string{"dynomad"}}, nil)
	ok("making Nomad's token", err)

	p, _, err := consul.ACL().PolicyCreate(&consulapi.ACLPolicy{Name: "dynomad-" + token.AccessorID, Rules: policy(tb, "consul-daemon.hcl")}, nil)
	ok("making Consul's policy", err)
	c, _, err := consul.ACL().TokenCreate(&consulapi.ACLToken{Policies: []*consulapi.ACLTokenPolicyLink{{ID: p.ID}}}, nil)
	ok("making Consul's token", err)
	return []string{"NOMAD_TOKEN=" + token.SecretID, "CONSUL_HTTP_TOKEN=" + c.SecretID}
}

func policy(tb testing.TB, file string) string {
	tb.Helper()
	root, err := nomadtest.RepoRoot()
	if err != nil {
		tb.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "policies", file))
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}
